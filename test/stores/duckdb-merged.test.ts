/** Questions whose groups are the rows of a rollup: rows that were merged are taken as they are, those that came since are grouped. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { type AskedQuestion, checkQuestion } from '../../src/engine/question.ts';
import type { Delivery, Store, StreamState } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { openMemoryStore } from '../../src/stores/memory/index.ts';
import { delivery, fileContent, instant } from '../contract/harness.ts';

const used = defineStream('used', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    customer: { type: 'text' },
    kind: { type: 'text', one_of: ['data', 'voice'], required: true },
    price: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
  rollups: {
    monthly: { every: 'month', by: ['customer', 'kind'], sum: ['price'] },
    hourly: { every: 'hour', by: ['kind', 'customer'], sum: ['price'] },
    total: { every: 'all', by: ['customer', 'kind'], sum: ['price'] },
  },
});

const records = 51_000;
const customers = 20_000;
const october = { from: '2026-10-01T00:00:00Z', to: '2026-11-01T00:00:00Z' };

const by = ['customer', 'kind'];
const kinds = ['data', 'voice'].map((kind) => `sum(price) if kind=${kind}`);
const worst = `greatest(${kinds.join(', ')})`;
const questions: AskedQuestion[] = [
  { by, measures: ['sum(price)'], having: { 'sum(price)': { gte: '9.50' } } },
  { by, measures: ['sum(price)'], having: { 'sum(price)': { lte: '0' } }, ...october },
  { by, measures: ['sum(price)', 'count', 'avg(price)'], having: { count: { gt: '1' } }, ...october },
  { by, measures: ['avg(price)'], having: { 'avg(price)': { gte: '4.9' } }, every: 'month', limit: 9_000 },
  {
    by,
    measures: ['sum(price)'],
    where: { kind: 'data' },
    having: { 'sum(price)': { gte: '9.9' } },
    ...october,
  },
  { by: ['kind', 'customer'], measures: ['count'], every: 'hour', having: { count: { gt: '1' } } },
  { by, measures: ['count'], order: ['customer', 'kind'], after: ['c19990', 'data'] },
  { by, measures: ['sum(price)'], order: ['-sum(price)'], limit: 50, every: 'month' },
  // A group has several rows; it reaches the bound only if one of them does.
  ...['9', '0', '-1000'].map((bound) => ({
    by: ['customer'],
    measures: [...kinds, worst],
    having: { [worst]: { gte: bound } },
    order: [`-${worst}`],
    limit: 400,
    ...october,
  })),
  { by: ['customer'], measures: [kinds[0]!, 'count'], having: { [kinds[0]!]: { gt: '9' } }, every: 'month' },
  {
    by: ['customer'],
    measures: ['sum(price)'],
    where: { kind: 'voice' },
    having: { 'sum(price)': { gt: '9' } },
  },
  { by: ['customer'], measures: ['count if kind=data'], having: { 'count if kind=data': { gte: '2' } } },
  // It reaches this one by two rows.
  { by: ['customer'], measures: ['sum(price)'], having: { 'sum(price)': { gt: '9' } }, ...october },
  {
    by: ['customer'],
    measures: [worst],
    having: { [worst]: { gt: '9' } },
    from: '2026-09-01T00:00:00Z',
    to: october.to,
  },
  {
    by: ['customer', 'customer'],
    measures: ['sum(price)'],
    having: { 'sum(price)': { gt: '9' } },
    ...october,
  },
  // These are asked in other ways: about a few customers, by one of the keys, over more than one bucket.
  { by, measures: ['sum(price)'], where: { customer: ['c1', 'c4'] } },
  { by: ['kind'], measures: ['sum(price)'], ...october },
  { by, measures: ['sum(price)'], from: '2026-09-01T00:00:00Z', to: october.to, limit: 9_000 },
];

async function openBoth(): Promise<{ stores: Store[]; directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-merged-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const stores = [
    await openDuckDBStore({ directory, memoryLimit: '512MB', threads: 2 }),
    openMemoryStore({}),
  ];
  for (const store of stores) onTestFinished(() => store.close());
  return { stores, directory };
}

test('they answer as ever: merged or not, and after whatever comes since', async () => {
  const { stores, directory } = await openBoth();
  let states: Map<string, StreamState>[] = [];
  const prepare = async () => {
    states = [];
    for (const store of stores) states.push(await store.prepare([...builtInStreams, used]));
  };
  await prepare();
  const path = join(directory, 'used.csv');
  const lines = Array.from({ length: records }, (_, n) => {
    const at = new Date(Date.UTC(2026, 8, 1) + ((n * 7_919) % (61 * 24)) * 3_600_000).toISOString();
    // Many have one record, some have two or three; the last ones have no customer.
    const customer = n >= records - 30 ? '' : `c${(n * 7_919) % customers}`;
    return `u${n},${at},${customer},${n % 3 === 0 ? 'data' : 'voice'},${((n * 31) % 1_000) / 100}\n`;
  });
  writeFileSync(path, `id,at,customer,kind,price\n${lines.join('')}`);
  const publish = async (...deliveries: Delivery[]) => {
    for (const store of stores) for (const one of deliveries) await store.publish([one]);
  };
  const agree = async (when: string) => {
    for (const asked of questions) {
      const [found, right] = await Promise.all(
        stores.map((store, i) =>
          store.ask(planQuestion(used, checkQuestion(used, asked), states[i]!.get('used')!)),
        ),
      );
      expect([found!.rows, found!.more, found!.from], `${when}: ${JSON.stringify(asked)}`).toEqual([
        right!.rows,
        right!.more,
        right!.from,
      ]);
    }
  };
  const content = fileContent(path, { format: 'csv' });
  await publish({
    stream: used,
    mode: 'insert',
    source: 'test',
    reason: undefined,
    content,
    allVerdicts: false,
  });
  await stores[0]!.tend({ drop: [], compact: true });
  await agree('merged');
  const record = (n: number, more: object) => {
    const [id, at, customer, kind, price] = lines[n]!.trim().split(',');
    return { id, at, customer: customer || null, kind, price, ...more };
  };
  await publish(
    // To another month, another key, another price; to the key of nobody, and from it; new ones.
    delivery(used, 'upsert', [
      record(1, { at: '2026-10-30T00:00:00Z' }),
      record(2, { customer: 'c19999', kind: 'data' }),
      record(3, { price: '1000.01' }),
      record(4, { price: '-1000' }),
      record(5, { customer: null }),
      record(records - 1, { customer: 'somebody' }),
      { ...record(0, {}), id: 'new', customer: 'new' },
      { ...record(6, { price: '5' }), id: 'more' },
    ]),
    delivery(used, 'retract', [{ id: 'u7' }, { id: 'u10' }, { id: `u${records - 2}` }]),
  );
  await agree('changed since');
  const drop = { stream: used, before: instant('2026-09-10T00:00:00Z') };
  for (const store of stores) await store.tend({ drop: [drop], compact: false });
  await prepare();
  await agree('with records dropped');
  await stores[0]!.tend({ drop: [], compact: true });
  await publish(
    delivery(used, 'upsert', [record(records - 3, { price: '77' }), record(records - 4, { kind: 'data' })]),
  );
  await agree('changed again');
  expect((await stores[0]!.verify()).filter(({ ok }) => !ok)).toEqual([]);
}, 300_000);
