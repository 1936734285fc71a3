/** Chapter: verdicts and receipts. Which records are the same, what a receipt lists, when a batch is recorded. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect } from 'vitest';
import { defineStream } from '../../src/engine/stream.ts';
import type { Verdict } from '../../src/engine/verdicts.ts';
import { delivery, onFreshStore, rule, type StoreUnderTest, type Trial, verdictsOf } from './harness.ts';

const things = defineStream('things', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    content: { type: 'integer', required: true },
    topic: { type: 'text' },
  },
  rollups: { topics: { every: 'all', by: ['topic'], sum: ['content'] } },
});

export function verdictsChapter(under: StoreUnderTest): void {
  describe('verdicts', () => {
    rule(under, 'the content of a record is every one of its fields, compared by value', () =>
      onFreshStore(under, [things], async (trial) => {
        const receipt = await trial.insert(
          things,
          '{"id":"a","content":10}',
          '{"topic":null,"content":"1e1","id":"a"}',
          '{"id":"a","content":10.0,"topic":""}',
          '{"id":"A","content":10}',
          '{"id":"a ","content":10}',
        );
        expect(verdictsOf(receipt)).toEqual(['accepted', 'duplicate', 'conflict', 'accepted', 'accepted']);
      }),
    );

    rule(under, 'a refused record stands nowhere, so the next with its id is accepted', () =>
      onFreshStore(under, [things], async (trial) => {
        const receipt = await trial.insert(
          things,
          '{"id":"a"}',
          '{"id":"a","content":1}',
          '{"id":"a","content":"x"}',
        );
        expect(verdictsOf(receipt)).toEqual([
          'rejected missing_field content',
          'accepted',
          'rejected invalid_value content',
        ]);
      }),
    );

    rule(under, 'of a batch with something that must be new and is not, nothing is kept', () =>
      onFreshStore(under, [things], async (trial) => {
        const marked = (id: string, mark: string, content: number | string = 2) =>
          trial.publish(
            delivery(things, 'upsert', [{ id, content: 1 }]),
            delivery(things, 'insert', [{ id: mark, content }], { mustBeNew: true }),
          );
        expect((await marked('a', 'mark 1')).map(verdictsOf)).toEqual([['accepted'], ['accepted']]);
        for (const [id, mark, content] of [
          ['a', 'mark 1'],
          ['b', 'mark 1', 3],
          ['b', 'mark 2', 'x'],
        ] as const)
          await expect(marked(id, mark, content)).rejects.toMatchObject({ code: 'superseded' });
        expect(await trial.rejects()).toEqual([]);
        expect((await marked('b', 'mark 2')).map(verdictsOf)).toEqual([['accepted'], ['accepted']]);
        expect(await trial.rows(things, { measures: ['count', 'sum(content)'] })).toEqual([[4, '6']]);
        expect((await trial.store.fate(things, 'a')).lines).toHaveLength(1);
        await trial.verified();
      }),
    );

    rule(under, 'a receipt lists what was not accepted, or everything when that is asked for', () =>
      onFreshStore(under, [things], async (trial) => {
        const records = Array.from({ length: 250 }, (_, n) => ({ id: `r${n - (n % 2)}`, content: 1 }));
        const short = await trial.send('insert', things, records, { allVerdicts: false });
        expect(short).toMatchObject({
          batch: 1,
          received: 250,
          accepted: 125,
          duplicates: 125,
          recorded_at: '2026-10-05T06:00:01.000000Z',
        });
        expect(short.verdicts).toEqual(
          Array.from(
            { length: 100 },
            (_, n): Verdict => ({ index: 2 * n + 1, id: `r${2 * n}`, verdict: 'duplicate' }),
          ),
        );
        const full = await trial.send('insert', things, records, { allVerdicts: true });
        expect(full.batch).toBe(2);
        expect(full.verdicts.map(({ index }) => index)).toEqual(records.map((_, index) => index));
        expect(full.duplicates).toBe(250);
      }),
    );

    rule(under, 'a batch is recorded after the one before, whatever the clock says', () =>
      onFreshStore(under, [things], async (trial) => {
        const first = await trial.insert(things, '{"id":"a","content":1}');
        trial.now -= 3_600_000_000n;
        const second = await trial.insert(things, '{"id":"b","content":1}');
        const third = await trial.insert(things, '{"id":"b","content":1}');
        expect([first, second, third].map(({ recorded_at }) => recorded_at)).toEqual([
          '2026-10-05T06:00:01.000000Z',
          '2026-10-05T06:00:01.000001Z',
          '2026-10-05T06:00:01.000002Z',
        ]);
        expect((await trial.ask(things, {})).as_of).toEqual({
          batch: 3,
          recorded_at: '2026-10-05T06:00:01.000002Z',
        });
      }),
    );

    rule(under, 'calls that overlap are each whole, and every id stands once', () =>
      onFreshStore(under, [things], async (trial) => {
        trial.tick();
        const calls = Array.from({ length: 6 }, (_, call) => {
          const records = Array.from({ length: 40 }, (_, n) => ({
            id: `r${(n * 7 + call * 13) % 60}`,
            content: n % 3,
          }));
          return trial.store.publish([
            delivery(things, 'insert', records),
            delivery(things, 'insert', records),
          ]);
        });
        const receipts = (await Promise.all(calls)).flat();
        expect(new Set(receipts.map(({ batch }) => batch)).size).toBe(6);
        const accepted = receipts.reduce((sum, receipt) => sum + receipt.accepted, 0);
        const stands = await trial.entries(things, { standing: true });
        expect(new Set(stands.map(({ id }) => id)).size).toBe(stands.length);
        expect(stands).toHaveLength(accepted);
        expect(await trial.rows(things, {})).toEqual([[accepted]]);
        await trial.verified();
      }),
    );

    rule(under, 'a receipt is right whatever else uses memory meanwhile', () =>
      onFreshStore(under, [things], memoryInUse),
    );

    rule(under, 'ids of other types are compared in their canonical text', () =>
      onFreshStore(under, [numbered, named, unnamed], idTypes),
    );
  });
}

const numbered = defineStream('numbered', { id: 'n', fields: { n: { type: 'integer', required: true } } });
const named = defineStream('named', { id: 'u', fields: { u: { type: 'uuid', required: true } } });
const unnamed = defineStream('unnamed', {
  id: 'id',
  fields: { id: { type: 'text' }, v: { type: 'integer' } },
});

async function idTypes(trial: Trial): Promise<void> {
  const numbers = await trial.insert(
    numbered,
    '{"n":7}',
    '{"n":"07"}',
    '{"n":7.0}',
    '{"n":70e-1}',
    '{"n":-9223372036854775808}',
  );
  expect(verdictsOf(numbers)).toEqual(['accepted', 'duplicate', 'duplicate', 'duplicate', 'accepted']);
  expect(numbers.verdicts.map(({ id }) => id)).toEqual(['7', '7', '7', '7', '-9223372036854775808']);
  expect(verdictsOf(await trial.send('retract', numbered, ['7', '"7"', '{"id":7}', '8']))).toEqual([
    'retracted',
    'duplicate',
    'duplicate',
    'rejected not_found',
  ]);
  const u = '3f2c1a9e-5b7d-4c1e-9a60-2f6b8d1e4c55';
  const uuids = await trial.insert(named, { u }, { u: u.toUpperCase() });
  expect(verdictsOf(uuids)).toEqual(['accepted', 'duplicate']);
  expect(verdictsOf(await trial.retract(named, u.toUpperCase()))).toEqual(['retracted']);
  const given = await trial.send('insert', unnamed, ['{"v":1}', '{"id":"own","v":2}', '{"id":null,"v":3}'], {
    source: 'key',
  });
  expect(given.verdicts.map(({ id, verdict }) => [id, verdict])).toEqual([
    ['key-0', 'accepted'],
    ['own', 'accepted'],
    ['key-2', 'accepted'],
  ]);
  const again = await trial.send('insert', unnamed, ['{"v":1}', '{"id":"key-0","v":1}'], { source: 'key' });
  expect(verdictsOf(again)).toEqual(['duplicate', 'duplicate']);
  expect((await trial.store.fate(unnamed, 'key-2')).standing?.values).toEqual(['key-2', '3']);
}

/** Garbage is collected and lists are read while records are published: what is freed too early shows in a receipt. */
async function memoryInUse(trial: Trial): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const timer = setInterval(collect, 5);
  const numbers = Array.from({ length: 300 }, (_, n) => n);
  const id = (n: number, round: number) => `an-identifier-too-long-to-be-stored-in-place-${round}-${n}`;
  let done = false;
  const reading = async () => {
    while (!done) await trial.entries(things);
  };
  const readers = [reading(), reading()];
  try {
    for (let round = 0; round < 5; round++) {
      const conflicts = numbers.map((n) => ({ id: id(n, 0), content: round + 1 }));
      const wrong = numbers.map((n) => ({
        id: id(n, round),
        content: `a value too long to be stored in place: ${n}`,
      }));
      const { verdicts } = await trial.insert(things, ...conflicts, ...wrong);
      expect(verdicts.map((verdict) => verdict.id)).toEqual(
        [...conflicts, ...wrong].map((record) => record.id),
      );
      const messages = verdicts.slice(numbers.length).map(({ message }) => message?.slice(0, 60));
      expect(messages).toEqual(wrong.map(({ content }) => `content is "${content}"; expected`.slice(0, 60)));
    }
  } finally {
    clearInterval(timer);
    done = true;
    await Promise.all(readers);
  }
}
