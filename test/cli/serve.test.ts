import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import {
  done,
  failure,
  file,
  json,
  ledger,
  read,
  rows,
  run,
  sales,
  scratch,
  serve,
  start,
} from './harness.ts';

describe('serve', () => {
  test('tells where it listens and where the key is, and stops cleanly on SIGTERM', async () => {
    const directory = scratch();
    const data = join(directory, 'data');
    const streams = file(directory, 'streams.json', { sales });
    const running = start(['serve', '--data', data, '--port', '0', '--streams', streams]);
    const said = await running.says(/\/docs\n/);
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)![0];
    expect(said).toContain(`A key that may do everything was written to ${join(data, 'admin.key')}`);
    expect(said).toContain(`${url}/docs`);
    expect(statSync(join(data, 'admin.key')).mode & 0o777).toBe(0o600);
    expect(statSync(join(data, 'serve.json')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(read(join(data, 'serve.json')))).toEqual({ url, pid: running.pid });
    const headers = { authorization: `Bearer ${read(join(data, 'admin.key'))}` };
    expect((await fetch(`${url}/v1/streams/sales`)).status).toBe(401);
    expect((await fetch(`${url}/v1/streams/sales`, { headers })).status).toBe(200);
    running.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    expect(code).toBe(0);
    const lines = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; level: number });
    expect(lines.map(({ msg }) => msg)).toEqual(['declared', 'listening', 'stopping', 'stopped']);
    expect(existsSync(join(data, 'serve.json'))).toBe(false);
  });

  test('the next start keeps the key, and commits that were acknowledged', async () => {
    const data = await ledger(scratch());
    const first = await serve(data);
    const headers = { authorization: `Bearer ${first.key}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ id: 'a', at: '2026-10-05T00:00:00Z', amount: '1.50' });
    expect(
      (await fetch(`${first.url}/v1/streams/sales/records`, { method: 'POST', headers, body })).status,
    ).toBe(201);
    first.kill('SIGKILL');
    await first.ended;
    expect(existsSync(join(data, 'serve.json'))).toBe(true);
    expect(await json(['query', 'sales', '--measures', 'sum(amount)', '--data', data])).toMatchObject({
      rows: [{ 'sum(amount)': '1.5' }],
    });
    const second = await serve(data);
    expect(second.key).toBe(first.key);
    second.kill('SIGINT');
    expect((await second.ended).code).toBe(0);
  });

  test('a second signal does not wait for a request that hangs', async () => {
    const data = await ledger(scratch());
    const server = await serve(data, '--no-auth');
    const { connect } = await import('node:net');
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'POST /v1/streams/sales/records HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    const started = Date.now();
    server.kill('SIGTERM');
    await server.says(/stopping/);
    server.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
    expect(Date.now() - started).toBeLessThan(8_000);
    socket.destroy();
  });

  test.each(['0.0.0.0', '::', '192.168.1.10', 'tallybook.example.com'])(
    '--no-auth is refused on %s',
    async (host) => {
      const directory = scratch();
      const error = await failure(['serve', '--no-auth', '--host', host, '--data', join(directory, 'data')]);
      expect(error).toMatchObject({
        exit: 2,
        code: 'bad_settings',
        detail: expect.stringContaining('--no-auth is for a loopback address only'),
      });
      expect(existsSync(join(directory, 'data'))).toBe(false);
    },
  );

  test('a port that is taken is named', async () => {
    const taken = await listening();
    const { port } = taken.address() as { port: number };
    const error = await failure(['serve', '--port', String(port), '--data', join(scratch(), 'data')]);
    expect(error).toMatchObject({
      exit: 2,
      code: 'bad_settings',
      detail: expect.stringContaining(`port ${port} of 127.0.0.1 is taken`),
    });
    await new Promise((resolve) => taken.close(resolve));
  });

  test('a second server on the directory is refused, with who has it', async () => {
    const data = await ledger(scratch());
    const server = await serve(data);
    expect(await failure(['serve', '--port', '0', '--data', data])).toMatchObject({
      exit: 1,
      code: 'directory_in_use',
      detail: expect.stringContaining(`in use by process ${server.pid}`),
    });
    expect(await json(['query', 'sales', '--data', data])).toMatchObject({ rows: [{ count: 0 }] });
  });
});

test('a ledger of a newer version is refused with a sentence, and left as it is', async () => {
  const data = await ledger(scratch());
  const database = join(data, 'tallybook.duckdb');
  const instance = await DuckDBInstance.create(database);
  const connection = await instance.connect();
  await connection.run(
    "update book set value = '1000' where key = 'schema_version'; drop table parts; checkpoint",
  );
  connection.closeSync();
  instance.closeSync();
  const before = readFileSync(database);
  for (const command of [['serve', '--port', '0'], ['query', 'sales'], ['verify']])
    expect(await failure([...command, '--data', data]), command[0]).toMatchObject({
      exit: 1,
      code: 'newer_database',
      detail: expect.stringContaining('was written by a newer Tallybook (schema 1000'),
    });
  expect(readFileSync(database).equals(before)).toBe(true);
  expect(existsSync(`${database}.wal`)).toBe(false);
});

describe('a command while a server runs', () => {
  test('goes through it, all the same', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const server = await serve(data);
    expect(await json(['import', 'sales', file(directory, 'a.csv', rows(10)), '--data', data])).toMatchObject(
      { receipt: { accepted: 10 } },
    );
    expect(await json(['query', 'sales', '--data', data])).toMatchObject({ rows: [{ count: 10 }] });
    expect(await done(['streams', 'list', '--data', data])).toMatch(/^sales /m);
    expect((await done(['export', 'sales', '--data', data])).split('\n')).toHaveLength(12);
    expect(await json(['verify', '--data', data])).toMatchObject({ ok: true });
    expect(await json(['compact', '--data', data])).toMatchObject({ dropped: 0 });
    const backup = join(directory, 'backup');
    await done(['backup', backup, '--data', data]);
    expect(await failure(['backup', backup, '--data', data])).toMatchObject({
      exit: 1,
      code: 'directory_unusable',
    });
    expect(await json(['restore', backup, '--data', join(directory, 'restored')])).toMatchObject({
      ok: true,
    });
    // What it wrote is remembered under the key it used.
    expect(await json<{ imports: { source: string }[] }>(['imports', 'list', '--data', data])).toMatchObject({
      imports: [{ source: 'admin' }],
    });
    server.kill('SIGTERM');
    await server.ended;
    expect(await json(['query', 'sales', '--data', data])).toMatchObject({ rows: [{ count: 10 }] });
  });

  test('elsewhere is named with --url and --key', async () => {
    const data = await ledger(scratch());
    const server = await serve(data);
    const { key } = await json<{ key: string }>([
      'keys',
      'create',
      'reader',
      '--scope',
      'read',
      '--data',
      data,
    ]);
    const env = { TALLYBOOK_URL: server.url, TALLYBOOK_KEY: key };
    expect(await json(['query', 'sales'], { env })).toMatchObject({ rows: [{ count: 0 }] });
    expect(await failure(['verify'], { env })).toMatchObject({ exit: 1, code: 'forbidden' });
    expect(await failure(['query', 'sales', '--url', server.url, '--key', 'nonsense'])).toMatchObject({
      exit: 1,
      code: 'unauthenticated',
    });
    const { code, stderr } = await run(['query', 'sales', '--url', server.url]);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('TALLYBOOK_KEY') });
    server.kill('SIGTERM');
    await server.ended;
    expect(await failure(['query', 'sales'], { env })).toMatchObject({ exit: 1, code: 'unreachable' });
  });

  test('that was killed opens the directory itself, whatever serve.json says', async () => {
    const data = await ledger(scratch());
    const taken = await listening();
    const { port } = taken.address() as { port: number };
    writeFileSync(
      join(data, 'serve.json'),
      JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: 2 ** 22 - 7 }),
    );
    expect(await json(['query', 'sales', '--data', data])).toMatchObject({ rows: [{ count: 0 }] });
    await new Promise((resolve) => taken.close(resolve));
  });

  test('waits for another command that has the directory open', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const files = [0, 1].map((part) => file(directory, `${part}.csv`, rows(2_000, part * 2_000)));
    const receipts = await Promise.all(
      files.map((path) => json<{ receipt: { accepted: number } }>(['import', 'sales', path, '--data', data])),
    );
    expect(receipts.map(({ receipt }) => receipt.accepted)).toEqual([2_000, 2_000]);
    expect(await json(['query', 'sales', '--data', data])).toMatchObject({ rows: [{ count: 4_000 }] });
  });
});

function listening(): Promise<NetServer> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
