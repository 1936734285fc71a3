/** Sums of keys over stretches of time (engine/sums.ts): each a question of its own, all of one state of the ledger. */
import type { Plan } from '../../engine/plan.ts';
import { type Sums, sumsOf } from '../../engine/sums.ts';
import { ask } from './ask.ts';
import type { Connection } from './connection.ts';
import type { LedgerState } from './ledger-state.ts';

export async function askSums(
  connection: Connection,
  state: LedgerState,
  plans: readonly Plan[],
): Promise<Sums> {
  return sumsOf(await Promise.all(plans.map((plan) => ask(connection, state, plan))));
}
