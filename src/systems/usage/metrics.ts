/** What every subscription used in some days, and for how much. */
import { Type } from 'typebox';
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
  typesOf,
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
  async answer({ tallybook, query, page }) {
    const types = typesOf(query);
    const measures = types.flatMap((type) =>
      ['sum(price)', 'sum(used)', 'count'].map((measure) => `${measure} if type=${type}`),
    );
    const asked = query.subscription_id;
    const [last] = page.cursor === undefined ? [] : valuesOfCursor(page.cursor, 1);
    // A condition, not `after`: so what lies before the page is not even summed.
    const subscriptions = {
      ...(asked === undefined ? {} : { eq: subscriptionId('subscription_id', asked) }),
      ...(last === undefined ? {} : { gt: last }),
    };
    const { rows, more, from, as_of } = await tallybook.ask(usageStream.name, {
      where: {
        ...(query.type === undefined ? {} : { type: query.type }),
        ...(Object.keys(subscriptions).length === 0 ? {} : { subscription_id: subscriptions }),
      },
      ...days('from', query.from, 'to', query.to),
      by: ['subscription_id'],
      measures,
      limit: pageSize(page),
    });
    const body = rows.map(([id, ...figures]) => ({
      subscription_id: id,
      usage: types.flatMap((type, index) => {
        const [price, used, records] = figures.slice(3 * index);
        return records === 0
          ? []
          : [{ type, total_price: twoDecimals(cents(price)), total_used: used, records }];
      }),
    }));
    const next = more ? cursorOfValues([rows.at(-1)![0]!]) : undefined;
    return { body, next, origin: { from, as_of } };
  },
};
