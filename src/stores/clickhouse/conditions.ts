/** Conditions of a question as SQL: dimensions, comparisons and times. Values are parameters, always. */
import type { Field } from '../../engine/field-types.ts';
import type { Condition, Dimension, Operator, Selection } from '../../engine/question.ts';
import type { Stream } from '../../engine/stream.ts';
import type { ParameterValues } from './connection.ts';
import { cellOf, fieldValue, literal, sqlType } from './names.ts';
import { instantOf } from './standing.ts';

/** Collects the parameters of a statement while it is written. */
export class Parameters {
  readonly values: ParameterValues = {};
  readonly #names = new Map<string, string>();

  /** A value that was given before is the same parameter. */
  add(value: string | string[], type: string): string {
    const key = JSON.stringify(value);
    const name = this.#names.get(key) ?? `p${this.#names.size}`;
    this.#names.set(key, name);
    this.values[name] = value;
    return `{${name}:${type}}`;
  }
}

/** The value of a dimension in a row `e`; for a path into json its text. A text that is no JSON has none. */
export function dimensionSql(stream: Stream, { field, path }: Dimension): string {
  const value = fieldValue(stream, field);
  if (path.length === 0) return value;
  const found = path.reduce((json, key) => childOf(json, key), `assumeNotNull(${value})`);
  // Strings without their quotes, other values as they stand.
  return `if(isNull(${value}), null, multiIf(JSONType(${found}) = 'Null', null,
    JSONType(${found}) = 'String', JSONExtractString('[' || ${found} || ']', 1), ${found}))`;
}

/** A member of an object, or an element of an array by its number from 0, as JSON; empty where there is none. */
function childOf(json: string, key: string): string {
  const member = `if(JSONType(${json}) = 'Object', JSONExtractRaw(${json}, ${literal(key)}), '')`;
  if (!/^(0|[1-9][0-9]{0,8})$/.test(key)) return member;
  return `if(JSONType(${json}) = 'Array', JSONExtractRaw(${json}, ${Number(key) + 1}), ${member})`;
}

const signs: Partial<Record<Operator, string>> = {
  eq: '=',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
};

export function comparison(
  value: string,
  operator: Operator,
  texts: string[],
  type: string,
  parameters: Parameters,
): string {
  switch (operator) {
    case 'is_null':
      return `isNull(${value})`;
    case 'not_null':
      return `isNotNull(${value})`;
    case 'ne':
      return `(isNull(${value}) or ${value} != ${parameters.add(texts[0]!, type)})`;
    case 'in':
      if (texts.length === 0) return 'false';
      // The client writes lists of texts with quotes, and numbers have none.
      return `${value} in ${parameters.add(type === 'String' ? texts : `[${texts.join(',')}]`, `Array(${type})`)}`;
    case 'like':
      // A backslash escapes what follows in ClickHouse, and nothing here.
      return `${value} like ${parameters.add(texts[0]!.replaceAll('\\', '\\\\'), type)}`;
    default:
      return `${value} ${signs[operator]} ${parameters.add(texts[0]!, type)}`;
  }
}

/** The type in which a field's values are compared: decimals with all their digits, whatever the bound has. */
export function comparedType(field: Field): string {
  return field.type === 'decimal' ? `Decimal(76, ${field.scale})` : sqlType(field);
}

export function conditionSql(
  stream: Stream,
  { dimension, operator, values }: Condition,
  parameters: Parameters,
): string {
  const { field, path } = dimension;
  const value = dimensionSql(stream, dimension);
  if (path.length > 0) return comparison(value, operator, values, 'String', parameters);
  const texts = values.map((text) => (operator === 'like' ? text : String(cellOf(field, text))));
  return comparison(value, operator, texts, comparedType(field), parameters);
}

/** All conditions of a selection on a row `e`, but `known_at`. */
export function selectionSql(
  stream: Stream,
  { where, from, to }: Pick<Selection, 'where' | 'from' | 'to'>,
  parameters: Parameters,
): string[] {
  const conditions = where.map((condition) => conditionSql(stream, condition, parameters));
  if (stream.time && from !== undefined) conditions.push(`${instantOf(stream)} >= ${from}`);
  if (stream.time && to !== undefined) conditions.push(`${instantOf(stream)} < ${to}`);
  return conditions;
}
