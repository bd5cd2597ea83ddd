import type { StandInSnapshot, StandInState } from '../../testbed/zfs-stand-in.js';
import type { SnapshotFacts, ZfsFacts } from '../src/zfs/facts.js';
import type { ZfsSpec } from '../src/zfs-input.js';

export const DAY = 86_400;
export const MiB = 1024 * 1024;

/** A moment that every test can count from: the runner's own clock, so that neither holds the other back. */
export const now = Math.floor(Date.now() / 1000);

export const server = {
  host: 'zfs.example.com',
  port: 22,
  user: 'root',
  privateKey: '',
  knownHosts: '',
  insecureHostKey: false,
};

export function spec(changes: Partial<ZfsSpec> = {}): ZfsSpec {
  return {
    endpoint: server,
    jumps: [],
    datasets: [{ name: 'tank/ci', reach: 'itself' }],
    patterns: ['auto-*'],
    keep: 3,
    maxAgeMs: 7 * DAY * 1000,
    instanceTool: 'none',
    sudo: 'auto',
    ...changes,
  };
}

export function snapshotFacts(name: string, daysOld: number, changes: Partial<SnapshotFacts> = {}): SnapshotFacts {
  return {
    name,
    guid: `9${[...name].map((character) => character.charCodeAt(0)).join('')}`,
    creation: now - Math.round(daysOld * DAY),
    createtxg: 1_000_000 - Math.round(daysOld * 100),
    used: MiB,
    holds: 0,
    clones: [],
    ...changes,
  };
}

export function facts(snapshots: SnapshotFacts[], changes: Partial<ZfsFacts> = {}): ZfsFacts {
  return {
    host: 'zfs.example.com',
    clock: now,
    runnerClock: now,
    privileges: { read: false, destroy: false, instances: false },
    datasets: [{ name: 'tank/ci', snapshots }],
    skipped: [],
    pools: [{ name: 'tank', free: 1024 * MiB, freeing: 0 }],
    ...changes,
  };
}

let guids = 0;

/** A snapshot of the stand-in, `daysOld` days old by a clock that was right. */
export function made(name: string, daysOld: number, changes: Partial<StandInSnapshot> = {}): StandInSnapshot {
  return {
    name,
    guid: String(4_000_000_000_000_000_000n + BigInt(++guids)),
    creation: now - Math.round(daysOld * DAY),
    createtxg: 1_000_000 - Math.round(daysOld * 100),
    used: MiB,
    ...changes,
  };
}

/** auto-0 of today, auto-1 of yesterday, ... */
export function daily(
  count: number,
  changes: (day: number) => Partial<StandInSnapshot> = () => ({}),
): StandInSnapshot[] {
  return Array.from({ length: count }, (_, day) => made(`auto-${day}`, day, changes(day)));
}

/** A pool `tank` with these datasets, and those they lie in. */
export function pool(datasets: Record<string, StandInSnapshot[]>, changes: Partial<StandInState> = {}): StandInState {
  const all: StandInState['datasets'] = { tank: { snapshots: [] } };
  for (const [name, snapshots] of Object.entries(datasets)) {
    const parts = name.split('/');
    for (let depth = 1; depth < parts.length; depth++) all[parts.slice(0, depth).join('/')] ??= { snapshots: [] };
    all[name] = { snapshots };
  }
  return { pools: { tank: { free: 1024 * MiB, freeing: 0 } }, datasets: all, ...changes };
}
