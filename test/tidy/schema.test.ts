/**
 * The tables as text: `docs/schema.sql` is what the DuckDB store makes for the stream of docs/examples/usage.json.
 * `npx vitest run test/tidy/schema.test.ts --update` writes it anew.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, onTestFinished, test } from 'vitest';
import type { StreamDeclaration } from '../../src/engine/declaration.ts';
import { defineStream } from '../../src/engine/stream.ts';
import {
  type Cluster,
  commitTables,
  rollupTables,
  streamTables as streamTablesOnClickHouse,
  schemaVersion as versionOnClickHouse,
} from '../../src/stores/clickhouse/schema.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { bookTables, rollupTable, schemaVersion, streamTables } from '../../src/stores/duckdb/schema.ts';
import { read, root } from './source-files.ts';

const usage = defineStream('usage', JSON.parse(read('docs/examples/usage.json')) as StreamDeclaration);

function schemaText(): string {
  const rollups = usage.rollups.map(
    (rollup) =>
      `-- kept sums: partial ones of each batch, merged now and then\n${rollupTable(usage, rollup)};`,
  );
  return `-- The tables of a ledger that holds the stream of docs/examples/usage.json, as the DuckDB store makes them.
-- Schema version ${schemaVersion}. Written by test/tidy/schema.test.ts, which keeps it true.

${[bookTables, streamTables(usage), ...rollups].map(unindented).join('\n\n')}
`;
}

/** Without the indent that the text has in the code. */
function unindented(sql: string): string {
  return sql
    .trim()
    .replace(/^ {2}(?! )/gm, '')
    .replace(/^ {4}/gm, '  ');
}

test('docs/schema.sql is what the code makes', async () => {
  await expect(schemaText()).toMatchFileSnapshot(join(root, 'docs/schema.sql'));
});

function clickHouseText(cluster: Cluster | undefined): string {
  const statements = [
    ...commitTables(cluster),
    ...streamTablesOnClickHouse(usage, cluster),
    ...usage.rollups.flatMap((rollup) => rollupTables(usage, rollup, cluster)),
  ];
  return `-- The tables of a ledger that holds the stream of docs/examples/usage.json, as the ClickHouse store makes them
-- on ${cluster ? 'a cluster' : 'a single server'}. Schema version ${versionOnClickHouse}. Written by test/tidy/schema.test.ts, which keeps it true.

${statements.map((statement) => `${statement};`).join('\n\n')}
`;
}

test('docs/clickhouse.sql and docs/clickhouse-cluster.sql are what the code makes', async () => {
  const cluster = { name: 'main', database: 'tallybook' };
  await expect(clickHouseText(undefined)).toMatchFileSnapshot(join(root, 'docs/clickhouse.sql'));
  await expect(clickHouseText(cluster)).toMatchFileSnapshot(join(root, 'docs/clickhouse-cluster.sql'));
});

test('a ledger has these tables, and no others', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-schema-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const store = await openDuckDBStore({ directory, memoryLimit: '256MB', threads: 1 });
  await store.prepare([usage]);
  await store.close();
  const made = await columnsOf(join(directory, 'tallybook.duckdb'), '');
  expect(made.length).toBeGreaterThan(0);
  expect(await columnsOf(':memory:', read('docs/schema.sql'))).toEqual(made);
});

async function columnsOf(path: string, sql: string): Promise<string[]> {
  const instance = await DuckDBInstance.create(path, { threads: '1' });
  const connection = await instance.connect();
  try {
    if (sql !== '') await connection.run(sql);
    const result = await connection.runAndReadAll(`
      select concat_ws(' ', schema_name, table_name, column_name, data_type) from duckdb_columns()
      where not internal order by schema_name, table_name, column_index`);
    return result.getRows().map(([column]) => String(column));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
