/**
 * From the log to the ledger: in the order of the log, every message once.
 *
 * JetStream gives a message again when it was not acknowledged in time: after a crash between commit and
 * acknowledgement, or when an acknowledgement got lost. Ids alone would not make that harmless: a correction that comes
 * again after a later one would undo it, and a reject would be listed twice. So each commit writes down, with the
 * records, up to which message it takes the log in (`_log_marks`). What comes again from before the mark is
 * acknowledged, and nothing else.
 *
 * That needs the order of the log. One node takes at a time (turn.ts). It starts with a consumer that holds nothing back
 * (jetstream.ts), and looks at the numbers of what is given to it: when one is missing, because a connection broke, it
 * begins again after what is committed.
 *
 * While one commit runs, what arrives waits; then all of it is the next one, as in the writer. A message that cannot be
 * committed by itself, again and again, goes to the rejects, and the others go on. What concerns all of them (a full
 * disk, a store that is away) is waited for.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import { logMarksStream, rejectsStream } from '../engine/built-in-streams.ts';
import { formatTimestamp, nowMicros } from '../engine/calendar.ts';
import { Doorbell } from '../engine/doorbell.ts';
import { TallybookError } from '../engine/errors.ts';
import { findForm } from '../engine/forms.ts';
import { limits } from '../engine/limits.ts';
import { bookDelivery } from '../engine/own-books.ts';
import type { Delivery, Texts } from '../engine/store.ts';
import type { Tallybook } from '../engine/tallybook.ts';
import type { LogAddress } from './address.ts';
import { groupLength } from './group.ts';
import {
  acknowledgeMilliseconds,
  durable,
  findLog,
  freshConsumer,
  identityOf,
  type JetStream,
} from './jetstream.ts';
import { decodeMessage, type Message } from './message.ts';
import type { Turn } from './turn.ts';

const againMilliseconds = 500;

interface Arrived {
  raw: JsMsg;
  seq: number;
  /** Undefined when it cannot be read. */
  message: Message | undefined;
  fault: string;
  records: number;
  bytes: number;
}

export interface TakerOptions {
  tallybook: Tallybook;
  jetStream: JetStream;
  address: LogAddress;
  turn: Pick<Turn, 'held' | 'take' | 'release'>;
}

export class Taker {
  readonly #tallybook: Tallybook;
  readonly #jetStream: JetStream;
  readonly #address: LogAddress;
  readonly #turn: TakerOptions['turn'];
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #session: Session | undefined;

  constructor({ tallybook, jetStream, address, turn }: TakerOptions) {
    this.#tallybook = tallybook;
    this.#jetStream = jetStream;
    this.#address = address;
    this.#turn = turn;
  }

  get taking(): boolean {
    return this.#session !== undefined;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Ends after the commit that is under way; what was not committed comes again. */
  async close(): Promise<void> {
    this.#stopped.abort();
    this.#session?.end();
    await this.#running;
    await this.#turn.release();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    let told = '';
    while (!signal.aborted) {
      try {
        if (this.#turn.held || (await this.#turn.take())) {
          await this.#takeUntilBroken();
          told = '';
        }
      } catch (error) {
        const trouble = (error as Error).message;
        if (trouble !== told)
          this.#tallybook.log.warn({ err: error }, 'the log cannot be taken in; trying again');
        told = trouble;
      }
      await sleep(againMilliseconds, undefined, { signal }).catch(() => undefined);
    }
  }

  async #takeUntilBroken(): Promise<void> {
    const { publishing } = this.#jetStream;
    const info = await findLog(this.#jetStream, this.#address);
    const { name } = info.config;
    const identity = identityOf(info);
    const mark = await readMark(this.#tallybook, identity);
    if (mark > info.state.last_seq) {
      throw new TallybookError(
        'log_unavailable',
        `the ledger has taken in message ${mark} of the log ${name}, which itself ends at ${info.state.last_seq}: it was put back to an older state. Delete the JetStream stream, and it is made anew`,
      );
    }
    await freshConsumer(this.#jetStream, name);
    const consumer = await publishing.consumers.get(name, durable);
    const messages = await consumer.consume({
      max_bytes: limits.log_taking_bytes / 2,
      abort_on_missing_resource: true,
    });
    const session = new Session(this.#tallybook, messages, identity, mark, this.#turn);
    this.#session = session;
    this.#tallybook.log.info({ log: identity, from: mark + 1 }, 'taking from the log');
    try {
      if (this.#stopped.signal.aborted) session.end();
      await session.run();
    } finally {
      this.#session = undefined;
      if (!this.#stopped.signal.aborted)
        this.#tallybook.events.emit('taken', { ...nothing, restarted: true });
    }
  }
}

const nothing = { committed: 0, redelivered: 0, dead: 0, restarted: false };

/** Up to which message the log is taken in; 0 before the first. */
async function readMark({ books }: Tallybook, log: string): Promise<number> {
  const { rows } = await books.ask(logMarksStream, {
    measures: ['max(sequence)'],
    where: { log: { eq: log } },
  });
  return Number(rows[0]?.[0] ?? 0);
}

/** From one beginning until something is missing, or all is to end. */
class Session {
  readonly #tallybook: Tallybook;
  readonly #messages: ConsumerMessages;
  readonly #log: string;
  readonly #turn: TakerOptions['turn'];
  readonly #arrival = new Doorbell();
  readonly #room = new Doorbell();
  #mark: number;
  /** Arrived and not committed, in the order of the log; those of the commit that runs come first. */
  #waiting: Arrived[] = [];
  #bytes = 0;
  #ended = false;

  constructor(
    tallybook: Tallybook,
    messages: ConsumerMessages,
    log: string,
    mark: number,
    turn: TakerOptions['turn'],
  ) {
    this.#tallybook = tallybook;
    this.#messages = messages;
    this.#log = log;
    this.#mark = mark;
    this.#turn = turn;
  }

  end(): void {
    this.#ended = true;
    this.#messages.stop();
    this.#arrival.ring();
    this.#room.ring();
  }

  async run(): Promise<void> {
    const patience = setInterval(() => {
      for (const { raw } of this.#waiting) raw.working();
    }, acknowledgeMilliseconds / 3);
    let trouble: unknown;
    const receiving = this.#receive()
      .catch((error: unknown) => {
        trouble = error;
      })
      .finally(() => this.end());
    try {
      await this.#commitAll();
    } finally {
      clearInterval(patience);
      this.end();
      await receiving;
    }
    if (trouble !== undefined) throw trouble;
  }

  async #receive(): Promise<void> {
    let delivered: number | undefined;
    let last = this.#mark;
    for await (const raw of this.#messages) {
      if (this.#ended) return;
      const { seq } = raw;
      const { deliverySequence, redelivered } = raw.info;
      const missing = delivered !== undefined && deliverySequence !== delivered + 1;
      delivered = deliverySequence;
      if (seq <= last) {
        // Its acknowledgement got lost, or its commit takes long; that one will be acknowledged by what came first.
        this.#tallybook.events.emit('taken', { ...nothing, redelivered: 1 });
        if (seq <= this.#mark) raw.ack();
        continue;
      }
      // What is missing comes again, but only after a while, and what came meanwhile would have overtaken it.
      if (missing || redelivered) {
        this.#tallybook.log.info(
          { log: this.#log, seq },
          'a message of the log did not arrive; beginning again',
        );
        return;
      }
      last = seq;
      this.#waiting.push(arrivedOf(raw));
      this.#bytes += raw.data.length;
      this.#arrival.ring();
      while (this.#bytes > limits.log_taking_bytes / 2 && !this.#ended) await this.#room.answered();
    }
  }

  async #commitAll(): Promise<void> {
    while (!this.#ended) {
      if (this.#waiting.length === 0) {
        await this.#arrival.answered();
        continue;
      }
      const group = this.#waiting.slice(0, groupLength(this.#waiting));
      await this.#commit(group);
      if (this.#ended && this.#mark < group.at(-1)!.seq) return;
      this.#waiting.splice(0, group.length);
      for (const { raw, bytes } of group) {
        raw.ack();
        this.#bytes -= bytes;
      }
      this.#room.ring();
    }
  }

  /** Returns when the group is committed, or when all is to end. */
  async #commit(group: Arrived[]): Promise<void> {
    try {
      await this.#publish(group, []);
    } catch (error) {
      if (concernsAll(error)) {
        await this.#pause(error);
        return this.#ended ? undefined : this.#commit(group);
      }
      if (group.length > 1) for (const arrived of group) await this.#commit([arrived]);
      else await this.#commitPersistently(group[0]!, error);
    }
  }

  async #commitPersistently(arrived: Arrived, why: unknown): Promise<void> {
    let error = why;
    for (let attempt = 1; attempt < limits.log_attempts && !this.#ended; attempt++) {
      await this.#pause(error);
      try {
        return await this.#publish([arrived], []);
      } catch (again) {
        error = again;
      }
    }
    if (this.#ended || concernsAll(error)) return this.#ended ? undefined : this.#commit([arrived]);
    this.#tallybook.log.error(
      { err: error, log: this.#log, seq: arrived.seq },
      'a message goes to the rejects',
    );
    // Where that cannot be written either, nothing is: then taking begins again, with this message.
    await this.#publish([], [{ arrived, why: (error as Error).message }]);
  }

  async #pause(error: unknown): Promise<void> {
    this.#tallybook.log.warn({ err: error, log: this.#log }, 'messages cannot be committed; trying again');
    await sleep(againMilliseconds);
  }

  /** Commits messages, rejects of others, and the mark after all of them. */
  async #publish(group: Arrived[], dead: { arrived: Arrived; why: string }[]): Promise<void> {
    if (this.#ended) return;
    if (!this.#turn.held) {
      this.end();
      return;
    }
    const deliveries: (Delivery & { content: Texts })[] = [];
    const letters = [...dead];
    for (const arrived of group) {
      const delivery = this.#deliveryOf(arrived);
      if (typeof delivery === 'string') letters.push({ arrived, why: delivery });
      else deliveries.push(delivery);
    }
    const all = [...group, ...dead.map(({ arrived }) => arrived)];
    const mark = all.at(-1)!.seq;
    const texts = letters.flatMap(({ arrived, why }) => rejectsOf(this.#log, arrived, why));
    if (texts.length > 0) deliveries.push(textsForBook(rejectsStream, texts));
    deliveries.push(textsForBook(logMarksStream, [markText(this.#log, mark, all.length)]));
    await this.#tallybook.writer.submitTogether(deliveries);
    this.#mark = mark;
    const event = { ...nothing, committed: all.length - letters.length, dead: letters.length };
    this.#tallybook.events.emit('taken', event);
  }

  /** As it came through the door, or why it cannot be made of the message. */
  #deliveryOf({ message, fault }: Arrived): (Delivery & { content: Texts }) | string {
    if (!message) return fault;
    const { mode, source, reason, texts, fallbackIds, undecodable } = message;
    const stream = this.#tallybook.streams.find(message.stream);
    if (!stream) return `there is no stream ${message.stream}; declare it, and replay this`;
    let form: Delivery['form'];
    try {
      form = message.form === null ? undefined : findForm(stream, message.form);
    } catch (error) {
      return (error as Error).message;
    }
    const content: Texts = { kind: 'texts', texts, fallbackIds };
    if (undecodable.size > 0) content.undecodable = undecodable;
    return { stream, form, mode, source, reason: reason ?? undefined, content, allVerdicts: false };
  }
}

/** Trouble of the ledger, not of a message: trying others would not help. */
function concernsAll(error: unknown): boolean {
  return error instanceof TallybookError && ['overloaded', 'storage_full'].includes(error.kind);
}

function arrivedOf(raw: JsMsg): Arrived {
  const of = { raw, seq: raw.seq, bytes: raw.data.length };
  try {
    const message = decodeMessage(raw.data);
    return { ...of, message, fault: '', records: message.texts.length };
  } catch (error) {
    return {
      ...of,
      message: undefined,
      fault: `no message of Tallybook: ${(error as Error).message}`,
      records: 1,
    };
  }
}

function textsForBook(book: typeof logMarksStream, texts: string[]): Delivery & { content: Texts } {
  return bookDelivery(book, 'insert', texts) as Delivery & { content: Texts };
}

function markText(log: string, sequence: number, messages: number): string {
  const at = formatTimestamp(nowMicros());
  return JSON.stringify({ id: `${log}:${sequence}`, at, log, sequence, messages });
}

/** One for each record of the message, with its bytes; of what is no message, one with all of them. */
function rejectsOf(log: string, { raw, seq, message }: Arrived, why: string): string[] {
  const of = {
    at: formatTimestamp(nowMicros()),
    stream: message?.stream ?? raw.subject.slice(raw.subject.indexOf('.') + 1),
    source: message?.source ?? '_tallybook',
    mode: message?.mode ?? 'insert',
    form: message?.form ?? null,
    code: 'not_committed',
    message: `message ${seq} of the log could not be committed: ${why}`,
  };
  const id = (index: number) => `log:${log}:${seq}:${index}`;
  if (!message) {
    const original = Buffer.from(raw.data.subarray(0, limits.record_bytes)).toString('base64');
    return [JSON.stringify({ ...of, id: id(0), index: 0, original, encoding: 'base64' })];
  }
  return message.texts.map((text, index) => {
    const bytes = message.undecodable.get(index);
    return JSON.stringify({
      ...of,
      id: id(index),
      index,
      original: bytes ?? text,
      encoding: bytes === undefined ? 'utf8' : 'base64',
      record_id: message.fallbackIds[index] || null,
    });
  });
}
