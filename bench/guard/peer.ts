import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { output } from '../measure.js';

const folder = join(homedir(), '.cache/gbo-actions/peers/bin');

/**
 * Installs a peer written in Go when it is not here yet, once for all times; whether it is here.
 * @param module with a version by its name: what it knows is compared
 */
export async function installPeer(
  name: string,
  module: string,
  takes: string,
  say: (line: string) => void,
): Promise<boolean> {
  const program = join(folder, name);
  if (existsSync(program)) return true;
  say(`  installing ${name}: ${takes}, once`);
  mkdirSync(folder, { recursive: true });
  await output('go', ['install', module], { GOBIN: folder, GOFLAGS: '-p=2' }).catch((error: unknown) =>
    say(`  ${String(error).split('\n')[0]}`),
  );
  return existsSync(program);
}

/** Runs it to its end; rejects only when it cannot be started, since an exit code of 1 is mostly a complaint. */
export function runPeer(
  name: string,
  args: string[],
  cwd: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(folder, name), args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
