import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startAction } from '../../testbed/run-action.js';
import { output } from '../measure.js';

export const bundle = fileURLToPath(new URL('../../action-guard/dist/index.js', import.meta.url));
const peakMemory = fileURLToPath(new URL('../cache-clean/peak-memory.cjs', import.meta.url));

/** The `report` output, as far as the bench looks into it. */
export interface Report {
  result: string;
  rules: { id: string; status: string; files: number }[];
  findings: { rule: string; at: { path: string; line: number }; old: boolean }[];
}

export interface Ran {
  /** From the start of node to its end. */
  ms: number;
  /** Resident in node, at its most, in MB. */
  peak: number;
  /** Objects that git was asked to hand over, `cat-file --batch`. */
  blobs: number;
  report?: Report;
}

/** The bundle as a runner starts it. No name server and no other program is asked, so that the machine does not matter. */
export async function ours(inputs: Record<string, string>): Promise<Ran> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-bench-run-'));
  const env = {
    NODE_OPTIONS: `--require=${peakMemory}`,
    PEAK_MEMORY_FILE: join(folder, 'peak'),
    GITHUB_WORKSPACE: inputs.repository ?? folder,
    ...(inputs.countBlobs ? { PATH: `${await countingGit(folder)}:${process.env.PATH}` } : {}),
  };
  const { countBlobs: _, ...given } = inputs;
  try {
    const began = performance.now();
    const running = startAction<Report>(bundle, { tools: 'false', 'fail-on': 'never', ...given }, env);
    const { code, log, report } = await running.finished;
    const ms = performance.now() - began;
    if (code !== 0 || log.includes('please report it')) throw new Error(`guard went wrong:\n${log.slice(-4000)}`);
    const peak = (Number(readFileSync(env.PEAK_MEMORY_FILE, 'utf8')) * 1024) / 1e6;
    const asked = join(folder, 'asked');
    const blobs = existsSync(asked) ? readFileSync(asked, 'utf8').split('\n').filter(Boolean).length : 0;
    return { ms, peak, blobs, report };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A git that notes what it is asked for; the guard gives git an environment of its own, so the place is in the script. */
async function countingGit(folder: string): Promise<string> {
  const git = (await output('sh', ['-c', 'command -v git'])).trim();
  const script = `#!/bin/sh
case " $* " in
*' cat-file --batch '*) tee -a '${folder}/asked' | '${git}' "$@" ;;
*) exec '${git}' "$@" ;;
esac
`;
  writeFileSync(join(folder, 'git'), script);
  chmodSync(join(folder, 'git'), 0o755);
  return folder;
}

/** Everything is loaded, and nothing is judged: the page of a rule is printed. */
export const startUp = () => ours({ explain: 'bot/mcp-missing' });
