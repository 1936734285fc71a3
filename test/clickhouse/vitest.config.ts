import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// What is built on a store beside the four systems: it takes some minutes more, and tells little new.
const others = [
  ...['alerts', 'tallybook', 'webhooks'].map((name) => `engine/${name}`),
  ...['access', 'alerts', 'bad-input', 'imports', 'reading', 'rejects', 'serving', 'writing'].map(
    (name) => `http/${name}`,
  ),
];
const all = process.env.TALLYBOOK_TEST_ALL !== undefined;

export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: [
      'test/clickhouse/*.test.ts',
      'test/systems/**/*.test.ts',
      ...(all ? others.map((name) => `test/${name}.test.ts`) : []),
    ],
    globalSetup: ['test/clickhouse/database.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
