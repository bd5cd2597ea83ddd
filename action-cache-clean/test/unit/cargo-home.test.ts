import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { CargoDatabase } from '../../src/cargo-database.js';
import { surveyCargoHome } from '../../src/cargo-home.js';
import { diskUsage } from '../../src/disk-usage.js';
import type { Item, Place } from '../../src/facts.js';
import { KeepSet } from '../../src/lock-files.js';
import type { AccessTimes } from '../../src/mounts.js';
import { DAY, NOW } from './facts-of.js';
import { plant, type Tree, temporaryFolder } from './tree.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const R = 'index.example.com-1949cf8c6b5b557f';
const src = `registry/src/${R}`;
const cache = `registry/cache/${R}`;
const index = { [`registry/index/${R}/config.json`]: '{}' };
const OK = '{"v":1}';

interface Survey {
  tree: Tree;
  at?: number | Record<string, number>;
  database?: Partial<CargoDatabase>;
  crates?: string[];
  commits?: string[];
  times?: AccessTimes;
}

let made = 0;
function survey({ tree, at = NOW - 40 * DAY, database, crates = [], commits = [], times = 'none' }: Survey): Item[] {
  const root = plant(join(folder, String(++made)), tree, at);
  const place: Place = { kind: 'cargo-home', root, locks: [], trash: '', device: statSync(root).dev };
  const keep = new KeepSet();
  keep.add({ crates: new Set(crates), commits: new Set(commits) }, '/ws/Cargo.lock');
  const none = new Map();
  const noted = { indices: none, crates: none, sources: none, repositories: none, checkouts: none, ...database };
  const items = surveyCargoHome(place, database && noted, keep, times);
  for (const item of items) expect(existsSync(join(root, item.path)), item.path).toBe(true);
  expect(new Set(items.map(({ path }) => path)).size).toBe(items.length);
  return items;
}
const told = (items: Item[]) => items.map(({ kind, path }) => `${kind} ${path}`).sort();
const of = (items: Item[], path: string) => items.find((item) => item.path === path);

describe('what can be had again in a home of cargo', () => {
  it.each<[string, Tree, string[]]>([
    ['an empty one holds nothing', {}, []],
    [
      'a crate and its source',
      { ...index, [`${cache}/a-1.0.0.crate`]: 5, [`${src}/a-1.0.0/.cargo-ok`]: OK, [`${src}/a-1.0.0/lib.rs`]: 9 },
      [`crate ${cache}/a-1.0.0.crate`, `source ${src}/a-1.0.0`],
    ],
    ['a crate that was never unpacked', { ...index, [`${cache}/a-1.0.0.crate`]: 5 }, [`crate ${cache}/a-1.0.0.crate`]],
    ['a source whose crate is gone', { ...index, [`${src}/a-1.0.0/.cargo-ok`]: OK }, [`source ${src}/a-1.0.0`]],
    [
      'a source that was never finished',
      { ...index, [`${src}/a-1.0.0/lib.rs`]: 1, [`${src}/b-1.0.0/.cargo-ok`]: '' },
      [`broken ${src}/a-1.0.0`, `broken ${src}/b-1.0.0`],
    ],
    ['a crate of no bytes', { ...index, [`${cache}/a-1.0.0.crate`]: '' }, [`broken ${cache}/a-1.0.0.crate`]],
    [
      'a registry that cargo keeps under another name now',
      {
        'registry/index/index.example.com-1949cf8c6b5b557f/x': 1,
        'registry/cache/index.example.com-6f17d22bba15001f/a-1.0.0.crate': 5,
        'registry/src/index.example.com-6f17d22bba15001f/a-1.0.0/.cargo-ok': OK,
      },
      [
        'broken registry/cache/index.example.com-6f17d22bba15001f/a-1.0.0.crate',
        'broken registry/src/index.example.com-6f17d22bba15001f/a-1.0.0',
      ],
    ],
    [
      'a registry without an index, when there is no other of its host',
      { 'registry/cache/alm.example.com-6f17d22bba15001f/a-1.0.0.crate': 5, ...index },
      ['crate registry/cache/alm.example.com-6f17d22bba15001f/a-1.0.0.crate'],
    ],
    [
      'two registries of one host that are both in use',
      {
        'registry/index/alm.example.com-1111111111111111/x': 1,
        'registry/index/alm.example.com-2222222222222222/x': 1,
        'registry/cache/alm.example.com-1111111111111111/a-1.0.0.crate': 5,
        'registry/cache/alm.example.com-2222222222222222/a-1.0.0.crate': 5,
      },
      [
        'crate registry/cache/alm.example.com-1111111111111111/a-1.0.0.crate',
        'crate registry/cache/alm.example.com-2222222222222222/a-1.0.0.crate',
      ],
    ],
    [
      'a repository and its checkouts',
      {
        'git/db/lib-0123456789abcdef/HEAD': 1,
        'git/checkouts/lib-0123456789abcdef/aaaaaaa/.cargo-ok': '',
        'git/checkouts/lib-0123456789abcdef/bbbbbbb/lib.rs': 1,
      },
      [
        'broken git/checkouts/lib-0123456789abcdef/bbbbbbb',
        'checkout git/checkouts/lib-0123456789abcdef/aaaaaaa',
        'repository git/db/lib-0123456789abcdef',
      ],
    ],
    [
      'a checkout whose repository is gone',
      { 'git/checkouts/lib-0123456789abcdef/aaaaaaa/.cargo-ok': '' },
      ['broken git/checkouts/lib-0123456789abcdef/aaaaaaa'],
    ],
    [
      "what is not cargo's is not looked at: programs, settings, credentials, toolchains, strange files",
      {
        'bin/cargo-x': 9,
        'config.toml': 1,
        'credentials.toml': 1,
        '.crates.toml': 1,
        env: 1,
        'registry/CACHEDIR.TAG': 1,
        [`${cache}/notes.txt`]: 1,
        [`${cache}/folder.crate/x`]: 1,
        [`${src}/file`]: 1,
        [`${src}/elsewhere-1.0.0`]: '-> /usr',
        [`${cache}/elsewhere-1.0.0.crate`]: '-> /etc/passwd',
        'git/CACHEDIR.TAG': 1,
        'git/db/file': 1,
        'git/db/elsewhere-0123456789abcdef': '-> /usr',
        ...index,
      },
      [],
    ],
    [
      'names that hold anything',
      { ...index, [`${src}/a\nb-1.0.0/.cargo-ok`]: OK, [`${cache}/a b-1.0.0.crate`]: 1 },
      [`crate ${cache}/a b-1.0.0.crate`, `source ${src}/a\nb-1.0.0`],
    ],
  ])('%s', (_, tree, expected) => {
    const indices = Object.keys(tree).flatMap((path) => /^registry\/index\/[^/]+/.exec(path)?.[0] ?? []);
    expect(told(survey({ tree }))).toEqual([...expected, ...indices.map((path) => `index ${path}`)].sort());
  });
});

describe('what hangs on what', () => {
  const items = survey({
    tree: {
      ...index,
      [`${cache}/a-1.0.0.crate`]: 5,
      [`${src}/a-1.0.0/.cargo-ok`]: OK,
      [`${cache}/a-2.0.0.crate`]: 5,
      'git/db/lib-0123456789abcdef/HEAD': 1,
      'git/checkouts/lib-0123456789abcdef/aaaaaaa/.cargo-ok': '',
      'git/checkouts/lib-0123456789abcdef/bbbbbbb/.cargo-ok': '',
    },
  });
  it('a source on its crate, a checkout on its repository', () => {
    const holds = (path: string) => of(items, path)?.dependents?.map((each) => each.path);
    expect(holds(`${cache}/a-1.0.0.crate`)).toEqual([`${src}/a-1.0.0`]);
    expect(holds(`${cache}/a-2.0.0.crate`)).toEqual([]);
    expect(holds('git/db/lib-0123456789abcdef')).toHaveLength(2);
    expect(holds(`registry/index/${R}`)).toHaveLength(3);
    for (const each of items.flatMap(({ dependents = [] }) => dependents)) expect(items).toContain(each);
  });
});

describe('when it was last used', () => {
  const tree = {
    ...index,
    [`${cache}/a-1.0.0.crate`]: 5,
    [`${src}/a-1.0.0/.cargo-ok`]: OK,
    [`${src}/a-1.0.0/lib.rs`]: 1,
  };
  const old = NOW - 40 * DAY;
  const noted = (usedAt: number) => ({ sources: new Map([[`${R}/a-1.0.0`, { usedAt }]]) });

  it('is what cargo noted', () => {
    const items = survey({ tree, at: old, database: noted(NOW - DAY) });
    expect(of(items, `${src}/a-1.0.0`)?.usedAt).toBe(NOW - DAY);
  });
  it('is the time of its marker when that is later, or when cargo noted nothing', () => {
    expect(of(survey({ tree, at: old, database: noted(5) }), `${src}/a-1.0.0`)?.usedAt).toBe(old);
    expect(of(survey({ tree, at: old }), `${src}/a-1.0.0`)?.usedAt).toBe(old);
  });
  it('is never the time of a file, which is that of its author', () => {
    const at = { '': old, [`${src}/a-1.0.0/lib.rs`]: NOW };
    const root = survey({ tree: { ...tree, [`${src}/a-1.0.0/sub/lib.rs`]: 1 }, at: { '': old } });
    expect(of(root, `${src}/a-1.0.0`)?.usedAt).toBe(old);
    const sources = survey({
      tree: { [`${src}/a-1.0.0/.cargo-ok`]: OK, ...index, [`${src}/a-1.0.0/x/lib.rs`]: 1 },
      at: { ...at, '': 1_150_000_000_000 },
    });
    expect(of(sources, `${src}/a-1.0.0`)?.usedAt).toBe(1_150_000_000_000);
  });
  it('of an index is not before that of any crate or source in it', () => {
    const items = survey({ tree, at: old, database: noted(NOW - DAY) });
    expect(of(items, `registry/index/${R}`)?.usedAt).toBe(NOW - DAY);
  });
  it('of a crate is not before that of its source', () => {
    expect(of(survey({ tree, at: old, database: noted(NOW - DAY) }), `${cache}/a-1.0.0.crate`)?.usedAt).toBe(NOW - DAY);
  });
  it('of a repository is not before that of any checkout', () => {
    const items = survey({
      tree: { 'git/db/lib-0123456789abcdef/HEAD': 1, 'git/checkouts/lib-0123456789abcdef/aaaaaaa/.cargo-ok': '' },
      at: old,
      database: { checkouts: new Map([['lib-0123456789abcdef/aaaaaaa', { usedAt: NOW }]]) },
    });
    expect(of(items, 'git/db/lib-0123456789abcdef')?.usedAt).toBe(NOW);
  });
});

describe('how much it takes', () => {
  const tree = {
    ...index,
    [`${src}/a-1.0.0/.cargo-ok`]: OK,
    [`${src}/a-1.0.0/lib.rs`]: 90,
    [`${cache}/a-1.0.0.crate`]: 5,
  };
  it('is what cargo noted of a source, without reading it', () => {
    const sources = new Map([[`${R}/a-1.0.0`, { usedAt: 1, bytes: 12_345 }]]);
    expect(of(survey({ tree, database: { sources } }), `${src}/a-1.0.0`)?.bytes).toBe(12_345);
  });
  it('is read where cargo noted none', () => {
    const sources = new Map([[`${R}/a-1.0.0`, { usedAt: 1 }]]);
    for (const database of [{ sources }, {}, undefined]) {
      const item = of(survey({ tree, database }), `${src}/a-1.0.0`);
      expect(item?.bytes).toBe(diskUsage(join(item?.place.root ?? '', item?.path ?? '')).bytes);
    }
  });
  it('of objects that a checkout shares with its repository counts once', () => {
    const items = survey({
      tree: {
        'git/db/lib-0123456789abcdef/objects/pack': 500,
        'git/checkouts/lib-0123456789abcdef/aaaaaaa/.cargo-ok': '',
        'git/checkouts/lib-0123456789abcdef/aaaaaaa/.git/objects/pack': '=> git/db/lib-0123456789abcdef/objects/pack',
      },
    });
    const total = items.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(of(items, 'git/db/lib-0123456789abcdef')?.bytes).toBeGreaterThan(500 * 1024);
    expect(total).toBeLessThan(600 * 1024);
  });
});

describe('what a Cargo.lock names', () => {
  const sha = `aaaaaaa${'0'.repeat(33)}`;
  const items = survey({
    tree: {
      ...index,
      [`${cache}/a-1.0.0.crate`]: 5,
      [`${src}/a-1.0.0/.cargo-ok`]: OK,
      [`${src}/a-1.0.1/.cargo-ok`]: OK,
      'git/db/lib-0123456789abcdef/HEAD': 1,
      'git/db/other-0123456789abcdef/HEAD': 1,
      'git/checkouts/lib-0123456789abcdef/aaaaaaa/.cargo-ok': '',
      'git/checkouts/lib-0123456789abcdef/bbbbbbb/.cargo-ok': '',
    },
    crates: ['a-1.0.0'],
    commits: [`lib#${sha}`],
  });
  it('is marked, crate and source and their index, repository and checkout, and nothing else', () => {
    expect(
      items
        .filter(({ neededBy }) => neededBy)
        .map(({ path }) => path)
        .sort(),
    ).toEqual([
      'git/checkouts/lib-0123456789abcdef/aaaaaaa',
      'git/db/lib-0123456789abcdef',
      `${cache}/a-1.0.0.crate`,
      `registry/index/${R}`,
      `${src}/a-1.0.0`,
    ]);
  });
});
