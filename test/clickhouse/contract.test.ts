import type { Store } from '../../src/engine/store.ts';
import { openClickHouseStore } from '../../src/stores/clickhouse/index.ts';
import { openFreshStore } from '../clickhouse-store.ts';
import { storeContract } from '../contract/contract.ts';

const addresses = new Map<Store, string>();

storeContract({
  name: 'clickhouse',
  async open(clock) {
    const { store, address } = await openFreshStore(clock);
    addresses.set(store, address);
    return store;
  },
  /** A process keeps nothing of its own: another one finds what there is. */
  async reopen(store, clock) {
    const address = addresses.get(store)!;
    const again = await openClickHouseStore({ address, clock });
    addresses.set(again, address);
    await store.close();
    return again;
  },
  differences: {
    'numbers at a path keep the digits with which they were written':
      'ClickHouse reads a number inside json through a double when a question asks for a path into it; the record itself keeps every digit',
  },
});
