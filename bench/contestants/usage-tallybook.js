/**
 * Tallybook as it keeps the aggregate of usage: the rollups of the stream, in the commit of the records. Two doors to
 * the same ledger: the library in this process, and HTTP to a server of its own. Nothing is tuned.
 */
import { Agent, request } from 'node:http';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { decimalOf, USAGE } from '../made-usage.js';
import { declare, serve, version } from './tallybook.js';

const LIBRARY = pathToFileURL(fileURLToPath(new URL('../../dist/index.js', import.meta.url))).href;

const textOf = ({ id, type, subscription_id, usage_date, price, used }) =>
  JSON.stringify({ id, type, subscription_id, usage_date, price, used });

const SUMS = { measures: ['sum(price)', 'sum(used)', 'count'], by: ['subscription_id', 'type'] };
const exceeding = (cents) => ({
  measures: ['sum(price)'],
  by: ['subscription_id', 'type'],
  having: { 'sum(price)': { gte: decimalOf(cents) } },
  order: ['-sum(price)'],
  limit: 100,
});
const metrics = (subscription) => ({
  ...SUMS,
  by: ['type'],
  where: { subscription_id: { eq: String(subscription) } },
});

/** The library, in this process. */
export async function openLibrary(dir) {
  const { openTallybook } = await import(LIBRARY);
  return openTallybook({ directory: `${dir}/tallybook` });
}

export async function openEngine(dir) {
  const tallybook = await openLibrary(dir);
  await tallybook.streams.put('usage', USAGE);
  const stream = tallybook.streams.get('usage');
  const write = async (mode, verdict, texts) => {
    const receipt = await tallybook.write({
      stream,
      mode,
      source: 'bench',
      reason: undefined,
      content: { kind: 'texts', texts, fallbackIds: [] },
      allVerdicts: false,
    });
    if (receipt[verdict] !== texts.length)
      throw new Error(`expected ${texts.length} ${verdict}, found ${JSON.stringify(receipt).slice(0, 500)}`);
  };
  const ask = async (question) => {
    const { columns, rows } = await tallybook.ask('usage', question);
    return rows.map((row) => Object.fromEntries(columns.map(({ name }, n) => [name, row[n]])));
  };
  return {
    ...wayOf({
      create: (records) => write('insert', 'accepted', records.map(textOf)),
      correct: (records) => write('upsert', 'corrected', records.map(textOf)),
      remove: (records) =>
        write(
          'retract',
          'retracted',
          records.map(({ id }) => JSON.stringify(id)),
        ),
      ask,
    }),
    tallybook,
    engine: await version(),
    close: () => tallybook.close(),
  };
}

/** A server, over HTTP. */
export async function openHttp(dir) {
  const data = `${dir}/tallybook`;
  await declare(data, dir, USAGE);
  const server = await serve(data);
  const agent = new Agent({ keepAlive: true });
  const send = (method, path, type, body, status) =>
    new Promise((resolve, reject) => {
      const headers =
        body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) };
      const sent = request(
        { host: '127.0.0.1', port: server.port, method, path, agent, headers },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk) => {
            text += chunk;
          });
          answer.on('end', () => {
            if (answer.statusCode === status) resolve(JSON.parse(text));
            else reject(new Error(`${method} ${path} answered ${answer.statusCode}: ${text.slice(0, 500)}`));
          });
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  const records = '/v1/streams/usage/records';
  const many = async (path, verdict, texts) => {
    const receipt = await send('POST', path, 'application/x-ndjson', texts.join('\n'), 200);
    if (receipt[verdict] !== texts.length)
      throw new Error(`expected ${texts.length} ${verdict}, found ${JSON.stringify(receipt).slice(0, 500)}`);
  };
  return {
    ...wayOf({
      create: (given) =>
        given.length === 1
          ? send('POST', records, 'application/json', textOf(given[0]), 201)
          : many(records, 'accepted', given.map(textOf)),
      correct: (given) =>
        given.length === 1
          ? send('PUT', `${records}/${given[0].id}`, 'application/json', textOf(given[0]), 200)
          : many(`${records}?mode=upsert`, 'corrected', given.map(textOf)),
      remove: (given) =>
        given.length === 1
          ? send('DELETE', `${records}/${given[0].id}`, undefined, undefined, 200)
          : many(
              '/v1/streams/usage/retractions',
              'retracted',
              given.map(({ id }) => JSON.stringify(id)),
            ),
      ask: async (question) =>
        (await send('POST', '/v1/streams/usage/query', 'application/json', JSON.stringify(question), 200))
          .rows,
    }),
    engine: await version(),
    async close() {
      agent.destroy();
      await server.stop();
    },
  };
}

function wayOf({ create, correct, remove, ask }) {
  const renamed = (row) => ({
    ...row,
    price: row['sum(price)'],
    used: row['sum(used)'],
    records: row.count,
  });
  return {
    create,
    correct,
    remove,
    load: create,
    sums: async () => (await ask({ ...SUMS, limit: 200_000 })).map(renamed),
    exceeding: async (cents) => (await ask(exceeding(cents))).map((row) => row['sum(price)']),
    metrics: async (subscription) => (await ask(metrics(subscription))).map(renamed),
  };
}
