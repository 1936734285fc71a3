/**
 * The run as tables for people. Every figure is the median of the rounds, with the least and the most behind it
 * when there was more than one round; ratios are ratios of medians.
 */
import { spread } from './spread.js';

const ABOUT = {
  floor: { title: 'floor: DuckDB parses, nothing else', ids: 'no', kept: 'no' },
  tallybook: { title: 'Tallybook', ids: 'yes', kept: 'yes' },
  postgres: { title: 'PostgreSQL', ids: 'yes', kept: 'yes' },
  'postgres-first-load': { title: 'PostgreSQL, once into an empty database', ids: 'once', kept: 'yes' },
  sqlite: { title: 'SQLite', ids: 'yes', kept: 'yes' },
  clickhouse: { title: 'ClickHouse in-process', ids: 'no', kept: 'yes' },
};

/** @param {Record<string, any[]>} results @param {number} rows */
export function importTable(results, rows) {
  const tallybook = medianOf(results.tallybook, 'seconds');
  const lines = Object.entries(results).map(([name, rounds]) => {
    const seconds = spread(rounds.map((round) => round.seconds));
    return [
      ABOUT[name].title,
      withSpread(seconds, 2),
      thousands(rows / seconds.median),
      times(seconds.median / tallybook),
      megabytes(medianOf(rounds, 'memory_bytes')),
      ABOUT[name].ids,
      ABOUT[name].kept,
    ];
  });
  if (results.tallybook) {
    const again = spread(results.tallybook.map((round) => round.again_seconds));
    lines.push([
      'Tallybook, the same file again',
      withSpread(again, 2),
      thousands(rows / again.median),
      times(again.median / tallybook),
      '',
      'yes',
      'yes',
    ]);
  }
  const head = ['import', 'seconds', 'records/s', 'time / Tallybook', 'peak MB', 'ids compared', 'on disk'];
  return table(head, lines);
}

/** @param {Record<string, Record<string, any[]>>} loads */
export function httpTable(loads) {
  const lines = Object.entries(loads).flatMap(([name, contestants]) =>
    Object.entries(contestants).map(([contestant, rounds]) => [
      name,
      contestant === 'bare' ? 'floor: node:http, drops bodies' : ABOUT[contestant].title,
      withSpread(spread(rounds.map((round) => round.requests_per_second)), 0),
      thousands(medianOf(rounds, 'records_per_second')),
      times(medianOf(rounds, 'records_per_second') / medianOf(contestants.bare, 'records_per_second')),
      withSpread(spread(rounds.map((round) => round.p50_ms)), 2),
      withSpread(spread(rounds.map((round) => round.p99_ms)), 2),
    ]),
  );
  return table(['http', '', 'requests/s', 'records/s', 'rate / floor', 'p50 ms', 'p99 ms'], lines);
}

const QUESTIONS = {
  daily: () => 'daily sums of one subscription',
  over: (limit) => `subscriptions over ${limit}, the worst 100`,
};
const STATES = { idle: 'nothing else runs', busy: 'an import runs' };

/** @param {Record<string, any>} results */
export function questionsTable({ limit, ...contestants }) {
  const lines = Object.entries(QUESTIONS).flatMap(([question, title]) =>
    Object.entries(STATES).flatMap(([state, when]) =>
      Object.entries(contestants).map(([name, { [state]: found }]) => {
        const { asked, p50_ms, p99_ms } = found[question];
        const ratio = p50_ms / contestants.tallybook?.[state][question].p50_ms;
        return [
          title(limit),
          when,
          ABOUT[name].title,
          String(asked),
          fixed(p50_ms, 2),
          fixed(p99_ms, 2),
          times(ratio),
        ];
      }),
    ),
  );
  return table(['questions', 'while', '', 'asked', 'p50 ms', 'p99 ms', 'p50 / Tallybook'], lines);
}

/** @param {{target: string, found: number, met: boolean}[]} targets */
export function targetsTable(targets) {
  return table(
    ['target', 'found', ''],
    targets.map(({ target, found, met }) => [
      target,
      fixed(found, found < 100 ? 2 : 0),
      met ? 'met' : 'MISSED',
    ]),
  );
}

/** @param {string[]} head @param {string[][]} lines */
export function table(head, lines) {
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column].length)));
  const numeric = head.map((_, column) => lines.every((line) => /^[\d.,–() -]*x?$/.test(line[column])));
  const text = (line) =>
    line
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd();
  return [text(head), widths.map((width) => '-'.repeat(width)).join('  '), ...lines.map(text)].join('\n');
}

function medianOf(rounds, key) {
  return spread((rounds ?? []).map((round) => round[key]))?.median;
}

function withSpread(figure, digits) {
  if (!figure) return '-';
  const { median, min, max } = figure;
  const range = min === max ? '' : ` (${fixed(min, digits)}–${fixed(max, digits)})`;
  return fixed(median, digits) + range;
}

export function fixed(number, digits) {
  return Number.isFinite(number) ? grouped(number, digits) : '-';
}

function thousands(number) {
  return fixed(number, 0);
}

export function times(ratio) {
  return Number.isFinite(ratio) ? `${grouped(ratio, 2)}x` : '-';
}

function megabytes(bytes) {
  return Number.isFinite(bytes) ? grouped(bytes / 1e6, 0) : '-';
}

function grouped(number, digits) {
  return number.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
