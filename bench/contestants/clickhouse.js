/**
 * ClickHouse inside the process (chdb), with its own idiom for a kept rollup: a materialised view that groups
 * every inserted block into a SummingMergeTree, and an insert that reads the file with its parallel parser.
 *
 * - It does **not** compare ids: a MergeTree takes the same id as often as it comes. That work is left out of
 *   its time, and the table of results says so.
 * - `fsync_after_insert`, because the answer of a ledger means: on disk. By default ClickHouse leaves that to the
 *   operating system and to replicas.
 * - The raw table is ordered by id, which is nearly as cheap as no order at all (the file comes that way), and a
 *   quarter cheaper than an order by subscription.
 * - More insert threads, parallel views and larger blocks were measured too: none was faster on two cores.
 * - Its merges go on after the answer; they are not in its time.
 */
import { join } from 'node:path';
import { ownPeakBytes } from '../memory.js';
import { fingerprint } from '../sums.js';

const COLUMNS = `id String, type LowCardinality(String), subscription_id UInt32,
  usage_date DateTime64(3, 'UTC'), price Decimal(18, 2), used Int64`;
const ON_DISK = 'fsync_after_insert = 1, fsync_part_directory = 1';

/** @param {{file: string, dir: string}} what */
export async function importFile({ file, dir }) {
  const { Session } = await import('chdb');
  const session = new Session(join(dir, 'clickhouse'));
  create(session);
  const start = performance.now();
  session.query(
    `insert into ledger.usage
     select * from file('${file}', CSVWithNames, '${COLUMNS.replaceAll("'", "\\'")}')
     settings date_time_input_format = 'best_effort'`,
  );
  const seconds = (performance.now() - start) / 1000;
  const memory_bytes = ownPeakBytes();
  const sums = sumsOf(session);
  const engine = session.query('select version()', 'TSV').trim();
  session.close();
  return { seconds, memory_bytes, sums, engine };
}

function create(session) {
  session.query('create database ledger');
  session.query(`create table ledger.usage (${COLUMNS}) engine = MergeTree order by id settings ${ON_DISK}`);
  session.query(
    `create table ledger.daily (
       subscription_id UInt32, type LowCardinality(String), day Date,
       sum_price Decimal(18, 2), sum_used Int64, records UInt64
     ) engine = SummingMergeTree order by (subscription_id, type, day) settings ${ON_DISK}`,
  );
  session.query(
    `create materialized view ledger.daily_of_usage to ledger.daily as
     select subscription_id, type, toDate(usage_date) as day,
       sum(price) as sum_price, sum(used) as sum_used, count() as records
     from ledger.usage
     group by subscription_id, type, day`,
  );
}

function sumsOf(session) {
  const sums = (key) =>
    session
      .query(`select ${key}, sum(sum_price), sum(sum_used), sum(records) from ledger.daily group by 1`, 'TSV')
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'))
      .map(([key, price, used, count]) => ({ key, price, used, count }));
  return fingerprint(
    sums(`concat(type, ' ', toString(day))`),
    sums(`concat(toString(subscription_id), ' ', type)`),
  );
}
