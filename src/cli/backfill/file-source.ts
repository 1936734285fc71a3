/** A file of raw usage: read as a whole, and one import. Which content it is, is told by its hash. */
import { plainNumber } from '../../engine/decimal.ts';
import { compressionOfFile, contentHash, formatOfName } from '../../engine/import-content.ts';
import { ForeignTable, type Reading } from '../../stores/duckdb/foreign-table.ts';
import { usageError } from '../outcome.ts';
import { type ColumnChoice, mappingOf } from './mapping.ts';
import type { BackfillSource, TableToRead } from './source.ts';

export interface FileSource extends BackfillSource {
  close(): void;
}

export interface FileReading {
  /** For what it writes down meanwhile; removed by the caller. */
  directory: string;
  memory: string | undefined;
  threads: number | undefined;
  signal: AbortSignal;
}

/** What stands for the key of the last row: there is one chunk. */
const wholeFile = 'end';

/** Throws `unreadable_body` when it cannot be read, `bad_settings` when a column is missing. */
export async function fileSource(
  table: TableToRead,
  choices: readonly ColumnChoice[],
  { directory, memory, threads, signal }: FileReading,
): Promise<FileSource> {
  const { name: path, type, idPrefix, from, to } = table;
  const format = formatOfName(path);
  if (format === undefined || format === 'ndjson')
    throw usageError(
      `the name ${path} tells no format that a backfill reads; expected .csv, .tsv or .parquet`,
    );
  const compression = await compressionOfFile(path);
  const version = await contentHash(path, compression, signal, () => undefined);
  const file = { path, format, compression, directory, memoryLimit: memory, threads, signal };
  const given = await ForeignTable.open(file);
  try {
    const mapping = mappingOf(path, type, given.columns, choices);
    const { type: typeColumn, ...columns } = mapping;
    const reading: Reading = {
      columns: typeColumn === undefined ? columns : { ...columns, type: typeColumn },
      constants: type === undefined ? {} : { type },
      id: 'id',
      idPrefix,
      by: 'type',
      sums: ['price', 'used'],
      time: 'usage_date',
      from,
      to,
    };
    return {
      table,
      mapping,
      place: path,
      version,
      async summary(refused) {
        const rows = await given.summary(path, reading, refused);
        const oldest = rows.flatMap(([, , , , time]) => (time == null ? [] : [time])).sort();
        return {
          sums: rows.map(([type, records, price, used]) => ({
            type: type ?? '',
            records: Number(records),
            price: price == null ? null : (plainNumber(price) ?? price),
            used: used == null ? null : (plainNumber(used) ?? used),
          })),
          oldest: oldest[0] ?? null,
        };
      },
      async read(after, target, signal) {
        if (after !== undefined) return undefined;
        const stop = (): void => given.interrupt();
        signal.addEventListener('abort', stop);
        try {
          return { last: wholeFile, rows: await given.write(path, reading, target), format: 'parquet' };
        } catch (error) {
          throw signal.aborted ? signal.reason : error;
        } finally {
          signal.removeEventListener('abort', stop);
        }
      },
      close: () => given.close(),
    };
  } catch (error) {
    given.close();
    throw error;
  }
}
