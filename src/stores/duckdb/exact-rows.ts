/**
 * The exact reader, for the few JSON records whose numbers a double could not hold (see stage.ts).
 *
 * A record is written anew so that DuckDB never sees its numbers as numbers: those of integer and decimal fields
 * become strings in plain notation, and a json value becomes a string that holds its own text. The staging statement for exact
 * rows takes both apart again.
 */
import { plainNumber } from '../../engine/decimal.ts';
import { objectMembers, writeObject } from '../../engine/exact-json.ts';
import { limits } from '../../engine/limits.ts';
import type { Stream } from '../../engine/stream.ts';
import { refusalOf } from './casts.ts';
import type { Connection } from './connection.ts';

/** What DuckDB's lenient reader took for JSON and is none (NaN, a comma too many) becomes unreadable here. */
const unreadable = '';

export function rewriteExactly(stream: Stream, line: string): string {
  const read = objectMembers(line);
  if (!read) return unreadable;
  const members: [string, string][] = [];
  for (const [name, value] of read.members) {
    const type = stream.field(name)?.type;
    if (type === 'json' && value !== 'null') members.push([name, JSON.stringify(value)]);
    else if (type === 'integer' || type === 'decimal') members.push([name, plainString(value)]);
    else members.push([name, value]);
  }
  if (read.repeated !== undefined) members.push([read.repeated, 'null']);
  return writeObject(members);
}

/** `1e3` and `"1e3"` as `"1000"`; what is no number stays as it is, to be refused. */
function plainString(value: string): string {
  const text = value.startsWith('"') ? (JSON.parse(value) as string) : value;
  const plain = plainNumber(text);
  if (plain !== undefined) return JSON.stringify(/[eE]/.test(text) ? plain : text);
  return value;
}

/** The value that was refused as it was written, where DuckDB may write it its own way (5.70 as 5.7). */
export function foundExactly(stream: Stream, line: string, refusal: number): string | undefined {
  const { code, field } = refusalOf(stream, refusal);
  if (field === undefined || code === 'too_old' || code === 'in_future') return undefined;
  return objectMembers(line)?.members.get(field)?.slice(0, limits.found_characters);
}

/** Puts such values into rows of a stage, by `_n`. */
export async function putFound(
  connection: Connection,
  table: string,
  found: Map<number, string>,
): Promise<void> {
  if (found.size === 0) return;
  const rows = [...found].map(([n, text]) => ({ n, text }));
  await connection.run(
    `update ${table} set _found = x.text from (
      select unnest(from_json($1::varchar, '[{"n":"INTEGER","text":"VARCHAR"}]'), recursive := true)) x
     where ${table}._n = x.n`,
    JSON.stringify(rows),
  );
}
