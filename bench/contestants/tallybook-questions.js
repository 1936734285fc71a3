/**
 * Tallybook asked over HTTP, one question at a time on one connection, while nothing else runs and while the
 * same server takes in another file of as many records.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Agent, get, request } from 'node:http';
import { askInTurn, askWhile } from '../asking.js';
import { inOwnProcess } from '../own-process.js';
import { cents } from '../sums.js';
import { countOf, declare, mustCount, queryPath, run, runImport, serve, version } from './tallybook.js';

const IMPORT_POLL_MS = 200;

/** @param {{file: string, other: string, rows: number, dir: string, questions: import('../asking.js').Questions}} what */
export async function askQuestions({ file, other, rows, dir, questions }) {
  const data = `${dir}/tallybook`;
  await declare(data, dir);
  const { counts } = await runImport(file, data);
  mustCount('the import before the questions', counts, 'accepted', rows);
  // A server does it two seconds after it starts; PostgreSQL is vacuumed and analysed, too.
  await run(['compact', '--data', data]);
  const server = await serve(data);
  const asker = askerOf(server.port);
  const idle = await askInTurn(asker, questions);
  const importing = inOwnProcess('contestants/tallybook-questions.js', 'importOverHttp', {
    port: server.port,
    file: other,
    rows,
  });
  const busy = await askWhile(importing, asker, questions);
  const held = Number(await countOf(server.url));
  if (held !== rows * 2)
    throw new Error(`after both imports the ledger holds ${held} records; expected ${rows * 2}`);
  await server.stop();
  return { idle, busy, engine: await version() };
}

/** @returns {import('../asking.js').Asker} */
export function askerOf(port) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const rowsOf = async (question) =>
    JSON.parse(await fetchText({ port, agent, path: queryPath(question) })).rows;
  return {
    async daily(subscription) {
      const rows = await rowsOf({
        measures: 'sum(price),sum(used),count',
        by: 'type',
        every: 'day',
        where: `subscription_id=${subscription}`,
      });
      return () =>
        rows
          .map((row) => `${row.type} ${row.day} ${cents(row['sum(price)'])} ${row['sum(used)']} ${row.count}`)
          .sort();
    },
    async over(limit) {
      const rows = await rowsOf({
        measures: 'sum(price)',
        by: 'subscription_id,type',
        having: `sum(price)>${limit}`,
        order: '-sum(price)',
        limit: '100',
      });
      return () => rows.map((row) => String(cents(row['sum(price)'])));
    },
  };
}

export function fetchText(options) {
  return new Promise((resolve, reject) => {
    const asked = get({ host: '127.0.0.1', ...options }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(text);
        else reject(new Error(`${options.path} answered ${answer.statusCode}: ${text.slice(0, 500)}`));
      });
    });
    asked.on('error', reject);
  });
}

/** Sends a file as one import and waits for its end. */
export async function importOverHttp({ port, file, rows }) {
  const { size } = await stat(file);
  const start = performance.now();
  let state = await new Promise((resolve, reject) => {
    const upload = request({
      host: '127.0.0.1',
      port,
      method: 'POST',
      path: '/v1/imports?stream=sessions',
      headers: { 'content-type': 'text/csv', 'content-length': size },
    });
    upload.on('error', reject);
    upload.on('response', (answer) => {
      let text = '';
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => {
        if (answer.statusCode < 300) resolve(JSON.parse(text));
        else reject(new Error(`POST /v1/imports answered ${answer.statusCode}: ${text.slice(0, 500)}`));
      });
    });
    createReadStream(file, { highWaterMark: 1 << 20 }).pipe(upload);
  });
  while (!state.finished_at) {
    await new Promise((resolve) => setTimeout(resolve, IMPORT_POLL_MS));
    state = JSON.parse(await fetchText({ port, path: `/v1/imports/${state.id}` }));
  }
  const seconds = (performance.now() - start) / 1000;
  if (state.status !== 'done') throw new Error(`the import ended as ${state.status}: ${state.error}`);
  mustCount('the import over HTTP', state.counts, 'accepted', rows);
  return { seconds };
}
