import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { done, failure, json, ledger, run, scratch } from './harness.ts';

const question = ['query', 'sales', '--measures', 'sum(amount),count', '--by', 'customer'];

async function filled(count: number): Promise<{ directory: string; data: string }> {
  const directory = scratch();
  return { directory, data: await ledger(directory, count) };
}

describe('export', () => {
  test('over several pages, in every format, and what it writes can be imported again', async () => {
    const { directory, data } = await filled(2_500);
    const csv = join(directory, 'out.csv');
    await done(['export', 'sales', '--output', csv, '--data', data]);
    expect(readFileSync(csv, 'utf8').trimEnd().split('\n')).toHaveLength(2_501);
    expect(await json(['import', 'sales', csv, '--data', data])).toMatchObject({
      receipt: { received: 2_500, duplicates: 2_500 },
    });

    const ndjson = join(directory, 'out.ndjson.gz');
    expect(await json(['export', 'sales', '--output', ndjson, '--data', data])).toMatchObject({
      format: 'ndjson',
      records: 2_500,
    });
    expect(gunzipSync(readFileSync(ndjson)).toString().trimEnd().split('\n')).toHaveLength(2_500);
    expect(await json(['import', 'sales', ndjson, '--data', data])).toMatchObject({
      receipt: { duplicates: 2_500 },
    });

    const document = JSON.parse(await done(['export', 'sales', '--format', 'json', '--data', data])) as {
      amount: string;
    }[];
    expect(document).toHaveLength(2_500);
    expect(document[0]).toEqual({
      id: 'r0',
      at: '2026-10-01T06:43:00.000000Z',
      customer: 'c0',
      amount: '1.5',
    });
  });

  test('takes the same selection as a question', async () => {
    const { data } = await filled(50);
    const { as_of } = await json<{ as_of: { recorded_at: string } }>(['query', 'sales', '--data', data]);
    await done(['records', 'retract', 'sales', 'r1', '--data', data]);
    const lines = async (...more: string[]) =>
      (await done(['export', 'sales', '--format', 'ndjson', ...more, '--data', data])).trimEnd().split('\n');
    expect(await lines()).toHaveLength(49);
    expect(await lines('--known-at', as_of.recorded_at)).toHaveLength(50);
    expect(await lines('--where', 'customer=c1', '--from', '2026-10-05')).toHaveLength(5);
    expect(
      JSON.parse(await done(['export', 'sales', '--format', 'json', '--where', 'id=nobody', '--data', data])),
    ).toEqual([]);
  });

  test('that fails leaves no file', async () => {
    const { directory, data } = await filled(5);
    expect(
      await failure([
        'export',
        'sales',
        '--where',
        'nothing=1',
        '--output',
        join(directory, 'out', 'a.csv'),
        '--data',
        data,
      ]),
    ).toMatchObject({ exit: 1 });
    mkdirSync(join(directory, 'out'));
    expect(
      await failure([
        'export',
        'sales',
        '--where',
        'nothing=1',
        '--output',
        join(directory, 'out', 'a.csv'),
        '--data',
        data,
      ]),
    ).toMatchObject({ exit: 1, code: 'bad_question' });
    expect(readdirSync(join(directory, 'out'))).toEqual([]);
  });
});

describe('backup and restore', () => {
  test('give the same answers, and verify', async () => {
    const { directory, data } = await filled(500);
    const backup = join(directory, 'backup');
    expect(await done(['backup', backup, '--data', data])).toContain(`Backed up into ${backup}`);
    // It holds secrets.
    expect(statSync(backup).mode & 0o077).toBe(0);
    for (const name of readdirSync(backup)) expect(statSync(join(backup, name)).mode & 0o077, name).toBe(0);
    expect(await failure(['backup', backup, '--data', data])).toMatchObject({
      exit: 1,
      code: 'directory_unusable',
      detail: expect.stringContaining('is not empty'),
    });
    const restored = join(directory, 'restored');
    const said = await done(['restore', backup, '--data', restored]);
    expect(said).toMatch(/^sales +ok /m);
    expect(said).toContain(`Restored into ${restored}`);
    const { rows: before } = await json<{ rows: unknown[] }>([...question, '--data', data]);
    const { rows: after } = await json<{ rows: unknown[] }>([...question, '--data', restored]);
    expect(after).toEqual(before);
  });

  test('a target that is not empty is refused, and so is what is no backup', async () => {
    const { directory, data } = await filled(5);
    expect(await failure(['restore', data, '--data', data])).toMatchObject({
      exit: 1,
      code: 'directory_unusable',
    });
    expect(await failure(['restore', directory, '--data', join(directory, 'new')])).toMatchObject({
      exit: 1,
      detail: expect.stringContaining('holds no backup'),
    });
    expect(existsSync(join(directory, 'new'))).toBe(false);
    const other = join(directory, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'note.txt'), 'mine');
    await done(['backup', join(directory, 'backup'), '--data', data]);
    expect(await failure(['restore', join(directory, 'backup'), '--data', other])).toMatchObject({
      exit: 1,
      detail: expect.stringContaining('is not empty (note.txt)'),
    });
    expect(readdirSync(other)).toEqual(['note.txt']);
  });

  test('a target that another process is opening or restoring into is refused, and taken afterwards', async () => {
    const { directory, data } = await filled(5);
    await done(['backup', join(directory, 'backup'), '--data', data]);
    const target = join(directory, 'target');
    mkdirSync(target);
    const holder = await DuckDBInstance.create(join(target, 'lock.duckdb'));
    const restore = ['restore', join(directory, 'backup'), '--data', target];
    try {
      expect(await failure(restore)).toMatchObject({ exit: 1, code: 'directory_in_use' });
      expect(readdirSync(target)).toEqual(['lock.duckdb']);
    } finally {
      holder.closeSync();
    }
    await done(restore);
  });
});

describe('verify', () => {
  test('finds a rollup that differs from the ledger, and ends with 4', async () => {
    const { data } = await filled(50);
    expect(await done(['verify', '--data', data])).toMatch(/^\d+ checks in .*: no difference$/m);
    await damageRollup(join(data, 'tallybook.duckdb'));
    const { code, stdout } = await run(['verify', '--data', data]);
    expect(code).toBe(4);
    expect(stdout).toMatch(/^sales +DIFFERS +rollup daily equals the ledger/m);
    const asJson = await run(['verify', '--json', '--data', data]);
    expect(asJson.code).toBe(4);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ ok: false });
  });

  test('compact changes no sum', async () => {
    const { data } = await filled(50);
    const before = await json<{ rows: unknown[] }>([...question, '--data', data]);
    expect(await done(['compact', '--data', data])).toMatch(/^Compacted in /);
    const after = await json<{ rows: unknown[] }>([...question, '--data', data]);
    expect(after.rows).toEqual(before.rows);
  });
});

/** Takes a row out of the rollup, behind the ledger's back. */
async function damageRollup(path: string): Promise<void> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(
    "select schema_name from duckdb_columns() where table_name = 'rollup_daily' and column_name = 'customer'",
  );
  const [[schema]] = reader.getRows() as [[string]];
  await connection.run(`delete from "${schema}".rollup_daily where customer = 'c1'`);
  connection.closeSync();
  instance.closeSync();
}

describe('copy', () => {
  test('another store gives the same answers, whatever is asked, and the second time there is nothing to do', async () => {
    const { directory, data } = await filled(500);
    await done(['records', 'retract', 'sales', 'r1', '--data', data]);
    const to = join(directory, 'copied');
    const places = ['--from', `duckdb:${data}`, '--to', `duckdb:${to}`];
    const said = await done(['copy', ...places]);
    expect(said).toMatch(/^sales +same +499 +501 +0 +1 equal$/m);
    expect(said).toMatch(/^sales +ok +\d+ checks$/m);
    expect(said).toContain(`duckdb:${to} holds the same as duckdb:${data}.`);
    const answers = async (of: string) => [
      await json([...question, '--data', of]),
      await json(['records', 'get', 'sales', 'r1', '--data', of]),
    ];
    expect(await answers(to)).toEqual(await answers(data));
    expect(await json(['copy', ...places])).toMatchObject({ ok: true, copied: false });
  });

  test('refuses what is no ledger, a ledger that is served, a place that holds something, and the same place', async () => {
    const { directory, data } = await filled(5);
    const copy = (from: string, to: string) =>
      failure(['copy', '--from', `duckdb:${from}`, '--to', `duckdb:${to}`]);
    expect(await copy(join(directory, 'nothing'), join(directory, 'new'))).toMatchObject({
      exit: 1,
      code: 'directory_unusable',
      detail: expect.stringContaining('holds no ledger'),
    });
    expect(existsSync(join(directory, 'nothing'))).toBe(false);
    expect(await copy(data, (await filled(5)).data)).toMatchObject({ exit: 1, code: 'copy_refused' });
    expect(await copy(data, `${data}/.`)).toMatchObject({ exit: 2 });
    const holder = await DuckDBInstance.create(join(data, 'tallybook.duckdb'));
    try {
      expect(await copy(data, join(directory, 'new'))).toMatchObject({ exit: 1, code: 'directory_in_use' });
    } finally {
      holder.closeSync();
    }
  });
});
