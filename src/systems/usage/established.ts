/**
 * Paths that clients of such services know. They differ from those under /v1 in what their clients expect: ids and used
 * amounts are JSON numbers (with all of their digits: an integer here has up to 64 bits), prices are strings with two
 * decimals, lists have no pages, and a limit is exceeded only beyond it.
 */
import { Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { Route } from '../system.ts';
import { usageTypes } from './declarations.ts';
import { overLimit } from './exceeding.ts';
import {
  amount,
  cents,
  days,
  subscriptionId,
  subscriptionParameter,
  twoDecimals,
  typeParameter,
  which,
} from './parameters.ts';
import { usageStream } from './streams.ts';

const formatParameter = Type.Optional(Type.Enum(['json']));
const Id = Type.Integer();

export const priceLimitRoute: Route = {
  method: 'GET',
  path: '/api/usage/price_limit/',
  scope: 'read',
  streams: [usageStream],
  summary: 'Who exceeds a price limit',
  description:
    'A row for each subscription and type of usage whose total price lies over the limit, and by how much.',
  query: Type.Object({
    price_limit: Type.String({ maxLength: 60, description: 'At least 1.' }),
    subscription: subscriptionParameter,
    type_of_usage: typeParameter,
    format: formatParameter,
  }),
  paged: false,
  answers: Type.Array(
    Type.Object({
      subscription_id: Id,
      price_exceeded: Type.String({ description: 'By how much, with two decimals.' }),
      type_of_usage: Type.Enum([...usageTypes]),
    }),
  ),
  async answer({ ask, query }) {
    const limit = amount('price_limit', query.price_limit!, '1');
    const subscription =
      query.subscription === undefined ? undefined : subscriptionId('subscription', query.subscription);
    const { types, question } = overLimit(query.type_of_usage, subscription, { gt: twoDecimals(limit) });
    const { rows, more, from, as_of } = await ask(usageStream.name, {
      limit: limits.unpaged_rows,
      ...question,
    });
    if (more) {
      throw new TallybookError(
        'bad_request',
        `more than ${limits.unpaged_rows} subscriptions exceed ${query.price_limit}, and this list has no pages; raise the limit, name a subscription or type_of_usage, or ask GET /v1/usage/exceeding, which has pages`,
      );
    }
    const body = rows.flatMap(([id, ...totals]) =>
      types
        .map((type, index) => ({ type, over: cents(totals[index]) - limit }))
        .filter(({ over }) => over > 0n)
        .map(({ type, over }) => ({
          subscription_id: BigInt(id as string),
          price_exceeded: twoDecimals(over),
          type_of_usage: type,
        })),
    );
    return { body, origin: { from, as_of } };
  },
};

export const usageMetricsRoute: Route = {
  method: 'GET',
  path: '/api/usage/usage_metrics/:subscription_id/',
  scope: 'read',
  streams: [usageStream],
  summary: 'What a subscription used',
  description:
    'The total price and the total used of a subscription, in some days if they are given; both ends are counted. An empty list when it used nothing.',
  params: Type.Object({ subscription_id: Type.String({ maxLength: 100 }) }),
  query: Type.Object({
    type_of_usage: typeParameter,
    usage_date__gte: Type.Optional(Type.String({ maxLength: 60, description: 'The first day.' })),
    usage_date__lte: Type.Optional(Type.String({ maxLength: 60, description: 'The last day.' })),
    format: formatParameter,
  }),
  paged: false,
  answers: Type.Array(
    Type.Object({
      subscription_id: Id,
      total_price: Type.String({ description: 'With two decimals.' }),
      total_used: Type.Integer(),
    }),
  ),
  async answer({ ask, params, query }) {
    const subscription = subscriptionId('subscription_id', params.subscription_id!);
    const { rows, from, as_of } = await ask(usageStream.name, {
      by: ['subscription_id'],
      measures: ['sum(price)', 'sum(used)'],
      ...which(query.type_of_usage, subscription),
      ...days('usage_date__gte', query.usage_date__gte, 'usage_date__lte', query.usage_date__lte),
    });
    const body = rows.map(([id, price, used]) => ({
      subscription_id: BigInt(id as string),
      total_price: twoDecimals(cents(price)),
      total_used: BigInt(used as string),
    }));
    return { body, origin: { from, as_of } };
  },
};
