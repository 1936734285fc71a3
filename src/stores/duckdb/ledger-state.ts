/**
 * What the store keeps in memory beside the database: counters, and the filters of known ids. All of it is read
 * back at the start; nothing here is the only place where something stands.
 */
import { rejectsStream } from '../../engine/built-in-streams.ts';
import { formatTimestamp, type Micros } from '../../engine/calendar.ts';
import { formOf } from '../../engine/forms.ts';
import type { AsOf, Delivery } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import type { IdFilter, SeqRange } from './id-filter.ts';
import type { LookupFilter } from './lookup-filter.ts';

export interface StreamBooks {
  stream: Stream;
  nextSeq: bigint;
  filter: IdFilter;
  /** Whether the ledger holds entries of sign -1: without any, questions need not look at signs. */
  hasReversals: boolean;
  /** By the name of a field by which records are looked for. */
  lookups: Map<string, LookupFilter>;
  droppedBefore: Micros | undefined;
}

export interface BatchStamp {
  batch: number;
  recordedAt: Micros;
  /** It was checked and acknowledged before, and only comes into the database now (see intake.ts). */
  journaled: boolean;
  /** Gathers the parts that the batch has written. */
  parts: { stream: Stream; part: number }[];
  /** Gathers the rejects that it has written. */
  rejects: SeqRange[];
}

export class LedgerState {
  readonly streams = new Map<string, StreamBooks>();
  #nextBatch: number;
  #nextPart: number;
  #lastInstant: Micros;
  readonly #clock: () => Micros;
  /** The last commit; undefined where it is not known. */
  #last: AsOf | undefined;
  #committing = 0;
  /** Parts that were committed while some file is being published: what it has not seen. */
  readonly #watchers = new Set<Map<string, number[]>>();

  /**
   * @param lastBatch the highest number, as `lastPart` and `lastInstant`, also of what is in the journal alone
   * @param last the last commit
   */
  constructor(lastBatch: number, lastPart: number, lastInstant: Micros, last: AsOf, clock: () => Micros) {
    this.#last = last;
    this.#nextBatch = lastBatch + 1;
    this.#nextPart = lastPart + 1;
    this.#lastInstant = lastInstant;
    this.#clock = clock;
  }

  now(): Micros {
    return this.#clock();
  }

  /** Numbers that a commit does not use in the end are lost, which does no harm. */
  reserveBatch(): number {
    return this.#nextBatch++;
  }

  reservePart(): number {
    return this.#nextPart++;
  }

  /** The time of a commit: later than that of every commit before, whatever the clock does. */
  nextInstant(): Micros {
    const now = this.#clock();
    this.#lastInstant = now > this.#lastInstant ? now : this.#lastInstant + 1n;
    return this.#lastInstant;
  }

  reserveSeqs(stream: Stream, count: bigint): bigint {
    const books = this.books(stream);
    const first = books.nextSeq;
    books.nextSeq += count;
    return first;
  }

  books(stream: Stream): StreamBooks {
    const books = this.streams.get(stream.name);
    if (!books) throw new Error(`stream ${stream.name} is not prepared`);
    return books;
  }

  /**
   * The delivery to its stream as it is by now: that may have got fields and rollups while the delivery waited. To be
   * called where it cannot change any more.
   */
  upToDate<T extends Delivery>(delivery: T): T {
    const { stream } = this.books(delivery.stream);
    if (stream === delivery.stream) return delivery;
    return { ...delivery, stream, form: delivery.form && formOf(stream, delivery.form) };
  }

  /** Runs the commit of batches: until it is done, nobody can tell whether a statement sees them. */
  async commit(
    batches: readonly Pick<BatchStamp, 'batch' | 'recordedAt'>[],
    commit: () => Promise<void>,
  ): Promise<void> {
    this.#committing++;
    try {
      await commit();
      const { batch, recordedAt } = batches.reduce((a, b) => (b.recordedAt > a.recordedAt ? b : a));
      this.#last = { batch, recorded_at: formatTimestamp(recordedAt) };
    } catch (error) {
      // A disk that fails may have it all the same.
      this.#last = undefined;
      throw error;
    } finally {
      this.#committing--;
    }
  }

  /** Runs what takes records out of the ledger: what is read before and after it does not belong together. */
  async drop<T>(work: () => Promise<T>): Promise<T> {
    this.#committing++;
    try {
      return await work();
    } finally {
      this.#committing--;
      this.#last &&= { ...this.#last };
    }
  }

  /** The last commit, the same object until there is another one. Undefined while one is under way, or where it is not known. */
  get last(): AsOf | undefined {
    return this.#committing > 0 ? undefined : this.#last;
  }

  /** Until the next commit: the ledger is filled by other means. */
  forgetLast(): void {
    this.#last = undefined;
  }

  /** Lists, by stream, the parts that are committed from now on, until the watch ends. */
  watch(): { parts: Map<string, number[]>; end: () => void } {
    const parts = new Map<string, number[]>();
    this.#watchers.add(parts);
    return { parts, end: () => this.#watchers.delete(parts) };
  }

  /**
   * To be called when a batch is committed, and not before: what is read of it in the background (see IdFilter.cover)
   * must be there.
   */
  committed({ parts, rejects }: BatchStamp): void {
    const { filter } = this.books(rejectsStream);
    for (const range of rejects) filter.leaveUncovered(range);
    for (const watcher of this.#watchers) {
      for (const { stream, part } of parts) {
        const known = watcher.get(stream.name);
        if (known) known.push(part);
        else watcher.set(stream.name, [part]);
      }
    }
  }
}
