/**
 * What becomes of a record: one verdict each, given after the commit.
 *
 * The order of precedence, first match wins. It is the same in every store:
 *  1. `rejected` unreadable        no JSON object, or a row that cannot be read
 *  2. `rejected` unreadable        a field named twice
 *  3. `rejected` unknown_field     a field that the stream does not declare
 *  4. `rejected` by its values     in the order in which the fields are declared
 *  5. `rejected` too_old, in_future  by the stream's horizon and tolerance
 *  6. `rejected` by a check        that a system has registered for the stream (record-check.ts)
 *  7. by its id, against what stands before it, earlier records of the same batch included:
 *     insert: `accepted`, else `duplicate` (same content) or `conflict` (other content)
 *     upsert: `accepted`, else `duplicate` (same content) or `corrected`
 *     retract: `retracted`, else `duplicate` (taken back before), else `rejected` not_found
 */
import type { ValueCode } from './field-types.ts';
import type { Warning } from './warnings.ts';

export const verdictNames = [
  'accepted',
  'duplicate',
  'corrected',
  'conflict',
  'rejected',
  'retracted',
] as const;
export type VerdictName = (typeof verdictNames)[number];

export type RejectCode =
  | ValueCode
  | 'unreadable'
  | 'unknown_field'
  | 'too_old'
  | 'in_future'
  | 'conflict'
  | 'not_found'
  | 'schema_violation'
  | 'unknown_type'
  | 'not_committed';

export interface Verdict {
  /** Position of the record in what was sent, from 0; blank lines do not count. */
  index: number;
  /** The record's id, as sent or as given to it; null where none could be read. */
  id: string | null;
  verdict: VerdictName;
  code?: RejectCode;
  field?: string;
  message?: string;
}

export interface VerdictCounts {
  accepted: number;
  duplicates: number;
  corrected: number;
  conflicts: number;
  rejected: number;
  retracted: number;
}

export const countOfVerdict: Record<VerdictName, keyof VerdictCounts> = {
  accepted: 'accepted',
  duplicate: 'duplicates',
  corrected: 'corrected',
  conflict: 'conflicts',
  rejected: 'rejected',
  retracted: 'retracted',
};

export function noCounts(): VerdictCounts {
  return { accepted: 0, duplicates: 0, corrected: 0, conflicts: 0, rejected: 0, retracted: 0 };
}

/** The verdicts of what was sent in one request or file. received = the sum of the six counts. */
export interface Receipt extends VerdictCounts {
  batch: number;
  recorded_at: string;
  received: number;
  /** Of a file whose stream warns of something: what was met, and how often. */
  warnings?: Warning[];
  /** All verdicts, when they were asked for; else the first that were not accepted. */
  verdicts: Verdict[];
}

const unreadableText =
  'the record is no JSON object; send one object such as {"id":"a1","amount":"2.50"} a line';

/** The messages of refusals that concern the record as a whole. */
export const recordMessages = {
  unreadable: unreadableText,
  unreadable_row: (reason: string) => `the row cannot be read: ${reason}`,
  repeated_field: (name: string) => `the record names the field ${name} more than once`,
  unknown_field: (name: string, declared: readonly string[]) =>
    `the stream has no field ${name}; its fields are ${declared.join(', ')}`,
  too_old: (time: string, horizon: string) =>
    `the record's time ${time} lies before ${horizon}, the oldest time the stream still takes`,
  in_future: (time: string, latest: string) =>
    `the record's time ${time} lies after ${latest}, the latest time the stream takes now`,
  conflict:
    'a record with this id and other content stands already; to correct it, send it with mode=upsert or PUT it',
  not_found: 'there is no record with this id to take back',
};
