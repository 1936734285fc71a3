/** Chapter: an import is one unit. It comes whole or not at all, beside other writers, and it can be undone. */
import { gzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { rejectsStream } from '../../src/engine/built-in-streams.ts';
import type { Delivery, Progress } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';
import { delivery, onFreshStore, rule, type StoreUnderTest, type Trial, verdictsOf } from './harness.ts';
import { csv, rows, stands, visitFiles, visits } from './visits.ts';

const runs = defineStream('runs', {
  id: 'id',
  fields: { id: { type: 'text', required: true }, accepted: { type: 'integer' } },
});

const undo = (trial: Trial, importId: number, signal?: AbortSignal): Promise<Receipt[]> =>
  trial.publish({
    stream: visits,
    mode: 'retract',
    source: 'desk',
    reason: 'wrong file',
    content: {
      kind: 'standing_of_import',
      import: importId,
      onProgress: () => {},
      signal,
      alongside: undefined,
    },
    allVerdicts: true,
  });

export function importsChapter(under: StoreUnderTest): void {
  const { take } = visitFiles();
  const text = csv(rows);

  describe('imports', () => {
    rule(under, 'repeats, conflicts and corrections inside a file and with what stands', () =>
      onFreshStore(under, [visits], async (trial) => {
        await trial.insert(
          visits,
          { id: 'a', at: '2026-10-01T10:00:00Z', units: 1 },
          { id: 'b', at: '2026-10-01T10:00:00Z', units: 1 },
        );
        const line = (id: string, n: number) => `{"id":"${id}","at":"2026-10-01T10:00:00Z","units":${n}}`;
        const lines = [
          line('a', 1),
          line('b', 2),
          line('c', 1),
          line('c', 1),
          line('c', 2),
          line('d', 1),
        ].join('\n');
        const inserted = await take(trial, lines, { import: 1 });
        expect(verdictsOf(inserted)).toEqual([
          'duplicate',
          'conflict',
          'accepted',
          'duplicate',
          'conflict',
          'accepted',
        ]);
        const upserted = await take(trial, lines, { import: 2, mode: 'upsert' });
        expect(verdictsOf(upserted)).toEqual([
          'duplicate',
          'corrected',
          'duplicate',
          'duplicate',
          'corrected',
          'duplicate',
        ]);
        expect((await stands(trial)).map(([id, , , n]) => `${id}${n}`)).toEqual(['a1', 'd1', 'b2', 'c2']);
        expect(
          (await trial.store.fate(visits, 'c')).lines.map(
            ({ verdict, import: imported }) => `${verdict} ${imported}`,
          ),
        ).toEqual(['accepted 1', 'duplicate 1', 'conflict 1', 'corrected 2', 'duplicate 2', 'duplicate 2']);
        await trial.verified();
      }),
    );

    rule(under, 'an import is undone: what stands of it is taken back, also when it is done twice', () =>
      onFreshStore(under, [visits], async (trial) => {
        await trial.insert(visits, { id: 'x', at: '2026-10-01T10:00:00Z', door: 'north', units: 100 });
        const before = await trial.rows(visits, {
          by: ['door'],
          every: 'day',
          measures: ['sum(units)', 'sum(price)', 'count'],
        });
        await take(trial, text, { format: 'csv', import: 3 });
        await take(trial, '{"id":"other","at":"2026-10-01T10:00:00Z","units":1}', { import: 4 });
        // One of the file is corrected by hand, so it does not belong to the import any more; one is gone.
        await trial.upsert(visits, { id: 'a', at: '2026-10-01T10:00:00Z', units: 50 });
        await trial.retract(visits, 'b', 'other');
        const [undone] = await undo(trial, 3);
        expect(undone).toMatchObject({ received: 3, retracted: 3 });
        expect(undone!.verdicts.map(({ id, verdict }) => [id, verdict]).toSorted()).toEqual([
          ['c', 'retracted'],
          ['d', 'retracted'],
          ['e', 'retracted'],
        ]);
        expect((await stands(trial)).map(([id]) => id)).toEqual(['x', 'a']);
        expect((await undo(trial, 3))[0]).toMatchObject({ received: 0, retracted: 0 });
        await trial.retract(visits, 'a');
        expect(
          await trial.rows(visits, {
            by: ['door'],
            every: 'day',
            measures: ['sum(units)', 'sum(price)', 'count'],
          }),
        ).toEqual(before);
        const fate = await trial.store.fate(visits, 'c');
        expect(fate.lines.map(({ verdict, source, reason }) => [verdict, source, reason])).toEqual([
          ['accepted', 'loader', null],
          ['retracted', 'desk', 'wrong file'],
        ]);
        expect(await take(trial, text, { format: 'csv', import: 5 })).toMatchObject({ accepted: 5 });
        await trial.verified();
      }),
    );

    rule(under, 'how an import ended is published with it', () =>
      onFreshStore(under, [visits, runs], async (trial) => {
        const alongside = (receipt: Receipt): Delivery[] => [
          delivery(runs, 'upsert', [{ id: 'run', accepted: receipt.accepted }], { source: 'loader' }),
        ];
        const receipt = await take(trial, text, { format: 'csv', alongside });
        const [entry] = await trial.entries(runs);
        expect(entry).toMatchObject({
          id: 'run',
          batch: receipt.batch,
          recorded_at: receipt.recorded_at,
          values: ['run', '5'],
        });
        expect(verdictsOf(receipt)).toHaveLength(5);
      }),
    );

    rule(under, 'an import that is aborted, or whose end cannot be written, leaves nothing', () =>
      onFreshStore(under, [visits, runs], async (trial) => {
        const many = Array.from(
          { length: 2000 },
          (_, n) => `{"id":"m${n}","at":"2026-10-01T10:00:00Z","units":${n % 7 === 0 ? '"x"' : n}}`,
        ).join('\n');
        await expect(take(trial, many, { signal: AbortSignal.abort() })).rejects.toThrow();
        for (const step of ['staging', 'comparing', 'publishing'] as const) {
          const controller = new AbortController();
          const onProgress = (progress: Progress) => progress.step === step && controller.abort();
          await expect(take(trial, many, { signal: controller.signal, onProgress }), step).rejects.toThrow();
        }
        const alongside = (): Delivery[] => {
          throw new Error('not this time');
        };
        await expect(take(trial, many, { alongside })).rejects.toThrow('not this time');
        await expect(
          take(trial, gzipSync(many).subarray(0, 3000), { compression: 'gzip' }),
        ).rejects.toThrow();
        await expect(take(trial, many, { compression: 'gzip' })).rejects.toThrow();
        expect(await trial.rows(visits, { measures: ['count', 'sum(units)'] })).toEqual([[0, '0']]);
        expect(await trial.entries(rejectsStream)).toEqual([]);
        expect(await trial.entries(visits)).toEqual([]);
        expect(await take(trial, many)).toMatchObject({
          accepted: 1714,
          rejected: 286,
          duplicates: 0,
        });
        await expect(undo(trial, 1, AbortSignal.abort())).rejects.toThrow();
        expect(await trial.rows(visits, {})).toEqual([[1714]]);
        await trial.verified();
      }),
    );

    rule(under, 'writers that send the ids of a file while it comes in: every id stands once', () =>
      onFreshStore(under, [visits], async (trial) => {
        const record = (n: number) => `{"id":"r${n}","at":"2026-10-01T10:00:00Z","units":1}`;
        const numbers = Array.from({ length: 3000 }, (_, n) => n);
        const importing = take(trial, numbers.map(record).join('\n'));
        const writing = Array.from({ length: 20 }, async (_, call) => {
          const own = numbers.filter((n) => n % 20 === call || n % 31 === call).slice(0, 100);
          return trial.store.publish([
            delivery(visits, 'insert', own.map(record), { source: `writer ${call}` }),
          ]);
        });
        const receipts = [await importing, ...(await Promise.all(writing)).flat()];
        expect(receipts.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(3000);
        const entries = await trial.entries(visits);
        expect(new Set(entries.map(({ id }) => id)).size).toBe(3000);
        expect(entries).toHaveLength(3000);
        expect(await trial.rows(visits, { measures: ['count', 'sum(units)'] })).toEqual([[3000, '3000']]);
        await trial.verified();
      }),
    );
  });
}
