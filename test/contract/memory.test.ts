import { openMemoryStore } from '../../src/stores/memory/index.ts';
import { storeContract } from './contract.ts';

storeContract({
  name: 'memory',
  open: async (clock) => openMemoryStore({ clock }),
  differences: {
    'the same rows come from zstd': 'Node 20 cannot unpack it; the store refuses with unsupported_format',
    'the same rows come from Parquet':
      'nothing in it reads Parquet; the store refuses with unsupported_format',
  },
});
