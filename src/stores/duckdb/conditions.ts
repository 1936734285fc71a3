/** Conditions of a question as SQL: dimensions, comparisons, times. Values are parameters, or plain numbers in quotes. */
import type { Field } from '../../engine/field-types.ts';
import type { Condition, Dimension, Operator, Selection } from '../../engine/question.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Parameter } from './connection.ts';
import { rowsOfList } from './lists.ts';
import { fieldValue, quote, sqlType } from './names.ts';

/** Digits, signs and points: of such a value nothing can be misread. */
const plainNumber = /^[-0-9.]{1,60}$/;

/**
 * Collects the parameters of a statement while it is written. Numbers and dates stand in it as they are: a statement with
 * parameters is planned twice, which a question that takes 3 ms tells by its time (a count among 100 million passages: 5.3
 * ms instead of 6.1).
 */
export class Parameters {
  readonly values: Parameter[] = [];

  /** A value that was given before is the same parameter: so DuckDB sees that two sums are one, and adds up once. */
  add(value: Parameter, type: string): string {
    if (type !== 'varchar' && plainNumber.test(String(value))) return `cast('${value}' as ${type})`;
    if (!this.values.includes(value)) this.values.push(value);
    return `cast($${this.values.indexOf(value) + 1} as ${type})`;
  }

  /** A list, as a row for each of its values, which are texts then. */
  addRows(values: readonly (string | number | null)[]): string {
    return rowsOfList(this.add(JSON.stringify(values), 'varchar'), 'varchar');
  }
}

/** The value of a dimension in a row `e`; for a path into json its text. A text that is no JSON has none. */
export function dimensionSql(stream: Stream, { field, path }: Dimension, parameters: Parameters): string {
  const value = fieldValue(stream, field);
  if (path.length === 0) return value;
  const pointer = path.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  const found = `json_extract_string(${value}, ${parameters.add(pointer, 'varchar')})`;
  return field.type === 'json' ? found : `case when json_valid(${value}) then ${found} end`;
}

/** Values of a list that are parameters of their own: so they help to skip what cannot hold any. */
const valuesOneByOne = 100;

const signs: Partial<Record<Operator, string>> = {
  eq: '=',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
};

/**
 * DuckDB's `like` begins anew behind each % that text follows: with two of them the time grows as the square of the
 * length, with four it does not end. RE2 takes time in proportion to the length, whatever the pattern.
 */
function backtracks(pattern: string): boolean {
  return /%[^%]+%+[^%]/s.test(pattern);
}

function expressionOf(like: string): string {
  return like
    .replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    .replaceAll('_', '.')
    .replace(/%+/g, '.*');
}

function among(value: string, texts: string[], type: string, parameters: Parameters): string {
  if (texts.length === 0) return 'false';
  if (type !== 'bigint' || texts.length === 1) return listed(value, texts, type, parameters);
  // A list is looked up row by row in a table of its values; bounds are compared where the column lies. The numbers of
  // the sensors of one room are neighbours: with bounds a count among 100 million passages took 8 to 9 ms of statement,
  // not 9 to 13, and one of scattered sensors no longer than before. Numbers without a gap need no list: 3.6 ms, not 5.1,
  // among 20 million.
  const numbers = [...new Set(texts.map(BigInt))].sort((a, b) => (a < b ? -1 : 1));
  const [least, most] = [numbers[0]!, numbers.at(-1)!];
  const bounds = [least, most].map((bound) => parameters.add(String(bound), type));
  const between = `${value} between ${bounds.join(' and ')}`;
  if (most - least === BigInt(numbers.length - 1)) return `(${between})`;
  return `(${between} and ${listed(value, texts, type, parameters)})`;
}

/** With a parameter for each of thousands of values, lookups took half as long again as with the list in one. */
function listed(value: string, texts: string[], type: string, parameters: Parameters): string {
  return texts.length > valuesOneByOne
    ? `${value} in (select cast(${parameters.addRows(texts)} as ${type}))`
    : `${value} in (${texts.map((text) => parameters.add(text, type)).join(', ')})`;
}

export function comparison(
  value: string,
  operator: Operator,
  texts: string[],
  type: string,
  parameters: Parameters,
): string {
  switch (operator) {
    case 'is_null':
      return `${value} is null`;
    case 'not_null':
      return `${value} is not null`;
    case 'ne':
      return `${value} is distinct from ${parameters.add(texts[0]!, type)}`;
    case 'in':
      return among(value, texts, type, parameters);
    case 'like':
      return backtracks(texts[0]!)
        ? `regexp_full_match(${value}, ${parameters.add(expressionOf(texts[0]!), 'varchar')}, 's')`
        : `${value} like ${parameters.add(texts[0]!, type)}`;
    default:
      return `${value} ${signs[operator]} ${parameters.add(texts[0]!, type)}`;
  }
}

/** The type in which a field's values are compared: decimals with all their digits, whatever the bound has. */
export function comparedType({ field, path }: Dimension): string {
  if (path.length > 0) return 'varchar';
  return field.type === 'decimal' ? `decimal(38, ${field.scale})` : sqlType(field);
}

export function conditionSql(
  stream: Stream,
  { dimension, operator, values }: Condition,
  parameters: Parameters,
): string {
  const value = dimensionSql(stream, dimension, parameters);
  return comparison(value, operator, values, comparedType(dimension), parameters);
}

/** The instant of a field of time in a row `e`. */
export const instantSql = ({ name }: Field): string => `e.${quote(name)}::timestamp`;

/** All conditions of a selection on a row `e`, but `known_at`. */
export function selectionSql(stream: Stream, selection: Selection, parameters: Parameters): string[] {
  const conditions = selection.where.map((condition) => conditionSql(stream, condition, parameters));
  if (stream.time) {
    const time = instantSql(stream.time);
    if (selection.from !== undefined)
      conditions.push(`${time} >= make_timestamp(${parameters.add(selection.from, 'bigint')})`);
    if (selection.to !== undefined)
      conditions.push(`${time} < make_timestamp(${parameters.add(selection.to, 'bigint')})`);
  }
  return conditions;
}

/**
 * A value as it stands in answers: canonical text (see engine/field-types.ts). The reader trims decimals, and writes
 * integers, which are read faster as they are.
 */
export function outputSql(value: string, type: string): string {
  if (type === 'timestamp') return `strftime(${value}, '%Y-%m-%dT%H:%M:%S.%fZ')`;
  if (type === 'boolean' || type === 'integer') return value;
  // The driver drops a byte-order mark at the start of a text; two of them leave one.
  if (type === 'text' || type === 'json')
    return `case when starts_with(${value}, '\ufeff') then '\ufeff' || ${value} else ${value} end`;
  return `cast(${value} as varchar)`;
}

/** `1.50` is `1.5`, `2.00` is `2`, `-.5` is `-0.5`. */
export function trimDecimal(text: string): string {
  if (!text.includes('.')) return text;
  const trimmed = text.replace(/\.?0+$/, '').replace(/^(-?)\./, '$10.');
  return trimmed === '' || trimmed === '-' ? '0' : trimmed;
}
