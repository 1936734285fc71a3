/** Parquet files are read by DuckDB, in memory, into rows of CSV, which the reader of records takes from there. */
import { DuckDBInstance } from '@duckdb/node-api';
import { TallybookError } from '../../engine/errors.ts';
import type { Stream } from '../../engine/stream.ts';

const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** Returns the path of the rows. Values keep all of their digits; what is null is an empty cell without quotes. */
export async function parquetRows(path: string, stream: Stream, into: string): Promise<string> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '512MB' });
  try {
    const connection = await instance.connect();
    await connection.run("set timezone = 'UTC'");
    const described = await connection.runAndReadAll(
      `select column_name, column_type from (describe select * from read_parquet(${text(path)}))`,
    );
    const columns = described.getRows().map(([name, type]) => textOf(String(name), String(type)));
    await connection.run(
      `copy (select ${columns.join(', ')} from read_parquet(${text(path)})) to ${text(into)} (format csv, header, force_quote *)`,
    );
    return into;
  } catch (error) {
    throw new TallybookError(
      'unreadable_body',
      `the file for ${stream.name} is no Parquet file that can be read (${(error as Error).message.split('\n')[0]}); write it again`,
      { cause: error },
    );
  } finally {
    instance.closeSync();
  }
}

function textOf(name: string, type: string): string {
  const value = identifier(name);
  if (/\[\]$|^(STRUCT|MAP|LIST)/.test(type)) return `to_json(${value})::varchar as ${value}`;
  if (type === 'TIMESTAMP WITH TIME ZONE') return `cast(${value} at time zone 'UTC' as varchar) as ${value}`;
  return `cast(${value} as varchar) as ${value}`;
}
