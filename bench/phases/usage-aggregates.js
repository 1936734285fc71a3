/**
 * Phase aggregates: many rows of the aggregate (60 million are a million subscriptions, 30 days and both types), one
 * record each, made by DuckDB, imported in slices of a day; then the questions through the library. Every answer is
 * compared with what DuckDB works out from the files.
 */
import { stat } from 'node:fs/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { openEngine } from '../contestants/usage-tallybook.js';
import { askedOften } from '../latencies.js';
import { DAYS } from '../made-usage.js';
import { inOwnProcess } from '../own-process.js';
import { mustEqual } from './usage-writes.js';

const RANGES = {
  'all time': {},
  'a month': { from: '2026-10-01', to: '2026-11-01' },
  '10 days': { from: '2026-10-11', to: '2026-10-21' },
};

/** @param {{flags: any, scratch: any, say: (line: string) => void}} run */
export function aggregatesPhase({ flags, scratch, say }) {
  const subscriptions = Math.ceil(flags.aggregates / (DAYS * 2));
  say(
    `${subscriptions * DAYS * 2} rows of the aggregate: ${subscriptions} subscriptions, ${DAYS} days, 2 types`,
  );
  return scratch.inNewDirectory((dir) =>
    inOwnProcess('phases/usage-aggregates.js', 'measureAggregates', {
      dir,
      subscriptions,
      askings: flags.askings,
    }),
  );
}

export async function measureAggregates({ dir, subscriptions, askings }) {
  const db = await DuckDBInstance.create(':memory:', { memory_limit: '4GB', temp_directory: `${dir}/spill` });
  const files = await db.connect();
  const rowsOf = async (sql) => (await files.runAndReadAll(sql)).getRowsJson();
  const way = await openEngine(dir);
  const { tallybook } = way;
  const rows = subscriptions * DAYS * 2;
  let seconds = 0;
  for (let day = 0; day < DAYS; day++) {
    const path = `${dir}/day-${day}.parquet`;
    await files.run(`copy (
      select 'd${day}-' || i as id, if(i % 2 = 0, 'data', 'voice') as type, i // 2 + 1 as subscription_id,
        timestamp '2026-10-01' + to_days(${day}) + to_seconds((hash(i) % 86400)::bigint) as usage_date,
        ((hash(i * 31 + ${day}) % 1000 + 1)::decimal(18, 2) / 100)::decimal(18, 2) as price,
        (hash(i + ${day} * 7919) % 10000)::bigint as used
      from range(${subscriptions * 2}) made(i)) to '${path}' (format parquet)`);
    const start = performance.now();
    const { id } = await tallybook.imports.start({
      stream: tallybook.streams.get('usage'),
      path,
      name: `day ${day + 1}`,
      format: 'parquet',
      mode: 'insert',
      source: 'bench',
      deleteFile: false,
    });
    const { status, error, counts } = await tallybook.imports.wait(id);
    seconds += (performance.now() - start) / 1000;
    if (status !== 'done' || counts.accepted !== subscriptions * 2)
      throw new Error(`day ${day + 1} ended as ${status}: ${error ?? JSON.stringify(counts)}`);
    console.error(
      `  day ${day + 1} of ${DAYS}: ${Math.round((subscriptions * 2 * (day + 1)) / seconds)} rows/s`,
    );
  }
  await files.run(`create view made as select * from read_parquet('${dir}/day-*.parquet')`);
  const start = performance.now();
  await tallybook.compact();
  const compact_seconds = (performance.now() - start) / 1000;

  const [total] = (await tallybook.ask('usage', { measures: ['sum(price)', 'sum(used)', 'count'] })).rows;
  const [right] = await rowsOf('select sum(price)::varchar, sum(used)::varchar, count(*)::varchar from made');
  mustEqual('the sums in all', JSON.stringify(total.map(plain)), JSON.stringify(right.map(plain)));

  const questions = {};
  for (const [title, range] of Object.entries(RANGES)) {
    const within = range.from ? `usage_date >= '${range.from}' and usage_date < '${range.to}'` : 'true';
    const sums = `select subscription_id, type, sum(price) as price, sum(used) as used, count(*) as records
      from made where ${within} group by 1, 2`;
    // One in a hundred keys reaches it.
    const [[limit]] = await rowsOf(`select quantile_disc(price, 0.99)::varchar from (${sums})`);
    const expected = await rowsOf(
      `select subscription_id::varchar, type, price::varchar from (${sums}) where price >= ${limit}
       order by price desc, subscription_id, type limit 100`,
    );
    const question = {
      measures: ['sum(price)'],
      by: ['subscription_id', 'type'],
      having: { 'sum(price)': { gte: limit } },
      order: ['-sum(price)', 'subscription_id', 'type'],
      limit: 100,
      ...range,
    };
    questions[`exceeding, ${title}`] = await askedOften(askings, async () => {
      const answer = await tallybook.ask('usage', question);
      const found = answer.rows.map(([subscription, type, price]) => [subscription, type, plain(price)]);
      const wanted = expected.map(([subscription, type, price]) => [subscription, type, plain(price)]);
      return () => {
        mustEqual(`exceeding, ${title}`, JSON.stringify(found), JSON.stringify(wanted));
        return answer.from;
      };
    });
    // As GET /v1/usage/exceeding asks: a row for each subscription, by the greater of its two sums.
    const kinds = ['data', 'voice'].map((type) => `sum(price) if type=${type}`);
    const worst = `greatest(${kinds.join(', ')})`;
    const expectedOfAny = await rowsOf(
      `select subscription_id::varchar, max(price)::varchar from (${sums}) group by 1, subscription_id
       having max(price) >= ${limit} order by max(price) desc, subscription_id limit 100`,
    );
    questions[`exceeding on any type, ${title}`] = await askedOften(askings, async () => {
      const answer = await tallybook.ask('usage', {
        measures: [...kinds, worst],
        by: ['subscription_id'],
        having: { [worst]: { gte: limit } },
        order: [`-${worst}`],
        limit: 100,
        ...range,
      });
      return () => {
        mustEqual(
          `exceeding on any type, ${title}`,
          JSON.stringify(answer.rows.map((row) => [row[0], plain(row.at(-1))])),
          JSON.stringify(expectedOfAny.map(([subscription, price]) => [subscription, plain(price)])),
        );
        return answer.from;
      };
    });
    const asked = Array.from({ length: askings }, (_, n) => 1 + ((77 + n * 4_999) % subscriptions));
    const perSubscription = await rowsOf(
      `select subscription_id::varchar, type, price::varchar, used::varchar, records::varchar
       from (${sums}) where subscription_id in (${asked.join(', ')}) order by type`,
    );
    questions[`metrics, ${title}`] = await askedOften(askings, async (n) => {
      const answer = await tallybook.ask('usage', {
        measures: ['sum(price)', 'sum(used)', 'count'],
        by: ['type'],
        where: { subscription_id: { eq: String(asked[n]) } },
        ...range,
      });
      const wanted = perSubscription.filter(([subscription]) => subscription === String(asked[n]));
      return () => {
        mustEqual(
          `metrics of ${asked[n]}, ${title}`,
          JSON.stringify(answer.rows.map((row) => row.map(plain))),
          JSON.stringify(wanted.map(([, ...row]) => row.map(plain))),
        );
        return answer.from;
      };
    });
  }
  const { size } = await stat(`${dir}/tallybook/tallybook.duckdb`);
  await way.close();
  files.closeSync();
  db.closeSync();
  return { rows, seconds, compact_seconds, ledger_bytes: size, questions, engine: way.engine };
}

/** Numbers alike, whichever way they are written: 1.50 and 1.5. */
function plain(value) {
  const text = String(value);
  return /^-?[0-9]+\.[0-9]*$/.test(text) ? text.replace(/\.?0+$/, '') : text;
}
