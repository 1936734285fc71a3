/**
 * Runs the built command as a user does: a process of its own, its own directory, none of the caller's settings.
 * Everything that is started or made is ended and removed after each test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, expect, vi } from 'vitest';
import type { StreamDeclaration } from '../../src/index.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const command = join(root, 'bin/tallybook');
const built = join(root, 'dist/cli/main.js');
const endsWithinMilliseconds = 60_000;
/** Every command is a process of its own: it takes its time to start, most of all where others work too. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 30_000 });

/** A test of the built command says nothing about a source that is newer. */
function mustBeBuilt(): void {
  const newest = readdirSync(join(root, 'src/cli'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);
  if (!existsSync(built) || statSync(built).mtimeMs < newest) {
    throw new Error('dist is older than src/cli; run "npm run build" before the tests of the command');
  }
}
mustBeBuilt();

const started = new Set<ChildProcess>();
const scratches = new Set<string>();

afterEach(async () => {
  for (const child of started) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
  for (const directory of scratches) rmSync(directory, { recursive: true, force: true });
  scratches.clear();
});

/** A new directory, removed after the test. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-test-'));
  scratches.add(directory);
  return directory;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  input?: string;
  cwd?: string;
}

export interface Running {
  pid: number;
  kill(signal: NodeJS.Signals): void;
  input: NodeJS.WritableStream;
  /** Resolves when what was said so far (stdout and stderr) matches. */
  says(pattern: RegExp): Promise<string>;
  ended: Promise<Ended>;
}

export function start(args: string[], { env = {}, cwd }: RunOptions = {}): Running {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TALLYBOOK_'));
  const child = spawn(command, args, {
    env: { ...Object.fromEntries(inherited), ...env },
    ...(cwd ? { cwd } : {}),
  });
  started.add(child);
  let stdout = '';
  let stderr = '';
  let over = false;
  let heard = (): void => undefined;
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    heard();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    heard();
  });
  child.stdin.on('error', () => undefined);
  const timer = setTimeout(() => child.kill('SIGKILL'), endsWithinMilliseconds);
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      started.delete(child);
      over = true;
      heard();
      resolve({ code, signal, stdout, stderr });
    });
  });
  return {
    pid: child.pid!,
    kill: (signal) => child.kill(signal),
    input: child.stdin,
    ended,
    says: (pattern) =>
      new Promise((resolve, reject) => {
        heard = () => {
          if (pattern.test(stdout + stderr)) resolve(stdout + stderr);
          else if (over) reject(new Error(`it ended and never said ${pattern}: ${stdout}${stderr}`));
        };
        heard();
      }),
  };
}

export function run(args: string[], options: RunOptions = {}): Promise<Ended> {
  const running = start(args, options);
  running.input.end(options.input ?? '');
  return running.ended;
}

/** Runs a command that must succeed, and gives what it wrote. */
export async function done(args: string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(args, options);
  expect(code, stderr).toBe(0);
  return stdout;
}

/** The same with `--json`. */
export async function json<T = Record<string, unknown>>(
  args: string[],
  options: RunOptions = {},
): Promise<T> {
  return JSON.parse(await done([...args, '--json'], options)) as T;
}

/** The error that a command with `--json` ends with. */
export async function failure(
  args: string[],
  options: RunOptions = {},
): Promise<{ exit: number | null; code: string; detail: string }> {
  const { code: exit, stdout, stderr } = await run([...args, '--json'], options);
  expect(stdout).toBe('');
  const last = stderr.trimEnd().split('\n').at(-1)!;
  const { error } = JSON.parse(last) as { error: { code: string; detail: string } };
  return { exit, ...error };
}

export interface Server extends Running {
  url: string;
  key: string;
  data: string;
}

/** Starts a server on a free port and waits until it listens. */
export async function serve(data: string, ...args: string[]): Promise<Server> {
  const running = start(['serve', '--data', data, '--port', '0', '--json', ...args]);
  const said = await running.says(/^\{"url".*\}$/m);
  const { url } = JSON.parse(/^\{"url".*\}$/m.exec(said)![0]) as { url: string };
  const key = args.includes('--no-auth') ? '' : readKey(data);
  return { ...running, url, key, data };
}

function readKey(data: string): string {
  const path = join(data, 'admin.key');
  return existsSync(path) ? read(path) : '';
}

export function read(path: string): string {
  return readFileSync(path, 'utf8').trim();
}

export const sales: StreamDeclaration = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    customer: { type: 'text' },
    amount: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
  rollups: { daily: { every: 'day', by: ['customer'], sum: ['amount'] } },
};

/** Writes a file into a directory. */
export function file(directory: string, name: string, content: string | object): string {
  const path = join(directory, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const made = new Map<number, Promise<string>>();
const templates = new Set<string>();

afterAll(() => {
  for (const directory of templates) rmSync(directory, { recursive: true, force: true });
});

/**
 * A data directory in which the stream `sales` is declared, and holds as many records as `rows` would make. Each sort
 * is made once by the command, and copied for the others.
 */
export async function ledger(directory: string, records = 0): Promise<string> {
  if (!made.has(records)) made.set(records, makeLedger(records));
  const data = join(directory, 'data');
  cpSync(await made.get(records)!, data, { recursive: true });
  return data;
}

async function makeLedger(records: number): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-test-'));
  templates.add(directory);
  const data = join(directory, 'data');
  await done(['streams', 'put', file(directory, 'sales.json', sales), '--data', data]);
  if (records > 0)
    await done(['import', 'sales', file(directory, 'records.csv', rows(records)), '--data', data]);
  return data;
}

/** How many records of `sales` stand. */
export async function countIn(data: string): Promise<number> {
  return (await json<{ rows: [{ count: number }] }>(['query', 'sales', '--data', data])).rows[0].count;
}

/** CSV for that stream: `rows(3)` has the ids r0, r1, r2, each with an amount of 1.50. */
export function rows(count: number, from = 0): string {
  let text = 'id,at,customer,amount\n';
  for (let i = from; i < from + count; i++) {
    text += `r${i},2026-10-${String(1 + (i % 28)).padStart(2, '0')}T06:43:00Z,c${i % 7},1.50\n`;
  }
  return text;
}
