/** Stores in databases of their own, on the ClickHouse whose host a variable names (test/clickhouse/serve.ts). */
import { randomUUID } from 'node:crypto';
import type { Micros } from '../src/engine/calendar.ts';
import type { Store } from '../src/engine/store.ts';
import { openClickHouseStore } from '../src/stores/clickhouse/index.ts';

export const clickHouseHost = process.env['TALLYBOOK_TEST_CLICKHOUSE'];

/** Creates a database, and returns the address of a store in it. */
export async function freshDatabase(): Promise<string> {
  const database = `t_${randomUUID().replaceAll('-', '')}`;
  const answer = await fetch(`http://${clickHouseHost}/`, {
    method: 'POST',
    body: `create database ${database}`,
  });
  if (!answer.ok) throw new Error(await answer.text());
  return `clickhouse://default@${clickHouseHost}/${database}`;
}

export async function openFreshStore(clock?: () => Micros): Promise<{ store: Store; address: string }> {
  const address = await freshDatabase();
  return { store: await openClickHouseStore({ address, ...(clock ? { clock } : {}) }), address };
}
