/** Chapter: records come in another form of their stream: under other names, with values that they do not name. */
import { describe, expect } from 'vitest';
import { TallybookError } from '../../src/engine/errors.ts';
import { defineStream, type Stream } from '../../src/engine/stream.ts';
import {
  delivery,
  fileContent,
  onFreshStore,
  rule,
  type Sent,
  type StoreUnderTest,
  scratchDirectory,
  type Trial,
  verdictsOf,
} from './harness.ts';

const usage = defineStream('usage', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    kind: { type: 'text', one_of: ['data', 'voice'], required: true },
    rate: { type: 'decimal', precision: 4, scale: 1, default: '1.0' },
    at: { type: 'timestamp', required: true },
    price: { type: 'decimal', precision: 30, scale: 12, required: true },
    used: { type: 'integer', min: 0, required: true },
  },
  rollups: { daily: { every: 'day', by: ['kind', 'rate'], sum: ['price', 'used'] } },
  forms: {
    data: { names: { used: 'kilobytes', at: 'date' }, fixed: { kind: 'data', rate: '2.5' } },
    // The names of two fields change places.
    voice: { names: { used: 'price', price: 'used' }, fixed: { kind: 'voice' } },
  },
  future_tolerance: '1 hour',
});
const data = usage.forms.get('data')!;
const voice = usage.forms.get('voice')!;

const date = '2026-10-05T05:00:00Z';
const session = (id: string, more: object = {}) => ({ id, date, price: '1.50', kilobytes: 7, ...more });
const stood = ['2026-10-05T05:00:00.000000Z', '1.5', '7'];

async function valuesOf(trial: Trial, stream: Stream): Promise<(string | null)[][]> {
  return (await trial.entries(stream, { standing: true })).map(({ values }) => values);
}

export function formsChapter(under: StoreUnderTest): void {
  describe('forms', () => {
    const scratch = scratchDirectory();

    rule(under, 'a record in a form is the record that it stands for', () =>
      onFreshStore(under, [usage], async (trial) => {
        const first = await trial.send('insert', usage, [session('a'), session('b')], { form: data });
        expect(verdictsOf(first)).toEqual(['accepted', 'accepted']);
        const plain = { id: 'a', kind: 'data', rate: 2.5, at: date, price: 1.5, used: '7' };
        expect(verdictsOf(await trial.insert(usage, plain, { ...plain, id: 'c', rate: null }))).toEqual([
          'duplicate',
          'accepted',
        ]);
        const call = { id: 'd', at: date, price: 60, used: '0.25', rate: '0.5' };
        expect(verdictsOf(await trial.send('insert', usage, [call], { form: voice }))).toEqual(['accepted']);
        expect(await valuesOf(trial, usage)).toEqual([
          ['a', 'data', '2.5', ...stood],
          ['b', 'data', '2.5', ...stood],
          ['c', 'data', '1', ...stood],
          ['d', 'voice', '0.5', stood[0], '0.25', '60'],
        ]);
        const question = { measures: ['count', 'sum(price)', 'sum(used)'], by: ['kind'] };
        expect(await trial.rows(usage, question)).toEqual([
          ['data', 3, '4.5', '21'],
          ['voice', 1, '0.25', '60'],
        ]);
        await trial.verified();
      }),
    );

    rule(under, 'a correction in another form moves the record', () =>
      onFreshStore(under, [usage], async (trial) => {
        await trial.send('insert', usage, [session('a'), session('b')], { form: data });
        const call = { id: 'a', at: date, price: 60, used: '1.50' };
        expect(verdictsOf(await trial.send('insert', usage, [call], { form: voice }))).toEqual(['conflict']);
        expect(verdictsOf(await trial.send('upsert', usage, [call, call], { form: voice }))).toEqual([
          'corrected',
          'duplicate',
        ]);
        const [conflict] = await trial.rejects();
        expect(conflict).toMatchObject({ code: 'conflict', form: 'voice', original: JSON.stringify(call) });
        const question = {
          measures: ['count', 'sum(price)', 'sum(used)'],
          by: ['kind'],
          every: 'day' as const,
        };
        expect(await trial.rows(usage, question)).toEqual([
          ['data', '2026-10-05', 1, '1.5', '7'],
          ['voice', '2026-10-05', 1, '1.5', '60'],
        ]);
        await trial.verified();
      }),
    );

    rule(under, 'refusals speak of the names of the form, and rejects remember it', () =>
      onFreshStore(under, [usage], async (trial) => {
        const cases: [record: Sent, verdict: string][] = [
          [session('a', { kind: 'data' }), 'rejected unknown_field kind'],
          [session('a', { rate: null }), 'rejected unknown_field rate'],
          [session('a', { used: 1 }), 'rejected unknown_field used'],
          [session('a', { at: date }), 'rejected unknown_field at'],
          [session('a', { kilobytes: -1 }), 'rejected out_of_range kilobytes'],
          [session('a', { kilobytes: 1.5 }), 'rejected invalid_value kilobytes'],
          [session('a', { kilobytes: null }), 'rejected missing_field kilobytes'],
          [session('a', { date: '2026-10-06T05:00:00Z' }), 'rejected in_future date'],
          [`{"id":"a","id":"b","kilobytes":1}`, 'rejected unreadable'],
          [session('z'), 'accepted'],
        ];
        const records = cases.map(([record]) => record);
        const receipt = await trial.send('insert', usage, records, { form: data });
        expect(verdictsOf(receipt)).toEqual(cases.map(([, verdict]) => verdict));
        expect(receipt.verdicts[0]!.message).toBe(
          'the stream has no field kind; its fields are id, date, price, kilobytes',
        );
        const rejects = await trial.rejects();
        expect(rejects.map(({ field }) => field)).toEqual([
          'kind',
          'rate',
          'used',
          'at',
          'kilobytes',
          'kilobytes',
          'kilobytes',
          'date',
          null,
        ]);
        expect(new Set(rejects.map(({ form }) => form))).toEqual(new Set(['data']));
        expect(rejects[4]).toMatchObject({
          original: JSON.stringify(records[4]),
          message: receipt.verdicts[4]!.message,
        });
        await trial.insert(usage, session('b'));
        expect((await trial.rejects()).at(-1)).toMatchObject({ field: 'date', form: null });
      }),
    );

    rule(under, 'a reject is replayed in its form', () =>
      onFreshStore(under, [usage], async (trial) => {
        await trial.send('insert', usage, [session('a', { kilobytes: 'x' }), session('b')], { form: data });
        const [a] = await trial.rejects();
        const mended = [session('a')];
        const receipt = await trial.send('insert', usage, mended, { form: data, replays: [a!.id!] });
        expect(verdictsOf(receipt)).toEqual(['accepted']);
        expect(await trial.rejects()).toEqual([]);
        expect(await valuesOf(trial, usage)).toEqual([
          ['b', 'data', '2.5', ...stood],
          ['a', 'data', '2.5', ...stood],
        ]);
      }),
    );

    rule(under, 'numbers are exact in a form, also those that a double cannot hold', () =>
      onFreshStore(under, [usage], async (trial) => {
        const texts = [
          `{"id":"a","date":"${date}","price":123456789012345678.123456789012,"kilobytes":9007199254740993}`,
          `{"id":"b","date":"${date}","price":1.5e1,"kilobytes":9.007199254740993e15}`,
          `{"id":"c","date":"${date}","price":0.1234567890123,"kilobytes":1}`,
        ];
        const receipt = await trial.send('insert', usage, texts, { form: data });
        expect(verdictsOf(receipt)).toEqual(['accepted', 'accepted', 'rejected invalid_value price']);
        expect(receipt.verdicts[2]!.message).toContain('0.1234567890123');
        expect((await valuesOf(trial, usage)).map((values) => values.slice(4))).toEqual([
          ['123456789012345678.123456789012', '9007199254740993'],
          ['15', '9007199254740993'],
        ]);
      }),
    );

    rule(under, 'forms do not mix in one commit', () =>
      onFreshStore(under, [usage], async (trial) => {
        const call = { id: 'b', at: date, price: 60, used: 2 };
        const receipts = await trial.publish(
          delivery(usage, 'insert', [session('a')], { form: data }),
          delivery(usage, 'insert', [call], { form: voice }),
          delivery(usage, 'insert', [call]),
          delivery(usage, 'insert', [session('c')], { form: data }),
        );
        expect(receipts.flatMap(verdictsOf)).toEqual([
          'accepted',
          'accepted',
          'rejected missing_field kind',
          'accepted',
        ]);
        expect((await valuesOf(trial, usage)).map(([id, kind]) => [id, kind]).sort()).toEqual([
          ['a', 'data'],
          ['b', 'voice'],
          ['c', 'data'],
        ]);
      }),
    );

    rule(under, 'a file has the columns of the form', () =>
      onFreshStore(under, [usage], async (trial) => {
        await trial.send('insert', usage, [session('x')], { form: data });
        const rows = [
          'kilobytes,id,price,date',
          '7,a,1.50,2026-10-05 05:00',
          'x,b,1.50,2026-10-05 05:00',
          '7,x,2.50,2026-10-05 05:00',
        ];
        const path = scratch.write('form.csv', rows.join('\n'));
        const content = fileContent(path, { format: 'csv' });
        const [receipt] = await trial.publish({ ...delivery(usage, 'insert', [], { form: data }), content });
        expect(verdictsOf(receipt!)).toEqual(['accepted', 'rejected invalid_value kilobytes', 'conflict']);
        const rejects = await trial.rejects();
        expect(rejects.map(({ code, form }) => [code, form])).toEqual([
          ['invalid_value', 'data'],
          ['conflict', 'data'],
        ]);
        // What is kept can be sent again in the same form.
        expect(Object.keys(JSON.parse(rejects[1]!.original!)).sort()).toEqual([
          'date',
          'id',
          'kilobytes',
          'price',
        ]);
        const again = await trial.send('upsert', usage, [rejects[1]!.original!], {
          form: data,
          replays: [rejects[1]!.id!],
        });
        expect(verdictsOf(again)).toEqual(['corrected']);
        await trial.verified();
      }),
    );

    rule(under, 'lines of a file come in the form, exact numbers too', () =>
      onFreshStore(under, [usage], async (trial) => {
        const rows = [
          JSON.stringify(session('a')),
          `{"id":"b","date":"${date}","price":123456789012345678.123456789012,"kilobytes":1}`,
          JSON.stringify(session('c', { kind: 'data' })),
        ];
        const content = fileContent(scratch.write('form.ndjson', rows.join('\n')));
        const [receipt] = await trial.publish({ ...delivery(usage, 'insert', [], { form: data }), content });
        expect(verdictsOf(receipt!)).toEqual(['accepted', 'accepted', 'rejected unknown_field kind']);
        expect((await valuesOf(trial, usage)).map((values) => [values[0], values[1], values[4]])).toEqual([
          ['a', 'data', '1.5'],
          ['b', 'data', '123456789012345678.123456789012'],
        ]);
        expect(await trial.rejects()).toMatchObject([{ form: 'data', field: 'kind', original: rows[2] }]);
      }),
    );

    rule(under, 'a file with the columns of the stream is none of the form', () =>
      onFreshStore(under, [usage], async (trial) => {
        for (const header of ['id,date,price,kilobytes,kind', 'id,at,price,used', 'id,date,price']) {
          const content = fileContent(scratch.write('other.csv', `${header}\n`), { format: 'csv' });
          const published = trial.publish({ ...delivery(usage, 'insert', [], { form: data }), content });
          await expect(published, header).rejects.toThrow('expected the columns id, date, price, kilobytes');
          await expect(published).rejects.toBeInstanceOf(TallybookError);
        }
      }),
    );
  });
}
