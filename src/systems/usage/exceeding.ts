/**
 * Who reached a limit, on data or on voice, the worst first: one question, with a row for each subscription and a sum
 * for each type, by the greatest of them.
 */
import { Type } from 'typebox';
import { cursorOfValues, pageSize, valuesOfCursor } from '../../engine/pages.ts';
import type { Route } from '../system.ts';
import { usageTypes } from './declarations.ts';
import {
  amount,
  cents,
  dayParameters,
  days,
  subscriptionId,
  subscriptionParameter,
  twoDecimals,
  typeParameter,
  typesOf,
  which,
} from './parameters.ts';
import { usageStream } from './streams.ts';

const Money = Type.String({ description: 'With two decimals, always.' });

/**
 * The question who is over a limit: the subscription, a sum of prices for each type, the largest of them. One row for
 * each subscription is half the work of one for each of its types.
 */
export function overLimit(
  type: string | undefined,
  subscription: string | undefined,
  limit: { gt: string } | { gte: string },
) {
  const types = typesOf(type);
  const sums = types.map((one) => `sum(price) if type=${one}`);
  const worst = `greatest(${sums.join(', ')})`;
  const question = {
    by: ['subscription_id'],
    measures: [...sums, worst],
    having: { [worst]: limit },
    ...which(type, subscription),
  };
  return { types, worst, question };
}

export const exceedingRoute: Route = {
  method: 'GET',
  path: '/v1/usage/exceeding',
  scope: 'read',
  streams: [usageStream],
  summary: 'Who reached a limit',
  description:
    'The subscriptions whose total price reached the limit on data or on voice, each with the types that did and by how much; the worst first, ties by subscription.',
  query: Type.Object({
    limit: Type.String({ maxLength: 60, description: 'An amount such as 10.00.' }),
    type: typeParameter,
    subscription_id: subscriptionParameter,
    ...dayParameters,
  }),
  paged: true,
  answers: Type.Array(
    Type.Object({
      subscription_id: Type.String(),
      exceeded: Type.Array(
        Type.Object({
          type: Type.Enum([...usageTypes]),
          total_price: Money,
          exceeded_by: Type.String({ description: '0.00 when the limit is reached exactly.' }),
        }),
      ),
    }),
  ),
  async answer({ ask, query, page }) {
    const limit = amount('limit', query.limit!, '0.01');
    const subscription =
      query.subscription_id === undefined
        ? undefined
        : subscriptionId('subscription_id', query.subscription_id);
    const { types, question, worst } = overLimit(query.type, subscription, { gte: twoDecimals(limit) });
    const { rows, more, from, as_of } = await ask(usageStream.name, {
      order: [`-${worst}`],
      limit: pageSize(page),
      ...question,
      ...days('from', query.from, 'to', query.to),
      ...(page.cursor === undefined ? {} : { after: valuesOfCursor(page.cursor, 2) }),
    });
    const body = rows.map(([id, ...totals]) => ({
      subscription_id: id,
      exceeded: types.flatMap((type, index) => {
        const total = cents(totals[index]);
        return total < limit
          ? []
          : [{ type, total_price: twoDecimals(total), exceeded_by: twoDecimals(total - limit) }];
      }),
    }));
    const last = rows.at(-1);
    return {
      body,
      next: more && last ? cursorOfValues([last.at(-1)!, last[0]!]) : undefined,
      origin: { from, as_of },
    };
  },
};
