/**
 * The streams: those that users declare, checked, prepared in the store, and written down in the `_streams` stream; and
 * those of the systems that ship with Tallybook, which are there at every start and are written down only when users
 * have added something to them. Changes are made one after the other.
 */
import { builtInStreams, streamsStream } from './built-in-streams.ts';
import type { StreamDeclaration } from './declaration.ts';
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import { Lock } from './lock.ts';
import { bookDelivery, standingInBook, valuesByName } from './own-books.ts';
import { adopted, withShipped } from './shipped-streams.ts';
import type { Delivery, Store, StreamState } from './store.ts';
import { checkEvolution, defineStream, type Stream } from './stream.ts';
import type { Receipt } from './verdicts.ts';

export interface StreamsLedger {
  store: Store;
  write(delivery: Delivery): Promise<Receipt>;
  /** Told what the store says of the streams it prepared. */
  learn(states: Map<string, StreamState>): void;
  /** Told after every change. */
  onChange(): void;
}

export class Streams {
  readonly #ledger: StreamsLedger;
  /** Those of the systems, as they ship. */
  readonly #shipped: ReadonlyMap<string, Stream>;
  /** In which the systems keep their own books. */
  readonly #books: readonly Stream[];
  readonly #byName = new Map<string, Stream>();
  readonly #changes = new Lock();

  constructor(ledger: StreamsLedger, shipped: readonly Stream[], books: readonly Stream[]) {
    this.#ledger = ledger;
    this.#books = books;
    this.#shipped = new Map(shipped.map((stream) => [stream.name, stream]));
  }

  /** Prepares what was declared before, and what ships. Throws `stream_taken`. */
  async load(): Promise<void> {
    const { store, learn } = this.#ledger;
    await store.prepare([...builtInStreams, ...this.#books]);
    for (const entry of await standingInBook(store, streamsStream)) {
      const values = valuesByName(streamsStream, entry.values);
      const stream = defineStream(values.name!, JSON.parse(values.declaration!) as StreamDeclaration);
      this.#byName.set(stream.name, stream);
    }
    for (const [name, stream] of this.#shipped)
      this.#byName.set(name, adopted(this.#byName.get(name), stream));
    learn(await store.prepare(this.list()));
  }

  list(): Stream[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  find(name: string): Stream | undefined {
    return this.#byName.get(name);
  }

  /** Whether a system brought it. */
  isShipped(name: string): boolean {
    return this.#shipped.has(name);
  }

  /** Throws `unknown_stream`. Tallybook's own streams are not found here. */
  get(name: string): Stream {
    const stream = this.#byName.get(name);
    if (stream) return stream;
    const names = this.list().map((known) => known.name);
    const known =
      names.length === 0 ? 'none is declared yet' : `the streams are ${names.slice(0, 20).join(', ')}`;
    throw new TallybookError(
      'unknown_stream',
      `there is no stream ${name.slice(0, 100)}; ${known}; PUT /v1/streams/{stream} declares one`,
    );
  }

  /** Declares a stream, or changes one. Throws `bad_declaration` or `incompatible_declaration`. */
  put(
    name: string,
    declaration: StreamDeclaration,
  ): Promise<{ stream: Stream; created: boolean; changed: boolean }> {
    return this.#changes.run(() => this.#put(name, declaration));
  }

  async #put(name: string, declaration: StreamDeclaration) {
    const { store, write, learn, onChange } = this.#ledger;
    const before = this.#byName.get(name);
    const shipped = this.#shipped.get(name);
    const given = defineStream(name, declaration);
    const stream = shipped ? withShipped(given, shipped) : given;
    if (before && JSON.stringify(before.declaration) === JSON.stringify(stream.declaration)) {
      return { stream: before, created: false, changed: false };
    }
    if (before) checkEvolution(before, stream);
    else if (this.#byName.size >= limits.streams_max) {
      throw new TallybookError(
        'bad_declaration',
        `there are ${this.#byName.size} streams already, the most a ledger may have`,
      );
    }
    learn(await store.prepare([stream]));
    await write(
      bookDelivery(streamsStream, 'upsert', [JSON.stringify({ name, declaration: stream.declaration })]),
    );
    this.#byName.set(name, stream);
    onChange();
    return { stream, created: !before, changed: true };
  }
}
