/** From the texts of a delivery to rows: the named values of each record, still as they were written. */
import { objectMembers, parseStrictJson } from './exact-json.ts';
import type { RawValue } from './field-types.ts';
import { limits } from './limits.ts';
import type { Mode, Texts } from './store.ts';

export interface Row {
  /** The record as it came, for the rejects. */
  original: string;
  encoding: 'utf8' | 'base64';
  /** By name; a value that is missing is undefined. Undefined as a whole when the row cannot be read. */
  members: ReadonlyMap<string, RawValue | undefined> | undefined;
  /** A field that is named twice. */
  repeated: string | undefined;
  /** Why the row of a file cannot be read. */
  fault: string | undefined;
  fallbackId: string;
}

/** Whether a text is longer than a record may be. */
export function isTooLong(text: string): boolean {
  // A character of a string is at most three bytes.
  return text.length * 3 > limits.record_bytes && Buffer.byteLength(text) > limits.record_bytes;
}

/** Why a row of a file that is longer cannot be read. */
export const tooLongFault = `it is longer than ${limits.record_bytes} bytes`;

export function readTexts(content: Texts, mode: Mode): Row[] {
  return content.texts.map((text, index) => {
    const bytes = content.undecodable?.get(index);
    const fallbackId = content.fallbackIds[index]!;
    return bytes === undefined ? readJson(text, mode, fallbackId) : undecodable(bytes, fallbackId);
  });
}

export function readJson(text: string, mode: Mode, fallbackId: string): Row {
  const unreadable = unread(text, fallbackId);
  if (isTooLong(text)) return unreadable;
  const object = objectMembers(text);
  if (object) {
    const members = new Map<string, RawValue>();
    for (const [name, raw] of object.members) members.set(name, { kind: 'json', text: raw });
    return {
      original: text,
      encoding: 'utf8',
      members,
      repeated: object.repeated,
      fault: undefined,
      fallbackId,
    };
  }
  const scalar = parseStrictJson(text)?.value;
  if (mode === 'retract' && (typeof scalar === 'string' || typeof scalar === 'number')) {
    return { ...unreadable, members: new Map([['id', { kind: 'json', text: text.trim() }]]) };
  }
  return unreadable;
}

/** A row of which nothing is known but its text. */
export function unread(original: string, fallbackId: string): Row {
  return {
    original,
    encoding: 'utf8',
    members: undefined,
    repeated: undefined,
    fault: undefined,
    fallbackId,
  };
}

export function undecodable(base64: string, fallbackId: string): Row {
  return { ...unread(base64, fallbackId), encoding: 'base64' };
}
