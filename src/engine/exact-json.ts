/**
 * JSON read without losing a digit.
 *
 * `JSON.parse` turns numbers into doubles, and so does DuckDB's reader for numbers with a fraction. Here a
 * document is first checked by `JSON.parse` and then cut along its own text: the elements of an array, the
 * members of an object, each exactly as it was written (white space outside of strings dropped).
 */

/** Finds the end of a JSON string that starts at `at` (a quote): the index after its closing quote. */
function stringEnd(text: string, at: number): number {
  let end = text.indexOf('"', at + 1);
  while (end > 0) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 92) backslashes++;
    if (backslashes % 2 === 0) return end + 1;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/**
 * Drops white space outside of strings, and writes strings with the fewest escapes: `"\u0041\/"` is `"A/"`. Numbers
 * stay as they were written. The text must be valid JSON.
 */
export function minifyJson(text: string): string {
  if (!/[ \t\r\n\\]/.test(text)) return text;
  let out = '';
  let at = 0;
  while (at < text.length) {
    const quote = text.indexOf('"', at);
    const plain = quote < 0 ? text.slice(at) : text.slice(at, quote);
    out += plain.replace(/[ \t\r\n]+/g, '');
    if (quote < 0) break;
    at = stringEnd(text, quote);
    const string = text.slice(quote, at);
    out += string.includes('\\') ? fewestEscapes(string) : string;
  }
  return out;
}

/** Control characters that have no short escape are written as `\u001F`, in upper case, as DuckDB does. */
function fewestEscapes(string: string): string {
  const text = JSON.stringify(JSON.parse(string));
  return text.replace(/\\(?:u00([0-9a-f]{2})|.)/g, (escaped, hex?: string) =>
    hex ? `\\u00${hex.toUpperCase()}` : escaped,
  );
}

/** Puts numbers of more than so many characters in quotes. The text must be valid JSON. */
export function quoteLongNumbers(text: string, characters: number): string {
  const scan = /"|-?[0-9][0-9.eE+-]*/g;
  let out = '';
  let from = 0;
  for (let match = scan.exec(text); match; match = scan.exec(text)) {
    const [token] = match;
    if (token === '"') scan.lastIndex = stringEnd(text, match.index);
    else if (token.length > characters) {
      out += `${text.slice(from, match.index)}"${token}"`;
      from = scan.lastIndex;
    }
  }
  return out + text.slice(from);
}

/** How deep arrays and objects lie in each other: 0 for a string or a number. The text must be valid JSON. */
export function jsonLevels(text: string): number {
  let depth = 0;
  let deepest = 0;
  const scan = /["[\]{}]/g;
  for (let match = scan.exec(text); match; match = scan.exec(text)) {
    if (match[0] === '"') scan.lastIndex = stringEnd(text, match.index);
    else if (match[0] === '[' || match[0] === '{') deepest = Math.max(deepest, ++depth);
    else depth--;
  }
  return deepest;
}

/** `JSON.parse` that returns undefined for what is no JSON, and for strings that hold half a surrogate pair. */
export function parseStrictJson(text: string): { value: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    // An escaped half of a surrogate pair is no text that UTF-8 can hold.
    if (/\\u[dD][89a-fA-F]/.test(text)) JSON.parse(text, wellFormed);
    return { value };
  } catch {
    return undefined;
  }
}

function wellFormed(key: string, value: unknown): unknown {
  if (!isWellFormed(key) || (typeof value === 'string' && !isWellFormed(value)))
    throw new SyntaxError('half a surrogate pair');
  return value;
}

function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** Cuts the top level of a valid JSON array or object at its commas: the trimmed texts between them. */
function topLevelParts(text: string): string[] {
  const parts: string[] = [];
  const open = text.search(/[[{]/);
  let depth = 0;
  let start = open + 1;
  const scan = /["[\]{},]/g;
  scan.lastIndex = open;
  for (let match = scan.exec(text); match; match = scan.exec(text)) {
    switch (match[0]) {
      case '"':
        scan.lastIndex = stringEnd(text, match.index);
        break;
      case '[':
      case '{':
        depth++;
        break;
      case ',':
        if (depth === 1) {
          parts.push(text.slice(start, match.index).trim());
          start = match.index + 1;
        }
        break;
      default:
        depth--;
        if (depth === 0) {
          const last = text.slice(start, match.index).trim();
          if (last !== '' || parts.length > 0) parts.push(last);
          return parts;
        }
    }
  }
  return parts;
}

/** The elements of a JSON array, each as it was written; undefined when the text is no JSON array. */
export function arrayElements(text: string): string[] | undefined {
  const parsed = parseStrictJson(text);
  return parsed && Array.isArray(parsed.value) ? topLevelParts(text) : undefined;
}

/**
 * The members of a JSON object, each value as it was written, minified. Undefined when the text is no JSON
 * object. A name that occurs twice is listed in `repeated`; its last value counts here.
 */
export function objectMembers(
  text: string,
): { members: Map<string, string>; repeated: string | undefined } | undefined {
  const parsed = parseStrictJson(text);
  if (!parsed || typeof parsed.value !== 'object' || parsed.value === null || Array.isArray(parsed.value))
    return undefined;
  const members = new Map<string, string>();
  let repeated: string | undefined;
  for (const part of topLevelParts(text)) {
    const nameEnd = stringEnd(part, 0);
    const name = JSON.parse(part.slice(0, nameEnd)) as string;
    if (members.has(name)) repeated ??= name;
    members.set(name, minifyJson(part.slice(part.indexOf(':', nameEnd) + 1)));
  }
  return { members, repeated };
}

export function writeObject(members: Iterable<[string, string]>): string {
  const parts: string[] = [];
  for (const [name, value] of members) parts.push(`${JSON.stringify(name)}:${value}`);
  return `{${parts.join(',')}}`;
}

/** JSON that is written already, to stand in a value as it is. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * A value as JSON. A bigint is a number with all of its digits, whatever a reader makes of it. What needs none of that is
 * written by the language: a body of 20,000 rows in half of the time. The rest is written in one go, without lists of
 * members: a third of the time that those took.
 */
export function jsonOf(value: unknown): string {
  return isOrdinary(value) ? JSON.stringify(value) : exactJsonOf(value);
}

function isOrdinary(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'bigint';
  if (Array.isArray(value)) return value.every(isOrdinary);
  if (value instanceof JsonText) return false;
  for (const name in value) if (!isOrdinary((value as Record<string, unknown>)[name])) return false;
  return true;
}

function exactJsonOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value)))
    return String(value);
  if (typeof value !== 'object') return JSON.stringify(value);
  if (value instanceof JsonText) return value.text;
  let text = '';
  if (Array.isArray(value)) {
    for (const element of value) text += (text === '' ? '' : ',') + exactJsonOf(element ?? null);
    return `[${text}]`;
  }
  for (const name of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[name];
    if (member !== undefined) text += (text === '' ? '' : ',') + nameOf(name) + exactJsonOf(member);
  }
  return `{${text}}`;
}

/** Names of members as they are written, with the colon: the rows of a list have the same few. */
const names = new Map<string, string>();
const namesMost = 1_000;

function nameOf(name: string): string {
  let written = names.get(name);
  if (written === undefined) {
    written = `${JSON.stringify(name)}:`;
    if (names.size < namesMost) names.set(name, written);
  }
  return written;
}

/** A JSON merge patch (RFC 7396) on texts: what the patch does not touch keeps every digit. */
export function mergePatch(target: string, patch: string): string {
  const changes = objectMembers(patch);
  if (!changes) return minifyJson(patch);
  const members = objectMembers(target)?.members ?? new Map<string, string>();
  for (const [name, change] of changes.members) {
    if (change === 'null') members.delete(name);
    else members.set(name, mergePatch(members.get(name) ?? 'null', change));
  }
  return writeObject(members);
}
