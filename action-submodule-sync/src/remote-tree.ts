import { GitFailed } from './git.js';
import { troubleOf, words } from './git-trouble.js';
import { readTree, type Tree } from './pins.js';
import { patiently } from './probe.js';
import type { Scratch } from './scratch.js';
import type { Trouble } from './states.js';

const TREE = 'refs/probe/tree';

/**
 * The pins and .gitmodules of a commit or branch that lies on a server: trees and one file, some kilobytes.
 * @param from a full hash, or `refs/heads/...`
 */
export async function readRemoteTree(
  scratch: Scratch,
  url: string,
  from: string,
): Promise<{ tree: Tree } | { trouble: Trouble }> {
  const answer = await patiently(() => scratch.fetch(url, [`+${from}:${TREE}`], '--depth=1', '--filter=blob:none'));
  const trouble = troubleOf(answer);
  if (trouble) return { trouble };
  try {
    const row = await scratch.git('ls-tree', '-z', '--full-tree', TREE, '--', '.gitmodules');
    const blob = /^\d+ blob ([0-9a-f]+)\t/.exec(row)?.[1];
    // Asked for by name, since git may not fetch by itself here. A server without filters has sent it already.
    if (blob && !(await isHere(scratch, blob))) {
      const missing = troubleOf(await patiently(() => scratch.fetchObject(url, blob)));
      if (missing) return { trouble: missing };
    }
    return { tree: await readTree(scratch.git, TREE) };
  } catch (error) {
    // No commit, or one without end.
    if (error instanceof GitFailed) return { trouble: { reason: 'other', said: words(error.said) } };
    throw error;
  }
}

async function isHere(scratch: Scratch, oid: string): Promise<boolean> {
  try {
    await scratch.git('cat-file', '-e', oid);
    return true;
  } catch {
    return false;
  }
}
