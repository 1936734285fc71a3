import { DuckDBInstance } from '@duckdb/node-api';
import { expect, onTestFinished, test } from 'vitest';
import { Connection } from '../../src/stores/duckdb/connection.ts';

test('what needs more memory than there may be used is told as that, and the connection goes on', async () => {
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: '16MB', threads: '1' });
  onTestFinished(() => instance.closeSync());
  const connection = await Connection.open(instance);
  onTestFinished(() => connection.close());
  // One value cannot be written to disk in parts.
  const value = "select strlen(string_agg(repeat('x', 1000), '')) from range(100000)";
  const error = await connection.askOnce(value).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'out_of_memory', retryAfter: 10 });
  expect((error as Error).message).toMatch(/more memory than the database may use.*--memory/);
  expect(await connection.askOnce('select 1')).toEqual([[1]]);
});
