/** Chapter: corrections are entries. They move figures exactly, and what was known before stays known. */
import { describe, expect } from 'vitest';
import type { FateLine } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { delivery, onFreshStore, rule, type StoreUnderTest, type Trial } from './harness.ts';

const usage = defineStream('usage', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    customer: { type: 'text' },
    price: { type: 'decimal', precision: 18, scale: 2, required: true },
    used: { type: 'integer' },
  },
  rollups: {
    daily: { every: 'day', by: ['customer'], sum: ['price', 'used'] },
    total: { every: 'all', sum: ['price', 'used'] },
  },
});

const a1 = { id: 'a', at: '2026-10-01T10:00:00Z', customer: 'ann', price: '1.10', used: 5 };
const a2 = { id: 'a', at: '2026-09-30T23:59:59.999999Z', customer: 'bob', price: '-2.25', used: null };
const b1 = { id: 'b', at: '2026-10-01T11:00:00Z', customer: 'ann', price: '3.00', used: 7 };

const daily = { measures: ['sum(price)', 'sum(used)', 'count'], by: ['customer'], every: 'day' as const };

async function bothWays(trial: Trial, asked: object): Promise<unknown> {
  const planned = await trial.rows(usage, asked);
  expect(await trial.rows(usage, asked, 'ledger')).toEqual(planned);
  return planned;
}

const valuesOf = ({ id, at, customer, price, used }: typeof a1 | typeof a2): (string | null)[] => [
  id,
  at.replace('00Z', '00.000000Z'),
  customer,
  price.replace(/\.?0+$/, ''),
  used === null ? null : String(used),
];

export function correctionsChapter(under: StoreUnderTest): void {
  describe('corrections', () => {
    rule(
      under,
      'a correction that moves time, dimension and measure takes from one bucket and gives to another',
      () =>
        onFreshStore(under, [usage], async (trial) => {
          await trial.insert(usage, a1, b1);
          const before = trial.now;
          expect(await bothWays(trial, daily)).toEqual([['ann', '2026-10-01', '4.1', '12', 2]]);

          const corrected = await trial.send('upsert', usage, [a2], { reason: 'meter was wrong' });
          expect(corrected).toMatchObject({ batch: 2, corrected: 1, accepted: 0 });
          const after = [
            ['bob', '2026-09-30', '-2.25', '0', 1],
            ['ann', '2026-10-01', '3', '7', 1],
          ];
          expect(await bothWays(trial, daily)).toEqual(after);
          expect(await bothWays(trial, { measures: ['sum(price)', 'count'] })).toEqual([['0.75', 2]]);

          const knownAt = { known_at: new Date(Number(before / 1000n)).toISOString() };
          expect(await trial.rows(usage, { ...daily, ...knownAt })).toEqual([
            ['ann', '2026-10-01', '4.1', '12', 2],
          ]);
          await trial.retract(usage, 'a', 'b');
          expect(await bothWays(trial, daily)).toEqual([]);
          expect(
            await bothWays(trial, { measures: ['sum(price)', 'count', 'max(used)', 'avg(used)'] }),
          ).toEqual([['0', 0, null, null]]);
          expect(await trial.rows(usage, { ...daily, ...knownAt })).toEqual([
            ['ann', '2026-10-01', '4.1', '12', 2],
          ]);
          expect(await trial.rows(usage, { ...daily, known_at: corrected.recorded_at })).toEqual(after);
          await trial.verified();
        }),
    );

    rule(under, 'the entries behind a figure are the record, its reverse and the correction', () =>
      onFreshStore(under, [usage], async (trial) => {
        const first = await trial.send('insert', usage, [b1, a1], { source: 'meter' });
        const second = await trial.send('upsert', usage, [a2], { source: 'desk', reason: 'meter was wrong' });
        const entries = await trial.entries(usage, { asked: { where: { id: 'a' } } });
        const [original, reverse, correction] = entries;
        expect(entries).toEqual([
          {
            ...original!,
            batch: 1,
            recorded_at: first.recorded_at,
            sign: 1,
            reverses: null,
            source: 'meter',
            import: null,
            reason: null,
            id: 'a',
            values: valuesOf(a1),
          },
          {
            ...reverse!,
            batch: 2,
            recorded_at: second.recorded_at,
            sign: -1,
            reverses: original!.seq,
            source: 'desk',
            import: null,
            reason: 'meter was wrong',
            id: 'a',
            values: valuesOf(a1),
          },
          {
            ...correction!,
            batch: 2,
            recorded_at: second.recorded_at,
            sign: 1,
            reverses: null,
            source: 'desk',
            import: null,
            reason: 'meter was wrong',
            id: 'a',
            values: valuesOf(a2),
          },
        ]);
        const seqs = entries.map(({ seq }) => Number(seq));
        expect(seqs).toEqual(seqs.toSorted((x, y) => x - y));
        expect(new Set(seqs).size).toBe(3);
        // Of the old day: the record and its reverse. Of the new one: the correction.
        const behind = async (customer: string) =>
          (await trial.entries(usage, { asked: { where: { customer } } })).map(
            ({ id, sign }) => `${id}${sign}`,
          );
        expect(await behind('ann')).toEqual(['b1', 'a1', 'a-1']);
        expect(await behind('bob')).toEqual(['a1']);
        // As of the first batch there is only one, and it stands.
        const known = { asked: { where: { id: 'a' }, known_at: first.recorded_at } };
        expect((await trial.entries(usage, known)).map(({ seq }) => seq)).toEqual([original!.seq]);
        expect((await trial.entries(usage, { ...known, standing: true })).map(({ seq }) => seq)).toEqual([
          original!.seq,
        ]);
        expect(
          (await trial.entries(usage, { standing: true })).map(({ id, values }) => `${id} ${values[3]}`),
        ).toEqual(['b 3', 'a -2.25']);
      }),
    );

    rule(under, 'entries are listed page by page, in both directions', () =>
      onFreshStore(under, [usage], async (trial) => {
        const records = Array.from({ length: 10 }, (_, n) => ({ ...a1, id: `r${n}`, used: n }));
        await trial.insert(usage, ...records.slice(0, 6));
        await trial.insert(usage, ...records.slice(6));
        await trial.retract(usage, 'r4', 'r7');
        for (const newestFirst of [false, true]) {
          const seen: string[] = [];
          for (let after: string | undefined; ; ) {
            const page = await trial.entries(usage, {
              standing: true,
              newestFirst,
              after,
              limit: 3,
              asked: { where: { used: { gte: 2 } } },
            });
            seen.push(...page.map(({ id }) => id));
            if (page.length < 3) break;
            after = page.at(-1)!.seq;
          }
          const expected = ['r2', 'r3', 'r5', 'r6', 'r8', 'r9'];
          expect(seen).toEqual(newestFirst ? expected.toReversed() : expected);
        }
        expect(
          (await trial.entries(usage, { newestFirst: true, limit: 3 })).map(
            ({ id, sign }) => `${id} ${sign}`,
          ),
        ).toEqual(['r7 -1', 'r4 -1', 'r9 1']);
        const between = { asked: { from: '2026-10-01', to: '2026-10-01T10:00:00Z' } };
        expect(await trial.entries(usage, between)).toEqual([]);
      }),
    );

    rule(under, 'a few records among many are found page by page, in both directions', () =>
      onFreshStore(under, [usage], async (trial) => {
        const rare = [0, 3, 411, 412, 1_700, 2_990, 2_999];
        const records = Array.from({ length: 3_000 }, (_, n) => ({
          ...a1,
          id: `r${n}`,
          customer: rare.includes(n) ? 'rare' : 'ann',
        }));
        await trial.insert(usage, ...records);
        await trial.retract(usage, 'r412');
        await trial.upsert(usage, { ...records[411]!, used: 6 });
        // The correction comes last in the order of arrival.
        const expected = ['r0', 'r3', 'r1700', 'r2990', 'r2999', 'r411'];
        for (const newestFirst of [false, true]) {
          const seen: string[] = [];
          let after: string | undefined;
          for (;;) {
            const asked = { where: { customer: 'rare' } };
            const page = await trial.entries(usage, { standing: true, newestFirst, after, limit: 2, asked });
            if (page.length === 0) break;
            seen.push(...page.map(({ id }) => id));
            after = page.at(-1)!.seq;
          }
          expect(seen).toEqual(newestFirst ? expected.toReversed() : expected);
        }
      }),
    );

    rule(under, 'the fate of an id has a line for each time it was sent', () =>
      onFreshStore(under, [usage], async (trial) => {
        const sendings = [
          await trial.send('insert', usage, [b1, a1, a1], { source: 'meter' }),
          await trial.send('insert', usage, [a1, a2], { source: 'desk' }),
          await trial.send('upsert', usage, [a2], { source: 'desk', reason: 'meter was wrong' }),
          await trial.send('insert', usage, [{ ...a1, price: 'x' }], { source: 'meter' }),
          await trial.send('retract', usage, ['"a"'], { source: 'desk', reason: 'tested' }),
          await trial.send('retract', usage, ['"a"'], { source: 'desk' }),
          await trial.send('insert', usage, [a1], { source: 'meter' }),
        ];
        const line = (
          sending: number,
          verdict: FateLine['verdict'],
          source: string,
          reason: string | null,
          values: FateLine['values'],
        ): FateLine => {
          const { batch, recorded_at } = sendings[sending - 1]!;
          return { verdict, batch, recorded_at, source, import: null, reason, values };
        };
        const fate = await trial.store.fate(usage, 'a');
        expect(fate.lines).toEqual([
          line(1, 'accepted', 'meter', null, valuesOf(a1)),
          line(1, 'duplicate', 'meter', null, null),
          line(2, 'duplicate', 'desk', null, null),
          line(2, 'conflict', 'desk', 'conflict', null),
          line(3, 'corrected', 'desk', 'meter was wrong', valuesOf(a2)),
          line(4, 'rejected', 'meter', 'invalid_value', null),
          line(5, 'retracted', 'desk', 'tested', valuesOf(a2)),
          line(6, 'duplicate', 'desk', null, null),
          line(7, 'accepted', 'meter', null, valuesOf(a1)),
        ]);
        expect(fate.standing).toMatchObject({
          id: 'a',
          sign: 1,
          batch: 7,
          source: 'meter',
          values: valuesOf(a1),
        });
        expect(await trial.store.fate(usage, 'nobody')).toEqual({ standing: null, lines: [] });
        await trial.retract(usage, 'b', 'gone');
        expect((await trial.store.fate(usage, 'b')).standing).toBeNull();
        expect((await trial.store.fate(usage, 'gone')).lines.map(({ verdict }) => verdict)).toEqual([
          'rejected',
        ]);
      }),
    );

    rule(under, 'a fate tells a retraction and a new record of one commit from a correction', () =>
      onFreshStore(under, [usage], async (trial) => {
        await trial.insert(usage, a1);
        await trial.publish(delivery(usage, 'retract', ['"a"']), delivery(usage, 'insert', [a2]));
        const verdicts = (await trial.store.fate(usage, 'a')).lines.map(({ verdict }) => verdict);
        expect(verdicts).toEqual(['accepted', 'retracted', 'accepted']);
      }),
    );

    rule(under, 'sums stay exact through a thousand corrections', () =>
      onFreshStore(under, [usage], async (trial) => {
        const record = (n: number, round: number) => ({
          id: `r${n}`,
          at: `2026-10-0${1 + ((n + round) % 5)}T00:00:00Z`,
          customer: `c${(n * round) % 4}`,
          price: `${n * round}.${String((n * 7 + round) % 100).padStart(2, '0')}`,
          used: n - round,
        });
        const numbers = Array.from({ length: 100 }, (_, n) => n);
        for (let round = 0; round < 10; round++)
          await trial.upsert(usage, ...numbers.map((n) => record(n, round)));
        const stand = numbers.map((n) => record(n, 9));
        const cents = stand.reduce((sum, { price }) => sum + Number(price.replace('.', '')), 0);
        expect(await bothWays(trial, { measures: ['count', 'sum(price)', 'sum(used)'] })).toEqual([
          [
            100,
            `${(cents / 100).toFixed(2).replace(/\.?0+$/, '')}`,
            String(stand.reduce((sum, { used }) => sum + used, 0)),
          ],
        ]);
        await bothWays(trial, daily);
        await trial.verified();
      }),
    );
  });
}
