/** Runs report.sql with the DuckDB that is installed with Tallybook. With DuckDB's own command: `duckdb -f report.sql`. */
import { readFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

const duckdb = await DuckDBInstance.create();
const connection = await duckdb.connect();
const reader = await connection.runAndReadAll(readFileSync('report.sql', 'utf8'));
for (const row of reader.getRows()) console.log(row.map(String).join('  '));
