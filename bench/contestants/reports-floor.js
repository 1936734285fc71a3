/**
 * The floor: DuckDB parses the reports into typed columns, all of them looked at, none of them kept. Amounts are decimals
 * of 18 digits, which is all that the made ones need; the ledger keeps 38.
 */
import { DuckDBInstance } from '@duckdb/node-api';
import { ownPeakBytes } from '../memory.js';

/** @param {{reports: {file: string}[]}} what */
export async function takeIn({ reports }) {
  const db = await DuckDBInstance.create(':memory:');
  const connection = await db.connect();
  const files = reports.map(({ file }) => `'${file.replaceAll("'", "''")}'`).join(', ');
  const start = performance.now();
  const parsed = await connection.runAndReadAll(
    `select count(*)::varchar, sum(usages)::varchar, sum(revenue)::varchar, max(dsp_id), max(title), max(artists), max(isrc)
     from read_csv([${files}], header = true, auto_detect = false, delim = '\t', quote = '', escape = '', columns = {
       dsp_id: 'varchar', title: 'varchar', artists: 'varchar', isrc: 'varchar',
       usages: 'bigint', revenue: 'decimal(18, 10)'
     })`,
  );
  const seconds = (performance.now() - start) / 1000;
  const [lines, usages, revenue] = parsed.getRows()[0];
  return { seconds, memory_bytes: ownPeakBytes(), sums: { lines, usages, revenue } };
}
