/**
 * Weighted sums (engine/weights.ts) in SQL, exactly. A product of a sum and a weight may have more than the 38 digits of
 * any decimal, so it is kept in two parts, in units of the last digit of a weight: whole ones, and what is left, at
 * least 0 and less than 1. Such pairs compare as they should.
 *
 * Sums are multiplied, not values: a multiplication of 128 bits takes 0.4 µs, so that of 10 million values took 4.5 s, and
 * the sums of a few weights, each over its own records, 0.9. Where all records that are asked for have one weight, it
 * changes nothing but how the sum is written.
 */
import { fromScaled, multiply, toScaled } from '../../engine/decimal.ts';
import type { Measure, Question } from '../../engine/question.ts';
import type { Stream } from '../../engine/stream.ts';
import { type Weights, weightedScaleMax, weightScale } from '../../engine/weights.ts';
import type { Parameters } from './conditions.ts';
import { fieldValue, sqlType } from './names.ts';
import { scaleOf } from './schema.ts';

/** Up to so many weights are summed side by side; with more, every value is multiplied. */
const weightsSideBySide = 12;

/** Where the columns of a weight stand: the class `c` of a record, and its weight in units, `f`. */
export const weightRow = 'w';

/** A join that gives every row `e` its class; empty where none is needed. */
export function weightsJoin(stream: Stream, question: Question, parameters: Parameters): string {
  const weights = weightsOf(question);
  if (!weights || isSingle(weights, question)) return '';
  const { by, classes } = weights;
  const rows = classes.flatMap(({ weight, values }, c) =>
    values.map((value) => [value, String(c), String(toScaled(weight, weightScale))]),
  );
  const column = (i: number) => JSON.stringify(rows.map((row) => row[i]));
  const list = (i: number) =>
    `unnest(json_transform(${parameters.add(column(i), 'varchar')}, '["VARCHAR"]'))`;
  return `left join (select ${list(0)}::${sqlType(by)} as k, ${list(1)}::integer as c, ${list(2)}::decimal(18, 0) as f) ${weightRow}
    on ${weightRow}.k = ${fieldValue(stream, by)}`;
}

function weightsOf({ measures }: Question): Weights | undefined {
  return measures.find(({ weights }) => weights)?.weights;
}

/** Whether all records that are asked for have the one weight there is. */
function isSingle({ by, classes }: Weights, { where }: Question): boolean {
  const [first, ...others] = classes;
  if (others.length > 0) return false;
  return where.some(
    ({ dimension, operator, values }) =>
      dimension.field === by &&
      (operator === 'eq' || operator === 'in') &&
      values.every((value) => first!.values.includes(value)),
  );
}

/** Whether a weighted measure is a plain sum, to be multiplied when it is read. */
export function isPlain({ weights }: Measure, question: Question): boolean {
  return weights !== undefined && isSingle(weights, question);
}

export interface Sums {
  /** The sum of the measure's field over rows that meet the conditions, as a decimal. */
  sum(conditions: string[]): string;
  /** The value of a row, with its sign. */
  value: string;
}

/** The measure as an expression over a group: a plain decimal, or a pair. */
export function weightedSum(measure: Measure, question: Question, { sum, value }: Sums): string {
  if (isPlain(measure, question)) return sum([]);
  const { classes } = measure.weights!;
  const exact = (amount: string) => `cast(${amount} as decimal(38, ${scaleOf(measure.field!)}))`;
  if (classes.length > weightsSideBySide) {
    const { whole, rest } = product(exact(value), `${weightRow}.f`);
    return pair(`coalesce(sum(${whole}), 0)`, `coalesce(sum(${rest}), 0)`);
  }
  const products = classes.map(({ weight }, c) =>
    product(exact(sum([`${weightRow}.c = ${c}`])), `${toScaled(weight, weightScale)}::decimal(18, 0)`),
  );
  return pair(products.map(({ whole }) => whole).join(' + '), products.map(({ rest }) => rest).join(' + '));
}

/** The product with a weight in units: whole units, and what is left, between -1 and 1. */
function product(amount: string, weight: string): { whole: string; rest: string } {
  const left = `cast(${amount} - trunc(${amount}) as decimal(20, 20)) * ${weight}`;
  return {
    whole: `cast(cast(trunc(${amount}) as decimal(20, 0)) * ${weight} + trunc(${left}) as decimal(38, 0))`,
    rest: `cast(${left} - trunc(${left}) as decimal(38, 20))`,
  };
}

function pair(whole: string, rest: string): string {
  return `struct_pack(hi := cast(${whole} + floor(${rest}) as decimal(38, 0)), lo := cast(${rest} - floor(${rest}) as decimal(38, 20)))`;
}

/** How the values of a measure are written into SQL, added up and read again, in units of their last digit. */
export interface Units {
  /** The columns of a value. */
  columns(value: string): string[];
  /** A value from as many columns as `columns` gives. */
  value(columns: string[]): string;
  literal(units: bigint): string;
  read(texts: string[]): bigint;
}

const inUnits = (text: string, scale: number): bigint => toScaled(text, scale);

export function unitsOf(measure: Measure, question: Question): Units {
  if (measure.name !== 'weighted' || isPlain(measure, question)) {
    const scale = scaleOf(measure.field!);
    return {
      columns: (value) => [value],
      value: ([column]) => column!,
      literal: (units) => `cast('${fromScaled(units, scale)}' as decimal(38, ${scale}))`,
      read: ([text]) => inUnits(text!, scale),
    };
  }
  const scale = weightedScaleMax;
  return {
    columns: (value) => [`${value}.hi`, `${value}.lo`],
    value: ([hi, lo]) => pair(hi!, lo!),
    literal(units) {
      const [hi, lo] = [units / 10n ** BigInt(scale), units % 10n ** BigInt(scale)];
      return `struct_pack(hi := cast('${hi}' as decimal(38, 0)), lo := cast('${fromScaled(lo, scale)}' as decimal(38, 20)))`;
    },
    read: ([hi, lo]) => inUnits(hi!, 0) * 10n ** BigInt(scale) + inUnits(lo!, scale),
  };
}

/** The measure as text that `readWeighted` reads. */
export function weightedOutput(measure: Measure, question: Question, column: string): string {
  return unitsOf(measure, question)
    .columns(column)
    .map((part) => `cast(${part} as varchar)`)
    .join(` || ' ' || `);
}

/** The plain text of a weighted sum. */
export function readWeighted(measure: Measure, question: Question, text: string): string {
  const scale = weightedScaleMax + weightScale;
  if (!isPlain(measure, question)) return fromScaled(unitsOf(measure, question).read(text.split(' ')), scale);
  const { weight } = measure.weights!.classes[0]!;
  return multiply(plain(text), weight);
}

/** Decimals as DuckDB writes them may begin with a point, and end with zeros. */
function plain(text: string): string {
  return fromScaled(toScaled(text.replace(/^(-?)\./, '$10.'), weightedScaleMax), weightedScaleMax);
}
