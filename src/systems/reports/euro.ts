/**
 * What a report's revenue is worth in euro. Which rate counts is a policy:
 *
 *  - `period_average`: the mean of the rates of all days of the period that have one
 *  - `period_end`: that of the last day of the period, or of the last day before it that has one
 *  - `fixed`: one that was agreed on, given with the report or for the deployment
 *
 * The rate that counts is kept with the report, with its source and date, and so is what one unit of the currency is
 * worth: 1 / rate with 16 decimals. Everything is computed from that, exactly. A rate that is missing is never guessed.
 * When rates or policies change, the reports that they concern are corrected: so `known_at` gives the figures of then.
 */
import { fromScaled, plainNumber, toScaled } from '../../engine/decimal.ts';
import { valuesByName } from '../../engine/own-books.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { weightScale } from '../../engine/weights.ts';
import { type Policy, rateScale } from './declarations.ts';
import { bad, type Report, reportsDelivery, reportsWhere } from './report.ts';
import { euroSettingsStream, ratesStream } from './streams.ts';
import { underwayOf } from './underway.ts';

export interface EuroSettings {
  policy: Policy;
  /** Rates by currency. */
  fixed: Record<string, string>;
}

export type Rate = Pick<Report, 'rate' | 'euro_rate' | 'rate_policy' | 'rate_source' | 'rate_date'>;
type ToConvert = Pick<Report, 'currency' | 'period_start' | 'period_end' | 'policy' | 'fixed_rate'>;

const noRate: Rate = { rate: null, euro_rate: null, rate_policy: null, rate_source: null, rate_date: null };

/** Week-ends and holidays: so many days before the end of a period a rate may lie to be that of its end. */
const daysWithoutRate = 7;

export async function euroSettings(tallybook: Tallybook): Promise<EuroSettings> {
  const { records } = await tallybook.records(euroSettingsStream.name, { where: { id: 'deployment' } }, {});
  const [entry] = records;
  if (!entry) return { policy: 'period_average', fixed: {} };
  const { policy, fixed } = valuesByName(tallybook.streams.get(euroSettingsStream.name), entry.values);
  return { policy: policy as Policy, fixed: JSON.parse(fixed ?? '{}') as EuroSettings['fixed'] };
}

/** A rate as it was given. Throws `bad_request`. */
export function checkRate(what: string, given: string): string {
  const plain = plainNumber(given.trim());
  const [whole = '', fraction = ''] = plain?.split('.') ?? [];
  if (
    plain === undefined ||
    plain.startsWith('-') ||
    whole.length > 12 ||
    fraction.length > rateScale ||
    plain === '0'
  )
    throw bad(
      `${what} is ${given.slice(0, 60)}; expected what one euro is worth: a number above 0 with at most ${rateScale} decimals`,
    );
  if (toScaled(plain, rateScale) * 90n < 10n ** BigInt(rateScale))
    throw bad(
      `${what} is ${given.slice(0, 60)}: one unit would be worth more than 90 euro; expected what one euro is worth`,
    );
  return plain;
}

/** a / b, rounded half up; both above 0, scaled alike. */
function quotient(a: bigint, b: bigint, decimals: number): string {
  return fromScaled((2n * a * 10n ** BigInt(decimals) + b) / (2n * b), decimals);
}

/** What one unit is worth, from what one euro is. */
export function euroRateOf(rate: string): string {
  return quotient(10n ** BigInt(rateScale), toScaled(rate, rateScale), weightScale);
}

/** Finds the rates of reports; questions that are the same are asked once. */
export class Rates {
  readonly #tallybook: Tallybook;
  readonly #settings: Promise<EuroSettings>;
  readonly #asked = new Map<string, Promise<Rate>>();

  constructor(tallybook: Tallybook) {
    this.#tallybook = tallybook;
    this.#settings = euroSettings(tallybook);
  }

  /** With nulls where none is known. */
  async of({ currency, period_start, period_end, policy, fixed_rate }: ToConvert): Promise<Rate> {
    const settings = await this.#settings;
    const which = policy ?? settings.policy;
    if (currency === 'EUR') return known('1', which, 'the euro itself', period_end);
    if (which === 'fixed') {
      const rate = fixed_rate ?? settings.fixed[currency];
      return rate === undefined ? noRate : known(rate, which, 'fixed', period_end);
    }
    const key = JSON.stringify([currency, period_start, period_end, which]);
    const asked = this.#asked.get(key) ?? this.#ask(currency, period_start, period_end, which);
    this.#asked.set(key, asked);
    return asked;
  }

  async #ask(currency: string, start: string, end: string, policy: Policy): Promise<Rate> {
    const average = policy === 'period_average';
    const dates = { gte: average ? start : daysBefore(end, daysWithoutRate), lte: end };
    const { rows } = await this.#tallybook.ask(ratesStream.name, {
      by: average ? [] : ['date'],
      measures: ['sum(rate)', 'count', 'min(date)', 'max(date)', 'max(source)'],
      where: { currency, date: dates },
      ...(average ? {} : { order: ['-date'], limit: 1 }),
    });
    const [sum, count, first, last, source] = rows[0]?.slice(average ? 0 : 1) ?? [];
    if (!count) return noRate;
    const rate = quotient(
      toScaled(sum as string, rateScale),
      BigInt(count as number) * 10n ** BigInt(rateScale),
      rateScale,
    );
    return known(rate, policy, source as string, first === last ? (last as string) : `${first}/${last}`);
  }
}

function known(rate: string, policy: Policy, source: string, date: string): Rate {
  return { rate, euro_rate: euroRateOf(rate), rate_policy: policy, rate_source: source, rate_date: date };
}

function daysBefore(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) - days * 86_400_000).toISOString().slice(0, 10);
}

const rateFields = ['rate', 'euro_rate', 'rate_policy', 'rate_source', 'rate_date'] as const;

/** Corrects the reports whose rates have changed, in one commit; for the turn of the caller. Returns how many. */
export async function convertAgain(tallybook: Tallybook, source: string): Promise<number> {
  const underway = underwayOf(tallybook);
  underway.passedOver = underway.arriving.size > 0 || underway.leaving.size > 0;
  const rates = new Rates(tallybook);
  const changed: Report[] = [];
  for (const report of await reportsWhere(tallybook, { status: 'ingested' })) {
    if (underway.leaving.has(report.id)) continue;
    const rate = await rates.of(report);
    if (rateFields.some((field) => rate[field] !== report[field])) changed.push({ ...report, ...rate });
  }
  if (changed.length > 0) await tallybook.write(reportsDelivery(tallybook, source, { put: changed }));
  return changed.length;
}

/** The same after a report has arrived or was to leave, if rates have changed meanwhile. */
export async function convertPassedOver(tallybook: Tallybook, source: string): Promise<void> {
  const underway = underwayOf(tallybook);
  if (!underway.passedOver) return;
  await underway.turns.run(() => convertAgain(tallybook, source));
}
