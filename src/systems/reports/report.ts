/** A report: its record, how it is read, and how it is shown. */
import { type Static, Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import type { ImportState } from '../../engine/import-state.ts';
import { limits } from '../../engine/limits.ts';
import { valuesByName } from '../../engine/own-books.ts';
import type { AskedQuestion } from '../../engine/question.ts';
import type { Delivery, Entry } from '../../engine/store.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { BlankLines } from './blank-lines.ts';
import { currencyName, territoryName } from './codes.ts';
import { type Policy, policies, type Status, statuses } from './declarations.ts';
import { linesStream, reportsStream } from './streams.ts';

/** As it stands in the stream `reports`: decimals as plain texts. */
export interface Report {
  id: number;
  path: string;
  service: string;
  territory: string;
  currency: string;
  period_start: string;
  period_end: string;
  status: Status;
  checksum: string;
  created_at: string;
  finished_at: string | null;
  rows: number | null;
  rejected: number | null;
  blank_lines: BlankLines | null;
  warnings: string[];
  log: { at: string; message: string }[];
  error: string | null;
  supersedes: number | null;
  policy: Policy | null;
  fixed_rate: string | null;
  rate: string | null;
  euro_rate: string | null;
  rate_policy: Policy | null;
  rate_source: string | null;
  rate_date: string | null;
}

type Where = NonNullable<AskedQuestion['where']>;

/** Every report that stands and fits, by id. */
export async function reportsWhere(
  tallybook: Tallybook,
  where: Where,
  knownAt?: string | undefined,
): Promise<Report[]> {
  const found: Report[] = [];
  let cursor: string | undefined;
  do {
    const asked = { where, ...(knownAt === undefined ? {} : { known_at: knownAt }) };
    const page = await tallybook.records(reportsStream.name, asked, { size: limits.page_rows, cursor });
    found.push(...page.records.map((entry) => reportOf(tallybook, entry)));
    cursor = page.next;
  } while (cursor !== undefined);
  return found.sort((a, b) => a.id - b.id);
}

/** The report with this id, or undefined. One that was cut off has failed, which its import knows first. */
export async function findReport(tallybook: Tallybook, id: string): Promise<Report | undefined> {
  if (!/^[0-9]{1,15}$/.test(id)) return undefined;
  const [report] = await reportsWhere(tallybook, { id: String(Number(id)) });
  return report && asItStands(tallybook, report);
}

/** With the end of its import, where that could not be written into the report: when the process was killed. */
export async function asItStands(tallybook: Tallybook, report: Report): Promise<Report> {
  if (report.status !== 'in_progress') return report;
  const state = (await importOf(tallybook, report.id)) ?? neverStarted;
  if (state.status === 'in_progress' || state.status === 'done') return report;
  const { error, finished_at } = state;
  const at = finished_at ?? report.created_at;
  return {
    ...report,
    status: 'failed',
    error,
    finished_at,
    log: [...report.log, { at, message: `failed: ${error}` }],
  };
}

const neverStarted = { status: 'failed', error: 'it was never started', finished_at: null } as const;

/** How the import of a report stands; undefined when the ledger knows of none. */
export async function importOf(tallybook: Tallybook, id: number): Promise<ImportState | undefined> {
  try {
    return await tallybook.imports.get(id);
  } catch (error) {
    if (error instanceof TallybookError && error.code === 'unknown_import') return undefined;
    throw error;
  }
}

export function reportOf(tallybook: Tallybook, { values }: Entry): Report {
  const record = valuesByName(tallybook.streams.get(reportsStream.name), values);
  const number = (text: string | null | undefined) => (text == null ? null : Number(text));
  return {
    ...(record as unknown as Report),
    id: Number(record.id),
    rows: number(record.rows),
    rejected: number(record.rejected),
    supersedes: number(record.supersedes),
    blank_lines: JSON.parse(record.blank_lines ?? 'null') as BlankLines | null,
    warnings: JSON.parse(record.warnings ?? '[]') as string[],
    log: JSON.parse(record.log ?? '[]') as Report['log'],
  };
}

/** What writes reports down, or takes them back by id. */
export function reportsDelivery(
  tallybook: Tallybook,
  source: string,
  change: { put: Report[] } | { takeBack: number[]; reason: string },
): Delivery {
  const texts =
    'put' in change
      ? change.put.map((report) => JSON.stringify(report))
      : change.takeBack.map((id) => JSON.stringify(String(id)));
  return {
    stream: tallybook.streams.get(reportsStream.name),
    mode: 'put' in change ? 'upsert' : 'retract',
    source,
    reason: 'put' in change ? undefined : change.reason,
    content: { kind: 'texts', texts, fallbackIds: texts.map(() => '') },
    allVerdicts: false,
  };
}

export interface Totals {
  rows: number;
  usages: string;
  revenue: string;
}
export const noTotals: Totals = { rows: 0, usages: '0', revenue: '0' };

/** What stands of the lines of some reports, by the id of the report. */
export async function totalsOf(
  tallybook: Tallybook,
  ids: readonly number[],
  knownAt?: string | undefined,
): Promise<Map<number, Totals>> {
  const totals = new Map<number, Totals>();
  for (let at = 0; at < ids.length; at += limits.question_condition_values) {
    const { rows } = await tallybook.ask(linesStream.name, {
      by: ['report'],
      measures: ['count', 'sum(usages)', 'sum(revenue)'],
      where: { report: { in: ids.slice(at, at + limits.question_condition_values).map(String) } },
      limit: limits.question_condition_values,
      ...(knownAt === undefined ? {} : { known_at: knownAt }),
    });
    for (const [report, count, usages, revenue] of rows)
      totals.set(Number(report), {
        rows: count as number,
        usages: usages as string,
        revenue: revenue as string,
      });
  }
  return totals;
}

const Text = Type.String();
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(of: T) => Type.Union([of, Type.Null()]);
const Count = orNull(Type.Integer());

export const ReportSchema = Type.Object({
  id: Type.Integer(),
  path: Type.String({ description: 'The name that tells what it is about.' }),
  period_start: Text,
  period_end: Text,
  status: Type.Enum([...statuses]),
  territory: Type.Object({ name: Text, code_2: Text }),
  currency: Type.Object({ name: Text, code: Text }),
  service: Text,
  rows: Count,
  rejected: Count,
  usages: Type.String({ description: 'Of all lines.' }),
  revenue: Type.String({ description: 'Of all lines, in its own currency, exact.' }),
  warnings: Type.Array(Text),
  checksum: Type.String({ description: 'SHA-256 of the content, unpacked.' }),
  created_at: Text,
  finished_at: orNull(Text),
  error: orNull(Text),
  supersedes: Count,
  euro: orNull(
    Type.Object(
      {
        rate: Type.String({ description: 'What one euro is worth in the currency.' }),
        euro_rate: Type.String({ description: 'What one unit of the currency is worth in euro.' }),
        policy: Type.Enum([...policies]),
        source: Text,
        date: Type.String({ description: 'A date, or the first and the last of an average.' }),
      },
      { description: 'Null where no rate is known.' },
    ),
  ),
  progress: Type.String({ description: 'Where its import tells how far it is.' }),
});
export type ShownReport = Static<typeof ReportSchema>;

export function shownReport(report: Report, { usages, revenue }: Totals = noTotals): ShownReport {
  const { id, path, period_start, period_end, status, service, territory, currency } = report;
  const { rows, rejected, warnings, checksum, created_at, finished_at, error, supersedes } = report;
  const { rate, euro_rate, rate_policy, rate_source, rate_date } = report;
  return {
    id,
    path,
    period_start,
    period_end,
    status,
    territory: { name: territoryName(territory) ?? territory, code_2: territory },
    currency: { name: currencyName(currency) ?? currency, code: currency },
    service,
    rows,
    rejected,
    usages,
    revenue,
    warnings,
    checksum,
    created_at,
    finished_at,
    error,
    supersedes,
    euro:
      rate === null || euro_rate === null
        ? null
        : { rate, euro_rate, policy: rate_policy!, source: rate_source!, date: rate_date! },
    progress: `/v1/imports/${id}`,
  };
}

export const NotFound = Type.Object({ detail: Type.Literal('Not found.') });
export const notFound = { status: 404, body: { detail: 'Not found.' } };

export function bad(detail: string): TallybookError {
  return new TallybookError('bad_request', detail);
}
