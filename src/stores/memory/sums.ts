/** Sums of keys over stretches of time (engine/sums.ts): each a question of its own. */
import type { Plan } from '../../engine/plan.ts';
import { type Sums, sumsOf } from '../../engine/sums.ts';
import { ask } from './ask.ts';
import type { Ledger } from './ledger.ts';

export function sums(ledger: Ledger, plans: readonly Plan[]): Sums {
  return sumsOf(plans.map((plan) => ask(ledger, plan)));
}
