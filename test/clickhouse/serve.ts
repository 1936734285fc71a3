/** One ClickHouse for all test files; they find it by this variable. */
import { serveClickHouse } from './database.ts';

export default async function setup(): Promise<() => Promise<void>> {
  const given = process.env['TALLYBOOK_TEST_CLICKHOUSE'];
  if (given !== undefined) return async () => undefined;
  const served = await serveClickHouse();
  process.env['TALLYBOOK_TEST_CLICKHOUSE'] = served.host;
  return served.stop;
}
