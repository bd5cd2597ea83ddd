import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Finished, startAction } from '../testbed/run-action.js';

const peakMemory = fileURLToPath(new URL('./peak-memory.cjs', import.meta.url));

/** What a run of a bundle took, and what is left of it. */
export interface Ran<Report> extends Finished<Report> {
  /** From the start of node to its end. */
  ms: number;
  /** Resident in node, at its most, in MB. */
  peak: number;
}

/** The bundle of an action as a runner starts it, on inputs and variables that may lie in a folder of the run. */
export async function runBundle<Report>(
  action: string,
  given: (folder: string) => { inputs: Record<string, string>; env?: Record<string, string> },
): Promise<Ran<Report>> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-bench-run-'));
  try {
    const { inputs, env } = given(folder);
    const bundle = fileURLToPath(new URL(`../${action}/dist/index.js`, import.meta.url));
    const peakFile = join(folder, 'peak');
    const began = performance.now();
    const finished = await startAction<Report>(bundle, inputs, {
      NODE_OPTIONS: `--require=${peakMemory}`,
      PEAK_MEMORY_FILE: peakFile,
      ...env,
    }).finished;
    const ms = performance.now() - began;
    return { ...finished, ms, peak: (Number(readFileSync(peakFile, 'utf8')) * 1024) / 1e6 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
