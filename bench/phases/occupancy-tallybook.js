/** Tallybook with a building: passages imported day by day, then counts through the library, then passages over HTTP. */
import { writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { latenciesOf } from '../latencies.js';
import { askingOf, DAYS, makeBuilding, passagesOfDay, STEPS, spansSql } from '../made-building.js';
import { inOwnProcess } from '../own-process.js';

const LIBRARY = pathToFileURL(fileURLToPath(new URL('../../dist/index.js', import.meta.url))).href;
const CHECKED = 20;
const WARM_SECONDS = 3;
/** Askings before the clock starts, about other times. */
const WARM_ASKINGS = 30;
/** Counts of one space that a server has answered within minutes: what it reads most is in memory then. */
const WARM_COUNTS = 3_000;

export async function measureOccupancy({ dir, flags }) {
  const { openTallybook, openApp } = await import(LIBRARY);
  const building = makeBuilding(flags);
  const db = await DuckDBInstance.create(':memory:', { memory_limit: '4GB', temp_directory: `${dir}/spill` });
  const files = await db.connect();
  const tallybook = await openTallybook({ directory: `${dir}/tallybook` });
  const app = await openApp({ tallybook, auth: false });
  const results = { passages: Math.floor(flags.passages / DAYS) * DAYS };
  try {
    for (const [stream, records] of [
      ['spaces', building.spaces],
      ['assignments', building.assignments],
      ['reset_rules', building.rules],
    ])
      await importFile(tallybook, stream, 'ndjson', `${dir}/${stream}.ndjson`, records);
    results.import_seconds = 0;
    for (let day = 0; day < DAYS; day++) {
      const path = `${dir}/day-${day}.parquet`;
      await files.run(
        `copy (${passagesOfDay(day, flags.passages, flags.sensors)}) to '${path}' (format parquet)`,
      );
      const start = performance.now();
      await importFile(tallybook, 'passages', 'parquet', path);
      results.import_seconds += (performance.now() - start) / 1000;
      console.error(
        `  day ${day + 1} of ${DAYS}: ${Math.round(((results.passages / DAYS) * (day + 1)) / results.import_seconds)} passages/s`,
      );
    }
    const start = performance.now();
    await tallybook.compact();
    results.compact_seconds = (performance.now() - start) / 1000;
    results.ledger_bytes = (await stat(`${dir}/tallybook/tallybook.duckdb`)).size;

    await files.run(`create view passages as select * from read_parquet('${dir}/day-*.parquet')`);
    await files.run(`create table spans as ${spansSql(`${dir}/assignments.ndjson`)}`);
    const right = async (space, at) => {
      const reset = building.lastReset(space, at);
      const since = reset === undefined ? '' : `and passed > epoch_ms(${reset})`;
      const rows = await files.runAndReadAll(
        `select coalesce(sum(delta), 0)::integer from (${STEPS}) where space = 's${space}' and passed <= epoch_ms(${at}) ${since}`,
      );
      return rows.getRows()[0][0];
    };
    // The text of the answer: reading it is the client's time.
    const answerTo = async (path) => {
      const { statusCode, payload } = await app.inject({ method: 'GET', url: path });
      if (statusCode !== 200) throw new Error(`${path} answers ${statusCode}: ${payload}`);
      return payload;
    };
    const get = async (path) => JSON.parse(await answerTo(path));
    const rightOfAll = async (at) => {
      const rows = await files.runAndReadAll(
        `select space, sum(delta)::integer from (${STEPS}) where passed <= epoch_ms(${at})
         and (substr(space, 2)::integer % 2 = 1 or passed > epoch_ms(${building.lastReset(2, at)})) group by 1`,
      );
      return new Map(rows.getRows());
    };
    const send = async (passage) => {
      const { statusCode, payload } = await app.inject({
        method: 'POST',
        url: '/v1/passages',
        payload: passage,
      });
      if (statusCode !== 201) throw new Error(payload);
    };
    const iso = (at) => new Date(at).toISOString();
    // The first answer reads the building.
    await get(`/v1/spaces/counts?ts=${iso(askingOf(0, flags.spaces).at)}`);
    results.calm_seconds_after_import = await untilCalm();
    const countOf = async (n) => {
      const { space, at } = askingOf(n, flags.spaces);
      const { count } = await get(`/space/s${space}/count?ts=${iso(at)}`);
      return n < CHECKED
        ? async () => mustBe(`s${space} at ${iso(at)}`, count, await right(space, at))
        : undefined;
    };
    results.count_first = await timed(flags.askings, (n) => countOf(2 * WARM_COUNTS + n));
    results.count = await timed(flags.askings, countOf, WARM_COUNTS);
    results.all = await timed(Math.min(flags.askings, 50), async (n) => {
      const { at } = askingOf(n, flags.spaces);
      const answer = await answerTo(`/v1/spaces/counts?ts=${iso(at)}`);
      return n === 0
        ? async () => {
            const expected = await rightOfAll(at);
            for (const { space_id, count } of JSON.parse(answer).spaces)
              mustBe(`${space_id} of all at ${iso(at)}`, count, expected.get(space_id) ?? 0);
          }
        : undefined;
    });
    // The first record that is sent lets the ids that are held be read, in the background.
    await send({ timestamp: iso(Date.UTC(2026, 10, 4)), direction: 1, dpu_id: 1 });
    results.calm_seconds = await untilCalm();
    results.live = await timedPairs(Math.min(flags.askings, 100), async (n) => {
      const space = ((n * 101) % flags.spaces) + 1;
      const { dpu_id } = building.assignments.find(
        ({ faces, id }) => faces === `s${space}` && !id.endsWith('moved'),
      );
      const at = new Date(Date.UTC(2026, 10, 5) + n * 1_000).toISOString();
      const before = await get(`/space/s${space}/count?ts=${at}`);
      return [
        async () => send({ timestamp: at, direction: 1, dpu_id }),
        async () => get(`/space/s${space}/count?ts=${at}`),
        ({ count }) => mustBe(`s${space} after a passage`, count, before.count + 1),
      ];
    });
    // Only a server that listens watches capacities, which costs something after each commit.
    const port = Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port);
    // The first seconds are those of code that is not compiled yet.
    await sendFor(port, { ...flags, seconds: WARM_SECONDS }, flags.rate);
    results.at_rate = await sendFor(port, flags, flags.rate);
    results.sent = await sendFor(port, flags, undefined);
    // What came in small batches is not compacted yet.
    results.count_after = await timed(flags.askings, (n) => countOf(CHECKED + n));
    return results;
  } finally {
    await app.close();
    await tallybook.close();
    files.closeSync();
    db.closeSync();
  }
}

async function importFile(tallybook, stream, format, path, records) {
  if (records) writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const { id } = await tallybook.imports.start({
    stream: tallybook.streams.get(stream),
    path,
    name: path,
    format,
    mode: 'insert',
    source: 'bench',
    deleteFile: false,
  });
  const { status, error, counts } = await tallybook.imports.wait(id);
  if (status !== 'done' || counts.rejected > 0)
    throw new Error(`${path}: ${status} ${error ?? JSON.stringify(counts)}`);
}

/** What comes from another process, at a rate or as fast as it is taken, and what it costs this one. */
async function sendFor(port, { seconds, sensors }, rate) {
  const used = process.cpuUsage();
  const what = { port, seconds, sensors, rate };
  const sending = await inOwnProcess('phases/occupancy-sender.js', 'sendPassages', what);
  const { user, system } = process.cpuUsage(used);
  return {
    per_second: Math.round(sending.sent / sending.seconds),
    cores: Number(((user + system) / 1e6 / sending.seconds).toFixed(2)),
  };
}

/** Waits until the process has nothing to do; answers the seconds that took. */
async function untilCalm() {
  const start = performance.now();
  for (;;) {
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const { user, system } = process.cpuUsage(before);
    if (user + system < 50_000) return Math.round((performance.now() - start) / 1000);
  }
}

/** A commit, and the question after it: how long the commit takes, and how long both. */
async function timedPairs(times, prepare) {
  const [commit, both] = [[], []];
  for (let n = 0; n < times; n++) {
    const [send, ask, check] = await prepare(n);
    const start = performance.now();
    await send();
    commit.push(performance.now() - start);
    const answer = await ask();
    both.push(performance.now() - start);
    check(answer);
  }
  return { ...quantiles(both), commit: quantiles(commit) };
}

/**
 * Times what is asked, after some askings of the kind that do not count. What was answered is checked at the end: to check
 * an answer reads millions of rows, beside which nothing should be timed.
 * @param {(n: number) => Promise<(() => Promise<void>) | undefined>} ask answers how to check what it was told
 */
export async function timed(times, ask, warm = WARM_ASKINGS) {
  const took = [];
  const checks = [];
  let processor = 0;
  for (let n = times; n < times + warm; n++) await ask(n);
  for (let n = 0; n < times; n++) {
    const start = performance.now();
    const used = process.cpuUsage();
    const check = await ask(n);
    took.push(performance.now() - start);
    const { user, system } = process.cpuUsage(used);
    processor += (user + system) / 1_000;
    if (check) checks.push(check);
  }
  for (const check of checks) await check();
  return { ...quantiles(took), processor_ms: Number((processor / times).toFixed(1)) };
}

const quantiles = (took) => ({ asked: took.length, ...latenciesOf(took) });

export function mustBe(what, found, right) {
  if (found !== right) throw new Error(`${what} is ${found}; expected ${right}`);
}
