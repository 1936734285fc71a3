/**
 * The same work on both stores of Tallybook: DuckDB in the process, and ClickHouse behind HTTP. Tables for people, and
 * one line of JSON for `results/stores.jsonl`. README.md says more.
 */
import { mustBeBuilt } from './contestants/tallybook.js';
import { readFlags, whole } from './flags.js';
import { inOwnProcess } from './own-process.js';
import { fixed, table, times } from './report.js';
import { keepResults, runToEnd, startResults } from './run.js';
import { makeScratch } from './scratch.js';
import { spread } from './spread.js';

const said = {
  bench: 'stores',
  about: 'The same work on both stores: DuckDB in the process, ClickHouse behind HTTP.',
  flags: {
    rows: whole('1m', 1000, 'records in the imported file'),
    rounds: whole('1', 1, 'how often each store does it, in turn'),
    seconds: whole('8', 1, 'how long each load over HTTP is measured'),
    askings: whole('50', 1, 'how often each question is asked'),
    clickhouse: {
      takes: 'ADDRESS',
      standard: '',
      about: 'clickhouse://user:password@host:8123/DATABASE, an empty one, for one round; else chdb',
      read: (_flag, text) => text,
    },
  },
};
const STORES = ['duckdb', 'clickhouse'];

async function main() {
  const flags = readFlags(process.argv.slice(2), said);
  mustBeBuilt();
  if (flags.clickhouse !== '' && flags.rounds > 1)
    throw new Error('--clickhouse is for one round: each needs an empty database');
  const scratch = makeScratch(flags.dir);
  const results = startResults({ ...flags, clickhouse: flags.clickhouse === '' ? 'chdb' : 'a server' });
  const file = await scratch.file({ rows: flags.rows, prefix: 'rec_' });
  const { rows, seconds, askings, clickhouse: address } = flags;
  results.stores = Object.fromEntries(STORES.map((store) => [store, []]));
  for (let round = 1; round <= flags.rounds; round++) {
    for (const store of STORES) {
      const result = await scratch.inNewDirectory((dir) =>
        inOwnProcess('contestants/tallybook-stores.js', 'workOn', {
          store,
          address,
          file,
          rows,
          seconds,
          askings,
          dir,
        }),
      );
      results.stores[store].push(result);
      console.error(`  round ${round}: ${store}, import ${result.import_seconds.toFixed(2)} s`);
    }
  }
  const [one, other] = STORES.map((store) => results.stores[store][0].answers);
  if (one !== other) throw new Error('the stores answer differently');
  console.log(`\n${storesTable(results.stores, rows)}\n`);
  keepResults('stores', results);
}

function storesTable(stores, rows) {
  const line = (what, unit, digits, figureOf) => {
    const [duckdb, clickhouse] = STORES.map((store) => spread(stores[store].map(figureOf)).median);
    return [what, unit, fixed(duckdb, digits), fixed(clickhouse, digits), times(clickhouse / duckdb)];
  };
  const [sample] = stores.duckdb;
  const lines = [
    line(`import of ${rows}`, 's', 2, (result) => result.import_seconds),
    line('the same file again', 's', 2, (result) => result.again_seconds),
    line('memory of the import', 'MB', 0, (result) => result.memory_bytes / 1e6),
    ...Object.keys(sample.loads).flatMap((name) => [
      line(name, 'records/s', 0, (result) => result.loads[name].records_per_second),
      line('', 'p50 ms', 2, (result) => result.loads[name].p50_ms),
    ]),
    ...Object.keys(sample.questions).map((name) =>
      line(name, 'p50 ms', 2, (result) => result.questions[name].p50_ms),
    ),
  ];
  return table(['the same work', '', 'DuckDB', 'ClickHouse', 'ClickHouse / DuckDB'], lines);
}

await runToEnd(main);
