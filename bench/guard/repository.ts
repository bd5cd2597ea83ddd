import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from '../measure.js';

/** A git repository with a pack and no work tree, as a checkout's objects are. */
export interface Repository {
  folder: string;
  /** @returns the commit of these files, upon the one before: what is not named stays. */
  commit(files: Iterable<readonly [path: string, text: string]>): Promise<string>;
  remove(): void;
}

export async function makeRepository(): Promise<Repository> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-bench-guard-'));
  await output('git', ['init', '--quiet', '--initial-branch=main', folder]);
  let last: string | undefined;
  return {
    folder,
    async commit(files) {
      const parts = ['commit refs/heads/main\ncommitter Acme <acme@example.com> 1700000000 +0000\ndata 6\nChange\n'];
      if (last) parts.push(`from ${last}\n`);
      for (const [path, text] of files)
        parts.push(`M 100644 inline ${JSON.stringify(path)}\ndata ${Buffer.byteLength(text)}\n${text}\n`);
      await fastImport(folder, parts.join(''));
      last = (await output('git', ['-C', folder, 'rev-parse', 'main'])).trim();
      return last;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Ten thousand files in a second, without a work tree. */
function fastImport(folder: string, stream: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['-C', folder, 'fast-import', '--quiet'], { stdio: ['pipe', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`git fast-import ended with ${code}`))));
    child.stdin.end(stream);
  });
}
