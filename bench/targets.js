/**
 * What is claimed, as lines that a run can confirm or refute. A target whose figures were not measured in this run
 * is left out. All of them are meant for 5 million records (`--rows`), and the one over 20 million for
 * `--prefill 20000000`.
 */
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
