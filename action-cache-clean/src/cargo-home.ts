import type { Stats } from 'node:fs';
import { join } from 'node:path';
import type { CargoDatabase, Noted } from './cargo-database.js';
import { blocks, diskUsage, entriesIn, foldersIn, type Seen, statOf } from './disk-usage.js';
import type { Item, Place } from './facts.js';
import type { KeepSet } from './lock-files.js';
import { type AccessTimes, lastRead } from './mounts.js';
import { type Registry, registriesIn } from './registries.js';

/**
 * What lies in cargo's home and can be had again. Reads top levels only where cargo's database knows the size. The time of
 * a file in registry/src is that of its author (often 2006), so a source is as old as its marker, `.cargo-ok`.
 */
export function surveyCargoHome(
  place: Place,
  database: CargoDatabase | undefined,
  keep: KeepSet,
  accessTimes: AccessTimes,
): Item[] {
  const home: Home = { place, database, keep, accessTimes, seen: new Set() };
  return [...registryItems(home), ...gitItems(home)];
}

/** In each source and checkout, once it is whole. */
const MARKER = '.cargo-ok';

interface Home {
  place: Place;
  database: CargoDatabase | undefined;
  keep: KeepSet;
  accessTimes: AccessTimes;
  /** Hard links: a checkout shares its objects with its repository. */
  seen: Seen;
}

function registryItems(home: Home): Item[] {
  const { root } = home.place;
  return registriesIn(root, home.database).flatMap((registry) => {
    const { name, dead } = registry;
    const sources = new Map(
      foldersIn(join(root, 'registry/src', name)).map((each) => [each, source(home, name, each, dead)]),
    );
    const crates = entriesIn(join(root, 'registry/cache', name))
      .filter((entry) => entry.isFile() && entry.name.endsWith('.crate'))
      .flatMap((entry) => crate(home, name, entry.name, sources.get(entry.name.slice(0, -'.crate'.length)), dead));
    const items = [...[...sources.values()].flatMap((each) => each ?? []), ...crates];
    return [...items, ...index(home, registry, items)];
  });
}

/** Without its index cargo has no use for what lies in a registry, and its own clean-up removes all of that. */
function index(home: Home, { name, dead, usedAt }: Registry, items: Item[]): Item[] {
  const path = `registry/index/${name}`;
  const stat = statOf(join(home.place.root, path));
  if (usedAt === undefined || !stat?.isDirectory()) return [];
  const { bytes, newest } = diskUsage(join(home.place.root, path), home.seen, stat);
  return [
    {
      place: home.place,
      category: 'registry',
      path,
      kind: dead ? 'broken' : 'index',
      broken: dead,
      bytes,
      usedAt: Math.max(usedAt, newest, ...items.map((item) => item.usedAt)),
      changedAt: stat.ctimeMs,
      neededBy: items.find(({ neededBy }) => neededBy)?.neededBy,
      dependents: items,
    },
  ];
}

function source(home: Home, registry: string, name: string, dead: string | undefined): Item | undefined {
  const path = `registry/src/${registry}/${name}`;
  const folder = `${home.place.root}/${path}`; // as in diskUsage
  // Cargo writes it last, so that the folder was changed when it was: thousands of looks less.
  const marker = statOf(`${folder}/${MARKER}`);
  const stat = marker ?? statOf(folder);
  if (!stat) return undefined;
  const noted = home.database?.sources.get(`${registry}/${name}`);
  return {
    place: home.place,
    category: 'registry',
    path,
    kind: dead || !marker?.size ? 'broken' : 'source',
    broken: !marker?.size ? 'its unpacking never ended' : dead,
    bytes: noted?.bytes ?? diskUsage(folder, home.seen).bytes,
    ...uses(home, noted, marker, stat.mtimeMs),
    changedAt: stat.ctimeMs,
    marker: marker && MARKER,
    neededBy: home.keep.crate(name),
  };
}

function crate(home: Home, registry: string, file: string, source: Item | undefined, dead?: string): Item[] {
  const path = `registry/cache/${registry}/${file}`;
  const stat = statOf(`${home.place.root}/${path}`);
  if (!stat) return [];
  const noted = home.database?.crates.get(`${registry}/${file}`);
  const broken = stat.size === 0 ? 'it is empty' : dead;
  return [
    {
      place: home.place,
      category: 'registry',
      path,
      kind: broken ? 'broken' : 'crate',
      broken,
      bytes: blocks(stat),
      ...uses(home, noted, stat, stat.mtimeMs, source?.usedAt),
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
  const marker = statOf(join(folder, MARKER));
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
      ...uses(home, noted, marker, stat.mtimeMs, marker?.mtimeMs),
      changedAt: stat.ctimeMs,
      neededBy: home.keep.repository(database, commit),
    },
  ];
}

/** `read`: the file that cargo reads in each build. What cargo noted itself is exact, whatever access times hide. */
function uses(
  home: Home,
  noted: Noted | undefined,
  read: Stats | undefined,
  ...times: (number | undefined)[]
): Pick<Item, 'usedAt' | 'maybeUsedAt'> {
  const { shown, possible } = lastRead(read, home.accessTimes);
  return { usedAt: latest(noted, ...times, shown), maybeUsedAt: noted ? undefined : possible };
}

function latest(noted: Noted | undefined, ...times: (number | undefined)[]): number {
  return Math.max(noted?.usedAt ?? 0, ...times.map((time) => time ?? 0));
}
