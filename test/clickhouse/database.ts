/** Serves one ClickHouse (server.mjs) to all test files, which find it by a variable; vitest.config.ts names this file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export default async function setup(): Promise<() => Promise<void>> {
  // One that runs already may be named from outside.
  if (process.env['TALLYBOOK_TEST_CLICKHOUSE'] !== undefined) return async () => undefined;
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-clickhouse-'));
  const server = spawn(process.execPath, [join(import.meta.dirname, 'server.mjs'), join(directory, 'data')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [port] = (await once(createInterface(server.stdout), 'line')) as [string];
  process.env['TALLYBOOK_TEST_CLICKHOUSE'] = `127.0.0.1:${port}`;
  return async () => {
    server.stdin.end();
    if (server.exitCode === null) await once(server, 'exit');
    rmSync(directory, { recursive: true, force: true });
  };
}
