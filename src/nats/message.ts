/**
 * A delivery as a message of the log, and back. Nothing in the records is read: each is a text. What the store needs
 * to come to the same verdicts however often it gets the message is in it: above all the ids of records that bring none.
 */
import { createHash, randomUUID } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { limits } from '../engine/limits.ts';
import { type NamedDelivery, namedDelivery } from '../engine/named-delivery.ts';
import type { TextDelivery } from '../engine/store.ts';

/** A newer one, of a newer Tallybook, is not understood. */
const version = 1;

/** What a message says. */
export interface Message extends NamedDelivery {
  undecodable: Map<number, string>;
}

/** Known by the log: the same for the same request with the same idempotency key, and for each of our attempts. */
export function messageId(delivery: TextDelivery, key: string | undefined): string {
  if (key === undefined) return randomUUID();
  const { stream, form, mode, source, reason, content } = delivery;
  const undecodable = [...(content.undecodable ?? [])];
  const parts = [stream.name, form?.form, mode, source, reason, key, content.texts, undecodable];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}

/** Undefined when it is larger than the log takes, packed too. */
export function encodeMessage(delivery: TextDelivery, most: number): Buffer | undefined {
  const { texts, fallbackIds, ...names } = namedDelivery([delivery]);
  const bytes = Buffer.from(
    JSON.stringify({
      v: version,
      ...names,
      ids: prefixOf(fallbackIds) ?? fallbackIds,
      texts,
      undecodable: [...(delivery.content.undecodable ?? [])],
    }),
  );
  if (bytes.length <= most) return bytes;
  const packed = gzipSync(bytes, { level: 1 });
  return packed.length <= most ? packed : undefined;
}

/** Throws an Error that says what is wrong with it. */
export function decodeMessage(bytes: Uint8Array): Message {
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const plain = packed ? gunzipSync(bytes, { maxOutputLength: limits.body_bytes }) : Buffer.from(bytes);
  const text = plain.toString();
  const { v, stream, form, mode, source, reason, ids, texts, undecodable } = JSON.parse(text);
  if (v !== version) throw new Error(`it is of version ${v}; expected ${version}`);
  const isText = (value: unknown) => typeof value === 'string';
  if (!isText(stream) || !isText(source) || !['insert', 'upsert', 'retract'].includes(mode))
    throw new Error('it names no stream, source or mode');
  if (!Array.isArray(texts) || texts.length === 0 || !texts.every(isText))
    throw new Error('it holds no records');
  const fallbackIds = isText(ids) ? texts.map((_, index) => `${ids}:${index + 1}`) : ids;
  if (!Array.isArray(fallbackIds) || fallbackIds.length !== texts.length || !fallbackIds.every(isText))
    throw new Error('it has not as many ids as records');
  if (!Array.isArray(undecodable)) throw new Error('it does not say which of its texts are no text');
  return { stream, form, mode, source, reason, texts, fallbackIds, undecodable: new Map(undecodable) };
}

/** Ids that are a prefix and their positions, as they nearly always are, are told by the prefix. */
function prefixOf(ids: string[]): string | undefined {
  const prefix = ids[0]?.endsWith(':1') ? ids[0].slice(0, -2) : undefined;
  return prefix !== undefined && ids.every((id, index) => id === `${prefix}:${index + 1}`)
    ? prefix
    : undefined;
}
