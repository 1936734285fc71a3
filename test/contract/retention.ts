/** Chapter: time bounds of what is taken, and what dropping records leaves as it was. */
import { describe, expect } from 'vitest';
import { defineStream } from '../../src/engine/stream.ts';
import { delivery, instant, onFreshStore, rule, type StoreUnderTest, verdictsOf } from './harness.ts';

const sessions = defineStream('sessions', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    phone: { type: 'text' },
    used: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', by: ['phone'], sum: ['used'] }, total: { every: 'all', sum: ['used'] } },
  retention: { records: '10 days' },
  future_tolerance: '1 hour',
});
const visits = defineStream('visits', {
  id: 'id',
  time: 'day_of',
  fields: { id: { type: 'text', required: true }, day_of: { type: 'date', required: true } },
  retention: { records: '2 days' },
  future_tolerance: '1 day',
});

const session = (id: string, at: string, used = 1, phone = 'p') => ({ id, at, used, phone });

export function retentionChapter(under: StoreUnderTest): void {
  describe('retention', () => {
    rule(under, 'a record outside the time a stream takes is refused with the bounds', () =>
      onFreshStore(under, [sessions, visits], async (trial) => {
        // The clock stands at 06:00:01 when these arrive.
        const receipt = await trial.insert(
          sessions,
          session('a', '2026-09-25T06:00:01Z'),
          session('b', '2026-09-25T06:00:00.999999Z'),
          session('c', '2026-10-05T07:00:01Z'),
          session('d', '2026-10-05T07:00:01.000001Z'),
          session('e', '0001-01-01T00:00:00Z'),
          session('f', '9999-12-31T23:59:59Z'),
          { ...session('g', '2020-01-01T00:00:00Z'), used: 'x' },
        );
        expect(
          receipt.verdicts.map(({ verdict, code, field }) => [verdict, code, field].join(' ').trim()),
        ).toEqual([
          'accepted',
          'rejected too_old at',
          'accepted',
          'rejected in_future at',
          'rejected too_old at',
          'rejected in_future at',
          'rejected invalid_value used',
        ]);
        expect(receipt.verdicts[1]?.message).toBe(
          "the record's time 2026-09-25T06:00:00.999999Z lies before 2026-09-25T06:00:01.000000Z, the oldest time the stream still takes",
        );
        expect(receipt.verdicts[3]?.message).toBe(
          "the record's time 2026-10-05T07:00:01.000001Z lies after 2026-10-05T07:00:01.000000Z, the latest time the stream takes now",
        );
        const days = ['2026-10-02', '2026-10-03', '2026-10-04', '2026-10-06', '2026-10-07'].map((day_of) => ({
          id: day_of,
          day_of,
        }));
        expect(verdictsOf(await trial.insert(visits, ...days))).toEqual([
          'rejected too_old day_of',
          'rejected too_old day_of',
          'accepted',
          'accepted',
          'rejected in_future day_of',
        ]);
      }),
    );

    rule(
      under,
      'an old record that is sent again or corrected is too old as well; it can be taken back',
      () =>
        onFreshStore(under, [sessions], async (trial) => {
          const old = session('a', '2026-09-26T00:00:00Z');
          await trial.insert(sessions, old);
          trial.now += 86_400_000_000n;
          expect(verdictsOf(await trial.insert(sessions, old))).toEqual(['rejected too_old at']);
          expect(verdictsOf(await trial.upsert(sessions, { ...old, used: 2 }))).toEqual([
            'rejected too_old at',
          ]);
          expect(verdictsOf(await trial.upsert(sessions, session('a', '2026-10-01T00:00:00Z')))).toEqual([
            'corrected',
          ]);
          expect(verdictsOf(await trial.retract(sessions, 'a'))).toEqual(['retracted']);
          expect(await trial.rows(sessions, { measures: ['count', 'sum(used)'] })).toEqual([[0, '0']]);
        }),
    );

    rule(under, 'dropped records leave the ledger, and the sums of the rollups stay', () =>
      onFreshStore(under, [sessions], async (trial) => {
        await trial.insert(
          sessions,
          session('a', '2026-09-27T10:00:00Z', 1),
          session('b', '2026-09-28T10:00:00Z', 2),
          session('c', '2026-09-28T11:00:00Z', 4, 'q'),
          session('d', '2026-09-29T00:00:00Z', 8),
        );
        await trial.upsert(
          sessions,
          session('b', '2026-09-28T12:00:00Z', 16),
          session('a', '2026-10-01T00:00:00Z', 32),
        );
        await trial.retract(sessions, 'c');
        const daily = { measures: ['sum(used)', 'count'], by: ['phone'], every: 'day' as const };
        const before = await trial.rows(sessions, daily);
        expect(before).toEqual([
          ['p', '2026-09-28', '16', 1],
          ['p', '2026-09-29', '8', 1],
          ['p', '2026-10-01', '32', 1],
        ]);
        // a, its reverse, b, its reverse and its correction, c and its reverse
        expect(await trial.drop(sessions, '2026-09-29T00:00:00Z')).toBe(7);
        expect(await trial.rows(sessions, daily)).toEqual(before);
        expect(await trial.rows(sessions, { measures: ['sum(used)', 'count'] })).toEqual([['56', 3]]);
        const left = { measures: ['sum(used)', 'count', 'max(used)'], from: '2026-09-29' };
        expect((await trial.ask(sessions, left)).rows).toEqual([['40', 2, '32']]);
        await expect(trial.ask(sessions, { measures: ['max(used)'] })).rejects.toMatchObject({
          code: 'beyond_retention',
        });
        expect((await trial.entries(sessions)).map(({ id, sign }) => `${id} ${sign}`)).toEqual([
          'd 1',
          'a 1',
        ]);
        expect((await trial.store.fate(sessions, 'b')).standing).toBeNull();
        await trial.verified();

        // The days that were dropped take nothing more, and nothing of them can be taken back.
        expect(verdictsOf(await trial.insert(sessions, session('b', '2026-09-28T12:00:00Z', 16)))).toEqual([
          'rejected too_old at',
        ]);
        expect(verdictsOf(await trial.retract(sessions, 'b'))).toEqual(['rejected not_found']);
        await trial.insert(sessions, session('e', '2026-09-29T01:00:00Z', 64));
        expect(await trial.drop(sessions, '2026-10-01T00:00:00Z')).toBe(2);
        expect(await trial.drop(sessions, '2026-10-01T00:00:00Z')).toBe(0);
        expect(await trial.rows(sessions, daily)).toEqual([
          ['p', '2026-09-28', '16', 1],
          ['p', '2026-09-29', '72', 2],
          ['p', '2026-10-01', '32', 1],
        ]);
        await trial.verified();
        await trial.prepare();
        expect(trial.states.get('sessions')).toEqual({
          droppedBefore: instant('2026-10-01T00:00:00Z'),
          rollupsCompleteFrom: new Map(),
        });
      }),
    );

    for (const [many, others] of [
      [1, 1],
      [12, 1_200],
      [1_200, 12],
    ] as const)
      rule(under, `ids that were dropped are new again, ${many} with ${others} others in a batch`, () =>
        onFreshStore(under, [sessions], async (trial) => {
          const ids = (name: string, count: number = many) =>
            Array.from({ length: count }, (_, n) => `${name}${n}`);
          const at = (day: number, names: string[]) =>
            names.map((name) => session(name, `2026-09-${day}T10:00:00Z`, 1));
          // Those before and after them stay, so that what says which ids may be known has not forgotten them.
          await trial.insert(sessions, session('first', '2026-10-01T00:00:00Z', 1), ...at(27, ids('old')));
          await trial.insert(sessions, session('last', '2026-10-01T00:00:00Z', 1));
          expect(await trial.drop(sessions, '2026-09-28T00:00:00Z')).toBe(many);
          const [receipt] = await trial.publish(
            delivery(sessions, 'insert', [...at(29, ids('old')), ...at(29, ids('new', others))]),
          );
          expect(receipt).toMatchObject({ accepted: many + others, duplicates: 0, conflicts: 0 });
          expect(await trial.rows(sessions, { measures: ['count'], from: '2026-09-29' })).toEqual([
            [many + others + 2],
          ]);
          const [again] = await trial.publish(delivery(sessions, 'upsert', at(29, ids('old'))));
          expect(again).toMatchObject({ duplicates: many });
          await trial.verified();
        }),
      );

    rule(under, 'compacting changes no answer', () =>
      onFreshStore(under, [sessions], async (trial) => {
        for (let n = 0; n < 8; n++) {
          await trial.upsert(
            sessions,
            session(`r${n % 5}`, `2026-10-0${1 + (n % 4)}T00:00:00Z`, n),
            session(`s${n}`, '2026-10-01T00:00:00Z', 1),
          );
        }
        const daily = { measures: ['sum(used)', 'count'], by: ['phone'], every: 'day' as const };
        const before = await trial.rows(sessions, daily);
        await trial.store.tend({ drop: [], compact: true });
        await trial.store.tend({ drop: [], compact: true });
        expect(await trial.rows(sessions, daily)).toEqual(before);
        expect(await trial.rows(sessions, daily, 'ledger')).toEqual(before);
        await trial.verified();
      }),
    );
  });
}
