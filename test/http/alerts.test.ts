import { describe, expect, test } from 'vitest';
import type { StreamDeclaration } from '../../src/engine/declaration.ts';
import { follow } from './follow-events.ts';
import { openApp, sale, sales, storeKinds } from './open-app.ts';

const spent = { stream: 'sales', measure: 'sum(amount)', by: ['customer'], period: 'all', limit: '10' };
const records = '/v1/streams/sales/records';

describe.each(storeKinds)('alerts over HTTP, %s', (kind) => {
  async function opened() {
    const app = await openApp(kind, { streams: { sales, others: sales } });
    const { send, tallybook } = app;
    return {
      ...app,
      evaluated: () => expect.poll(() => tallybook.evaluation.lagSeconds, { timeout: 10_000 }).toBe(0),
      notifications: async (query = '') => (await send('GET', `/v1/notifications${query}`)).json,
    };
  }

  test('defined, shown, changed and removed', async () => {
    const { send } = await opened();
    const put = await send('PUT', '/v1/alerts/spent', { ...spent, measure: 'max(amount)' });
    expect(put.status).toBe(201);
    expect(put.json).toMatchObject({ name: 'spent', revision: 1, from: 'ledger', fault: null });
    const exact =
      '{"stream":"sales","measure":"sum(amount)","by":["customer"],"period":"day","limit":12345678901234567890.5}';
    const changed = await send('PUT', '/v1/alerts/spent', exact, { 'content-type': 'application/json' });
    expect(changed).toMatchObject({ status: 200, json: { revision: 2, from: 'rollup daily' } });
    expect(changed.json.definition).toEqual({
      ...spent,
      where: {},
      period: 'day',
      tz: 'UTC',
      thresholds: ['80', '100'],
      limit: '12345678901234567890.5',
      enabled: true,
    });
    expect((await send('GET', '/v1/alerts')).json.alerts).toEqual([changed.json]);
    expect((await send('GET', '/v1/alerts/spent')).json).toEqual(changed.json);
    expect((await send('DELETE', '/v1/alerts/spent')).status).toBe(204);
    expect((await send('GET', '/v1/alerts/spent')).json).toMatchObject({
      status: 404,
      code: 'unknown_alert',
    });
    expect(await send('PUT', '/v1/alerts/spent', { ...spent, measure: 'sum(paid)' })).toMatchObject({
      status: 400,
      json: {
        code: 'bad_alert',
        detail: 'alert spent: sum(paid): paid is a boolean; expected an integer or a decimal',
      },
    });
  });

  test('an alert that can no longer be resolved is listed with a fault, and the others as always', async () => {
    const customers: StreamDeclaration = {
      id: 'id',
      time: 'since',
      fields: {
        id: { type: 'text', required: true },
        since: { type: 'timestamp', required: true },
        credit: { type: 'integer' },
      },
    };
    const { send, tallybook } = await openApp(kind, { streams: { sales, customers } });
    const limit = { of: 'customer', path: ['customers.credit'] };
    const broken = (await send('PUT', '/v1/alerts/broken', { ...spent, limit })).json;
    const off = (await send('PUT', '/v1/alerts/off', { ...spent, limit, enabled: false })).json;
    const other = (await send('PUT', '/v1/alerts/other', spent)).json;
    await send('PUT', '/v1/streams/customers', { ...customers, retention: { records: '30 days' } });
    const why = 'limit.path: the stream customers drops its records in time; limits must stay';
    const told = { from: null, fault: `alert broken: ${why}` };
    expect(await send('GET', '/v1/alerts')).toMatchObject({
      status: 200,
      json: {
        alerts: [{ ...broken, ...told }, { ...off, from: null, fault: `alert off: ${why}` }, other],
      },
    });
    expect((await send('GET', '/v1/alerts/broken')).json).toEqual({ ...broken, ...told });
    expect((await send('PUT', '/v1/alerts/broken', { ...spent, limit })).json).toMatchObject({
      code: 'bad_alert',
      detail: told.fault,
    });
    await send('POST', records, sale('1', { amount: 10 }));
    await expect.poll(() => tallybook.evaluation.lagSeconds, { timeout: 10_000 }).toBe(0);
    expect((await send('GET', '/v1/notifications')).json.notifications).toMatchObject([
      { alert: 'other', threshold: '100' },
      { alert: 'other', threshold: '80' },
    ]);
    expect((await send('DELETE', '/v1/alerts/broken')).status).toBe(204);
    expect((await send('GET', '/v1/alerts/other')).json).toEqual(other);
  });

  test('notifications are listed newest first, filtered and paged, and counted', async () => {
    const { send, evaluated, notifications } = await opened();
    await send('PUT', '/v1/alerts/spent', spent);
    await send('PUT', '/v1/alerts/all', { ...spent, by: [], thresholds: [100] });
    await send('POST', records, [sale('1', { amount: 8 }), sale('2', { amount: '9.9', customer: 'b' })]);
    await evaluated();
    await send('POST', records, sale('3', { amount: 2 }));
    await evaluated();
    const { notifications: all } = await notifications();
    expect(
      all.map(({ alert, key, threshold }: Record<string, string>) => `${alert} ${key} ${threshold}`).sort(),
    ).toEqual(['all  100', 'spent a 100', 'spent a 80', 'spent b 80']);
    expect(all[0]).toMatchObject({ alert: 'spent', key: 'a', threshold: '100', value: '10', percent: '100' });
    expect((await notifications('?alert=spent&key=b')).notifications).toMatchObject([{ value: '9.9' }]);
    expect((await notifications('?to=2020-01-01')).notifications).toEqual([]);
    const first = await notifications('?page_size=3');
    const second = await notifications(`?page_size=3&cursor=${first.next}`);
    expect([...first.notifications, ...second.notifications]).toEqual(all);
    const metrics = (await send('GET', '/metrics')).text;
    expect(metrics).toContain('tallybook_notifications_total{alert="spent",threshold="80"} 2');
    expect(metrics).toMatch(/tallybook_alert_evaluation_seconds_count [1-9]/);
    expect(metrics).toContain('tallybook_alert_lag_seconds 0');
  });

  test('a source that is bound to streams sees those alone', async () => {
    const { send, evaluated, tallybook } = await openApp(kind, {
      auth: true,
      streams: { sales, others: sales },
    }).then((opened) => ({
      ...opened,
      evaluated: () => expect.poll(() => opened.tallybook.evaluation.lagSeconds, { timeout: 10_000 }).toBe(0),
    }));
    const bounds = { origins: undefined, rateLimit: undefined };
    const admin = await tallybook.sources.create('admin', {
      ...bounds,
      scopes: ['admin'],
      streams: undefined,
    });
    const bound = await tallybook.sources.create('bound', {
      ...bounds,
      scopes: ['read'],
      streams: ['others'],
    });
    const as = (key: string) => ({ authorization: `Bearer ${key}` });
    await send('PUT', '/v1/alerts/spent', spent, as(admin.key));
    await send('POST', records, sale('1', { amount: 80 }), as(admin.key));
    await evaluated();
    expect(
      (await send('GET', '/v1/notifications', undefined, as(admin.key))).json.notifications,
    ).toHaveLength(2);
    expect((await send('GET', '/v1/notifications', undefined, as(bound.key))).json.notifications).toEqual([]);
    expect((await send('GET', '/v1/alerts', undefined, as(bound.key))).json.alerts).toEqual([]);
    expect((await send('GET', '/v1/alerts/spent', undefined, as(bound.key))).status).toBe(403);
  });

  test('server-sent events: what happens, and after a break what was missed', async () => {
    const { send, listen, evaluated } = await opened();
    await send('PUT', '/v1/alerts/spent', { ...spent, thresholds: [100] });
    await send('POST', records, sale('0', { amount: 10, customer: 'before' }));
    await evaluated();
    const url = `${await listen()}/v1/notifications/events`;
    const live = await follow(url);
    await send('POST', records, [sale('1', { amount: 10 }), sale('2', { amount: 10, customer: 'b' })]);
    await expect.poll(() => live.events().length, { timeout: 10_000 }).toBe(2);
    live.stop();
    const [first] = live.events();
    expect(first).toMatchObject({ event: 'notification', data: { alert: 'spent', key: 'a', value: '10' } });

    await send('POST', records, sale('3', { amount: 10, customer: 'c' }));
    const again = await follow(url, { 'last-event-id': first!.id });
    await expect
      .poll(() => again.events().map(({ data }) => data.key), { timeout: 10_000 })
      .toEqual(['b', 'c']);
    const others = await follow(`${url}?key=d`, { 'last-event-id': first!.id });
    await send('POST', records, [
      sale('4', { amount: 10, customer: 'e' }),
      sale('5', { amount: 10, customer: 'd' }),
    ]);
    await expect.poll(() => others.events().map(({ data }) => data.key), { timeout: 10_000 }).toEqual(['d']);
    again.stop();
    others.stop();
    expect((await send('GET', '/v1/notifications/events', undefined, { 'last-event-id': '!' })).status).toBe(
      400,
    );
  });
});
