import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type CargoDatabase, databaseTime, mutateLock, readCargoDatabase } from './cargo-database.js';
import type { Facts, Item, Place } from './facts.js';
import { hold } from './file-locks.js';
import { KeepSet, type Needed, readLockFile } from './lock-files.js';
import { accessTimes, isBelow, readMounts } from './mounts.js';
import { processes, runningCargos, userOf, wasGiven } from './processes.js';
import { realOr } from './roots.js';
import { isLive } from './runner.js';
import { bearsRemoval, clientOf, serverOf, serversAmong, startServer, stopServer, strangerAmong } from './sccache.js';
import { usedSinceSurvey } from './target.js';

/** What is found while the locks are held. */
export type Verdict =
  /** Nothing may be moved now; worth another try later. */
  | { busy: string }
  /** Something must be read again without the lock. */
  | { refresh: () => Promise<void> }
  /** Why a thing must stay after all; undefined: it may go. */
  | {
      stays: (item: Item) => string | undefined /** To be done before the locks are let go. */;
      after?: () => Promise<void>;
      /** For how long it held a lock of cargo beyond those of the place, in ms. */
      lockedMs?: number;
    };

/** Asked with the locks held, each time they are taken. */
export type Guard = () => Verdict | Promise<Verdict>;

/** What holds cargo's locks can still be told apart from what only seems to be free: one guard for each kind of place. */
export function guardOf(place: Place, victims: Item[], facts: Facts, waitMs: number): Guard {
  if (place.kind === 'cargo-home') return cargoHomeGuard(place, facts, waitMs);
  if (place.kind === 'target') return targetGuard(place);
  if (place.kind === 'sccache') return sccacheGuard(place, facts);
  return runnerGuard(place, facts, victims);
}

function runnerGuard(place: Place, facts: Facts, victims: Item[]): Guard {
  return async () => {
    const all = processes();
    const servers = serversAmong(all);
    const others = all.filter(({ pid }) => !servers.some((server) => server.pid === pid));
    // An sccache server lives on with the variables of the job that started it: it is stopped rather than a folder that it
    // may still look for taken from it, or kept for its sake. One of a job that goes on is none of our business.
    const folders = victims
      .map(({ path }) => join(place.root, path))
      .filter((folder) => servers.some(({ pid }) => wasGiven({ pid }, folder)))
      .filter((folder) => !isLive(folder, facts.workspace, others));
    const stopped = new Set<number>();
    let lockedMs = 0;
    if (folders.length > 0) {
      const cargo = facts.cargoHome ? [{ path: mutateLock(facts.cargoHome), create: false }] : [];
      const lock = await hold(cargo, 0);
      const since = performance.now();
      const those = servers.filter(({ pid }) => folders.some((folder) => wasGiven({ pid }, folder)));
      for (const server of lock ? those : []) {
        if (clientOf(server) || !(await stopServer(server))) continue;
        stopped.add(server.pid);
        await startServer(server, folders);
      }
      lock?.release();
      if (lock && cargo.length > 0) lockedMs = performance.now() - since;
    }
    const left = all.filter(({ pid }) => !stopped.has(pid));
    return {
      lockedMs,
      stays: (item) => (isLive(join(place.root, item.path), facts.workspace, left) ? 'a job uses it' : undefined),
    };
  };
}

/**
 * Between the end of a download and the start of compiling, cargo holds no lock and may not yet have noted what it uses. So
 * what the Cargo.lock of any running cargo names stays, and what cargo noted since the survey is read again.
 */
function cargoHomeGuard(place: Place, facts: Facts, waitMs: number): Guard {
  const read = new Map<string, { changedAt: number; needed: Needed | string }>();
  let knownAt = facts.databaseAt;
  let database: CargoDatabase | undefined;
  const lockFile = (path: string): Needed | string => {
    const changedAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const known = read.get(path);
    if (known?.changedAt === changedAt) return known.needed;
    const needed = readLockFile(path);
    read.set(path, { changedAt, needed });
    return needed;
  };
  return () => {
    const noted = databaseTime(place.root);
    if (noted !== knownAt) {
      return {
        refresh: async () => {
          knownAt = noted;
          const again = await readCargoDatabase(place.root, waitMs);
          database = typeof again === 'object' ? again : database;
        },
      };
    }
    const keep = new KeepSet();
    const here = runningCargos().filter(({ cargoHome }) => cargoHome === undefined || realOr(cargoHome) === place.root);
    for (const cargo of here) {
      if (!cargo.lockFiles?.length) return { busy: `cargo (process ${cargo.pid}) is running and may need anything` };
      for (const path of cargo.lockFiles) {
        const needed = lockFile(path);
        if (typeof needed === 'string')
          return { busy: `cargo (process ${cargo.pid}) is running by a lock file that cannot be read` };
        keep.add(needed, path);
      }
    }
    return {
      stays: (item) =>
        (isNeeded(item, keep) || (here.length > 0 && item.path.startsWith('registry/index/'))
          ? 'a cargo that is running needs it'
          : undefined) ?? (database && usedSince(item, database) ? 'it was used meanwhile' : undefined),
    };
  };
}

/** registry/{src,cache}/REGISTRY/NAME or git/{db,checkouts}/NAME[/COMMIT] */
function isNeeded({ path }: Item, keep: KeepSet): boolean {
  const [area, , group = '', name = ''] = path.split('/');
  if (area === 'registry') return keep.crate(name.replace(/\.crate$/, '')) !== undefined;
  return keep.repository(group, name) !== undefined;
}

function usedSince({ path, usedAt }: Item, database: CargoDatabase): boolean {
  const [area, part, ...rest] = path.split('/');
  const key = rest.join('/');
  const noted = {
    index: database.indices,
    src: database.sources,
    cache: database.crates,
    db: database.repositories,
    checkouts: database.checkouts,
  }[part as 'src'];
  return area !== undefined && (noted?.get(key)?.usedAt ?? 0) > usedAt;
}

/** Programs and tests that were built run without any lock, and cargo starts them after it has let go of its own. */
function targetGuard(place: Place): Guard {
  const target = place.target ?? place.root;
  return () => {
    const all = processes();
    const user = userOf(target, all);
    if (user) return { busy: `process ${user.pid}${user.exe ? ` (${user.exe})` : ''} uses it` };
    const cargo = runningCargos(all).find(
      ({ targets }) => !targets || targets.some((path) => realOr(path) === target || isBelow(target, realOr(path))),
    );
    if (cargo) return { busy: `cargo (process ${cargo.pid}) is running and may build there` };
    const times = accessTimes(readMounts(), target);
    return { stays: (item) => (usedSinceSurvey(item, times) ? 'it was used meanwhile' : undefined) };
  };
}

/**
 * Its index is in its memory: before 0.10 it fails for good when it meets an entry that is gone. So it is stopped, and
 * started again, and only while no compiler needs it: our lock keeps away cargos of this home, but no other builds. A newer
 * one forgets the entry, and makes room by those that are gone first, as they are the oldest.
 */
function sccacheGuard(place: Place, facts: Facts): Guard {
  return async () => {
    const all = processes();
    const server = serverOf(place.root, all);
    if (!server && strangerAmong(all)) return { busy: 'an sccache of somebody else may use it' };
    if (!server || (await bearsRemoval(server))) return { stays: () => undefined };
    const client = clientOf(server, all);
    if (client) return { busy: `a compiler (process ${client.pid}) uses sccache` };
    const other = runningCargos(all).find(
      ({ pid, cargoHome }) => (!cargoHome || realOr(cargoHome) !== facts.cargoHome) && wasGiven({ pid }, 'sccache'),
    );
    if (other) return { busy: `cargo (process ${other.pid}) of another home uses sccache` };
    if (!(await stopServer(server))) return { busy: `the sccache server (process ${server.pid}) does not stop` };
    return { stays: () => undefined, after: () => startServer(server) };
  };
}
