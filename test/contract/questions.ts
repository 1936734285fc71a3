/** Chapter: answers. Small ledgers, questions, and the rows that must come out, in their order. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { AskedQuestion } from '../../src/engine/question.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { onFreshStore, rule, type StoreUnderTest, Trial } from './harness.ts';
import { orders, questionCases, records } from './question-table.ts';

const visits = defineStream('visits', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    door: { type: 'text', required: true },
    n: { type: 'integer', required: true },
    wide: { type: 'decimal', precision: 38, scale: 10, required: true },
  },
  rollups: {
    hourly: { every: 'hour', by: ['door'], sum: ['n'] },
    daily: { every: 'day', by: ['door'], sum: ['n', 'wide'] },
  },
});

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

    for (const [title, asked, rows] of questionCases) {
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
          { name: 'amount', type: 'decimal', digits: { precision: 18, scale: 2 } },
          { name: 'hour', type: 'timestamp' },
          { name: 'max(at)', type: 'timestamp' },
          { name: 'count', type: 'count' },
          { name: 'sum(n)', type: 'integer', digits: { precision: 38, scale: 0 } },
          { name: 'avg(n)', type: 'decimal', digits: { precision: 38, scale: 6 } },
          { name: 'count_distinct(name)', type: 'count' },
          { name: 'min(ref)', type: 'uuid' },
          { name: 'sum(wide)', type: 'decimal', digits: { precision: 38, scale: 10 } },
        ]);
        expect((await trial.ask(orders, { every: 'day' })).columns[0]).toEqual({ name: 'day', type: 'date' });
      },
    );

    rule(under, 'whole buckets come from rollups, and what is left at the ends from the ledger', () =>
      onFreshStore(under, [visits], async (trial) => {
        const at = (day: number, time: string) => `2026-10-${String(day).padStart(2, '0')}T${time}Z`;
        const times = ['00:00:00', '09:59:59.999999', '10:00:00', '10:30:00', '23:59:59.999999'];
        const sent = Array.from({ length: 30 }, (_, n) =>
          times.map((time, i) => ({
            id: `${n} ${i}`,
            at: at(n + 1, time),
            door: `d${(n + i) % 3}`,
            n: n * 10 + i,
            wide: '0.5',
          })),
        ).flat();
        await trial.insert(visits, ...sent);
        await trial.upsert(visits, { ...sent[7]!, at: at(20, '10:00:00'), n: 7_000 });
        await trial.retract(visits, sent[50]!.id);
        const measures = ['sum(n)', 'count', 'avg(n)', 'greatest(sum(n) if door=d0, sum(n) if door=d1)'];
        const both = async (asked: AskedQuestion, from: string) => {
          const answer = await trial.ask(visits, { measures, ...asked });
          expect(answer.from, JSON.stringify(asked)).toBe(from);
          const counted = await trial.ask(visits, { measures, ...asked }, 'ledger');
          expect({ ...answer, from: '' }, JSON.stringify(asked)).toEqual({ ...counted, from: '' });
        };
        await both({ to: at(21, '10:15:00') }, 'rollup daily, rollup hourly, ledger');
        await both({ to: at(21, '10:00:00') }, 'rollup hourly');
        await both({ to: at(21, '00:00:00') }, 'rollup daily');
        await both({ to: at(21, '00:00:00.000001') }, 'rollup daily, ledger');
        await both({ from: at(3, '09:59:59.999999'), by: ['door'] }, 'rollup daily, rollup hourly, ledger');
        await both({ from: at(3, '10:10:00'), to: at(3, '10:50:00') }, 'ledger');
        await both({ from: at(3, '09:30:00'), to: at(3, '11:30:00') }, 'rollup hourly, ledger');
        await both(
          { from: at(3, '10:30:00'), to: at(9, '10:30:00'), by: ['door'], every: 'day' },
          'rollup daily, rollup hourly, ledger',
        );
        await both(
          {
            where: { door: ['d0', 'd2'] },
            to: at(9, '10:30:00'),
            by: ['door'],
            having: { count: { gt: 15 } },
            order: ['-sum(n)'],
            limit: 1,
          },
          'rollup daily, rollup hourly, ledger',
        );
        await both({ measures: ['sum(wide)', 'avg(wide)'], to: at(9, '10:30:00') }, 'rollup daily, ledger');
        await both({ measures: ['max(n)'], to: at(9, '10:30:00') }, 'ledger');
        await both({ measures: ['count'], where: { n: { gt: 5 } }, to: at(9, '10:30:00') }, 'ledger');
        // What is dropped stands in the rollup alone.
        await trial.drop(visits, at(10, '12:00:00'));
        const rest = { measures: ['count'], from: at(12, '12:00:00') };
        expect((await trial.ask(visits, rest)).from).toBe('rollup hourly');
        expect((await trial.ask(visits, { measures: ['count'], to: at(12, '10:01:00') })).rows).toEqual([
          [56],
        ]);
        await expect(trial.ask(visits, { measures: ['count'], to: at(9, '10:30:00') })).rejects.toThrow(
          expect.objectContaining({ code: 'beyond_retention' }),
        );
      }),
    );

    rule(under, 'the longest path, numbers in it, through elements and through members', () =>
      onFreshStore(under, [orders], async (trial) => {
        const path = `data${'.1'.repeat(19)}.it's`;
        const within = (wrap: (inner: unknown, level: number) => unknown, value: unknown): unknown =>
          Array.from({ length: 19 }).reduce((inner, _, level) => wrap(inner, level), value);
        const element = (inner: unknown): unknown => ['not', inner];
        const member = (inner: unknown): unknown => ({ 0: 'not', 1: inner });
        const either = (inner: unknown, level: number): unknown =>
          level % 3 === 0 ? element(inner) : member(inner);
        const data = [
          within(element, { "it's": 'of elements' }),
          within(member, { "it's": 'of "members"' }),
          within(either, { "it's": ['of', { either: 1 }] }),
          within(either, { "it's": null }),
          within(either, ['no member']),
          within((inner) => [inner], 'no second one'),
        ];
        await trial.insert(
          orders,
          ...data.map((data, n) => ({ id: String(n), at: '2026-03-01T10:00:00Z', data })),
          { id: 'none', at: '2026-03-01T10:00:00Z' },
        );
        expect(await trial.rows(orders, { by: [path] })).toEqual([
          ['["of",{"either":1}]', 1],
          ['of "members"', 1],
          ['of elements', 1],
          [null, 4],
        ]);
        expect(await trial.rows(orders, { where: { [path]: { like: 'of%' } } })).toEqual([[2]]);
        expect(await trial.rows(orders, { measures: [`count if ${path}=of elements`] })).toEqual([[1]]);
        expect(await trial.rows(orders, { where: { [path]: { ne: 'of elements' } } })).toEqual([[6]]);
      }),
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

    rule(under, 'sums run beyond 64 bits, and beyond 38 digits', () =>
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
        const twice = `1${'9'.repeat(37)}8`;
        const negative = { id: 'e', k: 'z', n: 0, w: `-${nines}` };
        await trial.insert(big, negative, { ...negative, id: 'f' }, { id: 'g', k: 'u', n: 1, w: 2 });
        for (const of of ['planned', 'ledger'] as const) {
          const ask = (question: object) => trial.rows(big, { measures: ['sum(w)'], ...question }, of);
          expect(await ask({ where: { k: 'y' } })).toEqual([[twice]]);
          expect(await ask({ measures: ['count', 'sum(n)', 'sum(w)', 'max(w)'], where: { k: 'y' } })).toEqual(
            [[2, '18446744073709551614', twice, nines]],
          );
          expect(
            await ask({ measures: ['sum(w) if k=y', 'greatest(sum(w) if k=y, sum(w) if k=u)'] }),
          ).toEqual([[twice, twice]]);
          expect(await ask({ by: ['k'], order: ['-sum(w)'] })).toEqual([
            ['y', twice],
            ['u', '2'],
            ['x', '0'],
            ['z', `-${twice}`],
          ]);
          expect(await ask({ by: ['k'], having: { 'sum(w)': { gt: '1.5' } } })).toEqual([
            ['u', '2'],
            ['y', twice],
          ]);
          expect(await ask({ by: ['k'], order: ['-sum(w)'], after: [twice, 'y'], limit: 1 })).toEqual([
            ['u', '2'],
          ]);
          expect(
            await ask({ by: ['k'], share: { of: 'sum(w)', percent: 50 }, where: { k: ['u', 'y'] } }),
          ).toEqual([['y', twice]]);
          const weights = { by: 'k', of: { y: '0.5', u: '1.0000000000000001', z: '99' } };
          expect(await ask({ by: ['k'], measures: ['weighted(w)'], weights })).toEqual([
            ['u', '2.0000000000000002'],
            ['x', '0'],
            ['y', nines],
            ['z', String(-99n * BigInt(twice))],
          ]);
          expect(
            await ask({
              by: ['k'],
              measures: ['weighted(w)'],
              weights: { by: 'k', of: { y: '0.25' } },
              where: { k: 'y' },
            }),
          ).toEqual([['y', `4${'9'.repeat(37)}.5`]]);
          const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, `0.${i + 1}`]));
          expect(
            await ask({ measures: ['weighted(w)'], weights: { by: 'k', of: { ...many, y: '99' } } }),
          ).toEqual([[String(99n * BigInt(twice))]]);
        }
        await trial.retract(big, 'e', 'f', 'g');
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

    rule(under, 'a list of many values in a condition takes each of them, of every type', () =>
      onFreshStore(under, [orders], async (trial) => {
        await trial.insert(orders, ...records, { id: '8', at: '2026-01-01T00:00:00Z', name: 'a\u0000b' });
        const others = Array.from({ length: 500 }, (_, n) => n + 1_000);
        const lists: [field: string, values: (string | number)[], ids: string[]][] = [
          ['id', ['1', "'", '"', '', '\\', '\u0001', '7'], ['1', '7']],
          ['name', ['Zo\u00eb', '100%_sure', '', 'a\u0000b'], ['1', '6', '7', '8']],
          ['amount', ['1.5', -2.25], ['1', '2']],
          ['wide', ['0.10', '0.2'], ['6', '7']],
          ['n', [5, '-7'], ['1', '2', '3']],
          ['data.a', ['1', 'true'], ['1', '2', '5']],
        ];
        for (const [field, values, ids] of lists) {
          const where = { [field]: { in: [...values, ...others] } };
          expect
            .soft(
              (await trial.rows(orders, { by: ['id'], where })).map(([id]) => id),
              field,
            )
            .toEqual(ids);
        }
        const days = others.map((n) => `20${10 + (n % 80)}-01-01`);
        expect(await trial.rows(orders, { where: { due: { in: ['2026-03-02', ...days] } } })).toEqual([[2]]);
        const totals = { amount: others, names: ['Ann', ...others.map(String)] };
        const asked = { by: ['name'], measures: ['sum(amount)'], where: { name: { in: totals.names } } };
        expect(
          await trial.rows(orders, { ...asked, having: { 'sum(amount)': { in: [10, ...totals.amount] } } }),
        ).toEqual([['Ann', '10']]);
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
