/**
 * The top of the catalogue: the fewest recordings whose revenue makes up so many per cent of the whole. The ranking is one
 * question about sums; the texts are read for those that it gives, from their newest report.
 */
import { Type } from 'typebox';
import { fromScaled, toScaled } from '../../engine/decimal.ts';
import { jsonOf } from '../../engine/exact-json.ts';
import { limits } from '../../engine/limits.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Route } from '../system.ts';
import { bad, NotFound, notFound, type Report } from './report.ts';
import { type SelectedReports, selectionParameters, selectReports } from './selection.ts';
import { linesStream, ratesStream, reportsStream } from './streams.ts';

const orNull = Type.Union([Type.String(), Type.Null()]);
const Resource = Type.Object({
  dsp_id: Type.String(),
  title: orNull,
  artists: orNull,
  isrc: orNull,
  usages: Type.Integer(),
  revenue: Type.Number({ description: 'As near as a JSON number is commonly read.' }),
  revenue_exact: Type.String({ description: 'To the last digit.' }),
  dsrs: Type.Array(Type.Integer(), { description: 'The ids of all of its reports.' }),
});

/** So many resources are looked up at a time: a row for each and each of its reports must fit into an answer. */
function lookedUp({ reports }: SelectedReports): number {
  return Math.min(limits.question_condition_values, Math.floor(limits.answer_rows / reports.length));
}

export const percentileRoute: Route = {
  method: 'GET',
  path: '/resources/percentile/:number',
  scope: 'read',
  streams: [linesStream, reportsStream, ratesStream],
  summary: 'The top of the catalogue',
  description:
    'The fewest resources, by revenue in euro from the top, whose revenue adds up to at least that per cent of the whole: from 1 to 100. Ties by dsp_id.',
  params: Type.Object({ number: Type.String({ maxLength: 20 }) }),
  query: Type.Object(selectionParameters),
  paged: false,
  answers: { 200: Type.Array(Resource), 404: NotFound },
  async answer({ tallybook, params, query }) {
    const percent = /^[0-9]{1,3}$/.test(params.number!) ? Number(params.number) : 0;
    if (percent < 1 || percent > 100) return notFound;
    const selected = await selectReports(tallybook, query);
    if (selected.reports.length === 0) return { body: [] };
    const { rows, more, from, as_of } = await tallybook.ask(linesStream.name, {
      by: ['dsp_id'],
      measures: ['weighted(revenue)', 'sum(usages)'],
      weights: { by: 'report', of: selected.weights },
      where: { report: { in: Object.keys(selected.weights) } },
      share: { of: 'weighted(revenue)', percent },
      limit: limits.answer_rows,
      ...selected.knownAt,
    });
    if (more)
      throw bad(
        `more than ${limits.answer_rows} resources; ask for a smaller number, a territory or a period`,
      );
    const ranked = rows as [string, string, string][];
    if (ranked.length <= lookedUp(selected)) {
      return { body: await resourcesOf(tallybook, selected, ranked), origin: { from, as_of } };
    }
    return { text: inParts(tallybook, selected, ranked), contentType: 'application/json; charset=utf-8' };
  },
};

/** A long list is written as it is looked up. */
async function* inParts(
  tallybook: Tallybook,
  selected: SelectedReports,
  ranked: [string, string, string][],
): AsyncGenerator<string> {
  const size = lookedUp(selected);
  for (let at = 0; at < ranked.length; at += size) {
    const resources = await resourcesOf(tallybook, selected, ranked.slice(at, at + size));
    yield (at === 0 ? '[' : ',') + jsonOf(resources).slice(1, -1);
  }
  yield ']';
}

async function resourcesOf(
  tallybook: Tallybook,
  selected: SelectedReports,
  ranked: [dspId: string, revenue: string, usages: string][],
) {
  const { weights, knownAt } = selected;
  const { rows } = await tallybook.ask(linesStream.name, {
    by: ['dsp_id', 'report'],
    measures: ['count'],
    where: { dsp_id: { in: ranked.map(([dspId]) => dspId) }, report: { in: Object.keys(weights) } },
    limit: limits.answer_rows,
    ...knownAt,
  });
  const reportsOf = new Map<string, number[]>();
  for (const [dspId, report] of rows as string[][]) {
    const known = reportsOf.get(dspId!);
    if (known) known.push(Number(report));
    else reportsOf.set(dspId!, [Number(report)]);
  }
  const texts = await textsOf(tallybook, selected, reportsOf);
  return ranked.map(([dsp_id, revenue, usages]) => ({
    dsp_id,
    ...(texts.get(dsp_id) ?? noTexts),
    usages: BigInt(usages),
    revenue: Number(revenue),
    revenue_exact: revenue,
    dsrs: (reportsOf.get(dsp_id) ?? []).sort((a, b) => a - b),
  }));
}

const textFields = ['title', 'artists', 'isrc'] as const;
type Texts = Record<(typeof textFields)[number], string | null>;
const noTexts: Texts = { title: null, artists: null, isrc: null };

/**
 * Each text is that of the newest report that has one. The newest report is read first, for nearly everything stands
 * there, then twice as many at a time, for what is still missing.
 */
async function textsOf(
  tallybook: Tallybook,
  { reports, knownAt }: SelectedReports,
  reportsOf: ReadonlyMap<string, readonly number[]>,
): Promise<Map<string, Texts>> {
  const newest = [...reports].sort(newestFirst).map(({ id }) => id);
  const age = new Map(newest.map((id, place) => [String(id), place]));
  const texts = new Map([...reportsOf.keys()].map((dspId) => [dspId, { ...noTexts }]));
  let missing = [...reportsOf];
  for (let at = 0, size = 1; at < newest.length && missing.length > 0; at += size, size *= 2) {
    const some = new Set(newest.slice(at, at + size));
    const there = missing.filter(([, of]) => of.some((report) => some.has(report)));
    if (there.length === 0) continue;
    const { rows } = await tallybook.ask(linesStream.name, {
      by: ['dsp_id', 'report'],
      measures: textFields.map((field) => `min(${field})`),
      where: { dsp_id: { in: there.map(([dspId]) => dspId) }, report: { in: [...some].map(String) } },
      limit: limits.answer_rows,
      ...knownAt,
    });
    const byAge = (rows as (string | null)[][]).sort((a, b) => age.get(a[1]!)! - age.get(b[1]!)!);
    for (const [dspId, , ...found] of byAge) {
      const known = texts.get(dspId!)!;
      for (const [i, field] of textFields.entries()) known[field] ??= found[i]!;
    }
    missing = missing.filter(([dspId]) => textFields.some((field) => texts.get(dspId)![field] === null));
  }
  return texts;
}

function newestFirst(a: Report, b: Report): number {
  const order = (x: string, y: string) => (x === y ? 0 : x < y ? 1 : -1);
  return order(a.period_end, b.period_end) || order(a.period_start, b.period_start) || b.id - a.id;
}

/** a × b, of plain numbers with at most 20 and 16 decimals. */
export function weighed(amount: string, weight: string): bigint {
  return toScaled(amount, 20) * toScaled(weight, 16);
}

/** The plain text of what `weighed` gives. */
export function plainOfWeighed(units: bigint): string {
  return fromScaled(units, 36);
}
