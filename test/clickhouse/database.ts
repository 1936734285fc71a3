/** Databases of their own for the tests, on a ClickHouse that one process serves to all of them (server.mjs). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface Served {
  /** `127.0.0.1:PORT` */
  host: string;
  stop(): Promise<void>;
}

export async function serveClickHouse(): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-clickhouse-'));
  const server: ChildProcess = spawn(
    process.execPath,
    [join(import.meta.dirname, 'server.mjs'), join(directory, 'data')],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const [port] = (await once(createInterface(server.stdout!), 'line')) as [string];
  return {
    host: `127.0.0.1:${port}`,
    async stop() {
      server.stdin!.end();
      if (server.exitCode === null) await once(server, 'exit');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Runs a statement, and returns what it gives as tab-separated text. */
export async function runOn(host: string, statement: string): Promise<string> {
  const answer = await fetch(`http://${host}/`, { method: 'POST', body: statement });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}
