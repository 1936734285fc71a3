/**
 * The records of the benchmark, made and not downloaded: usage of 50,000 subscriptions, two types, 30 days,
 * spread evenly. Every value is cut from the MD5 of the record's number, so that the same rows come out on
 * every machine, in every version of every library, and no generator's state has to be kept.
 *
 *     id,type,subscription_id,usage_date,price,used
 *     rec_0,data,27518,2026-10-11T18:28:02.202Z,2.87,8652
 *
 * Even spread is the hard case for a rollup: at 5 million records there are 2.4 million keys, two records each.
 */
import { DuckDBInstance } from '@duckdb/node-api';

export const SUBSCRIPTIONS = 50_000;
export const DAYS = 30;
const DAYS_MS = DAYS * 86_400_000;

/**
 * Writes one CSV file.
 * @param {{file: string, rows: number, prefix: string}} what `prefix` starts every id and seeds every value
 */
export async function makeFile({ file, rows, prefix }) {
  const db = await DuckDBInstance.create(':memory:');
  const connection = await db.connect();
  await connection.run(
    `copy (
       select
         $prefix || i as id,
         if(low // ${SUBSCRIPTIONS} % 2 = 0, 'data', 'voice') as type,
         low % ${SUBSCRIPTIONS} as subscription_id,
         strftime(timestamp '2026-10-01' + to_milliseconds((high % ${DAYS_MS})::bigint), '%Y-%m-%dT%H:%M:%S.%gZ')
           as usage_date,
         ((low // ${SUBSCRIPTIONS * 2} % 1000 + 1)::decimal(18, 0) * 0.01)::decimal(18, 2) as price,
         high // ${DAYS_MS} % 10000 + 1 as used
       from (
         select i, md5_number_lower($prefix || i) as low, md5_number_upper($prefix || i) as high
         from range($rows::bigint) as made(i)
       )
     ) to '${file.replaceAll("'", "''")}' (format csv, header true)`,
    { prefix, rows },
  );
  connection.closeSync();
  db.closeSync();
}

/**
 * A sum of prices that about one key in seventy exceeds, whatever the number of records: the mean of a key
 * (subscription and type) and 2.2 standard deviations. At 5 million records it is 340.
 * @param {number} rows
 */
export function limitFor(rows) {
  const records = rows / (SUBSCRIPTIONS * 2);
  const price = { mean: 5.005, square: 33.4 };
  return Math.round(records * price.mean + 2.2 * Math.sqrt(records * price.square));
}

/** The subscriptions that are asked about one by one: 77 and others all over the range. @param {number} many */
export function askedSubscriptions(many) {
  return Array.from({ length: many }, (_, n) => (77 + n * 4_999) % SUBSCRIPTIONS);
}
