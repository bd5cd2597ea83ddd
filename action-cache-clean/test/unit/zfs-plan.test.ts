import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DatasetFacts, SnapshotFacts } from '../../src/zfs/facts.js';
import { matchesGlob } from '../../src/zfs/pattern.js';
import type { ZfsSpec } from '../../src/zfs-input.js';
import { type KeptBecause, planZfs, recheck } from '../../src/zfs-plan.js';
import { DAY, facts, MiB, now, snapshotFacts as snapshot, spec } from '../zfs-site.js';

const week = (count: number, changes: Partial<SnapshotFacts> = {}) =>
  Array.from({ length: count }, (_, day) => snapshot(`auto-${day}`, day, changes));

interface Case {
  name: string;
  snapshots: SnapshotFacts[];
  spec?: Partial<ZfsSpec>;
  dataset?: Partial<DatasetFacts>;
  clock?: number | 'unreadable';
  runnerClock?: number;
  goes: string[];
  /** Why these stay. */
  stays?: Record<string, KeptBecause>;
}

const instance = (expiry: Record<string, number | null>) => ({ project: 'default', instance: 'ci', expiry });

const cases: Case[] = [
  {
    name: 'those older than the limit go, the rest stays',
    snapshots: week(11),
    goes: ['auto-10', 'auto-9', 'auto-8'],
    stays: { 'auto-0': 'newest', 'auto-2': 'newest', 'auto-3': 'younger', 'auto-7': 'younger' },
  },
  { name: 'one that is exactly as old as the limit stays', snapshots: [...week(4), snapshot('auto-x', 7)], goes: [] },
  {
    name: 'the newest stay, however old they are',
    snapshots: [snapshot('auto-a', 100), snapshot('auto-b', 101), snapshot('auto-c', 102)],
    goes: [],
    stays: { 'auto-a': 'newest', 'auto-b': 'newest', 'auto-c': 'newest' },
  },
  {
    name: 'with one more than is kept, one goes (not two, and not none)',
    snapshots: [0, 20, 40, 60].map((day) => snapshot(`auto-${day}`, day)),
    goes: ['auto-60'],
  },
  {
    name: 'keep 1 keeps one',
    snapshots: [0, 20].map((day) => snapshot(`auto-${day}`, day)),
    spec: { keep: 1 },
    goes: ['auto-20'],
  },
  {
    name: 'snapshots of other programs stay and do not count as kept ones',
    snapshots: [...week(2), snapshot('manual-1', 50), snapshot('zrepl_1', 60), snapshot('auto-old', 90)],
    goes: [],
    stays: { 'manual-1': 'foreign', zrepl_1: 'foreign', 'auto-old': 'newest' },
  },
  {
    name: 'the pattern has to match from the first character to the last',
    snapshots: [
      ...week(3),
      snapshot('auto-', 40),
      snapshot('xauto-1', 40),
      snapshot('auto', 40),
      snapshot('Auto-1', 40),
    ],
    goes: ['auto-'],
    stays: { 'xauto-1': 'foreign', auto: 'foreign', 'Auto-1': 'foreign' },
  },
  {
    name: 'a label in the pattern keeps the other labels out',
    snapshots: [
      ...[0, 1, 2, 30].map((day) => snapshot(`zfs-auto-snap_daily-${day}`, day)),
      ...[0, 1, 2, 31].map((day) => snapshot(`zfs-auto-snap_monthly-${day}`, day)),
    ],
    spec: { patterns: ['zfs-auto-snap_daily-*'] },
    goes: ['zfs-auto-snap_daily-30'],
  },
  {
    name: 'one that is held stays',
    snapshots: [...week(4), snapshot('auto-held', 30, { holds: 1 }), snapshot('auto-old', 31)],
    goes: ['auto-old'],
    stays: { 'auto-held': 'held' },
  },
  {
    name: 'one that has a clone stays',
    snapshots: [...week(4), snapshot('auto-origin', 30, { clones: ['tank/test'] }), snapshot('auto-old', 31)],
    goes: ['auto-old'],
    stays: { 'auto-origin': 'cloned' },
  },
  {
    name: 'what LXD made for itself stays, though the pattern matches it',
    snapshots: [
      ...week(4),
      ...['readonly', 'copy-4e1c', 'migration-77', 'deleted-9', 'snapshot-snap0'].map((name) => snapshot(name, 90)),
    ],
    spec: { patterns: ['auto-*', '[a-z]*'] },
    goes: [],
    stays: { readonly: 'lxd', 'copy-4e1c': 'lxd', 'migration-77': 'lxd', 'deleted-9': 'lxd', 'snapshot-snap0': 'lxd' },
  },
  {
    name: "LXD's trash stays whole",
    snapshots: [...week(4), snapshot('auto-old', 90)],
    dataset: { name: 'tank/lxd/deleted/containers/x' },
    goes: [],
    stays: { 'auto-old': 'lxd', 'auto-0': 'lxd' },
  },
  {
    name: 'where the snapshots stopped coming, the last week of them stays',
    snapshots: week(12).map((one) => ({ ...one, creation: (one.creation ?? 0) - 300 * DAY })),
    goes: ['auto-11', 'auto-10', 'auto-9', 'auto-8', 'auto-7'],
    stays: { 'auto-6': 'younger', 'auto-3': 'younger' },
  },
  {
    name: 'a clock that jumped years ahead makes nothing older',
    snapshots: week(8),
    clock: now + 5000 * DAY,
    goes: [],
  },
  {
    name: 'nor does it where the runner and the host are one machine',
    snapshots: week(8),
    clock: now + 5000 * DAY,
    runnerClock: now + 5000 * DAY,
    goes: ['auto-7'],
  },
  {
    name: 'with a clock that went back nothing goes, and what seems to come from the future stays',
    snapshots: week(12),
    clock: now - 100 * DAY,
    goes: [],
    stays: { 'auto-0': 'future', 'auto-11': 'future' },
  },
  {
    name: 'without a clock nothing goes',
    snapshots: week(30),
    clock: 'unreadable',
    goes: [],
    stays: { 'auto-29': 'no-clock' },
  },
  {
    name: 'with a clock at 1970 nothing goes',
    snapshots: week(30),
    clock: 0,
    goes: [],
    stays: { 'auto-29': 'no-clock' },
  },
  {
    name: 'a snapshot made at 1970 or at no time stays and does not count',
    snapshots: [
      ...week(3),
      snapshot('auto-zero', 1, { creation: 0 }),
      snapshot('auto-none', 1, { creation: undefined }),
    ],
    goes: [],
    stays: { 'auto-zero': 'no-clock', 'auto-none': 'no-clock' },
  },
  {
    name: 'a snapshot from the future stays and does not stand in for a newer one',
    snapshots: [snapshot('auto-future', -400), ...[100, 101, 102].map((day) => snapshot(`auto-${day}`, day))],
    goes: [],
    stays: { 'auto-future': 'future', 'auto-102': 'newest' },
  },
  {
    name: 'a new snapshot made while the clock stood in the past is not taken for an old one',
    snapshots: [
      ...week(4),
      snapshot('auto-after', 0, { creation: 1_000_000, createtxg: 1_000_001 }),
      snapshot('auto-old', 40),
    ],
    goes: ['auto-old'],
    stays: { 'auto-after': 'newest' },
  },
  {
    name: 'nor is it once newer ones have come',
    snapshots: [
      ...[0, 1, 2, 3].map((day) => snapshot(`auto-${day}`, day)),
      snapshot('auto-wrong', 4, { creation: 1_000_000 }),
      snapshot('auto-5', 5),
    ],
    goes: [],
    stays: { 'auto-wrong': 'younger' },
  },
  {
    name: 'a name that zfs would take for several stays',
    snapshots: [
      ...week(4),
      ...['auto-a,b', 'auto-%', "auto-'x", 'auto-"x', 'auto-$(x)'].map((name) => snapshot(name, 90)),
    ],
    goes: [],
    stays: { 'auto-a,b': 'odd-name', 'auto-%': 'odd-name', "auto-'x": 'odd-name', 'auto-$(x)': 'odd-name' },
  },
  {
    name: 'spaces, colons and dots in a name are no trouble',
    snapshots: [...week(4), snapshot('auto-2026-01-01 03:00:00.5', 90)],
    goes: ['auto-2026-01-01 03:00:00.5'],
  },
  {
    name: 'through lxc, those of an instance that never expire go by the same rule',
    snapshots: [0, 1, 2, 40, 41].map((day) => snapshot(`snapshot-s${day}`, day)),
    spec: { instanceTool: 'lxc', patterns: ['snapshot-*'] },
    dataset: {
      name: 'tank/lxd/containers/ci',
      instance: instance({ s0: null, s1: null, s2: null, s40: null, s41: null }),
    },
    goes: ['snapshot-s41', 'snapshot-s40'],
  },
  {
    name: 'one with an expiry is left to LXD, and counts for nobody',
    snapshots: [0, 1, 2, 40, 41].map((day) => snapshot(`snapshot-s${day}`, day)),
    spec: { instanceTool: 'lxc', patterns: ['snapshot-*'] },
    dataset: {
      name: 'tank/lxd/containers/ci',
      instance: instance({ s0: now + DAY, s1: null, s2: null, s40: null, s41: now - DAY }),
    },
    goes: [],
    stays: { 'snapshot-s0': 'expires', 'snapshot-s41': 'expires', 'snapshot-s40': 'newest' },
  },
  {
    name: 'one that LXD does not know stays',
    snapshots: [0, 1, 2, 40, 41].map((day) => snapshot(`snapshot-s${day}`, day)),
    spec: { instanceTool: 'lxc', patterns: ['snapshot-*'] },
    dataset: { name: 'tank/lxd/containers/ci', instance: instance({ s0: null, s1: null, s2: null, s40: null }) },
    goes: ['snapshot-s40'],
    stays: { 'snapshot-s41': 'lxd' },
  },
  {
    name: 'those of an instance that lxc could not be asked about stay',
    snapshots: [0, 1, 2, 40].map((day) => snapshot(`snapshot-s${day}`, day)),
    spec: { instanceTool: 'lxc', patterns: ['snapshot-*'] },
    dataset: { instance: { trouble: 'Error: Instance not found' } },
    goes: [],
    stays: { 'snapshot-s40': 'lxd' },
  },
  {
    name: "LXD's own stay even with lxc",
    snapshots: [...week(4), snapshot('copy-1', 90), snapshot('readonly', 90)],
    spec: { instanceTool: 'lxc', patterns: ['auto-*', 'copy-*', 'read*'] },
    dataset: { instance: instance({}) },
    goes: [],
    stays: { 'copy-1': 'lxd', readonly: 'lxd' },
  },
  {
    name: 'instance snapshots and others of one dataset are counted apart',
    snapshots: [
      ...[0, 1, 40].map((day) => snapshot(`snapshot-s${day}`, day)),
      ...[0, 1, 40].map((day) => snapshot(`auto-${day}`, day)),
    ],
    spec: { instanceTool: 'lxc', patterns: ['snapshot-*', 'auto-*'] },
    dataset: { instance: instance({ s0: null, s1: null, s40: null }) },
    goes: [],
  },
  { name: 'no snapshots is no trouble', snapshots: [], goes: [] },
];

describe('which snapshots go', () => {
  it.each(cases)('$name', ({ snapshots, spec: changes, dataset, clock, runnerClock = now, goes, stays = {} }) => {
    const plan = planZfs(
      spec(changes),
      facts([], {
        clock: clock === 'unreadable' ? undefined : (clock ?? now),
        runnerClock,
        datasets: [{ name: 'tank/ci', snapshots, ...dataset }],
      }),
    );
    const [only] = plan.datasets;
    expect(only?.victims.map(({ snapshot }) => snapshot)).toEqual(goes);
    const reasons = Object.fromEntries(only?.kept.map(({ snapshot, because }) => [snapshot, because]) ?? []);
    expect(reasons).toMatchObject(stays);
    expect(plan.bytes).toBe(goes.length * MiB);
  });

  it('says that snapshots stopped coming, and that clocks differ', () => {
    const old = facts([snapshot('auto-1', 200)]);
    expect(planZfs(spec(), old).datasets[0]?.notes.join()).toMatch(/newest matching snapshot is 200 days old/);
    expect(planZfs(spec(), facts([snapshot('auto-1', 1)])).datasets[0]?.notes).toEqual([]);
    expect(planZfs(spec(), facts([], { clock: now - 90 * DAY })).notes.join()).toMatch(/is 90 days behind/);
    expect(planZfs(spec(), facts([], { clock: undefined })).notes.join()).toMatch(/no snapshot is removed/);
  });
});

describe('a second look just before', () => {
  const before = week(12);
  const plan = planZfs(spec(), facts(before));
  const look = (snapshots: SnapshotFacts[]) =>
    recheck(spec(), plan, plan.datasets[0] as never, { name: 'tank/ci', snapshots });

  it('lets go what it found unchanged', () => {
    expect(look(before).go.map(({ snapshot }) => snapshot)).toEqual(['auto-11', 'auto-10', 'auto-9', 'auto-8']);
  });

  it.each<[string, Partial<SnapshotFacts>]>([
    ['held', { holds: 1 }],
    ['cloned', { clones: ['tank/new'] }],
    ['made anew under its name', { guid: '77' }],
  ])('leaves one that was %s meanwhile', (_, changes) => {
    const { go, left } = look(before.map((one) => (one.name === 'auto-9' ? { ...one, ...changes } : one)));
    expect(go.map(({ snapshot }) => snapshot)).toEqual(['auto-11', 'auto-10', 'auto-8']);
    expect(left.map(({ victim }) => victim.snapshot)).toEqual(['auto-9']);
  });

  it('leaves all when somebody else removed the newer ones', () => {
    const { go, left } = look(before.filter(({ name }) => ['auto-9', 'auto-10', 'auto-11'].includes(name)));
    expect(go).toEqual([]);
    expect(left).toHaveLength(3);
  });

  it('takes it well that some are gone', () => {
    const { go, vanished, left } = look(before.filter(({ name }) => name !== 'auto-10'));
    expect(vanished.map(({ snapshot }) => snapshot)).toEqual(['auto-10']);
    expect([go.length, left.length]).toEqual([3, 0]);
  });
});

describe('whatever the snapshots, clocks and settings', () => {
  const names = fc.oneof(
    { weight: 8, arbitrary: fc.nat(400).map((n) => `auto-${n}`) },
    fc.constantFrom('readonly', 'copy-1', 'migration-1', 'deleted-1', 'snapshot-1', 'auto-x,y', 'auto-%', 'manual'),
    fc.string({ minLength: 1, maxLength: 12 }),
  );
  const one = fc.record({
    name: names,
    creation: fc.oneof(
      { weight: 12, arbitrary: fc.integer({ min: now - 60 * DAY, max: now }) },
      fc.integer({ min: -10, max: now * 2 }),
      fc.constant(undefined),
    ),
    // Most in the order of their times, as it is where no clock ever went wrong.
    createtxg: fc.oneof({ weight: 60, arbitrary: fc.constant(undefined) }, fc.nat(now)),
    used: fc.nat(1000),
    holds: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.constant(2)),
    clones: fc.oneof({ weight: 5, arbitrary: fc.constant<string[]>([]) }, fc.constant<string[]>(['tank/clone'])),
  });
  const world = fc.record({
    snapshots: fc
      .uniqueArray(one, { selector: ({ name }) => name, minLength: 5, maxLength: 60, size: 'max' })
      .map((all) =>
        all.map(
          (each, index): SnapshotFacts => ({
            ...each,
            guid: String(index + 1),
            createtxg: each.createtxg ?? Math.max(0, each.creation ?? 0),
          }),
        ),
      ),
    clock: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: now - 20 * DAY, max: now + 20 * DAY }) },
      fc.constantFrom(0, undefined, now * 2),
    ),
    keep: fc.integer({ min: 1, max: 12 }),
    maxAgeMs: fc.integer({ min: 0, max: 30 }).map((days) => days * DAY * 1000),
    patterns: fc.constantFrom<string[]>(['auto-*'], ['[!z]*'], ['auto-?', 'snapshot-*']),
    dataset: fc.constantFrom('tank/ci', 'tank/lxd/deleted/x', 'tank/deleted'),
    tool: fc.constantFrom('none' as const, 'lxc' as const),
  });

  it('never a foreign, held, cloned, LXD-owned, young or future one, nor below the newest', () => {
    let removed = 0;
    fc.assert(
      fc.property(world, ({ snapshots, clock, keep, maxAgeMs, patterns, dataset, tool }) => {
        const settings = spec({ keep, maxAgeMs, patterns, instanceTool: tool });
        const found: DatasetFacts = { name: dataset, snapshots };
        const plan = planZfs(settings, facts([], { clock, datasets: [found] }));
        const { victims, kept } = plan.datasets[0] ?? { victims: [], kept: [] };
        removed += victims.length;
        // Every snapshot is spoken of exactly once.
        expect([...victims, ...kept].map(({ snapshot }) => snapshot).sort()).toEqual(
          snapshots.map(({ name }) => name).sort(),
        );
        expect(plan.bytes).toBe(victims.reduce((sum, { bytes }) => sum + bytes, 0));
        const gone = new Set(victims.map(({ snapshot }) => snapshot));
        const matching = snapshots.filter(({ name }) => patterns.some((glob) => matchesGlob(glob, name)));
        for (const victim of snapshots.filter(({ name }) => gone.has(name))) {
          expect(matching).toContain(victim);
          expect(victim.holds).toBe(0);
          expect(victim.clones).toEqual([]);
          expect(victim.name).not.toMatch(/^(readonly$|snapshot-|copy-|migration-|deleted-)|[^\w.: -]/);
          expect(dataset).toBe('tank/ci');
          expect(victim.creation).toBeGreaterThan(0);
          expect(((clock ?? 0) - (victim.creation ?? 0)) * 1000).toBeGreaterThan(maxAgeMs);
          const newerAndStaying = matching.filter(
            ({ name, creation = 0, createtxg }) =>
              !gone.has(name) && createtxg >= victim.createtxg && creation > 0 && creation <= (clock ?? 0),
          );
          expect(newerAndStaying.length).toBeGreaterThanOrEqual(keep);
        }
      }),
      { numRuns: 2000 },
    );
    expect(removed).toBeGreaterThan(1000); // or the above would have said nothing
  });

  it('time alone, without new snapshots, lets no more go than a day would', () => {
    fc.assert(
      fc.property(world, fc.integer({ min: 2, max: 5000 }), ({ snapshots, keep, maxAgeMs, patterns }, days) => {
        const settings = spec({ keep, maxAgeMs, patterns });
        const past = snapshots.filter(({ creation = 0 }) => creation <= now);
        const at = (clock: number) =>
          planZfs(settings, facts(past, { clock, runnerClock: clock })).datasets[0]?.victims.map((one) => one.guid);
        expect(at(now + days * DAY)).toEqual(at(now + DAY + 1));
      }),
    );
  });
});
