import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000, interval: 100 } },
    pool: 'forks',
    // A browser and a server each: one file after the other.
    maxWorkers: 1,
    fileParallelism: false,
  },
});
