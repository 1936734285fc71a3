/** Sums of a field over entries `e` with their sign: a reversal takes away what its record has added. */
import type { Field } from '../../engine/field-types.ts';
import { isNarrow, scaleOf } from './schema.ts';

export function filter(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` filter (where ${conditions.join(' and ')})`;
}

/**
 * The sum of nothing is 0.
 * @param signed false where all rows count as they are: half the work
 */
export function signedSum(value: string, signed: boolean, only: readonly string[]): string {
  if (!signed) return `coalesce(sum(${value})${filter(only)}, 0)`;
  const part = (sign: number) => `coalesce(sum(${value})${filter([...only, `e._sign = ${sign}`])}, 0)`;
  return `(${part(1)} - ${part(-1)})`;
}

/** Digits (in units of the last decimal) up to which 128-bit sums of many values cannot overflow. */
export const wideLimit = (field: Field): string =>
  `cast('1e${28 - scaleOf(field)}' as decimal(38, ${scaleOf(field)}))`;
/** A decimal as a whole number of any length, in units of its last digit. */
export const inUnits = (value: string): string =>
  `cast(replace(cast(${value} as varchar), '.', '') as bignum)`;

/** The same sum of any length: one part for narrow fields; for wide ones two, of ordinary values, and of huge ones in units. */
export function sumParts(
  field: Field,
  value: string,
  signed: boolean,
  only: readonly string[] = [],
): [ordinary: string, huge?: string] {
  if (isNarrow(field)) return [signedSum(value, signed, only)];
  const ordinary = `abs(${value}) < ${wideLimit(field)}`;
  const huge = (term: string) => `sum(case when not ${ordinary} then ${term} end)${filter(only)}`;
  if (!signed)
    return [signedSum(`case when ${ordinary} then ${value} end`, signed, only), huge(inUnits(value))];
  return [
    signedSum(value, signed, [ordinary, ...only]),
    huge(`case when e._sign = 1 then ${inUnits(value)} else -${inUnits(value)} end`),
  ];
}
