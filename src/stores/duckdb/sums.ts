/**
 * Sums of keys over stretches of time (engine/sums.ts), all in one snapshot: those of few keys in one statement, as rows or,
 * where they are many, joined; each of the others in a statement of its own.
 */
import { originOf, type Plan, sourcesOf } from '../../engine/plan.ts';
import { type KeySums, originsTogether, type Sums } from '../../engine/sums.ts';
import { type BooksRead, isShort, keysFew, type LastCommit, sourceGrouping } from './ask.ts';
import { Parameters } from './conditions.ts';
import type { Connection } from './connection.ts';
import { readFewStretches } from './few-stretches.ts';
import { grouped } from './grouping.ts';
import { askJoined, isQuickerJoined } from './joined-sums.ts';
import { areClose, between, rowByRow } from './key-rows.ts';
import { inSnapshot, knownCondition } from './snapshot.ts';

export async function askSums(
  connection: Connection,
  plans: readonly Plan[],
  books: BooksRead,
  lastCommit: LastCommit,
): Promise<Sums> {
  const { knownAt } = plans[0]!.question;
  const named = plans.filter(({ question }) => question.where.length > 0);
  const areJoined = isQuickerJoined(named.length, books);
  const areShort = !areJoined && plans.every(isShort);
  const { found, as_of } = await inSnapshot(connection, areShort, lastCommit, knownAt, async () => {
    const known = await knownCondition(connection, knownAt);
    const together = areJoined ? named : named.filter(namesFew);
    const read = areJoined ? askJoined : readFewStretches;
    const sums = together.length > 0 ? await read(connection, together, known, books) : undefined;
    const stretches = new Map(sums?.map((of, i) => [together[i]!, of]));
    for (const plan of plans)
      if (!stretches.has(plan)) stretches.set(plan, await askStretch(connection, plan, known, books));
    return plans.map((plan) => stretches.get(plan)!);
  });
  return { stretches: found, from: originsTogether(plans.map(originOf)), as_of };
}

function namesFew({ question }: Plan): boolean {
  return question.where[0]!.values.length <= keysFew;
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
 * 124 ms of a count of all spaces among 100 million passages, not 94, and gave twice as many rows to read.
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
  // A long list is looked up once, in the rows of all sources; where those lie only its bounds are compared.
  const isLong = wanted !== undefined && wanted.length > keysFew && !areClose(wanted);
  const compared = wanted && (isLong || areClose(wanted)) ? between(condition!, wanted) : question.where;
  const selects: string[] = [];
  for (const { rollup: of, from, to } of sourcesOf(plan)) {
    const asked = { ...question, from, to };
    const grouping = await sourceGrouping(connection, stream, of, asked, known, books, parameters, compared);
    const summed = () => `select d0::bigint as d0, m0::bigint as m0 from (${grouped(grouping).join(' ')})`;
    selects.push(grouping.ofRow?.[0] === undefined ? summed() : rowByRow(grouping));
  }
  const rows = selects.join(' union all ');
  const listed = isLong ? `where d0 in (select ${parameters.addRows(wanted.map(String))}::bigint)` : '';
  return `select d0, sum(m0)::bigint from (${rows}) ${listed} group by d0`;
}

function onlyOf(wanted: ReadonlySet<bigint>, keys: BigInt64Array, sums: BigInt64Array): KeySums {
  const rows = [...keys.keys()].filter((row) => wanted.has(keys[row]!));
  const only = (of: BigInt64Array) => BigInt64Array.from(rows, (row) => of[row]!);
  return { keys: only(keys), sums: only(sums) };
}
