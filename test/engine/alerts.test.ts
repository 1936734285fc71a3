/** Alerts: one notification for each key, period and threshold, whatever happens to the records. */
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { reaches } from '../../src/engine/alert-evaluation.ts';
import type { StreamDeclaration } from '../../src/engine/declaration.ts';
import { limits } from '../../src/engine/limits.ts';
import type { NotificationFilter } from '../../src/engine/notifications.ts';
import type { Delivery, Mode, Store } from '../../src/engine/store.ts';
import { type Log, Tallybook } from '../../src/engine/tallybook.ts';
import { makeDirectory, openStore, replaceVerbs, storeKinds } from '../http/open-app.ts';

const log: Log = { info() {}, warn() {}, error() {} };

const usage: StreamDeclaration = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    subscription: { type: 'text' },
    type: { type: 'text' },
    used: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
  rollups: { daily: { every: 'day', by: ['subscription', 'type'], sum: ['used'] } },
};
const subscriptions: StreamDeclaration = {
  id: 'id',
  fields: { id: { type: 'text', required: true }, plan: { type: 'text' }, allowance: { type: 'integer' } },
};
const plans: StreamDeclaration = {
  id: 'name',
  fields: {
    name: { type: 'text', required: true },
    data_available: { type: 'decimal', precision: 38, scale: 10 },
  },
};
const today = new Date().toISOString().slice(0, 10);
const month = `${today.slice(0, 7)}-01`;

const allowance = {
  stream: 'usage',
  measure: 'sum(used)',
  by: ['subscription'],
  period: 'month',
  limit: '1000',
};

describe.each(storeKinds)('alerts, %s', (kind) => {
  /** A ledger that can be closed and opened again. */
  async function books() {
    const directory = makeDirectory();
    let store: Store | undefined;
    const open = async (wrap: (store: Store) => Store = (store) => store) => {
      // The memory store would die with the Tallybook on it.
      if (kind !== 'memory' || !store) store = await openStore(kind, directory);
      const kept = kind === 'memory' ? replaceVerbs(store, { close: async () => undefined }) : store;
      const options = { store: wrap(kept), spoolDirectory: join(directory, 'spool'), log };
      const tallybook = await Tallybook.open(options);
      onTestFinished(() => tallybook.close());
      return ledgerOf(tallybook);
    };
    const first = await open();
    for (const [name, declaration] of Object.entries({ usage, subscriptions, plans }))
      await first.tallybook.streams.put(name, declaration);
    return { open, first };
  }

  function ledgerOf(tallybook: Tallybook) {
    const delivery = (stream: string, mode: Mode, records: unknown[]): Delivery => {
      const texts = records.map((record) => JSON.stringify(record));
      const content = { kind: 'texts' as const, texts, fallbackIds: texts.map(() => '') };
      return {
        stream: tallybook.streams.get(stream),
        mode,
        source: 't',
        reason: undefined,
        content,
        allVerdicts: false,
      };
    };
    const evaluated = () => expect.poll(() => tallybook.evaluation.lagSeconds, { timeout: 10_000 }).toBe(0);
    return {
      tallybook,
      delivery,
      evaluated,
      write: (stream: string, mode: Mode, ...records: unknown[]) =>
        tallybook.write(delivery(stream, mode, records)),
      /** What was told, oldest first: `key period threshold: value of limit`. */
      async told(filter: NotificationFilter = {}) {
        await evaluated();
        const page = { newestFirst: false, size: 1_000 };
        const { notifications } = await tallybook.notifications.list(filter, page);
        return notifications.map(
          ({ key, period, threshold, value, limit }) =>
            `${key} ${period.start} ${threshold}: ${value} of ${limit}`,
        );
      },
    };
  }
  const use = (id: string, subscription: string | null, used: string | number, more: object = {}) => ({
    id,
    subscription,
    used,
    at: `${today}T00:00:00Z`,
    type: 'data',
    ...more,
  });

  test('each threshold is told once for a key and a period: not again after a repeat, a correction or a restart', async () => {
    const { open, first } = await books();
    await first.tallybook.alerts.put('allowance', allowance);
    await first.write('usage', 'insert', use('1', 'a', '799.99'), use('2', 'b', 5));
    expect(await first.told()).toEqual([]);
    await first.write('usage', 'insert', use('3', 'a', '0.01'));
    expect(await first.told()).toEqual([`a ${month} 80: 800 of 1000`]);
    await first.write('usage', 'insert', use('3', 'a', '0.01'), use('4', 'a', 100));
    await first.write('usage', 'upsert', use('4', 'a', 1));
    await first.write('usage', 'upsert', use('4', 'a', 200));
    const both = [`a ${month} 80: 800 of 1000`, `a ${month} 100: 1000 of 1000`];
    expect(await first.told()).toEqual(both);
    await first.write('usage', 'retract', '1');
    await first.write('usage', 'insert', use('5', 'a', 5_000));
    expect(await first.told()).toEqual(both);
    await first.tallybook.close();

    const second = await open();
    await second.write('usage', 'insert', use('6', 'a', 5_000));
    expect(await second.told()).toEqual(both);
    // The next period is another one.
    await second.write('usage', 'insert', use('7', 'a', 5_000, { at: '2031-03-05T12:00:00Z' }));
    expect(await second.told()).toEqual([
      ...both,
      'a 2031-03-01 80: 5000 of 1000',
      'a 2031-03-01 100: 5000 of 1000',
    ]);
    const { rows } = await second.tallybook.ask('usage', { measures: ['count'] });
    expect(rows).toEqual([[6]]);
    expect((await second.tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
  });

  test('a notification says what was watched, for which key and period, and by how much', async () => {
    const { first } = await books();
    await first.tallybook.alerts.put('day', {
      ...allowance,
      by: ['subscription', 'type'],
      period: 'day',
      tz: 'Europe/Madrid',
      thresholds: ['120.5'],
    });
    await first.write('usage', 'insert', use('1', 'a', '1234.56', { at: '2026-10-25T10:00:00Z' }));
    await first.evaluated();
    const { notifications } = await first.tallybook.notifications.list({}, {});
    expect(notifications).toEqual([
      {
        seq: expect.any(String),
        id: expect.stringMatching(/^n_[0-9a-f]{32}$/),
        at: expect.stringMatching(/^\d{4}-.*Z$/),
        alert: 'day',
        revision: 1,
        stream: 'usage',
        measure: 'sum(used)',
        key: 'a,data',
        dimensions: { subscription: 'a', type: 'data' },
        period: {
          every: 'day',
          tz: 'Europe/Madrid',
          start: '2026-10-25',
          // The clocks go back on this day: it has 25 hours.
          from: '2026-10-24T22:00:00.000000Z',
          to: '2026-10-25T23:00:00.000000Z',
        },
        threshold: '120.5',
        limit: '1000',
        value: '1234.56',
        percent: '123.45',
      },
    ]);
    expect(await first.tallybook.notifications.find(notifications[0]!.id)).toEqual(notifications[0]);
  });

  test('a jump over both thresholds tells both, the lower first; a key with no value in a dimension is a key', async () => {
    const { first } = await books();
    await first.tallybook.alerts.put('allowance', { ...allowance, thresholds: [100, 80, 100] });
    await first.write('usage', 'insert', use('1', null, 1200));
    expect(await first.told()).toEqual([` ${month} 80: 1200 of 1000`, ` ${month} 100: 1200 of 1000`]);
  });

  test('late records are told for their period; what was there before the alert only from the current period on', async () => {
    const { first } = await books();
    const before = { at: '2026-02-10T00:00:00Z' };
    await first.write('usage', 'insert', use('1', 'a', 5_000, before), use('2', 'b', 5_000));
    await first.tallybook.alerts.put('allowance', { ...allowance, thresholds: [100] });
    expect(await first.told()).toEqual([`b ${month} 100: 5000 of 1000`]);
    await first.write('usage', 'insert', use('3', 'c', 2_000, { at: '2026-03-01T00:00:00Z' }));
    await first.write('usage', 'insert', use('4', 'c', 1, { at: '2026-02-01T00:00:00Z' }), use('5', 'c', 1));
    expect(await first.told()).toEqual([`b ${month} 100: 5000 of 1000`, 'c 2026-03-01 100: 2000 of 1000']);
  });

  test('a correction that moves a record to another key and period is told there', async () => {
    const { first } = await books();
    await first.tallybook.alerts.put('allowance', { ...allowance, thresholds: [100] });
    await first.write('usage', 'insert', use('1', 'a', 600), use('2', 'a', 300), use('3', 'b', 500));
    expect(await first.told()).toEqual([]);
    await first.write('usage', 'upsert', use('1', 'b', 600));
    expect(await first.told()).toEqual([`b ${month} 100: 1100 of 1000`]);
    await first.write('usage', 'upsert', use('2', 'a', 1000, { at: '2031-01-31T23:59:59Z' }));
    expect((await first.told()).slice(1)).toEqual(['a 2031-01-01 100: 1000 of 1000']);
  });

  test('a limit is found through reference records, and a limit that changes is told from the current period on', async () => {
    const { first } = await books();
    await first.write(
      'plans',
      'upsert',
      { name: 'small', data_available: '100' },
      { name: 'large', data_available: 1000 },
      { name: 'open' },
    );
    await first.write(
      'subscriptions',
      'upsert',
      { id: 'a', plan: 'small', allowance: 50 },
      { id: 'b', plan: 'large' },
      { id: 'c', plan: 'open' },
      { id: 'd', plan: 'gone' },
    );
    const path = ['subscriptions.plan', 'plans.data_available'];
    await first.tallybook.alerts.put('plan', {
      ...allowance,
      thresholds: [80],
      limit: { of: 'subscription', path },
    });
    const own = { of: 'subscription', path: ['subscriptions.allowance'] };
    await first.tallybook.alerts.put('own', { ...allowance, thresholds: [100], limit: own });
    const past = { at: '2026-02-10T00:00:00Z' };
    await first.write(
      'usage',
      'insert',
      ...['a', 'b', 'c', 'd', 'e'].flatMap((key) => [use(key, key, 80), use(`${key}0`, key, 80, past)]),
      use('n', null, 1e6),
    );
    expect((await first.told({ alert: 'plan' })).sort()).toEqual(
      ['a 2026-02-01 80: 80 of 100', `a ${month} 80: 80 of 100`].sort(),
    );
    expect((await first.told({ alert: 'own' })).sort()).toEqual(
      ['a 2026-02-01 100: 80 of 50', `a ${month} 100: 80 of 50`].sort(),
    );

    // b moves to the small plan; the plan open gets a bound; d's plan appears.
    await first.write('subscriptions', 'upsert', { id: 'b', plan: 'small' });
    expect((await first.told({ alert: 'plan' })).slice(2)).toEqual([`b ${month} 80: 80 of 100`]);
    await first.write(
      'plans',
      'upsert',
      { name: 'open', data_available: '90.5' },
      { name: 'gone', data_available: 0 },
    );
    expect((await first.told({ alert: 'plan' })).slice(3).sort()).toEqual([
      `c ${month} 80: 80 of 90.5`,
      `d ${month} 80: 80 of 0`,
    ]);
    expect(await first.told({ alert: 'own' })).toHaveLength(2);
  });

  test('a definition that watches another figure tells anew, new thresholds only add', async () => {
    const { first } = await books();
    const { alerts } = first.tallybook;
    await first.write('usage', 'insert', use('1', 'a', 900), use('2', 'b', 100));
    expect(await alerts.put('allowance', allowance)).toMatchObject({ created: true, alert: { revision: 1 } });
    const told = [`a ${month} 80: 900 of 1000`];
    expect(await first.told()).toEqual(told);
    await alerts.put('allowance', {
      ...allowance,
      thresholds: ['80.0', 90, 100],
      description: 'with one more',
    });
    told.push(`a ${month} 90: 900 of 1000`);
    expect(await first.told()).toEqual(told);
    expect(await alerts.put('allowance', { ...allowance, limit: 100 })).toMatchObject({
      alert: { revision: 2 },
    });
    expect(await first.told()).toHaveLength(6);
    await alerts.remove('allowance');
    await first.write('usage', 'insert', use('3', 'c', 900));
    expect(await first.told()).toHaveLength(6);
    expect(await alerts.put('allowance', { ...allowance, limit: 100 })).toMatchObject({
      alert: { revision: 3 },
    });
    expect(await first.told()).toHaveLength(12);
    await alerts.put('allowance', { ...allowance, limit: 100, enabled: false });
    await first.write('usage', 'insert', use('4', 'd', 900));
    expect(await first.told()).toHaveLength(12);
    await alerts.put('allowance', { ...allowance, limit: 100, enabled: true });
    expect(await first.told()).toHaveLength(14);
  });

  test('other measures, filters, and the rate of rejects', async () => {
    const { first } = await books();
    const { alerts } = first.tallybook;
    const one = { stream: 'usage', period: 'all', thresholds: [100], limit: 3 };
    await alerts.put('records', { ...one, measure: 'count', where: { type: 'voice' } });
    await alerts.put('distinct', { ...one, measure: 'count_distinct(subscription)' });
    await alerts.put('largest', { ...one, measure: 'max(used)', by: ['type'] });
    await alerts.put('average', { ...one, measure: 'avg(used)', limit: '2.5' });
    await alerts.put('rejects', {
      ...one,
      stream: '_rejects',
      measure: 'count',
      by: ['source'],
      period: 'day',
      limit: 2,
    });
    await first.write(
      'usage',
      'insert',
      use('1', 'a', 3),
      use('2', 'b', 1, { type: 'voice' }),
      use('3', 'a', 2, { type: 'voice' }),
    );
    expect(await first.told()).toEqual(['data null 100: 3 of 3']);
    await first.write(
      'usage',
      'insert',
      use('4', 'c', 3, { type: 'voice' }),
      use('5', 'c', 'x'),
      use('6', 'c', 'y'),
    );
    expect((await first.told()).slice(1).sort()).toEqual([
      ' null 100: 3 of 3',
      ' null 100: 3 of 3',
      `t ${today} 100: 2 of 2`,
      'voice null 100: 3 of 3',
    ]);
    await first.write('usage', 'insert', use('7', 'c', 10));
    expect(await first.told({ alert: 'average' })).toEqual([' null 100: 3.8 of 2.5']);
  });

  test('what was committed and not evaluated when the process died is told at the next start', async () => {
    const { open, first } = await books();
    await first.tallybook.alerts.put('allowance', { ...allowance, thresholds: [100] });
    await first.write('usage', 'insert', use('1', 'a', 10));
    await first.told();
    await first.tallybook.close();
    // A process that commits, and dies before it evaluates: it never comes to the books again.
    let store!: Store;
    const dying = await open((opened) => {
      store = opened;
      return opened;
    });
    await dying.told();
    await store.publish([
      dying.delivery('usage', 'insert', [
        use('2', 'a', 990),
        use('3', 'b', 2000, { at: '2026-01-31T00:00:00Z' }),
      ]),
    ]);
    expect(await dying.told()).toEqual([]);
    await dying.tallybook.close();
    const next = await open();
    expect((await next.told()).sort()).toEqual(
      ['b 2026-01-01 100: 2000 of 1000', `a ${month} 100: 1000 of 1000`].sort(),
    );
  });

  test('more keys at once than are looked up one by one: all that reach a threshold, and no others', async () => {
    const { first } = await books();
    await first.write('usage', 'insert', use('old', 'old', 5_000, { at: '2026-02-02T00:00:00Z' }));
    await first.tallybook.alerts.put('allowance', { ...allowance, thresholds: [100] });
    await first.evaluated();
    const many = Array.from({ length: limits.alert_keys + 5 }, (_, n) =>
      use(`k${n}`, `k${n}`, n % 4_000 === 1 ? 1_000 : 999, {
        at: n === 1 ? '2026-01-05T00:00:00Z' : `${today}T00:00:00Z`,
      }),
    );
    await first.write('usage', 'insert', ...many);
    expect((await first.told()).sort()).toEqual(
      [
        'k1 2026-01-01 100: 1000 of 1000',
        `k4001 ${month} 100: 1000 of 1000`,
        `k8001 ${month} 100: 1000 of 1000`,
      ].sort(),
    );
  }, 60_000);

  test('an alert that cannot be evaluated says why, and the others go on', async () => {
    const { first } = await books();
    const { alerts, streams, evaluation } = first.tallybook;
    await alerts.put('largest', { ...allowance, measure: 'max(used)', period: 'all' });
    await alerts.put('allowance', { ...allowance, thresholds: [100] });
    await streams.put('usage', { ...usage, retention: { records: '30 days' } });
    await first.tallybook.compact();
    await first.write('usage', 'insert', use('1', 'a', 5_000));
    expect(await first.told()).toEqual([`a ${month} 100: 5000 of 1000`]);
    expect(evaluation.stateOf(alerts.get('largest'))).toEqual({
      from: 'ledger',
      fault: expect.stringContaining('have been dropped'),
    });
    expect(evaluation.stateOf(alerts.get('allowance'))).toEqual({ from: 'rollup daily', fault: null });
    await expect(
      alerts.put('largest', { ...allowance, measure: 'max(used)', period: 'all', limit: 5 }),
    ).rejects.toMatchObject({ code: 'bad_alert' });
  });

  test.skipIf(kind === 'clickhouse')(
    'an average that there is none of for one key keeps no other from being told',
    async () => {
      const { first } = await books();
      const { alerts, streams, evaluation } = first.tallybook;
      await streams.put('large', {
        id: 'id',
        fields: {
          id: { type: 'text', required: true },
          key: { type: 'text', required: true },
          amount: { type: 'decimal', precision: 38, scale: 0, required: true },
        },
      });
      const watched = { stream: 'large', measure: 'avg(amount)', by: ['key'], period: 'all', limit: '10' };
      await alerts.put('large', { ...watched, thresholds: [100] });
      await first.evaluated();
      const amount = '9'.repeat(38);
      await first.write('large', 'insert', { id: '1', key: 'a', amount }, { id: '2', key: 'a', amount });
      expect(await first.told()).toEqual([]);
      expect(evaluation.stateOf(alerts.get('large')).fault).toContain('38 digits');
      await first.write('large', 'insert', { id: '3', key: 'b', amount: 10 });
      expect(await first.told()).toEqual(['b null 100: 10 of 10']);
    },
  );

  test('an alert whose limit can no longer be found says why, and is held against everything when it can again', async () => {
    const { first } = await books();
    const { alerts, streams, evaluation } = first.tallybook;
    const dated: StreamDeclaration = {
      id: 'id',
      time: 'at',
      fields: {
        id: { type: 'text', required: true },
        at: { type: 'timestamp', required: true },
        allowance: { type: 'integer' },
      },
    };
    await streams.put('dated', dated);
    await alerts.put('planned', {
      ...allowance,
      thresholds: [100],
      limit: { of: 'subscription', path: ['dated.allowance'] },
    });
    await alerts.put('allowance', { ...allowance, thresholds: [100] });
    await first.write('dated', 'insert', { id: 'a', at: `${today}T00:00:00Z`, allowance: 10 });
    await streams.put('dated', { ...dated, retention: { records: '3000 days' } });
    const state = () => evaluation.stateOf(alerts.get('planned'));
    expect(state()).toEqual({ from: null, fault: expect.stringContaining('drops its records in time') });
    await first.write('usage', 'insert', use('1', 'a', 2_000));
    expect(await first.told()).toEqual([`a ${month} 100: 2000 of 1000`]);
    await streams.put('dated', dated);
    expect(await first.told({ alert: 'planned' })).toEqual([`a ${month} 100: 2000 of 10`]);
    expect(state()).toEqual({ from: 'rollup daily', fault: null });
  });

  test('what cannot be used is refused, with what to change', async () => {
    const { first } = await books();
    const way = (...path: string[]) => ({ of: 'subscription', path });
    const wrong: [change: object, message: string | RegExp, code?: string][] = [
      [{ stream: 'nope' }, 'there is no stream nope; the streams are', 'unknown_stream'],
      [{ measure: 'sum(nope)' }, 'has no field nope; its fields are id, at'],
      [{ measure: 'max(type)' }, 'max(type) is a text'],
      [{ measure: 'median(used)' }, 'is no measure; expected count'],
      [{ by: ['nope'] }, 'has no field nope'],
      [{ where: { type: { above: 1 } } }, /where/],
      [{ period: 'year' }, /period/],
      [{ tz: 'Mars/Base' }, 'expected a time zone'],
      [{ thresholds: [0] }, 'a threshold is 0; expected a number above zero'],
      [{ thresholds: [] }, /thresholds/],
      [{ limit: '-5' }, 'limit is -5'],
      [{ limit: 'much' }, 'limit is much'],
      [
        { limit: { of: 'type', path: ['subscriptions.allowance'] } },
        'expected one of the dimensions of "by": subscription',
      ],
      [{ limit: way('nope.plan') }, 'there is no stream nope', 'unknown_stream'],
      [{ limit: way('subscriptions.nope') }, 'the stream subscriptions has no field nope'],
      [
        { limit: way('subscriptions.plan') },
        'ends at subscriptions.plan, a text; expected an integer or a decimal',
      ],
      [
        { limit: way('subscriptions.allowance', 'plans.data_available') },
        'subscriptions.allowance is a integer, the id of plans a text',
      ],
      [{ limit: way('subscriptions') }, 'expected stream.field'],
      [{ more: 1 }, 'more'],
    ];
    for (const [change, message, code = 'bad_alert'] of wrong) {
      const refused = first.tallybook.alerts.put('a', { ...allowance, ...change });
      await expect.soft(refused, JSON.stringify(change)).rejects.toMatchObject({
        code,
        message:
          typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
      });
    }
    await expect(first.tallybook.alerts.put('A!', allowance)).rejects.toMatchObject({ code: 'bad_alert' });
    await first.tallybook.streams.put('brief', { ...usage, retention: { records: '30 days' } });
    const kept = { ...allowance, stream: 'brief' };
    await first.tallybook.alerts.put('kept', kept);
    await expect(first.tallybook.alerts.put('lost', { ...kept, measure: 'max(used)' })).rejects.toMatchObject(
      {
        message: expect.stringContaining('no rollup keeps max(used) by subscription for every month'),
      },
    );
    expect(first.tallybook.alerts.list().map(({ name }) => name)).toEqual(['kept']);
  });
});

test('a threshold is reached at exactly its share of the limit, to the last digit', () => {
  const cases: [value: string, limit: string, threshold: string, reached: boolean][] = [
    ['800', '1000', '80', true],
    ['799.9999999999', '1000', '80', false],
    ['0.1', '0.1', '100', true],
    ['9007199254740992', '9007199254740993', '100', false],
    ['99999999999999999999999999999999999999', '99999999999999999999999999999999999999', '100', true],
    ['99999999999999999999999999999999999998', '99999999999999999999999999999999999999', '100', false],
    ['33.4', '100', '33.4', true],
    ['0', '0', '80', false],
    ['0.01', '0', '80', true],
    ['-5', '1', '80', false],
  ];
  expect(cases.map(([value, limit, threshold]) => reaches(value, limit, threshold))).toEqual(
    cases.map(([, , , reached]) => reached),
  );
});
