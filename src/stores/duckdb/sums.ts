/** Sums of keys over stretches of time (engine/sums.ts): a statement for each stretch, all in one snapshot. */
import { originOf, type Plan } from '../../engine/plan.ts';
import { type KeySums, originsTogether, type Sums } from '../../engine/sums.ts';
import { piecesSql } from './ask.ts';
import { Parameters } from './conditions.ts';
import type { Connection } from './connection.ts';
import type { StreamBooks } from './ledger-state.ts';
import { asOf, knownCondition } from './snapshot.ts';

export async function askSums(
  connection: Connection,
  plans: readonly Plan[],
  books: Pick<StreamBooks, 'hasReversals' | 'lookups'>,
): Promise<Sums> {
  return connection.transaction(async () => {
    const knownAt = plans[0]!.question.knownAt;
    const known = await knownCondition(connection, knownAt);
    const stretches: KeySums[] = [];
    for (const plan of plans) {
      const parameters = new Parameters();
      const pieces = await piecesSql(connection, plan, known, books, parameters);
      const sql = `select d0::bigint, m0::bigint from (${pieces})`;
      const [keys, sums] = await connection.integers(sql, parameters.values, 2);
      stretches.push({ keys: keys!, sums: sums! });
    }
    return { stretches, from: originsTogether(plans.map(originOf)), as_of: await asOf(connection, knownAt) };
  });
}
