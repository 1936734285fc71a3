/** The aggregate of usage, built from raw tables that exist: in a real PostgreSQL, and in files. */

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { done, failure, file, json, run, scratch, serve, start } from './harness.ts';
import { type PostgresServer, postgresBinaries, startPostgres } from './postgres.ts';

const declaration = {
  id: 'id',
  time: 'usage_date',
  fields: {
    id: { type: 'text', required: true },
    type: { type: 'text', one_of: ['data', 'voice'], required: true },
    subscription_id: { type: 'integer', required: true },
    usage_date: { type: 'timestamp', required: true },
    price: { type: 'decimal', precision: 18, scale: 2, required: true },
    used: { type: 'integer', min: 0, required: true },
  },
  rollups: { daily: { every: 'day', by: ['subscription_id', 'type'], sum: ['price', 'used'] } },
};

const made = new Map<string, string>();

afterAll(() => {
  for (const directory of made.values()) rmSync(directory, { recursive: true, force: true });
});

/** A data directory with the stream `usage` in it; each sort is made once, and copied. */
async function ledgerFor(directory: string, changes: object = {}): Promise<string> {
  const sort = JSON.stringify({ ...declaration, ...changes });
  if (!made.has(sort)) {
    const template = mkdtempSync(join(tmpdir(), 'tallybook-test-'));
    made.set(sort, template);
    await done(['streams', 'put', file(template, 'usage.json', sort), '--data', join(template, 'data')]);
  }
  const data = join(directory, 'data');
  cpSync(join(made.get(sort)!, 'data'), data, { recursive: true });
  return data;
}

interface Outcome {
  table: string;
  mapping: Record<string, string>;
  rows: number;
  rows_before: number;
  imports: number[];
  counts: Record<string, number>;
  comparison: { source: object[]; tallybook: object[]; equal: boolean; reasons: string[] };
}

async function backfill(args: string[], exit = 0, env: Record<string, string> = {}): Promise<Outcome[]> {
  const { code, stdout, stderr } = await run(['usage', 'backfill', ...args, '--json', '--quiet'], { env });
  expect(code, stderr).toBe(exit);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Outcome);
}

/** Count and sums by type. */
async function sumsIn(data: string): Promise<unknown[][]> {
  const { rows } = await json<{ rows: Record<string, unknown>[] }>([
    ...['query', 'usage', '--measures', 'count,sum(price),sum(used)', '--by', 'type', '--data', data],
  ]);
  return rows.map((row) => [row.type, row.count, row['sum(price)'], row['sum(used)']]);
}

async function recordIn(data: string, id: string): Promise<Record<string, unknown> | null> {
  const { standing } = await json<{ standing: { record: Record<string, unknown> } | null }>([
    ...['records', 'get', 'usage', id, '--data', data],
  ]);
  return standing?.record ?? null;
}

const classic = [
  `create table usage_datausagerecord (id serial primary key, subscription_id integer not null,
     price numeric(10, 2) not null, usage_date timestamptz, kilobytes_used integer)`,
  `create table usage_voiceusagerecord (id serial primary key, subscription_id integer not null,
     price numeric(10, 2) not null, usage_date timestamptz, seconds_used integer)`,
];

/** So many records of each type: 0.01, 0.02 … and 1, 2 … in use, a minute apart. */
const filled = (records: number): string[] => [
  ...classic,
  ...[
    ['data', 'kilobytes_used'],
    ['voice', 'seconds_used'],
  ].map(
    ([type, used]) => `insert into usage_${type}usagerecord (subscription_id, price, usage_date, ${used})
       select 1 + n % 7, n * 0.01, timestamptz '2026-10-01 00:00:00+00' + n * interval '1 minute', n
       from generate_series(1, ${records}) n`,
  ),
];
/** What `filled` comes to. */
const sumsOf = (n: number): [number, string, string] => {
  const used = (n * (n + 1)) / 2;
  return [n, String(used / 100), String(used)];
};

describe.skipIf(postgresBinaries === undefined)('usage backfill from PostgreSQL', () => {
  let postgres: PostgresServer;
  let databases = 0;
  const database = (...statements: string[]) => postgres.database(`usage_${++databases}`, ...statements);
  const nameOf = (url: string): string => url.split('/').at(-1)!;

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.stop());

  test('two tables are found by their columns; their ids stay apart, and every digit comes along', async () => {
    const url = await database(
      ...classic,
      `insert into usage_datausagerecord values (1, 7, 12345678.90, '2026-10-05 06:43:00.123456+02', 2147483647),
         (2, 7, 0.10, '2026-10-05 00:30:00+02', 1)`,
      `insert into usage_voiceusagerecord values (1, 7, 0.20, '2026-10-05 12:00:00-11', 60)`,
    );
    const data = await ledgerFor(scratch());
    const [ofData, ofVoice] = await backfill(['--postgres', url, '--data', data]);
    expect(ofData).toMatchObject({
      table: 'usage_datausagerecord',
      mapping: { id: 'id', used: 'kilobytes_used', usage_date: 'usage_date' },
      counts: { received: 2, accepted: 2 },
      comparison: { equal: true, reasons: [] },
    });
    expect(ofVoice).toMatchObject({ table: 'usage_voiceusagerecord', mapping: { used: 'seconds_used' } });
    expect(await sumsIn(data)).toEqual([
      ['data', 2, '12345679', '2147483648'],
      ['voice', 1, '0.2', '60'],
    ]);
    expect(await recordIn(data, 'data-1')).toMatchObject({
      type: 'data',
      subscription_id: '7',
      usage_date: '2026-10-05T04:43:00.123456Z',
      price: '12345678.9',
    });
    expect(await recordIn(data, 'data-2')).toMatchObject({ usage_date: '2026-10-04T22:30:00.000000Z' });
    expect(await recordIn(data, 'voice-1')).toMatchObject({ usage_date: '2026-10-05T23:00:00.000000Z' });
  });

  test('a second run reads only what came since', async () => {
    const url = await database(...filled(1_000));
    const data = await ledgerFor(scratch());
    const args = ['--postgres', url, '--data', data, '--chunk', '300'];
    const [first] = await backfill(args);
    expect(first).toMatchObject({ imports: [1, 2, 3, 4], rows_before: 0, counts: { accepted: 1000 } });
    const [nothing] = await backfill(args);
    expect(nothing).toMatchObject({ imports: [], rows_before: 1000, comparison: { equal: true } });
    await postgres.run(
      nameOf(url),
      `insert into usage_datausagerecord (subscription_id, price, usage_date, kilobytes_used) values (1, 5, '2026-11-01', 5)`,
    );
    const [more] = await backfill(args);
    expect(more).toMatchObject({ rows: 1001, rows_before: 1000, counts: { received: 1, accepted: 1 } });
    expect(more!.comparison.equal).toBe(true);
    const [again] = await backfill([...args, '--again']);
    expect(again).toMatchObject({
      counts: { received: 1001, duplicates: 1001 },
      comparison: { equal: true },
    });
  });

  test('killed half-way and started again, it goes on where it was, by way of a server', async () => {
    const url = await database(...filled(1_500));
    const data = await ledgerFor(scratch());
    const server = await serve(data, '--no-auth');
    const args = ['usage', 'backfill', '--postgres', url, '--data', data, '--chunk', '150'];
    const imports = async (): Promise<{ name: string; status: string }[]> => {
      const answer = await fetch(`${server.url}/v1/imports?page_size=1000`);
      const all = ((await answer.json()) as { imports: { name: string; status: string }[] }).imports;
      return all.filter(({ status }) => status === 'done');
    };
    const killed = start(args);
    while ((await imports()).length < 3) await sleep(20);
    killed.kill('SIGKILL');
    expect((await killed.ended).signal).toBe('SIGKILL');
    const before = (await imports()).length;
    expect(before).toBeLessThan(20);
    const { code, stdout, stderr } = await run(args);
    expect(code, stderr).toBe(0);
    expect(stdout.match(/The sums are equal\./g)).toHaveLength(2);
    expect(stderr).toMatch(/\d+ rows were taken in before and not read again/);
    const names = (await imports()).map(({ name }) => name);
    // What the server was given before the kill may have become done after it was counted; nothing came twice.
    expect(new Set(names).size).toBe(names.length);
    expect(names).toHaveLength(20);
    expect(await sumsIn(data)).toEqual([
      ['data', ...sumsOf(1_500)],
      ['voice', ...sumsOf(1_500)],
    ]);
    server.kill('SIGTERM');
    await server.ended;
  });

  test('stopped by Ctrl-C it says that it can go on', async () => {
    const url = await database(...filled(3_000));
    const data = await ledgerFor(scratch());
    const server = await serve(data, '--no-auth');
    const args = ['usage', 'backfill', '--postgres', url, '--data', data, '--chunk', '200'];
    const stopped = start(args);
    for (let count = 0; count < 2; await sleep(20)) {
      const answer = await fetch(`${server.url}/v1/imports`);
      count = ((await answer.json()) as { imports: object[] }).imports.length;
    }
    stopped.kill('SIGINT');
    const { code, stderr } = await stopped.ended;
    expect(code).toBe(130);
    expect(stderr).toContain('the same command goes on from there');
    server.kill('SIGTERM');
    await server.ended;
  });

  test('one table with a type: what is refused is kept with the reason, the rest is equal', async () => {
    const url = await database(
      `create table calls ("Ref" uuid primary key, kind text, subscription bigint, price double precision, "at" timestamp, amount_used bigint)`,
      `insert into calls values
         ('00000000-0000-0000-0000-000000000001', 'data', 9007199254740993, 0.1, '2026-10-05 06:43:00.000001', 1),
         ('00000000-0000-0000-0000-000000000002', 'data', 1, 0.2, '2026-10-05 06:43:00', -5),
         ('00000000-0000-0000-0000-000000000003', 'sms', 1, 0.2, '2026-10-05 06:43:00', 5),
         ('00000000-0000-0000-0000-000000000004', 'voice', 1, 'NaN', '2026-10-05 06:43:00', 5),
         ('00000000-0000-0000-0000-000000000005', 'voice', 1, 0.29, null, 5),
         ('00000000-0000-0000-0000-000000000006', 'voice', 1, 0.3, '2026-10-05 06:43:00', 9223372036854775807)`,
    );
    const data = await ledgerFor(scratch());
    const columns = ['id=Ref', 'usage_date=at', 'used=amount_used'].flatMap((text) => ['--column', text]);
    const args = ['--postgres', url, '--table', 'calls', ...columns, '--data', data];
    const [outcome] = await backfill(args, 3);
    expect(outcome).toMatchObject({
      counts: { received: 6, accepted: 2, rejected: 4 },
      comparison: {
        equal: true,
        source: [
          { type: 'data', records: 1, price: '0.1', used: '1' },
          { type: 'voice', records: 1, price: '0.3', used: '9223372036854775807' },
        ],
      },
    });
    expect(await recordIn(data, '00000000-0000-0000-0000-000000000001')).toMatchObject({
      subscription_id: '9007199254740993',
      usage_date: '2026-10-05T06:43:00.000001Z',
    });
    const { rejects } = await json<{ rejects: { code: string }[] }>(['rejects', 'list', '--data', data]);
    expect(rejects.map(({ code }) => code).sort()).toEqual([
      ...['invalid_value', 'missing_field', 'not_one_of', 'out_of_range'],
    ]);
  });

  test('a row that changed after it was read shows as a difference; --again --mode upsert corrects it', async () => {
    const url = await database(...filled(50));
    const data = await ledgerFor(scratch());
    const args = ['--postgres', url, '--data', data];
    await backfill(args);
    await postgres.run(nameOf(url), 'update usage_voiceusagerecord set price = price + 1 where id = 3');
    const [ofData, ofVoice] = await backfill(args, 4);
    expect(ofData!.comparison.equal).toBe(true);
    expect(ofVoice!.comparison).toMatchObject({ equal: false });
    expect(ofVoice!.comparison.reasons.join()).toContain('--again');
    const told = await run(['usage', 'backfill', ...args]);
    expect(told.code).toBe(4);
    expect(told.stdout).toContain('The sums differ.');
    const [, conflicts] = await backfill([...args, '--again'], 4);
    expect(conflicts).toMatchObject({ counts: { conflicts: 1, duplicates: 49 } });
    expect(conflicts!.comparison.reasons[0]).toContain('1 row had an id under which Tallybook holds other');
    const [, corrected] = await backfill([...args, '--again', '--mode', 'upsert']);
    expect(corrected).toMatchObject({
      counts: { corrected: 1, duplicates: 49 },
      comparison: { equal: true },
    });
  });

  test('--from and --to take usage within a range of time, and --id-prefix stands before the ids', async () => {
    const url = await database(...filled(100));
    const data = await ledgerFor(scratch());
    const [outcome] = await backfill([
      ...['--postgres', url, '--data', data, '--data-table', 'public.usage_datausagerecord'],
      ...['--from', '2026-10-01T00:10:00Z', '--to', '2026-10-01T00:20:00Z', '--id-prefix', 'old.'],
    ]);
    expect(outcome).toMatchObject({ rows: 10, counts: { accepted: 10 }, comparison: { equal: true } });
    expect(await recordIn(data, 'old.data-10')).toMatchObject({ used: '10' });
  });

  test('a dry run shows the mapping and the sums, and takes nothing in', async () => {
    const url = await database(...filled(100));
    const data = await ledgerFor(scratch());
    const text = await done(['usage', 'backfill', '--postgres', url, '--data', data, '--dry-run']);
    expect(text).toMatch(/^usage_datausagerecord of postgres:\/\/127/m);
    expect(text).toMatch(/^used +kilobytes_used$/m);
    expect(text).toMatch(/^id +data- and id$/m);
    expect(text).toMatch(/^source +voice +100 +50\.5 +5050$/m);
    expect(await sumsIn(data)).toEqual([]);
    expect(await json(['imports', 'list', '--data', data])).toMatchObject({ imports: [] });
  });

  test('what is older than the stream keeps is refused before anything is read', async () => {
    const url = await database(
      ...classic,
      `insert into usage_datausagerecord values (1, 1, 1, now() - interval '400 days', 1)`,
    );
    const data = await ledgerFor(scratch(), { retention: { records: '90 days' } });
    const error = await failure(['usage', 'backfill', '--postgres', url, '--data', data]);
    expect(error).toMatchObject({ exit: 2, code: 'bad_settings' });
    expect(error.detail).toMatch(
      /keeps 90 days and takes nothing older\. Begin with --from 20\d\d-\d\d-\d\d/,
    );
  });

  test.each([
    [
      'a table that is not there',
      ['--table', 'nothing'],
      /has no table nothing; it has usage_datausagerecord, usage_voi/,
    ],
    [
      'a column that is not there',
      ['--data-table', 'usage_datausagerecord', '--column', 'data.used=bytes'],
      /no column for used called bytes; it has id, subscription_id, price, usage_date, kilobytes_used\. Name it with --column data\.used=/,
    ],
    [
      'no column of a usual name',
      ['--table', 'usage_datausagerecord'],
      /no column for type such as type or usage_type/,
    ],
    [
      'a price that is no number',
      ['--data-table', 'usage_datausagerecord', '--column', 'price=usage_date'],
      /usage_date of usage_datausagerecord is of type timestamp with time zone; expected numeric/,
    ],
  ])('%s is refused with what there is', async (_name, args, detail) => {
    const url = await database(...classic);
    const data = await ledgerFor(scratch());
    const error = await failure(['usage', 'backfill', '--postgres', url, '--data', data, ...args]);
    expect(error).toMatchObject({ exit: 2, code: 'bad_settings' });
    expect(error.detail).toMatch(detail);
  });

  test('the password comes from the address, PGPASSWORD or a password file, and is never told', async () => {
    const url = await database(...filled(3));
    const directory = scratch();
    const data = await ledgerFor(directory);
    const { port, password } = postgres;
    const without = url.replace(`:${password}`, '');
    const env = { PGPASSFILE: join(directory, 'none') };
    const asked = await run(['usage', 'backfill', '--postgres', without, '--data', data], { env });
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain('asks for a password; give it in PGPASSWORD');
    const wrong = await run([
      'usage',
      'backfill',
      '--postgres',
      url.replace(password, 'wrong'),
      '--data',
      data,
    ]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('password authentication failed for user "owner"');
    expect(wrong.stderr).not.toContain('wrong');
    await backfill(['--postgres', without, '--data', data], 0, { ...env, PGPASSWORD: password });
    const passwords = join(directory, 'pgpass');
    writeFileSync(passwords, `127.0.0.1:${port}:*:owner:${password}\n`, { mode: 0o600 });
    await backfill(['--postgres', without, '--data', data], 0, { ...env, PGPASSFILE: passwords });
    const said = await run(['usage', 'backfill', '--data', data], { env: { TALLYBOOK_POSTGRES: url } });
    expect(said.code).toBe(0);
    expect(said.stdout + said.stderr).not.toContain(password);
    expect(await done(['imports', 'list', '--data', data])).not.toContain(password);
  });
});

if (postgresBinaries === undefined)
  console.warn('usage backfill: there is no PostgreSQL here, so it is not tested');

describe('usage backfill from files', () => {
  test('a CSV and a Parquet file, each whole, and once', async () => {
    const directory = scratch();
    const data = await ledgerFor(directory);
    const csv = join(directory, 'data.csv.gz');
    writeFileSync(
      csv,
      gzipSync(
        'subscription_id,kilobytes_used,price,usage_date,id,note\n' +
          '7,10,0.10,2026-10-05 06:43:00.123456+02,1,"a, b"\n7,20,0.2,2026-10-05T00:00:00Z,2,\n',
      ),
    );
    const parquet = join(directory, 'voice.parquet');
    await writeParquet(
      parquet,
      `select 1::bigint as id, 7 as subscription_id, 90071992547409.93::decimal(18, 2) as price,
         timestamptz '2026-10-05 06:43:00.5+02' as usage_date, 60::integer as seconds_used`,
    );
    const args = ['--data-file', csv, '--voice-file', parquet, '--data', data];
    const first = await backfill(args);
    expect(first.map(({ comparison, counts }) => [comparison.equal, counts.accepted])).toEqual([
      [true, 2],
      [true, 1],
    ]);
    expect(await sumsIn(data)).toEqual([
      ['data', 2, '0.3', '30'],
      ['voice', 1, '90071992547409.93', '60'],
    ]);
    expect(await recordIn(data, 'voice-1')).toMatchObject({ usage_date: '2026-10-05T04:43:00.500000Z' });
    expect((await backfill(args)).map(({ imports, rows_before }) => [imports, rows_before])).toEqual([
      [[], 2],
      [[], 1],
    ]);
  });

  test('a file of both types, with a range of time; what is refused does not count', async () => {
    const directory = scratch();
    const data = await ledgerFor(directory);
    const path = file(
      directory,
      'usage.tsv',
      [
        'id\ttype\tsubscription_id\tusage_date\tprice\tused',
        'a\tdata\t1\t2026-10-05T00:00:00Z\t1.50\t10',
        'b\tvoice\t1\t2026-10-05T00:00:00Z\t1.005\t10',
        'c\tvoice\t1\t2026-10-05T00:00:00Z\t2\t-1',
        'd\tvoice\t1\t2026-10-06T00:00:00Z\t3\t1',
        'e\tvoice\t1\tsoon\t3\t1',
        '',
      ].join('\n'),
    );
    const [outcome] = await backfill(['--file', path, '--to', '2026-10-06', '--data', data], 3);
    expect(outcome).toMatchObject({
      counts: { received: 4, accepted: 1, rejected: 3 },
      comparison: { equal: true },
    });
    expect(await sumsIn(data)).toEqual([['data', 1, '1.5', '10']]);
  });

  test('an id that stands twice in a file counts once, and the difference is told', async () => {
    const directory = scratch();
    const data = await ledgerFor(directory);
    const line = 'a,1,2026-10-05T00:00:00Z,1.50,10\n';
    const path = file(directory, 'data.csv', `id,subscription_id,usage_date,price,used\n${line}${line}`);
    const [outcome] = await backfill(['--data-file', path, '--data', data], 4);
    expect(outcome!.comparison.reasons[0]).toContain('an id that stands twice in the source counts once');
  });

  test.each([
    [
      'a file that is not there',
      ['--data-file', 'nowhere.csv'],
      /nowhere\.csv cannot be used: it is not there/,
    ],
    ['a row with too many cells', ['--data-file', 'bad.csv'], /bad\.csv cannot be read: .*line/i],
    [
      'no column of a usual name',
      ['--voice-file', 'data.csv', '--column', 'subscription_id=id'],
      /no column for usage_date such as usage_date .*it has id, size/,
    ],
    ['a format that is not read', ['--file', 'a.ndjson'], /expected \.csv, \.tsv or \.parquet/],
    ['no source', [], /name a database with --postgres/],
    ['a table without a database', ['--table', 'usage'], /name it with --postgres/],
    ['both kinds of source', ['--postgres', 'postgres:///a', '--file', 'data.csv'], /or else files/],
    ['one file beside others', ['--file', 'data.csv', '--data-file', 'data.csv'], /one for each type/],
    ['a field that is none', ['--file', 'data.csv', '--column', 'cost=price'], /fields are id, type, subscr/],
    [
      'no address',
      ['--postgres', 'http://secret@host/a'],
      /^--postgres is no address of a database(?!.*secret)/,
    ],
    [
      'no server',
      ['--postgres', 'postgres://secret:word@127.0.0.1:1/a'],
      /127\.0\.0\.1:1\/a does not answer(?!.*word)/,
    ],
    ['a date that is none', ['--file', 'data.csv', '--from', '2026-02-30'], /expected a date or a timestamp/],
  ])('%s is refused', async (_name, args, detail) => {
    const directory = scratch();
    const data = await ledgerFor(directory);
    file(directory, 'data.csv', 'id,size\n1,2\n');
    file(
      directory,
      'bad.csv',
      'id,subscription_id,usage_date,price,used\n1,1,2026-10-05T00:00:00Z,1,1,1,1\n',
    );
    file(directory, 'a.ndjson', '{}\n');
    const { code, stderr } = await run(['usage', 'backfill', ...args, '--data', data, '--json'], {
      cwd: directory,
    });
    expect(code).toBeGreaterThan(0);
    const { error } = JSON.parse(stderr.trimEnd().split('\n').at(-1)!) as {
      error: { code: string; detail: string };
    };
    expect(error.code).not.toBe('internal');
    expect(error.detail).toMatch(detail);
  });

  test('a stream of other fields is no stream of usage', async () => {
    const directory = scratch();
    const other = {
      id: 'id',
      fields: { id: { type: 'text', required: true } },
      time: undefined,
      rollups: {},
    };
    const data = join(directory, 'data');
    const { url } = await serve(data, '--no-auth', '--systems', 'none');
    const declared = await fetch(`${url}/v1/streams/usage`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(other),
    });
    expect(declared.status).toBe(201);
    const path = file(directory, 'data.csv', 'id\n1\n');
    const error = await failure(['usage', 'backfill', '--data-file', path, '--data', data]);
    expect(error.detail).toMatch(/has no type, subscription_id, usage_date, price, used/);
  });
});

async function writeParquet(path: string, select: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(`copy (${select}) to '${path}' (format parquet)`);
  connection.closeSync();
  instance.closeSync();
}
