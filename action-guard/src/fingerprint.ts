import type { Finding } from './rule.js';
import type { SourceFile, Tree } from './tree.js';

/**
 * What stays the same of a finding when lines move: rule, file, and the text of its line. The same line twice gives the same
 * fingerprint twice; whoever compares counts them. Plain text: it also stands in baselines, where people read it.
 */
export function fingerprint(rule: string, { at, status }: Finding, tree: Tree, base?: Tree): string {
  let line = '';
  try {
    const file = tree.file(at.path) ?? base?.file(at.path);
    line = (file && linesOf(file)[at.line - 1]?.trim().slice(0, 500)) ?? '';
  } catch {
    // A file whose text no rule asked for: the path alone tells it.
  }
  return JSON.stringify([rule, at.path, status, line]);
}

const known = new WeakMap<SourceFile, string[]>();

/** Split once: a file can have thousands of findings. */
function linesOf(file: SourceFile): string[] {
  const lines = known.get(file) ?? file.text.split('\n');
  known.set(file, lines);
  return lines;
}

/** How often each stands there. */
export function countAll(fingerprints: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const each of fingerprints) counts.set(each, (counts.get(each) ?? 0) + 1);
  return counts;
}
