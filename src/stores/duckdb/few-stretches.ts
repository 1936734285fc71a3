/**
 * Sums over stretches of few keys, such as of the sensors of one space: one statement for all of them, which reads rows
 * as they are. Whoever asked adds them up. Of the 5 ms of processor time of such a statement among 100 million passages,
 * more than 1 went into grouping a dozen rows of the ledger; and what began and ended at several times took a statement
 * for each.
 *
 * Time is cut where a rollup, or the ledger, is asked from or to: so each slice of it belongs to a stretch as a whole, or
 * not at all.
 */
import type { Micros } from '../../engine/calendar.ts';
import { type Piece, type Plan, sourcesOf } from '../../engine/plan.ts';
import type { Rollup } from '../../engine/stream.ts';
import type { KeySums } from '../../engine/sums.ts';
import { type BooksRead, keysFew, sourceGrouping } from './ask.ts';
import { Parameters } from './conditions.ts';
import type { Connection } from './connection.ts';
import { areClose, between, rowByRow } from './key-rows.ts';

/** More are grouped by the database. */
const rowsMost = 50_000;
/** Of more slices the statement takes longer to plan than several would. */
const slicesMost = 30;
const day = 86_400_000_000n;
const secondsOf: Partial<Record<string, number>> = { minute: 60, hour: 3_600 };

/** A part of time that a rollup, or the ledger, is asked for, and the stretches that it belongs to. */
interface Slice extends Piece {
  stretches: number[];
}

/**
 * @param plans of one stream, one measure and one time at which it was known; each names its keys
 * @returns for each plan; undefined when there are, or may be, too many rows to be read one by one
 */
export async function readFewStretches(
  connection: Connection,
  plans: readonly Plan[],
  known: string,
  books: BooksRead,
): Promise<KeySums[] | undefined> {
  const keysOf = plans.map(({ question }) => new Set(question.where[0]!.values.map(BigInt)));
  const keys = [...new Set(keysOf.flatMap((asked) => [...asked]))];
  const slices = slicesOf(plans);
  if (keys.length > keysFew || slices.length > slicesMost || !areFew(slices, keys.length)) return undefined;

  const { stream, question } = plans[0]!;
  const condition = { ...question.where[0]!, values: keys.map(String) };
  const compared = areClose(keys) ? between(condition, keys) : [{ ...condition, operator: 'in' as const }];
  const parameters = new Parameters();
  const selects: string[] = [];
  for (const [number, { rollup, from, to }] of slices.entries()) {
    const whole = { ...question, from, to, where: [condition] };
    const grouping = await sourceGrouping(
      connection,
      stream,
      rollup,
      whole,
      known,
      books,
      parameters,
      compared,
    );
    if (grouping.ofRow?.[0] === undefined) return undefined;
    selects.push(rowByRow(grouping, [`${number}::bigint as slice`]));
  }
  const rows = selects.join(' union all ');
  // All rows come, unless there are more. A limit would do too, but lets one thread read the sources one after another:
  // p50 4.3 and p99 11 ms of such a statement, not 3.0 and 5.6. What the ledger gives is grouped first: 3.6 and 11.
  const [of, keysFound, sums] = (await connection.integers(
    `select * from (${rows}) using sample reservoir(${rowsMost + 1} rows)`,
    parameters.values,
    3,
  )) as [BigInt64Array, BigInt64Array, BigInt64Array];
  if (keysFound.length > rowsMost) return undefined;
  return byStretch(slices, keysOf, of, keysFound, sums);
}

/** What each rollup, and the ledger, is asked for, cut where any of it begins or ends. */
function slicesOf(plans: readonly Plan[]): Slice[] {
  const bySource = new Map<Rollup | undefined, Slice[]>();
  for (const [stretch, plan] of plans.entries())
    for (const piece of sourcesOf(plan))
      bySource.set(piece.rollup, [...(bySource.get(piece.rollup) ?? []), { stretches: [stretch], ...piece }]);
  return [...bySource.values()].flatMap((pieces) => (pieces.length === 1 ? pieces : cut(pieces)));
}

/** Pieces of one source, in slices that do not overlap. */
function cut(pieces: readonly Slice[]): Slice[] {
  const edges = new Set(pieces.flatMap(({ from, to }) => [from, to]));
  edges.delete(undefined);
  const inside = ([...edges] as Micros[]).sort((a, b) => (a < b ? -1 : 1));
  const slices: Slice[] = [];
  for (let i = 0; i <= inside.length; i++) {
    const [from, to] = [inside[i - 1], inside[i]];
    const over = pieces.filter(
      (piece) =>
        (piece.from === undefined || (from !== undefined && piece.from <= from)) &&
        (piece.to === undefined || (to !== undefined && piece.to >= to)),
    );
    const stretches = over.flatMap((piece) => piece.stretches);
    if (over.length > 0) slices.push({ rollup: over[0]!.rollup, from, to, stretches });
  }
  return slices;
}

/** Whether so many rows may be there at most, once rollups are merged; of the ledger no more than a day is read. */
function areFew(slices: readonly Slice[], keyCount: number): boolean {
  let rows = 0;
  for (const { rollup, from, to } of slices) {
    if (!rollup && (from === undefined || to === undefined || to - from > day)) return false;
    if (rollup && rollup.by.length > 1) return false;
    if (rollup) rows += keyCount * bucketsOf(rollup, from, to);
  }
  return rows <= rowsMost;
}

/** How many buckets a rollup may have between two times. What has no beginning or no end is taken for ten years. */
function bucketsOf({ every }: Rollup, from: Micros | undefined, to: Micros | undefined): number {
  if (every === 'all') return 1;
  const daySeconds = 86_400;
  const seconds = from !== undefined && to !== undefined ? Number(to - from) / 1e6 : 3_653 * daySeconds;
  return Math.ceil(seconds / (secondsOf[every] ?? daySeconds));
}

function byStretch(
  slices: readonly Slice[],
  keysOf: readonly ReadonlySet<bigint>[],
  of: BigInt64Array,
  keys: BigInt64Array,
  sums: BigInt64Array,
): KeySums[] {
  const rowsOf: number[][] = keysOf.map(() => []);
  // A number of 64 bits is made anew whenever it is read.
  const sliceOf = new Int32Array(of.buffer);
  for (let row = 0; row < keys.length; row++) {
    const key = keys[row]!;
    for (const stretch of slices[sliceOf[2 * row]!]!.stretches)
      if (keysOf[stretch]!.has(key)) rowsOf[stretch]!.push(row);
  }
  return rowsOf.map((rows) => ({ keys: taken(keys, rows), sums: taken(sums, rows) }));
}

/** Some of the numbers, half by half: no number of 64 bits is made for it. */
function taken(numbers: BigInt64Array, rows: readonly number[]): BigInt64Array {
  const from = new Int32Array(numbers.buffer);
  const to = new Int32Array(2 * rows.length);
  for (let i = 0; i < rows.length; i++) {
    to[2 * i] = from[2 * rows[i]!]!;
    to[2 * i + 1] = from[2 * rows[i]! + 1]!;
  }
  return new BigInt64Array(to.buffer);
}
