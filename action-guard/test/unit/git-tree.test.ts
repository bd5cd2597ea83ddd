import { afterAll, describe, expect, it } from 'vitest';
import { Git } from '../../src/git.js';
import { entriesOf, gitTree, LARGEST_FILE } from '../../src/git-tree.js';
import { differences } from '../../src/survey.js';
import { Repository } from '../harness.js';

const repository = new Repository();
const git = new Git(repository.folder, process.env);
afterAll(() => repository.remove());

const treeAt = async (commit: string, globs: string[]) => gitTree(git, await entriesOf(git, commit), globs);

describe('a tree of a commit', () => {
  it('has every path, and the text of what was asked for only', async () => {
    const commit = repository.commit({ 'conf/a': 'one\n', 'conf/b.txt': 'two', 'src/main.rs': 'fn main() {}' });
    const tree = await treeAt(commit, ['conf/*']);
    expect(tree.paths).toEqual(['conf/a', 'conf/b.txt', 'src/main.rs']);
    expect(tree.matching(['conf/*']).map(({ text }) => text)).toEqual(['one\n', 'two']);
    expect(() => tree.file('src/main.rs')).toThrow('src/main.rs was not read');
    expect(tree.file('nowhere')).toBeUndefined();
  });

  it('takes any name there can be', async () => {
    const names = [
      'with space',
      'tab\there',
      'line\nbreak',
      '"quoted"',
      'ünïcödé',
      '-dash',
      ':colon',
      '.dot/.file',
      'a*b?[c]',
    ];
    const commit = repository.commit(Object.fromEntries(names.map((name) => [`odd/${name}`, name])));
    const tree = await treeAt(commit, ['odd/**']);
    expect(tree.matching(['odd/**']).map(({ path, text }) => [path, text])).toEqual(
      names.map((name) => [`odd/${name}`, name]).sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
    );
  });

  it('follows no symbolic link', async () => {
    const commit = repository.commit({ 'links/out': { to: '/etc/passwd' }, 'links/in': { to: '../conf/a' } });
    const tree = await treeAt(commit, ['links/*']);
    expect(tree.matching(['links/*']).map(({ kind, text }) => [kind, text])).toEqual([
      ['link', '../conf/a'],
      ['link', '/etc/passwd'],
    ]);
  });

  it('knows submodules, and that they have no text', async () => {
    const commit = repository.git('rev-parse', 'HEAD');
    repository.git('update-index', '--add', '--cacheinfo', `160000,${commit},lib`);
    repository.git('commit', '--quiet', '-m', 'Pin');
    const tree = await treeAt('HEAD', ['lib']);
    expect(tree.file('lib')).toMatchObject({ kind: 'submodule', text: '' });
  });

  it('does not read files that are too large to be configuration', async () => {
    const commit = repository.commit({
      'conf/large': 'x'.repeat(LARGEST_FILE + 1),
      'conf/most': 'x'.repeat(LARGEST_FILE),
    });
    const tree = await treeAt(commit, ['conf/*']);
    expect([tree.file('conf/large')?.bytes.length, tree.file('conf/most')?.bytes.length]).toEqual([0, LARGEST_FILE]);
  });

  it('no attribute or filter of the work tree changes what is read', async () => {
    repository.git('config', 'filter.evil.smudge', 'touch pwned; cat');
    const commit = repository.commit({ '.gitattributes': '* filter=evil text eol=crlf\n', 'conf/crlf': 'a\nb\n' });
    expect((await treeAt(commit, ['conf/crlf'])).file('conf/crlf')?.text).toBe('a\nb\n');
  });
});

describe('what differs between two commits', () => {
  it.each<[string, Record<string, string | undefined | { to: string }>, string[]]>([
    ['nothing', {}, []],
    ['an added file', { new: 'x' }, ['new']],
    ['a changed file', { 'conf/a': 'changed' }, ['conf/a']],
    ['a removed file', { 'conf/b.txt': undefined }, ['conf/b.txt']],
    ['a file that became a link', { 'src/main.rs': { to: 'conf/a' } }, ['src/main.rs']],
    ['a renamed file', { new: undefined, newer: 'x' }, ['new', 'newer']],
  ])('%s', async (_, files, paths) => {
    const before = await entriesOf(git, repository.git('rev-parse', 'HEAD'));
    const after = await entriesOf(git, repository.commit(files));
    expect([...differences(before, after)].sort()).toEqual(paths);
  });
});
