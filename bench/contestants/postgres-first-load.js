/**
 * PostgreSQL, the way to fill an empty database: copy into a table with no index, in the transaction that made
 * it (no write-ahead log), then build the primary key and the rollup over what is there.
 *
 * It shows what the hardware allows, and it is no way to run a ledger: it works once, nobody can use the tables
 * meanwhile, and a repeated id fails the whole file after it was read. So it is shown, and no ratio is claimed
 * against it.
 */
import { watchMemory } from '../memory.js';
import { COLUMNS, copy, groupingOf, sumsOf } from './postgres.js';
import { startPostgres } from './postgres-server.js';

/** @param {{file: string, dir: string}} what */
export async function importFile({ file, dir }) {
  const server = await startPostgres(dir);
  const client = await server.connect();
  const memory = watchMemory(server.pid);
  const start = performance.now();
  await firstLoad(client, file);
  const seconds = (performance.now() - start) / 1000;
  const memory_bytes = memory.stop();
  const sums = await sumsOf(client);
  const engine = (await client.query('show server_version')).rows[0].server_version;
  await client.end();
  await server.stop();
  return { seconds, memory_bytes, sums, engine };
}

export async function firstLoad(client, file) {
  await client.query('begin');
  await client.query(`create table usage (${COLUMNS})`);
  await copy(client, file, 'copy usage from stdin (format csv, header true, freeze true)');
  await client.query('analyze usage');
  await client.query('alter table usage add primary key (id)');
  await client.query(`create table daily as ${groupingOf('usage')}`);
  await client.query('alter table daily add primary key (subscription_id, type, day)');
  await client.query('commit');
}
