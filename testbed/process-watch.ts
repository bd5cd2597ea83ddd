import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Hit, secretSearch } from './secret-search.js';

export interface ProcessWatch {
  /** For the action: where its programs are found. */
  readonly PATH: string;
  /** What was found; and which of the programs were called, since where nobody was nobody tells anything. */
  stop(): Promise<{ hits: Hit[]; called: string[] }>;
}

/**
 * Looks at the command line and the environment of every process of this machine, as often as it can, for secrets; and at
 * those of every call of `programs`, however short. The watcher is a process of its own, so that nobody holds it up.
 *
 * @param own is in the command line of the action, whose own environment holds its inputs by contract
 */
export async function watchProcesses(
  secrets: Record<string, string>,
  own: string,
  programs: string[] = [],
): Promise<ProcessWatch> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-watch-'));
  const calls = join(folder, 'calls');
  mkdirSync(calls);
  for (const name of programs) {
    const real = execFileSync('which', [name], { encoding: 'utf8' }).trim();
    const note = `{ printf '%s\\n' "$@"; env; } > '${calls}/${name}.'$$`;
    writeFileSync(join(folder, name), `#!/bin/sh\n${note}\nexec '${real}' "$@"\n`);
    chmodSync(join(folder, name), 0o755);
  }
  const script = fileURLToPath(new URL('./process-watcher.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // A test that fails before `stop` must not wait for it; at the end of its stdin it ends.
  child.unref();
  for (const stream of [child.stdin, child.stdout] as Partial<Socket>[]) stream.unref?.();
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  // All keys of a kind begin with the same line, and tests beside this one have keys as well.
  const unique = Object.entries(secrets).map(([name, text]) => [name, text.replace(/^b3BlbnNzaC1rZXktdjEA.*\n/m, '')]);
  child.stdin.write(`${JSON.stringify({ secrets: Object.fromEntries(unique), own })}\n`);
  await lines.next();
  return {
    PATH: `${folder}:${process.env.PATH}`,
    async stop() {
      const closed = once(child, 'close');
      child.stdin.end('\n');
      const seen = JSON.parse((await lines.next()).value) as Hit[];
      await closed;
      const called = [...new Set(readdirSync(calls).map((name) => name.replace(/\.\d+$/, '')))];
      const hits = [...seen, ...secretSearch(secrets).inFiles(calls)];
      rmSync(folder, { recursive: true, force: true });
      return { hits, called };
    },
  };
}
