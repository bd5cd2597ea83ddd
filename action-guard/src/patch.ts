import { createTwoFilesPatch } from 'diff';
import type { Judged } from './judge.js';
import type { Tree } from './tree.js';

/**
 * What can be mended by itself, as one patch for `git apply`. Two answers for one file cannot both be taken: the first wins,
 * the next run gives the other.
 */
export function patchOf(findings: Judged[], tree: Tree): string {
  const texts = new Map<string, string>();
  for (const { fix } of findings) {
    for (const [path, text] of Object.entries(fix ?? {})) if (!texts.has(path)) texts.set(path, text);
  }
  return patchOfFiles(texts, tree);
}

/** New texts by path, as one patch. */
export function patchOfFiles(texts: ReadonlyMap<string, string>, tree: Tree): string {
  return [...texts].map(([path, text]) => filePatch(path, textOf(tree, path), text)).join('');
}

function filePatch(path: string, before: string | undefined, after: string): string {
  if (before === after) return '';
  const body = createTwoFilesPatch(
    before === undefined ? '/dev/null' : `a/${path}`,
    `b/${path}`,
    before ?? '',
    after,
    '',
    '',
    { context: 3 },
  );
  const header = `diff --git a/${path} b/${path}\n${before === undefined ? 'new file mode 100644\n' : ''}`;
  return (
    header +
    body
      .split('\n')
      .filter((line) => !line.startsWith('====='))
      .map((line) => line.replace(/^(---|\+\+\+) (.*)\t$/, '$1 $2'))
      .join('\n')
  );
}

/** Undefined when it is not there, or was not read. */
export function textOf(tree: Tree, path: string): string | undefined {
  try {
    return tree.file(path)?.text;
  } catch {
    return undefined;
  }
}
