/**
 * Phase rates: the most events a second from 64 at a time, one a request and a hundred a request, each counted when a
 * question sees it: for Tallybook that is the answer, for the way by a queue the worker's commit. A bare `node:http`
 * server, which stores nothing, is the floor.
 */
import { serveBare } from '../contestants/bare-http.js';
import { openQueueAndWorker } from '../contestants/queue-and-worker.js';
import * as tallybook from '../contestants/tallybook.js';
import { PATH, STREAM } from '../made-events.js';
import { inOwnProcess } from '../own-process.js';

const CONNECTIONS = 64;
const WARM_SECONDS = 2;
export const LOADS = { 'one event a request': 1, '100 events a request': 100 };

/** @param {{flags: any, scratch: any, say: (line: string) => void}} run */
export async function ratesPhase({ flags, scratch, say }) {
  /** @type {Record<string, Record<string, any[]>>} */
  const results = {};
  const ways = { bare: 'loadBare', tallybook: 'loadTallybook', queue: 'loadQueue' };
  for (let round = 1; round <= flags.rounds; round++) {
    for (const [way, name] of Object.entries(ways)) {
      if (flags.without.includes(way)) continue;
      const found = await scratch.inNewDirectory((dir) =>
        inOwnProcess('phases/events-rates.js', name, { dir, seconds: flags.seconds }),
      );
      for (const [load, contestants] of Object.entries(found)) {
        results[load] ??= {};
        for (const [contestant, result] of Object.entries(contestants)) {
          results[load][contestant] ??= [];
          results[load][contestant].push(result);
          say(`${load}, round ${round}: ${contestant} ${Math.round(result.events_per_second)} events/s`);
        }
      }
    }
  }
  return results;
}

export async function loadBare({ seconds }) {
  const { port, stop } = await serveBare();
  const results = await loads(port, seconds, 'bare');
  await stop();
  return results;
}

export async function loadTallybook({ dir, seconds }) {
  const data = `${dir}/tallybook`;
  const server = await tallybook.serve(data);
  const results = await loads(server.port, seconds, 'tallybook', async (acknowledged) => {
    const held = Number(await tallybook.countOf(server.url, STREAM));
    if (held !== acknowledged)
      throw new Error(`the ledger holds ${held} events; it acknowledged ${acknowledged}`);
  });
  await server.stop();
  return results;
}

async function loads(port, seconds, contestant, check = async (_) => {}) {
  const results = {};
  let acknowledged = 0;
  for (const [name, records] of Object.entries(LOADS)) {
    const what = { port, path: PATH, connections: CONNECTIONS, seconds, warm_seconds: WARM_SECONDS };
    const { answers, firstFailure, records_per_second, p50_ms, p99_ms } = await inOwnProcess(
      'load.js',
      'load',
      {
        ...what,
        records,
        prefix: `r${records}_`,
        kind: 'events',
      },
    );
    if (firstFailure) throw new Error(`${contestant}, ${name}: ${firstFailure}`);
    acknowledged += Object.values(answers).reduce((sum, count) => sum + count, 0) * records;
    await check(acknowledged);
    results[name] = { [contestant]: { events_per_second: records_per_second, p50_ms, p99_ms } };
  }
  return results;
}

export async function loadQueue({ dir, seconds }) {
  const way = await openQueueAndWorker(dir);
  const results = {};
  await way.run({ worker: 'batched', events: 1, seconds: WARM_SECONDS, prefix: 'w' });
  for (const [name, events] of Object.entries(LOADS)) {
    results[name] = {};
    for (const worker of ['one', 'batched'])
      results[name][worker] = await way.run({ worker, events, seconds, prefix: `${worker}${events}_` });
  }
  await way.stop();
  return results;
}
