/**
 * PostgreSQL, the fastest honest way that was found to take a file into a table that stays in use: it has a
 * primary key all the time, a repeated id is skipped, and the rollup changes in the same transaction.
 *
 *     lock both tables against other writers (readers go on)
 *     copy the file into an unlogged staging table
 *     delete from staging what is known, insert the rest, merge its grouping into the rollup
 *     commit
 *
 * Measured per million records while looking for it: `insert ... on conflict do nothing` into the primary key
 * 5.4 s, a plain insert after the known ids are gone 2.4 s (an id that repeats inside the file fails it; then the
 * slow way is taken); `insert ... on conflict do update` of 850,000 rollup rows 6 to 8 s, `merge` 1.8 s when its
 * rows come in order, which needs the lock; the grouping 4.5 s with no statistics on the staging table, 1.5 s with
 * them. Batches of 250,000 instead of the whole file: slower, since each touches most of the rollup.
 */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { watchMemory } from '../memory.js';
import { fingerprint } from '../sums.js';
import { startPostgres } from './postgres-server.js';

export const COLUMNS = `id text not null, type text not null, subscription_id integer not null,
  usage_date timestamptz not null, price numeric(18, 2) not null, used bigint not null`;
const UNIQUE_VIOLATION = '23505';

/** @param {{file: string, again: string, dir: string}} what `again` is the head of the same file */
export async function importFile({ file, again, dir }) {
  const server = await startPostgres(dir);
  const client = await server.connect();
  await create(client);
  const memory = watchMemory(server.pid);
  const start = performance.now();
  await load(client, file);
  const seconds = (performance.now() - start) / 1000;
  const memory_bytes = memory.stop();
  await load(client, again);
  const sums = await sumsOf(client);
  const engine = (await client.query('show server_version')).rows[0].server_version;
  await client.end();
  await server.stop();
  return { seconds, memory_bytes, sums, engine };
}

export async function create(client) {
  await client.query(`
    create table usage (${COLUMNS}, primary key (id));
    create table daily (
      subscription_id integer, type text, day date,
      sum_price numeric not null, sum_used bigint not null, records bigint not null,
      primary key (subscription_id, type, day)
    );
    create unlogged table staging (${COLUMNS});
  `);
}

/** Takes one file in, whole or not at all. */
export async function load(client, file) {
  await client.query('begin');
  await client.query('lock table usage, daily in share row exclusive mode');
  await client.query('truncate staging');
  await copy(client, file, 'copy staging from stdin (format csv, header true)');
  await client.query('analyze staging');
  await client.query('delete from staging using usage where usage.id = staging.id');
  await insertFresh(client);
  await client.query(
    `create temp table fresh on commit drop as ${groupingOf('staging')} order by subscription_id, type, day`,
  );
  await client.query(
    `merge into daily using fresh
       on daily.subscription_id = fresh.subscription_id and daily.type = fresh.type and daily.day = fresh.day
     when matched then update set
       sum_price = daily.sum_price + fresh.sum_price,
       sum_used = daily.sum_used + fresh.sum_used,
       records = daily.records + fresh.records
     when not matched then insert
       values (fresh.subscription_id, fresh.type, fresh.day, fresh.sum_price, fresh.sum_used, fresh.records)`,
  );
  await client.query('commit');
}

async function insertFresh(client) {
  await client.query('savepoint plain');
  try {
    await client.query('insert into usage select * from staging');
  } catch (error) {
    if (error.code !== UNIQUE_VIOLATION) throw error;
    await client.query('rollback to savepoint plain');
    await client.query(
      `delete from staging where ctid not in (select distinct on (id) ctid from staging order by id, ctid)`,
    );
    await client.query('insert into usage select * from staging');
  }
}

export async function copy(client, file, statement) {
  const { from } = await import('pg-copy-streams');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), client.query(from(statement)));
}

/** @param {string} table */
export function groupingOf(table) {
  return `select subscription_id, type, (usage_date at time zone 'UTC')::date as day,
      sum(price) as sum_price, sum(used)::bigint as sum_used, count(*) as records
    from ${table}
    group by subscription_id, type, day`;
}

export async function sumsOf(client) {
  const sums = async (key) =>
    (
      await client.query(
        `select ${key} as key, sum(sum_price)::text as price, sum(sum_used)::text as used,
           sum(records)::text as count
         from daily
         group by key`,
      )
    ).rows;
  return fingerprint(await sums(`type || ' ' || day`), await sums(`subscription_id || ' ' || type`));
}
