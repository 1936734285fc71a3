/** Compaction beside questions: no answer shows that it happens. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, onTestFinished, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { checkQuestion } from '../../src/engine/question.ts';
import type { Store } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { fileContent } from '../contract/harness.ts';

const passed = defineStream('passed', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    sensor: { type: 'integer', required: true },
  },
  rollups: {
    daily: { every: 'day', by: ['sensor'], sum: [] },
    hourly: { every: 'hour', by: ['sensor'], sum: [] },
  },
});
const count = 200_000;

test('questions beside compactions see every record once', async () => {
  const directory = scratch();
  const store = await openDuckDBStore({ directory, memoryLimit: '512MB', threads: 2 });
  const states = await store.prepare([...builtInStreams, passed]);
  const path = join(directory, 'passed.csv');
  const start = Date.UTC(2026, 9, 1);
  const lines = Array.from(
    { length: count },
    (_, n) => `p${n},${new Date(start + n * 10_000).toISOString()},${(n * 7_919) % 100_003}\n`,
  );
  writeFileSync(path, `id,at,sensor\n${lines.join('')}`);
  const content = fileContent(path, { format: 'csv' });
  const delivery = { stream: passed, mode: 'insert', source: 'test', reason: undefined, content } as const;
  await store.publish([{ ...delivery, allVerdicts: false }]);
  const found = new Set<unknown>();
  let done = false;
  const ask = async () => {
    while (!done) {
      for (const rollup of ['daily', 'hourly'] as const) {
        const asked = { measures: ['count'], ...(rollup === 'hourly' ? { to: '2027-01-01T01:00:00Z' } : {}) };
        const plan = planQuestion(passed, checkQuestion(passed, asked), states.get('passed')!);
        found.add((await store.ask(plan)).rows[0]![0]);
      }
    }
  };
  const asking = Promise.all([ask(), ask()]);
  for (let n = 0; n < 6; n++) {
    // A record of each of some days, so that their hours are put together again.
    const texts = Array.from({ length: 30 }, (_, day) =>
      JSON.stringify({
        id: `p${day * 8_640}`,
        at: new Date(start + day * 86_400_000).toISOString(),
        sensor: -n,
      }),
    );
    await store.publish([
      {
        ...delivery,
        mode: 'upsert',
        content: { kind: 'texts', texts, fallbackIds: texts.map(() => '') },
        allVerdicts: false,
      },
    ]);
    await store.tend({ drop: [], compact: true });
  }
  done = true;
  await asking;
  expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
  await store.close();
  // The days beyond the last record are new.
  expect([...found].map(Number).filter((one) => one !== count && one !== count + 6)).toEqual([]);
}, 120_000);

const totals = defineStream('totals', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    meter: { type: 'integer', required: true },
    used: { type: 'integer', required: true },
  },
  rollups: { meters: { every: 'all', by: ['meter'], sum: ['used'] } },
});
const meters = 150_000;

/** The rows of the rollup, as a crash at this moment would leave them. */
async function rowsOfMeters(directory: string): Promise<number> {
  const copy = scratch();
  cpSync(directory, copy, { recursive: true });
  const instance = await DuckDBInstance.create(join(copy, 'tallybook.duckdb'));
  const connection = await instance.connect();
  const result = await connection.run('select count(*)::integer from stream_totals.rollup_meters');
  const [[rows] = []] = await result.getRows();
  connection.closeSync();
  instance.closeSync();
  return rows as number;
}

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-compaction-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A file of a record for each of so many meters. */
async function publishMeters(store: Store, file: string, count: number): Promise<void> {
  const path = join(scratch(), 'totals.csv');
  const lines = Array.from({ length: count }, (_, n) => `${file}${n},${(n * 7_919) % count},1\n`);
  writeFileSync(path, `id,meter,used\n${lines.join('')}`);
  const content = fileContent(path, { format: 'csv' });
  const delivery = { stream: totals, mode: 'insert', source: 'test', reason: undefined, content } as const;
  await store.publish([{ ...delivery, allVerdicts: false }]);
}

test('a file that finds too little memory beside a compaction is published after it', async () => {
  const store = await openDuckDBStore({ directory: scratch(), memoryLimit: '60MB', threads: 2 });
  onTestFinished(() => store.close());
  const states = await store.prepare([...builtInStreams, totals]);
  const many = 600_000;
  for (const file of ['a', 'b', 'c']) await publishMeters(store, file, many);
  // It may find too little itself, beside the files: then its rows stay as they are.
  const compacting = store.tend({ drop: [], compact: true }).catch((error: unknown) => error);
  for (const file of ['d', 'e']) await publishMeters(store, file, many);
  const found = await compacting;
  if (found instanceof Error) expect(found).toMatchObject({ code: 'out_of_memory' });
  const plan = planQuestion(
    totals,
    checkQuestion(totals, { measures: ['sum(used)'] }),
    states.get('totals')!,
  );
  expect((await store.ask(plan)).rows).toEqual([[String(5 * many)]]);
}, 120_000);

for (const when of ['a moment later', 'at the next start'])
  test(`what files have brought into a rollup is put together ${when}`, async () => {
    const directory = scratch();
    const open = async () => {
      const store = await openDuckDBStore({ directory, memoryLimit: '512MB', threads: 2 });
      await store.prepare([...builtInStreams, totals]);
      return store;
    };
    let store = await open();
    onTestFinished(() => store.close());
    for (const file of ['a', 'b']) await publishMeters(store, file, meters);
    if (when === 'at the next start') await store.close();
    expect(await rowsOfMeters(directory)).toBe(2 * meters);
    if (when === 'at the next start') store = await open();
    await expect.poll(() => rowsOfMeters(directory), { timeout: 30_000, interval: 1_000 }).toBe(meters);
    expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
  });
