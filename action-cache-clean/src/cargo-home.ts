import { join } from 'node:path';
import type { CargoDatabase, Noted } from './cargo-database.js';
import { blocks, diskUsage, entriesIn, foldersIn, type Seen, statOf } from './disk-usage.js';
import type { Item, Place } from './facts.js';
import type { KeepSet } from './lock-files.js';

/**
 * What lies in cargo's home and can be had again. Reads top levels only where cargo's database knows the size. The time of
 * a file in registry/src is that of its author (often 2006), so a source is as old as its marker, `.cargo-ok`.
 */
export function surveyCargoHome(
  place: Place,
  database: CargoDatabase | undefined,
  keep: KeepSet,
  readsLeaveTraces: boolean,
): Item[] {
  const home: Home = { place, database, keep, readsLeaveTraces, seen: new Set() };
  return [...registryItems(home), ...gitItems(home)];
}

interface Home {
  place: Place;
  database: CargoDatabase | undefined;
  keep: KeepSet;
  readsLeaveTraces: boolean;
  /** Hard links: a checkout shares its objects with its repository. */
  seen: Seen;
}

function registryItems(home: Home): Item[] {
  const { root } = home.place;
  const registries = new Set([
    ...foldersIn(join(root, 'registry/cache')),
    ...foldersIn(join(root, 'registry/src')),
    ...foldersIn(join(root, 'registry/index')),
  ]);
  return [...registries].flatMap((registry) => {
    const dead = isDead(registry, foldersIn(join(root, 'registry/index')));
    const sources = new Map(
      foldersIn(join(root, 'registry/src', registry)).map((name) => [name, source(home, registry, name, dead)]),
    );
    const crates = entriesIn(join(root, 'registry/cache', registry))
      .filter((entry) => entry.isFile() && entry.name.endsWith('.crate'))
      .flatMap(({ name }) => crate(home, registry, name, sources.get(name.slice(0, -'.crate'.length)), dead));
    return [...[...sources.values()].flatMap((each) => each ?? []), ...crates];
  });
}

/** A registry whose index cargo now keeps under another hash: nothing reads the old one any more. */
function isDead(registry: string, indices: string[]): boolean {
  const host = registry.replace(/-[0-9a-f]+$/, '');
  return !indices.includes(registry) && indices.some((index) => index.replace(/-[0-9a-f]+$/, '') === host);
}

const DEAD = 'cargo keeps this registry under another name now';

function source(home: Home, registry: string, name: string, dead: boolean): Item | undefined {
  const path = `registry/src/${registry}/${name}`;
  const folder = join(home.place.root, path);
  const stat = statOf(folder);
  if (!stat) return undefined;
  const marker = statOf(join(folder, '.cargo-ok'));
  const noted = home.database?.sources.get(`${registry}/${name}`);
  return {
    place: home.place,
    category: 'registry',
    path,
    kind: dead || !marker?.size ? 'broken' : 'source',
    broken: !marker?.size ? 'its unpacking never ended' : dead ? DEAD : undefined,
    bytes: noted?.bytes ?? diskUsage(folder, home.seen).bytes,
    usedAt: latest(noted, stat.mtimeMs, marker?.mtimeMs, home.readsLeaveTraces ? marker?.atimeMs : 0),
    changedAt: stat.ctimeMs,
    neededBy: home.keep.crate(name),
  };
}

function crate(home: Home, registry: string, file: string, source: Item | undefined, dead: boolean): Item[] {
  const path = `registry/cache/${registry}/${file}`;
  const stat = statOf(join(home.place.root, path));
  if (!stat) return [];
  const noted = home.database?.crates.get(`${registry}/${file}`);
  const broken = stat.size === 0 ? 'it is empty' : dead ? DEAD : undefined;
  return [
    {
      place: home.place,
      category: 'registry',
      path,
      kind: broken ? 'broken' : 'crate',
      broken,
      bytes: blocks(stat),
      usedAt: latest(noted, stat.mtimeMs, source?.usedAt, home.readsLeaveTraces ? stat.atimeMs : 0),
      changedAt: stat.ctimeMs,
      neededBy: home.keep.crate(file.slice(0, -'.crate'.length)),
      // Cargo does not take a source without its crate: it would download it again.
      dependents: source ? [source] : [],
    },
  ];
}

function gitItems(home: Home): Item[] {
  const { root } = home.place;
  const databases = new Set([...foldersIn(join(root, 'git/db')), ...foldersIn(join(root, 'git/checkouts'))]);
  return [...databases].flatMap((database) => {
    const stat = statOf(join(root, 'git/db', database));
    const noted = home.database?.repositories.get(database);
    const bytes = stat ? diskUsage(join(root, 'git/db', database), home.seen).bytes : 0;
    const checkouts = foldersIn(join(root, 'git/checkouts', database)).flatMap((commit) =>
      checkout(home, database, commit, stat === undefined),
    );
    if (!stat?.isDirectory()) return checkouts;
    const fetched = statOf(join(root, 'git/db', database, 'FETCH_HEAD'))?.mtimeMs;
    const repository: Item = {
      place: home.place,
      category: 'git',
      path: `git/db/${database}`,
      kind: 'repository',
      bytes,
      usedAt: latest(noted, stat.mtimeMs, fetched, ...checkouts.map(({ usedAt }) => usedAt)),
      changedAt: stat.ctimeMs,
      neededBy: home.keep.repository(database),
      dependents: checkouts,
    };
    return [...checkouts, repository];
  });
}

function checkout(home: Home, database: string, commit: string, orphan: boolean): Item[] {
  const path = `git/checkouts/${database}/${commit}`;
  const folder = join(home.place.root, path);
  const stat = statOf(folder);
  if (!stat) return [];
  const marker = statOf(join(folder, '.cargo-ok'));
  const noted = home.database?.checkouts.get(`${database}/${commit}`);
  const broken = !marker ? 'its checkout never ended' : orphan ? 'its repository is gone' : undefined;
  return [
    {
      place: home.place,
      category: 'git',
      path,
      kind: broken ? 'broken' : 'checkout',
      broken,
      bytes: noted?.bytes ?? diskUsage(folder, home.seen).bytes,
      usedAt: latest(noted, stat.mtimeMs, marker?.mtimeMs, home.readsLeaveTraces ? marker?.atimeMs : 0),
      changedAt: stat.ctimeMs,
      neededBy: home.keep.repository(database, commit),
    },
  ];
}

function latest(noted: Noted | undefined, ...times: (number | undefined)[]): number {
  return Math.max(noted?.usedAt ?? 0, ...times.map((time) => time ?? 0));
}
