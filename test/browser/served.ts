/** A server of the built product, in a process of its own, with a ledger of its own; and what is asked of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../../bin/tallybook', import.meta.url));

export interface Served {
  url: string;
  directory: string;
  /** Asks the API; fails on a status of 400 or more. */
  // biome-ignore lint/suspicious/noExplicitAny: what tests look into is any JSON
  api(method: string, path: string, body?: object): Promise<any>;
  /** Ends the process, leaving the ledger. */
  stop(): Promise<void>;
  /** Ends it, and removes the ledger. */
  remove(): Promise<void>;
}

/** `serve` or `demo`, until it says that it can be reached. */
export async function start(
  name: 'serve' | 'demo',
  options: string[],
  { directory = mkdtempSync(join(tmpdir(), 'tallybook-browser-')), port = 0 } = {},
): Promise<Served> {
  const child = spawn(
    process.execPath,
    [command, name, '--data', directory, '--port', String(port), ...options],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  await says(child, /\/docs\b/);
  const { url } = JSON.parse(readFileSync(join(directory, 'serve.json'), 'utf8')) as { url: string };
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  };
  return {
    url,
    directory,
    async api(method, path, body) {
      const response = await fetch(url + path, {
        method,
        ...(body === undefined
          ? {}
          : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text === '' ? undefined : JSON.parse(text);
    },
    stop,
    async remove() {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function says(child: ChildProcess, wanted: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const hear = (chunk: Buffer): void => {
      said += chunk;
      if (wanted.test(said)) resolve();
    };
    child.stdout!.on('data', hear);
    child.stderr!.on('data', hear);
    child.once('exit', (code) => reject(new Error(`ended with ${code} before it served:\n${said}`)));
  });
}
