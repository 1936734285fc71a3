/** Ledgers that are copied from one store into another: what they tell stays as it was, whatever happens on the way. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import type { Micros } from '../../src/engine/calendar.ts';
import type { CopiesLedger } from '../../src/engine/copied-ledger.ts';
import { compareLedgers, copyLedger, type Ledger } from '../../src/engine/ledger-copy.ts';
import type { Store } from '../../src/engine/store.ts';
import { defineStream, type Stream } from '../../src/engine/stream.ts';
import { openClickHouseStore } from '../../src/stores/clickhouse/index.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { dropDatabase, freshDatabase } from '../clickhouse-store.ts';
import { delivery, fileContent } from '../contract/harness.ts';
import { randomChapter } from '../contract/random.ts';
import { breakingWire } from './wires.ts';

type Copied = Store & CopiesLedger;
const root = mkdtempSync(join(tmpdir(), 'tallybook-copy-'));
const databases: string[] = [];
afterAll(async () => {
  for (const address of databases) await dropDatabase(address);
  rmSync(root, { recursive: true, force: true });
});
let directories = 0;
const freshDirectory = (): string => join(root, `ledger-${++directories}`);
async function fresh(kind: 'duckdb' | 'clickhouse'): Promise<string> {
  if (kind === 'duckdb') return freshDirectory();
  const address = await freshDatabase();
  databases.push(address);
  return address;
}

function open(place: string, given: { toFill?: boolean; clock?: () => Micros } = {}): Promise<Copied> {
  return place.startsWith('clickhouse')
    ? openClickHouseStore({ address: place, ...given })
    : openDuckDBStore({ directory: place, memoryLimit: '512MB', threads: 2, ...given });
}

/**
 * Instead of being closed and opened again, the ledger is copied: from DuckDB to ClickHouse, and back, and what goes on
 * goes on there. The memory store, which is not copied, says what must be told.
 */
interface Moving {
  place: string;
  streams: Stream[];
}
const moving = new Map<Store, Moving>();

function remember(store: Copied, place: string): Copied {
  const held: Moving = { place, streams: [] };
  moving.set(store, held);
  const prepare = store.prepare.bind(store);
  store.prepare = (streams) => {
    held.streams = streams;
    return prepare(streams);
  };
  return store;
}

randomChapter(
  {
    name: 'a ledger that is copied time and again',
    async open(clock) {
      const place = await fresh('duckdb');
      return remember(await open(place, { clock }), place);
    },
    async reopen(store, clock) {
      const { place, streams } = moving.get(store)!;
      const next = await fresh(place.startsWith('clickhouse') ? 'duckdb' : 'clickhouse');
      const from: Ledger = { store: store as Copied, streams, states: await store.prepare(streams) };
      const target = await open(next, { toFill: true });
      await copyLedger(from, target, () => undefined);
      await target.close();
      const copy = await open(next, { clock });
      const to: Ledger = { store: copy, streams, states: await copy.prepare(streams) };
      expect(to.states).toEqual(from.states);
      const comparisons = await compareLedgers(from, to);
      expect(comparisons.filter(({ same }) => !same)).toEqual([]);
      await store.close();
      return remember(copy, next);
    },
    differences: {},
  },
  { seeds: 1, steps: 9, reopenEvery: 3 },
);

const sales = defineStream('sales', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    customer: { type: 'text' },
    amount: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
  rollups: { daily: { every: 'day', by: ['customer'], sum: ['amount'] } },
});
const streams = [...builtInStreams, sales];
const sale = (id: number, amount = '1.50') => ({
  id: `s${id}`,
  at: '2026-10-05T06:43:00Z',
  customer: `c${id % 7}`,
  amount,
});

async function ledgerAt(place: string): Promise<Ledger> {
  const store = await open(place);
  onTestFinished(() => store.close());
  return { store, streams, states: await store.prepare(streams) };
}

/** A file of several blocks, corrections of it, repeats, and a reject. */
async function filled(place: string): Promise<Ledger> {
  const ledger = await ledgerAt(place);
  const path = join(root, 'sales.ndjson');
  const ids = Array.from({ length: 11_500 }, (_, id) => id);
  writeFileSync(path, ids.map((id) => JSON.stringify(sale(id))).join('\n'));
  const file = delivery(sales, 'insert', [], { allVerdicts: false });
  await ledger.store.publish([{ ...file, content: fileContent(path) }]);
  for (const [mode, records] of [
    ['upsert', [sale(1, '7.25'), sale(11_000, '3'), sale(2)]],
    ['retract', ['"s5"', '"s11499"']],
    ['insert', [sale(3), sale(3), sale(4, '9'), { ...sale(30_000), amount: 'much' }, sale(40_000)]],
  ] as const)
    await ledger.store.publish([delivery(sales, mode, [...records])]);
  return ledger;
}

/** Copies as a process would that is started for it. */
async function copyInto(from: Ledger, place: string, onRows: (rows: number) => void = () => undefined) {
  const target = await open(place, { toFill: true });
  try {
    return await copyLedger(from, target, ({ done }) => onRows(done));
  } finally {
    await target.close().catch(() => undefined);
  }
}

async function expectSame(from: Ledger, place: string): Promise<void> {
  const to = await ledgerAt(place);
  expect((await compareLedgers(from, to)).filter(({ same }) => !same)).toEqual([]);
  const checks = await to.store.verify();
  expect(checks.length).toBeGreaterThan(10);
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  for (const id of ['s1', 's3', 's4', 's5', 's11000', 's30000'])
    expect(await to.store.fate(sales, id)).toEqual(await from.store.fate(sales, id));
}

test('a copy into ClickHouse that dies again and again goes on, whether its last step was answered or not', async () => {
  const from = await filled(await fresh('duckdb'));
  const place = await fresh('clickhouse');
  let deaths = 0;
  for (let more = 14; ; more += 7) {
    const wire = await breakingWire(place, more, deaths % 2 === 0);
    const copied = await copyInto(from, wire.address).catch((error: Error) => error);
    if (copied === true) break;
    expect(copied).toMatchObject({ code: 'database_unavailable' });
    deaths += 1;
    if (deaths === 2) await expect(open(place)).rejects.toMatchObject({ code: 'unfinished_copy' });
  }
  expect(deaths).toBeGreaterThan(4);
  await expectSame(from, place);
});

test('a copy into DuckDB that is stopped at any block goes on', async () => {
  const from = await filled(await fresh('clickhouse'));
  const place = await fresh('duckdb');
  for (let stop = 1; ; stop += 5_000) {
    const copied = await copyInto(from, place, (rows) => {
      if (rows >= stop) throw new Error('stopped');
    }).catch((error: Error) => error.message);
    if (copied === true) break;
    expect(copied).toBe('stopped');
    await expect(open(place)).rejects.toMatchObject({ code: 'unfinished_copy' });
  }
  await expectSame(from, place);
});

for (const kind of ['duckdb', 'clickhouse'] as const)
  test(`into ${kind}: copied twice it is there once; what is not of this copy is left alone`, async () => {
    const from = await filled(await fresh('duckdb'));
    const place = await fresh(kind);
    expect(await copyInto(from, place)).toBe(true);
    expect(await copyInto(from, place)).toBe(false);
    await expectSame(from, place);

    const other = await ledgerAt(await fresh('duckdb'));
    await other.store.publish([delivery(sales, 'insert', [sale(1)])]);
    await expect(copyInto(other, place)).rejects.toMatchObject({ code: 'copy_refused' });
    const copy = await open(place);
    await copy.prepare(streams);
    await copy.publish([delivery(sales, 'insert', [sale(50_000)])]);
    await copy.close();
    await expect(copyInto(from, place)).rejects.toThrow('written to since');

    const taken = await fresh(kind);
    const ledger = await open(taken);
    await ledger.prepare(streams);
    await ledger.close();
    await expect(copyInto(from, taken)).rejects.toThrow('holds a ledger already');
  });

test('a copy whose original has gone on meanwhile is not continued', async () => {
  const from = await filled(await fresh('duckdb'));
  const place = await fresh('duckdb');
  await expect(
    copyInto(from, place, (rows) => {
      if (rows > 10_000) throw new Error('stopped');
    }),
  ).rejects.toThrow('stopped');
  await from.store.publish([delivery(sales, 'insert', [sale(60_000)])]);
  await expect(copyInto(from, place)).rejects.toMatchObject({ code: 'copy_refused' });
});
