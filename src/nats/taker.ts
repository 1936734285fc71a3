/**
 * From the log to the ledger: in the order of the log, every message once.
 *
 * JetStream gives a message again when it was not acknowledged in time: after a crash between commit and
 * acknowledgement, or when an acknowledgement got lost. Ids alone would not make that harmless: a correction that comes
 * again after a later one would undo it, and a reject would be listed twice. So each commit writes down, with the
 * records, up to which message it takes the log in (`_log_marks`). What comes again from before the mark is
 * acknowledged, and nothing else.
 *
 * That needs the order of the log. One node takes at a time (turn.ts). JetStream does not keep the order: what it has
 * given to a node that died, or over a connection that broke, comes again only after a while, and later messages come
 * before it. So a node looks at the numbers of what is given to it, and what is missing it reads from the log itself.
 *
 * While one commit runs, what arrives waits; then all of it is the next one, as in the writer. A message that cannot be
 * committed by itself, again and again, goes to the rejects, and the others go on. What concerns all of them (a full
 * disk, a store that is away) is waited for.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsumerMessages, JsMsg, StoredMsg, StreamState } from '@nats-io/jetstream';
import { logMarksStream, rejectsStream } from '../engine/built-in-streams.ts';
import { formatTimestamp, nowMicros } from '../engine/calendar.ts';
import { Doorbell } from '../engine/doorbell.ts';
import { TallybookError } from '../engine/errors.ts';
import { findForm } from '../engine/forms.ts';
import { limits } from '../engine/limits.ts';
import { deliveryNamed } from '../engine/named-delivery.ts';
import { bookDelivery } from '../engine/own-books.ts';
import type { TextDelivery } from '../engine/store.ts';
import type { Tallybook } from '../engine/tallybook.ts';
import type { LogAddress } from './address.ts';
import { groupLength } from './group.ts';
import {
  acknowledgeMilliseconds,
  durable,
  findConsumer,
  findLog,
  identityOf,
  type JetStream,
  storedMessage,
} from './jetstream.ts';
import { decodeMessage, type Message } from './message.ts';
import type { Turn } from './turn.ts';

const againMilliseconds = 500;
const stalledMilliseconds = 3_000;

interface Arrived {
  /** To be acknowledged; none of what was read from the log itself, which is acknowledged when it comes again. */
  given: JsMsg | undefined;
  seq: number;
  subject: string;
  data: Uint8Array;
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
  /** The first message of the log, and since when it has been that. */
  #left = { first: 0, at: 0 };

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

  /**
   * Told of the log now and then. Where messages wait and none comes, taking begins again. What is committed and still
   * there after its time has come again and again, because servers that changed their leader have forgotten that it was
   * acknowledged: it is removed.
   */
  async sees({ messages, first_seq, last_seq }: StreamState): Promise<void> {
    const session = this.#session;
    if (!session || messages === 0) return;
    if (session.isStalledBefore(last_seq)) session.end();
    const { mark } = session;
    if (first_seq > mark || first_seq !== this.#left.first)
      this.#left = { first: first_seq, at: performance.now() };
    else if (performance.now() - this.#left.at > 1.5 * acknowledgeMilliseconds)
      await this.#jetStream.managing.streams.purge(this.#address.name, { seq: mark + 1 });
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
    const { delivered } = await findConsumer(this.#jetStream, name);
    const consumer = await publishing.consumers.get(name, durable);
    const messages = await consumer.consume({
      max_bytes: limits.log_taking_bytes / 2,
      abort_on_missing_resource: true,
    });
    const stored = (from: number) => storedMessage(this.#jetStream, name, from);
    const of = { tallybook: this.#tallybook, messages, stored, log: identity, turn: this.#turn };
    const session = new Session(of, mark, delivered.stream_seq);
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

interface SessionOptions {
  tallybook: Tallybook;
  messages: ConsumerMessages;
  stored(from: number): Promise<StoredMsg | null>;
  /** Its identity. */
  log: string;
  turn: TakerOptions['turn'];
}

/** From one beginning until the consumer breaks, or all is to end. */
class Session {
  readonly #tallybook: Tallybook;
  readonly #messages: ConsumerMessages;
  readonly #stored: SessionOptions['stored'];
  readonly #log: string;
  readonly #turn: TakerOptions['turn'];
  /** What was given before, to somebody who may not have committed it. */
  readonly #givenBefore: number;
  readonly #arrival = new Doorbell();
  readonly #room = new Doorbell();
  #mark: number;
  /** Arrived and not committed, in the order of the log; those of the commit that runs come first. */
  #waiting: Arrived[] = [];
  #bytes = 0;
  #ended = false;
  /** Tells JetStream that what waits is not forgotten. */
  #patience: NodeJS.Timeout | undefined;
  /** When something last arrived or was committed. */
  #movedAt = performance.now();

  constructor({ tallybook, messages, stored, log, turn }: SessionOptions, mark: number, givenBefore: number) {
    this.#tallybook = tallybook;
    this.#messages = messages;
    this.#stored = stored;
    this.#log = log;
    this.#turn = turn;
    this.#mark = mark;
    this.#givenBefore = givenBefore;
  }

  /** Up to which message the log is committed. */
  get mark(): number {
    return this.#mark;
  }

  /** All that came is committed, there is more, and for a while nothing has come. */
  isStalledBefore(last: number): boolean {
    const still = this.#waiting.length === 0 && performance.now() - this.#movedAt > stalledMilliseconds;
    return still && this.#mark < last;
  }

  end(): void {
    this.#ended = true;
    clearInterval(this.#patience);
    this.#messages.stop();
    this.#arrival.ring();
    this.#room.ring();
  }

  async run(): Promise<void> {
    this.#patience = setInterval(() => {
      for (const { given } of this.#waiting) given?.working();
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
      this.end();
      await receiving;
    }
    if (trouble !== undefined) throw trouble;
  }

  async #receive(): Promise<void> {
    let last = await this.#readFrom(this.#mark + 1, this.#givenBefore);
    for await (const given of this.#messages) {
      if (this.#ended) return;
      const { seq } = given;
      if (seq <= last) {
        this.#comesAgain(given);
        continue;
      }
      await this.#readFrom(last + 1, seq - 1);
      last = seq;
      await this.#arrive(arrivedOf(given, given));
    }
  }

  /** What the log holds between two numbers, both inclusive. Returns up to where that is all. */
  async #readFrom(first: number, last: number): Promise<number> {
    for (let next = first; next <= last && !this.#ended; ) {
      const stored = await this.#stored(next);
      if (!stored || stored.seq > last) break;
      await this.#arrive(arrivedOf(stored, undefined));
      next = stored.seq + 1;
    }
    return Math.max(first - 1, last);
  }

  /** Its acknowledgement got lost, or it was read from the log meanwhile, or its commit takes long. */
  #comesAgain(given: JsMsg): void {
    this.#tallybook.events.emit('taken', { ...nothing, redelivered: 1 });
    const waiting = this.#waiting.find(({ seq }) => seq === given.seq);
    if (waiting) waiting.given = given;
    else if (given.seq <= this.#mark) given.ack();
  }

  async #arrive(arrived: Arrived): Promise<void> {
    this.#movedAt = performance.now();
    this.#waiting.push(arrived);
    this.#bytes += arrived.bytes;
    this.#arrival.ring();
    while (this.#bytes > limits.log_taking_bytes / 2 && !this.#ended) await this.#room.answered();
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
      this.#movedAt = performance.now();
      for (const { given, bytes } of group) {
        given?.ack();
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
      // By a node that took the turn, or by this one, whose commit was not answered. Taking begins again, at the mark.
      if (isSuperseded(error)) return this.end();
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
        if (isSuperseded(again)) return this.end();
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
    const deliveries: TextDelivery[] = [];
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
    const text = markText(this.#log, { after: this.#mark, sequence: mark, messages: all.length });
    deliveries.push({ ...textsForBook(logMarksStream, [text]), mustBeNew: true });
    await this.#tallybook.writer.submitTogether(deliveries);
    this.#mark = mark;
    const event = { ...nothing, committed: all.length - letters.length, dead: letters.length };
    this.#tallybook.events.emit('taken', event);
  }

  /** As it came through the door, or why it cannot be made of the message. */
  #deliveryOf({ message, fault }: Arrived): TextDelivery | string {
    if (!message) return fault;
    const stream = this.#tallybook.streams.find(message.stream);
    if (!stream) return `there is no stream ${message.stream}; declare it, and replay this`;
    let form: TextDelivery['form'];
    try {
      form = message.form === null ? undefined : findForm(stream, message.form);
    } catch (error) {
      return (error as Error).message;
    }
    const delivery = deliveryNamed(message, stream, form);
    if (message.undecodable.size > 0) delivery.content.undecodable = message.undecodable;
    return delivery;
  }
}

const isSuperseded = (error: unknown): boolean =>
  error instanceof TallybookError && error.code === 'superseded';

/** Trouble of the ledger, not of a message: trying others would not help. */
function concernsAll(error: unknown): boolean {
  return error instanceof TallybookError && ['overloaded', 'storage_full'].includes(error.kind);
}

function arrivedOf({ seq, subject, data }: JsMsg | StoredMsg, given: JsMsg | undefined): Arrived {
  const of = { given, seq, subject, data, bytes: data.length };
  try {
    const message = decodeMessage(data);
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

function textsForBook(book: typeof logMarksStream, texts: string[]): TextDelivery {
  return bookDelivery(book, 'insert', texts) as TextDelivery;
}

/**
 * The id says which mark it follows: so of several nodes that go on from the same one, the first to commit does, however
 * long another has stood still.
 */
function markText(log: string, mark: { after: number; sequence: number; messages: number }): string {
  const at = formatTimestamp(nowMicros());
  const { after, sequence, messages } = mark;
  return JSON.stringify({ id: `${log} after ${after}`, at, log, sequence, messages });
}

/** One for each record of the message, with its bytes; of what is no message, one with all of them. */
function rejectsOf(log: string, { seq, subject, data, message }: Arrived, why: string): string[] {
  const of = {
    at: formatTimestamp(nowMicros()),
    stream: message?.stream ?? subject.slice(subject.indexOf('.') + 1),
    source: message?.source ?? '_tallybook',
    mode: message?.mode ?? 'insert',
    form: message?.form ?? null,
    code: 'not_committed',
    message: `message ${seq} of the log could not be committed: ${why}`,
  };
  const id = (index: number) => `log:${log}:${seq}:${index}`;
  if (!message) {
    const original = Buffer.from(data.subarray(0, limits.record_bytes)).toString('base64');
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
