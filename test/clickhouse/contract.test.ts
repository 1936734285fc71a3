import { afterEach } from 'vitest';
import type { Store } from '../../src/engine/store.ts';
import { openClickHouseStore } from '../../src/stores/clickhouse/index.ts';
import { dropDatabase, openFreshStore } from '../clickhouse-store.ts';
import { storeContract } from '../contract/contract.ts';

const addresses = new Map<Store, string>();
/** Databases of which the last store was closed. */
const left = new Set<string>();
afterEach(async () => {
  for (const address of left) await dropDatabase(address);
  left.clear();
});

function remember(store: Store, address: string): Store {
  addresses.set(store, address);
  left.delete(address);
  const close = store.close.bind(store);
  store.close = async () => {
    await close();
    if (addresses.delete(store) && ![...addresses.values()].includes(address)) left.add(address);
  };
  return store;
}

storeContract({
  name: 'clickhouse',
  async open(clock) {
    const { store, address } = await openFreshStore(clock);
    return remember(store, address);
  },
  /** A process keeps nothing of its own: another one finds what there is. */
  async reopen(store, clock) {
    const address = addresses.get(store)!;
    const again = await openClickHouseStore({ address, clock });
    remember(again, address);
    await store.close();
    return again;
  },
  differences: {
    'numbers at a path keep the digits with which they were written':
      'ClickHouse reads a number inside json through a double when a question asks for a path into it; the record itself keeps every digit',
  },
});
