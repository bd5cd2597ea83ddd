import { linkSync, mkdirSync, mkdtempSync, realpathSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** What a small tree is made of, by path: a text, a number of KB, a link `=> other` or `-> symbolic`, or null for an empty folder. */
export type Tree = Record<string, string | number | null>;

export function temporaryFolder(): string {
  return realpathSync(mkdtempSync(join(tmpdir(), 'gbo-tree-')));
}

/** Makes it; a time for all of it, in ms, or by the beginning of the path. */
export function plant(root: string, tree: Tree, at: number | Record<string, number> = {}): string {
  mkdirSync(root, { recursive: true });
  for (const [path, what] of Object.entries(tree)) {
    const full = join(root, path);
    mkdirSync(what === null ? full : dirname(full), { recursive: true });
    if (typeof what === 'number') writeFileSync(full, Buffer.alloc(what * 1024, path));
    else if (what?.startsWith('=> ')) linkSync(join(root, what.slice(3)), full);
    else if (what?.startsWith('-> ')) symlinkSync(what.slice(3), full);
    else if (what !== null) writeFileSync(full, what);
  }
  // Files first: making one changes the time of its folder.
  for (const path of Object.keys(tree)) {
    const time = typeof at === 'number' ? at : timeOf(path, at);
    if (time === undefined || String(tree[path]).startsWith('-> ')) continue;
    for (let each = path; each !== '.'; each = dirname(each)) utimesSync(join(root, each), time / 1000, time / 1000);
  }
  return root;
}

function timeOf(path: string, at: Record<string, number>): number | undefined {
  const begins = Object.keys(at).filter((each) => path.startsWith(each));
  return at[begins.sort((a, b) => b.length - a.length)[0] ?? ''];
}
