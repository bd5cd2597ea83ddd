import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GitFailed, type LocalGit, localGit } from '../../src/git.js';
import { readTree, type Tree } from '../../src/pins.js';
import { scratchRepository } from './scratch-repository.js';

const repository = scratchRepository();
afterAll(() => repository.remove());

let git: LocalGit;
beforeAll(() => {
  git = localGit(repository.folder, repository.env);
});

const SHA = '1'.repeat(40);

/** The tree of a commit with this .gitmodules, and pins at these paths of its top folder. */
function read(gitmodules: string | Buffer | undefined, paths: string[] = ['x']): Promise<Tree> {
  const rows = paths.map((path) => `160000 commit ${SHA}\t${path}`);
  if (gitmodules !== undefined) rows.push(`100644 blob ${repository.blob(gitmodules)}\t.gitmodules`);
  return readTree(git, repository.commitTree(rows));
}

describe('the pins of a commit', () => {
  it.each([
    ['a plain path', 'botlib'],
    ['a dot in front', '.github'],
    ['spaces', ' two  words '],
    ['a newline', 'a\nb'],
    ['a tab', 'a\tb'],
    ['quotes and backslashes', `a"b'c\\d`],
    ['letters beyond ASCII', 'größe/日本'.replace('/', '-')],
    ['a name like an option', '--help'],
    ['a name like a revision', 'HEAD'],
    ['a glob', '*?[a]'],
  ])('are found at a path with %s', async (_title, path) => {
    const quoted = `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\t', '\\t')}"`;
    const tree = await read(`[submodule "x"]\n\tpath = ${quoted}\n\turl = ../x.git\n`, [path]);
    expect(tree.pins).toEqual([{ path, sha: SHA }]);
    expect(tree.entries).toEqual([{ name: 'x', path, url: '../x.git', line: 2 }]);
    expect(tree.unreadable).toBeUndefined();
  });

  it('are told from entries with update, and with several urls, the last of which counts as in git', async () => {
    const text = '[submodule "x"]\n\tpath = x\n\turl = ../old.git\n\tupdate = none\n\turl = ../new.git\n';
    expect((await read(text)).entries).toEqual([
      { name: 'x', path: 'x', url: '../new.git', updateNone: true, severalUrls: true, line: 2 },
    ]);
  });

  it('are found in folders, and files are none', async () => {
    const inner = repository.git(
      ['mktree', '-z', '--missing'],
      `160000 commit ${SHA}\tdeep\u0000100644 blob ${SHA}\tfile\0`,
    );
    const commit = repository.commitTree([
      `040000 tree ${inner}\tbots`,
      `100644 blob ${SHA}\tREADME.md`,
      `120000 blob ${SHA}\tlink`,
    ]);
    expect((await readTree(git, commit)).pins).toEqual([{ path: 'bots/deep', sha: SHA }]);
  });

  it('are the same from below a folder of the checkout', async () => {
    const commit = repository.commitTree([`160000 commit ${SHA}\tx`]);
    mkdirSync(join(repository.folder, 'below'), { recursive: true });
    const below = localGit(join(repository.folder, 'below'), repository.env);
    expect((await readTree(below, commit)).pins).toEqual([{ path: 'x', sha: SHA }]);
  });

  it('are all of them, also 20,000', async () => {
    const rows = Array.from(
      { length: 20_000 },
      (_, number) => `160000 commit ${SHA}\tm${String(number).padStart(5, '0')}`,
    );
    expect((await readTree(git, repository.commitTree(rows))).pins).toHaveLength(20_000);
  });

  it('are those of the commit itself, not of what this checkout has put in its place', async () => {
    const commit = repository.commitTree([`160000 commit ${SHA}\tx`]);
    repository.git(['replace', commit, repository.commitTree([`160000 commit ${'2'.repeat(40)}\tx`])]);
    expect((await readTree(git, commit)).pins).toEqual([{ path: 'x', sha: SHA }]);
  });

  it('of a commit that is not there are an error, not none', async () => {
    await expect(readTree(git, '2'.repeat(40))).rejects.toThrow(GitFailed);
  });

  it('do not need an entry', async () => {
    expect(await read(undefined)).toEqual({ commit: expect.any(String), pins: [{ path: 'x', sha: SHA }], entries: [] });
  });
});

describe('.gitmodules', () => {
  it('may name an entry otherwise than its path, and have more keys', async () => {
    const tree = await read(
      '# ours\n[core]\n\teditor = x\n[submodule "libs.path/bot lib"]\n\tupdate = !touch x\n\tignore = all\n\tPath = botlib\n\turl = ../botlib.git\n\tbranch = .\n',
    );
    expect(tree.entries).toEqual([
      { name: 'libs.path/bot lib', path: 'botlib', url: '../botlib.git', branch: '.', line: 7 },
    ]);
  });

  it('may say a thing twice: the last one counts, as in git', async () => {
    const tree = await read(
      '[submodule "x"]\n\tpath = x\n\turl = ../a\n\turl = ../b\n[submodule "y"]\n\tpath = y\n[submodule "x"]\n\turl = ../c\n\tbranch = dev\n',
    );
    expect(tree.entries).toEqual([
      { name: 'x', path: 'x', url: '../c', branch: 'dev', severalUrls: true, line: 2 },
      { name: 'y', path: 'y', line: 6 },
    ]);
  });

  it('may lack a path, a url, or a value', async () => {
    const tree = await read(
      '[submodule "a"]\n\turl = ../a\n[submodule "b"]\n\tpath = b\n[submodule "c"]\n\tpath\n\turl\n',
    );
    expect(tree.entries).toEqual([
      { name: 'a', url: '../a', line: 1 },
      { name: 'b', path: 'b', line: 4 },
      { name: 'c', path: '', url: '', line: 5 },
    ]);
  });

  it('may use names that are keys of objects', async () => {
    const tree = await read(
      '[submodule "__proto__"]\n\tpath = x\n\turl = ../x\n[submodule "constructor"]\n\tpath = y\n',
    );
    expect(tree.entries.map(({ name }) => name)).toEqual(['__proto__', 'constructor']);
    expect({}).not.toHaveProperty('path');
  });

  it('does not have other files read', async () => {
    const other = join(repository.folder, 'other');
    writeFileSync(other, '[submodule "secret"]\n\tpath = hunter2\n');
    for (const section of ['[include]', '[includeIf "gitdir:**"]', '[includeIf "hasconfig:remote.*.url:**"]']) {
      const tree = await read(`${section}\n\tpath = ${other}\n[submodule "x"]\n\tpath = x\n\turl = ../x\n`);
      expect(tree.entries.map(({ name }) => name)).toEqual(['x']);
    }
  });

  it('is read from the commit, not from the folder', async () => {
    writeFileSync(join(repository.folder, '.gitmodules'), '[submodule "other"]\n\tpath = other\n');
    expect((await read('[submodule "x"]\n\tpath = x\n')).entries.map(({ name }) => name)).toEqual(['x']);
  });

  it.each([
    [
      'a malformed line',
      '[submodule "x"]\n\tpath = x\nthis is no configuration\n',
      /git cannot read \.gitmodules .*line 3/,
    ],
    ['a header without an end', '[submodule "x"]\n\tpath = x\n[submodule "y\n', /git cannot read \.gitmodules/],
    ['a quote without an end', '[submodule "x"]\n\tpath = "x\n', /git cannot read \.gitmodules/],
    ['an escape that is none', '[submodule "x"]\n\tpath = \\x\n', /git cannot read \.gitmodules/],
    ['5 MB', `[submodule "x"]\n\tpath = x\n${'#'.repeat(5 * 1024 * 1024)}\n`, /larger than 4 MiB/],
  ])('with %s is unreadable, and not a file without entries', async (_title, text, why) => {
    const tree = await read(text);
    expect(tree.unreadable).toMatch(why);
    expect(tree.entries).toEqual([]);
    expect(tree.pins).toHaveLength(1);
  });

  it.each([
    ['a symbolic link', () => `120000 blob ${repository.blob('/etc/passwd')}\t.gitmodules`, /symbolic link/],
    ['a folder', () => `040000 tree ${repository.git(['mktree'])}\t.gitmodules`, /cannot read/],
    ['a submodule', () => `160000 commit ${SHA}\t.gitmodules`, /cannot read/],
    ['a file that is not here', () => `100644 blob ${SHA}\t.gitmodules`, /cannot read/],
  ])('that is %s is unreadable', async (_title, row, why) => {
    const tree = await readTree(git, repository.commitTree([row(), `160000 commit ${SHA}\tx`]));
    expect(tree.unreadable).toMatch(why);
  });

  it('cut off by a byte that git takes for its end leaves gitlinks without an entry, not without a pin', async () => {
    const text = Buffer.concat([
      Buffer.from('[submodule "x"]\n\tpath = x\n\turl = ../x\n'),
      Buffer.from([0xff]),
      Buffer.from('[submodule "y"]\n\tpath = y\n'),
    ]);
    const tree = await read(text, ['x', 'y']);
    expect(tree.pins.map(({ path }) => path)).toEqual(['x', 'y']);
    expect(tree.unreadable ?? tree.entries.map(({ name }) => name)).toEqual(['x']);
  });

  it('of 100,000 entries is read in one pass: pair by pair it would take hours', async () => {
    const text = Array.from({ length: 100_000 }, (_, number) => `[submodule "${number}"]\npath=${number}\n`).join('');
    const { entries } = await read(text, []);
    expect(entries).toHaveLength(100_000);
    expect(entries[99_999]).toEqual({ name: '99999', path: '99999', line: 200_000 });
  });

  it('of any text gives entries or says why not, as git reads them', async () => {
    const piece = fc.constantFrom(
      '[submodule "x"]',
      '[submodule "y z"]',
      '[submodule]',
      '[other "x"]',
      '\n',
      '\n\t',
      'path = x',
      'path',
      'url = ../x',
      'url = "a b"',
      'branch = .',
      ' # c',
      ';',
      '\\',
      '"',
      '[',
      ']',
      '=',
      '\r\n',
      '[submodule "a\\"b"]',
      '[include]',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 14 }), async (pieces) => {
        const tree = await read(pieces.join(''));
        const lines = pieces.join('').split('\n').length;
        for (const { line = 1 } of tree.entries) expect(line <= lines && line >= 1).toBe(true);
        if (tree.unreadable) expect(tree.entries).toEqual([]);
      }),
      { numRuns: 10 },
    );
  });
});
