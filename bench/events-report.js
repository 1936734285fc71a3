/** The run as tables: what an answer takes at a steady load, the most events a second, and what a page costs. */
import { fixed, table, times } from './report.js';
import { spread } from './spread.js';

const TITLES = {
  bare: 'floor: node:http, drops bodies',
  tallybook: 'Tallybook',
  queue: 'RabbitMQ, worker, PostgreSQL',
  one: 'RabbitMQ, worker, PostgreSQL: an insert a message',
  batched: 'RabbitMQ, worker, PostgreSQL: up to 2,000 events an insert',
};

/** @param {Record<string, any>} results */
export function steadyTable(results) {
  const line = (title, when, { p50_ms, p99_ms, sent }) => [
    title,
    when,
    sent === undefined ? '' : fixed(sent, 0),
    fixed(p50_ms, 2),
    fixed(p99_ms, 2),
  ];
  const lines = Object.entries(results).flatMap(([name, { idle, busy, confirm }]) => [
    line(TITLES[name], name === 'bare' ? 'answered' : 'visible', idle),
    ...(busy ? [line(TITLES[name], 'visible, while an import runs', busy)] : []),
    ...(confirm ? [line(TITLES[name], 'confirmed, not visible yet', confirm)] : []),
  ]);
  return table(['100 events a second', '', 'sent', 'p50 ms', 'p99 ms'], lines);
}

/** @param {Record<string, Record<string, any[]>>} results */
export function ratesTable(results) {
  const lines = Object.entries(results).flatMap(([load, contestants]) => {
    const median = (name, key) => spread((contestants[name] ?? []).map((round) => round[key]))?.median;
    const ours = median('tallybook', 'events_per_second');
    return Object.keys(contestants).map((name) => [
      load,
      TITLES[name],
      fixed(median(name, 'events_per_second'), 0),
      times(ours / median(name, 'events_per_second')),
      fixed(median(name, 'p50_ms'), 1),
      fixed(median(name, 'p99_ms'), 1),
      fixed(median(name, 'published_per_second'), 0),
    ]);
  });
  const head = ['64 at a time', '', 'visible/s', 'Tallybook /', 'p50 ms', 'p99 ms', 'confirmed/s'];
  return table(head, lines);
}

/** @param {any} result */
export function pagesTable({ held, seconds, questions }) {
  const lines = Object.entries(questions).map(([question, { asked, p50_ms, p99_ms }]) => [
    question,
    fixed(asked, 0),
    fixed(p50_ms, 2),
    fixed(p99_ms, 2),
  ]);
  return [
    `${fixed(held, 0)} events imported in ${fixed(seconds, 1)} s (${fixed(held / seconds, 0)} a second)`,
    table(['first page of', 'asked', 'p50 ms', 'p99 ms'], lines),
  ].join('\n');
}
