/**
 * The way into the log. A message is accepted when the log has acknowledged it: with replicas, when most of them have
 * it. While a leader is being chosen nobody answers; the same message is tried again under the same id, so that the log
 * has it once. Where that does not help within some seconds, the sender is told to come again, and that it is not known
 * whether the message arrived.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import { TallybookError } from '../engine/errors.ts';
import type { AppendedEvent, Logged } from '../engine/front-log.ts';
import { limits } from '../engine/limits.ts';
import type { TextDelivery } from '../engine/store.ts';
import { isFull, type JetStream, subjectOf } from './jetstream.ts';
import { encodeMessage, messageId } from './message.ts';

const againMilliseconds = 100;
/** A log that had no room is not tried again before this. */
const fullMilliseconds = 1_000;
/** Beside the payload: subject and headers, at most. */
const headBytes = 256;

export class Publisher {
  readonly #log: string;
  readonly #jetStream: JetStream;
  readonly #most: number;
  readonly #onAppended: (event: AppendedEvent) => void;
  /** What a message may have. */
  #largest = 1_048_576;
  /** On their way. */
  #bytes = 0;
  /** What the log held when it was looked at, and what was sent to it since. */
  #held = 0;
  #since = 0;
  /** Until then there is no room: the next attempt after that finds out. */
  #fullUntil = 0;
  readonly #underway = new Set<Promise<unknown>>();

  /** @param most bytes that the log may hold */
  constructor(log: string, jetStream: JetStream, most: number, onAppended: (event: AppendedEvent) => void) {
    this.#log = log;
    this.#jetStream = jetStream;
    this.#most = most;
    this.#onAppended = onAppended;
  }

  /** Told what the log holds, now and then. */
  sees(bytes: number): void {
    this.#held = bytes;
    this.#since = this.#bytes;
  }

  /** Throws `overloaded`. */
  refuseWhenFull(): void {
    if (performance.now() < this.#fullUntil || this.#held + this.#since >= this.#most) throw this.#full();
    if (this.#bytes >= limits.log_publishing_bytes) throw this.#tooMuch();
  }

  async append(delivery: TextDelivery, idempotencyKey: string | undefined): Promise<Logged | undefined> {
    // While a connection is made again, the server's word of before holds.
    this.#largest = this.#jetStream.connection.info?.max_payload ?? this.#largest;
    const bytes = encodeMessage(delivery, this.#largest - headBytes);
    if (!bytes) return undefined;
    if (this.#bytes > 0 && this.#bytes + bytes.length > limits.log_publishing_bytes) throw this.#tooMuch();
    // An empty log takes a message of any size: refusing it would never end.
    const held = this.#held + this.#since;
    if (held > 0 && held + bytes.length + headBytes > this.#most) {
      this.#fullUntil = performance.now() + fullMilliseconds;
      throw this.#full();
    }
    this.#bytes += bytes.length;
    this.#since += bytes.length + headBytes;
    const started = performance.now();
    const published = this.#publish(
      subjectOf(this.#log, delivery.stream.name),
      bytes,
      messageId(delivery, idempotencyKey),
    );
    this.#underway.add(published);
    try {
      const { seq, duplicate } = await published;
      const seconds = (performance.now() - started) / 1000;
      this.#onAppended({ outcome: duplicate ? 'repeated' : 'stored', seconds });
      const received = delivery.content.texts.length;
      return { received, log: this.#log, sequence: String(seq), repeated: duplicate };
    } catch (error) {
      this.#onAppended({ outcome: 'refused', seconds: (performance.now() - started) / 1000 });
      throw error;
    } finally {
      this.#bytes -= bytes.length;
      this.#underway.delete(published);
    }
  }

  /** Resolves when what is on its way has arrived or failed. */
  async drained(): Promise<void> {
    await Promise.allSettled(this.#underway);
  }

  async #publish(subject: string, bytes: Buffer, msgID: string) {
    const deadline = performance.now() + limits.log_publishing_seconds * 1000;
    for (;;) {
      const timeout = Math.max(500, Math.min(2_500, deadline - performance.now()));
      try {
        return await this.#jetStream.publishing.publish(subject, bytes, { msgID, timeout, retries: 1 });
      } catch (error) {
        if (isFull(error)) {
          this.#fullUntil = performance.now() + fullMilliseconds;
          throw this.#full();
        }
        if (performance.now() + againMilliseconds > deadline) throw unknownOutcome(error);
        await sleep(againMilliseconds);
      }
    }
  }

  #full(): TallybookError {
    const detail = `the log ${this.#log} holds as much as it may; nothing of this request was taken in: send it again when the ledger has caught up`;
    return new TallybookError('overloaded', detail, { retryAfter: 5 });
  }

  #tooMuch(): TallybookError {
    const detail = `${this.#bytes} bytes are on their way to the log ${this.#log}; nothing of this request was taken in: send it again in a second`;
    return new TallybookError('overloaded', detail, { retryAfter: 1 });
  }
}

function unknownOutcome(cause: unknown): TallybookError {
  const why = cause instanceof JetStreamApiError ? `: ${cause.message}` : '';
  return new TallybookError(
    'log_unavailable',
    `the log did not acknowledge the message in time${why}. Whether it has it is not known: send the same again, with the ids of the records or an Idempotency-Key, and it counts once`,
    { cause, retryAfter: 5 },
  );
}
