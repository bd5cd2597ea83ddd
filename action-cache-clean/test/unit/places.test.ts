import { mkdirSync, mkdtempSync, realpathSync, rmSync, type Stats, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { accessTimes, isBelow, lastRead, mountsBelow, readMounts } from '../../src/mounts.js';
import { cacheFolder, expandHome, isTarget, surroundings, whyNoCache } from '../../src/roots.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gbo-places-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const made = (name: string) => {
  mkdirSync(join(folder, name), { recursive: true });
  return join(folder, name);
};

describe('what is mounted', () => {
  const mounts = readMounts(
    [
      '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard',
      '30 22 0:25 / /srv/fast rw,noatime - zfs tank/fast rw,xattr',
      '31 22 0:26 / /srv/slow ro,relatime master:5 propagate_from:2 - ext4 /dev/vdb rw',
      '32 22 0:27 / /srv/sealed rw,relatime - squashfs /dev/loop0 ro',
      '33 22 254:0 /x /srv/a\\040folder\\011with\\012odd\\134names rw,relatime - ext4 /dev/vda rw',
      '34 30 0:28 / /srv/fast/again rw,relatime - tmpfs tmpfs rw',
      '36 22 0:30 / /srv/strict rw - ext4 /dev/vdc rw',
      '35 34 0:29 / /srv/fast/again rw,noatime - tmpfs tmpfs rw',
      '',
    ].join('\n'),
  );

  it('is read with the escapes of the kernel', () => {
    expect(mounts.map(({ point }) => point)).toContain('/srv/a folder\twith\nodd\\names');
  });

  it.each([
    ['below the root', '/home/ci/.cargo', 'daily'],
    ['at a mount without access times', '/srv/fast', 'none'],
    ['below a mount without access times', '/srv/fast/x/y', 'none'],
    ['beside it, though its name begins alike', '/srv/fastest', 'daily'],
    ['below a mount that is read-only', '/srv/slow/x', 'none'],
    ['on a file system that is read-only', '/srv/sealed/x', 'none'],
    ['below a mount that shows each read', '/srv/strict/x', 'exact'],
    ['where one mount hides another', '/srv/fast/again/x', 'none'],
  ])('reading leaves a trace or not: %s', (_, path, expected) => {
    expect(accessTimes(mounts, path)).toBe(expected);
  });

  it('where nothing is known to be mounted, no trace is counted on', () => {
    expect(accessTimes([], '/srv')).toBe('none');
  });

  it.each([
    // Linux' relatime_need_update: a read shows when a change is not older than the last one that shows, or that is a day old.
    ['a read after all changes hides others for a day', 'daily', { a: 50, m: 10, c: 10 }, 50, 74],
    ['the first read after a change shows', 'daily', { a: 50, m: 60, c: 60 }, 50, 50],
    ['also after one of its name or links alone', 'daily', { a: 50, m: 10, c: 50 }, 50, 50],
    ['each read shows', 'exact', { a: 50, m: 10, c: 10 }, 50, 50],
    ['none does', 'none', { a: 50, m: 10, c: 10 }, 0, 0],
  ] as const)('%s (access times: %s)', (_, times, { a, m, c }, shown, possible) => {
    const hours = 60 * 60 * 1000;
    const stat = { atimeMs: a * hours, mtimeMs: m * hours, ctimeMs: c * hours } as Stats;
    expect(lastRead(stat, times)).toEqual({ shown: shown * hours, possible: possible * hours });
  });

  it.each([
    ['/srv/fast', ['/srv/fast/again', '/srv/fast/again']],
    ['/srv/fast/again', []],
    ['/srv/fas', []],
    ['/srv/a folder\twith\nodd\\names', []],
    ['/home', []],
  ])('inside %j', (path, points) => {
    expect(mountsBelow(mounts, path)).toEqual(points);
  });

  it('of this machine is read too', () => {
    expect(readMounts().map(({ point }) => point)).toContain('/');
  });

  it.each([
    ['/a/b', '/a', true],
    ['/a', '/a', false],
    ['/ab', '/a', false],
    ['/a', '/', true],
    ['/', '/', false],
    ['/', '/a', false],
  ])('%s is below %s: %s', (path, of, expected) => {
    expect(isBelow(path, of)).toBe(expected);
  });
});

describe('no cache by its place', () => {
  const home = made('home/ci');
  const workspace = made('home/ci/.cache/act/0a1b2c3d4e5f6071/hostexecutor');
  const around = { home, workspace };

  it.each([
    ['/', /belongs to the system/],
    ['/etc', /belongs to the system/],
    ['/root', /belongs to the system/],
    ['/home', /belongs to the system/],
    ['/tmp', /belongs to the system/],
    ['/usr', /belongs to the system/],
    ['/var', /belongs to the system/],
    [realpathSync('/bin'), /belongs to the system/],
    [realpathSync('/lib'), /belongs to the system/],
    [realpathSync('/sbin'), /belongs to the system/],
    [home, /home folder/],
    [folder, /home folder/],
    [join(folder, 'home'), /home folder/],
    [workspace, /workspace/],
    [join(home, '.cache/act/0a1b2c3d4e5f6071'), /workspace/],
  ])('%s', (path, says) => {
    expect(whyNoCache(path, around)).toMatch(says);
  });

  it.each([
    '/srv/target',
    '/usr/local/cargo',
    '/var/cache/sccache',
    '/etcetera',
    join(home, '.cargo'),
    join(workspace, 'target'),
    `${home}2`,
  ])('%s may be one', (path) => {
    expect(whyNoCache(path, around)).toBeUndefined();
  });

  it('the home folder stays one behind a symbolic link', () => {
    const link = join(folder, 'link-home');
    symlinkSync(home, link);
    expect(whyNoCache(home, { home: link })).toMatch(/home folder/);
    expect(() => cacheFolder('cargo-home', link, { home })).toThrow(/is no cache: it is the home folder/);
  });

  it('a home or workspace that is not there is still none', () => {
    expect(whyNoCache('/nonexistent/ci', { home: '/nonexistent/ci' })).toMatch(/home folder/);
    expect(whyNoCache('/srv/x', { home: '/nonexistent', workspace: '/srv/x/ws' })).toMatch(/workspace/);
  });
});

describe('a folder that may be cleaned', () => {
  const home = made('home/ci');
  const cargo = made('home/ci/.cargo');

  it.each([
    ['as it is', cargo, cargo],
    ['below the home folder', '~/.cargo', cargo],
    ['with a slash at its end', `${cargo}/`, cargo],
    ['in a roundabout way', `${cargo}/../.cargo`, cargo],
    ['that is not there', '/nonexistent/cargo', undefined],
  ])('%s', (_, given, real) => {
    expect(cacheFolder('cargo-home', given, { home })).toBe(real);
  });

  it('is the one that a symbolic link leads to', () => {
    symlinkSync(cargo, join(folder, 'link-cargo'));
    expect(cacheFolder('cargo-home', join(folder, 'link-cargo'), { home })).toBe(cargo);
  });

  it.each([
    ['a file', () => writeFileSync(join(folder, 'file'), ''), 'file', /cannot be used: it is not a folder/],
    ['below a file', () => {}, 'file/x', /cannot be used: /],
    ['a link in a circle', () => symlinkSync('circle', join(folder, 'circle')), 'circle', /cannot be used: /],
  ])('is not %s', (_, make, name, says) => {
    make();
    expect(() => cacheFolder('sccache-dir', join(folder, name), { home })).toThrow(says);
  });

  it("is the runner's, though this job's workspace lies in there; but not that workspace, and no other folder around it", () => {
    const runner = made('home/ci/.cache/act');
    const workspace = made('home/ci/.cache/act/0a1b2c3d4e5f6071/hostexecutor');
    const around = { home, workspace };
    expect(cacheFolder('runner-dir', runner, around)).toBe(runner);
    expect(() => cacheFolder('runner-dir', workspace, around)).toThrow(/workspace/);
    expect(() => cacheFolder('sccache-dir', runner, around)).toThrow(/workspace/);
    expect(() => cacheFolder('runner-dir', home, around)).toThrow(/home folder/);
  });

  it.each([
    ['~', '/home/ci'],
    ['~/x', '/home/ci/x'],
    ['~x', '~x'],
    ['/~', '/~'],
    ['a/~', 'a/~'],
  ])('%s is %s', (path, expanded) => {
    expect(expandHome(path, { home: '/home/ci' })).toBe(expanded);
  });

  it('empty variables are none', () => {
    const { home: found, workspace } = surroundings({ HOME: '', GITHUB_WORKSPACE: '' });
    expect(found).toMatch(/^\/./);
    expect(workspace).toBeUndefined();
  });
});

describe('a target is one that cargo has made', () => {
  const tag = 'Signature: 8a477f597d28d172789f06886806bc55\n# made by cargo\n';
  const target = (name: string, files: Record<string, string>) => {
    const path = made(`targets/${name}`);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
    return path;
  };
  it.each([
    ['with both its marks', { 'CACHEDIR.TAG': tag, '.rustc_info.json': '{}' }, true],
    ['without its tag', { '.rustc_info.json': '{}' }, false],
    ['with the tag of a backup program alone', { 'CACHEDIR.TAG': tag }, false],
    ['with another signature', { 'CACHEDIR.TAG': 'Signature: x\n', '.rustc_info.json': '{}' }, false],
    ['with an empty tag', { 'CACHEDIR.TAG': '', '.rustc_info.json': '{}' }, false],
    ['empty', {}, false],
  ])('%s', (title, files, expected) => {
    expect(isTarget(target(title, files))).toBe(expected);
  });

  it('and not by a tag that is a symbolic link', () => {
    const path = target('link', { '.rustc_info.json': '{}', tag });
    symlinkSync(join(path, 'tag'), join(path, 'CACHEDIR.TAG'));
    expect(isTarget(path)).toBe(false);
  });

  it('and not when it is not there', () => {
    expect(isTarget('/nonexistent')).toBe(false);
  });
});
