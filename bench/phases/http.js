/**
 * Phase http: how many records a second get in through the door, when every answer comes after its commit, and
 * how long one waits. Beside it, under the same load in turn, a bare `node:http` server that stores nothing.
 *
 * After each load the ledger is asked how many records it holds: as many as it acknowledged, or the run fails.
 */

import { serveBare } from '../contestants/bare-http.js';
import * as tallybook from '../contestants/tallybook.js';
import { inOwnProcess } from '../own-process.js';

const LOADS = [
  { name: 'one record, 32 connections', connections: 32, records: 1 },
  { name: 'one record, 256 connections', connections: 256, records: 1 },
  { name: '1,000 records, 4 connections', connections: 4, records: 1_000 },
  { name: '1,000 records, 16 connections', connections: 16, records: 1_000 },
];
const WARM_SECONDS = 2;
/** A ledger that was just opened learns its ids while the first writes come in: 3 s for 20 million. */
const WARM_SECONDS_PREFILLED = 10;

/**
 * @param {{flags: any, scratch: any, say: (line: string) => void}} run
 * @returns {Promise<{prefill: number, prefill_seconds?: number, loads: Record<string, Record<string, any[]>>}>}
 */
export function httpPhase({ flags, scratch, say }) {
  return scratch.inNewDirectory(async (dir) => {
    // Both stand all the time; only one at a time is under load.
    /** @type {Record<string, {port: number, stop: () => Promise<void>}>} */
    const servers = { bare: await serveBare() };
    let held = flags.prefill;
    let prefill_seconds;
    if (!flags.without.includes('tallybook')) {
      const data = `${dir}/tallybook`;
      await tallybook.declare(data, dir);
      if (flags.prefill > 0) prefill_seconds = await fill(data, { flags, scratch, say });
      servers.tallybook = await tallybook.serve(data);
    }
    /** @type {Record<string, Record<string, any[]>>} */
    const loads = {};
    for (let round = 1; round <= flags.rounds; round++) {
      for (const { name, connections, records } of LOADS) {
        loads[name] ??= Object.fromEntries(Object.keys(servers).map((contestant) => [contestant, []]));
        for (const [contestant, { port }] of Object.entries(servers)) {
          const result = await inOwnProcess('load.js', 'load', {
            port,
            path: '/v1/streams/sessions/records',
            connections,
            records,
            seconds: flags.seconds,
            warm_seconds: flags.prefill > 0 ? WARM_SECONDS_PREFILLED : WARM_SECONDS,
            prefix: `h${round}_${connections}_`,
          });
          const acknowledged = mustAllSucceed(contestant, name, result) * records;
          if (contestant === 'tallybook') {
            held += acknowledged;
            await mustHold(port, held, name);
          }
          loads[name][contestant].push(result);
          say(
            `http, round ${round}: ${name}, ${contestant} ${Math.round(result.records_per_second)} records/s`,
          );
        }
      }
    }
    for (const server of Object.values(servers)) await server.stop();
    return { prefill: flags.prefill, prefill_seconds, loads };
  });
}

async function fill(data, { flags, scratch, say }) {
  say(`filling the ledger with ${flags.prefill} records`);
  const file = await scratch.file({ rows: flags.prefill, prefix: 'pre_' });
  const { seconds, counts } = await tallybook.runImport(file, data);
  tallybook.mustCount('the import before the loads', counts, 'accepted', flags.prefill);
  scratch.remove(file);
  return seconds;
}

/** Overload (429, 503) is an honest answer of a server, but then the rates would compare different work. */
function mustAllSucceed(contestant, name, { answers, firstFailure }) {
  const [[status, count], ...others] = Object.entries(answers);
  if (others.length === 0 && status.startsWith('2')) return count;
  throw new Error(
    `${contestant}, ${name}: expected one kind of 2xx, found ${JSON.stringify(answers)}; the first: ${firstFailure}`,
  );
}

async function mustHold(port, expected, name) {
  const found = await tallybook.countOf(`http://127.0.0.1:${port}`);
  if (Number(found) !== expected) {
    throw new Error(`after "${name}" the ledger holds ${found} records; it acknowledged ${expected}`);
  }
}
