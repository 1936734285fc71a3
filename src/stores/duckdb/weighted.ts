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
import { type Asked, isWide, times } from './wide.ts';

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
  const list = (i: number) => parameters.addRows(rows.map((row) => row[i]!));
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

/** Decimals; units, where sums may have any length (see wide.ts). */
export interface Sums {
  /** The sum of the measure's field over rows that meet the conditions. */
  sum(conditions: string[]): string;
  /** The value of a row, with its sign. */
  value: string;
}

/** The measure as an expression over a group: a plain decimal, a pair, sums side by side (see `isApart`), or units. */
export function weightedSum(measure: Measure, question: Asked, { sum, value }: Sums): string {
  if (isWide(measure, question)) return wideWeightedSum(measure, question, { sum, value });
  if (isPlain(measure, question)) return sum([]);
  const { classes } = measure.weights!;
  const exact = (amount: string) => `cast(${amount} as decimal(38, ${scaleOf(measure.field!)}))`;
  if (classes.length > weightsSideBySide) {
    const { whole, rest } = product(exact(value), `${weightRow}.f`);
    return pair(`coalesce(sum(${whole}), 0)`, `coalesce(sum(${rest}), 0)`);
  }
  const sums = classes.map((_, c) => exact(sum([`${weightRow}.c = ${c}`])));
  return isApart(measure, question)
    ? `struct_pack(${sums.map((amount, c) => `s${c} := ${amount}`).join(', ')})`
    : weighed(sums, classes);
}

function wideWeightedSum(measure: Measure, question: Question, { sum, value }: Sums): string {
  const { classes } = measure.weights!;
  if (isSingle(measure.weights!, question)) return times(sum([]), String(weightUnits(classes[0]!)));
  if (classes.length > weightsSideBySide) return `coalesce(sum(${times(value, `${weightRow}.f`)}), 0)`;
  return classes
    .map((one, c) => times(sum([`${weightRow}.c = ${c}`]), String(weightUnits(one))))
    .map((product) => `(${product})`)
    .join(' + ');
}

/** Sums, each times the weight of its class, added up to a pair. */
function weighed(sums: string[], classes: Weights['classes']): string {
  const products = sums.map((amount, c) => product(amount, `${weightUnits(classes[c]!)}::decimal(18, 0)`));
  return pair(products.map(({ whole }) => whole).join(' + '), products.map(({ rest }) => rest).join(' + '));
}

const weightUnits = ({ weight }: Weights['classes'][number]): bigint => toScaled(weight, weightScale);

/**
 * Whether the sums of a measure are laid down side by side and multiplied later: for a share, few of them must be. The
 * exact products of a million groups take 3 s, sums and bounds of them 0.1.
 */
function isApart({ name, weights }: Measure, { share }: Question): boolean {
  return name === 'weighted' && share !== undefined && weights!.classes.length <= weightsSideBySide;
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
  /** The columns of a value as it is laid down in a group; one that is above 0 has a part that is. */
  parts(laidDown: string): string[];
  /** What parts, added up over all groups, come to. */
  whole(sums: string[]): bigint;
  /** The value as it is compared and shown. */
  value(laidDown: string): string;
  /** The columns of such a value. */
  columns(value: string): string[];
  /** A value from as many columns as `columns` gives. */
  ofColumns(columns: string[]): string;
  literal(units: bigint): string;
  /**
   * A condition that all values of so many units or more meet, and some others: it compares what is laid down, without
   * multiplying it. Of 2 million groups it leaves few in 11 ms; to multiply all takes 95.
   */
  mayReach(laidDown: string, units: bigint): string;
  /**
   * What values are at least and at most, in numbers that can be added up, without multiplying exactly; undefined where
   * there is no room for them.
   * @param most the largest absolute values of the parts
   */
  bounds(laidDown: string, rows: number, most: string[]): Bounds | undefined;
  /** The units of `value`, where that is another thing than what is laid down. */
  multiplied: Units | undefined;
}

/** What sums of decimals may come to, in units of their last digit, with a digit to spare. */
const room = 10n ** 37n;

export interface Bounds {
  lower: string;
  upper: string;
  /** So many units of the value are one of the bounds'. */
  size: bigint;
  literal(sizes: bigint): string;
  read(text: string): bigint;
}

const inUnits = (text: string, scale: number): bigint => toScaled(text, scale);
const decimalLiteral = (units: bigint, scale: number): string =>
  `cast('${fromScaled(units, scale)}' as decimal(38, ${scale}))`;

export function unitsOf(measure: Measure, question: Asked): Units {
  if (isWide(measure, question)) return wideUnits;
  if (measure.name !== 'weighted' || isPlain(measure, question)) return plainUnits(scaleOf(measure.field!));
  return isApart(measure, question) ? apartUnits(measure) : pairUnits;
}

function plainUnits(scale: number): Units {
  const literal = (units: bigint) => decimalLiteral(units, scale);
  return {
    parts: (value) => [value],
    whole: ([sum]) => inUnits(sum!, scale),
    value: (value) => value,
    columns: (value) => [value],
    ofColumns: ([column]) => column!,
    literal,
    mayReach: (value, units) => `${value} >= ${literal(units)}`,
    bounds: (value, rows, most) =>
      inUnits(most[0]!, scale) * BigInt(rows) < room
        ? { lower: value, upper: value, size: 1n, literal, read: (text) => inUnits(text, scale) }
        : undefined,
    multiplied: undefined,
  };
}

const pairUnits: Units = {
  parts: (value) => [`${value}.hi`, `${value}.lo`],
  whole: ([hi, lo]) => inUnits(hi!, 0) * 10n ** BigInt(weightedScaleMax) + inUnits(lo!, weightedScaleMax),
  value: (value) => value,
  columns: (value) => [`${value}.hi`, `${value}.lo`],
  ofColumns: ([hi, lo]) => pair(hi!, lo!),
  literal(units) {
    const one = 10n ** BigInt(weightedScaleMax);
    return `struct_pack(hi := cast('${units / one}' as decimal(38, 0)), lo := ${decimalLiteral(units % one, weightedScaleMax)})`;
  },
  mayReach: () => 'true',
  bounds: () => undefined,
  multiplied: undefined,
};

const wideUnits: Units = {
  parts: (value) => [value],
  whole: ([sum]) => BigInt(sum!),
  value: (value) => value,
  columns: (value) => [value],
  ofColumns: ([column]) => column!,
  literal: (units) => `cast('${units}' as bignum)`,
  mayReach: () => 'true',
  bounds: () => undefined,
  multiplied: undefined,
};

/** Sums side by side, one for each weight, as `isApart` says. */
function apartUnits(measure: Measure): Units {
  const { classes } = measure.weights!;
  const scale = scaleOf(measure.field!);
  const parts = (laidDown: string) => classes.map((_, c) => `${laidDown}.s${c}`);
  const unit = 10n ** BigInt(weightedScaleMax - scale);
  return {
    ...pairUnits,
    parts,
    whole: (sums) =>
      sums.reduce((all, sum, c) => all + inUnits(sum, scale) * unit * weightUnits(classes[c]!), 0n),
    value: (laidDown) => weighed(parts(laidDown), classes),
    multiplied: pairUnits,
    // Of products that come to so much, one has its part of it at least.
    mayReach(laidDown, units) {
      const reaching = classes.flatMap((one, c) => {
        const weight = weightUnits(one) * BigInt(classes.length) * unit;
        return weight > 0n ? [`${parts(laidDown)[c]} >= ${decimalLiteral(units / weight, scale)}`] : [];
      });
      return reaching.length > 0 ? `(${reaching.join(' or ')})` : 'false';
    },
    bounds(laidDown, rows, most) {
      // The weights are cut to as many digits as leave room for the products of all there is.
      const all = most.reduce((sum, one) => sum + inUnits(one, scale), 1n) * BigInt(rows);
      const greatest = classes.reduce((most, one) => (weightUnits(one) > most ? weightUnits(one) : most), 1n);
      let cut = 1n;
      while (cut < greatest && all * (greatest / cut + 1n) >= room) cut *= 10n;
      if (all * (greatest / cut + 1n) >= room) return undefined;
      const near = classes.map(
        (one, c) => `${parts(laidDown)[c]} * ${weightUnits(one) / cut}::decimal(18, 0)`,
      );
      const off = parts(laidDown).map((part) => `abs(${part})`);
      return {
        lower: `(${near.join(' + ')} - (${off.join(' + ')}))`,
        upper: `(${near.join(' + ')} + ${off.join(' + ')})`,
        size: unit * cut,
        literal: (sizes) => decimalLiteral(sizes, scale),
        read: (text) => inUnits(text, scale),
      };
    },
  };
}

/** The measure as text that `readWeighted` reads. */
export function weightedOutput(measure: Measure, question: Question, column: string): string {
  return (isPlain(measure, question) ? plainUnits(0) : pairUnits)
    .columns(column)
    .map((part) => `cast(${part} as varchar)`)
    .join(` || ' ' || `);
}

/** The plain text of a weighted sum. */
export function readWeighted(measure: Measure, question: Question, text: string): string {
  const scale = weightedScaleMax + weightScale;
  if (!isPlain(measure, question)) return fromScaled(pairUnits.whole(text.split(' ')), scale);
  const { weight } = measure.weights!.classes[0]!;
  return multiply(plain(text), weight);
}

/** Decimals as DuckDB writes them may begin with a point, and end with zeros. */
function plain(text: string): string {
  return fromScaled(toScaled(text.replace(/^(-?)\./, '$10.'), weightedScaleMax), weightedScaleMax);
}
