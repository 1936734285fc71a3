/**
 * The store port: where a ledger lives. Nine verbs, none optional, with the same meaning in every store;
 * `test/contract` runs one suite against all of them, with the memory store as the oracle.
 */
import type { Micros } from './calendar.ts';
import type { TallybookError } from './errors.ts';
import type { FieldType } from './field-types.ts';
import type { Form } from './forms.ts';
import type { Plan } from './plan.ts';
import type { Selection } from './question.ts';
import type { RecordCheck } from './record-check.ts';
import type { Stream } from './stream.ts';
import type { Sums } from './sums.ts';
import type { Receipt, VerdictCounts, VerdictName } from './verdicts.ts';

export type Mode = 'insert' | 'upsert' | 'retract';
export const fileFormats = ['csv', 'tsv', 'ndjson', 'parquet'] as const;
export type FileFormat = (typeof fileFormats)[number];
export type Compression = 'none' | 'gzip' | 'zstd';

/** What one request or file brings: the unit that gets a receipt. */
export interface Delivery {
  stream: Stream;
  /** The form of the stream in which its records come; the stream's own when not given. Retractions have none. */
  form?: Form | undefined;
  mode: Mode;
  /** Name of the source that sent it. */
  source: string;
  /** Kept with the entries of a correction or retraction. */
  reason: string | undefined;
  content: Texts | File | StandingOfImport;
  /** What its records are held against beyond their declaration; the writer puts it in. */
  check?: RecordCheck | undefined;
  /** List every verdict in the receipt, not only the first that were not accepted. */
  allVerdicts: boolean;
  /**
   * Nothing of the call is published unless all of this is accepted: throws `superseded`. So of several processes that
   * would do the same, one does it. Of records in memory only.
   */
  mustBeNew?: boolean | undefined;
}

/** Records in memory: the text of one JSON object each. For mode retract: `{"id": …}` or a JSON string, the id. */
export interface Texts {
  kind: 'texts';
  texts: string[];
  /** For a record with no id of its own: the id it gets, by position. */
  fallbackIds: string[];
  /** Texts that are no text: the original bytes, in base64, by position; `texts` holds '' there. */
  undecodable?: Map<number, string>;
  /** When this replays rejects: their ids, by position. What passes, or stands already, leaves the list in the same commit. */
  replays?: string[];
}

/** A delivery of records in memory. */
export type TextDelivery = Delivery & { content: Texts };

/** A file of records. It becomes visible whole or not at all, and others are served meanwhile. */
export interface File {
  kind: 'file';
  path: string;
  format: FileFormat;
  compression: Compression;
  /** A row with no id of its own gets `prefix:row`, rows counted from 1 without the header. */
  idPrefix: string;
  /**
   * The prefix was never used before in this stream, whose records have no ids of their own: so all rows are new, and
   * need not be compared with anything.
   */
  newIds?: boolean;
  /** The import this belongs to; entries remember it, so that it can be undone. */
  import: number | undefined;
  onProgress: (progress: Progress) => void;
  /** Aborting leaves nothing behind. */
  signal: AbortSignal | undefined;
  /** Everything that stands and was brought by this import is taken back in the same commit; with `newIds` only. */
  replaces?: number | undefined;
  /** Deliveries of texts, made from the receipt and published in the same commit: how the import ended. */
  alongside: ((receipt: Receipt) => Delivery[]) | undefined;
}

/** For mode retract: everything that stands and was brought by an import. */
export interface StandingOfImport {
  kind: 'standing_of_import';
  import: number;
  onProgress: (progress: Progress) => void;
  signal: AbortSignal | undefined;
  alongside: ((receipt: Receipt) => Delivery[]) | undefined;
}

/** A delivery that travels alone. */
export type FileDelivery = Delivery & { content: File | StandingOfImport };

/** The delivery that takes back what an import brought which is replaced by the file of another delivery. */
export function takingBack(
  replacing: Delivery & { content: File },
  replaced: number,
): Delivery & { content: StandingOfImport } {
  const { onProgress, signal, import: by } = replacing.content;
  return {
    ...replacing,
    form: undefined,
    check: undefined,
    mode: 'retract',
    reason: `replaced by import ${by}`,
    content: { kind: 'standing_of_import', import: replaced, onProgress, signal, alongside: undefined },
    allVerdicts: false,
  };
}

export interface Progress {
  step: 'staging' | 'comparing' | 'publishing';
  /** Of the file as it is stored; undefined where it is not known. */
  bytes_done: number | undefined;
  bytes_total: number | undefined;
  rows: number;
}

/** A line of the ledger: a record with sign +1, or -1 when it is taken back. */
export interface Entry {
  /** Order of arrival within the stream. */
  seq: string;
  batch: number;
  recorded_at: string;
  sign: 1 | -1;
  /** For sign -1: the seq of the entry that is taken back. */
  reverses: string | null;
  source: string;
  import: number | null;
  reason: string | null;
  id: string;
  /** Canonical texts, in the order of the stream's fields. */
  values: (string | null)[];
}

export interface EntriesRequest extends Selection {
  stream: Stream;
  /** Only records that stand (as of knownAt); else every entry, taken back or not. */
  standing: boolean;
  newestFirst: boolean;
  /** Only what this source sent. */
  source?: string | undefined;
  /** The last seq of the page before. */
  after: string | undefined;
  limit: number;
}

/**
 * What became of an id, oldest first: one line for each time it was sent. Within a batch: what was taken in, then
 * repeats, then what was refused.
 */
export interface FateLine {
  verdict: VerdictName;
  batch: number;
  recorded_at: string;
  source: string;
  import: number | null;
  /** As given with what was sent; the code of a conflict or reject. */
  reason: string | null;
  /** The record as it stands after this line; for `retracted`, as it was taken back; null for `duplicate`. */
  values: (string | null)[] | null;
}

export interface Fate {
  /** The record as it stands now, or null. */
  standing: Entry | null;
  lines: FateLine[];
}

export interface AsOf {
  batch: number;
  recorded_at: string;
}

export interface Column {
  name: string;
  /** `count` columns are JSON numbers; everything else is text, but booleans. */
  type: FieldType | 'count';
  /** Of decimals, and of sums of integers, which may have more than 64 bits. */
  digits?: { precision: number; scale: number };
}

export interface Answer {
  columns: Column[];
  /** Canonical texts, numbers for counts, booleans for booleans. */
  rows: (string | number | boolean | null)[][];
  /** `ledger` or `rollup NAME`. */
  from: string;
  /** Up to where the answer is complete. */
  as_of: AsOf;
  /** There are more rows than the limit let through. */
  more: boolean;
}

export interface Check {
  /** The invariant, such as `rollup daily equals the ledger`. */
  check: string;
  stream: string;
  ok: boolean;
  detail: string;
}

export interface StreamState {
  /** Records before this time have been dropped by retention. */
  droppedBefore: Micros | undefined;
  /** Rollups that were declared after records had been dropped: from when on they are complete. */
  rollupsCompleteFrom: Map<string, Micros>;
}

export interface Store {
  /**
   * Creates what the streams need, and migrates what exists: new fields, new rollups (filled from the ledger in
   * the same commit). Repeating it changes nothing. Returns the state of each stream by name.
   */
  prepare(streams: Stream[]): Promise<Map<string, StreamState>>;
  /**
   * Checks, compares ids and publishes in one commit: ledger, rollups, rejects, receipts. Returns one receipt per
   * delivery, after the commit. Calls may overlap. A delivery with a file travels alone. Either all of it is in
   * the next answer, or the call throws and nothing of it is.
   */
  publish(deliveries: Delivery[]): Promise<Receipt[]>;
  /** Answers a planned question. */
  ask(plan: Plan): Promise<Answer>;
  /**
   * Answers questions that `planSums` has planned, at least one, all of one stream and of one snapshot. Throws
   * `sum_out_of_range` for a sum beyond 64 bits.
   */
  sums(plans: readonly Plan[]): Promise<Sums>;
  /** Lists entries, by order of arrival. */
  entries(request: EntriesRequest): Promise<Entry[]>;
  fate(stream: Stream, id: string): Promise<Fate>;
  /** Housekeeping: drops records before a time, compacts rollups. Sums do not change. Returns rows dropped. */
  tend(work: { drop: { stream: Stream; before: Micros }[]; compact: boolean }): Promise<{ dropped: number }>;
  /** Recounts everything from the ledger and compares. */
  verify(): Promise<Check[]>;
  close(): Promise<void>;
}

/** A store of which a copy can be taken into a directory while it runs. */
export interface BacksUp {
  readonly backsUpToDirectory: true;
  backup(directory: string): Promise<void>;
}

/** A store that can come to an end while it is open. */
export interface MayFail {
  /** Calls back when it can do nothing any more until it is opened again. */
  whenFailed(listener: (error: TallybookError) => void): void;
}

/** A store to which other processes write, too, and which tells of it. */
export interface SharesLedger {
  readonly sharesLedger: true;
  /** Calls back, until it is closed, soon after others have committed: with what that did to each stream, by name. */
  follow(listener: (counts: Map<string, VerdictCounts>) => void): void;
}
