import { describe, it } from 'vitest';
import { ufw } from '../../src/rules/ufw/index.js';
import { survivesAnything } from './mutate.js';
import { testSamples } from './samples.js';

testSamples(ufw);

describe('broken files', () => {
  it('never throw, and findings stand within the file', () => {
    survivesAnything(
      ufw,
      ['etc/default/ufw', 'etc/ufw/ufw.conf', 'f.service', 'a.sh', 'a.md', 'ufw/user.rules'],
      Number(process.env.GUARD_FUZZ_RUNS ?? 300),
    );
  });
});
