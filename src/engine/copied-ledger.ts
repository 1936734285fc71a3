/**
 * What a copy of a ledger is made of (ledger-copy.ts), and what a store offers so that its ledger can be read as it is
 * kept, and that it can be filled with another one's.
 */
import type { Micros } from './calendar.ts';
import { TallybookError } from './errors.ts';
import type { Mode, StreamState } from './store.ts';
import type { Rollup, Stream } from './stream.ts';
import type { VerdictCounts } from './verdicts.ts';

/** A store whose ledger can be copied. */
export interface CopiesLedger {
  readonly copiesLedger: true;
  /** Once its streams are prepared. */
  reader(): Promise<LedgerReader>;
  /** Of a store that was opened to be filled. */
  filler(): Promise<LedgerFiller>;
}

/** By what a copy is known again: where the original stood. */
export interface CopyMark {
  /** The last batch, its time, and how many parts there are. */
  batch: number;
  recorded_at: string;
  parts: number;
}

/** What a store keeps of a copy that it holds. */
export interface KeptCopy {
  of: CopyMark;
  finished: boolean;
}

/** A part of a batch. */
export interface CopiedPart {
  /** The original's own number; in a copy from 1, in the order of the commits. */
  number: bigint;
  batch: number;
  recordedAt: Micros;
  stream: string;
  mode: Mode;
  source: string;
  import: number | null;
  reason: string | null;
  counts: VerdictCounts;
}

export interface CopiedEntry {
  seq: bigint;
  part: bigint;
  sign: 1 | -1;
  reverses: bigint | null;
  id: string;
  /** Canonical texts, in the order of the stream's fields. */
  values: (string | null)[];
}

/** Entries up to a seq, and what was sent again of records up to there. */
export interface CopiedBlock {
  to: bigint;
  entries: CopiedEntry[];
  repeats: { seq: bigint; part: bigint }[];
}

/** A row of a rollup, of records that retention has dropped. */
export interface CopiedSums {
  /** The local date on which the bucket starts, in days since 1970; of hours and minutes the instant in microseconds. */
  bucket: string;
  by: (string | null)[];
  /** In units of the field's last digit. */
  sums: bigint[];
  count: bigint;
}

/** What can be counted of a stream without knowing what it is about. */
export interface Tally {
  entries: number;
  takenBack: number;
  repeats: number;
  lastSeq: bigint;
}

/** A ledger as it is kept. Nobody writes to it meanwhile, or what they write is not seen. */
export interface LedgerReader {
  mark(): Promise<CopyMark>;
  /** All parts, in the order of their commits. */
  parts(): AsyncIterable<CopiedPart[]>;
  /** Entries behind a seq, in the order of seqs. */
  blocks(stream: Stream, after: bigint): AsyncIterable<CopiedBlock>;
  droppedSums(stream: Stream, rollup: Rollup): AsyncIterable<CopiedSums[]>;
  /** The last seq that was given, to whatever has been dropped since. */
  lastSeq(stream: Stream): Promise<bigint>;
  tally(stream: Stream): Promise<Tally>;
}

/** What retention has done to a stream. */
export interface DroppedState extends StreamState {
  droppedBefore: Micros;
  /** See `lastSeq` of the reader. */
  lastSeq: bigint;
}

/** A store that is being filled. It is closed afterwards, and opened anew as a ledger. */
export interface LedgerFiller {
  /**
   * Begins a copy, or goes on with it. Throws `copy_refused` when the place holds anything else. The answer says whether
   * it is done already.
   */
  begin(mark: CopyMark): Promise<{ finished: boolean; parts: number }>;
  /** Parts behind those that it has. */
  addParts(parts: CopiedPart[]): Promise<void>;
  lastSeq(stream: Stream): Promise<bigint>;
  addBlock(stream: Stream, block: CopiedBlock): Promise<void>;
  /** What retention has done to a stream, whose rollups are filled; in one commit. */
  setDropped(
    stream: Stream,
    state: DroppedState,
    sums: AsyncIterable<{ rollup: Rollup; rows: CopiedSums[] }>,
  ): Promise<void>;
  /** From now on it is a ledger. */
  finish(): Promise<void>;
}

/** Entries of a block; parts that are written at a time; rows of sums that are read at a time, unless a bucket has more. */
export const blockRows = 10_000;

/** Buckets that are read at a time. */
export function bucketRanges(
  counts: readonly (readonly [bucket: bigint, rows: number])[],
): { from: bigint; to: bigint }[] {
  const ranges: { from: bigint; to: bigint; rows: number }[] = [];
  for (const [bucket, rows] of counts.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const last = ranges.at(-1);
    if (last && last.rows + rows <= blockRows) Object.assign(last, { to: bucket, rows: last.rows + rows });
    else ranges.push({ from: bucket, to: bucket, rows });
  }
  return ranges;
}

/** Throws `copy_refused`: what was begun is no copy of this ledger as it stands. */
export function checkMark(begun: CopyMark, mark: CopyMark): void {
  const same =
    begun.batch === mark.batch && begun.recorded_at === mark.recorded_at && begun.parts === mark.parts;
  if (same) return;
  throw new TallybookError(
    'copy_refused',
    `the copy that was begun here is of a ledger whose last batch was ${begun.batch} at ${begun.recorded_at}; this one's is ${mark.batch} at ${mark.recorded_at}: name the same ledger, or an empty place`,
  );
}

/** What was copied before it was stopped is no ledger yet. */
export function unfinishedCopy(place: string): TallybookError {
  return new TallybookError(
    'unfinished_copy',
    `${place} holds a copy that was not finished; run the same "tallybook copy" again, or empty it`,
  );
}

/** What stands there is not of a copy. */
export function notEmpty(place: string): TallybookError {
  return new TallybookError(
    'copy_refused',
    `${place} holds a ledger already; name an empty place to copy into`,
  );
}

/** A copy that was written to since it was finished is a ledger of its own. */
export function goneOn(place: string): TallybookError {
  return new TallybookError(
    'copy_refused',
    `${place} holds a copy that was finished and written to since; name an empty place to copy into`,
  );
}
