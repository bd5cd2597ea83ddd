import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Inputs } from './inputs.js';
import { type NetworkGit, networkGit } from './network-git.js';
import { createScratch, type Scratch } from './scratch.js';

/** The private folder of a run: configuration with tokens, keys, scratch repositories. */
export interface Workshop {
  readonly network: NetworkGit;
  /** A scratch repository for questions about this commit; the same one for the same key. */
  scratch(sha: string, key: string): Scratch;
  /** Requests and bytes of everything so far. */
  cost(): { requests: number; bytes: number };
  /** Removes all of it. */
  close(): void;
}

export function openWorkshop(inputs: Inputs, env: NodeJS.ProcessEnv, signal: AbortSignal): Workshop {
  const folder = mkdtempSync(join(env.RUNNER_TEMP || tmpdir(), 'gbo-submodule-sync-'));
  chmodSync(folder, 0o700);
  const close = () => rmSync(folder, { recursive: true, force: true });
  try {
    const network = networkGit(inputs, folder, env, signal);
    const scratches = new Map<string, Scratch>();
    return {
      network,
      close,
      scratch(sha, key) {
        const scratch = scratches.get(key) ?? createScratch(folder, sha, network, env);
        scratches.set(key, scratch);
        return scratch;
      },
      cost: () =>
        [...scratches.values()].reduce(
          (sum, { cost }) => ({ requests: sum.requests + cost.requests, bytes: sum.bytes + cost.bytes }),
          { requests: 0, bytes: 0 },
        ),
    };
  } catch (error) {
    close();
    throw error;
  }
}
