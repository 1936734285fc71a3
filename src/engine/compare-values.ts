/**
 * The order of values, in every store: numbers by value, text by its bytes in UTF-8 (which for dates, timestamps and uuids
 * is their own order), false before true.
 */
import { compareNumbers } from './decimal.ts';
import type { FieldType } from './field-types.ts';

/** Negative, 0 or positive. Null is not a value: where it comes is up to the caller. */
export function compareValues(type: FieldType | 'count', a: string, b: string): number {
  if (type === 'integer' || type === 'decimal' || type === 'count') return compareNumbers(a, b);
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
