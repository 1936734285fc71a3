/** Several servers on one ledger: what one of them declares, the others learn. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { limits } from '../../src/engine/limits.ts';
import { Tallybook } from '../../src/engine/tallybook.ts';
import { openClickHouseStore } from '../../src/stores/clickhouse/index.ts';
import { dropDatabase, freshDatabase } from '../clickhouse-store.ts';
import { delivery } from '../contract/harness.ts';
import { makeDirectory, sale, sales } from '../http/open-app.ts';
import { holdingWireOfTest } from './wires.ts';

async function emptyDatabase(): Promise<string> {
  const address = await freshDatabase();
  onTestFinished(() => dropDatabase(address));
  return address;
}

async function openServer(address: string): Promise<Tallybook> {
  const log = {
    info() {},
    warn() {},
    error: (fields: object, message: string) => expect.fail(`${message} ${JSON.stringify(fields)}`),
  };
  const store = await openClickHouseStore({ address });
  const tallybook = await Tallybook.open({ store, spoolDirectory: join(makeDirectory(), 'spool'), log });
  onTestFinished(() => tallybook.close());
  return tallybook;
}

async function twoServers(): Promise<[Tallybook, Tallybook]> {
  const address = await emptyDatabase();
  return [await openServer(address), await openServer(address)];
}

async function serverOnWire() {
  const address = await emptyDatabase();
  const wire = await holdingWireOfTest(address);
  const one = await openServer(wire.address);
  await one.streams.put('sales', sales);
  return { address, wire, one };
}

async function startImport(tallybook: Tallybook, id: string) {
  const path = join(makeDirectory(), 'sales.ndjson');
  writeFileSync(path, JSON.stringify(sale(id)));
  return tallybook.imports.start({
    stream: tallybook.streams.get('sales'),
    form: undefined,
    mode: 'insert',
    path,
    name: id,
    format: 'ndjson',
    compression: 'none',
    source: 'test',
    deleteFile: false,
  });
}

test('a stream, a source and its end are known to the other server soon', async () => {
  const [one, other] = await twoServers();
  await one.streams.put('sales', sales);
  await one.sources.ensureAdminKey(join(makeDirectory(), 'admin.key'));
  await expect.poll(() => other.streams.find('sales')?.name, { timeout: 30_000 }).toBe('sales');
  const name = one.sources.list()[0]!.name;
  await expect
    .poll(() => other.sources.list().map((source) => source.name), { timeout: 30_000 })
    .toEqual([name]);
  await other.write(delivery(other.streams.get('sales'), 'insert', [sale('a'), sale('b')]));
  expect((await one.ask('sales', { measures: ['count', 'sum(amount)'] })).rows).toEqual([[2, '3']]);
});

test('imports that two servers start at the same time have numbers of their own', async () => {
  const [one, other] = await twoServers();
  await one.streams.put('sales', sales);
  await expect.poll(() => other.streams.find('sales')?.name, { timeout: 30_000 }).toBe('sales');
  const servers = [one, other, one, other];
  const started = await Promise.all(servers.map((server, i) => startImport(server, `sale ${i}`)));
  expect(new Set(started.map(({ id }) => id)).size).toBe(4);
  const ended = await Promise.all(started.map(({ id }, i) => servers[i]!.imports.wait(id)));
  expect(ended.map(({ status }) => status)).toEqual(['done', 'done', 'done', 'done']);
  expect((await one.ask('sales', { measures: ['count'] })).rows).toEqual([[4]]);
  expect((await other.verify()).filter(({ ok }) => !ok)).toEqual([]);
});

test('an import of which nobody can say how it ended is told as that, until the book says it', async () => {
  const { wire, one } = await serverOnWire();
  const commit = wire.hold(0, /token=position.*"part".*"sales"/s);
  const { id } = await startImport(one, 'a');
  await commit.isCaught;
  commit.sever();
  const everything = wire.hold(0, /./s);
  everything.sever();
  await expect(one.imports.wait(id)).rejects.toMatchObject({ code: 'database_unavailable' });
  everything.release();
  await expect(one.imports.get(id)).rejects.toMatchObject({ code: 'database_unavailable' });
  commit.release();
  await expect.poll(async () => (await one.imports.get(id).catch(() => undefined))?.status).toBe('done');
  expect((await one.ask('sales', { measures: ['count'] })).rows).toEqual([[1]]);
});

test('an import that goes on in one server is not called failed by another that starts', async () => {
  const { address, wire, one } = await serverOnWire();
  // What is written down at its start goes through; its rows do not.
  const held = wire.hold(2);
  const { id } = await startImport(one, 'a');
  await held.isCaught;
  const other = await openServer(address);
  expect((await other.imports.get(id)).status).toBe('in_progress');
  // Nothing that still runs is as old.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + (limits.abandoned_seconds + 60) * 1000 });
  onTestFinished(() => void vi.useRealTimers());
  const dayLater = await openServer(address);
  expect((await dayLater.imports.get(id)).status).toBe('failed');
  vi.useRealTimers();
  held.release();
  expect((await one.imports.wait(id)).status).toBe('done');
});
