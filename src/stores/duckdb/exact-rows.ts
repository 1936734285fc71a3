/**
 * The exact reader, for the few JSON records whose numbers a double could not hold (see stage.ts).
 *
 * A record is written anew so that DuckDB never sees its numbers as numbers: those of integer and decimal fields
 * become strings in plain notation, and a json value becomes a string that holds its own text. The staging statement for exact
 * rows takes both apart again.
 */
import { plainNumber } from '../../engine/decimal.ts';
import { objectMembers, writeObject } from '../../engine/exact-json.ts';
import type { Stream } from '../../engine/stream.ts';

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
