/** What every subscription used in some days, and for how much. */
import { Type } from 'typebox';
import { limits } from '../../engine/limits.ts';
import { cursorOfValues, pageSize, valuesOfCursor } from '../../engine/pages.ts';
import type { Route } from '../system.ts';
import { usageTypes } from './declarations.ts';
import {
  cents,
  dayParameters,
  days,
  subscriptionId,
  subscriptionParameter,
  twoDecimals,
  typeParameter,
} from './parameters.ts';
import { usageStream } from './streams.ts';

export const metricsRoute: Route = {
  method: 'GET',
  path: '/v1/usage/metrics',
  scope: 'read',
  streams: [usageStream],
  summary: 'What subscriptions used',
  description:
    'Every subscription with usage in the days, in the order of their ids: for each type the total price, the total used (kilobytes of data, seconds of voice) and the number of records.',
  query: Type.Object({
    subscription_id: subscriptionParameter,
    type: typeParameter,
    ...dayParameters,
  }),
  paged: true,
  answers: Type.Array(
    Type.Object({
      subscription_id: Type.String(),
      usage: Type.Array(
        Type.Object({
          type: Type.Enum([...usageTypes]),
          total_price: Type.String({ description: 'With two decimals, always.' }),
          total_used: Type.String({ description: 'Kilobytes or seconds.' }),
          records: Type.Integer(),
        }),
      ),
    }),
  ),
  async answer({ ask, query, page }) {
    const asked = query.subscription_id;
    const [last] = page.cursor === undefined ? [] : valuesOfCursor(page.cursor, 1);
    const selected = (subscriptions: Record<string, unknown>) => ({
      where: {
        ...(query.type === undefined ? {} : { type: query.type }),
        ...(Object.keys(subscriptions).length === 0 ? {} : { subscription_id: subscriptions }),
      },
      ...days('from', query.from, 'to', query.to),
    });
    const behind = {
      ...(asked === undefined ? {} : { eq: subscriptionId('subscription_id', asked) }),
      ...(last === undefined ? {} : { gt: last }),
    };
    // First which subscriptions the page holds, then the sums of these alone: not of a million to show a hundred.
    const ids =
      asked === undefined
        ? await ask(usageStream.name, {
            by: ['subscription_id'],
            limit: pageSize(page),
            ...selected(behind),
          })
        : undefined;
    if (ids?.rows.length === 0) return { body: [], origin: ids };
    const [first] = ids?.rows[0] ?? [];
    const [end] = ids?.rows.at(-1) ?? [];
    const sums = await ask(usageStream.name, {
      by: ['subscription_id', 'type'],
      measures: ['sum(price)', 'sum(used)', 'count'],
      limit: limits.answer_rows,
      ...selected({ ...behind, ...(ids ? { gte: first, lte: end } : {}) }),
    });
    const bySubscription = new Map<unknown, object[]>();
    for (const [id, type, price, used, records] of sums.rows) {
      const usage = bySubscription.get(id) ?? [];
      usage.push({ type, total_price: twoDecimals(cents(price)), total_used: used, records });
      bySubscription.set(id, usage);
    }
    const body = [...bySubscription].map(([subscription_id, usage]) => ({ subscription_id, usage }));
    return { body, next: ids?.more ? cursorOfValues([end!]) : undefined, origin: sums };
  },
};
