import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ran as RanBundle, runBundle } from '../bundle.js';
import { output } from '../measure.js';

/** The `report` output, as far as the bench looks into it. */
export interface Report {
  result: string;
  rules: { id: string; status: string; files: number }[];
  findings: { rule: string; at: { path: string; line: number }; old: boolean }[];
}

export type Ran = RanBundle<Report>;

/** The bundle on a repository. No name server and no other program is asked, so that the machine does not matter. */
export async function ours(inputs: Record<string, string>, env: Record<string, string> = {}): Promise<Ran> {
  const ran = await runBundle<Report>('action-guard', (folder) => ({
    inputs: { tools: 'false', 'fail-on': 'never', ...inputs },
    env: { GITHUB_WORKSPACE: inputs.repository ?? folder, ...env },
  }));
  const { code, log } = ran;
  if (code !== 0 || log.includes('please report it')) throw new Error(`guard went wrong:\n${log.slice(-4000)}`);
  return ran;
}

/** How many objects git is asked to hand over, `cat-file --batch`, in a run for this alone: counting takes its time. */
export async function blobsRead(inputs: Record<string, string>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-bench-git-'));
  try {
    await countingGit(folder);
    await ours(inputs, { PATH: `${folder}:${process.env.PATH}` });
    const asked = join(folder, 'asked');
    return existsSync(asked) ? readFileSync(asked, 'utf8').split('\n').filter(Boolean).length : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A git that notes what it is asked for; the guard gives git an environment of its own, so the place is in the script. */
async function countingGit(folder: string): Promise<void> {
  const git = (await output('sh', ['-c', 'command -v git'])).trim();
  const script = `#!/bin/sh
case " $* " in
*' cat-file --batch '*) tee -a '${folder}/asked' | '${git}' "$@" ;;
*) exec '${git}' "$@" ;;
esac
`;
  writeFileSync(join(folder, 'git'), script);
  chmodSync(join(folder, 'git'), 0o755);
}

/** Everything is loaded, and nothing is judged: the page of a rule is printed. */
export const startUp = () => ours({ explain: 'bot/mcp-missing' });
