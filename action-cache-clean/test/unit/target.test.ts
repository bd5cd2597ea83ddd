import { existsSync, lstatSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { diskUsage } from '../../src/disk-usage.js';
import type { Item } from '../../src/facts.js';
import { pathsOf } from '../../src/survey.js';
import { profilesOf, surveyProfile, type TargetOptions } from '../../src/target.js';
import { DAY, NOW } from './facts-of.js';
import { plant, type Tree, temporaryFolder } from './tree.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;
const planted = (tree: Tree, at: number | Record<string, number> = NOW - 9 * DAY) =>
  plant(join(folder, String(++made)), tree, at);

const H = ['0123456789abcdef', '1123456789abcdef', '2123456789abcdef', '3123456789abcdef'] as const;
const marks = { 'CACHEDIR.TAG': 'Signature: 8a477f597d28d172789f06886806bc55', '.rustc_info.json': '{}' };
const json = (compiler: string) => `{"rustc":${compiler},"features":"[]"}`;

/** A unit of the layout up to cargo 1.99: a library, or a program with its second name. */
const unit = (name: string, hash: string, profile = 'debug', compiler = '7458672600737419911'): Tree => ({
  [`${profile}/.cargo-lock`]: '',
  [`${profile}/.fingerprint/${name}-${hash}/lib-${name}`]: hash,
  [`${profile}/.fingerprint/${name}-${hash}/lib-${name}.json`]: json(compiler),
  [`${profile}/.fingerprint/${name}-${hash}/invoked.timestamp`]: 'x',
  [`${profile}/deps/lib${name}-${hash}.rlib`]: 20,
  [`${profile}/deps/lib${name}-${hash}.rmeta`]: 5,
  [`${profile}/deps/${name}-${hash}.d`]: 1,
});
const program = (name: string, hash: string, profile = 'debug'): Tree => ({
  [`${profile}/.cargo-lock`]: '',
  [`${profile}/.fingerprint/${name}-${hash}/bin-${name}`]: hash,
  [`${profile}/deps/${name}-${hash}`]: 50,
  [`${profile}/deps/${name}-${hash}.d`]: 1,
  [`${profile}/${name}`]: `=> ${profile}/deps/${name}-${hash}`,
  [`${profile}/${name}.d`]: 1,
});
const script = (name: string, hash: string, ran: string): Tree => ({
  [`debug/.fingerprint/${name}-${hash}/build-script-build-script-build`]: hash,
  [`debug/build/${name}-${hash}/build_script_build-${hash}`]: 30,
  [`debug/build/${name}-${hash}/build-script-build`]: `=> debug/build/${name}-${hash}/build_script_build-${hash}`,
  [`debug/.fingerprint/${name}-${ran}/run-build-script-build-script-build`]: ran,
  [`debug/build/${name}-${ran}/out/made.rs`]: 3,
  [`debug/build/${name}-${ran}/output`]: 1,
});
/** The layout of cargo 1.100. */
const newUnit = (name: string, hash: string, compiler = '7458672600737419911'): Tree => ({
  'debug/.cargo-lock': '',
  'debug/.cargo-build-lock': '',
  'debug/.cargo-artifact-lock': '',
  [`debug/build/${name}/${hash}/fingerprint/lib-${name}`]: hash,
  [`debug/build/${name}/${hash}/fingerprint/lib-${name}.json`]: json(compiler),
  [`debug/build/${name}/${hash}/out/lib${name}-${hash}.rlib`]: 20,
  [`debug/build/${name}/${hash}/out/${name}`]: 50,
  [`debug/${name}`]: `=> debug/build/${name}/${hash}/out/${name}`,
});

function survey(target: string, options: Partial<TargetOptions> = {}): Item[] {
  const places = profilesOf(target, statSync(target).dev);
  return places.flatMap((place) => surveyProfile(place, { accessTimes: 'none', ...options }));
}
const told = (items: Item[]) =>
  items.map(({ kind, path, also = [] }) => [kind, path, ...also.toSorted()].join(' ')).sort();

describe('the profiles of a target', () => {
  it.each<[string, Tree, string[]]>([
    ['that is empty', marks, []],
    ['one', unit('a', H[0]), ['debug']],
    [
      "two, and one of the user's own",
      { ...unit('a', H[0]), ...unit('a', H[1], 'release'), ...unit('a', H[2], 'dist') },
      ['debug', 'dist', 'release'],
    ],
    [
      'those of a platform',
      {
        ...unit('a', H[0]),
        ...unit('a', H[1], 'x86_64-unknown-linux-musl/release'),
        'x86_64-unknown-linux-musl/CACHEDIR.TAG': '',
      },
      ['debug', 'x86_64-unknown-linux-musl/release'],
    ],
    ['of the new layout', newUnit('a', H[0]), ['debug']],
    [
      'a package called build does not make one of its folder',
      { 'debug/.cargo-lock': '', [`debug/build/build/${H[0]}/out/build/x`]: 1, 'debug/build/.cargo-ok': '' },
      ['debug'],
    ],
    [
      'neither documentation nor packages nor what tests leave',
      {
        ...unit('a', H[0]),
        'doc/a/index.html': 5,
        'package/a-1.0.0.crate': 5,
        'tmp/x': 1,
        'nextest/ci/junit.xml': 1,
        'cargo-timings/x.html': 1,
        'build/x': 1,
      },
      ['debug'],
    ],
    ['none behind a symbolic link', { ...unit('a', H[0]), release: '-> debug', other: '-> /usr' }, ['debug']],
  ])('%s', (_, tree, names) => {
    const target = planted(tree);
    const places = profilesOf(target, 5);
    expect(places.map(({ root }) => root.slice(target.length + 1)).sort()).toEqual(names);
    for (const place of places)
      expect(place).toMatchObject({ kind: 'target', target, device: 5, trash: join(target, '.gbo-trash') });
  });

  it.each<[string, Tree, string[]]>([
    ['to cargo 1.95', unit('a', H[0]), ['.cargo-lock']],
    ['later', newUnit('a', H[0]), ['.cargo-build-lock', '.cargo-lock', '.cargo-artifact-lock']],
  ])('have the locks that cargo takes, in its order: %s', (_, tree, locks) => {
    const [place] = profilesOf(planted(tree), 5);
    expect(place?.locks.map((path) => path.slice(place.root.length + 1))).toEqual(locks);
  });
});

describe('a unit goes as a whole', () => {
  it.each<[string, Tree, string[]]>([
    [
      'a library',
      unit('a', H[0]),
      [`unit .fingerprint/a-${H[0]} deps/a-${H[0]}.d deps/liba-${H[0]}.rlib deps/liba-${H[0]}.rmeta`],
    ],
    [
      'a program, with its second name',
      program('app', H[0]),
      [`unit .fingerprint/app-${H[0]} app deps/app-${H[0]} deps/app-${H[0]}.d`],
    ],
    [
      'an example, with its second name',
      {
        ...unit('a', H[0]),
        [`debug/examples/demo-${H[1]}`]: 9,
        'debug/examples/demo': `=> debug/examples/demo-${H[1]}`,
      },
      [
        `unit .fingerprint/a-${H[0]} deps/a-${H[0]}.d deps/liba-${H[0]}.rlib deps/liba-${H[0]}.rmeta`,
        `unit examples/demo-${H[1]} examples/demo`,
      ],
    ],
    [
      'a build script, and what it made',
      { 'debug/.cargo-lock': '', ...script('a', H[0], H[1]) },
      [`unit .fingerprint/a-${H[0]} build/a-${H[0]}`, `unit .fingerprint/a-${H[1]} build/a-${H[1]}`],
    ],
    [
      'two units of one package each by itself',
      { ...unit('a', H[0]), ...unit('a', H[1]) },
      [0, 1].map(
        (each) =>
          `unit .fingerprint/a-${H[each]} deps/a-${H[each]}.d deps/liba-${H[each]}.rlib deps/liba-${H[each]}.rmeta`,
      ),
    ],
    [
      'outputs whose fingerprint is gone',
      { 'debug/.cargo-lock': '', 'debug/.fingerprint': null, [`debug/deps/libx-${H[3]}.rlib`]: 9 },
      [`unit deps/libx-${H[3]}.rlib`],
    ],
    [
      'a fingerprint whose outputs are gone',
      { [`debug/.fingerprint/a-${H[0]}/lib-a`]: H[0] },
      [`unit .fingerprint/a-${H[0]}`],
    ],
    [
      'incremental folders, each by itself',
      {
        'debug/.fingerprint': null,
        'debug/incremental/a-1x2y/s-1/dep-graph.bin': 9,
        'debug/incremental/a-3x4y/s-1/x': 9,
      },
      ['incremental incremental/a-1x2y', 'incremental incremental/a-3x4y'],
    ],
    ['in the new layout', newUnit('a', H[0]), [`unit build/a/${H[0]} a`]],
    [
      'both layouts in one folder',
      { ...unit('a', H[0]), ...newUnit('b', H[1]) },
      [
        `unit .fingerprint/a-${H[0]} deps/a-${H[0]}.d deps/liba-${H[0]}.rlib deps/liba-${H[0]}.rmeta`,
        `unit build/b/${H[1]} b`,
      ],
    ],
    [
      "nothing that is not cargo's: files of others, links, what has no hash",
      {
        'debug/.cargo-lock': '',
        'debug/.fingerprint/notes': 1,
        'debug/deps/libplain.rlib': 1,
        'debug/deps/short-0123.d': 1,
        'debug/my-data.json': 1,
        'debug/incremental/file': 1,
        'debug/incremental/elsewhere': '-> /usr',
        [`debug/.fingerprint/link-${H[0]}`]: '-> /usr',
        'doc/a/index.html': 3,
      },
      [],
    ],
  ])('%s', (_, tree, expected) => {
    expect(told(survey(planted(tree)))).toEqual(expected);
  });
});

describe('bytes', () => {
  const any = fc
    .record({
      libraries: fc.integer({ min: 0, max: 2 }),
      programs: fc.integer({ min: 0, max: 2 }),
      news: fc.integer({ min: 0, max: 2 }),
      scripts: fc.integer({ min: 0, max: 1 }),
      profile: fc.constantFrom('debug', 'release', 'x86_64-unknown-linux-musl/release'),
      incremental: fc.boolean(),
    })
    .map(({ libraries, programs, news, scripts, profile, incremental }) => {
      const hash = (kind: string, index: number) => `${kind}${index}`.padEnd(16, '0');
      const tree: Tree = { ...marks, 'doc/index.html': 3, 'debug/.cargo-lock': '', 'debug/.fingerprint': null };
      for (let at = 0; at < libraries; at++) Object.assign(tree, unit(`lib${at}`, hash('a', at), profile));
      for (let at = 0; at < programs; at++) Object.assign(tree, program(`app${at}`, hash('b', at), profile));
      for (let at = 0; at < news; at++) Object.assign(tree, newUnit(`new${at}`, hash('c', at)));
      for (let at = 0; at < scripts; at++) Object.assign(tree, script('s', hash('d', at), hash('e', at)));
      if (incremental) tree['debug/incremental/a-1x/s-1/x'] = 7;
      return tree;
    });

  it('planned are bytes freed: what the disk gives back when it all goes is the sum of what was counted', () =>
    fc.assert(
      fc.property(any, (tree) => {
        const target = planted(tree);
        const items = survey(target);
        const paths = items.flatMap(pathsOf);
        expect(new Set(paths).size).toBe(paths.length);
        const before = diskUsage(target).bytes;
        for (const path of paths) {
          expect(path.startsWith(`${target}/`)).toBe(true);
          expect(lstatSync(path)).toBeDefined();
          rmSync(path, { recursive: true });
        }
        expect(before - diskUsage(target).bytes).toBe(items.reduce((sum, { bytes }) => sum + bytes, 0));
        expect(existsSync(join(target, 'doc/index.html'))).toBe(true);
        expect(existsSync(join(target, 'debug/.cargo-lock'))).toBe(true);
        expect(readdirSync(target)).toEqual(expect.arrayContaining(['.rustc_info.json', 'CACHEDIR.TAG']));
      }),
      { numRuns: 30 },
    ));
});

describe('when a unit was last used', () => {
  const options = { accessTimes: 'exact' as const };
  const touch = (target: string, path: string, atime: number, mtime: number) =>
    utimesSync(join(target, path), atime / 1000, mtime / 1000);

  it.each<[string, Tree, string]>([
    ['the old layout', unit('a', H[0]), `debug/.fingerprint/a-${H[0]}/lib-a`],
    ['the new one', newUnit('a', H[0]), `debug/build/a/${H[0]}/fingerprint/lib-a`],
  ])('is when cargo last read its fingerprint, where reading leaves a trace: %s', (_, tree, file) => {
    const target = planted(tree);
    touch(target, file, NOW - DAY, NOW - 9 * DAY);
    expect(survey(target, options)[0]?.usedAt).toBe(NOW - DAY);
    expect(survey(target)[0]?.usedAt).toBe(NOW - 9 * DAY);
  });

  it('is when any part of it was written', () => {
    const target = planted(unit('a', H[0]));
    touch(target, `debug/deps/liba-${H[0]}.rlib`, NOW - 2 * DAY, NOW - 2 * DAY);
    expect(survey(target)[0]?.usedAt).toBe(NOW - 2 * DAY);
  });

  it('is not the time of a folder above it, which stands still or moves for others', () => {
    const target = planted(unit('a', H[0]));
    touch(target, 'debug', NOW, NOW);
    touch(target, 'debug/deps', NOW, NOW);
    expect(survey(target, options)[0]?.usedAt).toBeLessThan(NOW);
  });

  it.each<[string, Tree]>([
    ['the old layout', { 'debug/.cargo-lock': '', [`debug/.fingerprint/a-${H[0]}`]: null }],
    ['the new one', { 'debug/.cargo-lock': '', [`debug/build/a/${H[0]}/fingerprint`]: null }],
  ])('is now for one that cargo is just making: %s', (_, tree) => {
    const target = planted(tree, NOW - DAY);
    expect(survey(target, options)[0]?.usedAt).toBe(NOW - DAY);
  });
});

describe('a toolchain that is gone', () => {
  const here = new Set(['7458672600737419911']);
  const gone = (tree: Tree, compilers: Set<string> | undefined) =>
    survey(planted(tree), { compilers }).map(({ kind }) => kind);
  it.each<[string, Tree, Set<string> | undefined, string]>([
    ['built it', unit('a', H[0], 'debug', '17458672600737419911'), here, 'gone-toolchain'],
    ['did not, this one did', unit('a', H[0]), here, 'unit'],
    [
      'differs in its last digit: 64 bits are compared as text',
      unit('a', H[0], 'debug', '7458672600737419912'),
      here,
      'gone-toolchain',
    ],
    ['does not matter where cargo says so', unit('a', H[0], 'debug', '0'), here, 'unit'],
    ['is not looked for when it was not asked', unit('a', H[0], 'debug', '5'), undefined, 'unit'],
    [
      'cannot be told of a fingerprint without a number',
      { 'debug/.cargo-lock': '', [`debug/.fingerprint/a-${H[0]}/lib-a.json`]: '{' },
      here,
      'unit',
    ],
    ['built it, in the new layout', newUnit('a', H[0], '5'), here, 'gone-toolchain'],
    ['is one of two that are here', unit('a', H[0], 'debug', '5'), new Set([...here, '5']), 'unit'],
  ])('%s', (_, tree, compilers, kind) => {
    expect(gone(tree, compilers)).toEqual([kind]);
  });
});
