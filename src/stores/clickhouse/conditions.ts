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

/**
 * The value of a dimension in a row `e`; for a path into json its text. A text that is no JSON has none.
 *
 * A path is walked by a fold over its keys, and what it found is bound by a lambda: written out, the statement would
 * double with each key, and double once more with each that is a number.
 */
export function dimensionSql(stream: Stream, { field, path }: Dimension): string {
  const value = fieldValue(stream, field);
  if (path.length === 0) return value;
  const child = `multiIf(JSONType(_json) = 'Object', JSONExtractRaw(_json, _key.1),
    JSONType(_json) = 'Array' and _key.2 > 0, JSONExtractRaw(_json, _key.2), '')`;
  const found = `arrayFold((_json, _key) -> ${child}, [${path.map(keySql).join(', ')}], ifNull(${value}, ''))`;
  // Strings without their quotes, other values as they stand.
  return `arrayMap(_found -> multiIf(JSONType(_found) = 'Null', null,
    JSONType(_found) = 'String', JSONExtractString('[' || _found || ']', 1), _found), [${found}])[1]`;
}

/** A key as the name of a member, and the number from 1 of an element; 0 where it is none. */
function keySql(key: string): string {
  return `(${literal(key)}, ${/^(0|[1-9][0-9]{0,8})$/.test(key) ? Number(key) + 1 : 0})`;
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
