/**
 * Copying a whole ledger from one store into another: entries with their seqs, parts with their batches and times, what
 * was sent again, and the sums of what retention has dropped. So every answer, `known_at` and the fate of an id
 * included, is the same afterwards. Rollups are not copied: the other store fills them from the entries, as it fills
 * every rollup that is new.
 *
 * A copy can be stopped at any point and goes on. The place that is filled says up to where it has come: parts are
 * numbered from 1 in the order of their commits, entries are kept in the order of their seqs, a block of them whole or
 * not at all. Until the end the place refuses to be opened as a ledger.
 */
import { builtInStreams } from './built-in-streams.ts';
import type { CopiesLedger, LedgerReader } from './copied-ledger.ts';
import type { Field } from './field-types.ts';
import { limits } from './limits.ts';
import { planQuestion } from './plan.ts';
import { checkQuestion } from './question.ts';
import type { Store, StreamState } from './store.ts';
import type { Stream } from './stream.ts';
import { Streams } from './streams.ts';

export interface Ledger {
  store: Store & CopiesLedger;
  /** All streams that it holds, prepared. */
  streams: Stream[];
  states: Map<string, StreamState>;
}

/** The streams of a ledger, without anything else that opening it would do. */
export async function ledgerOf(
  store: Store & CopiesLedger,
  shipped: readonly Stream[],
  books: readonly Stream[],
): Promise<Ledger> {
  const write = () => Promise.reject(new Error('a ledger that is copied is not written to'));
  const streams = new Streams(
    { store, write, learn: () => undefined, onChange: () => undefined },
    shipped,
    books,
  );
  await streams.load();
  const all = [...builtInStreams, ...books, ...streams.list()];
  return { store, streams: all, states: await store.prepare(all) };
}

export interface CopyProgress {
  /** Parts and entries. */
  done: number;
  of: number;
}

/** Copies a ledger into a store that was opened to be filled. Returns whether there was anything left to do. */
export async function copyLedger(
  from: Ledger,
  to: Store & CopiesLedger,
  onProgress: (progress: CopyProgress) => void,
  signal?: AbortSignal,
): Promise<boolean> {
  const reader = await from.store.reader();
  const filler = await to.filler();
  const mark = await reader.mark();
  const begun = await filler.begin(mark);
  if (begun.finished) return false;
  const tallies = await Promise.all(from.streams.map((stream) => reader.tally(stream)));
  const progress = { done: 0, of: tallies.reduce((sum, { entries }) => sum + entries, mark.parts) };
  const advance = (rows: number): void => {
    progress.done += rows;
    onProgress(progress);
    signal?.throwIfAborted();
  };

  // Without rollups at first: those that a store has not seen yet it fills from what it holds.
  await to.prepare(from.streams.map((stream) => ({ ...stream, rollups: [] })));
  const numbers = new PartNumbers(mark.parts);
  for await (const parts of reader.parts()) {
    const first = numbers.count;
    const renumbered = parts.map((part) => ({ ...part, number: numbers.add(part.number) }));
    const missing = renumbered.slice(Math.max(0, begun.parts - first));
    if (missing.length > 0) await filler.addParts(missing);
    advance(parts.length);
  }
  numbers.sort();
  for (const [i, stream] of from.streams.entries()) {
    const after = await filler.lastSeq(stream);
    let left = tallies[i]!.entries;
    for await (const { to: upTo, entries, repeats } of reader.blocks(stream, after)) {
      await filler.addBlock(stream, {
        to: upTo,
        entries: entries.map((entry) => ({ ...entry, part: numbers.of(entry.part) })),
        repeats: repeats.map(({ seq, part }) => ({ seq, part: numbers.of(part) })),
      });
      left -= entries.length;
      advance(entries.length);
    }
    // Those that an earlier run has copied.
    advance(left);
  }

  const states = await to.prepare(from.streams);
  for (const stream of from.streams) {
    const state = from.states.get(stream.name)!;
    const { droppedBefore } = state;
    if (droppedBefore === undefined || states.get(stream.name)!.droppedBefore === droppedBefore) continue;
    const lastSeq = await reader.lastSeq(stream);
    await filler.setDropped(stream, { ...state, droppedBefore, lastSeq }, droppedSumsOf(reader, stream));
    signal?.throwIfAborted();
  }
  await filler.finish();
  return true;
}

async function* droppedSumsOf(reader: LedgerReader, stream: Stream) {
  for (const rollup of stream.rollups)
    for await (const rows of reader.droppedSums(stream, rollup)) yield { rollup, rows };
}

/**
 * The numbers that parts get in a copy: 1, 2, 3 in the order of their commits. A ledger of small batches has millions,
 * so they are columns.
 */
class PartNumbers {
  readonly #originals: BigInt64Array;
  readonly #places: BigInt64Array;
  count = 0;

  constructor(parts: number) {
    this.#originals = new BigInt64Array(parts);
    this.#places = new BigInt64Array(parts);
  }

  add(original: bigint): bigint {
    this.#originals[this.count] = original;
    this.count += 1;
    return BigInt(this.count);
  }

  /** Once all are there. */
  sort(): void {
    const isSorted = this.#originals.every((number, i) => i === 0 || this.#originals[i - 1]! < number);
    const order = Uint32Array.from(this.#originals, (_, i) => i);
    if (!isSorted) order.sort((a, b) => (this.#originals[a]! < this.#originals[b]! ? -1 : 1));
    this.#places.set(BigInt64Array.from(order, (at) => BigInt(at) + 1n));
    if (!isSorted) this.#originals.sort();
  }

  of(original: bigint): bigint {
    let [low, high] = [0, this.#originals.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#originals[middle]! < original) low = middle + 1;
      else high = middle;
    }
    if (this.#originals[low] !== original) throw new Error(`no commit tells of part ${original}`);
    return this.#places[low]!;
  }
}

/** What two ledgers hold of a stream, each as [original, copy]. */
export interface Comparison {
  stream: string;
  records: [string, string];
  entries: [number, number];
  repeats: [number, number];
  /** How many sums were compared, and the fields of which they differ. */
  sums: number;
  differing: string[];
  same: boolean;
}

/** Counts and sums of two ledgers, stream by stream, of the streams of the first one. */
export async function compareLedgers(from: Ledger, to: Ledger): Promise<Comparison[]> {
  const [original, copy] = [await from.store.reader(), await to.store.reader()];
  const comparisons: Comparison[] = [];
  for (const stream of from.streams) {
    const [a, b] = [await original.tally(stream), await copy.tally(stream)];
    const numeric = stream.fields.filter(({ type }) => type === 'integer' || type === 'decimal');
    const [x, y] = [await sumsOf(from, stream, numeric), await sumsOf(to, stream, numeric)];
    const differing = numeric.map(({ name }) => name).filter((name) => x.get(name) !== y.get(name));
    const records: [string, string] = [x.get('')!, y.get('')!];
    comparisons.push({
      stream: stream.name,
      records,
      entries: [a.entries, b.entries],
      repeats: [a.repeats, b.repeats],
      sums: numeric.length,
      differing,
      same:
        differing.length === 0 &&
        records[0] === records[1] &&
        a.entries === b.entries &&
        a.takenBack === b.takenBack &&
        a.repeats === b.repeats &&
        a.lastSeq === b.lastSeq,
    });
  }
  return comparisons;
}

/** The sum of every field over the records that stand, and under '' how many there are. */
async function sumsOf(ledger: Ledger, stream: Stream, fields: Field[]): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  const atOnce = limits.question_measures - 1;
  for (let at = 0; at === 0 || at < fields.length; at += atOnce) {
    const some = fields.slice(at, at + atOnce);
    const measures = ['count', ...some.map(({ name }) => `sum(${name})`)];
    const plan = planQuestion(stream, checkQuestion(stream, { measures }), ledger.states.get(stream.name)!);
    const [row] = (await ledger.store.ask({ ...plan, rollup: undefined, pieces: [] })).rows;
    for (const [i, name] of ['', ...some.map((field) => field.name)].entries())
      sums.set(name, String(row![i]));
  }
  return sums;
}
