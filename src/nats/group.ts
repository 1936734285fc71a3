/**
 * Which messages share a commit. A store writes all of a batch that share stream, form, mode, source and reason as one
 * part, and the parts in the order in which each first appears. So a message may join only where that does not put it
 * before one that came earlier: a correction must not overtake a record, nor another correction. Records that are only
 * inserted may: those of several sources arrive in no particular order anyway.
 */
import { limits } from '../engine/limits.ts';
import type { Message } from './message.ts';

interface Parts {
  keys: Set<string>;
  last: string;
  onlyInserts: boolean;
}

export type Grouped = Pick<Message, 'stream' | 'form' | 'mode' | 'source' | 'reason'>;

/** How many of the messages that wait, in their order, the next commit takes. */
export function groupLength(
  waiting: readonly { message: Grouped | undefined; records: number; bytes: number }[],
): number {
  const streams = new Map<string, Parts>();
  let records = 0;
  let bytes = 0;
  for (let i = 0; i < waiting.length; i++) {
    const { message, ...size } = waiting[i]!;
    records += size.records;
    bytes += size.bytes;
    if (i > 0 && (records > limits.batch_records || bytes > limits.batch_bytes)) return i;
    if (message && !joins(streams, message)) return i;
  }
  return waiting.length;
}

function joins(streams: Map<string, Parts>, { stream, form, mode, source, reason }: Grouped): boolean {
  const key = JSON.stringify([form, mode, source, reason]);
  const parts = streams.get(stream);
  if (!parts) {
    streams.set(stream, { keys: new Set([key]), last: key, onlyInserts: mode === 'insert' });
    return true;
  }
  const among = parts.onlyInserts && mode === 'insert';
  if (parts.keys.has(key) && key !== parts.last && !among) return false;
  parts.keys.add(key);
  parts.last = key;
  parts.onlyInserts &&= mode === 'insert';
  return true;
}
