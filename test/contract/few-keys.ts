/** Chapter: questions about a few keys of a rollup, however stores add up its rows, equal those of the ledger. */
import { describe, expect } from 'vitest';
import type { AskedQuestion } from '../../src/engine/question.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { onFreshStore, rule, type StoreUnderTest } from './harness.ts';

const used = defineStream('used', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    meter: { type: 'text' },
    phase: { type: 'integer' },
    on: { type: 'boolean' },
    rate: { type: 'decimal', precision: 10, scale: 4 },
    due: { type: 'date' },
    amount: { type: 'decimal', precision: 18, scale: 2, required: true },
    n: { type: 'integer', required: true },
    maybe: { type: 'integer' },
  },
  rollups: {
    daily: { every: 'day', by: ['meter', 'phase', 'on', 'rate', 'due'], sum: ['amount', 'n', 'maybe'] },
    hourly: { every: 'hour', tz: 'Europe/Berlin', by: ['meter', 'phase'], sum: ['amount', 'n'] },
    dues: { every: 'all', by: ['due'], sum: ['amount'] },
    phases: { every: 'all', by: ['phase'], sum: ['n'] },
  },
});

const meters = ['a', 'B', 'Zoë', '\ufeffmark', '', null];
const record = (n: number) => ({
  id: `u${n}`,
  // Through the night in which Berlin puts its clocks back.
  at: new Date(Date.UTC(2026, 9, 24, 20) + n * 1_111_000).toISOString(),
  meter: meters[n % meters.length],
  phase: n % 7 === 0 ? null : (n % 3) - 1,
  on: [true, false, null][n % 3],
  rate: n % 4 === 0 ? null : `${(n % 5) - 2}.50`,
  due: n % 5 === 0 ? null : `2026-10-0${(n % 4) + 1}`,
  amount: n % 11 === 0 ? '9999999999999999.99' : `${(n % 9) - 4}.37`,
  n: n % 13 === 0 ? '9223372036854775807' : n - 60,
  maybe: n % 2 === 0 ? null : n,
});

const all = ['sum(amount)', 'sum(n)', 'count', 'avg(amount)', 'avg(n)'];
const questions: AskedQuestion[] = [
  { measures: all },
  { measures: all, by: ['phase'] },
  { measures: all, by: ['on', 'rate', 'due', 'meter', 'phase'], every: 'day' },
  { measures: ['sum(maybe)', 'count'], by: ['rate'] },
  { measures: ['sum(n)'], by: ['phase'], every: 'hour', tz: 'Europe/Berlin' },
  { measures: ['sum(amount)'], every: 'month', order: ['-month'] },
  { measures: all, by: ['phase'], every: 'day', order: ['-sum(amount)', 'phase', '-day'], limit: 4 },
  { measures: ['avg(n)'], by: ['due'], order: ['-due'], limit: 2 },
  { measures: ['count'], by: ['on'], from: '2026-10-25T00:00:00Z', to: '2026-10-26T00:00:00Z' },
  { measures: ['sum(amount)'], by: ['phase'], having: { 'sum(amount)': { gt: '0' } } },
  { measures: ['sum(amount)'], by: ['phase'], order: ['phase'], after: ['0'] },
];
const conditions: NonNullable<AskedQuestion['where']>[] = [
  ...meters.filter((meter) => meter !== null).map((meter) => ({ meter })),
  { meter: ['a', 'B', 'nobody'] },
  { meter: 'a', phase: { gte: '0' } },
  { meter: 'nobody' },
  { meter: null },
];

export function fewKeysChapter(under: StoreUnderTest): void {
  describe('questions about a few keys', () => {
    rule(under, 'they equal those of the ledger, in every order', () =>
      onFreshStore(under, [used], async (trial) => {
        const agree = async (when: string) => {
          for (const where of conditions)
            for (const question of questions) {
              const asked = { ...question, where };
              const what = `${when}: ${JSON.stringify(asked)}`;
              expect(await trial.rows(used, asked), what).toEqual(await trial.rows(used, asked, 'ledger'));
            }
          for (const [by, values] of [
            ['due', ['2026-10-01', '2026-10-04']],
            ['phase', ['-1', '1', '7']],
          ] as const) {
            const asked = {
              measures: [by === 'due' ? 'sum(amount)' : 'avg(n)', 'count'],
              by: [by],
              where: { [by]: [...values] },
            };
            expect((await trial.ask(used, asked)).from, when).toBe(`rollup ${by}s`);
            expect(await trial.rows(used, asked), when).toEqual(await trial.rows(used, asked, 'ledger'));
          }
        };
        await agree('nothing');
        await trial.insert(used, ...Array.from({ length: 120 }, (_, n) => record(n)));
        await agree('as they came');
        await trial.upsert(used, { ...record(1), meter: 'a' }, { ...record(6), phase: 9 });
        // The only one of its group, and all of a key.
        await trial.upsert(used, { ...record(2), meter: 'nobody' });
        await trial.retract(used, 'u2', 'u8');
        await agree('changed');
        await trial.store.tend({ drop: [], compact: true });
        await agree('compacted');
      }),
    );
    rule(under, 'what was taken back is no group, whatever bound it is held against', () =>
      onFreshStore(under, [used], async (trial) => {
        const sums: Record<string, number[]> = { none: [], zero: [5, -5], less: [-3], more: [2, 1] };
        const ofMeter = ([meter, amounts]: [string, number[]]) =>
          [...amounts, ...(meter === 'none' ? [7, 8] : [])].map((amount, i) => ({
            ...record(i),
            id: `${meter}${i}`,
            meter,
            amount: `${amount}.00`,
          }));
        await trial.insert(used, ...Object.entries(sums).flatMap(ofMeter));
        await trial.retract(used, 'none0', 'none1');
        const holds: Record<string, (value: number, bounds: number[]) => boolean> = {
          gt: (value, [bound]) => value > bound!,
          gte: (value, [bound]) => value >= bound!,
          lt: (value, [bound]) => value < bound!,
          lte: (value, [bound]) => value <= bound!,
          eq: (value, [bound]) => value === bound,
          ne: (value, [bound]) => value !== bound,
          in: (value, bounds) => bounds.includes(value),
        };
        const totalOf: Record<string, (amounts: number[]) => number> = {
          count: (amounts) => amounts.length,
          'sum(amount)': (amounts) => amounts.reduce((sum, amount) => sum + amount, 0),
          'greatest(sum(amount))': (amounts) => amounts.reduce((sum, amount) => sum + amount, 0),
        };
        const boundsOf = (operator: string) =>
          operator === 'in' ? [[-3, 3], [0, 3], [0]] : [[-5], [-1], [0], [1], [3], [5]];
        const right = (measure: string, holdsFor: (value: number) => boolean) =>
          Object.keys(sums)
            .filter((meter) => sums[meter]!.length > 0 && holdsFor(totalOf[measure]!(sums[meter]!)))
            .sort();
        for (const measure of Object.keys(totalOf))
          for (const [operator, holdsFor] of Object.entries(holds))
            for (const bounds of boundsOf(operator))
              for (const of of ['planned', 'ledger'] as const) {
                const bound = operator === 'in' ? bounds : bounds[0]!;
                const asked = {
                  measures: [measure],
                  by: ['meter'],
                  having: { [measure]: { [operator]: bound } },
                };
                const found = (await trial.rows(used, asked, of)).map(([meter]) => meter);
                expect
                  .soft(found, `${of}: ${JSON.stringify(asked)}`)
                  .toEqual(right(measure, (value) => holdsFor(value, bounds)));
              }
      }),
    );
    rule(under, 'many rows of one key are grouped as well', () =>
      onFreshStore(under, [used], async (trial) => {
        const minutes = Array.from({ length: 2_500 }, (_, n) => ({
          ...record(n),
          meter: 'a',
          at: new Date(Date.UTC(2026, 0, 1) + n * 3_600_000).toISOString(),
        }));
        await trial.insert(used, ...minutes);
        for (const most of [1_999, 2_000, 2_001, 2_500]) {
          const to = new Date(Date.UTC(2026, 0, 1) + most * 3_600_000).toISOString();
          const asked = {
            measures: ['sum(n)', 'count'],
            where: { meter: 'a' },
            from: '2025-12-31T23:00:00Z',
            to,
            tz: 'Europe/Berlin',
          };
          expect(await trial.rows(used, asked), `${most}`).toEqual(await trial.rows(used, asked, 'ledger'));
        }
      }),
    );
  });
}
