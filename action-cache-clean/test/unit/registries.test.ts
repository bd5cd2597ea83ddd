import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { CargoDatabase } from '../../src/cargo-database.js';
import { registriesIn } from '../../src/registries.js';
import { DAY } from './facts-of.js';
import { plant, temporaryFolder } from './tree.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const long = 1_600_000_000_000;
const sparse = (dl: string) => ({ 'config.json': JSON.stringify({ dl }) });
const acme = sparse('https://forge.example.com/api/packages/acme/cargo/api/v1/crates');
const other = sparse('https://forge.example.com/api/packages/other/cargo/api/v1/crates');
const git = (url: string) => ({ '.git/FETCH_HEAD': `${'a'.repeat(40)}\t\t'refs/heads/master' of ${url}\n` });
const cratesIo = sparse('https://static.crates.io/crates');

describe('a registry that cargo keeps under another name since an upgrade', () => {
  interface Case {
    title: string;
    old: [name: string, files: Record<string, string>];
    next: [name: string, files: Record<string, string>];
    /** When each was used last, in days from when the next one was made; default: of the old one just before, of the next one ten. */
    oldUsed?: number;
    nextUsed?: number;
    dead: boolean;
  }
  const renamed: Pick<Case, 'old' | 'next'> = {
    old: ['forge.example.com-1111111111111111', acme],
    next: ['forge.example.com-2222222222222222', acme],
  };
  it.each<Case>([
    { title: 'under another hash', ...renamed, dead: true },
    {
      title: 'crates.io, by its git index before and sparse now',
      old: ['github.com-1ecc6299db9ec823', git('https://github.com/rust-lang/crates.io-index')],
      next: ['index.crates.io-1949cf8c6b5b557f', cratesIo],
      dead: true,
    },
    { title: 'not while an older toolchain beside uses it', ...renamed, oldUsed: 3, dead: false },
    { title: 'not in the first days, as the older toolchain may come back', ...renamed, nextUsed: 6, dead: false },
    { title: 'not in a copy, whose times tell nothing', ...renamed, oldUsed: -20, dead: false },
    {
      title: 'not that of another owner of the same forge',
      old: ['forge.example.com-1111111111111111', other],
      next: ['forge.example.com-2222222222222222', acme],
      dead: false,
    },
    {
      title: 'not one of a private git index on the host that crates.io had',
      old: ['github.com-1ecc6299db9ec823', git('https://github.com/acme/index')],
      next: ['index.crates.io-1949cf8c6b5b557f', cratesIo],
      dead: false,
    },
    {
      title: 'not one of which nothing tells where it comes from',
      old: ['forge.example.com-1111111111111111', { x: '' }],
      next: ['forge.example.com-2222222222222222', { x: '' }],
      dead: false,
    },
  ])('$title', async ({ title, old, next, oldUsed, nextUsed = 10, dead }) => {
    const root = join(folder, title.replaceAll(/\W/g, '-'));
    const make = async ([name, files]: Case['old']) => {
      const tree = Object.entries(files).map(([path, text]) => [`registry/index/${name}/${path}`, text]);
      plant(root, Object.fromEntries(tree), long);
      await sleep(20); // times of files have some ms
      return Date.now();
    };
    const before = await make(old);
    await sleep(20);
    const made = await make(next);
    const at = (days: number | undefined) => (days === undefined ? before : made + days * DAY);
    const indices = new Map([
      [old[0], { usedAt: at(oldUsed) }],
      [next[0], { usedAt: at(nextUsed) }],
    ]);
    const found = registriesIn(root, { indices } as unknown as CargoDatabase);
    expect(found.filter((each) => each.dead).map(({ name }) => name)).toEqual(dead ? [old[0]] : []);
  });
});
