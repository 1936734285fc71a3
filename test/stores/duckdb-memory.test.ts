/** What needs more memory than the database may use. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, onTestFinished, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { checkQuestion } from '../../src/engine/question.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { ask } from '../../src/stores/duckdb/ask.ts';
import { Connection } from '../../src/stores/duckdb/connection.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { delivery, fileContent } from '../contract/harness.ts';

async function connect(path: string, memory_limit: string, spill: string): Promise<Connection> {
  const instance = await DuckDBInstance.create(path, { memory_limit, threads: '2', temp_directory: spill });
  onTestFinished(() => instance.closeSync());
  const connection = await Connection.open(instance);
  onTestFinished(() => connection.close());
  return connection;
}

test('it is told as that, and the connection goes on', async () => {
  const connection = await connect(':memory:', '16MB', '');
  // One value cannot be written to disk in parts.
  const value = "select strlen(string_agg(repeat('x', 1000), '')) from range(100000)";
  const error = await connection.askOnce(value).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'out_of_memory', retryAfter: 10 });
  expect((error as Error).message).toMatch(/more memory than the database may use.*--memory/);
  expect(await connection.askOnce('select 1')).toEqual([[1]]);
});

test('a share of very many groups is put together in slices', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-memory-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const lines = defineStream('lines', {
    fields: { song: { type: 'text', required: true }, plays: { type: 'integer', required: true } },
  });
  const songs = 400_000;
  const path = join(directory, 'lines.csv');
  const rows = Array.from(
    { length: 2 * songs },
    (_, i) => `song of the long name ${i % songs},${i % 1_009}\n`,
  );
  writeFileSync(path, `song,plays\n${rows.join('')}`);
  const store = await openDuckDBStore({ directory: join(directory, 'data') });
  await store.prepare([...builtInStreams, lines]);
  const content = fileContent(path, { format: 'csv' });
  await store.publish([delivery(lines, 'insert', [], { content, allVerdicts: false })]);
  await store.close();

  const asked = { measures: ['sum(plays)'], by: ['song'], share: { of: 'sum(plays)', percent: 1 } };
  const question = checkQuestion(lines, { ...asked, limit: 100_000 });
  const plan = planQuestion(lines, question, { droppedBefore: undefined, rollupsCompleteFrom: new Map() });
  const books = { hasReversals: false, lookups: new Map(), nextSeq: 1n };
  const database = join(directory, 'data', 'tallybook.duckdb');
  const right = await ask(await connect(database, '1GB', directory), plan, books, () => undefined, [1]);
  expect(right.rows.length).toBeGreaterThan(1_000);

  // How much is too little for all at once depends on the version of the database.
  const short = await connect(database, '44MB', directory);
  let whole: unknown;
  for (let limit = 44; limit > 10 && whole === undefined; limit -= 2) {
    await short.execute(`set memory_limit = '${limit}MB'`);
    whole = await ask(short, plan, books, () => undefined, [1]).then(
      (answer) => void expect(answer).toEqual(right),
      (error) => error,
    );
  }
  expect(whole).toMatchObject({ code: 'out_of_memory' });
  expect(await ask(short, plan, books, () => undefined)).toEqual(right);
});
