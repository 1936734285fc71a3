/** Opening: who has the directory, and what a start before this one has left half done. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, onTestFinished, test } from 'vitest';
import { openTallybook } from '../../src/cli/compose.ts';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { lockDirectory } from '../../src/stores/duckdb/directory-lock.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { schemaVersion } from '../../src/stores/duckdb/schema.ts';
import { delivery } from '../contract/harness.ts';
import { makeDirectory } from '../http/open-app.ts';

/** Another process that has a database open: a process does not lock out itself. */
async function heldByAnother(path: string): Promise<number> {
  const code = `import('@duckdb/node-api').then(({ DuckDBInstance }) => DuckDBInstance.create(${JSON.stringify(path)}))
    .then((instance) => { console.log('held'); process.stdin.resume().on('end', () => instance.closeSync()); })`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return child.pid!;
}

/** Runs SQL on a ledger that is closed, and gives the rows of the last statement. */
async function onClosed(directory: string, sql: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(join(directory, 'tallybook.duckdb'));
  const connection = await instance.connect();
  try {
    return await (await connection.runAndReadAll(sql)).getRows();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

test.each([undefined, 'clickhouse://127.0.0.1:9/none'])(
  'nothing in a directory that another process has is touched; the ledger is at %s',
  async (storeAddress) => {
    const directory = makeDirectory();
    for (const name of ['spool', 'tmp']) {
      mkdirSync(join(directory, name));
      writeFileSync(join(directory, name, 'in-use'), 'x');
    }
    const pid = await heldByAnother(join(directory, 'lock.duckdb'));
    await expect(openTallybook({ directory, storeAddress })).rejects.toMatchObject({
      code: 'directory_in_use',
      message: `${directory} is in use by process ${pid}; stop it, or name another directory with --data`,
    });
    expect(readdirSync(directory, { recursive: true }).sort()).toEqual(
      ['lock.duckdb', 'spool', 'spool/in-use', 'tmp', 'tmp/in-use'].sort(),
    );
  },
);

test('neither is it where only the ledger in it is held, as a copy does', async () => {
  const directory = makeDirectory();
  mkdirSync(join(directory, 'tmp'));
  writeFileSync(join(directory, 'tmp', 'in-use'), 'x');
  await heldByAnother(join(directory, 'tallybook.duckdb'));
  await expect(openTallybook({ directory })).rejects.toMatchObject({ code: 'directory_in_use' });
  expect(readdirSync(join(directory, 'tmp'))).toEqual(['in-use']);
  // What could not be opened is let go of.
  await heldByAnother(join(directory, 'lock.duckdb'));
});

test('a directory that this process has open is not opened twice, by whatever path', async () => {
  const directory = makeDirectory();
  const first = await openTallybook({ directory, systems: ['none'] });
  symlinkSync(directory, `${directory}-link`);
  onTestFinished(() => rmSync(`${directory}-link`));
  for (const path of [directory, `${directory}/.`, `${directory}-link`]) {
    const second = openTallybook({ directory: path, systems: ['none'] });
    await expect(second).rejects.toMatchObject({
      code: 'directory_in_use',
      message: expect.stringContaining('open in this process already'),
    });
  }
  await first.close();
  // One that could not be opened does not stay locked.
  await onClosed(directory, "update book set value = '1000' where key = 'schema_version'");
  await expect(openTallybook({ directory })).rejects.toMatchObject({ code: 'newer_database' });
  await onClosed(directory, `update book set value = '${schemaVersion}' where key = 'schema_version'`);
  await (await openTallybook({ directory, systems: ['none'] })).close();
});

test('a lock is let go of at the end, and one of which a start has left a part is made anew', async () => {
  const directory = makeDirectory();
  const path = join(directory, 'lock.duckdb');
  (await lockDirectory(directory, 'lock.duckdb')).letGo();
  const { size } = statSync(path);
  for (const left of [0, size - 1, 5_000]) {
    truncateSync(path, left);
    (await lockDirectory(directory, 'lock.duckdb')).letGo();
    expect(statSync(path).size, `${left}`).toBe(size);
  }
  const tallybook = await openTallybook({ directory });
  await tallybook.close();
  await heldByAnother(path);
});

test('a first start that was cut off before the version was written is finished by the next', async () => {
  const directory = makeDirectory();
  await onClosed(directory, 'create table book (key varchar, value varchar)');
  const version = "select value from book where key = 'schema_version'";
  await (await openDuckDBStore({ directory })).close();
  expect(await onClosed(directory, version)).toEqual([[String(schemaVersion)]]);
});

test('a migration that was cut off is done again, and is done when all of it is', async () => {
  const directory = makeDirectory();
  const fields = { id: { type: 'text', required: true } } as const;
  const [a, b] = ['a', 'b'].map((name) => defineStream(name, { id: 'id', fields })) as [
    ReturnType<typeof defineStream>,
    ReturnType<typeof defineStream>,
  ];
  const open = async () => {
    const store = await openDuckDBStore({ directory, memoryLimit: '512MB', threads: 1 });
    await store.prepare([...builtInStreams, a, b]);
    return store;
  };
  const store = await open();
  await store.publish([a, b].map((stream) => delivery(stream, 'insert', [{ id: '1' }])));
  await store.close();
  const marked = "select value from book where key = 'hash_of_tallybook'";
  const [mark] = await onClosed(directory, marked);
  // The second stream cannot be migrated, after the first one was.
  await onClosed(
    directory,
    `update book set value = 'of another DuckDB' where key = 'hash_of_tallybook';
     update stream_a.entries set _hash = 7; update stream_b.entries set _hash = 7;
     alter table stream_b.entries rename column _hash to hidden`,
  );
  await expect(open()).rejects.toThrow('_hash');
  expect(await onClosed(directory, marked)).toEqual([['of another DuckDB']]);
  await onClosed(directory, 'alter table stream_b.entries rename column hidden to _hash');
  const again = await open();
  const receipts = await again.publish([a, b].map((stream) => delivery(stream, 'insert', [{ id: '1' }])));
  expect(receipts.map(({ duplicates }) => duplicates)).toEqual([1, 1]);
  await again.close();
  expect(await onClosed(directory, marked)).toEqual([mark]);
});

test('a ledger of version 1 is brought to this one, once, and merges its rollups as a new one does', async () => {
  const directory = makeDirectory();
  const fields = { id: { type: 'text', required: true }, key: { type: 'integer', required: true } } as const;
  const [a, b] = ['a', 'b'].map((name) =>
    defineStream(name, { id: 'id', fields, rollups: { keys: { every: 'all', by: ['key'], sum: ['key'] } } }),
  ) as [ReturnType<typeof defineStream>, ReturnType<typeof defineStream>];
  const open = async () => {
    const store = await openDuckDBStore({ directory, memoryLimit: '512MB', threads: 1 });
    await store.prepare([...builtInStreams, a, b]);
    return store;
  };
  const publish = async (id: string) => {
    const store = await open();
    await store.publish([a, b].map((stream) => delivery(stream, 'insert', [{ id, key: 7 }])));
    return store;
  };
  await (await publish('1')).close();
  const back = [a, b]
    .map(({ name }) => `alter table stream_${name}.rollup_keys drop column _merged;`)
    .join(' ');
  await onClosed(directory, `${back} update book set value = '1' where key = 'schema_version'`);
  // Cut off between the tables: nothing of it is done.
  await onClosed(directory, 'alter table stream_b.rollup_keys add column _merged integer');
  await expect(open()).rejects.toThrow('_merged');
  const version = "select value from book where key = 'schema_version'";
  expect(await onClosed(directory, version)).toEqual([['1']]);
  await onClosed(directory, 'alter table stream_b.rollup_keys drop column _merged');
  await (await publish('2')).close();
  expect(await onClosed(directory, version)).toEqual([[String(schemaVersion)]]);
  const rows = 'select key, _sum_key, _merged from stream_b.rollup_keys';
  expect(await onClosed(directory, rows)).toEqual([
    [7n, 7n, false],
    [7n, 7n, false],
  ]);
  const again = await open();
  await again.tend({ drop: [], compact: true });
  expect((await again.verify()).filter(({ ok }) => !ok)).toEqual([]);
  await again.close();
  expect(await onClosed(directory, rows)).toEqual([[7n, 14n, true]]);
});

test.each(['', 'pragma disable_checkpoint_on_shutdown;'])(
  'a ledger of a newer version is refused before anything is changed %s',
  async (leaveLog) => {
    const directory = makeDirectory();
    const tallybook = await openTallybook({ directory, systems: ['none'] });
    await tallybook.close();
    await onClosed(
      directory,
      `${leaveLog} update book set value = '${schemaVersion + 1}' where key = 'schema_version'`,
    );
    for (const name of ['spool', 'tmp']) writeFileSync(join(directory, name, 'kept'), 'x');
    const found = () =>
      readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name)).toString('base64')])
        .sort();
    const before = found();
    expect(before.map(([name]) => name).includes('tallybook.duckdb.wal')).toBe(leaveLog !== '');
    await expect(openTallybook({ directory })).rejects.toMatchObject({ code: 'newer_database' });
    expect(found()).toEqual(before);
  },
);
