/**
 * A file of other people's columns (CSV, TSV, Parquet; plain, gzip, zstd), read for its columns and sums, and written
 * anew with the columns that a stream has. Text stays the text it was; what it is worth is for the import to say.
 *
 * It has a database of its own, in memory, which spills to a directory that the caller removes.
 */
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { separators } from '../../engine/csv.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { Compression, FileFormat } from '../../engine/store.ts';
import { unpackFile } from '../../engine/unpack.ts';
import { Connection } from './connection.ts';
import { rowsOfList } from './lists.ts';
import { literal, quote } from './names.ts';
import { readHeader } from './read-file.ts';

const memoryDefault = '512MB';

export interface ForeignFile {
  path: string;
  format: Exclude<FileFormat, 'ndjson'>;
  compression: Compression;
  /** Where it is unpacked, and what does not fit in memory is spilled; made and removed by the caller. */
  directory: string;
  signal: AbortSignal;
  memoryLimit: string | undefined;
  threads: number | undefined;
}

/** What becomes of it: where the value of each field comes from. */
export interface Reading {
  /** By field: its column. */
  columns: Record<string, string>;
  /** By field: what all rows have. */
  constants: Record<string, string>;
  /** The field of the id, and what stands before each of them. */
  id: string;
  idPrefix: string;
  /** The field by which it is summed, and those that are added up. */
  by: string;
  sums: string[];
  /** The field of the time; `from` is inclusive, `to` is not. A row whose time cannot be read is taken in any case. */
  time: string;
  from: string | undefined;
  to: string | undefined;
}

export class ForeignTable {
  /** Names and types. */
  readonly #types: Map<string, string>;
  readonly #connection: Connection;
  readonly #instance: DuckDBInstance;

  private constructor(instance: DuckDBInstance, connection: Connection, types: Map<string, string>) {
    this.#instance = instance;
    this.#connection = connection;
    this.#types = types;
  }

  /** Throws `unreadable_body` when it cannot be read. */
  static async open(given: ForeignFile): Promise<ForeignTable> {
    const file = await unpacked(given);
    const instance = await DuckDBInstance.create(':memory:', {
      temp_directory: file.directory,
      memory_limit: file.memoryLimit ?? memoryDefault,
      ...(file.threads === undefined ? {} : { threads: String(file.threads) }),
    });
    const connection = await Connection.open(instance);
    try {
      const described = await readable(file.path, async () => {
        await connection.execute(`create view given as select * from ${await readerOf(file)}`);
        return connection.askOnce('select column_name, column_type from (describe given)');
      });
      return new ForeignTable(
        instance,
        connection,
        new Map(described.map(([name, type]) => [String(name), String(type)])),
      );
    } catch (error) {
      connection.close();
      instance.closeSync();
      throw error;
    }
  }

  get columns(): string[] {
    return [...this.#types.keys()];
  }

  /**
   * A row for each value of `by`: the value, how many rows, the sums (null where nothing is a number) and the oldest
   * time, all as text. Rows with the ids that are given, and those with no id, are left out.
   */
  async summary(path: string, reading: Reading, refused: readonly string[]): Promise<(string | null)[][]> {
    const { sums, by, id, time } = reading;
    // As wide as it can be: what does not fit is refused by the stream, and then not among these rows.
    const added = sums.map(
      (field) => `sum(try_cast(${this.#text(reading, field)} as decimal(38, 10)))::varchar`,
    );
    const without =
      refused.length === 0
        ? ''
        : ` and ${this.#text(reading, id)} not in (select ${rowsOfList('$1', 'varchar')})`;
    const rows = await readable(path, () =>
      this.#connection.askOnce(
        `select ${this.#text(reading, by)}, count(*)::varchar, ${added.join(', ')},
           min(try_cast(${this.#text(reading, time)} as timestamptz))::varchar
         from given where ${this.#within(reading)}${without} group by 1 order by 1`,
        refused.length === 0 ? [] : [JSON.stringify(refused)],
      ),
    );
    return rows as (string | null)[][];
  }

  /** Writes the rows as Parquet, every value as text. Returns how many they are. */
  async write(path: string, reading: Reading, to: string): Promise<number> {
    const fields = [...Object.keys(reading.constants), ...Object.keys(reading.columns)];
    const selected = fields.map((field) => `${this.#text(reading, field)} as ${quote(field)}`);
    const [row] = await readable(path, () =>
      this.#connection.askOnce(
        `copy (select ${selected.join(', ')} from given where ${this.#within(reading)}) to ${literal(to)} (format parquet)`,
      ),
    );
    return Number(row![0]);
  }

  interrupt(): void {
    this.#connection.interrupt();
  }

  close(): void {
    this.#connection.close();
    this.#instance.closeSync();
  }

  /** A field's value as text. A time of Parquet is spelled in UTC, the zone of the connection; a date is its midnight. */
  #text({ columns, constants, id, idPrefix }: Reading, field: string): string {
    if (constants[field] !== undefined) return literal(constants[field]);
    const column = columns[field]!;
    const value = this.#types.get(column) === 'DATE' ? `${quote(column)}::timestamp` : quote(column);
    return field === id ? `(${literal(idPrefix)} || ${value}::varchar)` : `${value}::varchar`;
  }

  #within(reading: Reading): string {
    const { from, to } = reading;
    const time = `try_cast(${this.#text(reading, reading.time)} as timestamptz)`;
    return [
      'true',
      ...(from === undefined ? [] : [`coalesce(${time} >= ${literal(from)}::timestamptz, true)`]),
      ...(to === undefined ? [] : [`coalesce(${time} < ${literal(to)}::timestamptz, true)`]),
    ].join(' and ');
  }
}

/** DuckDB reads packed text, too, but takes a truncated file for a whole one. */
async function unpacked(file: ForeignFile): Promise<ForeignFile> {
  const { path, compression, directory, signal } = file;
  if (compression === 'none') return file;
  const plain = join(directory, 'unpacked');
  await unpackFile(path, plain, compression, signal);
  return { ...file, path: plain, compression: 'none' };
}

/** Nothing is guessed of a text: what the first row says are its columns, and a row of other cells is an error. */
async function readerOf({ path, format }: ForeignFile): Promise<string> {
  if (format === 'parquet') return `read_parquet(${literal(path)})`;
  const separator = separators[format];
  const header = await readHeader(path, separator, format === 'csv');
  const repeated = header.find((name, position) => header.indexOf(name) !== position);
  if (repeated !== undefined)
    throw new TallybookError('unreadable_body', `the header names "${repeated}" more than once`);
  const columns = header.map((name) => `${literal(name)}: 'varchar'`).join(', ');
  const quoting = format === 'csv' ? `quote = '"', escape = '"'` : "quote = '', escape = ''";
  return `read_csv(${literal(path)}, header = true, auto_detect = false, columns = {${columns}},
    delim = ${literal(separator)}, ${quoting}, comment = '', allow_quoted_nulls = false,
    max_line_size = ${limits.record_bytes})`;
}

async function readable<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TallybookError || /interrupt/i.test((error as Error).message)) throw error;
    // The line and what is wrong with it; what follows are options of DuckDB's.
    const why = (error as Error).message.split('\n').slice(0, 3).filter(Boolean).join('; ');
    throw new TallybookError('unreadable_body', `${path} cannot be read: ${why}`, { cause: error });
  }
}
