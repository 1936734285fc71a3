/**
 * What the memory store keeps: plain arrays, in order of arrival. Nothing here is summed, indexed or cached, so
 * that every answer is a recount and can be checked by reading. This is the oracle of the contract tests.
 *
 * A line is an entry (see `engine/store.ts`) whose values are kept by field name, because a stream may get
 * new fields while it runs: a record from before has no value there, which is null.
 */
import { formatTimestamp, type Micros } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import type { Values } from '../../engine/stage-record.ts';
import type { AsOf, Entry } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import type { VerdictCounts, VerdictName } from '../../engine/verdicts.ts';

export interface Line {
  seq: number;
  batch: number;
  recordedAt: Micros;
  sign: 1 | -1;
  reverses: number | null;
  source: string;
  import: number | null;
  reason: string | null;
  id: string;
  values: Values;
  /** Of the record that wrote the line; a correction writes two. */
  verdict: VerdictName;
}

/** A record that was sent again and changed nothing: kept for the fate of its id alone. */
export interface Repeat {
  seq: number;
  /** The line it was held against; for a second retraction the last line of its id. */
  of: number;
  batch: number;
  recordedAt: Micros;
  source: string;
  import: number | null;
  reason: string | null;
  id: string;
}

export interface StreamLedger {
  stream: Stream;
  lines: Line[];
  repeats: Repeat[];
  droppedBefore: Micros | undefined;
  /** Rollups that were declared after a drop: from when on they are complete. */
  rollupsCompleteFrom: Map<string, Micros>;
  /** By rollup: lines that retention dropped while the rollup was there. Its sums still count them. */
  droppedLines: Map<string, Line[]>;
}

export interface Batch {
  batch: number;
  recordedAt: Micros;
  receipts: (VerdictCounts & { received: number })[];
}

export interface Ledger {
  streams: Map<string, StreamLedger>;
  batches: Batch[];
  /** The last number given to a line or repeat, over all streams. */
  lastSeq: number;
}

export function emptyLedger(): Ledger {
  return { streams: new Map(), batches: [], lastSeq: 0 };
}

/** A ledger to write to, so that the one that is being read stays as it is until all has gone well. */
export function draftOf(ledger: Ledger): Ledger {
  const streams = new Map<string, StreamLedger>();
  for (const [name, kept] of ledger.streams) {
    streams.set(name, {
      ...kept,
      lines: [...kept.lines],
      repeats: [...kept.repeats],
      rollupsCompleteFrom: new Map(kept.rollupsCompleteFrom),
      droppedLines: new Map([...kept.droppedLines].map(([rollup, lines]) => [rollup, [...lines]])),
    });
  }
  return { streams, batches: [...ledger.batches], lastSeq: ledger.lastSeq };
}

export function streamLedger(ledger: Ledger, stream: Stream): StreamLedger {
  const kept = ledger.streams.get(stream.name);
  if (!kept)
    throw new TallybookError('unknown_stream', `the store has not been prepared for a stream ${stream.name}`);
  return kept;
}

/** The lines of records that stand: not taken back, as far as was known at a time. */
export function standingLines(lines: Line[], knownAt: Micros | undefined): Line[] {
  const known = lines.filter((line) => knownAt === undefined || line.recordedAt <= knownAt);
  const takenBack = new Set(known.map((line) => line.reverses));
  return known.filter((line) => line.sign === 1 && !takenBack.has(line.seq));
}

export function valueIn(values: Values, field: string): string | null {
  return values.get(field) ?? null;
}

export function valuesInOrder(stream: Stream, values: Values): (string | null)[] {
  return stream.fields.map((field) => valueIn(values, field.name));
}

export function entryOf(stream: Stream, line: Line): Entry {
  return {
    seq: String(line.seq),
    batch: line.batch,
    recorded_at: formatTimestamp(line.recordedAt),
    sign: line.sign,
    reverses: line.reverses === null ? null : String(line.reverses),
    source: line.source,
    import: line.import,
    reason: line.reason,
    id: line.id,
    values: valuesInOrder(stream, line.values),
  };
}

/** Up to where an answer is complete: the last batch that counts. With none it is batch 0, at the beginning of 1970. */
export function asOf(ledger: Ledger, knownAt: Micros | undefined): AsOf {
  const last = ledger.batches.findLast((batch) => knownAt === undefined || batch.recordedAt <= knownAt);
  return { batch: last?.batch ?? 0, recorded_at: formatTimestamp(last?.recordedAt ?? 0n) };
}
