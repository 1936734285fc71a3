import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import type { Store } from '../../src/engine/store.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { storeContract } from './contract.ts';

const root = mkdtempSync(join(tmpdir(), 'tallybook-duckdb-'));
const directories = new Map<Store, string>();
let opened = 0;
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** What was acknowledged before it came into the database is what became of it there. */
const wronglyTold: string[] = [];
process.on('warning', (warning: Error & { code?: string }) => {
  if (warning.code === 'TALLYBOOK_VERDICT') wronglyTold.push(warning.message);
});
afterAll(() => expect(wronglyTold).toEqual([]));

async function open(directory: string, clock: () => bigint): Promise<Store> {
  const store = await openDuckDBStore({ directory, clock, memoryLimit: '512MB', threads: 2 });
  directories.set(store, directory);
  return store;
}

storeContract({
  name: 'duckdb',
  open: (clock) => open(join(root, `store-${++opened}`), clock),
  /** A copy of the files, taken while the store has them open, is what a killed process leaves. */
  async reopen(store, clock) {
    const copy = join(root, `store-${++opened}`);
    cpSync(directories.get(store)!, copy, { recursive: true });
    await store.close();
    return open(copy, clock);
  },
  differences: {
    'numbers at a path keep the digits with which they were written':
      'DuckDB reads a number inside json through a double when a question asks for a path into it; the record itself keeps every digit',
  },
});
