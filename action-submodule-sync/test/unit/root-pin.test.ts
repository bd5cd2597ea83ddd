import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { surveyFromSubmodule } from '../../src/root-pin.js';
import type { Scratch } from '../../src/scratch.js';
import type { Workshop } from '../../src/workshop.js';
import { inputsOf, probeOf, rowOf } from './facts-of.js';

it('an error about one remote is told when the questions to the other have ended, as their folder is removed then', async () => {
  let ended = false;
  const scratches: Record<string, Pick<Scratch, 'fetch'>> = {
    origin: { fetch: () => Promise.reject(new Error('several submodules')) },
    alm: {
      fetch: async () => {
        await sleep(100);
        ended = true;
        return { code: 128, stdout: '', stderr: 'fatal: repository not found' };
      },
    },
  };
  const shop = { scratch: (_: string, key: string) => scratches[key.split('\0')[1] ?? ''] } as unknown as Workshop;
  const asked = surveyFromSubmodule(inputsOf({ mode: 'submodule', root: 'app' }), rowOf('x', [probeOf()]), shop);
  await expect(asked).rejects.toThrow('several submodules');
  expect(ended).toBe(true);
});
