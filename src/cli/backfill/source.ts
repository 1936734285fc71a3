/**
 * What a backfill reads: a table of raw usage records, in a database or in a file. It is read in chunks, in the order
 * of its key; each chunk becomes a file that is imported as one unit. All of one run is of one moment.
 */
import type { FileFormat } from '../../engine/store.ts';
import type { UsageType } from '../../systems/usage/declarations.ts';
import type { Mapping } from './mapping.ts';

/** What is read, and how its columns become fields. */
export interface TableToRead {
  /** A table's or a file's name, as it was given. */
  name: string;
  /** Of all its rows; undefined where a column tells it. */
  type: UsageType | undefined;
  /** Stands before every id, so that ids of two tables stay apart; may be empty. */
  idPrefix: string;
  /** Timestamps in UTC; `from` is inclusive, `to` is not. */
  from: string | undefined;
  to: string | undefined;
}

export interface TypeSums {
  type: string;
  records: number;
  /** Plain numbers, exactly; null when there is no number to add. */
  price: string | null;
  used: string | null;
}

export interface Summary {
  sums: TypeSums[];
  /** The oldest time of usage, as text; null when no row has one. */
  oldest: string | null;
}

export interface Chunk {
  /** The key of its last row: the next chunk begins after it. */
  last: string;
  rows: number;
  format: FileFormat;
}

export interface BackfillSource {
  readonly table: TableToRead;
  readonly mapping: Mapping;
  /** For people and for the names of imports: where it is, with no password. */
  readonly place: string;
  /** Tells apart two contents under one name, where that can be told before it is read. */
  readonly version: string;
  /** Counts and adds up the rows, without those whose ids (as they are in Tallybook) are given. */
  summary(refused: readonly string[]): Promise<Summary>;
  /** Writes the rows after a key into a file; undefined when there are none left. */
  read(after: string | undefined, path: string, signal: AbortSignal): Promise<Chunk | undefined>;
}
