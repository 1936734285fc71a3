/** Streams that systems ship with: there from the start, to be added to, not to be changed, and adopted where they fit. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { StreamDeclaration } from '../../src/engine/declaration.ts';
import { defineStream, type Stream } from '../../src/engine/stream.ts';
import { Tallybook } from '../../src/engine/tallybook.ts';
import { makeDirectory, openStore } from '../http/open-app.ts';

const declaration: StreamDeclaration = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    kind: { type: 'text', one_of: ['a', 'b'], required: true },
    amount: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
  rollups: { daily: { every: 'day', by: ['kind'], sum: ['amount'] } },
  forms: { a: { fixed: { kind: 'a' } } },
};
const shipped = defineStream('stays', declaration);

/** Opens the same ledger again and again, with or without what ships. */
function ledger() {
  const directory = makeDirectory();
  let open: Tallybook | undefined;
  onTestFinished(() => open?.close());
  return async (...streams: Stream[]): Promise<Tallybook> => {
    await open?.close();
    open = undefined;
    const store = await openStore('duckdb', directory);
    const log = { info() {}, warn() {}, error() {} };
    try {
      open = await Tallybook.open({ store, spoolDirectory: join(directory, 'spool'), log, shipped: streams });
    } catch (error) {
      await store.close();
      throw error;
    }
    return open;
  };
}

const write = (tallybook: Tallybook, record: object) =>
  tallybook.write({
    stream: tallybook.streams.get('stays'),
    mode: 'insert',
    source: 'test',
    reason: undefined,
    content: { kind: 'texts', texts: [JSON.stringify(record)], fallbackIds: [''] },
    allVerdicts: true,
  });
const record = { id: '1', at: '2026-10-05T06:00:00Z', kind: 'a', amount: '1.50' };
const sum = async (tallybook: Tallybook) =>
  (await tallybook.ask('stays', { measures: ['sum(amount)'], every: 'day' })).rows;

test('a stream that ships is there from the first start, and writes nothing', async () => {
  const open = ledger();
  const tallybook = await open(shipped);
  expect(tallybook.streams.list().map(({ name }) => name)).toEqual(['stays']);
  expect(await write(tallybook, record)).toMatchObject({ batch: 1, accepted: 1 });
  const again = await open(shipped);
  expect(await sum(again)).toEqual([['2026-10-05', '1.5']]);
});

test('users add to it, and what they added is there after a restart', async () => {
  const open = ledger();
  const first = await open(shipped);
  const { fields } = declaration;
  const more: StreamDeclaration = {
    id: 'id',
    time: 'at',
    fields: { ...fields, note: { type: 'text' } },
    rollups: { by_note: { every: 'all', by: ['note'], sum: ['amount'] } },
    forms: { b: { fixed: { kind: 'b' } } },
    retention: { records: '900 days' },
  };
  expect(await first.streams.put('stays', more)).toMatchObject({ created: false, changed: true });
  expect(await first.streams.put('stays', more)).toMatchObject({ changed: false });
  for (const tallybook of [first, await open(shipped)]) {
    const stream = tallybook.streams.get('stays');
    expect(stream.fields.map(({ name }) => name)).toEqual([...Object.keys(fields), 'note']);
    expect(stream.rollups.map(({ name }) => name).sort()).toEqual(['by_note', 'daily']);
    expect([...stream.forms.keys()].sort()).toEqual(['a', 'b']);
    expect(stream.declaration.retention).toEqual({ records: '900 days' });
  }
});

const { amount, ...withoutAmount } = declaration.fields;
test.each<[what: string, change: Partial<StreamDeclaration>, why: string]>([
  ['a field less', { fields: withoutAmount, rollups: {} }, 'field amount must be'],
  ['another bound', { fields: { ...declaration.fields, kind: { type: 'text' } } }, 'field kind must be'],
  ['another rollup', { rollups: { daily: { every: 'month', sum: ['amount'] } } }, 'rollup daily must be'],
  ['another form', { forms: { a: { fixed: { kind: 'b' } } } }, 'form a must be'],
  ['another time', { time: undefined as never, rollups: {} }, '"time" must be at'],
])('%s is refused', async (_, change, why) => {
  const tallybook = await ledger()(shipped);
  const given = JSON.parse(JSON.stringify({ ...declaration, ...change })) as StreamDeclaration;
  const put = tallybook.streams.put('stays', given);
  await expect(put).rejects.toMatchObject({
    code: 'incompatible_declaration',
    message: expect.stringContaining(why),
  });
  expect(tallybook.streams.get('stays')).toBe(shipped);
});

test("a user's stream that fits is adopted with its records; its rollups and the new ones count them", async () => {
  const open = ledger();
  const before = await open();
  await before.streams.put('stays', {
    id: 'id',
    time: 'at',
    fields: { ...declaration.fields, note: { type: 'text' } },
    rollups: { monthly: { every: 'month', sum: ['amount'] } },
  });
  await write(before, record);
  const after = await open(shipped);
  expect(await sum(after)).toEqual([['2026-10-05', '1.5']]);
  const { from } = await after.ask('stays', { measures: ['sum(amount)'], by: ['kind'], every: 'day' });
  expect(from).toBe('rollup daily');
  expect(
    after.streams
      .get('stays')
      .rollups.map(({ name }) => name)
      .sort(),
  ).toEqual(['daily', 'monthly']);
  expect((await after.verify()).filter(({ ok }) => !ok)).toEqual([]);
});

test("a user's stream of another kind stops the start, and stays as it is", async () => {
  const open = ledger();
  const before = await open();
  const fields: StreamDeclaration['fields'] = {
    ...withoutAmount,
    amount: { type: 'integer', required: true },
  };
  await before.streams.put('stays', { id: 'id', time: 'at', fields });
  await write(before, { ...record, amount: 7 });
  await expect(open(shipped)).rejects.toMatchObject({
    code: 'stream_taken',
    message: expect.stringMatching(/amount is stored as integer.*start without that system \(--systems\)/),
  });
  expect(await sum(await open())).toEqual([['2026-10-05', '7']]);
  expect(amount).toBeDefined();
});
