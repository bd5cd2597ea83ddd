import { join } from 'node:path';
import type { CargoDatabase } from './cargo-database.js';
import { foldersIn, readWhole, statOf } from './disk-usage.js';

/** A registry as cargo's home has it: the name of its folders, `host-hash`. */
export interface Registry {
  name: string;
  /** Why nothing reads it any more; absent: something may. */
  dead?: string;
  /** Last use of its index that anything tells of, in ms; undefined when it has none. */
  usedAt?: number;
}

/** Cargo of two toolchains may use both, the one seldom: what is dead was not used for this long. */
const DEAD_MS = 7 * 24 * 60 * 60 * 1000;

/** All that have a folder in registry/, each with whether cargo keeps it under another name since an upgrade. */
export function registriesIn(root: string, database: CargoDatabase | undefined): Registry[] {
  const indices = new Map(foldersIn(join(root, 'registry/index')).map((name) => [name, indexOf(root, name, database)]));
  const names = new Set([
    ...foldersIn(join(root, 'registry/cache')),
    ...foldersIn(join(root, 'registry/src')),
    ...indices.keys(),
  ]);
  return [...names].map((name) => {
    const own = indices.get(name);
    const others = [...indices].filter(([other]) => other !== name);
    const follower = own
      ? others.find(([, other]) => succeeds(other, own))
      : others.find(([other]) => hostOf(other) === hostOf(name));
    return {
      name,
      usedAt: own?.usedAt,
      dead: follower && `cargo keeps this registry under another name now (${follower[0]})`,
    };
  });
}

interface Index {
  /** Where its crates come from: two registries of one host, as a forge has them by owner, are not the same. */
  source?: string;
  madeAt: number;
  usedAt: number;
}

/**
 * The new name of a registry is made by the first cargo that knows it, which does not use the old one. So the old one is dead
 * when its last use lies before the new one was made; both were used after they were made, or they are copies that tell nothing.
 */
function succeeds(next: Index, old: Index): boolean {
  return (
    old.source !== undefined &&
    next.source === old.source &&
    old.madeAt <= old.usedAt &&
    old.usedAt < next.madeAt &&
    next.madeAt <= next.usedAt &&
    next.usedAt - old.usedAt >= DEAD_MS
  );
}

function indexOf(root: string, name: string, database: CargoDatabase | undefined): Index {
  const folder = join(root, 'registry/index', name);
  const marks = ['', 'config.json', '.last-updated', '.git/FETCH_HEAD'].map((mark) => statOf(join(folder, mark)));
  return {
    source: sourceOf(folder),
    // 0 where the file system does not keep it: then nothing is taken for dead.
    madeAt: marks[0]?.birthtimeMs ?? 0,
    usedAt: Math.max(database?.indices.get(name)?.usedAt ?? 0, ...marks.map((mark) => mark?.mtimeMs ?? 0)),
  };
}

/** crates.io has several addresses: that of its git index, of which cargo 1.70 made the sparse one. */
function sourceOf(folder: string): string | undefined {
  const source = downloadsFrom(folder) ?? fetchedFrom(folder);
  return source && /\/\/((static\.|index\.)?crates\.io|github\.com\/rust-lang\/crates\.io-index)\b/.test(source)
    ? 'crates.io'
    : source;
}

function downloadsFrom(folder: string): string | undefined {
  try {
    const { dl } = JSON.parse(readWhole(join(folder, 'config.json')).toString()) as { dl?: unknown };
    return typeof dl === 'string' ? dl : undefined;
  } catch {
    return undefined;
  }
}

/** gitrepository-layout(5): `<commit> TAB TAB branch 'x' of <url>`. */
function fetchedFrom(folder: string): string | undefined {
  try {
    return / of (\S+)$/m.exec(readWhole(join(folder, '.git/FETCH_HEAD')).toString())?.[1];
  } catch {
    return undefined;
  }
}

function hostOf(registry: string): string {
  return registry.replace(/-[0-9a-f]+$/, '');
}
