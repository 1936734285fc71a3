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
  return Math.min(5_000, Math.floor(limits.answer_rows / reports.length));
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

interface Texts {
  title: string | null;
  artists: string | null;
  isrc: string | null;
}

async function resourcesOf(
  tallybook: Tallybook,
  { reports, weights, knownAt }: SelectedReports,
  ranked: [dspId: string, revenue: string, usages: string][],
) {
  const { rows } = await tallybook.ask(linesStream.name, {
    by: ['dsp_id', 'report'],
    measures: ['min(title)', 'min(artists)', 'min(isrc)'],
    where: { dsp_id: { in: ranked.map(([dspId]) => dspId) }, report: { in: Object.keys(weights) } },
    limit: limits.answer_rows,
    ...knownAt,
  });
  const age = new Map([...reports].sort(newestFirst).map(({ id }, place) => [String(id), place]));
  const lines = new Map<string, { report: string; texts: Texts }[]>();
  for (const [dspId, report, title, artists, isrc] of rows as (string | null)[][]) {
    const line = { report: report!, texts: { title: title!, artists: artists!, isrc: isrc! } };
    const known = lines.get(dspId!);
    if (known) known.push(line);
    else lines.set(dspId!, [line]);
  }
  return ranked.map(([dsp_id, revenue, usages]) => {
    const found = (lines.get(dsp_id) ?? []).sort((a, b) => age.get(a.report)! - age.get(b.report)!);
    const newest = (name: keyof Texts) =>
      found.find(({ texts }) => texts[name] !== null)?.texts[name] ?? null;
    return {
      dsp_id,
      title: newest('title'),
      artists: newest('artists'),
      isrc: newest('isrc'),
      usages: BigInt(usages),
      revenue: Number(revenue),
      revenue_exact: revenue,
      dsrs: [...new Set(found.map(({ report }) => Number(report)))].sort((a, b) => a - b),
    };
  });
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
