/**
 * Reference data in memory: all records that stand in a small stream (subscriptions, spaces, assignments), for those who
 * need them with every answer. They are read from the ledger when they are first needed, and again when a commit has
 * changed them since: nobody sees a state that the ledger has left behind. What was known at an earlier time is read
 * every time.
 */
import type { Micros } from './calendar.ts';
import { valuesByName } from './own-books.ts';
import { checkSelection } from './question.ts';
import type { Entry, Store } from './store.ts';
import type { Stream } from './stream.ts';
import type { BatchEvent } from './writer.ts';

/** A record by the names of its fields; canonical texts. */
export type ReferenceRecord = Readonly<Record<string, string | null>>;
/** By id, in order of arrival. The same object for as long as nothing has changed. */
export type ReferenceRecords = ReadonlyMap<string, ReferenceRecord>;

/** Read at once. */
const entriesAtOnce = 100_000;

interface Held {
  /** How many commits had changed the stream when this was read. */
  changes: number;
  records: Promise<ReferenceRecords>;
}

export class ReferenceData {
  readonly #store: Store;
  readonly #stream: (name: string) => Stream;
  readonly #changes = new Map<string, number>();
  readonly #held = new Map<string, Held>();

  constructor(store: Store, stream: (name: string) => Stream) {
    this.#store = store;
    this.#stream = stream;
  }

  /** Something was committed. Called before those who sent it are answered. */
  committed({ counts }: BatchEvent): void {
    for (const [name, { accepted, corrected, retracted }] of counts) {
      if (accepted + corrected + retracted > 0) this.#changes.set(name, this.#changesOf(name) + 1);
    }
  }

  /** The records of a stream that stand, now or as of a time. */
  standing(name: string, knownAt?: Micros): Promise<ReferenceRecords> {
    if (knownAt !== undefined) return this.#read(name, knownAt);
    const changes = this.#changesOf(name);
    const held = this.#held.get(name);
    if (held?.changes === changes) return held.records;
    const records = this.#read(name, undefined);
    this.#held.set(name, { changes, records });
    records.catch(() => this.#held.delete(name));
    return records;
  }

  #changesOf(name: string): number {
    return this.#changes.get(name) ?? 0;
  }

  async #read(name: string, knownAt: Micros | undefined): Promise<ReferenceRecords> {
    const stream = this.#stream(name);
    const request = { ...checkSelection(stream, {}), knownAt, stream, standing: true, newestFirst: false };
    const records = new Map<string, ReferenceRecord>();
    let page: Entry[] = [];
    do {
      page = await this.#store.entries({ ...request, after: page.at(-1)?.seq, limit: entriesAtOnce });
      for (const { id, values } of page) records.set(id, valuesByName(stream, values));
    } while (page.length === entriesAtOnce);
    return records;
  }
}
