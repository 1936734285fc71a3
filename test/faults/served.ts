/** A `tallybook serve` of its own process, to be killed. It listens on loopback and ends with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { freePort } from '../free-port.ts';

export const binary = fileURLToPath(new URL('../../bin/tallybook', import.meta.url));
const clock = fileURLToPath(new URL('./clock.js', import.meta.url));

export interface Served {
  url: string;
  pid: number;
  /** SIGKILL: no warning, no clean-up. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Resolves with the exit code when it has ended, by whatever. */
  ended: Promise<number | null>;
  /** SIGSTOP: it holds its breath until SIGCONT. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Sets its clock so far ahead of that of the machine, or behind; see clock.js. */
  shiftClock(milliseconds: number): Promise<void>;
  /** What it wrote to stderr. */
  log(): string;
}

export async function serve(directory: string, ...options: string[]): Promise<Served> {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [
      '--import',
      clock,
      binary,
      'serve',
      '--data',
      directory,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '--no-auth',
      ...options,
    ],
    { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] },
  );
  let log = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-20_000);
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url, child, () => log);
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return {
    url,
    pid: child.pid!,
    ended,
    signal: (signal) => {
      child.kill(signal);
    },
    shiftClock: (milliseconds) =>
      new Promise((resolve) => {
        child.once('message', () => resolve());
        child.send({ milliseconds });
      }),
    kill: async () => {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
    log: () => log,
  };
}

async function untilReady(url: string, child: ChildProcess, log: () => string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (child.exitCode !== null) throw new Error(`serve ended with ${child.exitCode}: ${log()}`);
    // On a full disk it serves, and says that it is not ready.
    const ready = await fetch(`${url}/readyz`).then(
      (r) => r.ok || r.status === 507,
      () => false,
    );
    if (ready) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill('SIGKILL');
  throw new Error(`serve is not ready after 30 s: ${log()}`);
}
