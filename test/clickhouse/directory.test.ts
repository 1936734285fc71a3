/** The data directory of a server whose ledger is in ClickHouse: its own, whoever else serves that ledger. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { failure, json, scratch, serve } from '../cli/harness.ts';
import { dropDatabase, freshDatabase } from '../clickhouse-store.ts';

test('a second server on it is refused, and clears nothing away; with another directory it serves', async () => {
  const address = await freshDatabase();
  onTestFinished(() => dropDatabase(address));
  const data = join(scratch(), 'data');
  const first = await serve(data, '--store', address);
  const upload = join(data, 'spool', 'upload');
  writeFileSync(upload, 'on its way');
  for (const store of [['--store', address], []])
    expect(await failure(['serve', '--port', '0', '--data', data, ...store])).toMatchObject({
      exit: 1,
      code: 'directory_in_use',
      detail: expect.stringContaining(`${data} is in use by process ${first.pid}`),
    });
  expect(existsSync(upload)).toBe(true);
  expect(await json(['streams', 'list', '--data', data, '--store', address])).toBeDefined();
  await serve(join(scratch(), 'data'), '--store', address);
  // The lock goes with the process, however it ends.
  first.kill('SIGKILL');
  await first.ended;
  await serve(data, '--store', address);
  expect(existsSync(upload)).toBe(false);
});
