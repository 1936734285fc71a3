/** Alerts on the streams that the usage system brings: a record comes in, and somebody is told. */
import { describe, expect, test } from 'vitest';
import { follow } from '../../http/follow-events.ts';
import { lines, ndjson, storeKinds } from '../../http/open-app.ts';
import { data, openUsage, voice } from './sent.ts';

const [d, v] = ['/v1/usage/data', '/v1/usage/voice'];

describe.each(storeKinds)('alerts on usage, %s', (kind) => {
  async function opened() {
    const usage = await openUsage(kind);
    const { done, tallybook } = usage;
    return {
      ...usage,
      /** What was told, oldest first: `alert key start threshold: value of limit`. */
      async told(): Promise<string[]> {
        await expect.poll(() => tallybook.evaluation.lagSeconds, { timeout: 20_000 }).toBe(0);
        const { notifications } = await done('GET', '/v1/notifications?order=oldest');
        return notifications.map(
          // biome-ignore lint/suspicious/noExplicitAny: what tests look into is any JSON
          ({ alert, key, period, threshold, value, limit }: any) =>
            `${alert} ${key} ${period.start} ${threshold}: ${value} of ${limit}`,
        );
      },
    };
  }
  const weekly = {
    stream: 'usage',
    measure: 'sum(price)',
    by: ['subscription_id'],
    period: 'week',
    limit: '10.00',
  };

  test('what a subscription spends in a week, from Monday to Sunday', async () => {
    const { done, listen, told } = await opened();
    expect(await done('PUT', '/v1/alerts/spent', weekly)).toMatchObject({
      from: 'rollup daily',
      fault: null,
    });
    const events = await follow(`${await listen()}/v1/notifications/events`);
    // The last instant of a week, and the first of the next one.
    await done('POST', d, [
      data('a', 1, '7.99', '2026-10-11T23:59:59.999999Z'),
      data('b', 1, '7.99', '2026-10-12T00:00:00Z'),
      data('c', 2, '7.99', '2026-10-12T00:00:00Z'),
    ]);
    expect(await told()).toEqual([]);
    await done('POST', v, voice('d', 1, '0.01', '2026-10-05T00:00:00Z'));
    expect(await told()).toEqual(['spent 1 2026-10-05 80: 8 of 10']);
    await expect
      .poll(() => events.events().map(({ event, data }) => [event, data.key, data.period.start]), {
        timeout: 10_000,
      })
      .toEqual([['notification', '1', '2026-10-05']]);
    // The same again tells nothing; a correction into the other week and to another subscription does.
    await done('POST', v, voice('d', 1, '0.01', '2026-10-05T00:00:00Z'));
    await done('PUT', `${d}/a`, data('a', 2, '7.99', '2026-10-18T23:59:59Z'));
    const both = [
      'spent 1 2026-10-05 80: 8 of 10',
      'spent 2 2026-10-12 80: 15.98 of 10',
      'spent 2 2026-10-12 100: 15.98 of 10',
    ];
    expect(await told()).toEqual(both);
    expect((await done('GET', '/v1/notifications?order=oldest')).notifications[1]).toMatchObject({
      stream: 'usage',
      measure: 'sum(price)',
      dimensions: { subscription_id: '2' },
      period: {
        every: 'week',
        tz: 'UTC',
        start: '2026-10-12',
        from: '2026-10-12T00:00:00.000000Z',
        to: '2026-10-19T00:00:00.000000Z',
      },
      percent: '159.8',
    });
    // What was told stays told, once.
    await done('PUT', `${d}/a`, data('a', 2, '0.00', '2026-10-18T23:59:59Z'));
    await done('PUT', `${d}/a`, data('a', 2, '7.99', '2026-10-18T23:59:59Z'));
    expect(await told()).toEqual(both);
    events.stop();
  });

  test('a week begins at midnight of the zone of the alert', async () => {
    const { done, told } = await opened();
    await done('PUT', '/v1/alerts/madrid', { ...weekly, tz: 'Europe/Madrid', thresholds: [100] });
    // Both are of the same day in UTC. Clocks were put back in that night: midnight is an hour later in UTC.
    await done('POST', d, [
      data('a', 1, '10', '2026-10-25T22:59:59.999999Z'),
      data('b', 2, '10', '2026-10-25T23:00:00Z'),
    ]);
    expect((await told()).sort()).toEqual([
      'madrid 1 2026-10-19 100: 10 of 10',
      'madrid 2 2026-10-26 100: 10 of 10',
    ]);
    const { notifications } = await done('GET', '/v1/notifications?key=1');
    expect(notifications[0].period).toMatchObject({
      from: '2026-10-18T22:00:00.000000Z',
      to: '2026-10-25T23:00:00.000000Z',
    });
  });

  test('the allowance of a plan, by the month, from a file of records', async () => {
    const { done, told } = await opened();
    await done('POST', '/v1/usage/plans', {
      id: 'gold',
      name: 'Gold',
      price: '29.99',
      data_available: 1_000,
    });
    await done('POST', '/v1/usage/subscriptions', [
      { id: 1, carrier: 'att', plan: 'gold' },
      { id: 2, carrier: 'att', plan: 'gold' },
      { id: 3, carrier: 'att' },
    ]);
    await done('PUT', '/v1/alerts/allowance', {
      stream: 'usage',
      measure: 'sum(used)',
      where: { type: 'data' },
      by: ['subscription_id'],
      period: 'month',
      limit: { of: 'subscription_id', path: ['subscriptions.plan', 'plans.data_available'] },
    });
    // Seconds of voice are no kilobytes, and who has no plan has no limit.
    await done('POST', v, voice('v', 1, 1, '2026-10-05T06:43:00Z', 5_000));
    const records = [
      data('a', 1, 1, '2026-10-31T23:59:59Z', 799),
      data('b', 1, 1, '2026-11-01T00:00:00Z', 1),
      data('c', 2, 1, '2026-10-05T06:43:00Z', 1_000),
      data('d', 3, 1, '2026-10-05T06:43:00Z', 9_000),
    ];
    await done('POST', '/v1/imports?stream=usage&form=data', lines(records), ndjson);
    const first = ['allowance 2 2026-10-01 80: 1000 of 1000', 'allowance 2 2026-10-01 100: 1000 of 1000'];
    expect(await told()).toEqual(first);
    await done('PUT', `${d}/b`, data('b', 1, 1, '2026-10-31T00:00:00Z', 1));
    expect(await told()).toEqual([...first, 'allowance 1 2026-10-01 80: 800 of 1000']);
  });
});
