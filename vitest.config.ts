import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Without times of an earlier run the largest files come first. These are small, and take minutes: last, they would run alone. */
const LONG = /\/exactly-once[^/]*\.spec\.ts$/;

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    globalSetup: ['test/postgres.setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // One more than the cores of the smallest machine: many tests wait for a peer, a commit or a restart.
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    // A worker takes file after file and reads the modules once: a second of processor time less for each file. What a file starts it ends itself.
    isolate: false,
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.spec.ts'] } },
      { extends: true, test: { name: 'whole', include: ['test/**/*.spec.ts'] } },
    ],
  },
});
