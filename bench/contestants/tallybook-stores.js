/**
 * Tallybook on one of its stores: the command and the server as anybody would use them, and nothing is tuned. On
 * ClickHouse it is a server that is named, or else ClickHouse in a process beside it (chdb), as in the tests.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { latenciesOf } from '../latencies.js';
import { load } from '../load.js';
import { startProgram } from '../own-process.js';
import { ask, countOf, declare, mustCount, queryPath, runImport, serve, version } from './tallybook.js';

const CHDB_SERVER = fileURLToPath(new URL('../../test/clickhouse/server.mjs', import.meta.url));
const LOADS = [
  { name: 'one record a request, 32 connections', connections: 32, records: 1 },
  { name: 'bodies of 1,000, 4 connections', connections: 4, records: 1_000 },
];
const QUESTIONS = {
  'daily sums of one subscription': (n) => ({
    measures: 'sum(price),count',
    by: 'type',
    every: 'day',
    where: `subscription_id=${n * 97}`,
  }),
  'subscriptions over 100, the worst 100': () => ({
    measures: 'sum(price)',
    by: 'subscription_id,type',
    having: 'sum(price)>100',
    order: '-sum(price),subscription_id,type',
    limit: '100',
  }),
};

/** @param {{store: 'duckdb' | 'clickhouse', address: string, file: string, rows: number, seconds: number, askings: number, dir: string}} what */
export async function workOn({ store, address, file, rows, seconds, askings, dir }) {
  const clickHouse = store === 'clickhouse' && (await clickHouseAt(address, dir));
  // The command and the server read it.
  if (clickHouse) process.env.TALLYBOOK_STORE = clickHouse.address;
  const data = `${dir}/tallybook`;
  await declare(data, dir);
  const first = await runImport(file, data);
  mustCount('the first import', first.counts, 'accepted', rows);
  const again = await runImport(file, data);
  mustCount('the second import', again.counts, 'duplicates', rows);
  const server = await serve(data);
  const { questions, answers } = await askAll(server.url, askings);
  const loads = {};
  let held = rows;
  for (const { name, connections, records } of LOADS) {
    const path = '/v1/streams/sessions/records';
    const prefix = `load_${records}_`;
    const of = { port: server.port, path, connections, records, seconds, warm_seconds: 2, prefix };
    const { firstFailure, answers: sent, ...figures } = await load(of);
    if (firstFailure) throw new Error(`${store}: ${firstFailure}`);
    held += records * Object.values(sent).reduce((sum, count) => sum + count, 0);
    loads[name] = figures;
  }
  const found = Number(await countOf(server.url));
  if (found !== held) throw new Error(`${store} holds ${found} records; ${held} were acknowledged`);
  await server.stop();
  await clickHouse?.stop?.();
  return {
    import_seconds: first.seconds,
    again_seconds: again.seconds,
    memory_bytes: first.memory_bytes,
    questions,
    answers,
    loads,
    engine: await version(),
  };
}

async function askAll(url, askings) {
  const questions = {};
  const digest = createHash('sha256');
  for (const [name, questionOf] of Object.entries(QUESTIONS)) {
    const times = [];
    for (let n = 0; n < askings; n++) {
      const started = performance.now();
      const answer = await fetch(`${url}${queryPath(questionOf(n), 'sessions')}`);
      const text = await answer.text();
      times.push(performance.now() - started);
      if (!answer.ok) throw new Error(text);
      digest.update(JSON.stringify(JSON.parse(text).rows));
    }
    questions[name] = latenciesOf(times);
  }
  digest.update(JSON.stringify(await ask(url, { measures: 'sum(price),sum(used),count', by: 'type' })));
  return { questions, answers: digest.digest('hex') };
}

/** An empty database: on the server that is named, or on one that is started. */
async function clickHouseAt(address, dir) {
  if (address !== '') return { address };
  if (!existsSync(new URL('node_modules/chdb', `file://${CHDB_SERVER}`)))
    throw new Error(
      'there is no ClickHouse: run "npm --prefix test/clickhouse ci", or name one with --clickhouse clickhouse://…/DATABASE',
    );
  const server = startProgram(process.execPath, [CHDB_SERVER, `${dir}/clickhouse`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [port] = await once(createInterface(server.stdout), 'line');
  const made = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'create database bench' });
  if (!made.ok) throw new Error(await made.text());
  return {
    address: `clickhouse://default@127.0.0.1:${port}/bench`,
    async stop() {
      server.stdin.end();
      if (server.exitCode === null) await once(server, 'exit');
    },
  };
}
