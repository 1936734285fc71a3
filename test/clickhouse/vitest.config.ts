import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    // Its own tests, and those of all that is built on a store.
    include: [
      'test/clickhouse/*.test.ts',
      ...['alerts', 'tallybook', 'webhooks'].map((name) => `test/engine/${name}.test.ts`),
      ...['access', 'alerts', 'bad-input', 'imports', 'reading', 'rejects', 'serving', 'writing'].map(
        (name) => `test/http/${name}.test.ts`,
      ),
      'test/systems/**/*.test.ts',
    ],
    globalSetup: ['test/clickhouse/database.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
