/**
 * Patterns of text fields are matched by RE2. It knows nearly all that JavaScript knows, but not all, and refuses what
 * would take too much memory: so each is tried once, before the first record meets it.
 */
import { TallybookError } from '../../engine/errors.ts';
import type { Field } from '../../engine/field-types.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Connection } from './connection.ts';
import { literal } from './names.ts';

/** Tries the patterns that were not there before. Throws `bad_declaration`. */
export async function checkPatterns(
  connection: Connection,
  stream: Stream,
  before: Stream | undefined,
): Promise<void> {
  const patterns = stream.fields.flatMap((field) => patternsOf(field).map((pattern) => ({ field, pattern })));
  if (patterns.length === 0) return;
  const known = new Set(before?.fields.flatMap(patternsOf));
  for (const { field, pattern } of patterns) {
    if (known.has(pattern)) continue;
    try {
      await connection.askOnce(`select regexp_full_match('', ${literal(pattern)})`);
    } catch (error) {
      throw new TallybookError(
        'bad_declaration',
        `stream ${stream.name}: field ${field.name}: the pattern cannot be used (${reasonOf(error)}); patterns are matched by RE2: a repetition goes up to 1000, and characters are written as they are or as \\x41`,
        { cause: error },
      );
    }
  }
}

function patternsOf(field: Field): string[] {
  if (field.type !== 'text') return [];
  return [field.pattern, field.warn?.pattern].filter((pattern) => pattern !== undefined);
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return (cause instanceof Error ? cause.message : message).replace(
    /^[A-Z][a-z]+( [A-Z][a-z]+)* Error: /,
    '',
  );
}
