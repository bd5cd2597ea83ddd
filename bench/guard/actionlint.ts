import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { output } from '../measure.js';

const folder = join(homedir(), '.cache/gbo-actions/peers/bin');
const program = join(folder, 'actionlint');

/** Installs it when it is not here yet, once for all times; whether it is here. */
export async function installActionlint(say: (line: string) => void): Promise<boolean> {
  if (existsSync(program)) return true;
  say('  installing actionlint: a minute, once');
  mkdirSync(folder, { recursive: true });
  // A version by its name: what it knows is compared.
  const module = 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12';
  await output('go', ['install', module], { GOBIN: folder }).catch((error: unknown) =>
    say(`  ${String(error).split('\n')[0]}`),
  );
  return existsSync(program);
}

export interface Complaint {
  message: string;
  kind: string;
  filepath: string;
  line: number;
}

/** What Forgejo takes and GitHub does not: with these it would complain of every sound workflow, and so "find" every broken one. */
const forgejo = ['specifying action "https?://', 'undefined variable "forgejo"'];

/** What it says of files. Its one setting makes it know the runner's label; ShellCheck is no part of it. */
export function actionlint(root: string, files: string[], config: string): Promise<Complaint[]> {
  const args = [
    '-config-file',
    config,
    '-shellcheck=',
    '-pyflakes=',
    ...forgejo.flatMap((each) => ['-ignore', each]),
    '-format',
    '{{json .}}',
    ...files,
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) =>
      // 1: it has found something.
      code === 0 || code === 1 ? resolve(JSON.parse(stdout) as Complaint[]) : reject(new Error(stderr || stdout)),
    );
  });
}
