/**
 * Where the time goes, statement by statement. It is loaded before Tallybook, and prints a table when that ends:
 *
 *     NODE_OPTIONS="--import $PWD/bench/statement-times.js" tallybook import usage file.csv
 *
 * Statements that differ in their numbers, texts and names of tables only are one line. Those that run side by side count
 * side by side: the sum may be more than the time that passed.
 */
import { createRequire } from 'node:module';

const MOST_LINES = 25;
const SHOWN = 110;

const duckdb = createRequire(new URL('../package.json', import.meta.url))('@duckdb/node-api');
const started = performance.now();
/** @type {Map<string, {times: number, ms: number}>} */
const spent = new Map();
const sqlOf = new WeakMap();

/** Adds the time that a method takes to what `sqlOfCall` says it was for. */
function watch(prototype, method, sqlOfCall, onResult = () => {}) {
  const original = prototype[method];
  prototype[method] = async function watched(...given) {
    const start = performance.now();
    try {
      const result = await original.apply(this, given);
      onResult(result, given);
      return result;
    } finally {
      add(sqlOfCall(this, given), performance.now() - start);
    }
  };
}

function add(sql, ms) {
  const line = shortened(sql);
  const known = spent.get(line) ?? { times: 0, ms: 0 };
  spent.set(line, { times: known.times + 1, ms: known.ms + ms });
}

function shortened(sql) {
  return sql
    .replace(/'(?:[^']|'')*'/g, "'…'")
    .replace(/\d+/g, 'N')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, SHOWN);
}

const connection = duckdb.DuckDBConnection.prototype;
watch(connection, 'run', (_, [sql]) => sql);
watch(
  connection,
  'prepare',
  (_, [sql]) => `prepare: ${sql}`,
  (statement, [sql]) => sqlOf.set(statement, sql),
);
watch(duckdb.DuckDBPreparedStatement.prototype, 'run', (statement) => sqlOf.get(statement) ?? 'prepared');

process.on('exit', () => {
  const passed = performance.now() - started;
  const { user, system } = process.cpuUsage();
  const { active } = performance.eventLoopUtilization();
  const lines = [...spent].sort(([, a], [, b]) => b.ms - a.ms).slice(0, MOST_LINES);
  const text = lines.map(
    ([sql, { times, ms }]) =>
      `${ms.toFixed(0).padStart(8)} ms ${((100 * ms) / passed).toFixed(1).padStart(5)} % ${String(times).padStart(7)} ×  ${sql}`,
  );
  console.error(
    [
      `${passed.toFixed(0)} ms passed, ${((user + system) / 1000).toFixed(0)} ms of processors, JavaScript busy for ${active.toFixed(0)} ms`,
      ...text,
    ].join('\n'),
  );
});
