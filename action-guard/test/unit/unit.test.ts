import { describe, it } from 'vitest';
import { unit } from '../../src/rules/unit/index.js';
import { survivesAnything } from './mutate.js';
import { testSamples } from './samples.js';

testSamples(unit);

describe('broken files', () => {
  it('never throw, and findings stand within the file', () => {
    survivesAnything(
      unit,
      ['ui.service', 'ui.service.d/a.conf', 'system.service'],
      Number(process.env.GUARD_FUZZ_RUNS ?? 300),
    );
  });
});
