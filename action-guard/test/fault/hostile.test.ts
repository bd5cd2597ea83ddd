import { describe, expect, it } from 'vitest';
import { families } from '../../src/families.js';
import { judge } from '../../src/judge.js';
import { readPolicy } from '../../src/policy.js';
import { suppressionsIn } from '../../src/suppressions.js';
import { treeOf } from '../../src/tree.js';
import { kinds } from './hostile-files.js';

/**
 * A second each is the promise; half a second is what the slowest takes. Two are allowed, as the machine may be slow.
 * Processor time, so that what else the machine does counts for little. What takes the square of its length takes minutes.
 */
const MOST_MS = 2_000;

describe('a megabyte that somebody made to hang the guard', () => {
  const policy = readPolicy(undefined, 'policy', families);
  const cases = Object.entries(kinds).flatMap(([name, { path, beside, texts }]) =>
    texts.map((text, index) => ({
      title: `${name} ${index}: ${show(text)}`,
      files: { ...beside, [path]: text },
      path,
    })),
  );

  it.each(cases)('$title', ({ files, path }) => {
    const head = treeOf(files);
    const before = process.cpuUsage();
    const { found: suppressions, bad: badSuppressions } = suppressionsIn(
      head.file(path) as NonNullable<ReturnType<typeof head.file>>,
    );
    const { findings } = judge({
      families,
      policy,
      head,
      tools: new Map(),
      baseTools: new Map(),
      suppressions,
      badSuppressions,
      baseline: new Map(),
      today: '2027-01-31',
    });
    const { user, system } = process.cpuUsage(before);
    expect(findings.filter(({ message }) => message.includes('please report it'))).toEqual([]);
    expect((user + system) / 1000).toBeLessThan(MOST_MS);
  });
});

function show(text: string): string {
  return JSON.stringify(text.slice(0, 40)).replaceAll('%', '%%').replaceAll('$', '');
}
