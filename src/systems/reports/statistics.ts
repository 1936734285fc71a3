/**
 * Statistics: usages and revenue by territory, period, service, artist or ISRC. What a report as a whole says is added up
 * from the sums by report; recordings are asked of their lines. A line counts whole for each of its artists.
 */
import { Type } from 'typebox';
import { limits } from '../../engine/limits.ts';
import type { AsOf } from '../../engine/store.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Route } from '../system.ts';
import { plainOfWeighed, weighed } from './percentile.ts';
import { bad, noTotals, type Report, totalsOf } from './report.ts';
import { type SelectedReports, selectionParameters, selectReports } from './selection.ts';
import { linesStream, ratesStream, reportsStream } from './streams.ts';

const groupings = ['territory', 'period', 'service', 'artist', 'isrc'] as const;
type Grouping = (typeof groupings)[number];

const rowsDefault = 100;
const rowsMax = 1_000;

interface Figures {
  rows: number;
  usages: bigint;
  /** In units of 36 decimals. */
  revenue: bigint;
}

export const statisticsRoute: Route = {
  method: 'GET',
  path: '/v1/reports/statistics',
  scope: 'read',
  streams: [linesStream, reportsStream, ratesStream],
  summary: 'Usages and revenue of reports',
  description:
    'By territory, period, service, artist or ISRC; the largest revenue first. A line counts for each of its artists.',
  query: Type.Object({
    by: Type.Enum([...groupings]),
    ...selectionParameters,
    limit: Type.Optional(
      Type.String({ maxLength: 10, description: `Rows, 1 to ${rowsMax}; ${rowsDefault} when not given.` }),
    ),
  }),
  paged: false,
  answers: Type.Object({
    currency: Type.String({ description: 'Of the revenue.' }),
    reports: Type.Integer({ description: 'Reports that are counted.' }),
    rows: Type.Array(
      Type.Object({
        key: Type.Union([Type.String(), Type.Null()], { description: 'Null where lines say nothing.' }),
        lines: Type.Integer(),
        usages: Type.String(),
        revenue: Type.String({ description: 'To the last digit.' }),
      }),
    ),
  }),
  async answer({ tallybook, query }) {
    const limit = checkLimit(query.limit);
    const selected = await selectReports(tallybook, query);
    const { figures, origin } = await figuresOf(tallybook, query.by as Grouping, selected, limit);
    const rows = [...figures]
      .sort(([a, x], [b, y]) =>
        x.revenue === y.revenue
          ? (a ?? '\uffff') < (b ?? '\uffff')
            ? -1
            : 1
          : x.revenue < y.revenue
            ? 1
            : -1,
      )
      .slice(0, limit)
      .map(([key, { rows, usages, revenue }]) => ({
        key,
        lines: rows,
        usages: String(usages),
        revenue: plainOfWeighed(revenue),
      }));
    return {
      body: { currency: selected.currency, reports: selected.reports.length, rows },
      ...(origin ? { origin } : {}),
    };
  },
};

function checkLimit(given: string | undefined): number {
  const limit = given === undefined ? rowsDefault : /^[0-9]+$/.test(given) ? Number(given) : 0;
  if (limit < 1 || limit > rowsMax)
    throw bad(`limit is ${given}; expected a whole number from 1 to ${rowsMax}`);
  return limit;
}

type Found = { figures: Map<string | null, Figures>; origin?: { from: string; as_of: AsOf } };

async function figuresOf(
  tallybook: Tallybook,
  by: Grouping,
  selected: SelectedReports,
  limit: number,
): Promise<Found> {
  if (selected.reports.length === 0) return { figures: new Map() };
  if (by === 'artist' || by === 'isrc') return ofLines(tallybook, by, selected, limit);
  const totals = await totalsOf(
    tallybook,
    selected.reports.map(({ id }) => id),
    selected.knownAt.known_at,
  );
  const figures = new Map<string | null, Figures>();
  for (const report of selected.reports) {
    const { rows, usages, revenue } = totals.get(report.id) ?? noTotals;
    const worth = weighed(revenue, selected.weights[report.id]!);
    add(figures, keyOf[by](report), { rows, usages: BigInt(usages), revenue: worth });
  }
  return { figures };
}

const keyOf: Record<Exclude<Grouping, 'artist' | 'isrc'>, (report: Report) => string> = {
  territory: ({ territory }) => territory,
  period: ({ period_start, period_end }) => `${period_start}/${period_end}`,
  service: ({ service }) => service,
};

async function ofLines(
  tallybook: Tallybook,
  by: 'artist' | 'isrc',
  { weights, knownAt }: SelectedReports,
  limit: number,
): Promise<Found> {
  const artist = by === 'artist';
  const { rows, more, from, as_of } = await tallybook.ask(linesStream.name, {
    by: [artist ? 'artists' : 'isrc'],
    measures: ['count', 'sum(usages)', 'weighted(revenue)'],
    weights: { by: 'report', of: weights },
    where: { report: { in: Object.keys(weights) } },
    order: ['-weighted(revenue)'],
    // Artists stand together in a line: their figures are known when all lines are.
    limit: artist ? limits.answer_rows : limit,
    ...knownAt,
  });
  if (artist && more)
    throw bad(`the lines name more than ${limits.answer_rows} sets of artists; name a territory or a period`);
  const figures = new Map<string | null, Figures>();
  for (const [text, count, usages, revenue] of rows as [string | null, number, string, string][]) {
    const line = { rows: count, usages: BigInt(usages), revenue: unitsOf(revenue) };
    const names = artist && text !== null ? artistsOf(text) : [text];
    for (const name of names) add(figures, name, line);
  }
  return { figures, origin: { from, as_of } };
}

function artistsOf(text: string): (string | null)[] {
  const names = new Set(text.split('|').map((name) => name.trim()));
  names.delete('');
  return names.size === 0 ? [null] : [...names];
}

function unitsOf(revenue: string): bigint {
  const [whole = '', fraction = ''] = revenue.split('.');
  return BigInt(whole + fraction.padEnd(36, '0'));
}

function add(figures: Map<string | null, Figures>, key: string | null, more: Figures): void {
  const known = figures.get(key) ?? { rows: 0, usages: 0n, revenue: 0n };
  figures.set(key, {
    rows: known.rows + more.rows,
    usages: known.usages + more.usages,
    revenue: known.revenue + more.revenue,
  });
}
