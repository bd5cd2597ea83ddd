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

/**
 * Eight times the text takes eight times as long, by and large, and up to twenty where it no longer fits the processor's
 * cache; what takes the square of it takes 64 times. Between them there is room for a machine that is busy with others.
 */
const MOST_GROWTH = 32;
const FLOOR_MS = 20;
const WORTH_MS = 200;

describe('a megabyte that somebody made to hang the guard', () => {
  const policy = readPolicy(undefined, 'policy', families);
  const cases = Object.entries(kinds).flatMap(([name, { path, beside, texts }]) =>
    texts.map((text, index) => ({
      title: `${name} ${index}: ${show(text)}`,
      files: { ...beside, [path]: text },
      path,
    })),
  );

  /** Milliseconds of the processor that it takes to judge these files. */
  const costOf = (files: Record<string, string>, path: string): number => {
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
      baseline: [],
      today: '2027-01-31',
    });
    const { user, system } = process.cpuUsage(before);
    expect(findings.filter(({ message }) => message.includes('please report it'))).toEqual([]);
    return (user + system) / 1000;
  };

  it.each(cases)('$title', ({ files, path }) => {
    const cost = costOf(files, path);
    expect(cost).toBeLessThan(MOST_MS);
    // What is over so soon tells nothing about growth, and asking all would double the time of this file.
    const text = files[path] as string;
    if (cost < WORTH_MS || text.length < 100_000) return;
    const eighth = costOf({ ...files, [path]: eighthOf(text) }, path);
    const allowed = MOST_GROWTH * Math.max(eighth, FLOOR_MS);
    // Again, as the first time the compiler was at work as well, and later the collector of garbage may have been.
    let least = cost;
    for (let more = 0; more < 3 && least > allowed; more++) least = Math.min(least, costOf(files, path));
    expect(least).toBeLessThan(allowed);
  });
});

/**
 * Its beginning and its end, without most of what is in between: whole pieces of what repeats, a dozen at once, so that
 * brackets and quotes that were closed still are; where nothing repeats, whole lines or words.
 */
function eighthOf(text: string): string {
  const end = text.length >> 4;
  const period = text.indexOf(text.slice(end, end + 32), end + 1) - end;
  if (period > 0 && period < 5000) {
    const out = Math.floor((14 * end) / (12 * period)) * 12 * period;
    return text.slice(0, end) + text.slice(end + out);
  }
  const mark = text.indexOf('\n') < end ? '\n' : ' ';
  return text.slice(0, text.lastIndexOf(mark, end) + 1) + text.slice(text.indexOf(mark, text.length - end) + 1);
}

function show(text: string): string {
  return JSON.stringify(text.slice(0, 40)).replaceAll('%', '%%').replaceAll('$', '');
}
