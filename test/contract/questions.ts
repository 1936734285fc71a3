/** Chapter: answers. Small ledgers, questions, and the rows that must come out, in their order. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { AskedQuestion } from '../../src/engine/question.ts';
import type { Answer } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { onFreshStore, rule, type StoreUnderTest, Trial } from './harness.ts';

const orders = defineStream('orders', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    name: { type: 'text' },
    amount: { type: 'decimal', precision: 18, scale: 2 },
    wide: { type: 'decimal', precision: 38, scale: 10 },
    n: { type: 'integer' },
    paid: { type: 'boolean' },
    due: { type: 'date' },
    ref: { type: 'uuid' },
    data: { type: 'json' },
  },
  rollups: {
    names: { every: 'all', by: ['name', 'paid'], sum: ['amount', 'n', 'wide'] },
    dues: { every: 'day', by: ['due', 'ref'], sum: ['amount'] },
  },
});

const u = (digit: string): string => '00000000-0000-4000-8000-000000000000'.replaceAll('0', digit);

/** In order of arrival. What is left out is null. */
const records: Record<string, unknown>[] = [
  {
    id: '1',
    at: '2026-03-01T10:00:00Z',
    name: 'Zoë',
    amount: '1.50',
    n: 5,
    paid: true,
    due: '2026-03-02',
    ref: u('a'),
    data: { a: 1 },
  },
  {
    id: '2',
    at: '2026-03-01T11:00:00Z',
    name: 'ann',
    amount: '-2.25',
    n: -7,
    paid: false,
    due: '2026-03-02',
    data: { a: '1' },
  },
  {
    id: '3',
    at: '2026-03-02T00:00:00Z',
    name: 'Ann',
    amount: '10',
    n: 5,
    paid: true,
    due: '2025-12-31',
    ref: u('1'),
    data: { a: null },
  },
  { id: '4', at: '2026-03-31T23:59:59.999999Z', n: 0, data: { a: { b: [1, 'x'] } } },
  { id: '5', at: '2026-04-01T00:00:00Z', name: 'ann', paid: true, ref: u('f'), data: { a: true } },
  { id: '6', at: '2026-12-31T12:00:00Z', name: '', amount: '0', wide: '0.1', data: {} },
  { id: '7', at: '2027-01-01T00:00:00Z', name: '100%_sure', wide: '0.2' },
];

const cases: [title: string, asked: AskedQuestion, rows: Answer['rows']][] = [
  ['everything', {}, [[7]]],
  [
    'every measure',
    {
      measures: [
        'count',
        'sum(amount)',
        'min(amount)',
        'max(amount)',
        'avg(amount)',
        'count_distinct(amount)',
      ],
    },
    [[7, '9.25', '-2.25', '10', '2.3125', 4]],
  ],
  [
    'measures of integers',
    { measures: ['sum(n)', 'avg(n)', 'min(n)', 'max(n)', 'count_distinct(n)'] },
    [['3', '0.75', '-7', '5', 3]],
  ],
  ['sums of decimals are no floats', { measures: ['sum(wide)', 'avg(wide)'] }, [['0.3', '0.15']]],
  [
    'an average is rounded half away from zero',
    { measures: ['avg(amount)'], where: { id: ['1', '2', '6'] } },
    [['-0.25']],
  ],
  [
    'a third',
    { measures: ['avg(n)', 'avg(amount)'], where: { id: { in: ['1', '3', '4'] } } },
    [['3.333333', '5.75']],
  ],
  ['two thirds below zero', { measures: ['avg(n)'], where: { id: ['2', '4', '1'] } }, [['-0.666667']]],
  [
    'smallest and largest of other types',
    { measures: ['min(name)', 'max(name)', 'min(due)', 'max(at)', 'min(ref)', 'max(ref)'] },
    [['', 'ann', '2025-12-31', '2027-01-01T00:00:00.000000Z', u('1'), u('f')]],
  ],
  [
    'distinct values',
    {
      measures: [
        'count_distinct(name)',
        'count_distinct(paid)',
        'count_distinct(ref)',
        'count_distinct(due)',
        'count_distinct(at)',
      ],
    },
    [[5, 2, 3, 2, 7]],
  ],
  [
    'of nothing',
    {
      measures: ['count', 'sum(amount)', 'min(n)', 'max(name)', 'avg(n)', 'count_distinct(n)'],
      where: { id: 'none' },
    },
    [[0, '0', null, null, null, 0]],
  ],
  [
    'of nothing, by a rollup',
    { measures: ['count', 'sum(amount)', 'sum(wide)', 'sum(n)'], where: { name: 'none' } },
    [[0, '0', '0', '0']],
  ],
  ['of nothing, split', { by: ['name'], where: { id: 'none' } }, []],
  ['of nothing, by bucket', { every: 'day', where: { id: 'none' } }, []],
  [
    'of nulls',
    { measures: ['sum(amount)', 'avg(amount)', 'min(amount)', 'count'], where: { id: '5' } },
    [['0', null, null, 1]],
  ],
  [
    'text in the order of its bytes, nulls last',
    { by: ['name'] },
    [
      ['', 1],
      ['100%_sure', 1],
      ['Ann', 1],
      ['Zoë', 1],
      ['ann', 2],
      [null, 1],
    ],
  ],
  [
    'descending, nulls last as well',
    { by: ['name'], order: ['-name'] },
    [
      ['ann', 2],
      ['Zoë', 1],
      ['Ann', 1],
      ['100%_sure', 1],
      ['', 1],
      [null, 1],
    ],
  ],
  [
    'booleans',
    { by: ['paid'] },
    [
      [false, 1],
      [true, 3],
      [null, 3],
    ],
  ],
  [
    'dates and uuids',
    { by: ['due', 'ref'], where: { id: ['1', '2', '3', '5'] } },
    [
      ['2025-12-31', u('1'), 1],
      ['2026-03-02', u('a'), 1],
      ['2026-03-02', null, 1],
      [null, u('f'), 1],
    ],
  ],
  [
    'decimals by value',
    { by: ['amount'], where: { amount: { ne: null } } },
    [
      ['-2.25', 1],
      ['0', 1],
      ['1.5', 1],
      ['10', 1],
    ],
  ],
  [
    'integers by value',
    { by: ['n'], order: ['-n'] },
    [
      ['5', 2],
      ['0', 1],
      ['-7', 1],
      [null, 3],
    ],
  ],
  ['timestamps', { by: ['at'], where: { id: '4' } }, [['2026-03-31T23:59:59.999999Z', 1]]],
  [
    'by a measure, ties by dimension',
    { by: ['name'], measures: ['sum(amount)', 'count'], order: ['-sum(amount)'] },
    [
      ['Ann', '10', 1],
      ['Zoë', '1.5', 1],
      ['', '0', 1],
      ['100%_sure', '0', 1],
      [null, '0', 1],
      ['ann', '-2.25', 2],
    ],
  ],
  [
    'by an average that may be null',
    { by: ['name'], measures: ['avg(n)'], order: ['-avg(n)', '-name'] },
    [
      ['Zoë', '5'],
      ['Ann', '5'],
      [null, '0'],
      ['ann', '-7'],
      ['100%_sure', null],
      ['', null],
    ],
  ],
  ['eq', { where: { name: 'ann' } }, [[2]]],
  ['eq with the empty text', { where: { name: '' } }, [[1]]],
  ['ne counts nulls', { where: { name: { ne: 'ann' } } }, [[5]]],
  ['is null', { where: { name: null } }, [[1]]],
  ['is not null', { where: { name: { ne: null } } }, [[6]]],
  ['in', { where: { name: ['ann', 'Ann', 'nobody'] } }, [[3]]],
  ['in nothing', { where: { name: { in: [] } } }, [[0]]],
  ['gt and lt on text', { where: { name: { gt: 'Ann', lt: 'ann' } } }, [[1]]],
  ['gte and lte on numbers', { where: { amount: { gte: '-2.25', lte: '1.5' } } }, [[3]]],
  ['a number however it is written', { where: { amount: '15e-1', n: 5.0 } }, [[1]]],
  ['beyond what the field holds', { where: { n: { gt: '9223372036854775806' } } }, [[0]]],
  ['gt on dates', { where: { due: { gt: '2025-12-31' } } }, [[2]]],
  ['eq on uuids, whatever the case', { where: { ref: u('a').toUpperCase() } }, [[1]]],
  ['eq on booleans', { where: { paid: true } }, [[3]]],
  ['ne on booleans', { where: { paid: { ne: true } } }, [[4]]],
  ['several conditions', { where: { paid: true, name: { ne: 'Ann' }, n: { gte: 0 } } }, [[1]]],
  ['like', { where: { name: { like: 'a%' } } }, [[2]]],
  ['like, one character', { where: { name: { like: 'Zo_' } } }, [[1]]],
  ['like, nothing escapes', { where: { name: { like: '100%_sure' } } }, [[1]]],
  ['like, a backslash is a character', { where: { name: { like: '100\\%%' } } }, [[0]]],
  ['like the empty text', { where: { name: { like: '' } } }, [[1]]],
  ['like %', { where: { name: { like: '%' } } }, [[6]]],
  [
    'a path',
    { by: ['data.a'] },
    [
      ['1', 2],
      ['true', 1],
      ['{"b":[1,"x"]}', 1],
      [null, 3],
    ],
  ],
  ['a deeper path', { by: ['data.a.b.1'], where: { 'data.a.b.1': { ne: null } } }, [['x', 1]]],
  ['a condition on a path', { where: { 'data.a': '1' } }, [[2]]],
  ['a path that is null or not there', { where: { 'data.a': null } }, [[3]]],
  ['paths compare as text', { where: { 'data.a': { gt: '1' } } }, [[2]]],
  ['like on a path', { where: { 'data.a': { like: 't%' } } }, [[1]]],
  ['from and to', { from: '2026-03-01T11:00:00Z', to: '2026-04-01' }, [[3]]],
  [
    'to the last microsecond',
    { from: '2026-03-31T23:59:59.999999Z', to: '2026-04-01T00:00:00.000001Z' },
    [[2]],
  ],
  ['from and to are the same', { from: '2026-04-01', to: '2026-04-01' }, [[0]]],
  [
    'by day',
    { every: 'day', measures: ['count'], to: '2026-04-02' },
    [
      ['2026-03-01', 2],
      ['2026-03-02', 1],
      ['2026-03-31', 1],
      ['2026-04-01', 1],
    ],
  ],
  [
    'by hour',
    { every: 'hour', to: '2026-03-02' },
    [
      ['2026-03-01T10:00:00Z', 1],
      ['2026-03-01T11:00:00Z', 1],
    ],
  ],
  [
    'by week, from Monday',
    { every: 'week' },
    [
      ['2026-02-23', 2],
      ['2026-03-02', 1],
      ['2026-03-30', 2],
      ['2026-12-28', 2],
    ],
  ],
  [
    'by month, newest first',
    { every: 'month', order: ['-month'] },
    [
      ['2027-01-01', 1],
      ['2026-12-01', 1],
      ['2026-04-01', 1],
      ['2026-03-01', 4],
    ],
  ],
  [
    'by quarter',
    { every: 'quarter' },
    [
      ['2026-01-01', 4],
      ['2026-04-01', 1],
      ['2026-10-01', 1],
      ['2027-01-01', 1],
    ],
  ],
  [
    'by year',
    { every: 'year' },
    [
      ['2026-01-01', 6],
      ['2027-01-01', 1],
    ],
  ],
  [
    'by bucket and dimension',
    { every: 'year', by: ['paid'] },
    [
      [false, '2026-01-01', 1],
      [true, '2026-01-01', 3],
      [null, '2026-01-01', 2],
      [null, '2027-01-01', 1],
    ],
  ],
  [
    'having',
    { by: ['name'], measures: ['count', 'sum(n)'], having: { count: { gt: 1 } } },
    [['ann', 2, '-7']],
  ],
  [
    'having, with decimals',
    { by: ['name'], measures: ['sum(amount)'], having: { 'sum(amount)': { gte: 1.5, lt: '10.0' } } },
    [['Zoë', '1.5']],
  ],
  [
    'having in',
    { by: ['name'], measures: ['sum(n)'], having: { 'sum(n)': ['5', 0] }, where: { n: { ne: null } } },
    [
      ['Ann', '5'],
      ['Zoë', '5'],
      [null, '0'],
    ],
  ],
  [
    'having an average',
    { by: ['name'], measures: ['avg(n)'], having: { 'avg(n)': { lte: '-6.5' } } },
    [['ann', '-7']],
  ],
  [
    'having the rounded average',
    { measures: ['avg(n)'], where: { id: ['1', '3', '4'] }, having: { 'avg(n)': '3.333333' } },
    [['3.333333']],
  ],
  [
    'having ne takes what is null',
    { by: ['name'], measures: ['max(n)'], having: { 'max(n)': { ne: 5 } } },
    [
      ['', null],
      ['100%_sure', null],
      ['ann', '-7'],
      [null, '0'],
    ],
  ],
  [
    'having on text',
    { by: ['paid'], measures: ['max(name)'], having: { 'max(name)': { gt: 'Zoë' } } },
    [
      [false, 'ann'],
      [true, 'ann'],
    ],
  ],
  ['having, on all of it', { having: { count: { gt: 7 } } }, []],
  [
    'limit',
    { by: ['name'], limit: 2, order: ['-count'] },
    [
      ['ann', 2],
      ['', 1],
    ],
  ],
];

export function questionsChapter(under: StoreUnderTest): void {
  describe('questions', () => {
    let trial: Trial;
    beforeAll(async () => {
      trial = await Trial.open(under, orders);
      // Some arrive wrong and are corrected, one is taken back: answers are of what stands.
      const wrong = records.map((record, n) =>
        n % 3 === 0 ? { ...record, name: 'wrong', amount: '99', n: 99 } : record,
      );
      await trial.insert(orders, ...wrong, { ...records[0], id: 'gone' });
      await trial.upsert(orders, ...records);
      await trial.retract(orders, 'gone');
    });
    afterAll(() => trial.close());

    for (const [title, asked, rows] of cases) {
      rule(under, title, async () => {
        expect(await trial.rows(orders, asked)).toEqual(rows);
        expect(await trial.rows(orders, asked, 'ledger'), 'of the ledger').toEqual(rows);
      });
    }

    rule(
      under,
      'an answer says where it comes from, how far it reaches, and whether there is more',
      async () => {
        const answer = await trial.ask(orders, { by: ['name'], measures: ['sum(amount)'], limit: 6 });
        expect(answer).toMatchObject({
          from: 'rollup names',
          as_of: { batch: 3, recorded_at: '2026-10-05T06:00:03.000000Z' },
          more: false,
        });
        expect((await trial.ask(orders, { by: ['name'], limit: 5 })).more).toBe(true);
        expect((await trial.ask(orders, {}, 'ledger')).from).toBe('ledger');
        const known = await trial.ask(orders, { known_at: '2026-10-05T06:00:02.500000Z' });
        expect(known).toMatchObject({
          rows: [[8]],
          from: 'ledger',
          as_of: { batch: 2, recorded_at: '2026-10-05T06:00:02.000000Z' },
        });
        expect((await trial.ask(orders, { known_at: '2026-10-05T06:00:00Z' })).rows).toEqual([[0]]);
      },
    );

    rule(
      under,
      'columns are the dimensions, the bucket and the measures as they were asked, each of one type',
      async () => {
        const asked: AskedQuestion = {
          by: ['name', 'paid', 'data.a', 'amount'],
          every: 'hour',
          measures: ['max(at)', 'count', 'sum(n)', 'avg(n)', 'count_distinct(name)', 'min(ref)', 'sum(wide)'],
        };
        expect((await trial.ask(orders, asked)).columns).toEqual([
          { name: 'name', type: 'text' },
          { name: 'paid', type: 'boolean' },
          { name: 'data.a', type: 'text' },
          { name: 'amount', type: 'decimal' },
          { name: 'hour', type: 'timestamp' },
          { name: 'max(at)', type: 'timestamp' },
          { name: 'count', type: 'count' },
          { name: 'sum(n)', type: 'integer' },
          { name: 'avg(n)', type: 'decimal' },
          { name: 'count_distinct(name)', type: 'count' },
          { name: 'min(ref)', type: 'uuid' },
          { name: 'sum(wide)', type: 'decimal' },
        ]);
        expect((await trial.ask(orders, { every: 'day' })).columns[0]).toEqual({ name: 'day', type: 'date' });
      },
    );

    rule(under, 'a ledger with nothing in it', () =>
      onFreshStore(under, [orders], async (trial) => {
        const answer = await trial.ask(orders, { measures: ['count', 'sum(amount)', 'avg(n)'] });
        expect(answer.rows).toEqual([[0, '0', null]]);
        expect(answer.as_of).toEqual({ batch: 0, recorded_at: '1970-01-01T00:00:00.000000Z' });
        expect(await trial.rows(orders, { by: ['name'], every: 'day' })).toEqual([]);
        await trial.verified();
      }),
    );

    rule(under, 'sums run beyond 64 bits, and beyond 38 digits they are an error', () =>
      onFreshStore(under, [big], async (trial) => {
        const max = '9223372036854775807';
        const nines = '9'.repeat(38);
        await trial.insert(
          big,
          { id: 'a', k: 'x', n: max, w: nines },
          { id: 'b', k: 'x', n: max, w: `-${nines}` },
          { id: 'c', k: 'y', n: max, w: nines },
        );
        for (const of of ['planned', 'ledger'] as const) {
          expect(await trial.rows(big, { measures: ['sum(n)'] }, of)).toEqual([['27670116110564327421']]);
          expect(await trial.rows(big, { measures: ['sum(w)'], by: ['k'] }, of)).toEqual([
            ['x', '0'],
            ['y', nines],
          ]);
        }
        expect(await trial.rows(big, { measures: ['avg(n)', 'max(w)'], where: { k: 'y' } })).toEqual([
          [max, nines],
        ]);
        await trial.insert(big, { id: 'd', k: 'y', n: max, w: nines });
        for (const of of ['planned', 'ledger'] as const) {
          await expect(trial.ask(big, { measures: ['sum(w)'] }, of)).rejects.toMatchObject({
            code: 'sum_out_of_range',
          });
        }
        await trial.upsert(big, { id: 'd', k: 'y', n: -1, w: -1 });
        expect(await trial.rows(big, { measures: ['sum(w)', 'sum(n)'], by: ['k'] })).toEqual([
          ['x', '0', '18446744073709551614'],
          ['y', `${'9'.repeat(37)}8`, '9223372036854775806'],
        ]);
        await trial.verified();
      }),
    );

    rule(under, 'numbers at a path keep the digits with which they were written', () =>
      onFreshStore(under, [orders], async (trial) => {
        const numbers = [
          '1.50',
          '10.0',
          '1e2',
          '-0',
          '12345678901234567890.25',
          '0.12345678901234567890123',
          '123456789012345678901234567890',
        ];
        const at = '2026-10-01T00:00:00Z';
        await trial.insert(
          orders,
          ...numbers.map((number, n) => `{"id":"${n}","at":"${at}","data":{"k":${number}}}`),
        );
        expect((await trial.rows(orders, { by: ['data.k'] })).map(([text]) => text)).toEqual(
          numbers.toSorted(),
        );
        expect(await trial.rows(orders, { where: { 'data.k': '12345678901234567890.25' } })).toEqual([[1]]);
        expect(await trial.rows(orders, { where: { 'data.k': '1.5' } })).toEqual([[0]]);
      }),
    );

    rule(under, 'a rollup may split by a field that it sums, and by the id', () =>
      onFreshStore(under, [split], async (trial) => {
        await trial.insert(
          split,
          { id: 'a', n: 2, w: '1.50' },
          { id: 'b', n: 2, w: null },
          { id: 'c', n: 3, w: '1.5' },
        );
        for (const of of ['planned', 'ledger'] as const) {
          const measures = ['sum(n)', 'sum(w)', 'count'];
          expect(await trial.rows(split, { by: ['n'], measures }, of)).toEqual([
            ['2', '4', '1.5', 2],
            ['3', '3', '1.5', 1],
          ]);
          expect(await trial.rows(split, { by: ['w'], measures, where: { n: 2 } }, of)).toEqual([
            ['1.5', '2', '1.5', 1],
            [null, '2', '0', 1],
          ]);
          expect(
            await trial.rows(split, { by: ['id'], measures: ['sum(n)'], where: { id: ['a', 'c'] } }, of),
          ).toEqual([
            ['a', '2'],
            ['c', '3'],
          ]);
        }
        await trial.verified();
      }),
    );

    rule(under, 'days are those of the time zone, daylight saving included', () =>
      onFreshStore(under, [passages], timeZones),
    );
  });
}

const split = defineStream('split', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    n: { type: 'integer' },
    w: { type: 'decimal', precision: 38, scale: 2 },
  },
  rollups: {
    all: { every: 'all', by: ['n', 'w'], sum: ['n', 'w'] },
    ids: { every: 'all', by: ['id'], sum: ['n'] },
  },
});

const big = defineStream('big', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    k: { type: 'text' },
    n: { type: 'integer' },
    w: { type: 'decimal', precision: 38, scale: 0 },
  },
  rollups: { kinds: { every: 'all', by: ['k'], sum: ['n', 'w'] } },
});

const passages = defineStream('passages', {
  id: 'id',
  time: 'at',
  fields: { id: { type: 'text', required: true }, at: { type: 'timestamp', required: true } },
  rollups: {
    madrid_days: { every: 'day', tz: 'Europe/Madrid' },
    madrid_hours: { every: 'hour', tz: 'Europe/Madrid' },
    lord_howe: { every: 'hour', tz: 'Australia/Lord_Howe' },
  },
});

async function timeZones(trial: Trial): Promise<void> {
  // A passage every half hour over both changes of the clock in Madrid.
  const from = (start: string, halfHours: number) =>
    Array.from({ length: halfHours }, (_, n) => new Date(Date.parse(start) + n * 1_800_000).toISOString());
  const times = [...from('2026-03-28T12:00:00Z', 96), ...from('2026-10-24T12:00:00Z', 96)];
  await trial.insert(passages, ...times.map((at) => ({ id: at, at })));
  const ask = async (asked: AskedQuestion) => {
    const [planned, counted] = [await trial.ask(passages, asked), await trial.ask(passages, asked, 'ledger')];
    expect(counted.rows).toEqual(planned.rows);
    return planned;
  };
  const tz = 'Europe/Madrid';
  const days = await ask({ every: 'day', tz });
  expect(days.from).toBe('rollup madrid_days');
  expect(days.rows).toEqual([
    ['2026-03-28', 22],
    ['2026-03-29', 46],
    ['2026-03-30', 28],
    ['2026-10-24', 20],
    ['2026-10-25', 50],
    ['2026-10-26', 26],
  ]);
  expect((await ask({ every: 'month', tz })).rows).toEqual([
    ['2026-03-01', 96],
    ['2026-10-01', 96],
  ]);
  expect((await ask({ every: 'day', tz, from: '2026-10-25', to: '2026-10-26' })).rows).toEqual([
    ['2026-10-25', 50],
  ]);
  // The hour that happens twice is two buckets, the one that does not is none.
  const back = await ask({ every: 'hour', tz, from: '2026-10-24T23:00:00Z', to: '2026-10-25T03:00:00Z' });
  expect(back.rows).toEqual([
    ['2026-10-25T01:00:00+02:00', 2],
    ['2026-10-25T02:00:00+02:00', 2],
    ['2026-10-25T02:00:00+01:00', 2],
    ['2026-10-25T03:00:00+01:00', 2],
  ]);
  const forth = await ask({
    every: 'hour',
    tz,
    from: '2026-03-29T00:00:00Z',
    to: '2026-03-29T02:00:00Z',
    order: ['-hour'],
  });
  expect(forth.rows).toEqual([
    ['2026-03-29T03:00:00+02:00', 2],
    ['2026-03-29T01:00:00+01:00', 2],
  ]);
  expect((await ask({ every: 'day', tz: 'Asia/Kathmandu', to: '2026-03-29T00:00:00Z' })).rows).toEqual([
    ['2026-03-28', 13],
    ['2026-03-29', 11],
  ]);
  expect((await ask({ every: 'hour', tz: 'Asia/Kathmandu', to: '2026-03-28T13:30:00Z' })).rows).toEqual([
    ['2026-03-28T17:00:00+05:45', 1],
    ['2026-03-28T18:00:00+05:45', 2],
  ]);
  // Where the clock moves by half an hour.
  for (const every of ['hour', 'day', 'week'] as const) await ask({ every, tz: 'Australia/Lord_Howe' });
}
