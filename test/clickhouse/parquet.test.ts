/** Parquet files on their way into ClickHouse: DuckDB reads them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { parquetRows } from '../../src/stores/clickhouse/parquet.ts';
import { makeDirectory } from '../http/open-app.ts';

test('a Parquet file that is damaged, or holds far more than it weighs, is refused without our paths', async () => {
  const directory = makeDirectory();
  const path = join(directory, 'made.parquet');
  const rows = join(directory, 'rows.csv');
  const database = await (await DuckDBInstance.create()).connect();
  await database.run(
    `copy (select '${'p'.repeat(100_000)}' as page from range(2000)) to '${path}' (format parquet)`,
  );
  database.closeSync();
  await expect(parquetRows(path, rows)).rejects.toMatchObject({ code: 'too_large' });
  writeFileSync(path, 'PAR1 and nothing more');
  const damaged = await parquetRows(path, rows).catch((error: unknown) => error);
  expect(damaged).toMatchObject({ code: 'unreadable_body', message: expect.stringContaining('damaged') });
  expect((damaged as Error).message).not.toContain(directory);
});
