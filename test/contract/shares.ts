/**
 * Chapter: weighted sums, and the fewest rows that make up a share. Everything is recounted here in whole numbers, so
 * that no figure depends on a number with a point.
 */
import { describe, expect } from 'vitest';
import { fromScaled, toScaled } from '../../src/engine/decimal.ts';
import type { AskedQuestion } from '../../src/engine/question.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { onFreshStore, rule, type StoreUnderTest, type Trial } from './harness.ts';
import { Random } from './random-work.ts';

const sold = defineStream('sold', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    song: { type: 'text' },
    report: { type: 'integer', required: true },
    amount: { type: 'decimal', precision: 38, scale: 20 },
    plays: { type: 'integer' },
    cents: { type: 'decimal', precision: 12, scale: 2 },
  },
  rollups: { songs: { every: 'all', by: ['song', 'report'], sum: ['amount', 'plays', 'cents'] } },
});

interface Sold {
  id: string;
  song: string | null;
  report: number;
  amount: string | null;
  plays: number;
  cents: string;
}
const line = (id: string, song: string | null, report: number, amount: string | null): Sold => ({
  id,
  song,
  report,
  amount,
  plays: 1,
  cents: '0.01',
});

/** Sums by song in units of 36 decimals, largest first, as far as the share goes. */
function recount(
  records: Sold[],
  weights: Record<string, string>,
  percent?: number,
): [string | null, string][] {
  const sums = new Map<string | null, bigint>();
  for (const { song, report, amount } of records) {
    const product = toScaled(amount ?? '0', 20) * toScaled(weights[report] ?? '0', 16);
    sums.set(song, (sums.get(song) ?? 0n) + product);
  }
  const sorted = [...sums].sort(([a, x], [b, y]) => {
    if (x !== y) return x < y ? 1 : -1;
    return a === null ? 1 : b === null || a < b ? -1 : 1;
  });
  const total = sorted.reduce((sum, [, one]) => sum + one, 0n);
  let before = 0n;
  return sorted
    .filter(([, one]) => {
      const kept = percent === undefined || before * 100n < total * BigInt(percent);
      before += one;
      return kept;
    })
    .map(([song, one]) => [song, fromScaled(one, 36)]);
}

async function agree(trial: Trial, asked: AskedQuestion, rows: unknown[][], note = ''): Promise<void> {
  for (const of of ['planned', 'ledger'] as const)
    expect(await trial.rows(sold, asked, of), `${of} ${note} ${JSON.stringify(asked)}`).toEqual(rows);
}

const weighted = (of: Record<string, string>): AskedQuestion => ({
  by: ['song'],
  measures: ['weighted(amount)'],
  weights: { by: 'report', of },
});
const share = (percent: number, of = 'weighted(amount)') => ({ share: { of, percent } });

export function sharesChapter(under: StoreUnderTest): void {
  describe('weighted sums and shares', () => {
    rule(under, 'a weighted sum counts every record with the weight of its value', () =>
      onFreshStore(under, [sold], async (trial) => {
        await trial.insert(
          sold,
          line('1', 'a', 1, '10.5'),
          line('2', 'a', 2, '0.00000000000000000001'),
          line('3', 'b', 2, '999999999999999999.99999999999999999999'),
          line('4', 'b', 3, '7'),
          line('5', null, 1, null),
        );
        const weights = { 1: '0.1', 2: '3.0000000000000001', 9: '5' };
        await agree(trial, { ...weighted(weights), order: ['-weighted(amount)'] }, [
          ['b', '3000000000000000099.999999999999999999969999999999999999'],
          ['a', '1.050000000000000000030000000000000001'],
          [null, '0'],
        ]);
        await agree(trial, { ...weighted({ 1: '2' }), order: ['song'] }, [
          ['a', '21'],
          ['b', '0'],
          [null, '0'],
        ]);
        const one = { ...weighted({ 1: '2', 2: '2.00' }), where: { report: [1, 2], song: 'a' } };
        await agree(trial, one, [['a', '21.00000000000000000002']]);
        const integers = { measures: ['weighted(plays)', 'weighted(cents)', 'sum(plays)', 'count'] };
        await agree(trial, { ...integers, weights: { by: 'report', of: { 1: '0.5', 2: '0.25' } } }, [
          ['1.5', '0.015', '5', 5],
        ]);
        await agree(trial, { ...weighted({ 1: '1', 2: '2' }), where: { song: 'none' } }, []);
        await trial.retract(sold, '1');
        await agree(trial, { ...weighted(weights), where: { song: 'a' } }, [
          ['a', '0.000000000000000000030000000000000001'],
        ]);
      }),
    );

    rule(under, 'a share is the fewest rows from the top, to the last digit', () =>
      onFreshStore(under, [sold], async (trial) => {
        await trial.insert(
          sold,
          line('1', 'a', 1, '50'),
          line('2', 'b', 1, '30'),
          line('3', 'c', 1, '10'),
          line('4', 'd', 1, '10'),
          line('5', 'e', 1, '0'),
          line('6', 'f', 1, null),
        );
        const top = async (percent: number, rows: string[], more: AskedQuestion = {}) => {
          const asked = {
            by: ['song'],
            measures: ['sum(amount)'],
            ...share(percent, 'sum(amount)'),
            ...more,
          };
          for (const of of ['planned', 'ledger'] as const)
            expect((await trial.rows(sold, asked, of)).map(([song]) => song)).toEqual(rows);
        };
        await top(1, ['a']);
        await top(50, ['a']);
        await top(51, ['a', 'b']);
        await top(80, ['a', 'b']);
        await top(81, ['a', 'b', 'c']);
        await top(90, ['a', 'b', 'c']);
        await top(91, ['a', 'b', 'c', 'd']);
        await top(100, ['a', 'b', 'c', 'd']);
        await top(100, ['a', 'b'], { limit: 2 });
        await top(100, [], { where: { song: 'e' } });
        await top(100, [], { where: { song: 'none' } });
        // The very last digit decides.
        await trial.insert(sold, line('7', 'b', 1, '0.00000000000000000001'));
        await top(50, ['a', 'b']);
        const asked = {
          by: ['song'],
          measures: ['count', 'sum(plays)', 'sum(amount)'],
          ...share(50, 'sum(amount)'),
        };
        await agree(trial, asked, [
          ['a', 1, '1', '50'],
          ['b', 2, '2', '30.00000000000000000001'],
        ]);
        // What is taken off the whole is taken off what is needed.
        await trial.insert(sold, line('8', 'g', 1, '-60'));
        await top(100, ['a']);
        await top(100, [], { where: { song: ['a', 'g'] } });
      }),
    );

    rule(under, 'shares of sums that have no room for products of them', () =>
      onFreshStore(under, [sold], async (trial) => {
        const records = [
          line('1', 'a', 1, '600000000000000000.00000000000000000002'),
          line('2', 'b', 2, '600000000000000000.00000000000000000001'),
          line('3', 'b', 1, '0.00000000000000000001'),
          line('4', 'c', 2, '-600000000000000000'),
          line('5', 'd', 1, '1'),
        ];
        await trial.insert(sold, ...records);
        for (const weights of [
          { 1: '1', 2: '1' },
          { 1: '90.0000000000000001', 2: '89.9999999999999999' },
          { 1: '0.0000000000000001', 2: '0.0000000000000002' },
        ])
          for (const percent of [1, 50, 99, 100])
            await agree(
              trial,
              { ...weighted(weights), ...share(percent) },
              recount(records, weights, percent),
              `${percent} per cent`,
            );
      }),
    );

    rule(under, 'what is spread over weights counts like what has one', () =>
      onFreshStore(under, [sold], async (trial) => {
        const records = [
          line('1', 'a', 1, '100'),
          line('2', 'b', 1, '20'),
          line('3', 'b', 2, '10'),
          line('4', 'b', 3, '5'),
          line('5', 'c', 1, '50'),
          line('6', 'd', 9, '1000000'),
        ];
        await trial.insert(sold, ...records);
        const weights = { 1: '1', 2: '2', 3: '4', 9: '0' };
        for (const percent of [1, 47, 48, 60, 76, 77, 100])
          await agree(
            trial,
            { ...weighted(weights), ...share(percent) },
            recount(records, weights, percent),
            `${percent} per cent`,
          );
      }),
    );

    for (const [count, seed, most] of [
      [1, 11, 14],
      [3, 12, 14],
      [40, 13, 14],
      [1, 14, 18],
      [3, 15, 18],
      [40, 16, 18],
    ] as const) {
      const of = `${count} weights and ${most} digits before the point`;
      rule(under, `random sums with ${of} are those of a recount, and so are their shares`, () =>
        onFreshStore(under, [sold], async (trial) => {
          const random = new Random(seed);
          const digits = (longest: number) =>
            Array.from({ length: 1 + random.below(longest) }, () => random.below(10)).join('');
          const amount = () =>
            fromScaled(toScaled(`${digits(random.pick([1, 3, 8, most]))}.${digits(20)}`, 20), 20);
          const records = Array.from({ length: 400 }, (_, n): Sold => {
            const sign = random.chance(0.03) ? '-' : '';
            const song = random.chance(0.02) ? null : `s${random.below(60)}`;
            return line(`${n}`, song, random.below(count), random.chance(0.05) ? null : `${sign}${amount()}`);
          });
          await trial.insert(sold, ...records.slice(0, 200));
          await trial.insert(sold, ...records.slice(200));
          const taken = records.splice(100, 30).map(({ id }) => id);
          await trial.retract(sold, ...taken);
          const weights = Object.fromEntries(
            Array.from({ length: count }, (_, n) => [
              n,
              `${random.below(90)}.${digits(16)}`.replace(/\.?0+$/, '') || '1',
            ]),
          );
          const all = { ...weighted(weights), order: ['-weighted(amount)'] };
          await agree(trial, all, recount(records, weights));
          for (const percent of [1, 10, 37, 50, 83, 99, 100])
            await agree(
              trial,
              { ...weighted(weights), ...share(percent) },
              recount(records, weights, percent),
            );
          await trial.verified();
        }),
      );
    }
  });
}
