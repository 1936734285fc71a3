/** Which records a selection takes. */
import { compareValues } from '../../engine/compare-values.ts';
import { arrayElements, objectMembers } from '../../engine/exact-json.ts';
import type { FieldType } from '../../engine/field-types.ts';
import type { Condition, Dimension, Operator, Selection } from '../../engine/question.ts';
import { timeOf, type Values } from '../../engine/stage-record.ts';
import type { Stream } from '../../engine/stream.ts';
import { type Line, valueIn } from './ledger.ts';

/** Whether a value fits a comparison. Only `ne` ("is not that value") and `is_null` take null. */
export function fits(
  type: FieldType | 'count',
  value: string | null,
  operator: Operator,
  operands: string[],
): boolean {
  if (operator === 'is_null') return value === null;
  if (operator === 'not_null') return value !== null;
  if (value === null) return operator === 'ne';
  const compared = operands.map((operand) => (operator === 'like' ? 0 : compareValues(type, value, operand)));
  switch (operator) {
    case 'eq':
    case 'in':
      return compared.includes(0);
    case 'ne':
      return compared[0] !== 0;
    case 'gt':
      return compared[0]! > 0;
    case 'gte':
      return compared[0]! >= 0;
    case 'lt':
      return compared[0]! < 0;
    case 'lte':
      return compared[0]! <= 0;
    case 'like':
      return isLike(value, operands[0]!);
  }
}

/** SQL's `like`: % stands for any text, _ for one character; case counts, and nothing escapes them. */
function isLike(value: string, pattern: string): boolean {
  const parts = [...pattern].map((character) => {
    if (character === '%') return '.*';
    return character === '_' ? '.' : character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`, 'su').test(value);
}

/** The value of a dimension: of a field, or the text of what stands at a path into a json field. */
export function dimensionValue(dimension: Dimension, values: Values): string | null {
  const value = valueIn(values, dimension.field.name);
  return dimension.path.length === 0 || value === null ? value : textAt(value, dimension.path);
}

/** Strings without their quotes, other values as they were written, null where there is nothing. */
function textAt(json: string, path: string[]): string | null {
  let at: string | undefined = json;
  for (const key of path) at = at === undefined ? undefined : childOf(at, key);
  if (at === undefined || at === 'null') return null;
  return at.startsWith('"') ? (JSON.parse(at) as string) : at;
}

/** A member of an object, or an element of an array by its number from 0. */
function childOf(json: string, key: string): string | undefined {
  const elements = /^(0|[1-9][0-9]*)$/.test(key) ? arrayElements(json) : undefined;
  return elements ? elements[Number(key)] : objectMembers(json)?.members.get(key);
}

export function dimensionType(dimension: Dimension): FieldType {
  return dimension.path.length > 0 ? 'text' : dimension.field.type;
}

export function selects(
  stream: Stream,
  selection: Pick<Selection, 'where' | 'from' | 'to'>,
  line: Line,
): boolean {
  const { where, from, to } = selection;
  const time = timeOf(stream, line);
  if (from !== undefined && time! < from) return false;
  if (to !== undefined && time! >= to) return false;
  return where.every((condition: Condition) => {
    const { dimension, operator, values } = condition;
    return fits(dimensionType(dimension), dimensionValue(dimension, line.values), operator, values);
  });
}
