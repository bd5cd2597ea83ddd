import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { startOf } from '../../src/processes.js';
import { stopServer } from '../../src/sccache.js';

describe('a server of sccache that was asked to stop', () => {
  // As the kernel shows one for a moment on its way out: its memory is gone, its port is still taken.
  it('is there until its process is, whatever is left of its variables', async () => {
    const { pid = 0 } = spawn('/bin/sleep', ['0.5'], { env: {} });
    expect(startOf(pid)).toBeGreaterThan(0);
    expect(await stopServer({ pid, program: '/bin/true', env: {}, dir: '/nowhere' })).toBe(true);
    expect(startOf(pid)).toBeUndefined();
  });
});
