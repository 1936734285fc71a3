/**
 * PostgreSQL asked on its rollup table, with the indexes that fit the two questions: the primary key begins with
 * the subscription, and a covering index lets the second one run over the index alone, in parallel, in order.
 * (`enable_hashagg = off` makes the planner take it: 0.3 s instead of 0.6 s.) Statistics and the visibility map
 * are fresh. The driver is asked directly: no HTTP is in these times.
 */
import { askInTurn, askWhile } from '../asking.js';
import { inOwnProcess } from '../own-process.js';
import { cents } from '../sums.js';
import { create, load } from './postgres.js';
import { startPostgres } from './postgres-server.js';

/** @param {{file: string, other: string, dir: string, questions: import('../asking.js').Questions}} what */
export async function askQuestions({ file, other, dir, questions }) {
  const server = await startPostgres(dir);
  const client = await server.connect();
  await create(client);
  await load(client, file);
  await client.query('create index on daily (subscription_id, type) include (sum_price)');
  await client.query('vacuum analyze usage');
  await client.query('vacuum analyze daily');
  await client.query('set enable_hashagg = off');
  const asker = askerOf(client);
  const idle = await askInTurn(asker, questions);
  const { host, port, user, password } = client;
  const importing = inOwnProcess('contestants/postgres-questions.js', 'importBeside', {
    connection: { host, port, user, password, database: 'postgres' },
    file: other,
  });
  const busy = await askWhile(importing, asker, questions);
  const engine = (await client.query('show server_version')).rows[0].server_version;
  await client.end();
  await server.stop();
  return { idle, busy, engine };
}

/** Imports on a connection of its own. */
export async function importBeside({ connection, file }) {
  const { default: pg } = await import('pg');
  const client = new pg.Client(connection);
  await client.connect();
  const start = performance.now();
  await load(client, file);
  const seconds = (performance.now() - start) / 1000;
  await client.end();
  return { seconds };
}

/** @returns {import('../asking.js').Asker} */
function askerOf(client) {
  return {
    async daily(subscription) {
      const { rows } = await client.query({
        name: 'daily',
        text: `select type, day::text, sum_price::text, sum_used::text, records::text
          from daily
          where subscription_id = $1`,
        values: [subscription],
      });
      return () =>
        rows
          .map((row) => `${row.type} ${row.day} ${cents(row.sum_price)} ${row.sum_used} ${row.records}`)
          .sort();
    },
    async over(limit) {
      const { rows } = await client.query({
        name: 'over',
        text: `select subscription_id, type, sum(sum_price)::text as price
          from daily
          group by subscription_id, type
          having sum(sum_price) > $1
          order by sum(sum_price) desc
          limit 100`,
        values: [limit],
      });
      return () => rows.map((row) => String(cents(row.price)));
    },
  };
}
