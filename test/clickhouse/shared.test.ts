/** Several servers on one ledger: what one of them declares, the others learn. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Tallybook } from '../../src/engine/tallybook.ts';
import { openClickHouseStore } from '../../src/stores/clickhouse/index.ts';
import { dropDatabase, freshDatabase } from '../clickhouse-store.ts';
import { delivery } from '../contract/harness.ts';
import { makeDirectory, sale, sales } from '../http/open-app.ts';

async function twoServers(): Promise<[Tallybook, Tallybook]> {
  const address = await freshDatabase();
  onTestFinished(() => dropDatabase(address));
  const open = async () => {
    const log = {
      info() {},
      warn() {},
      error: (fields: object, message: string) => expect.fail(`${message} ${JSON.stringify(fields)}`),
    };
    const store = await openClickHouseStore({ address });
    const tallybook = await Tallybook.open({ store, spoolDirectory: join(makeDirectory(), 'spool'), log });
    onTestFinished(() => tallybook.close());
    return tallybook;
  };
  return [await open(), await open()];
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
  const start = async (tallybook: Tallybook, id: string) => {
    const path = join(makeDirectory(), 'sales.ndjson');
    writeFileSync(path, JSON.stringify(sale(id)));
    const shared = { form: undefined, mode: 'insert', compression: 'none', source: 'test' } as const;
    const stream = tallybook.streams.get('sales');
    return tallybook.imports.start({
      ...shared,
      stream,
      path,
      name: id,
      format: 'ndjson',
      deleteFile: false,
    });
  };
  const started = await Promise.all([start(one, 'a'), start(other, 'b'), start(one, 'c'), start(other, 'd')]);
  expect(new Set(started.map(({ id }) => id)).size).toBe(4);
  const servers = [one, other, one, other];
  const ended = await Promise.all(started.map(({ id }, i) => servers[i]!.imports.wait(id)));
  expect(ended.map(({ status }) => status)).toEqual(['done', 'done', 'done', 'done']);
  expect((await one.ask('sales', { measures: ['count'] })).rows).toEqual([[4]]);
  expect((await other.verify()).filter(({ ok }) => !ok)).toEqual([]);
});
