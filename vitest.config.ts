import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Vitest begins with the large files. This one is small and takes minutes: at the end, all the others would wait for it. */
const FIRST = '/action-cache-clean/test/real/stress.test.ts';

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => (moduleId.endsWith(FIRST) ? 0 : 1);
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

/** The four floors of tests (CONTRIBUTING.md). A file's folder says on which floor it is. */
const floors = [
  // The floor takes seconds; a single test may meet a machine that is busy with the others.
  { name: 'unit', seconds: 60 },
  { name: 'contract', seconds: 60 },
  // They start servers and containers, which takes its time on two busy cores.
  { name: 'real', seconds: 180 },
  { name: 'fault', seconds: 300 },
  // Not a floor: comparisons with real programs that take minutes to build, by `npm run oracles`.
  { name: 'oracle', seconds: 1800 },
];

export default defineConfig({
  test: {
    pool: 'forks',
    // One more than the cores of the CI: the servers and containers of the upper floors are waited for a third of the time.
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    projects: floors.map(({ name, seconds }) => ({
      extends: true as const,
      test: {
        name,
        include: [
          `{packages,action-}*/**/test/${name}/**/*.test.ts`,
          `{testbed,demo,docs,bench}/test/${name}/**/*.test.ts`,
        ],
        testTimeout: seconds * 1000,
        hookTimeout: 600_000, // the first start of a systemd host builds its root file system
      },
    })),
  },
});
