/** Parquet files are read by DuckDB, in memory, into rows of CSV, which the reader of records takes from there. */
import { DuckDBInstance } from '@duckdb/node-api';
import { identifier, parquetColumns, quoted, readingParquet } from '../parquet-file.ts';

/** Writes the rows. Values keep all of their digits; what is null is an empty cell without quotes. Throws as parquetColumns does. */
export async function parquetRows(path: string, into: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '512MB' });
  try {
    const connection = await instance.connect();
    await connection.run("set timezone = 'UTC'");
    const columns = await parquetColumns(path, async (sql) =>
      (await connection.runAndReadAll(sql)).getRows(),
    );
    const texts = [...columns].map(([name, text]) => `${text} as ${identifier(name)}`);
    await readingParquet(() =>
      connection.run(
        `copy (select ${texts.join(', ')} from read_parquet(${quoted(path)})) to ${quoted(into)} (format csv, header, force_quote *)`,
      ),
    );
  } finally {
    instance.closeSync();
  }
}
