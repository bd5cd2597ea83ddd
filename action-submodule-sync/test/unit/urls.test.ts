import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { addressOf, refusedUrl, resolveUrl } from '../../src/urls.js';
import { scratchRepository } from './scratch-repository.js';

const repository = scratchRepository();
afterAll(() => repository.remove());

/** How git itself resolves urls of .gitmodules: by what `git submodule init` writes down. */
function byGit(root: string, urls: string[]): string[] {
  const { folder, git } = repository;
  writeFileSync(join(folder, '.gitmodules'), '');
  writeFileSync(join(folder, '.git', 'config'), '[core]\n\trepositoryFormatVersion = 0\n');
  appendFileSync(join(folder, '.git', 'config'), `[remote "origin"]\n\turl = ${JSON.stringify(root)}\n`);
  for (const [index, url] of urls.entries())
    appendFileSync(
      join(folder, '.gitmodules'),
      `[submodule "m${index}"]\n\tpath = m${index}\n\turl = ${JSON.stringify(url)}\n`,
    );
  git(['read-tree', '--empty']);
  const pins = urls.map((_, index) => `160000 ${'1'.repeat(40)}\tm${index}\0`).join('');
  git(['update-index', '-z', '--index-info'], pins);
  git(['submodule', '--quiet', 'init']);
  const rows = git(['config', '-z', '--get-regexp', '^submodule[.].*[.]url$']).split('\0');
  const found = new Map(rows.map((row) => row.split('\n') as [string, string]));
  return urls.map((_, index) => found.get(`submodule.m${index}.url`) ?? '');
}

describe('the address of a submodule on a remote', () => {
  const table: [root: string, url: string, resolved: string | undefined][] = [
    ['https://github.com/G/gb.git', '../botlib.git', 'https://github.com/G/botlib.git'],
    ['https://github.com/G/gb', '../botlib.git', 'https://github.com/G/botlib.git'],
    ['https://github.com/G/gb.git/', '../botlib.git', 'https://github.com/G/botlib.git'],
    ['https://github.com/G/gb.git//', '../botlib.git', 'https://github.com/G/gb.git/botlib.git'],
    ['https://github.com/G/gb.git', './nested.git', 'https://github.com/G/gb.git/nested.git'],
    ['https://github.com/G/gb.git', '../../other/x.git', 'https://github.com/other/x.git'],
    ['https://github.com/G/gb.git', '../slash/', 'https://github.com/G/slash'],
    ['https://github.com/G/gb.git', '../.github.git', 'https://github.com/G/.github.git'],
    ['git@github.com:G/gb.git', '../botlib.git', 'git@github.com:G/botlib.git'],
    ['git@github.com:G/gb.git', '../../other/x.git', 'git@github.com:other/x.git'],
    ['git@alm:gb.git', '../botlib.git', 'git@alm:botlib.git'],
    ['ssh://git@h:2222/G/gb.git', '../botlib.git', 'ssh://git@h:2222/G/botlib.git'],
    ['https://github.com/G/gb.git', 'https://example.com/x.git', 'https://example.com/x.git'],
    ['https://github.com/G/gb.git', 'git@example.com:x.git', 'git@example.com:x.git'],
    ['https://github.com/G/gb.git', '..', '..'],
    ['https://github.com/G/gb.git', '/srv/x.git', '/srv/x.git'],
  ];

  it.each(table)('%s and %s', (root, url, resolved) => {
    expect(resolveUrl(root, url)).toBe(resolved);
    expect(byGit(root, [url])).toEqual([resolved]);
  });

  // Here git makes `https:up.git`, `.:other/x.git`, or gives up: nothing that could be asked.
  it.each([
    ['https://github.com/G/gb.git', '../../../up.git'],
    ['https://github.com/gb.git', '../../up.git'],
    ['https://github.com', '../up.git'],
    ['git@alm:gb.git', '../../other/x.git'],
    ['ssh://git@h:2222/gb.git', '../../x.git'],
    ['gb.git', '../x.git'],
  ])('%s and %s lead nowhere: the host is never taken off', (root, url) => {
    expect(resolveUrl(root, url)).toBeUndefined();
  });

  const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,8}$/).filter((text) => !/^\.+$/.test(text));
  const base = fc.tuple(
    fc.constantFrom('https://example.com/', 'http://h:8080/', 'ssh://git@h:2222/', 'git@h:', 'h:'),
    fc.array(name, { minLength: 2, maxLength: 5 }),
    fc.constantFrom('', '/'),
  );
  // At most one step up for each folder but the last, so that git gives an answer.
  const relative = (folders: number) =>
    fc
      .tuple(
        fc.array(fc.constantFrom('./', '../'), { minLength: 1, maxLength: 6 }),
        fc.array(name, { minLength: 1, maxLength: 3 }),
        fc.constantFrom('', '/', '.git'),
      )
      .map(([steps, names, end]) => steps.join('') + names.join('/') + end)
      .filter((url) => url.split('../').length - 1 < folders);

  it('is what git says, for any root and any url', () => {
    const cases = base.chain(([start, names, end]) =>
      fc.tuple(
        fc.constant(start + names.join('/') + end),
        fc.array(relative(names.length), { minLength: 1, maxLength: 12 }),
      ),
    );
    fc.assert(
      fc.property(cases, ([root, urls]) => {
        expect(urls.map((url) => resolveUrl(root, url))).toEqual(byGit(root, urls));
      }),
      { numRuns: 8 },
    );
  });

  it('never leaves the host of the root, whatever a relative url says', () => {
    const anything = fc.tuple(
      fc.array(fc.constantFrom('./', '../', '//', '/', '..', ':', '@', '\\', '#', '?'), { minLength: 1, maxLength: 9 }),
      fc.string({ maxLength: 12 }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom('https://example.com/acme/gb', 'ssh://git@h:2222/acme/gb', 'git@h:acme/gb'),
        anything,
        (root, [steps, rest]) => {
          const resolved = resolveUrl(root, `../${steps.join('')}${rest}`);
          const address = resolved === undefined ? undefined : addressOf(resolved);
          if (address) expect(address).toEqual(addressOf(root));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('an address', () => {
  it.each([
    ['https://github.com/G/gb.git', { protocol: 'https', host: 'github.com', port: '' }],
    ['https://GitHub.com/G/gb.git', { protocol: 'https', host: 'github.com', port: '' }],
    ['https://alm.example.com:8443/G/gb', { protocol: 'https', host: 'alm.example.com', port: '8443' }],
    ['https://alm.example.com:443/x', { protocol: 'https', host: 'alm.example.com', port: '' }],
    ['http://127.0.0.1:3000/x', { protocol: 'http', host: '127.0.0.1', port: '3000' }],
    ['http://[::1]:3000/x', { protocol: 'http', host: '[::1]', port: '3000' }],
    ['ssh://git@h:2222/x', { protocol: 'ssh', host: 'h', port: '2222' }],
    ['ssh://h/x', { protocol: 'ssh', host: 'h', port: '' }],
    ['git@alm-host:acme/x', { protocol: 'ssh', host: 'alm-host', port: '' }],
    ['data:text/plain,x', { protocol: 'ssh', host: 'data', port: '' }], // as git reads it
    ['acme-alm:x', { protocol: 'ssh', host: 'acme-alm', port: '' }],
    ['https://h/x%20y/ä', { protocol: 'https', host: 'h', port: '' }],
  ])('%s is one', (url, address) => {
    expect(addressOf(url)).toEqual(address);
  });

  it.each([
    '',
    '.',
    '..',
    '/',
    '/srv/x',
    'x',
    './x',
    '-x:y',
    '--upload-pack=x',
    '-oProxyCommand=x:y',
    'git@-oProxyCommand=x:y',
    'ssh://-oProxyCommand=x/y',
    'ssh://-oProxyCommand=x@h/y',
    'h:-x',
    'ext::sh',
    'ext::sh -c x',
    'fd::0',
    'file:///x',
    'git://h/x',
    'ftp://h/x',
    'https:h/x:1',
    'http:127.0.0.1:3000/x',
    'https:///h/x',
    'https:\\\\h\\x',
    'https://h\\@g/x',
    'HTTPS://h/x',
    ' https://h/x',
    'https://h/x ',
    'https://h/x\n',
    'https://h/\tx',
    'https://h/x\r',
    'https://h/\u0000',
    'https://h/\u2028x',
    'https://u@h/x',
    'https://u:p@h/x',
    'https://:p@h/x',
    'ssh://u:p@h/x',
    'https://h/x#y',
    'https://h/x?y',
    'https://h%2f/x',
    'https://%68/x',
    'https://h:99999/x',
    'https://h:x/y',
    'https://-h/x',
    'https://.h/x',
    'https://loc\u0430lhost/x',
    'https://h\u3002g/x',
    'C:/x',
    'c:x',
    `https://h/${'x'.repeat(2100)}`,
  ])('%j is none that may be asked', (url) => {
    expect(addressOf(url)).toBeUndefined();
  });

  it('is taken apart as URL and git take it apart, or refused', () => {
    const odd = fc.array(
      fc.oneof(
        fc.constantFrom(
          'http',
          'https',
          'ssh',
          ':',
          '/',
          '//',
          '://',
          '@',
          '#',
          '?',
          '\\',
          '[',
          ']',
          '%',
          'h',
          'g.example',
          '.',
          '-',
          ' ',
          '1',
        ),
        fc.string({ maxLength: 2 }),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(odd, (pieces) => {
        const url = pieces.join('');
        const address = addressOf(url);
        if (!address) return;
        // What stands between the user and the first slash, and nothing else, is the host.
        const written = /^(?:\w+:\/\/)?(?:[\w.-]+@)?(\[[^\]]*\]|[\w.-]*)/.exec(url)?.[1]?.toLowerCase();
        expect(written).toMatch(/^[\w[]/);
        if (address.protocol === 'ssh') expect(address.host).toBe(written);
        else expect(new URL(url).hostname).toBe(address.host);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('an address of .gitmodules', () => {
  const bases = [
    'https://github.com/G/',
    'https://alm.example.com:8443/G/',
    'http://127.0.0.1:3000/acme/',
    'ssh://git@alm.example.com:2222/G/',
    'git@scp.example.com:G/',
  ];

  it.each([
    'https://github.com/G/x',
    'https://github.com/other/x',
    'https://GITHUB.com/G/x',
    'https://alm.example.com:8443/x',
    'http://127.0.0.1:3000/other',
    'ssh://git@alm.example.com:2222/x',
    'git@scp.example.com:x',
    'https://third.example.com/x',
    'ssh://git@third.example.com:22/x',
    'git@third.example.com:x',
  ])('%s may be asked', (url) => {
    expect(refusedUrl(url, bases, ['third.example.com'])).toBeUndefined();
  });

  it.each([
    ['https://evil.example.com/x', /its host evil\.example\.com is neither that of a remote nor in allow-hosts/],
    ['https://github.com.evil.example.com/x', /its host/],
    ['https://alm.example.com/x', /its host alm\.example\.com/],
    ['https://alm.example.com:8444/x', /its host/],
    ['http://github.com/x', /its host/],
    ['ssh://git@github.com/x', /its host/],
    ['http://127.0.0.1/x', /its host/],
    ['http://127.0.0.1:3001/x', /its host/],
    ['http://169.254.169.254/latest/meta-data/', /its host 169\.254\.169\.254/],
    ['http://[fd00:ec2::254]/latest/', /its host/],
    ['http://third.example.com/x', /plain http/],
    ['https://user:pass@github.com/G/x', /not a plain https or ssh address/],
    ['ext::sh -c x', /not a plain https or ssh address/],
    ['--upload-pack=x', /not a plain https or ssh address/],
    ['', /not a plain https or ssh address/],
  ])('%s must not be asked', (url, why) => {
    expect(refusedUrl(url, bases, ['third.example.com'])).toMatch(why);
  });
});
