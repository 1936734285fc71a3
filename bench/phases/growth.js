/**
 * Phase growth: a ledger is filled with files up to each size, compacted, and then measured: a file, a start, questions,
 * loads over HTTP, corrections. What it holds is compared with what it acknowledged.
 */
import { readdirSync, statSync } from 'node:fs';
import { Agent } from 'node:http';
import * as tallybook from '../contestants/tallybook.js';
import { askerOf, fetchText } from '../contestants/tallybook-questions.js';
import { askedOften } from '../latencies.js';
import { askedSubscriptions, limitFor } from '../made-data.js';
import { residentBytes } from '../memory.js';
import { inOwnProcess } from '../own-process.js';
import { spread } from '../spread.js';

const FILE_ROWS = 5_000_000;
/** Of the file by which the cost of a record is measured, at most: the same at every size. */
const PROBE_ROWS = 1_000_000;
const CORRECTIONS = 10_000;
const CORRECTED_TIMES = 3;
/** One record in so many of the first file is corrected. */
const CORRECTED_EACH = 10;
/** The ids that are held are read while the first writes come in. */
const WARM_SECONDS = 10;
const CALM_MS = 3_000;
const RECORDS = '/v1/streams/sessions/records';

/**
 * @param {{flags: any, scratch: any, say: (line: string) => void}} run
 * @returns {Promise<any[]>} what was measured at each size
 */
export function growthPhase({ flags, scratch, say }) {
  return scratch.inNewDirectory(async (dir) => {
    const data = `${dir}/tallybook`;
    await tallybook.declare(data, dir);
    const ledger = { data, held: 0, files: 0, corrections: 0, scratch };
    const probeRows = Math.min(PROBE_ROWS, flags.sizes[0]);
    const measured = [];
    for (const size of flags.sizes) {
      while (ledger.held < size - probeRows) {
        const { seconds } = await importRows(ledger, Math.min(FILE_ROWS, size - probeRows - ledger.held));
        say(`${ledger.held} records, the last file in ${seconds.toFixed(1)} s`);
      }
      const { seconds, memory_bytes } = await importRows(ledger, probeRows);
      const probe = { rows: probeRows, us_per_record: (seconds / probeRows) * 1e6, memory_bytes };
      const start = performance.now();
      await tallybook.run(['compact', '--data', data]);
      const compact_seconds = (performance.now() - start) / 1000;
      const disk_bytes = bytesIn(data);
      const records = ledger.held;
      measured.push({ records, probe, compact_seconds, disk_bytes, ...(await measureServer(ledger, flags)) });
      say(`measured at ${records} records`);
    }
    return measured;
  });
}

async function importRows(ledger, rows) {
  const file = await ledger.scratch.file({ rows, prefix: `f${ledger.files++}_` });
  const imported = await tallybook.runImport(file, ledger.data);
  tallybook.mustCount('a file', imported.counts, 'accepted', rows);
  ledger.scratch.remove(file);
  ledger.held += rows;
  return imported;
}

async function measureServer(ledger, { seconds, askings }) {
  const start = performance.now();
  const server = await tallybook.serve(ledger.data);
  const ready_ms = performance.now() - start;
  await new Promise((resolve) => setTimeout(resolve, CALM_MS));
  const resident_bytes = residentBytes(server.pid);
  const asker = askerOf(server.port);
  const subscriptions = askedSubscriptions(askings);
  const limit = limitFor(ledger.held);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const daily = await askedOften(askings, (n) => asker.daily(subscriptions[n]));
  const over = await askedOften(askings, () => asker.over(limit));
  const history = await askedOften(askings, async (n) => {
    const text = await fetchText({ port: server.port, agent, path: `${RECORDS}/f0_${n}` });
    return () => JSON.parse(text);
  });
  agent.destroy();
  const loaded = async (connections, records) => {
    const prefix = `h${ledger.files++}_`;
    const what = { port: server.port, path: RECORDS, connections, records, seconds, prefix };
    const { answers, firstFailure, p50_ms, p99_ms, records_per_second } = await inOwnProcess(
      'load.js',
      'load',
      { ...what, warm_seconds: WARM_SECONDS },
    );
    if (firstFailure) throw new Error(firstFailure);
    ledger.held += Object.values(answers)[0] * records;
    return { p50_ms, p99_ms, records_per_second };
  };
  const batch = await loaded(1, 1_000);
  const single = await loaded(32, 1);
  const corrections_ms = await correct(server.url, ledger);
  const found = Number(await tallybook.countOf(server.url));
  if (found !== ledger.held)
    throw new Error(`the ledger holds ${found} records; it acknowledged ${ledger.held}`);
  await server.stop();
  return { ready_ms, resident_bytes, daily, over, history, batch, single, corrections_ms };
}

/** Records of the first file get another price, use and day; each time others, all over the file. */
async function correct(url, ledger) {
  const took = [];
  for (let time = 0; time < CORRECTED_TIMES; time++) {
    const corrected = ledger.corrections++;
    const lines = Array.from({ length: CORRECTIONS }, (_, n) =>
      JSON.stringify({
        id: `f0_${n * CORRECTED_EACH + (corrected % CORRECTED_EACH)}`,
        type: 'data',
        subscription_id: n,
        usage_date: `2026-10-${10 + (n % 20)}T12:00:00.000Z`,
        price: `${n % 10}.${10 + (corrected % 90)}`,
        used: n + 1,
      }),
    );
    const start = performance.now();
    const answer = await fetch(`${url}${RECORDS}?mode=upsert`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    });
    const receipt = await answer.json();
    took.push(performance.now() - start);
    tallybook.mustCount('corrections', receipt, 'corrected', CORRECTIONS);
  }
  return spread(took).median;
}

function bytesIn(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(`${parentPath}/${name}`).size, 0);
}
