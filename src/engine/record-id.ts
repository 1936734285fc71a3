/**
 * Ids of records, as they come from outside of a record: from an address, or made for a record that brings none.
 */
import { createHash, randomUUID } from 'node:crypto';
import { TallybookError } from './errors.ts';
import { objectMembers, writeObject } from './exact-json.ts';
import { checkValue, type Field } from './field-types.ts';
import type { Stream } from './stream.ts';

/** The canonical text of an id: `7` of `07` where ids are integers. What does not fit the field stays as it is. */
export function canonicalId(stream: Stream, id: string): string {
  if (!stream.id || stream.id.type === 'text') return id;
  const checked = checkValue({ name: stream.id.name, type: stream.id.type } as Field, {
    kind: 'cell',
    text: id,
  });
  return 'code' in checked || checked.value === null ? id : checked.value;
}

/** Whether records of the stream may come with no id of their own, so that one must be made for them. */
export function idsMayBeMissing(stream: Stream): boolean {
  return !stream.id?.required;
}

/**
 * What the ids of one request start with. With an idempotency key it is the same for the same request, so that a
 * retry is made of duplicates; without one it is new.
 */
export function idPrefix(source: string, stream: Stream, idempotencyKey: string | undefined): string {
  if (idempotencyKey === undefined) return randomUUID();
  const parts = JSON.stringify([source, stream.name, idempotencyKey]);
  return createHash('sha256').update(parts).digest('hex').slice(0, 32);
}

/**
 * Ids by position, counted from 1 as the rows of a file are. The prefix is only made where records may come with
 * no id of their own.
 */
export function fallbackIds(stream: Stream, prefix: () => string, count: number): string[] {
  if (!idsMayBeMissing(stream)) return count === 1 ? [''] : new Array<string>(count).fill('');
  const start = prefix();
  return Array.from({ length: count }, (_, index) => `${start}:${index + 1}`);
}

/**
 * A record that is sent to an address with its id: the id is put into it where it is absent. Throws
 * `bad_request` when it names another. What is no JSON object stays as it is: it will be rejected.
 */
export function recordWithId(stream: Stream, id: string, text: string): string {
  const members = objectMembers(text)?.members;
  if (!members || !stream.id) return text;
  const { name } = stream.id;
  const given = members.get(name);
  if (given === undefined || given === 'null') {
    members.delete(name);
    return writeObject([[name, JSON.stringify(id)], ...members]);
  }
  const own = given.startsWith('"') ? (JSON.parse(given) as string) : given;
  if (canonicalId(stream, own) !== canonicalId(stream, id)) {
    throw new TallybookError(
      'bad_request',
      `the address names the record ${id}, the record itself says ${name} is ${own.slice(0, 100)}; make them the same, or leave ${name} out`,
    );
  }
  return text;
}
