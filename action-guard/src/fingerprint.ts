import { createHash } from 'node:crypto';
import { type Finding, type Severity, severities } from './rule.js';
import type { SourceFile, Tree } from './tree.js';

/** SHA-256 in hex: what is written down must not be the text itself, which may be a secret. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * What stays the same of a finding when lines move, as JSON: rule, path, status, and the digest of what it is about, which is
 * the text of its line unless it names something else. The same line twice gives the same fingerprint twice; whoever compares
 * counts them.
 */
export function fingerprint(rule: string, { at, status, subject }: Finding, tree: Tree, base?: Tree): string {
  return JSON.stringify([rule, at.path, status, subject ?? digest(lineOf(at, tree, base))]);
}

function lineOf({ path, line }: Finding['at'], tree: Tree, base?: Tree): string {
  try {
    const file = tree.file(path) ?? base?.file(path);
    return (file && linesOf(file)[line - 1]?.trim().slice(0, 500)) ?? '';
  } catch {
    return ''; // A file whose text no rule asked for: the path alone tells it.
  }
}

const known = new WeakMap<SourceFile, string[]>();

/** Split once: a file can have thousands of findings. */
function linesOf(file: SourceFile): string[] {
  const lines = known.get(file) ?? file.text.split('\n');
  known.set(file, lines);
  return lines;
}

/**
 * What was there before, or was accepted: each as often as it was, and as grave as it was. Whoever had a warning accepted had
 * no error accepted.
 */
export class Earlier {
  readonly #counts = new Map<string, Record<Severity, number>>();

  add(key: string, severity: Severity, count = 1): void {
    const counts = this.#counts.get(key) ?? { error: 0, warning: 0, info: 0 };
    counts[severity] += count;
    this.#counts.set(key, counts);
  }

  /** Whether there is one left that is at least as grave; if so, it is taken away. Ask for the gravest first. */
  take(key: string, severity: Severity): boolean {
    const counts = this.#counts.get(key);
    const found = severities
      .slice(0, severities.indexOf(severity) + 1)
      .reverse()
      .find((each) => counts && counts[each] > 0);
    if (!counts || !found) return false;
    counts[found]--;
    return true;
  }

  /** How many nobody took. */
  get left(): number {
    return [...this.#counts.values()].reduce((sum, { error, warning, info }) => sum + error + warning + info, 0);
  }
}
