import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// All that is built on a store takes a quarter of an hour; a test of each system tells most of it.
const all = process.env.TALLYBOOK_TEST_ALL !== undefined;
const chosen = ['usage/random', 'events/asking', 'reports/at-once', 'occupancy/random'];

export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: [
      'test/clickhouse/*.test.ts',
      ...(all
        ? [
            ...['alerts', 'tallybook', 'webhooks'].map((name) => `test/engine/${name}.test.ts`),
            ...['access', 'alerts', 'bad-input', 'imports', 'reading', 'rejects', 'serving', 'writing'].map(
              (name) => `test/http/${name}.test.ts`,
            ),
            'test/systems/**/*.test.ts',
          ]
        : chosen.map((name) => `test/systems/${name}.test.ts`)),
    ],
    globalSetup: ['test/clickhouse/database.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
