import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { diskUsage, foldersIn, namesIn, statOf } from '../../src/disk-usage.js';
import { plant, temporaryFolder } from './tree.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;
const next = () => join(folder, String(++made));

/** What du(1) says. */
const du = (...paths: string[]) =>
  Number(execFileSync('du', ['-cs', '--block-size=1', ...paths], { encoding: 'utf8' }).match(/(\d+)\ttotal/)?.[1]);

describe('what lies in a folder is counted as du counts it', () => {
  it.each([
    ['nothing', { x: null }],
    ['files of some sizes', { a: 1, b: 5, 'c/d': 100, 'c/e': '' }],
    ['a file with two names', { a: 100, b: '=> a', 'c/d': '=> a' }],
    ['symbolic links, to where there is much and to nowhere', { a: '-> /usr', b: '-> /nonexistent', c: '-> .' }],
    ['names that hold anything', { 'a\nb': 3, ' ': 4, '🦀': 5, '-rf': 6, '$(x)': 7 }],
    ['deep down', { [Array(120).fill('d').join('/')]: 9 }],
  ])('%s', (_, tree) => {
    const path = plant(next(), tree);
    expect(diskUsage(path).bytes).toBe(du(path));
  });

  it('a file with a hole takes less than its length', () => {
    const path = plant(next(), { a: 4 });
    truncateSync(join(path, 'a'), 2 ** 30);
    expect(diskUsage(path).bytes).toBe(du(path));
    expect(diskUsage(path).bytes).toBeLessThan(2 ** 20);
  });

  it('a file with names in two folders counts once for both', () => {
    const path = plant(next(), { 'a/x': 50, 'b/x': '=> a/x', 'b/y': 3 });
    const seen = new Set<string>();
    const [a, b] = [diskUsage(join(path, 'a'), seen).bytes, diskUsage(join(path, 'b'), seen).bytes];
    expect(a + b).toBe(du(join(path, 'a'), join(path, 'b')));
  });

  it('any tree', () =>
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[a-c](\/[d-f]){0,3}\/[0-9]$/), fc.integer({ min: 0, max: 40 }), {
          maxKeys: 12,
        }),
        (tree) => {
          const path = plant(next(), tree);
          expect(diskUsage(path).bytes).toBe(du(path));
          expect(diskUsage(path).files).toBe(Object.keys(tree).length);
        },
      ),
      { numRuns: 25 },
    ));
});

describe('its time', () => {
  it('is that of its newest file, not of a folder', () => {
    const path = plant(next(), { 'a/x': 1, 'b/y': 1 }, { 'a/': 5000, 'b/': 9000 });
    writeFileSync(join(path, 'z'), '');
    rmSync(join(path, 'z'));
    expect(diskUsage(path).newest).toBe(9000);
  });

  it('is that of the newest folder when there is no file', () => {
    expect(diskUsage(plant(next(), { 'a/b': null }, 7000)).newest).toBeGreaterThanOrEqual(7000);
  });
});

describe('what is not there or may not be read', () => {
  it('counts nothing', () => {
    expect(diskUsage('/nonexistent/x')).toEqual({ bytes: 0, files: 0, newest: 0 });
    expect(statOf('/nonexistent')).toBeUndefined();
    expect(namesIn('/nonexistent')).toEqual([]);
    expect(foldersIn('/etc/passwd')).toEqual([]);
    expect(statOf('/etc/passwd/x')).toBeUndefined();
  });

  it('a folder that may not be read counts its own blocks, and stops nothing', () => {
    const path = plant(next(), { 'a/x': 5, 'b/y': 7 });
    chmodSync(join(path, 'a'), 0);
    expect(diskUsage(path).bytes).toBeGreaterThanOrEqual(7 * 1024);
    chmodSync(join(path, 'a'), 0o755);
  });

  it('symbolic links to folders are no folders', () => {
    expect(foldersIn(plant(next(), { a: '-> /usr', 'b/x': 1, c: 1 }))).toEqual(['b']);
  });
});
