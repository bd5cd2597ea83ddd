import type { DatasetFacts, InstanceFacts, InstanceTrouble, Privileges, SnapshotFacts, ZfsFacts } from './zfs/facts.js';
import { matchesGlob } from './zfs/pattern.js';
import type { ZfsSpec } from './zfs-input.js';

/** Why a snapshot stays. */
export type KeptBecause =
  | 'foreign' // does not match zfs-pattern
  | 'odd-name'
  | 'lxd' // belongs to LXD or Incus
  | 'expires' // LXD or Incus removes it by itself
  | 'no-clock' // its age, or the time now, is not known
  | 'future'
  | 'held'
  | 'cloned'
  | 'newest'
  | 'younger';

export interface Kept {
  /** The part behind the @. */
  snapshot: string;
  bytes: number;
  because: KeptBecause;
  reason: string;
}

export interface Victim {
  snapshot: string;
  /** Bytes that it alone holds; several neighbours together give back more. */
  bytes: number;
  reason: string;
  guid: string;
  /** `zfs`: by zfs destroy. `instance`: through lxc or incus, by `instance`'s snapshot name without `snapshot-`. */
  route: 'zfs' | 'instance';
}

export interface DatasetPlan {
  name: string;
  /** In the order of creation. */
  victims: Victim[];
  kept: Kept[];
  /** What is odd about its clocks or its newest snapshot, in sentences. */
  notes: string[];
  instance?: InstanceFacts | InstanceTrouble;
}

export interface ZfsPlan {
  host: string;
  /** No snapshot counts as older than by this time (epoch seconds); undefined: nothing goes, as the time is not known. */
  latest?: number;
  datasets: DatasetPlan[];
  skipped: { dataset: string; why: string }[];
  /** Free bytes and bytes still being given back, by pool, before anything was done. */
  pools: ZfsFacts['pools'];
  privileges: Privileges;
  /** Sum of the victims' own bytes: at least this is freed. */
  bytes: number;
  notes: string[];
}

/** What zfs itself lets be in a snapshot's name (zfs_namecheck.c). A comma or % would name other snapshots as well. */
const plainName = /^[\w.: -]+$/;

const DAY = 86_400;

/** Seconds the two clocks may differ before it is said, and before ours is taken in place of one that is ahead. */
const CLOCK_SLACK = 3600;

/**
 * Which snapshots go and which stay, each with its reason.
 *
 * A victim matches the pattern, is older than the limit, and has at least `keep` newer matching ones that stay. Time is
 * the earliest that can be meant: see `latestTime` and `nowOf`.
 */
export function planZfs(spec: ZfsSpec, facts: ZfsFacts): ZfsPlan {
  const latest = latestTime(facts);
  const datasets = facts.datasets.map((dataset) => planDataset(spec, latest, dataset));
  const victims = datasets.flatMap((dataset) => dataset.victims);
  return {
    host: facts.host,
    latest,
    datasets,
    skipped: facts.skipped,
    pools: facts.pools,
    privileges: facts.privileges,
    bytes: victims.reduce((sum, { bytes }) => sum + bytes, 0),
    notes: clockNotes(facts),
  };
}

/** The host's clock, or ours where the host's is far ahead of it; undefined where it is no time at all. */
function latestTime({ clock, runnerClock }: ZfsFacts): number | undefined {
  if (!clock || clock <= 0) return undefined;
  return clock - runnerClock > CLOCK_SLACK ? runnerClock : clock;
}

function clockNotes({ clock, runnerClock, host }: ZfsFacts): string[] {
  if (!clock || clock <= 0)
    return [`The clock of ${host} could not be read, so no age is known and no snapshot is removed.`];
  const apart = Math.abs(clock - runnerClock);
  if (apart <= CLOCK_SLACK) return [];
  return [
    `The clock of ${host} is ${days(apart)} ${clock > runnerClock ? 'ahead of' : 'behind'} the runner's; ages are counted from the earlier one.`,
  ];
}

/** The decision for one dataset. `latest`: see ZfsPlan. */
export function planDataset(spec: ZfsSpec, latest: number | undefined, dataset: DatasetFacts): DatasetPlan {
  const kept: Kept[] = [];
  const candidates: Record<Victim['route'], SnapshotFacts[]> = { zfs: [], instance: [] };
  for (const snapshot of dataset.snapshots) {
    const why = untouchable(spec, latest, dataset, snapshot);
    if (why) kept.push(stays(snapshot, ...why));
    else candidates[instanceOwned(snapshot.name) ? 'instance' : 'zfs'].push(snapshot);
  }
  const notes: string[] = [];
  const victims: Victim[] = [];
  for (const route of ['zfs', 'instance'] as const) {
    if (candidates[route].length === 0 || latest === undefined) continue;
    const { go, stay, note } = thin(spec, latest, candidates[route], route);
    victims.push(...go);
    kept.push(...stay);
    if (note) notes.push(note);
  }
  return { name: dataset.name, victims, kept, notes, instance: dataset.instance };
}

function untouchable(
  spec: ZfsSpec,
  latest: number | undefined,
  dataset: DatasetFacts,
  { name, creation }: SnapshotFacts,
): [KeptBecause, string] | undefined {
  if (!spec.patterns.some((glob) => matchesGlob(glob, name))) return ['foreign', 'does not match zfs-pattern'];
  if (!plainName.test(name))
    return ['odd-name', 'its name holds a character that zfs would read as more than one name'];
  // A dataset that is only called so is left alone as well: LXD's trash cannot be told from it.
  if (dataset.name.split('/').slice(1).includes('deleted'))
    return ['lxd', 'LXD or Incus keeps it under deleted/ for as long as something needs it'];
  if (name === 'readonly' || /^(copy|migration|deleted)-/.test(name))
    return ['lxd', 'LXD or Incus made it for an image, a copy or a move, and removes it itself'];
  if (instanceOwned(name)) {
    if (spec.instanceTool === 'none')
      return ['lxd', 'LXD or Incus has it in its database; zfs-lxc: lxc or incus removes it there'];
    const why = leftToInstance(spec, dataset, name);
    if (why) return why;
  }
  if (latest === undefined) return ['no-clock', "the host's clock could not be read"];
  if (!creation || creation <= 0) return ['no-clock', 'zfs gives no time of creation'];
  if (creation > latest) return ['future', 'its time of creation lies in the future'];
  return undefined;
}

function instanceOwned(name: string): boolean {
  return name.startsWith('snapshot-');
}

function leftToInstance(spec: ZfsSpec, { instance }: DatasetFacts, name: string): [KeptBecause, string] | undefined {
  if (!instance) return ['lxd', `${spec.instanceTool} knows no instance with this dataset`];
  if ('trouble' in instance) return ['lxd', instance.trouble];
  const expiry = Object.hasOwn(instance.expiry, name.slice('snapshot-'.length))
    ? instance.expiry[name.slice('snapshot-'.length)]
    : undefined;
  if (expiry === undefined) return ['lxd', `${spec.instanceTool} does not know this snapshot of ${instance.instance}`];
  if (expiry === null) return undefined;
  return ['expires', `${spec.instanceTool} removes it itself on ${new Date(expiry * 1000).toISOString().slice(0, 10)}`];
}

/**
 * Thins out the snapshots of one kind by age, never below the newest `keep`.
 *
 * The order is that of the transaction groups. A snapshot is at most as old as those made before it, so one that was made
 * while the clock stood in the past is not taken for an old one.
 */
function thin(spec: ZfsSpec, latest: number, candidates: SnapshotFacts[], route: Victim['route']) {
  const inOrder = candidates.toSorted((a, b) => a.createtxg - b.createtxg || (a.creation ?? 0) - (b.creation ?? 0));
  let soFar = 0;
  const dated = inOrder.map((snapshot) => {
    soFar = Math.max(soFar, snapshot.creation ?? 0);
    return { snapshot, made: soFar };
  });
  const now = Math.min(latest, soFar + DAY);
  const stay: Kept[] = [];
  const go: Victim[] = [];
  let newer = 0;
  for (const { snapshot, made } of dated.toReversed()) {
    const age = now - made;
    const keep = reasonToKeep(spec, snapshot, newer, age);
    if (keep) {
      stay.push(stays(snapshot, ...keep));
      newer++;
    } else {
      go.push({
        snapshot: snapshot.name,
        bytes: snapshot.used,
        reason: `${days(age)} old, and ${newer} newer ${newer === 1 ? 'one stays' : 'ones stay'}`,
        guid: snapshot.guid,
        route,
      });
    }
  }
  // Said only where the clock would have let more go, or sooner.
  const stalled = latest - soFar > Math.max(DAY, spec.maxAgeMs / 1000);
  const note = stalled
    ? `The newest matching snapshot is ${days(latest - soFar)} old: whatever makes them has stopped, or the clock jumped. Ages are counted from a day after it.`
    : undefined;
  return { go: go.reverse(), stay: stay.reverse(), note };
}

function reasonToKeep(
  { keep, maxAgeMs }: ZfsSpec,
  { holds, clones }: SnapshotFacts,
  newer: number,
  age: number,
): [KeptBecause, string] | undefined {
  if (holds > 0) return ['held', `held (zfs holds names ${holds === 1 ? 'who holds it' : `the ${holds} holds`})`];
  if (clones.length > 0)
    return ['cloned', `origin of ${clones.slice(0, 3).join(', ')}${clones.length > 3 ? ', ...' : ''}`];
  if (newer < keep) return ['newest', `among the newest ${keep}`];
  if (age * 1000 <= maxAgeMs) return ['younger', `${days(age)} old`];
  return undefined;
}

function stays({ name, used }: SnapshotFacts, because: KeptBecause, reason: string): Kept {
  return { snapshot: name, bytes: used, because, reason };
}

/** What a second look, just before, leaves of the victims. */
export interface Recheck {
  go: Victim[];
  vanished: Victim[];
  left: { victim: Victim; why: string }[];
}

/**
 * The same decision over what is there now: a victim goes only if it still would. So one that was held, cloned or made
 * anew meanwhile stays, and so do the rest when somebody else removed the newer ones they were to be outlived by.
 */
export function recheck(spec: ZfsSpec, { latest }: ZfsPlan, planned: DatasetPlan, now: DatasetFacts): Recheck {
  const again = planDataset(spec, latest, now);
  const going = new Set(again.victims.map(({ guid }) => guid));
  const result: Recheck = { go: [], vanished: [], left: [] };
  const byName = new Map(now.snapshots.map((snapshot) => [snapshot.name, snapshot]));
  for (const victim of planned.victims) {
    const there = byName.get(victim.snapshot);
    if (!there) result.vanished.push(victim);
    else if (there.guid !== victim.guid) result.left.push({ victim, why: 'made anew since it was looked at' });
    else if (going.has(victim.guid)) result.go.push(victim);
    else {
      const kept = again.kept.find(({ snapshot }) => snapshot === victim.snapshot);
      result.left.push({ victim, why: `no longer to go: ${kept?.reason ?? 'it changed'}` });
    }
  }
  return result;
}

/** A number of seconds for people: `3 h`, `12 days`. */
function days(seconds: number): string {
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * DAY) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / DAY)} days`;
}
