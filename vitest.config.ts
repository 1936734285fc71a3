import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'console/test/*.test.ts'],
    // Packages of their own: one needs a browser, one a ClickHouse.
    exclude: ['test/browser/**', 'test/clickhouse/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Processes of their own: a test may open a database, and DuckDB's threads want the cores too.
    pool: 'forks',
    maxWorkers: 2,
  },
});
