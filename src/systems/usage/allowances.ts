/**
 * How much of its plan a subscription has used in a month. The sums are asked first, the subscriptions and plans of the
 * page then: so a list by most used needs no join.
 */
import { Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import { valuesByName } from '../../engine/own-books.ts';
import { cursorOfValues, pageSize, valuesOfCursor } from '../../engine/pages.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Route } from '../system.ts';
import { month, monthParameter, subscriptionId, twoDecimals } from './parameters.ts';
import { plansStream, subscriptionsStream, usageStream } from './streams.ts';

const orNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description });
const Allowance = Type.Object({
  subscription_id: Type.String(),
  month: Type.String(),
  plan: orNull('The id of its plan; null when it has none.'),
  used: Type.String({ description: 'Kilobytes of data in the month.' }),
  data_available: orNull('Kilobytes a month, of the plan.'),
  used_percent: orNull('With two decimals, rounded half up.'),
});

interface Reference {
  plan: string | null;
  data_available: string | null;
}

export const allowanceRoute: Route = {
  method: 'GET',
  path: '/v1/usage/subscriptions/:id/allowance',
  scope: 'read',
  streams: [usageStream, subscriptionsStream, plansStream],
  summary: 'How much of its allowance a subscription has used',
  description: 'The data used in a month, in kilobytes and in per cent of what the plan has available.',
  params: Type.Object({ id: Type.String({ maxLength: 100 }) }),
  query: Type.Object({ month: monthParameter }),
  paged: false,
  answers: Allowance,
  async answer({ tallybook, ask, params, query }) {
    const id = subscriptionId('the address: id', params.id!);
    const asked = month(query.month);
    const reference = (await referencesOf(tallybook, [id])).get(id);
    if (!reference)
      throw new TallybookError(
        'unknown_record',
        `there is no subscription ${id}; PUT /v1/usage/subscriptions/${id} makes it known`,
      );
    const { rows, from, as_of } = await ask(usageStream.name, {
      where: { subscription_id: id, type: 'data' },
      from: asked.from,
      to: asked.to,
      measures: ['sum(used)'],
    });
    return { body: allowance(id, asked.month, rows[0]![0] as string, reference), origin: { from, as_of } };
  },
};

export const allowancesRoute: Route = {
  method: 'GET',
  path: '/v1/usage/allowances',
  scope: 'read',
  streams: [usageStream, subscriptionsStream, plansStream],
  summary: 'How much of their allowances subscriptions have used',
  description: 'Every subscription with data used in a month, the most used first.',
  query: Type.Object({ month: monthParameter }),
  paged: true,
  answers: Type.Array(Allowance),
  async answer({ tallybook, ask, query, page }) {
    const asked = month(query.month);
    const { rows, more, from, as_of } = await ask(usageStream.name, {
      where: { type: 'data' },
      from: asked.from,
      to: asked.to,
      by: ['subscription_id'],
      measures: ['sum(used)'],
      order: ['-sum(used)'],
      limit: pageSize(page),
      ...(page.cursor === undefined ? {} : { after: valuesOfCursor(page.cursor, 2) }),
    });
    const references = await referencesOf(
      tallybook,
      rows.map(([id]) => id as string),
    );
    const body = rows.map(([id, used]) =>
      allowance(id as string, asked.month, used as string, references.get(id as string)),
    );
    const last = rows.at(-1);
    return {
      body,
      next: more && last ? cursorOfValues([last[1]!, last[0]!]) : undefined,
      origin: { from, as_of },
    };
  },
};

function allowance(id: string, of: string, used: string, reference: Reference | undefined) {
  const { plan = null, data_available = null } = reference ?? {};
  return {
    subscription_id: id,
    month: of,
    plan,
    used,
    data_available,
    used_percent: data_available === null ? null : percent(BigInt(used), BigInt(data_available)),
  };
}

/** With two decimals, rounded half up; of nothing there is no part. */
export function percent(used: bigint, available: bigint): string | null {
  return available === 0n ? null : twoDecimals((used * 20_000n + available) / (2n * available));
}

/** The plans of subscriptions, by the id of the subscription. */
async function referencesOf(tallybook: Tallybook, ids: string[]): Promise<Map<string, Reference>> {
  const subscriptions = await recordsById(tallybook, subscriptionsStream, ids);
  const planIds = new Set([...subscriptions.values()].flatMap(({ plan }) => plan ?? []));
  const plans = await recordsById(tallybook, plansStream, [...planIds]);
  return new Map(
    [...subscriptions].map(([id, { plan = null }]) => {
      const data_available = plan === null ? null : (plans.get(plan)?.data_available ?? null);
      return [id, { plan, data_available }];
    }),
  );
}

async function recordsById(
  tallybook: Tallybook,
  { name }: Stream,
  ids: string[],
): Promise<Map<string, Record<string, string | null>>> {
  if (ids.length === 0) return new Map();
  const stream = tallybook.streams.get(name);
  const { records } = await tallybook.records(name, { where: { id: { in: ids } } }, { size: ids.length });
  return new Map(records.map(({ id, values }) => [id, valuesByName(stream, values)]));
}
