/**
 * Where does a value stand? A stream may name fields by which single records are looked for, such as the session of an
 * event. A scan of such a column costs 40 ms for 10 million entries; so filters in memory (see id-filter.ts) tell in which
 * runs of a million entries a value may stand, and only those are read.
 *
 * They are filled in the background, a whole run at a time; what lies behind the last run is always read. So a filter
 * says 'perhaps there' for a run that does not hold the value, and never the other way round.
 */

import type { Field } from '../../engine/field-types.ts';
import type { Condition } from '../../engine/question.ts';
import type { Stream } from '../../engine/stream.ts';
import { comparedType } from './conditions.ts';
import type { Connection } from './connection.ts';
import { addHash, holdsHash, newSegment, type Segment, type SeqRange, wordsOf } from './id-filter.ts';
import { entriesOf, quote } from './names.ts';

/** A million entries, of two seqs each. */
export const seqsPerRun = 1n << 21n;
/** Values of a condition that are looked for one by one. */
const valuesMost = 10;
const lastSeq = (1n << 63n) - 1n;

export class LookupFilter {
  #runs: Segment[] = [];
  #coveredTo = -1n;

  /** The next run that can be covered when all entries before `nextSeq` are committed; undefined: it is not full yet. */
  nextRun(nextSeq: bigint): SeqRange | undefined {
    const run = { from: this.#coveredTo + 1n, to: this.#coveredTo + seqsPerRun };
    return run.to < nextSeq ? run : undefined;
  }

  /** @param hashes of all values of the run, in pairs of 32-bit words (low, high) */
  add(run: SeqRange, hashes: Uint32Array): void {
    const segment = newSegment(run.from, hashes.length / 2);
    for (let i = 0; i < hashes.length; i += 2) addHash(segment, hashes[i]!, hashes[i + 1]!);
    segment.to = run.to;
    this.#runs.push(segment);
    this.#coveredTo = run.to;
  }

  /** Every entry before a seq has been dropped. */
  forgetBefore(seq: bigint): void {
    this.#runs = this.#runs.filter((run) => run.to >= seq);
  }

  /** Where any of some hashes may stand, in order. */
  find(hashes: readonly bigint[]): SeqRange[] {
    const found: SeqRange[] = [];
    for (const run of this.#runs) {
      if (!hashes.some((hash) => holdsHash(run, ...wordsOf(hash)))) continue;
      const last = found.at(-1);
      if (last && last.to + 1n === run.from) last.to = run.to;
      else found.push({ from: run.from, to: run.to });
    }
    return [...found, { from: this.#coveredTo + 1n, to: lastSeq }];
  }
}

/** Where the records that fit some conditions may stand; undefined: anywhere. */
export async function rangesOf(
  connection: Connection,
  lookups: ReadonlyMap<string, LookupFilter>,
  where: readonly Condition[],
): Promise<SeqRange[] | undefined> {
  for (const { dimension, operator, values } of where) {
    const filter = dimension.path.length === 0 ? lookups.get(dimension.field.name) : undefined;
    if (!filter || (operator !== 'eq' && operator !== 'in') || values.length > valuesMost) continue;
    const hashes = values.map((_, i) => `hash($${i + 1}::${comparedType(dimension)})`);
    if (hashes.length === 0) return [];
    const [row] = await connection.askOnce(`select ${hashes.join(', ')}`, values);
    return filter.find(row as bigint[]);
  }
  return undefined;
}

/** The entries of some ranges. One select for each: bounds that are joined by `or` do not help the scan. */
export function entriesWithin(stream: Stream, ranges: readonly SeqRange[] | undefined): string {
  const entries = entriesOf(stream);
  if (!ranges) return entries;
  const parts = ranges.map(({ from, to }) => `select * from ${entries} where _seq between ${from} and ${to}`);
  return `(${parts.length === 0 ? `select * from ${entries} where false` : parts.join(' union all ')})`;
}

/** The values of a field that stand in a run, as hashes. */
export async function readRun(
  connection: Connection,
  stream: Stream,
  column: string,
  { from, to }: SeqRange,
): Promise<Uint32Array> {
  const sql = `select distinct hash(${quote(column)}) from ${entriesOf(stream)} where _seq between ${from} and ${to}`;
  const chunks = await connection.chunks(sql);
  const hashes = new Uint32Array(2 * chunks.reduce((sum, chunk) => sum + chunk.rowCount, 0));
  let at = 0;
  for (const chunk of chunks) {
    const { items } = chunk.getColumnVector(0) as unknown as { items: BigUint64Array };
    hashes.set(new Uint32Array(items.buffer, items.byteOffset, items.length * 2), at);
    at += items.length * 2;
  }
  return hashes;
}

export function lookupsOf(fields: readonly Field[]): Map<string, LookupFilter> {
  return new Map(fields.map(({ name }) => [name, new LookupFilter()]));
}
