import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { choosePins, refuseUnmatched } from '../../src/choose.js';
import { type LocalGit, localGit } from '../../src/git.js';
import { readTree } from '../../src/pins.js';
import { inputsOf } from './facts-of.js';
import { scratchRepository } from './scratch-repository.js';

const repository = scratchRepository();
afterAll(() => repository.remove());
let git: LocalGit;
beforeAll(() => {
  git = localGit(repository.folder, repository.env);
});

const shaOf = (digit: number) => String(digit).repeat(40);
const entry = (path: string, url = `../${path}.git`) => `[submodule "${path}"]\n\tpath = ${path}\n\turl = ${url}\n`;

/** A commit on these, with this .gitmodules and these pins. */
function commit(parents: string[], gitmodules: string, pins: Record<string, string>): string {
  const rows = Object.entries(pins).map(([path, sha]) => `160000 commit ${sha}\t${path}`);
  rows.push(`100644 blob ${repository.blob(gitmodules)}\t.gitmodules`);
  const tree = repository.git(['mktree', '-z', '--missing'], rows.map((row) => `${row}\0`).join(''));
  return repository.git(['commit-tree', ...parents.flatMap((each) => ['-p', each]), '-m', 'Acme', tree]);
}

/** What a push of `head` onto `before` is asked about. */
async function range(before: string | undefined, head: string, raw: Record<string, string> = {}, own = git) {
  const event = { kind: 'push' as const, commit: head, branch: 'main', before };
  return choosePins(inputsOf({ commits: 'range', ...raw }), event, own, await readTree(own, head));
}

describe('every commit of a push', () => {
  const lib = { lib: shaOf(1) };
  const base = () => commit([], entry('lib'), lib);

  it('is asked about with its own pins', async () => {
    const before = base();
    const middle = commit([before], entry('lib'), { lib: shaOf(2) });
    const { pins, earlier } = await range(before, commit([middle], entry('lib'), { lib: shaOf(3) }));
    expect([pins.map(({ sha }) => sha), earlier]).toEqual([[shaOf(2), shaOf(3)], []]);
  });

  it('that pins something without an entry is told, also when the next one mends it', async () => {
    const before = base();
    const middle = commit([before], entry('lib'), { ...lib, ui: shaOf(2) });
    for (const [gitmodules, pins] of [
      [entry('lib'), lib],
      [entry('lib') + entry('ui'), { ...lib, ui: shaOf(2) }],
    ] as const) {
      const { earlier } = await range(before, commit([middle], gitmodules, pins));
      expect(earlier).toEqual([{ commit: middle, path: 'ui' }]);
    }
  });

  it('that pins what the newest one pins without an entry too is told once, where it can be mended', async () => {
    const before = base();
    const middle = commit([before], entry('lib'), { ...lib, ui: shaOf(2) });
    const { earlier, orphans } = await range(before, commit([middle], entry('lib'), { ...lib, ui: shaOf(3) }));
    expect([earlier, orphans]).toEqual([[], [{ path: 'ui', sha: shaOf(3) }]]);
  });

  it('whose .gitmodules cannot be read is told', async () => {
    const before = base();
    const middle = commit([before], '[submodule "lib"\n', { lib: shaOf(2) });
    const { earlier, pins } = await range(before, commit([middle], entry('lib'), lib));
    expect(earlier).toEqual([
      { commit: middle, path: '.gitmodules', why: expect.stringMatching(/cannot read .gitmodules/) },
    ]);
    expect(pins.map(({ sha }) => sha)).toContain(shaOf(1));
  });

  it('left out by include is no matter', async () => {
    const before = base();
    const middle = commit([before], entry('lib'), { ...lib, ui: shaOf(2) });
    expect((await range(before, commit([middle], entry('lib'), lib), { include: 'lib' })).earlier).toEqual([]);
  });

  it.each<[string, () => Promise<Awaited<ReturnType<typeof range>>>]>([
    ['is not in the checkout', () => range('a'.repeat(40), base())],
    ['is not told', () => range(undefined, base())],
    [
      'is there, but a side that was merged is cut off',
      async () => {
        const before = base();
        const side = commit([commit([before], entry('lib'), { lib: shaOf(4) })], entry('lib'), { lib: shaOf(5) });
        const head = commit([before, side], entry('lib'), lib);
        repository.git(['update-ref', 'refs/heads/main', head]);
        const shallow = join(repository.folder, 'shallow-clone');
        const from = `file://${repository.folder}`;
        execFileSync('git', ['clone', '--quiet', '--bare', '--depth=2', from, shallow], { env: repository.env });
        return range(before, head, {}, localGit(shallow, repository.env));
      },
    ],
  ])('cannot be asked about where what was there before %s, and that is said', async (_title, chosen) => {
    expect((await chosen()).earlier).toEqual([{ path: '.', why: expect.any(String) }]);
  });

  it('is read by a few gits at a time, however many they are', async () => {
    const before = base();
    let head = before;
    for (let index = 0; index < 40; index++) head = commit([head], entry('lib'), lib);
    let running = 0;
    let most = 0;
    const counted: LocalGit = async (...args) => {
      most = Math.max(most, ++running);
      try {
        return await git(...args);
      } finally {
        running -= 1;
      }
    };
    await range(before, head, { parallel: '3' }, counted);
    // Two each: the listing, and .gitmodules.
    expect(most).toBeLessThanOrEqual(6);
  });

  it('is no matter of a pull request or of the clock, and that is said', async () => {
    const head = base();
    const tree = await readTree(git, head);
    for (const kind of ['pull_request', 'other'] as const) {
      const { notes } = await choosePins(inputsOf({ commits: 'range' }), { kind, commit: head }, git, tree);
      expect(notes[0]).toMatch(/`commits: range` is about pushes/);
    }
  });
});

describe('the diff of a pull request', () => {
  it('holds the gitlinks that move, not those that only lead elsewhere', async () => {
    const before = commit([], entry('lib') + entry('ui'), { lib: shaOf(1), ui: shaOf(1) });
    const head = commit([before], entry('lib') + entry('ui', '../fork.git'), { lib: shaOf(2), ui: shaOf(1) });
    const event = { kind: 'pull_request' as const, commit: head, before };
    const { pins, changed } = await choosePins(inputsOf(), event, git, await readTree(git, head));
    expect([pins.map(({ path }) => path), changed]).toEqual([['lib', 'ui'], ['lib']]);
  });

  it('is not known where its base is not in the checkout', async () => {
    const head = commit([], entry('lib'), { lib: shaOf(1) });
    const event = { kind: 'pull_request' as const, commit: head, before: 'b'.repeat(40) };
    const { changed, notes } = await choosePins(inputsOf(), event, git, await readTree(git, head));
    expect([changed, notes]).toEqual([undefined, [expect.stringContaining('all pins were asked about')]]);
  });
});

describe('a glob or path that somebody wrote', () => {
  const paths = ['lib', 'vendor/a', '.hidden'];
  it.each<[string, Record<string, string>, RegExp | undefined]>([
    ['include that fits', { include: 'lib\nvendor/*\n*hidden' }, undefined],
    ['include of the root', { include: '.' }, undefined],
    ['exclude that fits, and the root', { exclude: 'vendor/**\n.' }, undefined],
    ['expected-branches of a path', { 'expected-branches': 'vendor/a = stable' }, undefined],
    ['include with a typo', { include: 'lib\nbotlbi' }, /^No submodule fits include "botlbi"\./],
    ['exclude with a typo', { exclude: 'vendr/**' }, /exclude "vendr\/\*\*"/],
    ['expected-branches with a typo', { 'expected-branches': 'vendor/b = stable' }, /expected-branches "vendor\/b"/],
  ])('%s', (_title, raw, complaint) => {
    const ask = () => refuseUnmatched(inputsOf(raw), paths);
    if (complaint) expect(ask).toThrow(complaint);
    else expect(ask).not.toThrow();
  });
});
