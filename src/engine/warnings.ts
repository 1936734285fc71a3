/**
 * Warnings: what a file holds that is taken in, and that its sender should know of. A field declares what it warns of
 * (`warn`): a value that is missing, a text that does not match a pattern. The receipt of a file counts them over its
 * rows that are well-formed; requests, which get a verdict for each record, have none.
 */
import type { Field } from './field-types.ts';
import type { Stream } from './stream.ts';

export const warningCodes = ['missing', 'pattern_mismatch'] as const;

export interface Warning {
  field: string;
  code: (typeof warningCodes)[number];
  count: number;
}

export interface Watched {
  field: Field;
  code: Warning['code'];
  /** Of `pattern_mismatch`. */
  pattern: string;
}

/** What the fields of a stream (or a form) warn of, in the order of its fields. */
export function watchedOf(stream: Stream): Watched[] {
  return stream.named.flatMap((field) => {
    const { missing, pattern } = field.warn ?? {};
    return [
      ...(missing ? [{ field, code: 'missing' as const, pattern: '' }] : []),
      ...(pattern === undefined ? [] : [{ field, code: 'pattern_mismatch' as const, pattern }]),
    ];
  });
}

/** The warnings of a receipt from how often each was met; those that were not are left out. */
export function warningsFrom(watched: Watched[], counts: number[]): Warning[] {
  return watched
    .map(({ field, code }, index) => ({ field: field.name, code, count: counts[index]! }))
    .filter(({ count }) => count > 0);
}
