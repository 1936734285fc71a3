/** A `tallybook serve` of its own process, as a user starts it: on loopback, with keys, until the test file ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const binary = fileURLToPath(new URL('../../bin/tallybook', import.meta.url));
const startsWithinMilliseconds = 30_000;
const waitsMilliseconds = 20_000;

/** Where a client sends to, unless it is told. */
export const path = '/v1/events';

/** An event that stands in the ledger. */
export interface Kept {
  id: string;
  session_id: string;
  name: string;
  data: { n: number };
  timestamp: string;
}

export class Served {
  readonly url: string;
  readonly #port: number;
  readonly #directory: string;
  #child: ChildProcess | undefined;
  #log = '';

  private constructor(port: number, directory: string) {
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#directory = directory;
  }

  static async start(): Promise<Served> {
    const directory = mkdtempSync(join(tmpdir(), 'tallybook-client-test-'));
    const served = new Served(await freePort(), directory);
    await served.again();
    return served;
  }

  /** Starts it on the same port and the same ledger, after a `kill`. */
  async again(): Promise<void> {
    const options = ['--port', String(this.#port), '--data', join(this.#directory, 'data')];
    const child = spawn(process.execPath, [binary, 'serve', ...options], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-20_000);
    });
    const deadline = performance.now() + startsWithinMilliseconds;
    for (;;) {
      const ready = await fetch(`${this.url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (ready) return;
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`tallybook serve does not start: ${this.#log}`);
      }
      await sleep(50);
    }
  }

  /** No warning, no clean-up. */
  async kill(): Promise<void> {
    const child = this.#child!;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  get adminKey(): string {
    return readFileSync(join(this.#directory, 'data', 'admin.key'), 'utf8').trim();
  }

  /** Makes a source, and gives its key. */
  async source(name: string, bounds: object = {}): Promise<string> {
    const made = await this.#ask('/v1/sources', { name, scopes: ['ingest'], ...bounds });
    return made.key as string;
  }

  /** The events of a session that stand, in the order of their arrival. */
  async events(session: string): Promise<Kept[]> {
    const query = new URLSearchParams({ session_id: session, order: 'oldest', page_size: '1000' });
    const kept: Kept[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined; ) {
      if (cursor !== '') query.set('cursor', cursor);
      const page = await this.#ask(`${path}?${query}`);
      kept.push(...(page.events as Kept[]));
      cursor = page.next as string | undefined;
    }
    return kept;
  }

  /** The verdicts that an id got, in their order. */
  async fate(id: string): Promise<string[]> {
    const { history } = (await this.#ask(`/v1/streams/events/records/${id}`)) as {
      history: { verdict: string }[];
    };
    return history.map(({ verdict }) => verdict);
  }

  async #ask(address: string, body?: object): Promise<Record<string, unknown>> {
    const answer = await fetch(new URL(address, this.url), {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${this.adminKey}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${address}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Looks again until it is so. */
export async function until(what: () => unknown): Promise<void> {
  const deadline = performance.now() + waitsMilliseconds;
  while (!(await what())) {
    if (performance.now() > deadline) throw new Error(`it is not so after ${waitsMilliseconds} ms: ${what}`);
    await sleep(20);
  }
}
