/** Sums of keys over stretches of time (engine/sums.ts): each a question of its own. */
import type { Plan } from '../../engine/plan.ts';
import type { Sums } from '../../engine/sums.ts';
import { ask } from './ask.ts';
import { asOf, type Ledger } from './ledger.ts';

export function sums(ledger: Ledger, plans: readonly Plan[]): Sums {
  const answers = plans.map((plan) => ask(ledger, plan));
  return {
    stretches: answers.map(({ rows }) => ({
      keys: BigInt64Array.from(rows, ([key]) => BigInt(key as string)),
      sums: BigInt64Array.from(rows, ([, sum]) => BigInt(sum as string | number)),
    })),
    from: [...new Set(answers.flatMap(({ from }) => from.split(', ')))].join(', '),
    as_of: asOf(ledger, plans[0]!.question.knownAt),
  };
}
