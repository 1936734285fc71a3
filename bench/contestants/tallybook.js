/**
 * Tallybook, used as anybody would use it: the command of this repository for the import, with the whole life
 * of its process in the time; its HTTP interface for the rest. Nothing of `src` is imported, and nothing is
 * tuned.
 *
 * The same file is imported a second time: every record must then be a duplicate.
 */
import { accessSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../free-port.js';
import { watchMemory } from '../memory.js';
import { startProgram } from '../own-process.js';
import { fingerprint } from '../sums.js';

const COMMAND = fileURLToPath(new URL('../../bin/tallybook', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const READY_WITHIN_MS = 120_000;

const USAGE = {
  id: 'id',
  time: 'usage_date',
  fields: {
    id: { type: 'text', required: true },
    type: { type: 'text', required: true, one_of: ['data', 'voice'] },
    subscription_id: { type: 'integer', required: true },
    usage_date: { type: 'timestamp', required: true },
    price: { type: 'decimal', precision: 18, scale: 2, required: true },
    used: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', by: ['subscription_id', 'type'], sum: ['price', 'used'] } },
};

/** Says what to do when the product is not built. */
export function mustBeBuilt() {
  for (const path of [COMMAND, MAIN]) {
    try {
      accessSync(path);
    } catch {
      throw new Error(
        `Tallybook is not built: ${path} is not there. Run "npm ci" at the root of the repository, ` +
          'or leave it out with --without tallybook.',
      );
    }
  }
}

/** @param {{file: string, dir: string, rows: number}} what */
export async function importFile({ file, dir, rows }) {
  const data = join(dir, 'tallybook');
  await declare(data, dir);
  const first = await runImport(file, data);
  mustCount('the first import', first.counts, 'accepted', rows);
  const second = await runImport(file, data);
  mustCount('the second import', second.counts, 'duplicates', rows);
  const server = await serve(data);
  const sums = await sumsOf(server.url);
  await server.stop();
  const { seconds, memory_bytes } = first;
  return { seconds, memory_bytes, again_seconds: second.seconds, sums, engine: await version() };
}

/** Imports with the command; answers the time and the peak memory of its process. */
export async function runImport(file, data) {
  const start = performance.now();
  const { stdout, memory_bytes } = await run(['import', 'sessions', file, '--data', data, '--json']);
  const seconds = (performance.now() - start) / 1000;
  return { seconds, memory_bytes, counts: countsIn(stdout) };
}

/** Makes the stream `sessions` in a new data directory. `dir` takes the declaration. */
export async function declare(data, dir, stream = USAGE) {
  const declaration = join(dir, 'sessions.json');
  await writeFile(declaration, JSON.stringify(stream));
  await run(['streams', 'put', declaration, '--data', data]);
}

export async function version() {
  return (await run(['--version'])).stdout.trim();
}

/** Starts a server on the loopback address, with no keys, and waits until it is ready. */
export async function serve(data) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ['serve', '--data', data, '--host', '127.0.0.1', '--port', String(port), '--no-auth'];
  const child = startProgram(COMMAND, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = tailOf(child);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const deadline = performance.now() + READY_WITHIN_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`tallybook serve ended with ${child.exitCode}:\n${said()}`);
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) break;
    if (performance.now() > deadline) throw new Error(`tallybook serve was not ready in time:\n${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    port,
    pid: child.pid,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Asks a question; answers its rows. @param {Record<string, string | string[]>} question */
export async function ask(url, question, stream = 'sessions') {
  const answer = await fetch(`${url}${queryPath(question, stream)}`);
  if (!answer.ok)
    throw new Error(`${queryPath(question, stream)} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()).rows;
}

/** @param {Record<string, string>} question */
export function queryPath(question, stream = 'sessions') {
  return `/v1/streams/${stream}/query?${new URLSearchParams(question)}`;
}

/** How many records the stream holds. */
export async function countOf(url, stream = 'sessions') {
  const [row] = await ask(url, { measures: 'count' }, stream);
  return row?.count ?? 0;
}

async function sumsOf(url) {
  const question = { measures: 'sum(price),sum(used),count', limit: '200000' };
  const sums = async (more, keyOf) =>
    (await ask(url, { ...question, ...more })).map((row) => ({
      key: keyOf(row),
      price: row['sum(price)'],
      used: row['sum(used)'],
      count: row.count,
    }));
  return fingerprint(
    await sums({ by: 'type', every: 'day' }, (row) => `${row.type} ${row.day}`),
    await sums({ by: 'subscription_id,type' }, (row) => `${row.subscription_id} ${row.type}`),
  );
}

/** Runs the command to its end; answers what it wrote, and the peak memory of its process. @param {string[]} args */
export function run(args) {
  const child = startProgram(COMMAND, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const memory = watchMemory(child.pid ?? 0);
  const said = tailOf(child);
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const memory_bytes = memory.stop();
      if (code === 0) resolve({ stdout, memory_bytes });
      else reject(new Error(`tallybook ${args.join(' ')} ended with ${signal ?? code}:\n${said()}`));
    });
  });
}

/** Keeps the last of what a process says, for the message when it fails. */
function tailOf(child) {
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      tail = (tail + chunk).slice(-2_000);
    });
  }
  return () => tail.trim();
}

/** The counts of the receipt in what `import --json` wrote: the last line, or the whole, is JSON. */
function countsIn(stdout) {
  for (const text of [stdout, stdout.trimEnd().split('\n').at(-1) ?? '']) {
    try {
      const found = countsOf(JSON.parse(text));
      if (found) return found;
    } catch {
      // Not this one.
    }
  }
  throw new Error(`tallybook import --json wrote no receipt:\n${stdout.slice(-2_000)}`);
}

function countsOf(value) {
  if (value === null || typeof value !== 'object') return undefined;
  if (typeof value.accepted === 'number') return value;
  return Object.values(value).map(countsOf).find(Boolean);
}

/** @param {Record<string, number>} counts */
export function mustCount(what, counts, verdict, rows) {
  if (counts[verdict] === rows) return;
  throw new Error(`${what}: expected ${rows} ${verdict}, found ${JSON.stringify(counts).slice(0, 500)}`);
}
