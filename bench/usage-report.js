/** The run as tables: cost by record and time of a question, medians of the rounds, beside Tallybook in process. */
import { fixed, table, times } from './report.js';
import { spread } from './spread.js';

const TITLES = {
  engine: 'Tallybook, in process',
  http: 'Tallybook, HTTP',
  application: 'PostgreSQL, application',
  triggers: 'PostgreSQL, row triggers',
  view: 'PostgreSQL, view',
};

const median = (rounds, of) => spread(rounds.map(of))?.median;

/** @param {Record<string, Record<string, any[]>>} results @param {string} size */
export function writesTable(results, size) {
  const ways = results[size];
  const cells = [...new Set(Object.values(ways).flatMap(([first]) => Object.keys(first?.cells ?? {})))];
  const lines = cells.flatMap((cell) =>
    Object.entries(ways).flatMap(([name, rounds]) => {
      const cost = median(rounds, (round) => round.cells[cell]?.ms_per_record);
      if (cost === undefined) return [];
      const base = median(ways.engine ?? [], (round) => round.cells[cell]?.ms_per_record);
      const { records, of } = rounds[0].cells[cell];
      return [
        [
          cell,
          TITLES[name],
          fixed(cost, 4),
          fixed(1000 / cost, 0),
          times(cost / base),
          records < of ? `${fixed(records, 0)} of ${fixed(of, 0)}` : fixed(records, 0),
        ],
      ];
    }),
  );
  const head = [
    `${fixed(Number(size), 0)} records held`,
    '',
    'ms a record',
    'records/s',
    'time / in process',
    'done',
  ];
  return table(head, lines);
}

/** @param {Record<string, Record<string, any[]>>} results @param {string} size */
export function questionsTable(results, size) {
  const ways = results[size];
  const lines = ['exceeding', 'metrics'].flatMap((question) =>
    Object.entries(ways).map(([name, rounds]) => {
      const p50 = median(rounds, (round) => round.questions[question].p50_ms);
      const base = median(ways.engine ?? [], (round) => round.questions[question].p50_ms);
      return [
        question,
        TITLES[name],
        fixed(p50, 2),
        fixed(
          median(rounds, (round) => round.questions[question].p99_ms),
          2,
        ),
        times(p50 / base),
      ];
    }),
  );
  return table(
    [`${fixed(Number(size), 0)} records held`, '', 'p50 ms', 'p99 ms', 'time / in process'],
    lines,
  );
}

/** @param {any} result */
export function aggregatesTable({ rows, seconds, compact_seconds, ledger_bytes, questions }) {
  const lines = Object.entries(questions).map(([question, { from, p50_ms, p99_ms, asked }]) => [
    question,
    fixed(p50_ms, 2),
    fixed(p99_ms, 2),
    fixed(asked, 0),
    from,
  ]);
  return [
    `${fixed(rows, 0)} rows imported in ${fixed(seconds, 1)} s (${fixed(rows / seconds, 0)} rows/s), compacted in ${fixed(compact_seconds, 1)} s; the ledger has ${fixed(ledger_bytes / 1e9, 1)} GB`,
    table(['question', 'p50 ms', 'p99 ms', 'asked', 'answered from'], lines),
  ].join('\n');
}
