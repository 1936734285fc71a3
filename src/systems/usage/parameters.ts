/**
 * What the routes are asked with, and how figures are written. Days and months are those of UTC, and both ends of a
 * range are in it: from 2026-10-01 to 2026-10-31 is October.
 */
import { Type } from 'typebox';
import { formatTimestamp, lastInstant, type Micros, nextBucket, parseDate } from '../../engine/calendar.ts';
import { compareNumbers, plainNumber, toScaled } from '../../engine/decimal.ts';
import { TallybookError } from '../../engine/errors.ts';
import { checkValue } from '../../engine/field-types.ts';
import type { AskedQuestion } from '../../engine/question.ts';
import { type UsageType, usageTypes } from './declarations.ts';

const text = (description: string) => Type.Optional(Type.String({ maxLength: 100, description }));

export const typeParameter = Type.Optional(
  Type.Enum([...usageTypes], { description: 'Only this type of usage; both when not given.' }),
);
export const subscriptionParameter = text('Only this subscription.');
export const dayParameters = {
  from: text('The first day, such as 2026-10-01.'),
  to: text('The last day; it is counted, too.'),
};
export const monthParameter = text('Such as 2026-10; the current one when not given.');

type Where = NonNullable<AskedQuestion['where']>;

function bad(detail: string): TallybookError {
  return new TallybookError('bad_request', detail);
}

/** A subscription's id in its canonical text. Throws `bad_request`. */
export function subscriptionId(name: string, given: string): string {
  const checked = checkValue({ name, type: 'integer' }, { kind: 'cell', text: given });
  if ('value' in checked && checked.value !== null) return checked.value;
  throw bad(`${name} is ${given}; expected the id of a subscription, a whole number such as 8047`);
}

/** An amount of money, in cents. Throws `bad_request` for what is none, or less than the least. */
export function amount(name: string, given: string, least: string): bigint {
  const plain = plainNumber(given);
  const [whole = '', cents = ''] = (plain ?? '').split('.');
  if (plain === undefined || whole.length > 18 || cents.length > 2 || compareNumbers(plain, least) < 0)
    throw bad(`${name} is ${given}; expected an amount of at least ${least} with at most two decimals`);
  return toScaled(plain, 2);
}

/** Hundredths with two decimals, always: 1230n is 12.30. */
export function twoDecimals(hundredths: bigint): string {
  const digits = (hundredths < 0n ? -hundredths : hundredths).toString().padStart(3, '0');
  return `${hundredths < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** A sum of an answer, in cents. */
export function cents(sum: unknown): bigint {
  return toScaled(sum as string, 2);
}

/** Days from and to, both inclusive, as a question has them. Throws `bad_request`. */
export function days(fromName: string, from: string | undefined, toName: string, to: string | undefined) {
  const first = from === undefined ? undefined : day(fromName, from);
  const last = to === undefined ? undefined : day(toName, to);
  if (first !== undefined && last !== undefined && first > last)
    throw bad(`${fromName} (${from}) lies after ${toName} (${to})`);
  const end = last === undefined ? undefined : startOf(last + 1);
  return {
    ...(first === undefined ? {} : { from: formatTimestamp(startOf(first)) }),
    // No record lies behind the last day that there is.
    ...(end === undefined || end > lastInstant ? {} : { to: formatTimestamp(end) }),
  };
}

function day(name: string, given: string): number {
  const found = parseDate(given);
  if (found === undefined) throw bad(`${name} is ${given}; expected a day such as 2026-10-31`);
  return found;
}

const startOf = (dayNumber: number): Micros => BigInt(dayNumber) * 86_400_000_000n;

/** A month as a question has it. Throws `bad_request`. */
export function month(given: string | undefined): { month: string; from: string; to: string } {
  const chosen = given ?? new Date().toISOString().slice(0, 7);
  const first = parseDate(`${chosen}-01`);
  const end = first === undefined ? undefined : nextBucket(startOf(first), 'month', 'UTC');
  if (end === undefined || end > lastInstant)
    throw bad(`month is ${chosen}; expected a month such as 2026-10`);
  return { month: chosen, from: `${chosen}-01`, to: formatTimestamp(end) };
}

/** Which records are meant: of a type, of a subscription. */
export function which(type: string | undefined, subscription: string | undefined): { where: Where } {
  return {
    where: {
      ...(type === undefined ? {} : { type }),
      ...(subscription === undefined ? {} : { subscription_id: subscription }),
    },
  };
}

/** The types that are asked for. */
export function typesOf(type: string | undefined): readonly UsageType[] {
  return type === undefined ? usageTypes : [type as UsageType];
}
