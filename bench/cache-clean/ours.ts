import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startAction } from '../../testbed/run-action.js';

const bundle = fileURLToPath(new URL('../../action-cache-clean/dist/index.js', import.meta.url));
const peakMemory = fileURLToPath(new URL('./peak-memory.cjs', import.meta.url));

/** The `report` output, as far as the bench looks into it. */
interface Report {
  result: string;
  victimCount: number;
  longestLockMs?: number;
  places?: { moved: number; stayed: Record<string, number> }[];
  problems: string[];
}

export interface Ran {
  /** From the start of node to its end. */
  ms: number;
  /** Resident, at its most, in MB. */
  peak: number;
  report: Report;
}

/** The bundle as a runner starts it, on what is named and on nothing else. */
export async function ours(inputs: Record<string, string>): Promise<Ran> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-bench-run-'));
  const nothingElse = { 'cargo-home': 'none', targets: 'none', 'sccache-dir': 'none', 'runner-dir': 'none' };
  const env = { NODE_OPTIONS: `--require=${peakMemory}`, PEAK_MEMORY_FILE: join(folder, 'peak') };
  try {
    const began = performance.now();
    const running = startAction<Report>(bundle, { ...nothingElse, 'state-dir': join(folder, 'state'), ...inputs }, env);
    const { code, log, report } = await running.finished;
    const ms = performance.now() - began;
    if (code !== 0 || !report) throw new Error(`cache-clean went wrong:\n${log}`);
    return { ms, peak: (Number(readFileSync(env.PEAK_MEMORY_FILE, 'utf8')) * 1024) / 1e6, report };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
