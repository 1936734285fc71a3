/** Filters that tell where a value may stand, over more entries than one run of them holds. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { checkSelection } from '../../src/engine/question.ts';
import type { Delivery, Store } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { LookupFilter, seqsPerRun } from '../../src/stores/duckdb/lookup-filter.ts';
import { fileContent } from '../contract/harness.ts';

const visits = defineStream('visits', {
  id: 'id',
  fields: { id: { type: 'text', required: true }, who: { type: 'text', required: true } },
  lookups: ['who'],
});
/** Two runs, and some entries behind them. */
const count = 2_200_000;
const isOften = (i: number): boolean => i % 4_000 === 3_000;
const whoOf = (i: number): string => (isOften(i) ? 'often' : `w${Math.floor(i / 3)}`);
/** Ids of a value that stands in a run more often than is read in one go, and behind the runs less often. */
const oftenIds = Array.from({ length: count }, (_, i) => i)
  .filter(isOften)
  .map(String);

test('a value is found in the run in which it stands, and what is not covered is always read', () => {
  const filter = new LookupFilter();
  const hash = (n: number): bigint =>
    (BigInt(n * 2_654_435_761) * 0x9e3779b97f4a7c15n) & 0xffff_ffff_ffff_ffffn;
  expect(filter.nextRun(seqsPerRun - 1n)).toBeUndefined();
  for (const start of [0, 1_000, 2_000]) {
    const run = filter.nextRun(seqsPerRun * 10n)!;
    const hashes = new BigUint64Array(Array.from({ length: 1_000 }, (_, i) => hash(start + i)));
    filter.add(run, new Uint32Array(hashes.buffer));
  }
  const behind = { from: 3n * seqsPerRun, to: (1n << 63n) - 1n };
  const second = { from: seqsPerRun, to: 2n * seqsPerRun - 1n };
  for (let i = 1_000; i < 2_000; i++) expect(filter.find([hash(i)])).toEqual([second, behind]);
  expect(filter.find([hash(5), hash(1_005)])).toEqual([{ from: 0n, to: second.to }, behind]);
  const unknown = Array.from({ length: 1_000 }, (_, i) => filter.find([hash(10_000 + i)]));
  expect(unknown.filter((ranges) => ranges.length === 1).length).toBeGreaterThan(990);
});

test('a list by a value reads what stands, before and after the filters are filled', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-lookups-'));
  const store = await openDuckDBStore({ directory: join(directory, 'data'), memoryLimit: '512MB' });
  onTestFinished(async () => {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  await store.prepare([...builtInStreams, visits]);
  const path = join(directory, 'visits.csv');
  const lines = Array.from({ length: count }, (_, i) => `${i},${whoOf(i)}\n`);
  writeFileSync(path, `id,who\n${lines.join('')}`);
  const shared = { stream: visits, source: 'test', reason: undefined, allVerdicts: false };
  const file: Delivery = {
    ...shared,
    mode: 'insert',
    content: fileContent(path, { format: 'csv' }),
  };
  await store.publish([file]);
  const texts = (mode: Delivery['mode'], records: unknown[]): Delivery => {
    const written = records.map((record) => JSON.stringify(record));
    return {
      ...shared,
      mode,
      content: { kind: 'texts', texts: written, fallbackIds: written.map(() => '') },
    };
  };
  // A value that stands in the first run and behind the last; one that is taken back, and one that is corrected.
  await store.publish([texts('insert', [{ id: 'late', who: whoOf(30) }])]);
  await store.publish([texts('retract', ['31'])]);
  await store.publish([texts('upsert', [{ id: '600001', who: whoOf(30) }])]);
  const check = async () => {
    expect(await listed(store, whoOf(30), false)).toEqual(['30', '32', 'late', '600001']);
    expect(await listed(store, whoOf(30), true)).toEqual(['600001', 'late', '32', '30']);
    expect(await listed(store, whoOf(600_001), false)).toEqual(['600000', '600002']);
    expect(await listed(store, whoOf(count - 1), false)).toHaveLength(((count - 1) % 3) + 1);
    expect(await listed(store, 'nobody', false)).toEqual([]);
    expect(await inPages(store, 'often', false, 30)).toEqual(oftenIds);
    expect(await inPages(store, 'often', true, 30)).toEqual(oftenIds.toReversed());
  };
  await check();
  // Another file that is published while runs are covered must not be missed.
  writeFileSync(path, `id,who\nbeside,${whoOf(60)}\n`);
  await store.publish([file]);
  expect(await listed(store, whoOf(60), false)).toEqual(['60', '61', '62', 'beside']);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  await check();
}, 120_000);

async function listed(store: Store, who: string, newestFirst: boolean): Promise<string[]> {
  return (await page(store, who, newestFirst, 100, undefined)).map(({ id }) => id);
}

async function inPages(store: Store, who: string, newestFirst: boolean, size: number): Promise<string[]> {
  const ids: string[] = [];
  for (let after: string | undefined; ; ) {
    const entries = await page(store, who, newestFirst, size, after);
    ids.push(...entries.map(({ id }) => id));
    if (entries.length < size) return ids;
    after = entries.at(-1)!.seq;
  }
}

function page(store: Store, who: string, newestFirst: boolean, limit: number, after: string | undefined) {
  const selection = checkSelection(visits, { where: { who } });
  return store.entries({ ...selection, stream: visits, standing: true, newestFirst, after, limit });
}
