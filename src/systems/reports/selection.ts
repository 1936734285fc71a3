/** Which reports are asked about, and what the amounts in each of them count. */
import { Type } from 'typebox';
import { parseDate } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { AskedQuestion } from '../../engine/question.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { territoryName } from './codes.ts';
import { bad, type Report, reportsWhere } from './report.ts';

const text = (description: string) => Type.Optional(Type.String({ maxLength: 100, description }));

export const selectionParameters = {
  territory: text('Only reports of this territory, such as ES.'),
  period_start: text('Only reports whose period starts on this day or later.'),
  period_end: text('Only reports whose period ends on this day or earlier.'),
  currency: text(
    '`native`: in the currency of the reports, which must be the same for all; in euro when not given.',
  ),
  known_at: text('Only what was recorded up to and including then: reports, lines and rates.'),
};
export type SelectionQuery = Readonly<Partial<Record<keyof typeof selectionParameters, string>>>;

export interface SelectedReports {
  reports: Report[];
  /** The currency of the answer. */
  currency: string;
  /** What one unit of a report's currency counts, by the id of the report. */
  weights: Record<string, string>;
  knownAt: { known_at?: string };
}

/** The ingested reports that are meant. Throws `bad_request`, and `missing_rates` where some have no rate. */
export async function selectReports(tallybook: Tallybook, query: SelectionQuery): Promise<SelectedReports> {
  const { territory, period_start, period_end, currency, known_at } = query;
  const where: NonNullable<AskedQuestion['where']> = { status: 'ingested' };
  if (territory !== undefined) where.territory = checkTerritory(territory);
  if (period_start !== undefined) where.period_start = { gte: checkDate('period_start', period_start) };
  if (period_end !== undefined) where.period_end = { lte: checkDate('period_end', period_end) };
  if (currency !== undefined && currency !== 'native' && currency !== 'EUR')
    throw bad(`currency is ${currency}; expected native, or EUR, which is meant when it is not given`);
  const reports = await reportsWhere(tallybook, where, known_at);
  if (reports.length > limits.question_condition_values)
    throw bad(
      `${reports.length} reports are meant; at most ${limits.question_condition_values} at a time: name a territory or a period`,
    );
  const knownAt = known_at === undefined ? {} : { known_at };
  return currency === 'native'
    ? { reports, currency: oneCurrency(reports), weights: weightsOf(reports, () => '1'), knownAt }
    : { reports, currency: 'EUR', weights: weightsOf(reports, inEuro(reports)), knownAt };
}

function weightsOf(reports: Report[], weight: (report: Report) => string): Record<string, string> {
  return Object.fromEntries(reports.map((report) => [report.id, weight(report)]));
}

function oneCurrency(reports: Report[]): string {
  const currencies = [...new Set(reports.map(({ currency }) => currency))];
  if (currencies.length > 1)
    throw bad(
      `the reports are in ${currencies.sort().join(', ')}; currency=native needs one: name a territory or a period`,
    );
  return currencies[0] ?? 'EUR';
}

function inEuro(reports: Report[]): (report: Report) => string {
  const without = reports.filter(({ euro_rate }) => euro_rate === null);
  if (without.length > 0) {
    const named = without
      .slice(0, 20)
      .map(
        ({ id, currency, period_start, period_end }) =>
          `report ${id} (${currency}, ${period_start} to ${period_end})`,
      );
    const more = without.length > 20 ? ` and ${without.length - 20} more` : '';
    throw new TallybookError(
      'missing_rates',
      `there is no exchange rate for ${named.join(', ')}${more}; put rates with tallybook rates import, or ask with currency=native for reports of one currency`,
    );
  }
  return ({ euro_rate }) => euro_rate!;
}

function checkTerritory(given: string): string {
  const code = given.toUpperCase();
  if (territoryName(code) === undefined)
    throw bad(`there is no territory ${given}; expected a code of ISO 3166 such as ES`);
  return code;
}

function checkDate(name: string, given: string): string {
  if (parseDate(given) === undefined) throw bad(`${name} is ${given}; expected a date such as 2020-01-31`);
  return given;
}
