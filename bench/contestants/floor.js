/**
 * The floor: DuckDB parses the same file into typed columns of a table in memory, and nothing else. No id is
 * compared, no sum is kept, nothing is on disk. Whoever comes near it does the rest for nearly nothing.
 *
 * What the sums in the file are is worked out here as well, after the clock has stopped.
 */
import { DuckDBInstance } from '@duckdb/node-api';
import { ownPeakBytes } from '../memory.js';
import { cents, fingerprint } from '../sums.js';

/** @param {{file: string}} what */
export async function importFile({ file }) {
  const { connection, seconds } = await parse([file]);
  const memory_bytes = ownPeakBytes();
  return { seconds, memory_bytes, sums: await sumsOf(connection), engine: await versionOf(connection) };
}

/**
 * The right answers to the questions, from the files alone.
 * @param {{files: string[], subscriptions: number[], limit: number}} what
 */
export async function rightAnswers({ files, subscriptions, limit }) {
  const { connection } = await parse(files);
  const daily = await connection.runAndReadAll(
    `select subscription_id, type, usage_date::date::varchar as day, sum(price)::varchar as price,
       sum(used)::varchar as used, count(*)::varchar as count
     from usage
     where subscription_id in (${subscriptions.join(', ')})
     group by all`,
  );
  const over = await connection.runAndReadAll(
    `select sum(price)::varchar
     from usage
     group by subscription_id, type
     having sum(price) > ${limit}
     order by sum(price) desc
     limit 100`,
  );
  /** @type {Record<number, string[]>} */
  const dailyOf = Object.fromEntries(subscriptions.map((subscription) => [subscription, []]));
  for (const [subscription, type, day, price, used, count] of daily.getRows()) {
    dailyOf[subscription].push(`${type} ${day} ${cents(price)} ${used} ${count}`);
  }
  for (const lines of Object.values(dailyOf)) lines.sort();
  return { dailyOf, over: over.getRows().map(([price]) => String(cents(price))) };
}

async function parse(files) {
  const db = await DuckDBInstance.create(':memory:');
  const connection = await db.connect();
  const list = files.map((file) => `'${file.replaceAll("'", "''")}'`).join(', ');
  await connection.run(`set timezone = 'UTC'`);
  const start = performance.now();
  await connection.run(
    `create table usage as
     select * from read_csv([${list}], header = true, auto_detect = false, columns = {
       id: 'varchar', type: 'varchar', subscription_id: 'bigint', usage_date: 'timestamp',
       price: 'decimal(18, 2)', used: 'bigint'
     })`,
  );
  return { connection, seconds: (performance.now() - start) / 1000 };
}

async function sumsOf(connection) {
  const sums = async (key) => {
    const result = await connection.runAndReadAll(
      `select ${key} as key, sum(price)::varchar, sum(used)::varchar, count(*)::varchar from usage group by key`,
    );
    return result.getRows().map(([key, price, used, count]) => ({ key, price, used, count }));
  };
  return fingerprint(
    await sums(`type || ' ' || usage_date::date`),
    await sums(`subscription_id || ' ' || type`),
  );
}

async function versionOf(connection) {
  return (await connection.runAndReadAll('select version()')).getRows()[0][0];
}
