import type { Connection } from '@gbo/shared/ssh/connection';
import { expect, it, vi } from 'vitest';
import { watch } from '../../src/soak.js';

const asked: number[] = [];
const soakMs = 250;

/** Healthy, but for the first look at or after the end of the soak. */
vi.mock('../../src/health.js', () => ({
  ask: async () => {
    const now = Date.now();
    asked.push(now);
    const missed = asked.some((at) => at < now && at >= (asked[0] ?? now) + soakMs);
    return now < (asked[0] ?? now) + soakMs || missed ? { healthy: true } : { healthy: false, why: 'no answer' };
  },
}));

it('one miss at the very end of the soak is chance: it is looked at again as late as at any other time', async () => {
  const health = [{ kind: 'command', command: 'true', timeoutMs: 5000 }] as never;
  const signal = new AbortController().signal;
  const healthy = await watch({} as Connection, { units: [], health, soakMs }, 'forward', new Map(), signal);
  expect(healthy).toBeLessThanOrEqual(asked[1] ?? 0);
  const gap = (asked.at(-1) ?? 0) - (asked.at(-2) ?? 0);
  expect(gap).toBeGreaterThanOrEqual(95);
});
