/**
 * Sums over many stretches of few keys each, such as of the sensors of every space since its own last reset: one statement
 * for each rollup, and one for the ledger, in which the stretches are joined to the rows between their times.
 */
import { formatBucket, type Micros } from '../../engine/calendar.ts';
import { type Piece, type Plan, sourcesOf } from '../../engine/plan.ts';
import type { Rollup } from '../../engine/stream.ts';
import type { KeySums } from '../../engine/sums.ts';
import { type BooksRead, sourceGrouping } from './ask.ts';
import { instantSql, Parameters } from './conditions.ts';
import type { Connection } from './connection.ts';
import { bucketType } from './schema.ts';

/**
 * Among 100 million passages a stretch by itself took 9 ms, to join 1,000 of them 1.0 to 1.2 s; among 3 million 4 ms, and 0.2 s.
 */
const recordsPerStretch = 1_000_000n;
const stretchesLeast = 16;

/** Whether it is quicker to read all rows once than those of each stretch apart. */
export function isQuickerJoined(stretches: number, { nextSeq }: BooksRead): boolean {
  return stretches >= stretchesLeast && BigInt(stretches) * recordsPerStretch > nextSeq / 2n;
}

/** What a rollup, or the ledger, answers of a stretch. */
interface Asked extends Pick<Piece, 'from' | 'to'> {
  /** The place of its plan. */
  stretch: number;
  keys: readonly string[];
}

/** @param plans of one stream, one measure and one time at which it was known; each names its keys */
export async function askJoined(
  connection: Connection,
  plans: readonly Plan[],
  known: string,
  books: BooksRead,
): Promise<KeySums[]> {
  const bySource = new Map<Rollup | undefined, Asked[]>();
  for (const [stretch, plan] of plans.entries()) {
    const keys = plan.question.where[0]!.values;
    for (const { rollup: source, from, to } of sourcesOf(plan)) {
      const asked = bySource.get(source) ?? [];
      bySource.set(source, asked);
      asked.push({ stretch, keys, from, to });
    }
  }
  const found: BigInt64Array[][] = [];
  for (const [source, asked] of bySource)
    found.push(await askSource(connection, plans[0]!, source, asked, known, books));
  return byStretch(plans.length, found);
}

/** Columns: the stretch, the key and its sum. */
async function askSource(
  connection: Connection,
  { stream, question }: Plan,
  rollup: Rollup | undefined,
  asked: readonly Asked[],
  known: string,
  books: BooksRead,
): Promise<BigInt64Array[]> {
  const isByDate = rollup !== undefined && bucketType(rollup) === 'date';
  const edge = (at: Micros | undefined): string | null =>
    at === undefined ? null : isByDate ? formatBucket(at, rollup.every, rollup.tz) : String(at);
  const columns: (number | string | null)[][] = [[], [], [], []];
  for (const { stretch, keys, from, to } of asked) {
    const [first, end] = [edge(from), edge(to)];
    for (const key of keys)
      for (const [column, value] of [stretch, key, first, end].entries()) columns[column]!.push(value);
  }
  const parameters = new Parameters();
  const [i, k, f, t] = columns.map((values) => parameters.addRows(values));
  const instant = (text: string) => (isByDate ? `${text}::date` : `make_timestamp(${text}::bigint)`);
  // What lies before the earliest and after the latest is skipped.
  const from = outermost(
    asked.map(({ from }) => from),
    (edge, found) => edge < found,
  );
  const to = outermost(
    asked.map(({ to }) => to),
    (edge, found) => edge > found,
  );
  const whole = { ...question, from, to };
  const grouping = await sourceGrouping(connection, stream, rollup, whole, known, books, parameters, []);
  const time = rollup ? bucketType(rollup) && 'e._bucket' : stream.time && instantSql(stream.time);
  const between = time ? `and (a.f is null or ${time} >= a.f) and (a.t is null or ${time} < a.t)` : '';
  const { conditions, dimensions, measures } = grouping;
  const sql = `with asked as (
      select ${i}::bigint as i, ${k}::bigint as k, ${instant(f!)} as f, ${instant(t!)} as t)
    select a.i, a.k, (${measures[0]})::bigint
    from ${grouping.from} join asked a on ${dimensions[0]} = a.k ${between}
    ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''} group by a.i, a.k`;
  return connection.integers(sql, parameters.values, 3);
}

/** Undefined: one of them has no such edge. */
function outermost(
  edges: readonly (Micros | undefined)[],
  isBeyond: (edge: Micros, found: Micros) => boolean,
): Micros | undefined {
  return edges.reduce((found, edge) =>
    found === undefined || edge === undefined ? undefined : isBeyond(edge, found) ? edge : found,
  );
}

/** Rows of several statements, by their stretch. */
function byStretch(count: number, found: readonly (readonly BigInt64Array[])[]): KeySums[] {
  const sizes = new Int32Array(count);
  for (const [stretches] of found) for (const stretch of stretches!) sizes[Number(stretch)]!++;
  const all = Array.from(sizes, (size) => ({ keys: new BigInt64Array(size), sums: new BigInt64Array(size) }));
  const filled = new Int32Array(count);
  for (const [stretches, keys, sums] of found)
    for (const [row, stretch] of stretches!.entries()) {
      const [of, at] = [all[Number(stretch)]!, filled[Number(stretch)]!];
      filled[Number(stretch)] = at + 1;
      of.keys[at] = keys![row]!;
      of.sums[at] = sums![row]!;
    }
  return all;
}
