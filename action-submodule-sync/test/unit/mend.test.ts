import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  mergeCommands,
  pinCommands,
  pushCommand,
  removeEntryCommands,
  removeGitlinkCommands,
  word,
} from '../../src/mend.js';

const SHA = '1'.repeat(40);

/** The words of a command line, as sh takes them apart: `git` prints its own arguments. */
function wordsBySh(command: string): string[] {
  // A dot at the end keeps newlines that $(...) in a test of ours would lose.
  const out = execFileSync('sh', ['-c', `git() { for word; do printf '%s\\0' "$word"; done; }\n${command}`], {
    env: { PATH: process.env.PATH, HOME: '/nonexistent' },
    cwd: '/',
  }).toString();
  return out.split('\0').slice(0, -1);
}

const odd = [
  'botlib',
  '.github',
  '-x',
  '--help',
  'a b',
  ' a ',
  "a'b",
  'a"b',
  'a\\b',
  'a\\',
  '$HOME',
  '$(touch x)',
  '`touch x`',
  'a;b',
  'a&b',
  'a|b',
  'a>b',
  'a<b',
  '*',
  '?',
  '[a]',
  '~',
  '~root',
  '#a',
  'a#b',
  '!a',
  '{a,b}',
  'a=b',
  '%s',
  '%%',
  '%',
  'a%nb',
  'größe',
  '日本',
  '\u{1f600}',
  'a\nb',
  'a\n',
  '\n',
  'a\n\n',
  'a\rb',
  'a\tb',
  "a\n'b'%d\\n",
  '\u001b[2K',
  '\u0007',
  '\u007f',
  '\u0085',
  '\u009b2K',
  'x\u202ey',
  'x\u2028y',
  '\\012',
  "'",
  "''",
  '',
  '.',
  '-',
];

describe('a word of a command', () => {
  const read = wordsBySh(`git ${odd.map(word).join(' ')}`);
  it.each(odd.map((text, index) => [text, index] as const))(
    '%j is the same again after sh has read it',
    (text, index) => {
      expect(read[index]).toBe(text);
    },
  );

  it('is the same again, whatever it is', () => {
    const text = fc.oneof(
      fc.array(fc.constantFrom(...odd, ...'\'"\\%$`\n\t 0123'), { maxLength: 6 }).map((pieces) => pieces.join('')),
      fc.string({ unit: 'binary', maxLength: 20 }).filter((each) => !/\0|\p{Cs}/u.test(each)),
    );
    fc.assert(
      fc.property(fc.array(text, { minLength: 50, maxLength: 50 }), (texts) => {
        expect(wordsBySh(`git ${texts.map(word).join(' ')}`)).toEqual(texts);
      }),
      { numRuns: 5 },
    );
  });

  it('stands on one line, and shows no character that could make it look like another', () => {
    for (const text of odd.filter((each) => !each.endsWith('\n')))
      expect(word(text)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
  });

  it('is not quoted where it need not be: people read it', () => {
    for (const text of ['botlib', 'bots/a.b-c_d', 'origin', 'refs/heads/release/1.2', `160000,${SHA},bots/x`])
      expect(word(text)).toBe(text);
  });
});

describe('commands', () => {
  const sides = [
    { remote: 'origin', branch: 'main', missing: false },
    { remote: 'alm', branch: 'main', missing: true },
  ];
  const root = [
    { remote: 'origin', branch: 'main' },
    { remote: 'alm', branch: 'main' },
  ];

  it('are those a person would write', () => {
    expect(pushCommand('botlib', 'alm', SHA, 'main')).toBe(`git -C botlib push alm ${SHA}:refs/heads/main`);
    expect(pushCommand('.', 'alm', SHA, 'main')).toBe(`git push alm ${SHA}:refs/heads/main`);
    expect(removeEntryCommands('bot lib', root)[0]).toBe(
      "git config -f .gitmodules --remove-section 'submodule.bot lib'",
    );
  });

  it('never force, never throw work away', () => {
    const all = [
      pushCommand('x', 'alm', SHA, 'main'),
      ...mergeCommands('x', SHA, sides, [], root),
      ...pinCommands('x', SHA, [], root),
      ...removeGitlinkCommands('x', [], root),
      ...removeEntryCommands('x', root),
    ].join('\n');
    expect(all).not.toMatch(/--force|-f [^.]|\+refs|push.*\s\+|reset|clean|--hard|--delete|push \S+ :/);
  });

  const paths = odd.filter((each) => each !== '' && each !== '.');
  const commandsFor = (path: string) => [
    pushCommand(path, 'alm', SHA, 'main'),
    ...mergeCommands(path, SHA, sides, [], root),
    ...pinCommands(path, SHA, [], root),
    ...pinCommands(`outer/${path}`, SHA, [{ path: 'outer', sides: root }], root),
    ...removeGitlinkCommands(path, [], root),
    ...removeEntryCommands(path, root),
  ];
  const END = 'end-of-this-path';
  const wordsOf = wordsBySh(paths.map((path) => [...commandsFor(path), `git ${END}`].join('\n')).join('\n'))
    .join('\0')
    .split(`\0${END}`)
    .map((text) => text.split('\0').filter((each, index) => index > 0 || each !== ''));

  it.each(paths.map((path, index) => [path, index] as const))('hold the path %j as one word', (path, index) => {
    const allowed = [
      path,
      `submodule.${path}`,
      `160000,${SHA},${path}`,
      `outer/${path}`,
      `Update ${path}`,
      `Update outer/${path}`,
      `Remove the gitlink ${path}`,
      `Remove the entry ${path}`,
    ];
    const words = wordsOf[index] ?? [];
    expect(new Set(words.filter((each) => allowed.includes(each))).size).toBeGreaterThanOrEqual(5);
    // All other words are git's, and the same for every path.
    for (const each of words.filter((other) => !allowed.includes(other)))
      expect(each).toMatch(/^[\w@%+=:,./-]+$|^Update outer$/);
  });

  it.each(['a;b', '$(x)', "a'b", '`x`', 'a&b'])('hold the branch %j as part of one word', (branch) => {
    expect(wordsBySh(pushCommand('x', 'alm', SHA, branch))).toEqual([
      '-C',
      'x',
      'push',
      'alm',
      `${SHA}:refs/heads/${branch}`,
    ]);
  });

  it('on a pull request leave it to the person where to push the root', () => {
    expect(pinCommands('x', SHA, [], 'upstream').at(-1)).toBe('git push');
  });
});
