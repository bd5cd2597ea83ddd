import { expect, test } from 'vitest';
import { sccaches } from '../../../testbed/sccache.js';
import { kinds, stress } from '../stress.js';

// Two minutes in all, whatever there is. `bench/cache-clean/stress.ts` does the same for as long as one likes.
const all = await sccaches();

for (const sccache of all) {
  test(`no build fails while the action evicts everything again and again (${sccache.version})`, {
    timeout: 900_000,
  }, async () => {
    const { failed, evicted, cargos } = await stress(120_000 / all.length, sccache, () => {});
    expect(failed).toEqual([]);
    // Else nothing was shown.
    for (const kind of kinds) {
      expect(evicted[kind], kind).toBeGreaterThan(0);
    }
    expect(Object.keys(cargos)).toEqual(expect.arrayContaining(['build', 'test', 'check']));
  });
}
