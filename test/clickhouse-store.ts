/** Stores in databases of their own, on the ClickHouse whose host a variable names (test/clickhouse/database.ts). */
import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { Micros } from '../src/engine/calendar.ts';
import type { SharesLedger, Store } from '../src/engine/store.ts';
import { openClickHouseStore } from '../src/stores/clickhouse/index.ts';

export const clickHouseHost = process.env['TALLYBOOK_TEST_CLICKHOUSE'];

async function run(statement: string): Promise<void> {
  const answer = await fetch(`http://${clickHouseHost}/`, { method: 'POST', body: statement });
  if (!answer.ok) throw new Error(await answer.text());
}

/** Creates a database, and returns the address of a store in it. */
export async function freshDatabase(): Promise<string> {
  const database = `t_${randomUUID().replaceAll('-', '')}`;
  await run(`create database ${database}`);
  return `clickhouse://default@${clickHouseHost}/${database}`;
}

export async function dropDatabase(address: string): Promise<void> {
  await run(`drop database ${new URL(address).pathname.slice(1)} sync`);
}

export async function openFreshStore(clock?: () => Micros) {
  const address = await freshDatabase();
  return { store: await openClickHouseStore({ address, ...(clock ? { clock } : {}) }), address };
}

const databases = new Map<string, string>();

/** A store that is found again in the same directory, until the test ends. */
export async function openStoreOf(directory: string): Promise<Store & SharesLedger> {
  let address = databases.get(directory);
  if (address === undefined) {
    address = await freshDatabase();
    databases.set(directory, address);
    onTestFinished(() => dropDatabase(address!));
  }
  return openClickHouseStore({ address });
}
