import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A repository of its own, with a git that has no settings but these. */
export interface ScratchRepository {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Runs git there and gives its stdout. @throws Error for an exit code other than 0 */
  git(args: string[], input?: string | Buffer): string;
  /** A commit of a tree as `git mktree -z` takes it: rows `MODE TYPE OID\tPATH`. Objects need not be there. */
  commitTree(rows: string[]): string;
  blob(text: string | Buffer): string;
  remove(): void;
}

export function scratchRepository(): ScratchRepository {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-scratch-'));
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: 'Acme',
    GIT_AUTHOR_EMAIL: 'acme@example.com',
    GIT_COMMITTER_NAME: 'Acme',
    GIT_COMMITTER_EMAIL: 'acme@example.com',
  };
  const git = (args: string[], input: string | Buffer = '') =>
    execFileSync('git', args, { cwd: folder, env, input, stdio: ['pipe', 'pipe', 'pipe'] })
      .toString()
      .trim();
  git(['init', '--quiet', '--template=', '--initial-branch=main']);
  return {
    folder,
    env,
    git,
    commitTree: (rows) =>
      git(['commit-tree', '-m', 'Acme', git(['mktree', '-z', '--missing'], rows.map((row) => `${row}\0`).join(''))]),
    blob: (text) => git(['hash-object', '-w', '--stdin'], text),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
