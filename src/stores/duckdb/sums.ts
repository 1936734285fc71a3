/** Sums of keys over stretches of time (engine/sums.ts), all in one snapshot: a statement for each, or many joined. */
import type { Micros } from '../../engine/calendar.ts';
import { originOf, type Plan, sourcesOf } from '../../engine/plan.ts';
import type { Condition } from '../../engine/question.ts';
import type { Rollup } from '../../engine/stream.ts';
import { type KeySums, originsTogether, type Sums } from '../../engine/sums.ts';
import { type BooksRead, isShort, keysFew, type LastCommit, sourceGrouping } from './ask.ts';
import { Parameters } from './conditions.ts';
import type { Connection } from './connection.ts';
import { type Grouping, grouped } from './grouping.ts';
import { askJoined, isQuickerJoined } from './joined-sums.ts';
import { inSnapshot, knownCondition } from './snapshot.ts';

export async function askSums(
  connection: Connection,
  plans: readonly Plan[],
  books: BooksRead,
  lastCommit: LastCommit,
): Promise<Sums> {
  const { knownAt } = plans[0]!.question;
  const named = plans.filter(({ question }) => question.where.length > 0);
  const joined = isQuickerJoined(named.length, books) ? named : [];
  const areShort = joined.length === 0 && plans.every(isShort);
  const { found, as_of } = await inSnapshot(connection, areShort, lastCommit, knownAt, async () => {
    const known = await knownCondition(connection, knownAt);
    const together = joined.length > 0 ? await askJoined(connection, joined, known, books) : [];
    const stretches = new Map(joined.map((plan, i) => [plan, together[i]!]));
    for (const plan of plans)
      if (!stretches.has(plan)) stretches.set(plan, await askStretch(connection, plan, known, books));
    return plans.map((plan) => stretches.get(plan)!);
  });
  return { stretches: found, from: originsTogether(plans.map(originOf)), as_of };
}

async function askStretch(
  connection: Connection,
  plan: Plan,
  known: string,
  books: BooksRead,
): Promise<KeySums> {
  const wanted = plan.question.where[0]?.values.map(BigInt);
  const parameters = new Parameters();
  const sql = await stretchSql(connection, plan, wanted, known, books, parameters);
  const [keys, sums] = (await connection.integers(sql, parameters.values, 2)) as [
    BigInt64Array,
    BigInt64Array,
  ];
  return wanted && areClose(wanted) ? onlyOf(new Set(wanted), keys, sums) : { keys, sums };
}

/**
 * Rows of all sources stand below each other as they are, and are grouped once. To group those of each source first took
 * 124 ms of a count of all spaces among 100 million passages, not 94, and gave twice as many rows to read. Few rows are
 * not grouped at all.
 */
async function stretchSql(
  connection: Connection,
  plan: Plan,
  wanted: readonly bigint[] | undefined,
  known: string,
  books: BooksRead,
  parameters: Parameters,
): Promise<string> {
  const { stream, question } = plan;
  const [condition] = question.where;
  const areFew = wanted !== undefined && wanted.length <= keysFew;
  // A list is looked up once, in the rows of all sources; where those lie only its bounds are compared.
  const compared = wanted && (areClose(wanted) || !areFew) ? between(condition!, wanted) : question.where;
  const selects: string[] = [];
  let areGrouped = areFew;
  for (const { rollup: of, from, to } of sourcesOf(plan)) {
    const asked = { ...question, from, to };
    const grouping = await sourceGrouping(connection, stream, of, asked, known, books, parameters, compared);
    const hasFew = areFew && of?.by.length === 1 && wanted.length * bucketsOf(of, from, to) <= rowsUngrouped;
    const isGrouped = grouping.ofRow?.[0] === undefined || (areFew && !hasFew);
    const summed = () => `select d0::bigint as d0, m0::bigint as m0 from (${grouped(grouping).join(' ')})`;
    selects.push(isGrouped ? summed() : rowByRow(grouping));
    areGrouped &&= hasFew || isGrouped;
  }
  const rows = selects.join(' union all ');
  if (areGrouped) return rows;
  const listed =
    wanted && !areClose(wanted)
      ? `where d0 in (select ${parameters.addRows(wanted.map(String))}::bigint)`
      : '';
  return `select d0, sum(m0)::bigint from (${rows}) ${listed} group by d0`;
}

/**
 * So many rows of a rollup are not grouped, of so few keys: it takes longer than to read them, 0.7 of 4.1 ms of a count
 * among 100 million passages. Until they are compacted there are more, one of each batch.
 */
const rowsUngrouped = 50_000;
const daySeconds = 86_400;

/** How many buckets a rollup may have between two times. What has no beginning or no end is taken for ten years. */
function bucketsOf({ every }: Rollup, from: Micros | undefined, to: Micros | undefined): number {
  if (every === 'all') return 1;
  const bounded = from !== undefined && to !== undefined;
  const seconds = bounded ? Number(to - from) / 1e6 : 3_653 * daySeconds;
  return Math.ceil(seconds / ({ minute: 60, hour: 3_600 }[every as string] ?? daySeconds));
}

/** The rows of a source, each with its key and what it adds. */
function rowByRow({ dimensions, conditions, from, ofRow }: Grouping): string {
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
  return `select ${dimensions[0]}::bigint as d0, (${ofRow![0]})::bigint as m0 from ${from} ${where}`;
}

/**
 * Whether keys lie so close together that the rows between the least and the largest are found where the column lies, and
 * those of other keys dropped afterwards. To look each row up in a list took 1.2 of 5.4 ms of a count among 100 million
 * passages.
 */
function areClose(keys: readonly bigint[]): boolean {
  const [least, most] = boundsOf(keys);
  return keys.length > 0 && most - least < 2n * BigInt(keys.length);
}

function boundsOf(keys: readonly bigint[]): [bigint, bigint] {
  let [least, most] = [keys[0]!, keys[0]!];
  for (const key of keys) {
    if (key < least) least = key;
    if (key > most) most = key;
  }
  return [least, most];
}

function between({ dimension }: Condition, keys: readonly bigint[]): Condition[] {
  const [least, most] = boundsOf(keys);
  return [
    { dimension, operator: 'gte', values: [String(least)] },
    { dimension, operator: 'lte', values: [String(most)] },
  ];
}

function onlyOf(wanted: ReadonlySet<bigint>, keys: BigInt64Array, sums: BigInt64Array): KeySums {
  const rows = [...keys.keys()].filter((row) => wanted.has(keys[row]!));
  const only = (of: BigInt64Array) => BigInt64Array.from(rows, (row) => of[row]!);
  return { keys: only(keys), sums: only(sums) };
}
