/**
 * How an import stands: as it is told to those who ask, and as a record of the `_imports` stream.
 */
import { importsStream } from './built-in-streams.ts';
import { bookDelivery, valuesByName } from './own-books.ts';
import type { Delivery, Entry, FileFormat, Mode, Progress } from './store.ts';
import type { Receipt, VerdictCounts } from './verdicts.ts';
import type { Warning } from './warnings.ts';

export type ImportStatus = 'in_progress' | 'done' | 'failed' | 'undone';

export interface ImportProgress {
  step: 'waiting' | 'hashing' | Progress['step'];
  /** Of the file as it is stored. */
  bytes_done: number | null;
  bytes_total: number | null;
  rows: number;
  started_at: string;
  /** Since it started. */
  seconds: number;
}

export interface ImportCounts extends VerdictCounts {
  received: number;
  warnings?: Warning[];
  batch: number;
  recorded_at: string;
}

export interface ImportState {
  id: number;
  stream: string;
  name: string;
  mode: Mode;
  format: FileFormat;
  /** Name of the source that sent it. */
  source: string;
  status: ImportStatus;
  created_at: string;
  finished_at: string | null;
  bytes: number | null;
  /** Of the content; kept where rows get their ids from it. */
  sha256: string | null;
  error: string | null;
  counts: ImportCounts | null;
  /** While it is in progress. */
  progress: ImportProgress | null;
}

export const interruptedError = 'interrupted: the process stopped; nothing of it was kept; send it again';

export function countsOf(receipt: Receipt): ImportCounts {
  const { verdicts: _, ...counts } = receipt;
  return counts;
}

/** The record of `_imports` that says how an import stands. */
export function stateDelivery(state: ImportState): Delivery {
  const { progress: _, ...record } = state;
  return bookDelivery(importsStream, 'upsert', [JSON.stringify(record)]);
}

export function stateOfEntry(entry: Entry): ImportState {
  const values = valuesByName(importsStream, entry.values);
  return {
    id: Number(values.id),
    stream: values.stream!,
    name: values.name!,
    mode: values.mode as Mode,
    format: values.format as FileFormat,
    source: values.source!,
    status: values.status as ImportStatus,
    created_at: values.created_at!,
    finished_at: values.finished_at ?? null,
    bytes: values.bytes == null ? null : Number(values.bytes),
    sha256: values.sha256 ?? null,
    error: values.error ?? null,
    counts: JSON.parse(values.counts ?? 'null') as ImportCounts | null,
    progress: null,
  };
}
