/**
 * Sums of any length. No number of DuckDB has more than 38 digits but `bignum`, a whole number of any length, which is
 * slow. So a question is asked with decimals, and only one whose sums do not fit once more with whole numbers, in units
 * of the last digit: two amounts of 600000000000000000 with 20 decimals are 120000000000000000000000000000000000000
 * units, which have 39.
 */
import { fromScaled, toScaled } from '../../engine/decimal.ts';
import type { Field } from '../../engine/field-types.ts';
import type { Measure, Question } from '../../engine/question.ts';
import { weightScale } from '../../engine/weights.ts';
import { scaleOf } from './schema.ts';
import { inUnits, sumParts } from './signed-sums.ts';

/** A question whose sums may have any length. */
export type Asked = Question & { wide?: boolean };

/** Whether the column of a measure holds units. */
export function isWide({ name }: Measure, { wide }: Asked): boolean {
  return wide === true && (name === 'sum' || name === 'greatest' || name === 'weighted');
}

/** Whether a sum is compared with a number that is no decimal, and is none itself yet. */
export function comparesWide({ having, after, wide }: Asked): boolean {
  if (wide) return false;
  const values = [...having.flatMap(({ values }) => values), ...(after ?? [])];
  return values.some(
    (value) => value !== null && /^-?[0-9]+([.][0-9]+)?$/.test(value) && digitsOf(value) > 38,
  );
}

function digitsOf(value: string): number {
  return value.replace(/[-.]/g, '').length;
}

/** Whether there are sums in it that may get longer than decimals are. */
export function canBeWidened(question: Asked): boolean {
  return !question.wide && question.measures.some((measure) => isWide(measure, widened(question)));
}

export function widened(question: Question): Asked {
  return { ...question, wide: true };
}

/** Digits after the point of a measure's units. */
function scaleOfUnits({ name, field }: Measure): number {
  return scaleOf(field!) + (name === 'weighted' ? weightScale : 0);
}

/** The sum of a field over rows that meet conditions, in units. Most values are far from the bound, and added up as they are. */
export function wideSum(field: Field, value: string, signed: boolean, only: string[]): string {
  const [ordinary, huge] = sumParts(field, value, signed, only);
  if (huge === undefined) return inUnits(ordinary);
  return `(${inUnits(ordinary)} + coalesce(${huge}, cast(0 as bignum)))`;
}

const limbDigits = 18;
const limbs = 3;

/** Units times a weight in units. There is no such product of a bignum, but of 18 digits of it. */
export function times(units: string, weight: string): string {
  const digits = `lpad(replace(cast(${units} as varchar), '-', ''), ${limbDigits * limbs}, '0')`;
  const products = Array.from({ length: limbs }, (_, i) => {
    const limb = `cast(substr(${digits}, ${1 + i * limbDigits}, ${limbDigits}) as hugeint)`;
    const zeros = '0'.repeat((limbs - 1 - i) * limbDigits);
    return `cast(cast(${limb} * cast(${weight} as hugeint) as varchar) || '${zeros}' as bignum)`;
  });
  const product = products.join(' + ');
  return `case when ${units} < cast(0 as bignum) then -(${product}) else ${product} end`;
}

/** A column of units, and numbers it is compared with, as whole numbers; they may have more decimals than the units. */
export function compared(
  column: string,
  measure: Measure,
  values: string[],
): { column: string; texts: string[]; type: string } {
  const scale = scaleOfUnits(measure);
  const decimals = Math.max(scale, ...values.map((value) => value.split('.')[1]?.length ?? 0));
  const more = '0'.repeat(decimals - scale);
  return {
    column: more === '' ? column : `cast(cast(${column} as varchar) || '${more}' as bignum)`,
    texts: values.map((value) => String(toScaled(value, decimals))),
    type: 'bignum',
  };
}

/** The plain text of units. */
export function readWide(measure: Measure, text: string): string {
  return fromScaled(BigInt(text), scaleOfUnits(measure));
}
