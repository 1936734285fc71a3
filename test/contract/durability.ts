/** Chapter: what outlives a crash, and how streams change while they run. */
import { describe, expect } from 'vitest';
import { defineStream } from '../../src/engine/stream.ts';
import {
  delivery,
  fileContent,
  onFreshStore,
  rule,
  type StoreUnderTest,
  scratchDirectory,
  Trial,
  verdictsOf,
} from './harness.ts';

const fields = {
  id: { type: 'text', required: true },
  at: { type: 'timestamp', required: true },
  amount: { type: 'decimal', precision: 18, scale: 2, required: true },
} as const;
const first = defineStream('gauges', {
  id: 'id',
  time: 'at',
  fields,
  rollups: { daily: { every: 'day', sum: ['amount'] } },
  forms: { till: { names: { amount: 'paid' } } },
});
const second = defineStream('gauges', {
  id: 'id',
  time: 'at',
  // New fields anywhere, a new rollup by one of them.
  fields: { note: { type: 'json' }, ...fields, place: { type: 'text' }, level: { type: 'integer' } },
  rollups: {
    daily: { every: 'day', sum: ['amount'] },
    places: { every: 'month', by: ['place'], sum: ['amount', 'level'] },
  },
  forms: first.declaration.forms!,
});

const record = (id: string, day: number, amount: string) => ({
  id,
  at: `2026-09-${String(day).padStart(2, '0')}T10:00:00Z`,
  amount,
});

/** Everything that can be asked of a small store. */
async function everything(trial: Trial): Promise<unknown> {
  return {
    entries: await trial.entries(first),
    rejects: await trial.rejects(),
    fates: [await trial.store.fate(first, 'a'), await trial.store.fate(first, 'b')],
    daily: await trial.ask(first, { every: 'day', measures: ['sum(amount)', 'count'] }),
    known: await trial.ask(first, { measures: ['sum(amount)'], known_at: '2026-10-05T06:00:01Z' }),
  };
}

export function durabilityChapter(under: StoreUnderTest): void {
  describe('durability', () => {
    const files = scratchDirectory();
    if (under.reopen) {
      rule(under, 'what was acknowledged is there after a crash, and ids are still compared', () =>
        onFreshStore(under, [first], async (trial) => {
          await trial.insert(first, record('a', 1, '1.10'), record('b', 1, '2'), record('c', 2, 'x'));
          await trial.upsert(first, record('a', 2, '3'));
          await trial.insert(first, record('a', 3, '4'), record('b', 1, '2'));
          const before = await everything(trial);
          trial.store = await under.reopen!(trial.store, trial.clock);
          await trial.prepare();
          expect(await everything(trial)).toEqual(before);
          await trial.verified();

          trial.now -= 86_400_000_000n;
          const again = await trial.insert(
            first,
            record('a', 2, '3'),
            record('b', 1, '5'),
            record('d', 2, '1'),
          );
          expect(verdictsOf(again)).toEqual(['duplicate', 'conflict', 'accepted']);
          expect(again).toMatchObject({ batch: 4, recorded_at: '2026-10-05T06:00:03.000001Z' });
          expect(verdictsOf(await trial.retract(first, 'a'))).toEqual(['retracted']);
          const [c] = await trial.rejects();
          const replayed = await trial.send('insert', first, [record('c', 2, '9')], { replays: [c!.id!] });
          expect(verdictsOf(replayed)).toEqual(['accepted']);
          expect((await trial.rejects()).map(({ code }) => code)).toEqual(['conflict', 'conflict']);
          expect(await trial.rows(first, { measures: ['count', 'sum(amount)'] })).toEqual([[3, '12']]);
          await trial.verified();
        }),
      );

      rule(under, 'what is taken back first after a crash stands no more', () =>
        onFreshStore(under, [first], async (trial) => {
          await trial.insert(first, record('a', 1, '1'), record('b', 1, '2'), record('c', 1, 'x'));
          trial.store = await under.reopen!(trial.store, trial.clock);
          await trial.prepare();
          expect(verdictsOf(await trial.retract(first, 'a'))).toEqual(['retracted']);
          expect(verdictsOf(await trial.insert(first, record('a', 2, '3')))).toEqual(['accepted']);
          trial.store = await under.reopen!(trial.store, trial.clock);
          await trial.prepare();
          expect(verdictsOf(await trial.upsert(first, record('b', 2, '4')))).toEqual(['corrected']);
          expect(verdictsOf(await trial.upsert(first, record('b', 2, '4'), record('b', 3, '5')))).toEqual([
            'duplicate',
            'corrected',
          ]);
          expect(await trial.rows(first, { measures: ['count', 'sum(amount)'] })).toEqual([[2, '8']]);
          await trial.verified();
        }),
      );
    }

    rule(under, 'a batch that is sent twice counts once', () =>
      onFreshStore(under, [first], async (trial) => {
        const batch = Array.from({ length: 1_200 }, (_, n) => record(`r${n}`, 1 + (n % 28), `${n}.25`));
        await trial.insert(first, ...batch);
        const sums = await trial.rows(first, { measures: ['count', 'sum(amount)'], every: 'day' });
        expect(await trial.insert(first, ...batch)).toMatchObject({ accepted: 0, duplicates: 1_200 });
        expect(await trial.upsert(first, ...batch)).toMatchObject({ accepted: 0, duplicates: 1_200 });
        expect(await trial.rows(first, { measures: ['count', 'sum(amount)'], every: 'day' })).toEqual(sums);
      }),
    );

    rule(under, 'a call that throws leaves nothing', () =>
      onFreshStore(under, [first], async (trial) => {
        await trial.insert(first, record('a', 1, '1'));
        const before = await everything(trial);
        const unknown = defineStream('nowhere', { fields });
        await expect(trial.insert(unknown, record('x', 1, '1'))).rejects.toThrow();
        expect(await everything(trial)).toEqual(before);
        expect(verdictsOf(await trial.insert(first, record('b', 1, '1')))).toEqual(['accepted']);
        await trial.verified();
      }),
    );

    rule(under, 'new fields are null in records of before, and a new rollup counts what came before it', () =>
      onFreshStore(under, [first], async (trial) => {
        await trial.insert(first, record('a', 1, '1'), record('b', 2, '2'));
        await trial.upsert(first, record('b', 3, '4'));
        await trial.prepare(first);
        await trial.prepare(second);
        const monthly = {
          measures: ['sum(amount)', 'sum(level)', 'count'],
          by: ['place'],
          every: 'month' as const,
        };
        expect((await trial.ask(second, monthly)).from).toBe('rollup places');
        expect(await trial.rows(second, monthly)).toEqual([[null, '2026-09-01', '5', '0', 2]]);
        const placed = { ...record('c', 1, '8'), place: 'hall', level: 3, note: { a: 1.5 } };
        const receipt = await trial.insert(
          second,
          record('a', 1, '1'),
          { ...record('b', 3, '4'), place: 'hall' },
          placed,
          placed,
        );
        expect(verdictsOf(receipt)).toEqual(['duplicate', 'conflict', 'accepted', 'duplicate']);
        await trial.upsert(second, { ...record('b', 3, '4'), place: 'hall', level: 1 });
        for (const of of ['planned', 'ledger'] as const) {
          expect(await trial.rows(second, monthly, of)).toEqual([
            ['hall', '2026-09-01', '12', '4', 2],
            [null, '2026-09-01', '1', '0', 1],
          ]);
        }
        expect((await trial.store.fate(second, 'c')).standing?.values).toEqual([
          '{"a":1.5}',
          'c',
          '2026-09-01T10:00:00.000000Z',
          '8',
          'hall',
          '3',
        ]);
        expect((await trial.entries(second))[0]?.values).toEqual([
          null,
          'a',
          '2026-09-01T10:00:00.000000Z',
          '1',
          null,
          null,
        ]);
        await trial.verified();
      }),
    );

    rule(under, 'what waited while its stream was changed counts in a new rollup', () =>
      onFreshStore(under, [first], async (trial) => {
        const till = first.forms.get('till')!;
        await trial.insert(first, record('a', 1, '1'), record('b', 2, '2'));
        await trial.prepare(second);
        await trial.insert(first, record('c', 2, '4'));
        await trial.upsert(first, record('b', 2, '8'), record('d', 2, '16'));
        const { id, at } = record('e', 2, '');
        await trial.send('insert', first, [{ id, at, paid: '32' }], { form: till });
        await trial.retract(first, 'a');
        const path = files.write('gauges.ndjson', JSON.stringify(record('f', 3, '64')));
        await trial.publish(delivery(first, 'insert', [], { content: fileContent(path) }));
        for (const of of ['planned', 'ledger'] as const) {
          const monthly = { measures: ['sum(amount)', 'count'], by: ['place'], every: 'month' as const };
          expect(await trial.rows(second, monthly, of), of).toEqual([[null, '2026-09-01', '124', 5]]);
        }
        await trial.verified();
      }),
    );

    rule(under, 'a rollup that is declared after a drop is complete from there on', () =>
      onFreshStore(under, [first], async (trial) => {
        await trial.insert(first, record('a', 1, '1'), record('b', 2, '2'), record('c', 3, '4'));
        await trial.drop(first, '2026-09-02T00:00:00Z');
        await trial.prepare(second);
        const places = new Map([['places', trial.states.get('gauges')!.droppedBefore!]]);
        expect(trial.states.get('gauges')!.rollupsCompleteFrom).toEqual(places);
        await trial.drop(second, '2026-09-03T00:00:00Z');
        await trial.prepare(second);
        expect(trial.states.get('gauges')!.rollupsCompleteFrom).toEqual(places);
        expect(await trial.rows(second, { measures: ['sum(amount)'], every: 'day' })).toEqual([
          ['2026-09-01', '1'],
          ['2026-09-02', '2'],
          ['2026-09-03', '4'],
        ]);
        await expect(
          trial.ask(second, { measures: ['sum(amount)'], every: 'month', by: ['place'] }),
        ).rejects.toMatchObject({ code: 'beyond_retention' });
        await trial.verified();
      }),
    );

    rule(under, 'a drop that reaches less far back changes nothing', () =>
      onFreshStore(under, [first], async (trial) => {
        await trial.insert(first, record('a', 1, '1'), record('c', 5, '4'));
        await trial.drop(first, '2026-09-03T00:00:00Z');
        await trial.drop(first, '2026-09-02T00:00:00Z');
        await trial.prepare();
        expect(trial.states.get('gauges')!.droppedBefore).toBe(1_788_393_600_000_000n);
        expect(verdictsOf(await trial.insert(first, record('b', 2, '1')))).toEqual(['rejected too_old at']);
      }),
    );

    rule(under, 'a store that is closed takes nothing', async () => {
      const trial = await Trial.open(under, first);
      await trial.insert(first, record('a', 1, '1'));
      await trial.close();
      await expect((async () => trial.store.publish([]))()).rejects.toMatchObject({ code: 'closing' });
      await expect((async () => trial.ask(first, {}))()).rejects.toMatchObject({ code: 'closing' });
      await trial.close();
    });
  });
}
