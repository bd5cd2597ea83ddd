import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { judge } from '../../src/judge.js';
import { readPolicy } from '../../src/policy.js';
import type { Family, Rule } from '../../src/rule.js';
import { wantedBy } from '../../src/survey.js';
import { makeTree, treeOf } from '../../src/tree.js';

/** A rule that says of every line with BAD in it that it is, and how many files of its kinds it was given. */
function familyOf(asks: Pick<Rule, 'files' | 'reads' | 'mentions' | 'fileByFile'>, given: string[][] = []): Family {
  const rule: Rule = {
    id: 'demo/bad',
    severity: 'error',
    title: 'Nothing is bad.',
    reason: 'Because.',
    suppressible: true,
    ...asks,
    check: ({ head, options }) => {
      const files = head.matching(asks.files(options));
      given.push(files.map(({ path }) => path));
      return files.flatMap(({ path, text }) =>
        text.includes('BAD')
          ? [{ status: 'fail' as const, at: { path, line: 1, column: 1 }, message: 'It is bad.' }]
          : [],
      );
    },
    samples: { good: [], bad: [] },
  };
  return { name: 'demo', schema: z.object({}), presets: { 'guide-lxd': {}, 'infra-incus': {} }, rules: [rule] };
}

const units = () => ['units/*'];
const compared = () => ['compared/*'];
const docs = () => ['docs/*'];
const all = ['units/a', 'units/b', 'compared/c', 'docs/d', 'src/e', 'units/a.gbo-guard'];

describe('which files are read', () => {
  const plain = { files: units, reads: compared, mentions: docs };
  const table: [title: string, asks: Parameters<typeof familyOf>[0], changed: string[] | undefined, read: string[]][] =
    [
      [
        'of a whole tree, all that a rule judges, reads and mentions',
        plain,
        undefined,
        ['units/a', 'units/b', 'compared/c', 'docs/d'],
      ],
      [
        'a change of a file it judges has the others read, documents too',
        plain,
        ['units/a'],
        ['units/a', 'units/b', 'compared/c', 'docs/d'],
      ],
      [
        'so has a change of a file that it compares with',
        plain,
        ['compared/c'],
        ['units/a', 'units/b', 'compared/c', 'docs/d'],
      ],
      ['a change of a document that it mentions is no reason to read anything', plain, ['docs/d'], []],
      ['nor is a change of something else', plain, ['src/e'], []],
      [
        'a rule that judges file by file has only what changed read',
        { files: units, fileByFile: true },
        ['units/a'],
        ['units/a'],
      ],
      [
        'of a whole tree it has all of them read',
        { files: units, fileByFile: true },
        undefined,
        ['units/a', 'units/b'],
      ],
      ['a file that was taken out asks for no other', { files: units, fileByFile: true }, ['units/gone'], []],
    ];
  it.each(table)('%s', (_, asks, changed, read) => {
    const families = [familyOf(asks)];
    const wanted = wantedBy(families, readPolicy(undefined, 'policy', families), changed && new Set(changed));
    // Exceptions beside files are always read.
    expect(all.filter(wanted)).toEqual([...read, 'units/a.gbo-guard']);
  });

  it('what one rule takes file by file is read whole when another one needs it whole', () => {
    const families = [familyOf({ files: units, fileByFile: true }), familyOf({ files: units })];
    const wanted = wantedBy(families, readPolicy(undefined, 'policy', families), new Set(['units/a']));
    expect(['units/a', 'units/b'].filter(wanted)).toEqual(['units/a', 'units/b']);
  });

  it('a rule that is off has nothing read', () => {
    const families = [familyOf({ files: units })];
    const wanted = wantedBy(families, readPolicy('rules:\n  demo/bad: off\n', 'policy', families), undefined);
    expect(all.filter(wanted)).toEqual(['units/a.gbo-guard']);
  });
});

describe('a pull request', () => {
  interface Given {
    asks: Parameters<typeof familyOf>[0];
    head: Record<string, string>;
    base: Record<string, string>;
  }
  const files = { 'units/a': 'BAD', 'units/b': 'BAD', 'docs/d': 'x' };
  const table: [title: string, given: Given, status: string, found: string[], given: string[][]][] = [
    [
      'a rule that judges file by file is given what changed, in head and base',
      { asks: { files: units, fileByFile: true }, base: files, head: { ...files, 'units/a': 'BAD, still' } },
      'fail',
      ['units/a'],
      [['units/a'], ['units/a']],
    ],
    [
      'so it says nothing of what nobody touched',
      { asks: { files: units, fileByFile: true }, base: files, head: { ...files, 'units/a': 'fine' } },
      'pass',
      [],
      [['units/a'], ['units/a']],
    ],
    [
      'any other rule is given all, and what was there before is old',
      { asks: { files: units }, base: files, head: { ...files, 'units/a': 'fine' } },
      'pass',
      ['units/b old'],
      [
        ['units/a', 'units/b'],
        ['units/a', 'units/b'],
      ],
    ],
    [
      'where only a mentioned document changed, the rule is not asked',
      { asks: { files: units, mentions: docs }, base: files, head: { ...files, 'docs/d': 'y' } },
      'unchanged',
      [],
      [],
    ],
    [
      'where a compared file changed, it is',
      { asks: { files: units, reads: docs }, base: files, head: { ...files, 'docs/d': 'y' } },
      'pass',
      ['units/a old', 'units/b old'],
      [
        ['units/a', 'units/b'],
        ['units/a', 'units/b'],
      ],
    ],
  ];
  it.each(table)('%s', (_, { asks, head, base }, status, found, given) => {
    const seen: string[][] = [];
    const families = [familyOf(asks, seen)];
    const policy = readPolicy(undefined, 'policy', families);
    const changed = new Set(Object.keys(head).filter((path) => head[path] !== base[path]));
    const wanted = wantedBy(families, policy, changed);
    // As from git: what is not wanted has no text, and asking for it throws.
    const read = (tree: Record<string, string>) => {
      const whole = treeOf(tree);
      return makeTree(Object.keys(tree), (path) => (wanted(path) ? whole.file(path) : undefined));
    };
    const { findings, rules } = judge({
      families,
      policy,
      head: read(head),
      base: read(base),
      tools: new Map(),
      baseTools: new Map(),
      changed,
      suppressions: [],
      badSuppressions: [],
      baseline: [],
      today: '2027-01-31',
    });
    expect(rules.map((rule) => rule.status)).toEqual([status]);
    expect(findings.map(({ at, old }) => `${at.path}${old ? ' old' : ''}`)).toEqual(found);
    expect(seen).toEqual(given);
  });
});
