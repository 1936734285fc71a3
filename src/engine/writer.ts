/**
 * Group commit without a timer.
 *
 * While one commit runs, what arrives waits; then all that waits is the next batch. There is no clock and
 * nothing to tune: under light load a record is committed at once, under heavy load the batches grow until the
 * store keeps up. What waits is bounded; when the room is full, a delivery is refused before anything of it is
 * taken in, and the sender is told when to come again.
 *
 * A delivery with a file, or one that undoes an import, does not wait here: it travels alone, beside the batches.
 */
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import type { RecordCheck } from './record-check.ts';
import type { Delivery, Store, TextDelivery, Texts } from './store.ts';
import { countOfVerdict, noCounts, type Receipt, type VerdictCounts } from './verdicts.ts';

/** One commit, for whoever counts them. */
export interface BatchEvent {
  deliveries: number;
  records: number;
  seconds: number;
  /** By name of the stream. */
  counts: Map<string, VerdictCounts>;
}

interface Waiting {
  /** Of one commit: nearly always one. */
  deliveries: TextDelivery[];
  records: number;
  bytes: number;
  resolve(receipts: Receipt[]): void;
  reject(error: unknown): void;
}

/** Errors that would meet every delivery alike: trying one by one would not help. */
const storageWide = new Set([
  'storage_full',
  'store_failed',
  'database_unavailable',
  'overloaded',
  'closing',
  'directory_in_use',
  'directory_unusable',
]);

/** Batches of so many records are committed at the pace of larger ones. */
const pacingRecords = 1_000;

export class Writer {
  readonly #store: Store;
  readonly #onBatch: (event: BatchEvent) => void;
  readonly #checkOf: (stream: string) => RecordCheck | undefined;
  #waiting: Waiting[] = [];
  /** What is taken in and not committed yet, the running batch included. */
  #records = 0;
  #bytes = 0;
  #deliveries = 0;
  #running = false;
  #closing = false;
  /** Deliveries that travel alone. */
  readonly #alone = new Set<Promise<Receipt>>();
  #aloneRunning = 0;
  readonly #aloneWaiting: (() => void)[] = [];
  #foundNoRoom = false;
  #drained: (() => void)[] = [];
  /** Records a second, of the recent commits; undefined before the first. */
  #rate: number | undefined;
  /** The same of large batches alone: what can be committed when much waits. */
  #pace: number | undefined;

  /** @param checkOf what the records of a stream are held against, when they are published */
  constructor(
    store: Store,
    onBatch: (event: BatchEvent) => void,
    checkOf: (stream: string) => RecordCheck | undefined = () => undefined,
  ) {
    this.#store = store;
    this.#checkOf = checkOf;
    this.#onBatch = onBatch;
  }

  /** What is taken in and not committed yet. */
  get depth(): { deliveries: number; records: number; bytes: number } {
    return { deliveries: this.#deliveries, records: this.#records, bytes: this.#bytes };
  }

  /** What may wait at most; of records fewer where commits are slow. */
  get room(): { deliveries: number; records: number; bytes: number } {
    return {
      deliveries: limits.waiting_deliveries,
      records: Math.floor(this.#roomForRecords),
      bytes: limits.waiting_bytes,
    };
  }

  /** Whether there was no room on the disk for what was to be published last. */
  get foundNoRoom(): boolean {
    return this.#foundNoRoom;
  }

  /** Throws `closing` or `overloaded` when nothing more is taken in now: a door asks before it reads a body. */
  refuseWhenFull(): void {
    if (this.#closing) throw closingError();
    if (
      this.#deliveries >= limits.waiting_deliveries ||
      this.#records >= this.#roomForRecords ||
      this.#bytes >= limits.waiting_bytes
    ) {
      throw this.#overloaded();
    }
  }

  /** Publishes a delivery and returns its receipt, after the commit. */
  submit(delivery: Delivery): Promise<Receipt> {
    const { content } = delivery;
    if (content.kind !== 'texts') return this.#publishAlone(delivery);
    return this.submitTogether([{ ...delivery, content }]).then((receipts) => receipts[0]!);
  }

  /** Publishes deliveries in one commit: all of them or none. The receipts come in the same order. */
  submitTogether(deliveries: TextDelivery[]): Promise<Receipt[]> {
    if (this.#closing) return Promise.reject(closingError());
    const records = deliveries.reduce((sum, { content }) => sum + content.texts.length, 0);
    const bytes = deliveries.reduce((sum, { content }) => sum + bytesOf(content), 0);
    // An empty room takes a delivery of any size: refusing it would never end.
    if (
      this.#deliveries > 0 &&
      (this.#deliveries + deliveries.length > limits.waiting_deliveries ||
        this.#records + records > this.#roomForRecords ||
        this.#bytes + bytes > limits.waiting_bytes)
    ) {
      return Promise.reject(this.#overloaded());
    }
    this.#deliveries += deliveries.length;
    this.#records += records;
    this.#bytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ deliveries, records, bytes, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      // Not at once: what has arrived on other connections in the same turn of the loop joins.
      setImmediate(() => void this.#run());
    });
  }

  /** Takes in nothing more, and resolves when all that was taken in is committed. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#running) await new Promise<void>((resolve) => this.#drained.push(resolve));
    await Promise.allSettled(this.#alone);
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      const others = this.#waiting.length;
      const started = performance.now();
      await this.#publish(group);
      const seconds = (performance.now() - started) / 1000;
      const records = group.reduce((sum, waiting) => sum + waiting.records, 0);
      const rate = records / Math.max(seconds, 0.0001);
      this.#rate = smoothed(this.#rate, rate);
      if (records >= pacingRecords) this.#pace = smoothed(this.#pace, rate);
      await this.#gather(group.length + others, seconds);
    }
    this.#running = false;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  /**
   * Lets those who were just answered come back before the next commit starts: else clients that wait for each answer
   * fall into two halves that take turns, and wait for two commits each. Bounded by a fifth of the last commit.
   */
  async #gather(expected: number, commitSeconds: number): Promise<void> {
    if (expected < 2) return;
    const end = performance.now() + commitSeconds * 200;
    while (this.#waiting.length < expected && performance.now() < end) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #takeGroup(): Waiting[] {
    let records = 0;
    let bytes = 0;
    let taken = 0;
    for (const waiting of this.#waiting) {
      records += waiting.records;
      bytes += waiting.bytes;
      if (taken > 0 && (records > limits.batch_records || bytes > limits.batch_bytes)) break;
      taken += 1;
    }
    if (taken === this.#waiting.length) {
      const all = this.#waiting;
      this.#waiting = [];
      return all;
    }
    return this.#waiting.splice(0, taken);
  }

  async #publish(group: Waiting[]): Promise<void> {
    const started = performance.now();
    const deliveries = group.flatMap((waiting) => waiting.deliveries);
    let receipts: Receipt[];
    try {
      receipts = await this.#storePublishes(deliveries);
    } catch (error) {
      if (group.length === 1 || (error instanceof TallybookError && storageWide.has(error.code))) {
        for (const waiting of group) {
          this.#leave(waiting);
          waiting.reject(error);
        }
        return;
      }
      // One delivery spoiled the batch: nothing of it was kept. The others must not suffer.
      for (const waiting of group) await this.#publish([waiting]);
      return;
    }
    let told = 0;
    for (const waiting of group) {
      this.#leave(waiting);
      const next = told + waiting.deliveries.length;
      waiting.resolve(receipts.slice(told, next));
      told = next;
    }
    this.#report(deliveries, receipts, started);
  }

  async #storePublishes(deliveries: readonly Delivery[]): Promise<Receipt[]> {
    try {
      const receipts = await this.#store.publish(deliveries.map((delivery) => this.#withCheck(delivery)));
      this.#foundNoRoom = false;
      return receipts;
    } catch (error) {
      if (error instanceof TallybookError && error.code === 'storage_full') this.#foundNoRoom = true;
      throw error;
    }
  }

  #withCheck(delivery: Delivery): Delivery {
    const check = this.#checkOf(delivery.stream.name);
    return check ? { check, ...delivery } : delivery;
  }

  #leave({ deliveries, records, bytes }: Waiting): void {
    this.#deliveries -= deliveries.length;
    this.#records -= records;
    this.#bytes -= bytes;
  }

  /** Of these a few run at the same time, the others wait in order of arrival. */
  async #publishAlone(delivery: Delivery): Promise<Receipt> {
    if (this.#closing) throw closingError();
    if (this.#alone.size >= limits.files_at_once + limits.files_waiting) {
      const detail = `${this.#alone.size} files wait to be published; nothing of this one was kept: send it again in a minute`;
      throw new TallybookError('overloaded', detail, { retryAfter: 60 });
    }
    const published = this.#publishInTurn(delivery);
    this.#alone.add(published);
    try {
      return await published;
    } finally {
      this.#alone.delete(published);
    }
  }

  async #publishInTurn(delivery: Delivery): Promise<Receipt> {
    if (this.#aloneRunning < limits.files_at_once) this.#aloneRunning += 1;
    else await new Promise<void>((resolve) => this.#aloneWaiting.push(resolve));
    try {
      const started = performance.now();
      const receipts = await this.#storePublishes([delivery]);
      this.#report([delivery], receipts, started);
      return receipts[0]!;
    } finally {
      // The place goes to the next one, or is free.
      const next = this.#aloneWaiting.shift();
      if (next) next();
      else this.#aloneRunning -= 1;
    }
  }

  #report(deliveries: Delivery[], receipts: Receipt[], started: number): void {
    const counts = new Map<string, VerdictCounts>();
    let records = 0;
    for (let i = 0; i < receipts.length; i++) {
      const receipt = receipts[i]!;
      const name = deliveries[i]!.stream.name;
      let ofStream = counts.get(name);
      if (!ofStream) {
        ofStream = noCounts();
        counts.set(name, ofStream);
      }
      records += receipt.received;
      for (const count of countNames) ofStream[count] += receipt[count];
    }
    const seconds = (performance.now() - started) / 1000;
    this.#onBatch({ deliveries: deliveries.length, records, seconds, counts });
  }

  /** However fast it is, senders must not wait for long: they are told to come again instead. */
  get #roomForRecords(): number {
    if (this.#pace === undefined) return limits.waiting_records;
    const inTime = Math.max(limits.batch_records, this.#pace * limits.waiting_seconds);
    return Math.min(limits.waiting_records, inTime);
  }

  #overloaded(): TallybookError {
    const rate = this.#pace ?? this.#rate ?? limits.waiting_records;
    const retryAfter = Math.min(60, Math.max(1, Math.ceil(this.#records / rate)));
    const { deliveries, records, bytes } = this.depth;
    return new TallybookError(
      'overloaded',
      `${records} records in ${deliveries} deliveries (${bytes} bytes) wait to be committed; nothing of this request was taken in: send it again in ${retryAfter} seconds`,
      { retryAfter },
    );
  }
}

const countNames = Object.values(countOfVerdict);

function closingError(): TallybookError {
  return new TallybookError(
    'closing',
    'the server is stopping and takes in nothing more; send it again in a moment',
    {
      retryAfter: 5,
    },
  );
}

function bytesOf(content: Texts): number {
  let bytes = 0;
  for (const text of content.texts) bytes += text.length;
  for (const original of content.undecodable?.values() ?? []) bytes += original.length;
  return bytes;
}

function smoothed(before: number | undefined, now: number): number {
  return before === undefined ? now : 0.8 * before + 0.2 * now;
}
