/**
 * The log in front, on NATS JetStream: `serve --log nats://…`. What comes through a door is written to it (publisher.ts),
 * and taken from it into the ledger (taker.ts). Loaded only when it is asked for.
 *
 * A node starts without the log, and is not ready until it has found it; while the log is away, nothing is accepted and
 * everything else goes on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamState } from '@nats-io/jetstream';
import { TallybookError } from '../engine/errors.ts';
import type { FrontLog, FrontLogState, Logged } from '../engine/front-log.ts';
import { limits } from '../engine/limits.ts';
import type { TextDelivery } from '../engine/store.ts';
import type { Tallybook } from '../engine/tallybook.ts';
import { type LogAddress, logAddress } from './address.ts';
import { type Credentials, connectTo, credentialsOf, findLog, type JetStream } from './jetstream.ts';
import { Publisher } from './publisher.ts';
import { Taker } from './taker.ts';
import { alwaysOurs, Turn } from './turn.ts';

const lookMilliseconds = 500;
/** A log that has not answered for this long is taken to be away. */
const silentMilliseconds = 4_000;
const settlingMilliseconds = 25;

export interface NatsLogOptions {
  tallybook: Tallybook;
  /** As `--log` has it. */
  address: string;
  /** Whether other nodes work on the same ledger: then one of them takes at a time. */
  shared: boolean;
}

/** Puts the log in front of the doors. Throws `bad_settings`. */
export async function openNatsLog({ tallybook, address, shared }: NatsLogOptions): Promise<FrontLog> {
  const parsed = logAddress(address);
  const log = new NatsLog(tallybook, parsed, await credentialsOf(parsed), shared);
  tallybook.putInFront(log);
  return log;
}

interface Open {
  jetStream: JetStream;
  publisher: Publisher;
  taker: Taker;
}

class NatsLog implements FrontLog {
  readonly #tallybook: Tallybook;
  readonly #address: LogAddress;
  readonly #shared: boolean;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #open: Open | undefined;
  #trouble = 'it is being looked for';
  #seenAt: number | undefined;
  #state: StreamState | undefined;

  constructor(tallybook: Tallybook, address: LogAddress, credentials: Credentials, shared: boolean) {
    this.#tallybook = tallybook;
    this.#address = address;
    this.#shared = shared;
    this.#running = this.#run(credentials);
  }

  get state(): FrontLogState {
    const { messages = 0, bytes = 0, first_ts } = this.#state ?? {};
    const age = messages > 0 && first_ts ? (Date.now() - Date.parse(first_ts)) / 1000 : 0;
    return {
      connected: this.#answers(),
      taking: this.#open?.taker.taking ?? false,
      waitingMessages: messages,
      waitingBytes: bytes,
      lagSeconds: Math.max(0, age),
    };
  }

  refuseWhenFull(): void {
    this.#opened().publisher.refuseWhenFull();
  }

  async append(delivery: TextDelivery, idempotencyKey: string | undefined): Promise<Logged | undefined> {
    return this.#opened().publisher.append(delivery, idempotencyKey);
  }

  async settled(): Promise<void> {
    const { jetStream } = this.#opened();
    const look = async () => (await findLog(jetStream, this.#address)).state;
    const { last_seq } = await look();
    const deadline = performance.now() + limits.log_settling_seconds * 1000;
    for (;;) {
      const { messages, first_seq } = await look();
      if (messages === 0 || first_seq > last_seq) return;
      if (performance.now() > deadline) {
        const detail = `this does not fit a message of the log, and the ${messages} messages before it are not committed yet; nothing of it was taken in: send it again in a minute`;
        throw new TallybookError('overloaded', detail, { retryAfter: 60 });
      }
      await sleep(settlingMilliseconds);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    if (!this.#open) return;
    const { publisher, taker, jetStream } = this.#open;
    await publisher.drained();
    await taker.close();
    // What was acknowledged last goes out with it, if somebody is there to hear it.
    await Promise.race([jetStream.connection.drain(), sleep(settlingMilliseconds * 80)]).catch(
      () => undefined,
    );
    await jetStream.connection.close();
  }

  #answers(): boolean {
    return this.#seenAt !== undefined && performance.now() - this.#seenAt < silentMilliseconds;
  }

  /** Throws `log_unavailable` or `closing`. */
  #opened(): Open {
    if (this.#closing.signal.aborted)
      throw new TallybookError('closing', 'the server is stopping; send it again in a moment', {
        retryAfter: 5,
      });
    if (this.#open && this.#answers()) return this.#open;
    const detail = `the log ${this.#address.name} cannot be reached at ${this.#address.servers.join(', ')}: ${this.#trouble}. Nothing of this request was taken in: send it again in a moment`;
    throw new TallybookError('log_unavailable', detail, { retryAfter: 5 });
  }

  /** Connects, and keeps an eye on the log. */
  async #run(credentials: Credentials): Promise<void> {
    const { signal } = this.#closing;
    let jetStream: JetStream | undefined;
    while (!signal.aborted) {
      try {
        jetStream ??= await connectTo(this.#address, credentials);
        const asked = performance.now();
        this.#state = (await findLog(jetStream, this.#address)).state;
        this.#seenAt = asked;
        this.#trouble = 'it does not answer';
        this.#open ??= this.#start(jetStream);
        this.#open.publisher.sees(this.#state.bytes);
        await this.#open.taker.sees(this.#state);
      } catch (error) {
        this.#tell((error as Error).message, error);
      }
      await sleep(lookMilliseconds, undefined, { signal }).catch(() => undefined);
    }
    if (!this.#open) await jetStream?.connection.close();
  }

  #start(jetStream: JetStream): Open {
    const { name, replicas, bytes } = this.#address;
    const { events } = this.#tallybook;
    const publisher = new Publisher(name, jetStream, bytes, (event) => events.emit('appended', event));
    const turn = this.#shared ? new Turn(jetStream, name, replicas) : alwaysOurs;
    const taker = new Taker({ tallybook: this.#tallybook, jetStream, address: this.#address, turn });
    taker.start();
    return { jetStream, publisher, taker };
  }

  #tell(trouble: string, error: unknown): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#tallybook.log.warn(
      { err: error, log: this.#address.name },
      'the log does not answer; trying again',
    );
  }
}
