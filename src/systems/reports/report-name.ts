/**
 * The name of a report's file says what it is about. House style:
 * `Spotify_SpotifyDuo_NO_NOK_20200101-20200131.tsv.gz`; and that of DDEX, which says no currency:
 * `DSR_Recipient_Sender_Service_2020-01_NO_1of1_20200205T101500.tsv.gz`.
 */
import { nextBucket, parseDate } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { currencyName, territoryName } from './codes.ts';

export interface NamedReport {
  /** The name without folders. */
  path: string;
  service: string;
  territory: string;
  currency: string;
  period_start: string;
  period_end: string;
}

const housePattern =
  /^(?<who>.+)_(?<territory>[^_]+)_(?<currency>[^_]+)_(?<start>\d{8})-(?<end>\d{8})\.tsv(?:\.gz)?$/i;
const ddexPattern =
  /^DSR_(?<recipient>[^_]+)_(?<sender>[^_]+)_(?<service>[^_]+)_(?<period>[^_]+)_(?<territory>[^_]+)_(?<part>\d+of\d+)_(?<made>\d{8}T\d{6}[^_.]*)\.tsv(?:\.gz)?$/i;

const expected =
  'expected one such as Service_Product_NO_NOK_20200101-20200131.tsv.gz, or DSR_Recipient_Sender_Service_2020-01_NO_1of1_20200205T101500.tsv.gz with currency=NOK';

function bad(detail: string): TallybookError {
  return new TallybookError('bad_request', detail);
}

/**
 * What a name says. Throws `bad_request` for one that cannot be read, or that says what cannot be.
 * @param currency of a name that says none; where both do, they must be the same
 */
export function readReportName(name: string, currency: string | undefined): NamedReport {
  const path = name.split(/[/\\]/).at(-1)!;
  const shown = path.slice(0, 200);
  const ddex = ddexPattern.exec(path)?.groups;
  const house = ddex ? undefined : housePattern.exec(path)?.groups;
  if (ddex) {
    if (currency === undefined)
      throw bad(`the name ${shown} says no currency; add it as a parameter, such as currency=NOK`);
    const [period_start, period_end] = ddexPeriod(ddex.period!, shown);
    const service = ddex.service!;
    return checked({ path, service, territory: ddex.territory!, currency, period_start, period_end });
  }
  if (!house) throw bad(`the name "${shown}" says nothing of a report; ${expected}`);
  const named = house.currency!;
  if (currency !== undefined && currency.toUpperCase() !== named.toUpperCase())
    throw bad(
      `the name ${shown} says ${named}, the parameter currency is ${currency}; leave the parameter out`,
    );
  const dashed = (date: string) => `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`;
  // The sender comes first, then what it offers, then whoever it is for.
  const [sender = '', product] = house.who!.split('_');
  return checked({
    path,
    service: product ?? sender,
    territory: house.territory!,
    currency: named,
    period_start: dashed(house.start!),
    period_end: dashed(house.end!),
  });
}

function checked(report: NamedReport): NamedReport {
  const territory = report.territory.toUpperCase();
  const currency = report.currency.toUpperCase();
  if (territoryName(territory) === undefined)
    throw bad(`there is no territory ${report.territory}; expected a code of ISO 3166 such as NO`);
  if (currencyName(currency) === undefined)
    throw bad(`there is no currency ${report.currency}; expected a code of ISO 4217 such as NOK`);
  const { period_start, period_end } = report;
  for (const date of [period_start, period_end])
    if (parseDate(date) === undefined) throw bad(`there is no date ${date}; expected one such as 20200131`);
  if (period_end < period_start)
    throw bad(
      `the period ends on ${period_end}, before its start on ${period_start}; expected the start first`,
    );
  return { ...report, territory, currency };
}

/** First and last day of `2020`, `2020-01`, `2020-Q1`, `2020-W05`, `2020-01-15` or `2020-01-01--2020-01-31`. */
function ddexPeriod(text: string, name: string): [string, string] {
  const range = /^(\d{4}-\d{2}-\d{2})--(\d{4}-\d{2}-\d{2})$/.exec(text);
  if (range) return [range[1]!, range[2]!];
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return [text, text];
  const [, year, unit = '', number] = /^(\d{4})(?:-(Q|W|)(\d{1,2}))?$/i.exec(text) ?? [];
  const start = year === undefined ? undefined : startOf(year, unit.toUpperCase(), number);
  if (start === undefined) throw bad(`the name ${name} has the period ${text}; ${expected}`);
  const every = number === undefined ? 'year' : unit === '' ? 'month' : /q/i.test(unit) ? 'quarter' : 'week';
  const first = BigInt(parseDate(start)!) * dayMicros;
  return [start, dateOf(nextBucket(first, every, 'UTC') - dayMicros)];
}

const dayMicros = 86_400_000_000n;
const dateOf = (micros: bigint): string => new Date(Number(micros / 1000n)).toISOString().slice(0, 10);

function startOf(year: string, unit: string, number: string | undefined): string | undefined {
  const n = Number(number);
  const first = (month: number) => `${year}-${String(month).padStart(2, '0')}-01`;
  const from = (start: string | undefined) =>
    start !== undefined && parseDate(start) !== undefined ? start : undefined;
  if (number === undefined) return from(first(1));
  if (unit === '') return n >= 1 && n <= 12 ? from(first(n)) : undefined;
  if (unit === 'Q') return n >= 1 && n <= 4 ? from(first(3 * n - 2)) : undefined;
  if (n < 1 || n > 53 || from(first(1)) === undefined) return undefined;
  // The first week of a year is that of its fourth of January.
  const fourth = BigInt(parseDate(`${year}-01-04`)!) * dayMicros;
  const weekday = BigInt((new Date(Number(fourth / 1000n)).getUTCDay() + 6) % 7);
  return dateOf(fourth - weekday * dayMicros + BigInt(n - 1) * 7n * dayMicros);
}
