import { spawnSync } from 'node:child_process';
import { maskable } from '@gbo/shared/secrets';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputs } from '../../src/inputs.js';
import { isBranchName, meaningfulLines, remotesFrom } from '../../src/remote-input.js';

function read(remotes: string, tokens?: string): { remotes: ReturnType<typeof remotesFrom>; problems: string[] } {
  const problems: string[] = [];
  return { remotes: remotesFrom(remotes, tokens, (text) => problems.push(text)), problems };
}

describe('remotes', () => {
  it('are lines of a name, a base and a branch', () => {
    const { remotes, problems } = read(
      '# where people push\norigin = https://github.com/GeneralBots\r\n\n  alm=https://alm.example.com/GeneralBots/  develop\nssh = ssh://git@alm.example.com:2222/G/\nscp = git@alm.example.com:G\n',
      'alm = tok=en\n# none for origin',
    );
    expect(problems).toEqual([]);
    expect(remotes).toEqual([
      { name: 'origin', base: 'https://github.com/GeneralBots/', branch: undefined, token: undefined },
      { name: 'alm', base: 'https://alm.example.com/GeneralBots/', branch: 'develop', token: 'tok=en' },
      { name: 'ssh', base: 'ssh://git@alm.example.com:2222/G/', branch: undefined, token: undefined },
      { name: 'scp', base: 'git@alm.example.com:G/', branch: undefined, token: undefined },
    ]);
  });

  it('are a YAML list as well', () => {
    const { remotes, problems } = read(
      '- name: origin\n  base: https://github.com/G///\n- {name: alm, base: "https://alm.example.com/G", branch: release/1}\n',
    );
    expect(problems).toEqual([]);
    expect(remotes.map(({ base, branch }) => [base, branch])).toEqual([
      ['https://github.com/G/', undefined],
      ['https://alm.example.com/G/', 'release/1'],
    ]);
  });

  it.each([
    ['a line without =', 'origin https://h/', /"origin https:\/\/h\/" is not `name = base-url \[branch\]`/],
    ['a line without a base', 'origin =', /is not `name = base-url/],
    ['a line with a word too many', 'origin = https://h/ main more', /is not `name = base-url/],
    ['a name that begins with a dot', '.o = https://h/', /"\.o" is not a remote name/],
    ['a name with a slash', 'a/b = https://h/', /"a\/b" is not a remote name/],
    ['two of one name', 'a = https://h/\na = https://g/', /two remotes are called a$/],
    ['a base without a scheme', 'a = h/G/', /"h\/G\/" is not an https, http or ssh address/],
    ['a base that is a path', 'a = /srv/git/', /is not an https, http or ssh address/],
    ['a base with another protocol', 'a = git://h/G/', /is not an https, http or ssh address/],
    ['a base that runs a command', 'a = ext::sh', /is not an https, http or ssh address/],
    ['a base with a query', 'a = https://h/G?x=1', /is not an https, http or ssh address/],
    ['a base with a fragment', 'a = https://h/G#x', /is not an https, http or ssh address/],
    ['a base with a backslash', 'a = https://h\\G/', /is not an https, http or ssh address/],
    ['a base whose host is an option', 'a = ssh://-oProxyCommand=x/G/', /is not an https, http or ssh address/],
    ['a base with a newline', '- {name: a, base: "https://h/G\\n[core]"}', /is not an https, http or ssh address/],
    ['a base with a user', 'a = https://me@h/G/', /the base of a holds a user or password; give the token in `tokens`/],
    ['a branch that is an option', 'a = https://h/ -x', /"-x" is not a branch/],
    ['a branch with a colon', 'a = https://h/ a:b', /"a:b" is not a branch/],
    ['an empty branch', '- {name: a, base: https://h/, branch: ""}', /"" is not a branch/],
    ['YAML that is none', '- {name: a', /is neither lines .* nor a YAML list/],
    ['YAML with another key', '- {name: a, base: https://h/, tokn: x}', /remotes\[0\]: .*tokn/],
    ['YAML without a base', '- {name: a}', /remotes\[0\.base\]: /],
    ['YAML of a list of lists', '- - a', /remotes\[0\]: /],
  ])('%s is a mistake', (_title, remotes, says) => {
    expect(read(remotes).problems).toEqual([expect.stringMatching(says)]);
  });

  it.each([
    ['a line without =', 'secret-abc', 'input tokens: a line is not `remote-name = token`'],
    ['a line without a name', '= secret-abc', 'input tokens: a line is not `remote-name = token`'],
    ['a name that is no remote', 'b = secret-abc', 'input tokens: a line names no remote of `remotes`'],
  ])('tokens with %s are a mistake, and are not shown', (_title, tokens, says) => {
    expect(read('a = https://h/', tokens).problems).toEqual([says]);
  });

  it('a line without a token is none: secrets are empty in pull requests from forks', () => {
    expect(read('a = https://h/', 'a = ')).toEqual(read('a = https://h/'));
  });

  it('with a password in the base do not show it', () => {
    for (const base of [
      'https://me:secret-abc@h/G',
      'https://secret-abc@h/G',
      'ssh://git:secret-abc@h/G',
      'https://:secret-abc@h',
    ]) {
      for (const text of [`a = ${base}`, `- {name: a, base: "${base}"}`]) {
        const { problems, remotes } = read(text);
        expect(problems).toHaveLength(1);
        expect(JSON.stringify([problems, remotes])).not.toContain('secret-abc');
      }
    }
  });

  it('give remotes or a mistake for any text, and never throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.string({ maxLength: 30 }), (text, tokens) => {
        const { remotes, problems } = read(text, tokens);
        if (problems.length === 0)
          for (const { base } of remotes) expect(base).toMatch(/^(https?:\/\/|ssh:\/\/|[\w.@-]+:).*\/$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('tokens', () => {
  it('are secrets by themselves, and in the form in which they travel', () => {
    const raw = { remotes: 'a = https://h/\nb = https://g/', tokens: 'a = tok-abc-1\nb = tok=def-2' };
    const parsed = inputs.parse(new Map(Object.entries(raw)));
    const masked = inputs.derivedSecrets(parsed).flatMap(maskable);
    for (const token of ['tok-abc-1', 'tok=def-2']) {
      expect(masked).toContain(token);
      expect(masked).toContain(Buffer.from(`x-access-token:${token}`).toString('base64'));
    }
  });
});

describe('lines', () => {
  it('are trimmed; empty ones and comments do not count', () => {
    expect(meaningfulLines(' a \r\n\r# b\rc\n\n  # d\ne # f')).toEqual(['a', 'c', 'e # f']);
  });
});

/** git itself, which takes `@` for HEAD and so for a branch. */
function gitTakes(name: string): boolean {
  if (name.includes('\0')) return false;
  return spawnSync('git', ['check-ref-format', '--branch', name], { cwd: '/', stdio: 'ignore' }).status === 0;
}

describe('a branch name', () => {
  const table = [
    'main',
    'release/1.2',
    'a',
    'a-b',
    'a_b',
    'é',
    'a@b',
    'a@',
    '@a',
    '@/a',
    'refs/heads/x',
    'a{b',
    'a}b',
    "a'b",
    'a"b',
    'a$b',
    'a;b',
    'a&b',
    'a|b',
    'a(b',
    'a<b',
    'a,b',
    'a%b',
    'a#b',
    'a!b',
    'a=b',
    'a+b',
    'a.b',
    'x.lockx',
    'lock',
    '0',
    '',
    '-',
    '-x',
    '--upload-pack=x',
    '/a',
    'a/',
    'a//b',
    '.a',
    'a/.b',
    'a.',
    'a..b',
    'a.lock',
    'a.lock/b',
    'a@{b',
    '@{-1}',
    'a b',
    ' a',
    'a ',
    'a\tb',
    'a\nb',
    'a\rb',
    'a\u007fb',
    'a~b',
    'a^b',
    'a:b',
    'a?b',
    'a*b',
    'a[b',
    'a\\b',
    'a/..',
    '..',
    '.',
    'HEAD',
    'main:refs/heads/evil',
    '+main',
    '^main',
    'a/b.lock/c',
    'a./b',
  ];
  it.each(table)('%j counts as one exactly when git says so', (name) => {
    expect(isBranchName(name)).toBe(gitTakes(name));
  });

  it.each(['@', 'x'.repeat(200), 'a\u0085b', 'a\u2028b', 'a\u00a0b'])(
    '%j is none here, though git would take it',
    (name) => {
      expect(isBranchName(name)).toBe(false);
      expect(gitTakes(name)).toBe(true);
    },
  );

  it('is never one that git refuses, whatever the text', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'a',
        'main',
        '/',
        '.',
        '..',
        '@',
        '{',
        '@{',
        '.lock',
        '-',
        ':',
        '~',
        '^',
        '*',
        '[',
        '\\',
        ' ',
        '\t',
        'é',
        '+',
      ),
      fc.string({ maxLength: 2 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const name = pieces.join('');
        if (/^@$|[^\0-\u007f]/u.test(name)) expect(isBranchName(name) && !gitTakes(name)).toBe(false);
        else expect(isBranchName(name)).toBe(gitTakes(name));
      }),
      { numRuns: 150 },
    );
  });
});
