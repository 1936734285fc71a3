/**
 * Tables as Parquet, written by DuckDB: integers of 64 bits, decimals with all of their digits, times in microseconds.
 * Sums have 38 digits, for they may be longer than what they add up.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Answer, Column } from '../../engine/store.ts';
import { literal, quote } from './names.ts';

export async function parquetBytes({ columns, rows }: Pick<Answer, 'columns' | 'rows'>): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'tallybook-parquet-'));
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', temp_directory: directory });
  try {
    const connection = await instance.connect();
    await connection.run("set timezone = 'UTC'");
    await connection.run(`create table cells (${columns.map((_, i) => `c${i} varchar`).join(', ')})`);
    const appender = await connection.createAppender('cells');
    for (const row of rows) {
      for (const cell of row) {
        if (cell === null) appender.appendNull();
        else appender.appendVarchar(String(cell));
      }
      appender.endRow();
    }
    appender.closeSync();
    const path = join(directory, 'table.parquet');
    const typed = columns.map((column, i) => `c${i}::${sqlType(column)} as ${quote(column.name)}`);
    await connection.run(
      `copy (select ${typed.join(', ')} from cells) to ${literal(path)} (format parquet, compression zstd)`,
    );
    connection.closeSync();
    return await readFile(path);
  } finally {
    instance.closeSync();
    await rm(directory, { recursive: true, force: true });
  }
}

function sqlType({ type, digits }: Column): string {
  switch (type) {
    case 'count':
      return 'bigint';
    case 'integer':
      return digits ? `decimal(${digits.precision}, 0)` : 'bigint';
    case 'decimal':
      return digits ? `decimal(${digits.precision}, ${digits.scale})` : 'varchar';
    case 'json':
    case 'text':
      return 'varchar';
    default:
      return type;
  }
}
