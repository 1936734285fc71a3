/**
 * What is claimed, as lines that a run can confirm or refute. A target whose figures were not measured in this run
 * is left out. Those of the ledger are meant for 5 million records (`--rows`), and the one over 20 million for
 * `--prefill 20000000`.
 */
import { questionMs } from './reports-report.js';
import { spread } from './spread.js';

const GB = 1e9;

/**
 * @param {{import?: any, http?: any, questions?: any}} results
 * @returns {{target: string, found: number, met: boolean}[]}
 */
export function checkTargets(results) {
  return [
    ...importTargets(results.import),
    ...httpTargets(results.http),
    ...questionTargets(results.questions),
  ].filter(({ found }) => Number.isFinite(found));
}

/**
 * The claims about events, for the defaults of their flags.
 * @param {{steady?: any, rates?: any, questions?: any}} results
 */
export function checkEventTargets({ steady = {}, rates = {}, questions = {} }) {
  const times = (load, peer) =>
    medianOf(rates[load]?.tallybook, 'events_per_second') /
    medianOf(rates[load]?.[peer], 'events_per_second');
  return [
    atMost(25, 'events: p99 in ms to the answer, at 100 a second', steady.tallybook?.idle.p99_ms),
    atMost(250, 'events: the same while an import runs', steady.tallybook?.busy.p99_ms),
    ...['one event a request', '100 events a request'].map((load) =>
      atLeast(5, `events: times the rate of queue and worker, ${load}`, times(load, 'one')),
    ),
    ...Object.entries(questions.questions ?? {}).map(([question, { p50_ms }]) =>
      atMost(50, `events: first page of ${question}, p50 in ms`, p50_ms),
    ),
  ].filter(({ found }) => Number.isFinite(found));
}

/**
 * The claims about reports, for 10 million lines and for 100.
 * @param {{flags: any, reports: Record<string, any[]>}} results
 */
export function checkReportTargets({ flags, reports: { tallybook, postgres, floor } }) {
  const seconds = (rounds) => medianOf(rounds, 'seconds');
  const ours = seconds(tallybook);
  const allowed = flags.lines > 10_000_000 ? 6 : 1;
  return [
    atLeast(4, 'reports: times the rate of copy into a table with no index', seconds(postgres) / ours),
    atLeast(0.3, 'reports: share of the rate of the bare parse', seconds(floor) / ours),
    atMost(2, 'reports: peak memory in GB', medianOf(tallybook, 'memory_bytes') / GB),
    atMost(allowed, 'reports: top 10 per cent from the lines, in s', questionMs(tallybook, 'ledger') / 1000),
    atMost(
      1,
      'reports: the same from a rollup, in times of that',
      questionMs(tallybook, 'rollup') / questionMs(tallybook, 'ledger'),
    ),
    atLeast(
      10,
      'reports: top 10 per cent, times as fast as window functions',
      questionMs(postgres, 'rollup') / questionMs(tallybook, 'rollup'),
    ),
  ].filter(({ found }) => Number.isFinite(found));
}

function importTargets(results = {}) {
  const seconds = (name) => medianOf(results[name], 'seconds');
  const ours = seconds('tallybook');
  const again = medianOf(results.tallybook, 'again_seconds');
  const memory = medianOf(results.tallybook, 'memory_bytes');
  return [
    atLeast(8, 'import: times the rate of PostgreSQL', seconds('postgres') / ours),
    atLeast(1.5, 'import: times the rate of ClickHouse', seconds('clickhouse') / ours),
    atLeast(0.25, 'import: share of the rate of the bare parse', seconds('floor') / ours),
    atMost(1.5, 'import: peak memory in GB', memory / GB),
    atMost(1, 'import: the same file again, in times of the first', again / ours),
  ];
}

function httpTargets({ prefill = 0, loads = {} } = {}) {
  const of = (load, who, key) => medianOf(loads[load]?.[who], key);
  const share =
    of('one record, 256 connections', 'tallybook', 'records_per_second') /
    of('one record, 256 connections', 'bare', 'records_per_second');
  const bodies = ['1,000 records, 4 connections', '1,000 records, 16 connections'].map((load) =>
    of(load, 'tallybook', 'records_per_second'),
  );
  const wait = prefill < 20_000_000 ? undefined : of('one record, 32 connections', 'tallybook', 'p50_ms');
  return [
    atLeast(0.2, 'http: one record a request, 256 connections, share of a bare server', share),
    atLeast(
      120_000,
      'http: records/s in bodies of 1,000, the better of 4 and 16 connections',
      Math.max(...bodies),
    ),
    atMost(8, 'http: p50 in ms of one record a request, 32 connections, 20 million records held', wait),
  ];
}

function questionTargets({ tallybook } = {}) {
  const busy = tallybook?.busy;
  return [
    atMost(5, 'questions: daily sums of one subscription while importing, p50 in ms', busy?.daily.p50_ms),
    atMost(60, 'questions: subscriptions over a limit while importing, p50 in ms', busy?.over.p50_ms),
  ];
}

function medianOf(rounds, key) {
  return spread((rounds ?? []).map((round) => round[key]))?.median;
}

function atLeast(wanted, target, found) {
  return { target: `${target}: at least ${wanted.toLocaleString('en')}`, found, met: found >= wanted };
}

function atMost(wanted, target, found) {
  return { target: `${target}: at most ${wanted.toLocaleString('en')}`, found, met: found <= wanted };
}
