import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Each file starts servers and perhaps a browser of its own; the machine has two cores.
    pool: 'forks',
    maxWorkers: 1,
  },
});
