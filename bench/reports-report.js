/** The run as tables: what taking in costs, and what the top of the catalogue. */
import { fixed, table, times } from './report.js';
import { spread } from './spread.js';

const TITLES = {
  floor: 'floor: DuckDB parses, keeps nothing',
  tallybook: 'Tallybook',
  postgres: 'PostgreSQL',
};
const FROM = { rollup: 'from a rollup', ledger: 'from the lines' };

const median = (rounds, of) => spread(rounds.map(of))?.median;

/** The median time of a question over all rounds, in ms. */
export function questionMs(rounds = [], question) {
  return spread(rounds.flatMap(({ questions }) => questions?.[question] ?? []))?.median;
}

/** @param {Record<string, any[]>} results @param {number} lines */
export function takeInTable(results, lines) {
  const ours = median(results.tallybook, ({ seconds }) => seconds);
  const rows = Object.entries(results).map(([name, rounds]) => {
    const seconds = median(rounds, (round) => round.seconds);
    return [
      name === 'postgres' ? 'PostgreSQL: copy, no index' : TITLES[name],
      fixed(seconds, 2),
      fixed(lines / seconds, 0),
      times(seconds / ours),
      fixed(median(rounds, ({ memory_bytes }) => memory_bytes) / 1e6, 0),
    ];
  });
  return table([`${fixed(lines, 0)} lines`, 'seconds', 'lines/s', 'time / Tallybook', 'peak MB'], rows);
}

/** @param {Record<string, any[]>} results */
export function topTable(results) {
  const ours = questionMs(results.tallybook, 'rollup');
  const rows = Object.entries(results).flatMap(([name, rounds]) =>
    Object.keys(rounds[0].questions ?? {}).map((question) => {
      const ms = questionMs(rounds, question);
      const how = name === 'tallybook' ? FROM[question] : 'window functions';
      return [TITLES[name], how, fixed(rounds[0].resources, 0), fixed(ms, 1), times(ms / ours)];
    }),
  );
  return table(['top 10 per cent', '', 'recordings', 'ms', 'time / Tallybook'], rows);
}
