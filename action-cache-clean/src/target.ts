import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { blocks, diskUsage, entriesIn, foldersIn, namesIn, readStart, type Seen, statOf } from './disk-usage.js';
import type { Item, Kind, Place } from './facts.js';
import { type AccessTimes, lastRead } from './mounts.js';

/** The locks of a profile, in the order in which cargo takes them: to 1.95 the first alone, later all three. */
const lockNames = ['.cargo-build-lock', '.cargo-lock', '.cargo-artifact-lock'];

/** Hash of a unit at the end of a name: `serde-0a1b2c3d4e5f6071.d`. */
const HASH = /-([0-9a-f]{16})(?:\.|$)/;

/** The profiles of a target: those beside its tag and those of each platform it was built for. */
export function profilesOf(target: string, device: number): Place[] {
  const candidates = foldersIn(target).flatMap((name) => [
    name,
    ...foldersIn(join(target, name)).map((inner) => `${name}/${inner}`),
  ]);
  return candidates
    .filter((name) => isProfile(join(target, name)))
    .map((name) => ({
      kind: 'target',
      root: join(target, name),
      locks: lockNames.map((lock) => join(target, name, lock)).filter((path) => statOf(path)),
      trash: join(target, '.gbo-trash'),
      device,
      target,
    }));
}

/** `.fingerprint` until cargo 1.99; after that a lock beside `build`. */
function isProfile(folder: string): boolean {
  const has = (name: string) => statOf(join(folder, name)) !== undefined;
  return has('.fingerprint') || (has('build') && lockNames.some(has));
}

export interface TargetOptions {
  /** What reads show in them: a unit that was fresh in a build was read, and nothing else. */
  accessTimes: AccessTimes;
  /** Numbers of the compilers that are installed; absent: not looked at. */
  compilers?: Set<string>;
}

/** Units and incremental folders of one profile. Folder times say nothing: they stand still while files in them change. */
export function surveyProfile(place: Place, options: TargetOptions): Item[] {
  const seen: Seen = new Set();
  const units = new Map<string, Unit>();
  const unit = (hash: string): Unit => {
    const known = units.get(hash);
    if (known) return known;
    const made = { paths: [], bytes: 0, usedAt: 0, maybeUsedAt: 0, changedAt: 0, gone: false };
    units.set(hash, made);
    return made;
  };
  const links = new Map<string, Unit>();
  fingerprints(place, options, unit, seen);
  newUnits(place, options, unit, seen, links);
  outputs(place, unit, seen, links);
  uplifted(place, links);
  return [...[...units.values()].map((each) => itemOf(place, each)), ...incremental(place, seen)];
}

/** Whether a unit was built or read again since it was surveyed: its folder does not change when files in it do. */
export function usedSinceSurvey({ place, path, kind, usedAt }: Item, times: AccessTimes): boolean {
  if (kind === 'incremental') return false;
  const folder = path.startsWith('.fingerprint/') ? path : `${path}/fingerprint`;
  return entriesIn(join(place.root, folder)).some(({ name }) => {
    const stat = statOf(join(place.root, folder, name));
    return stat !== undefined && lastUse(name, stat, times).shown > usedAt;
  });
}

/** Of the files in a fingerprint, cargo reads all in every build but the JSON; that one only we read, in every survey. */
function lastUse(name: string, stat: Stats, times: AccessTimes): { shown: number; possible: number } {
  const { shown, possible } = lastRead(stat, name.endsWith('.json') ? 'none' : times);
  return { shown: Math.max(stat.mtimeMs, shown), possible };
}

interface Unit {
  /** Its fingerprint first: without that, cargo takes nothing of it for fresh. */
  paths: string[];
  bytes: number;
  usedAt: number;
  maybeUsedAt: number;
  /** Of the first path. */
  changedAt: number;
  gone: boolean;
}

/** A look at a file is most of what a survey costs, so nothing is looked at twice. */
function addPath(unit: Unit, path: string, stat: Stats | undefined): void {
  if (unit.paths.length === 0) unit.changedAt = stat?.ctimeMs ?? 0;
  unit.paths.push(path);
}

function itemOf(place: Place, { paths, bytes, usedAt, maybeUsedAt, changedAt, gone }: Unit): Item {
  const [path = '', ...also] = paths;
  const kind: Kind = gone ? 'gone-toolchain' : 'unit';
  return { place, category: 'target', kind, path, also, bytes, usedAt, maybeUsedAt, changedAt };
}

/** Cargo reads these files of every unit in every build, even when there is nothing to do. */
function fingerprints(place: Place, options: TargetOptions, unit: (hash: string) => Unit, seen: Seen): void {
  for (const name of foldersIn(join(place.root, '.fingerprint'))) {
    const hash = HASH.exec(name)?.[1];
    if (!hash) continue;
    const stat = statOf(join(place.root, '.fingerprint', name));
    addPath(unit(hash), `.fingerprint/${name}`, stat);
    addFingerprint(place, `.fingerprint/${name}`, unit(hash), options, seen, stat);
  }
}

/** The layout of cargo 1.100: build/<package>/<hash>/{fingerprint,out,run}. */
function newUnits(
  place: Place,
  options: TargetOptions,
  unit: (hash: string) => Unit,
  seen: Seen,
  links: Map<string, Unit>,
): void {
  for (const name of foldersIn(join(place.root, 'build'))) {
    if (HASH.test(name)) continue; // a build script of the old layout
    for (const hash of foldersIn(join(place.root, 'build', name)).filter((each) => /^[0-9a-f]{16}$/.test(each))) {
      const path = `build/${name}/${hash}`;
      const made = unit(`${name}/${hash}`);
      const stat = statOf(join(place.root, path));
      addPath(made, path, stat);
      const all = diskUsage(join(place.root, path), seen, stat);
      addFingerprint(place, `${path}/fingerprint`, made, options, seen);
      made.bytes = all.bytes; // its fingerprint included
      made.usedAt = Math.max(made.usedAt, all.newest);
      for (const output of namesIn(join(place.root, path, 'out'))) {
        noteLink(statOf(join(place.root, path, 'out', output)), made, links);
      }
    }
  }
}

function addFingerprint(
  place: Place,
  folder: string,
  unit: Unit,
  options: TargetOptions,
  seen: Seen,
  itself = statOf(join(place.root, folder)),
): void {
  const files = namesIn(join(place.root, folder));
  unit.bytes += itself ? blocks(itself) : 0;
  // One that was just made has no files yet.
  if (files.length === 0) unit.usedAt = Math.max(unit.usedAt, itself?.mtimeMs ?? 0);
  for (const name of files) {
    const file = join(place.root, folder, name);
    const stat = statOf(file);
    if (!stat) continue;
    if (stat.nlink === 1) unit.bytes += blocks(stat);
    else unit.bytes += diskUsage(file, seen, stat).bytes;
    const { shown, possible } = lastUse(name, stat, options.accessTimes);
    unit.usedAt = Math.max(unit.usedAt, shown);
    unit.maybeUsedAt = Math.max(unit.maybeUsedAt, possible);
    if (options.compilers && name.endsWith('.json')) unit.gone ||= isByAnother(file, options.compilers);
  }
}

/**
 * 0 is written where the compiler does not matter. The number has 64 bits, so it is compared as text. It is the first
 * thing in there, and the rest may be long.
 */
function isByAnother(file: string, compilers: Set<string>): boolean {
  try {
    const compiler = /"rustc":(\d+)/.exec(readStart(file, 512))?.[1];
    return compiler !== undefined && compiler !== '0' && !compilers.has(compiler);
  } catch {
    return false;
  }
}

function outputs(place: Place, unit: (hash: string) => Unit, seen: Seen, links: Map<string, Unit>): void {
  for (const folder of ['deps', 'build', 'examples']) {
    for (const name of namesIn(join(place.root, folder))) {
      const hash = HASH.exec(name)?.[1];
      if (!hash) continue;
      const path = `${folder}/${name}`;
      const stat = statOf(join(place.root, path));
      if (!stat) continue;
      const of = unit(hash);
      addPath(of, path, stat);
      const usage = diskUsage(join(place.root, path), seen, stat);
      of.bytes += usage.bytes;
      of.usedAt = Math.max(of.usedAt, usage.newest);
      noteLink(stat, of, links);
    }
  }
}

/** Whose a file is that may stand under a second name elsewhere. */
function noteLink(stat: Stats | undefined, unit: Unit, links: Map<string, Unit>): void {
  if (stat && stat.nlink > 1 && stat.isFile()) links.set(`${stat.dev}:${stat.ino}`, unit);
}

/** Programs stand in the profile's folder under a second name: with that left there, nothing would be freed. */
function uplifted(place: Place, links: Map<string, Unit>): void {
  for (const folder of ['', 'examples']) {
    for (const entry of entriesIn(join(place.root, folder))) {
      if (!entry.isFile() || HASH.test(entry.name)) continue;
      const path = folder ? `${folder}/${entry.name}` : entry.name;
      const stat = statOf(join(place.root, path));
      if (stat && stat.nlink > 1) links.get(`${stat.dev}:${stat.ino}`)?.paths.push(path);
    }
  }
}

function incremental(place: Place, seen: Seen): Item[] {
  return foldersIn(join(place.root, 'incremental')).flatMap((name) => {
    const path = `incremental/${name}`;
    const stat = statOf(join(place.root, path));
    if (!stat) return [];
    const { bytes, newest } = diskUsage(join(place.root, path), seen, stat);
    return [{ place, category: 'target', kind: 'incremental', path, bytes, usedAt: newest, changedAt: stat.ctimeMs }];
  });
}
