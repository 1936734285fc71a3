/** Sums of keys over stretches of time (engine/sums.ts), all in one snapshot: a statement for each, or many joined. */
import { originOf, type Plan } from '../../engine/plan.ts';
import type { Condition } from '../../engine/question.ts';
import { type KeySums, originsTogether, type Sums } from '../../engine/sums.ts';
import { type BooksRead, isShort, type LastCommit, piecesSql } from './ask.ts';
import { Parameters } from './conditions.ts';
import type { Connection } from './connection.ts';
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
  const { where } = plan.question;
  const wanted = where[0]?.values.map(BigInt);
  const bounds = wanted && boundsOf(wanted);
  const parameters = new Parameters();
  const compared = bounds ? between(where[0]!, bounds) : where;
  const keyCount = wanted?.length ?? Infinity;
  const pieces = await piecesSql(connection, plan, known, books, parameters, keyCount, compared);
  const sql = `select d0::bigint, m0::bigint from (${pieces})`;
  const [keys, sums] = (await connection.integers(sql, parameters.values, 2)) as [
    BigInt64Array,
    BigInt64Array,
  ];
  return bounds ? onlyOf(new Set(wanted), keys, sums) : { keys, sums };
}

/**
 * The least and the largest of keys that lie close together: rows between them are found where the column lies, and those
 * of other keys dropped afterwards. To look each row up in a list took 1.2 of 5.4 ms of a count among 100 million passages.
 */
function boundsOf(keys: readonly bigint[]): [bigint, bigint] | undefined {
  let [least, most] = [keys[0]!, keys[0]!];
  for (const key of keys) {
    if (key < least) least = key;
    if (key > most) most = key;
  }
  return keys.length > 0 && most - least < 2n * BigInt(keys.length) ? [least, most] : undefined;
}

const between = ({ dimension }: Condition, [least, most]: [bigint, bigint]): Condition[] => [
  { dimension, operator: 'gte', values: [String(least)] },
  { dimension, operator: 'lte', values: [String(most)] },
];

function onlyOf(wanted: ReadonlySet<bigint>, keys: BigInt64Array, sums: BigInt64Array): KeySums {
  const rows = [...keys.keys()].filter((row) => wanted.has(keys[row]!));
  const only = (of: BigInt64Array) => BigInt64Array.from(rows, (row) => of[row]!);
  return { keys: only(keys), sums: only(sums) };
}
