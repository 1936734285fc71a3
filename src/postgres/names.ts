/** Names and values in SQL: names only quoted, values of a statement that takes no parameters only as literals. */
import { TallybookError } from '../engine/errors.ts';

/** A table, view or function, with its schema. */
export interface Relation {
  schema: string;
  name: string;
}

/** As PostgreSQL keeps it: a longer name would be cut without a word, and meet another one. */
const nameBytes = 63;

/** Throws `bad_settings` for a name that PostgreSQL would cut. */
export function quote(name: string): string {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > nameBytes)
    throw new TallybookError(
      'bad_settings',
      `"${name}" cannot be a name in PostgreSQL, which has 1 to ${nameBytes} bytes; names made of that of the rollup get shorter with --into`,
    );
  return `"${name.replaceAll('"', '""')}"`;
}

export function qualified({ schema, name }: Relation): string {
  return `${quote(schema)}.${quote(name)}`;
}

/** For people: `public.usage_daily`. */
export function shown({ schema, name }: Relation): string {
  return `${schema}.${name}`;
}

/** A text as a literal, whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? `E${quoted}` : quoted;
}

/** A body between dollar signs, with a word between them that is not in it. */
export function dollarQuoted(body: string, word: string): string {
  let tag = `$${word}$`;
  for (let number = 1; body.includes(tag); number++) tag = `$${word}${number}$`;
  return `${tag}\n${body}\n${tag}`;
}
