/** The measures of a question over the records of one group, each recounted from the values themselves. */
import { compareValues } from '../../engine/compare-values.ts';
import { averageExtraScale, averageOf, compareNumbers, fromScaled, toScaled } from '../../engine/decimal.ts';
import { TallybookError } from '../../engine/errors.ts';
import type { Field } from '../../engine/field-types.ts';
import type { Condition, Measure } from '../../engine/question.ts';
import type { Values } from '../../engine/stage-record.ts';
import { weigh } from '../../engine/weights.ts';
import { dimensionType, dimensionValue, fits } from './compare.ts';
import { valueIn } from './ledger.ts';

/** What is averaged has a sum of at most 38 digits; a larger one is an error, never a rounded figure. */
const sumBound = 10n ** 38n;

/** A canonical text, or null for the smallest, largest or average of nothing. Counts are texts here too. */
export function measureOf(
  { name, field, text, only, parts, weights }: Measure,
  all: Values[],
): string | null {
  const records = only ? all.filter((record) => meets(record, only)) : all;
  if (name === 'count') return String(records.length);
  const values = records.map((record) => valueIn(record, field!.name)).filter((value) => value !== null);
  switch (name) {
    case 'sum':
      return fromScaled(sumOf(field!, values), scaleOf(field!));
    case 'avg':
      return values.length === 0
        ? null
        : averageOf(bounded(sumOf(field!, values), text), scaleOf(field!), BigInt(values.length));
    case 'min':
    case 'max': {
      const sorted = values.sort((a, b) => compareValues(field!.type, a, b));
      return (name === 'min' ? sorted[0] : sorted.at(-1)) ?? null;
    }
    case 'count_distinct':
      return String(new Set(values).size);
    case 'weighted': {
      const sums = weights!.classes.map(({ weight, values: of }) => {
        const meant = all.filter((record) => of.includes(valueIn(record, weights!.by.name) ?? ''));
        return { weight, sum: measureOf({ text, name: 'sum', field, only: undefined, parts: [] }, meant)! };
      });
      return weigh(sums, scaleOf(field!));
    }
    case 'greatest':
      return parts
        .map((part) => measureOf(part, all)!)
        .sort(compareNumbers)
        .at(-1)!;
  }
}

function meets(record: Values, { dimension, operator, values }: Condition): boolean {
  return fits(dimensionType(dimension), dimensionValue(dimension, record), operator, values);
}

function sumOf(field: Field, values: string[]): bigint {
  return values.reduce((total, value) => total + toScaled(value, scaleOf(field)), 0n);
}

function bounded(sum: bigint, text: string): bigint {
  if (sum >= sumBound || sum <= -sumBound) {
    throw new TallybookError(
      'sum_out_of_range',
      `the sum for ${text} has more than 38 digits; ask for less at a time`,
    );
  }
  return sum;
}

export function scaleOf(field: Field): number {
  return field.type === 'decimal' ? field.scale : 0;
}

/** Digits after the point that an average shows at most. */
export function averageScale(field: Field): number {
  return scaleOf(field) + averageExtraScale;
}
