/**
 * Soak: for half an hour, half of what the server can take for long, with questions, corrections, files and retention beside
 * it, from when as much is dropped as comes. Memory, open files and latency must be in the last part what they were in the
 * first, and the size of the database must follow from what it holds. A table for people, and one line of JSON for
 * `results/soak.jsonl`. It ends with 1 where the last part is not like the first (soak-drift.js). README.md says more.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { capacityOf, declareLoad } from './capacity.js';
import * as tallybook from './contestants/tallybook.js';
import { readFlags, whole } from './flags.js';
import { latenciesOf } from './latencies.js';
import { bodyMaker, PATH, STREAM } from './made-bodies.js';
import { residentBytes } from './memory.js';
import { offer } from './offered.js';
import { keepResults, runToEnd, startResults } from './run.js';
import { makeScratch } from './scratch.js';
import { faultsOf } from './soak-drift.js';

const said = {
  bench: 'soak',
  about:
    'Whether a server that works for long stays as it was: memory, open files, latency, the size of its database.',
  flags: {
    minutes: whole('30', 1, 'for how long it is measured; before that it runs a sixth as long'),
    rate: whole('0', 0, 'records a second; half of what it can take for long when not given'),
    records: whole('100', 1, 'records in a request'),
  },
};
/** Long enough for what a burst leaves for later to be done in it, too, with all that is beside it in the soak. */
const CAPACITY_SECONDS = 90;
const PARTS = 6;
const QUESTIONS_PER_SECOND = 4;
const CORRECTIONS_PER_SECOND = 5;
const IMPORT_ROWS = 20_000;
const IMPORT_EVERY_MS = 60_000;
/** Retention is done once an hour by itself; here it is asked for. */
const COMPACT_EVERY_MS = 60_000;

async function soak(dir, { minutes, rate, records }) {
  const data = `${dir}/tallybook`;
  mkdirSync(data);
  const server = await tallybook.serve(data);
  const { url, port } = server;
  // Then it begins to be measured: from then on as much goes as comes.
  const kept = Math.max(60, Math.round((minutes * 60) / PARTS));
  await declareLoad(url, `${kept} seconds`);
  const load = loadOf(url, port, records);
  const perSecond = rate > 0 ? rate / records : (await sustained(load)) / 2;
  console.error(
    `${Math.round(perSecond * records)} records/s for ${kept} s, then measured for ${minutes} minutes`,
  );
  const start = performance.now() + kept * 1000;
  const end = start + minutes * 60_000;
  const until = () => performance.now() > end;
  const newPart = () => ({ writes: [], questions: [], corrections: [], taken: [] });
  const parts = Array.from({ length: PARTS }, newPart);
  const before = newPart();
  const part = () => {
    const number = Math.floor(((performance.now() - start) / (end - start)) * PARTS);
    return number < 0 ? before : parts[Math.min(PARTS - 1, number)];
  };
  const failures = {};
  const noted =
    (kind) =>
    ({ status, ms, text }) => {
      if (status < 300) part()[kind].push(ms);
      else failures[`${kind} ${status}`] = text.slice(0, 200);
    };
  await Promise.all([
    offer({ port, per_second: perSecond, until, make: load.request, onAnswer: noted('writes') }),
    ...load.beside(until, noted, failures),
    watch(server.pid, data, until, (taken) => part().taken.push(taken)),
  ]);
  const verified = await post(url, '/v1/admin/verify', failures);
  if (!verified?.ok) throw new Error('the books do not add up');
  const standing = Number(
    (await tallybook.ask(url, { measures: 'count,min(at)', from: soon(kept) }, STREAM))[0].count,
  );
  await post(url, '/v1/admin/compact', failures);
  const size = sizes(data);
  await server.stop();
  return {
    records_per_second: Math.round(perSecond * records),
    kept_seconds: kept,
    parts: parts.map(({ writes, questions, corrections, taken }) => ({
      writes: summed(writes),
      questions: summed(questions),
      corrections: summed(corrections),
      memory_mb: mean(taken, 'memory_mb'),
      open_files: mean(taken, 'open_files'),
      cores: mean(taken, 'cores', 100),
      yardstick_ms: mean(taken, 'yardstick_ms'),
      sync_ms: mean(taken, 'sync_ms'),
      database_mb: mean(taken, 'database_mb'),
      log_mb: mean(taken, 'log_mb'),
    })),
    failures,
    standing,
    ...size,
  };
}

/** What comes: records in requests, and all that comes beside them. */
function loadOf(url, port, records) {
  const body = bodyMaker(records, 's');
  let last = '';
  let imports = 0;
  const make = () => {
    const made = body();
    last = `${made.id}0`;
    return made;
  };
  const correction = () => ({
    method: 'PUT',
    path: `${PATH}/${last}`,
    body: JSON.stringify({ at: new Date().toISOString(), customer: 1, amount: '1.00' }),
  });
  return {
    url,
    body: make,
    request: () => ({ path: PATH, type: 'application/x-ndjson', body: make().body }),
    beside: (until, noted, failures) => [
      offer({ port, per_second: QUESTIONS_PER_SECOND, until, make: question, onAnswer: noted('questions') }),
      offer({
        port,
        per_second: CORRECTIONS_PER_SECOND,
        until,
        make: correction,
        onAnswer: noted('corrections'),
      }),
      every(IMPORT_EVERY_MS, until, () => importFile(url, imports++, failures)),
      every(COMPACT_EVERY_MS, until, () => post(url, '/v1/admin/compact', failures)),
    ],
  };
}

/** How many requests a second are taken when as many are made as are, with all that comes beside them. */
async function sustained(load) {
  const end = performance.now() + CAPACITY_SECONDS * 1000;
  const [{ per_second }] = await Promise.all([
    capacityOf(load.url, load.body, CAPACITY_SECONDS),
    ...load.beside(
      () => performance.now() > end,
      () => () => {},
      {},
    ),
  ]);
  return per_second;
}

/** Whole records that are not dropped while it is asked. */
const soon = (kept) => new Date(Date.now() - kept * 1000 + 5_000).toISOString();

const question = (n) => ({
  method: 'GET',
  path: `/v1/streams/${STREAM}/query?measures=count,sum(amount)${n % 2 === 0 ? '' : '&by=customer&every=day&limit=100'}`,
});

async function importFile(url, n, failures) {
  const at = new Date().toISOString();
  const lines = Array.from({ length: IMPORT_ROWS }, (_, i) => `file-${n}-${i},${at},${i % 1000},1.25`);
  const answer = await fetch(`${url}/v1/imports?stream=${STREAM}&name=${n}.csv&wait=60`, {
    method: 'POST',
    headers: { 'content-type': 'text/csv' },
    body: ['id,at,customer,amount', ...lines].join('\n'),
  });
  const state = await answer.json();
  if (state.status !== 'done') failures[`import ${n}`] = JSON.stringify(state).slice(0, 200);
}

async function post(url, path, failures) {
  const answer = await fetch(`${url}${path}`, { method: 'POST' });
  const told = await answer.json();
  if (!answer.ok) failures[path] = JSON.stringify(told).slice(0, 200);
  return told;
}

async function every(milliseconds, until, work) {
  let next = performance.now() + milliseconds / 2;
  while (!until()) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    if (performance.now() < next) continue;
    next += milliseconds;
    await work();
  }
}

async function watch(pid, data, until, onLook) {
  let [since, used] = [performance.now(), processorSeconds(pid)];
  while (!until()) {
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const [now, usedNow] = [performance.now(), processorSeconds(pid)];
    onLook({
      memory_mb: residentBytes(pid) / 2 ** 20,
      open_files: readdirSync(`/proc/${pid}/fd`).length,
      cores: ((usedNow - used) / (now - since)) * 1000,
      yardstick_ms: yardstick(),
      sync_ms: await syncTime(`${data}/../yardstick`),
      ...sizes(data),
    });
    [since, used] = [now, usedNow];
  }
}

/** What a process has used of the processors since its start. Linux counts it in hundredths. */
function processorSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

const measured = Buffer.alloc(2 * 2 ** 20, 'a yard is three feet');

/**
 * The processor time of a fixed piece of work, in milliseconds: where that changes, the machine has, and not the server.
 * What waits for its turn is not counted.
 */
function yardstick() {
  const start = process.cpuUsage();
  createHash('sha256').update(measured).digest();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

function sizes(data) {
  const of = (name) => (statSync(join(data, name), { throwIfNoEntry: false })?.size ?? 0) / 2 ** 20;
  return { database_mb: of('tallybook.duckdb'), log_mb: of('tallybook.duckdb.wal') };
}

/** How long the disk takes to have 4 kB, in milliseconds, beside what the server has it write. */
async function syncTime(path) {
  const file = await open(path, 'w');
  const start = performance.now();
  await file.write(measured, 0, 4096);
  await file.datasync();
  const took = performance.now() - start;
  await file.close();
  return took;
}

const summed = (list) => ({ many: list.length, ...latenciesOf(list) });

const mean = (list, name, parts = 10) =>
  Math.round((parts * list.reduce((sum, one) => sum + one[name], 0)) / Math.max(1, list.length)) / parts;

await runToEnd(async () => {
  const flags = readFlags(process.argv.slice(2), said);
  tallybook.mustBeBuilt();
  const scratch = makeScratch(flags.dir);
  const results = startResults(flags);
  results.soak = await scratch.inNewDirectory((dir) => soak(dir, flags));
  console.log(JSON.stringify(results.soak, undefined, 2));
  console.table(
    results.soak.parts.map(({ writes, questions, corrections, ...taken }) => ({
      'write p50': writes.p50_ms,
      'write p99': writes.p99_ms,
      'question p99': questions.p99_ms,
      'correction p99': corrections.p99_ms,
      ...taken,
    })),
  );
  keepResults('soak', results);
  const faults = faultsOf(results.soak);
  if (faults.length > 0) throw new Error(`it did not stay as it was:\n  ${faults.join('\n  ')}`);
});
