import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['test/postgres.setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // One more than the cores of the smallest machine: many tests wait for a peer, a commit or a restart.
    maxWorkers: 3,
    projects: [
      // Beside the code: many and small, so one process reads the modules for all of its files.
      { extends: true, test: { name: 'unit', include: ['src/**/*.spec.ts'], isolate: false } },
      { extends: true, test: { name: 'whole', include: ['test/**/*.spec.ts'] } },
    ],
  },
});
