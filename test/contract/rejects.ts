/** Chapter: what is refused is kept with the reason, can be mended and replayed, and counts once then. */
import { describe, expect } from 'vitest';
import { rejectsStream } from '../../src/engine/built-in-streams.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { delivery, onFreshStore, rule, type StoreUnderTest, verdictsOf } from './harness.ts';

const sales = defineStream('sales', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    amount: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
  rollups: { daily: { every: 'day', sum: ['amount'] } },
  future_tolerance: '1 hour',
});
const clicks = defineStream('clicks', { fields: { hits: { type: 'integer', required: true } } });

const at = '2026-10-05T05:00:00Z';
const sale = (id: string, amount: unknown) => ({ id, at, amount });

export function rejectsChapter(under: StoreUnderTest): void {
  describe('rejects', () => {
    rule(under, 'a reject is kept with its reason, its place and its bytes', () =>
      onFreshStore(under, [sales], async (trial) => {
        await trial.insert(sales, sale('a', '1.00'));
        const texts = [
          '{"id":"b", "at":"2026-10-05T05:00:00Z", "amount":1.005}',
          '{"id":"c","at":"2026-10-05T05:00:00Z","amount":"2"}',
          '{"id":"a","at":"2026-10-05T05:00:00Z","amount":"2"}',
          'né {',
          '{"id":"d","at":"2026-10-06T05:00:00Z","amount":"2"}',
          '{"id":"e","amount":"2","at":"2026-10-05T05:00:00Z","currency":"EUR"}',
        ];
        const { recorded_at } = await trial.send('upsert', sales, texts.slice(0, 1), { source: 'till' });
        const receipt = await trial.send('insert', sales, texts, { source: 'till' });
        expect(receipt).toMatchObject({ received: 6, accepted: 1, conflicts: 1, rejected: 4 });
        const rejects = await trial.rejects();
        const shared = {
          at: receipt.recorded_at,
          stream: 'sales',
          source: 'till',
          import: null,
          mode: 'insert',
          encoding: 'utf8',
          form: null,
        };
        const listed = (index: number) => {
          const { id, code, field, message } = receipt.verdicts[index]!;
          return {
            ...shared,
            index: String(index),
            original: texts[index],
            record_id: id,
            code,
            field: field ?? null,
            message,
          };
        };
        expect(rejects.map(({ id: _, ...rest }) => rest)).toEqual([
          { ...listed(0), at: recorded_at, mode: 'upsert' },
          ...[0, 2, 3, 4, 5].map(listed),
        ]);
        expect(rejects.map(({ code, field, record_id }) => [code, field, record_id])).toEqual([
          ['invalid_value', 'amount', 'b'],
          ['invalid_value', 'amount', 'b'],
          ['conflict', null, 'a'],
          ['unreadable', null, null],
          ['in_future', 'at', 'd'],
          ['unknown_field', 'currency', 'e'],
        ]);
        expect(new Set(rejects.map(({ id }) => id)).size).toBe(6);
        for (const entry of await trial.entries(rejectsStream)) expect(entry.id).toBe(`r${entry.seq}`);
        const groups = {
          measures: ['count', 'min(at)', 'max(at)'],
          by: ['code', 'field', 'source'],
          where: { stream: 'sales' },
          order: ['-count'],
        };
        expect(await trial.rows(rejectsStream, groups)).toEqual([
          ['invalid_value', 'amount', 'till', 2, recorded_at, receipt.recorded_at],
          ['conflict', null, 'till', 1, receipt.recorded_at, receipt.recorded_at],
          ['in_future', 'at', 'till', 1, receipt.recorded_at, receipt.recorded_at],
          ['unknown_field', 'currency', 'till', 1, receipt.recorded_at, receipt.recorded_at],
          ['unreadable', null, 'till', 1, receipt.recorded_at, receipt.recorded_at],
        ]);
      }),
    );

    rule(under, 'a reject is listed once, whatever is sent after it', () =>
      onFreshStore(under, [sales], async (trial) => {
        await trial.insert(sales, sale('a', '1.00'));
        await trial.insert(sales, sale('a', '2.00'), sale('b', '1.00'), sale('a', '3.00'));
        await trial.insert(sales, sale('c', 'x'), sale('d', '1.00'));
        await trial.retract(sales, 'nobody', 'b');
        await trial.insert(sales, sale('e', '1.00'), sale('f', 'x'));
        await trial.upsert(sales, sale('g', '1.00'), sale('h', '1.00'), sale('i', 'x'));
        expect(
          (await trial.rejects()).map(({ code, record_id, mode, index }) => [code, record_id, mode, index]),
        ).toEqual([
          ['conflict', 'a', 'insert', '0'],
          ['conflict', 'a', 'insert', '2'],
          ['invalid_value', 'c', 'insert', '0'],
          ['not_found', 'nobody', 'retract', '0'],
          ['invalid_value', 'f', 'insert', '1'],
          ['invalid_value', 'i', 'upsert', '2'],
        ]);
      }),
    );

    rule(
      under,
      'what passes when it is replayed counts once and leaves the list; what fails stays and makes no new reject',
      () =>
        onFreshStore(under, [sales], async (trial) => {
          await trial.insert(
            sales,
            sale('a', '1.00'),
            sale('b', 'x'),
            sale('c', 'y'),
            sale('d', 'z'),
            sale('a', '9.00'),
          );
          const [b, c, d, a] = await trial.rejects();
          const replays = [b!.id!, c!.id!, d!.id!, a!.id!];
          const mended = [sale('b', '2.00'), sale('c', 'still'), sale('d', '4.00'), sale('a', '9.00')];
          const receipt = await trial.send('insert', sales, mended, { source: 'desk', replays });
          expect(verdictsOf(receipt)).toEqual([
            'accepted',
            'rejected invalid_value amount',
            'accepted',
            'conflict',
          ]);
          expect((await trial.rejects()).map(({ id }) => id)).toEqual([c!.id, a!.id]);
          const again = await trial.send('upsert', sales, mended, { source: 'desk', replays });
          expect(verdictsOf(again)).toEqual([
            'duplicate',
            'rejected invalid_value amount',
            'duplicate',
            'corrected',
          ]);
          expect((await trial.rejects()).map(({ id }) => id)).toEqual([c!.id]);
          expect(await trial.rows(sales, { measures: ['count', 'sum(amount)'], every: 'day' })).toEqual([
            ['2026-10-05', 3, '15'],
          ]);
          const taken = (await trial.entries(rejectsStream)).filter(({ sign }) => sign === -1);
          expect(taken.map(({ id, reason, source, batch }) => ({ id, reason, source, batch }))).toEqual([
            { id: b!.id, reason: 'replayed', source: 'desk', batch: 2 },
            { id: d!.id, reason: 'replayed', source: 'desk', batch: 2 },
            { id: a!.id, reason: 'replayed', source: 'desk', batch: 3 },
          ]);
          await trial.verified();
        }),
    );

    rule(under, 'a replay that stands already leaves the list, and two hundred that fail all stay', () =>
      onFreshStore(under, [sales], async (trial) => {
        await trial.insert(sales, sale('a', 'x'), sale('a', '1.00'));
        const [a] = await trial.rejects();
        expect(
          verdictsOf(await trial.send('insert', sales, [sale('a', '1.00')], { replays: [a!.id!] })),
        ).toEqual(['duplicate']);
        expect(await trial.rejects()).toEqual([]);

        const many = Array.from({ length: 200 }, (_, n) => sale(`m${n}`, 'x'));
        await trial.insert(sales, ...many);
        const listed = await trial.rejects();
        expect(listed).toHaveLength(200);
        const receipt = await trial.send('insert', sales, many, {
          replays: listed.map(({ id }) => id!),
          allVerdicts: false,
        });
        expect(receipt.rejected).toBe(200);
        expect(await trial.rejects()).toEqual(listed);
      }),
    );

    rule(under, 'a reject that is discarded is taken back with the reason', () =>
      onFreshStore(under, [sales], async (trial) => {
        await trial.insert(sales, sale('a', 'x'), sale('b', 'x'));
        const [a, b] = await trial.rejects();
        await trial.send('retract', rejectsStream, [JSON.stringify(a!.id)], {
          source: 'desk',
          reason: 'a test',
        });
        expect((await trial.rejects()).map(({ id }) => id)).toEqual([b!.id]);
        const fate = await trial.store.fate(rejectsStream, a!.id!);
        expect(fate.standing).toBeNull();
        expect(fate.lines.map(({ verdict, source, reason }) => [verdict, source, reason])).toEqual([
          ['accepted', 'test', null],
          ['retracted', 'desk', 'a test'],
        ]);
      }),
    );

    rule(under, 'records with no id of their own keep the one they were given', () =>
      onFreshStore(under, [clicks], async (trial) => {
        const receipt = await trial.send(
          'insert',
          clicks,
          ['{"hits":1}', '{"hits":"x"}', '{"hits":3}', 'no json'],
          {
            source: 'key',
          },
        );
        expect(receipt.verdicts.map(({ id }) => id)).toEqual(['key-0', 'key-1', 'key-2', 'key-3']);
        const [second] = await trial.rejects();
        expect(second).toMatchObject({ record_id: 'key-1', index: '1' });
        const mended = delivery(clicks, 'insert', ['{"hits":2}'], { replays: [second!.id!] });
        if (mended.content.kind === 'texts') mended.content.fallbackIds = ['key-1'];
        await trial.publish(mended);
        const again = await trial.send('insert', clicks, ['{"hits":1}', '{"hits":2}', '{"hits":3}'], {
          source: 'key',
        });
        expect(verdictsOf(again)).toEqual(['duplicate', 'duplicate', 'duplicate']);
        expect(await trial.rows(clicks, { measures: ['count', 'sum(hits)'] })).toEqual([[3, '6']]);
      }),
    );
  });
}
