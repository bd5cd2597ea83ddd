import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProxy } from '../../../testbed/proxy.js';
import { startAction } from '../../../testbed/run-action.js';
import { type Sshd, startSshd } from '../../../testbed/sshd.js';
import { type StandInState, startZfsStandIn, type ZfsStandIn } from '../../../testbed/zfs-stand-in.js';
import { applyZfs, estimateZfs, type ZfsOutcome } from '../../src/zfs-apply.js';
import type { ZfsSpec } from '../../src/zfs-input.js';
import { planZfs, type ZfsPlan } from '../../src/zfs-plan.js';
import { zfsLines, zfsRows } from '../../src/zfs-report.js';
import { surveyZfs } from '../../src/zfs-survey.js';
import { bundle, type Report } from '../harness.js';
import { DAY, daily, MiB, made, now, pool, spec } from '../zfs-site.js';

// The programs on the host are a stand-in (ZFS needs its kernel module); sshd, the shell and the network are real.

let zfs: ZfsStandIn;
let server: Sshd;
beforeAll(async () => {
  zfs = await startZfsStandIn();
  server = await startSshd({ config: zfs.sshdConfig });
});
afterAll(async () => {
  await server?.stop();
  await zfs?.stop();
});

const way = ({ host, port, user, privateKey, knownHosts }: Sshd) => ({
  ...{ host, port, user, privateKey, knownHosts, insecureHostKey: false },
});
const log = () => {};
/** A week, and the time the tests take. */
const maxAgeMs = 7 * DAY * 1000 + 3_600_000;
const settings = (changes: Partial<ZfsSpec> = {}) => spec({ endpoint: way(server), maxAgeMs, ...changes });

/** Names of all that is there, by dataset. */
async function there(): Promise<Record<string, string[]>> {
  const { datasets } = await zfs.state();
  return Object.fromEntries(
    Object.entries(datasets).map(([name, { snapshots }]) => [name, snapshots.map((one) => one.name)]),
  );
}

/** What a real run may never do, whatever happens: checked over every call the host has seen. */
async function onlyHarmlessCalls(dryRun: boolean): Promise<void> {
  let asked: string | undefined;
  for (const [program, verb, ...rest] of await zfs.calls()) {
    if (program === 'zpool') expect(verb).toBe('list');
    if (program !== 'zfs') continue;
    expect(['list', 'destroy']).toContain(verb);
    if (verb !== 'destroy') continue;
    const options = rest.filter((word) => word.startsWith('-'));
    const what = rest.at(-1) ?? '';
    expect(what).toMatch(/^[^@%]+@[^@%]+$/);
    if (options.length > 0) {
      expect(options).toEqual(['-nvp']);
      asked = what;
    } else {
      expect(dryRun).toBe(false);
      expect(what).toBe(asked); // zfs was asked about exactly these just before
      asked = undefined;
    }
  }
}

interface Done {
  plan: ZfsPlan;
  outcome: ZfsOutcome;
  lines: string;
}

async function run(state: StandInState, changes: Partial<ZfsSpec> = {}, between?: () => Promise<void>): Promise<Done> {
  await zfs.set(state);
  const wanted = settings(changes);
  const facts = await surveyZfs(wanted, { log });
  const after = { ...(await zfs.state()), hooks: undefined };
  expect(after).toEqual({ ...JSON.parse(JSON.stringify(state)), hooks: undefined }); // looking changes nothing
  const plan = planZfs(wanted, facts);
  await between?.();
  const outcome = await applyZfs(wanted, plan, { log });
  await onlyHarmlessCalls(false);
  return { plan, outcome, lines: zfsLines(plan, outcome).join('\n') };
}

interface Case {
  name: string;
  /** Snapshots of tank/ci, or the whole. */
  state: StandInState;
  spec?: Partial<ZfsSpec>;
  /** Full names of what is gone afterwards; everything else has to be there still. */
  gone: string[];
  /** By full name: words of the reason why it could not go. */
  left?: Record<string, RegExp>;
  says?: RegExp;
  reclaimed?: number;
}

const ci = (names: string[]) => names.map((name) => `tank/ci@${name}`);
const old = ['auto-8', 'auto-9', 'auto-10'];
const eleven = () => daily(11);
const lxd = (
  tool: 'lxc' | 'incus',
  snapshots: { name: string; expires_at?: string; busy?: boolean }[],
): Partial<StandInState> => ({
  lxd: {
    tool,
    storage: [{ name: 'default', driver: 'zfs', config: { 'zfs.pool_name': 'tank/lxd' } }],
    instances: { 'default/ci': { dataset: 'tank/lxd/containers/ci', snapshots } },
  },
});
const container = 'tank/lxd/containers/ci';
const five = () => [0, 1, 2, 40, 41].map((day) => made(`snapshot-s${day}`, day));
const known = [0, 1, 2, 40, 41].map((day) => ({ name: `s${day}` }));
const throughLxc: Partial<ZfsSpec> = {
  datasets: [{ name: 'tank/lxd/containers', reach: 'children' }],
  patterns: ['snapshot-*'],
  instanceTool: 'lxc',
};

const cases: Case[] = [
  { name: 'the old ones go', state: pool({ 'tank/ci': eleven() }), gone: ci(old), reclaimed: 3 * MiB },
  {
    name: 'with nothing old, nothing goes',
    state: pool({ 'tank/ci': daily(8) }),
    gone: [],
    says: /nothing to remove, 8 kept/,
  },
  {
    name: 'a dataset without snapshots is no trouble',
    state: pool({ 'tank/ci': [] }),
    gone: [],
    says: /nothing to remove/,
  },
  {
    name: 'as many as are to be kept stay, one more does not (zfs-auto-snapshot keeps one too few)',
    state: pool({ 'tank/ci': [0, 20, 40, 60].map((day) => made(`auto-${day}`, day)) }),
    gone: ci(['auto-60']),
  },
  {
    name: 'other labels and programs are not touched',
    state: pool({
      'tank/ci': [
        ...eleven(),
        ...['zfs-auto-snap_daily-1', 'manual', 'xauto-1', 'syncoid_host_1'].map((name) => made(name, 90)),
      ],
    }),
    gone: ci(old),
    says: /not matching zfs-pattern: @/,
  },
  {
    name: 'one that is held stays',
    state: pool({ 'tank/ci': daily(11, (day) => (day === 9 ? { holds: ['keep'] } : {})) }),
    gone: ci(['auto-8', 'auto-10']),
    says: /kept, held: @auto-9/,
  },
  {
    name: 'the origin of a clone stays',
    state: pool({ 'tank/ci': daily(11, (day) => (day === 10 ? { clones: ['tank/test'] } : {})) }),
    gone: ci(['auto-8', 'auto-9']),
    says: /kept, with clones: @auto-10: origin of tank\/test/,
  },
  {
    name: 'one that is busy stays and is not counted, and the others go',
    state: pool({ 'tank/ci': daily(11, (day) => (day === 9 ? { busy: true } : {})) }),
    gone: ci(['auto-8', 'auto-10']),
    left: { 'tank/ci@auto-9': /^dataset is busy$/ },
    reclaimed: 2 * MiB,
  },
  {
    name: 'where zfs does not say which one is busy, the others are found one by one',
    state: {
      ...pool({}),
      datasets: { 'tank/ci': { snapshots: daily(14, (day) => (day === 10 ? { busy: true } : {})), unnamed: true } },
    },
    gone: ci(['auto-8', 'auto-9', 'auto-11', 'auto-12', 'auto-13']),
    left: { 'tank/ci@auto-10': /busy/ },
    reclaimed: 5 * MiB,
  },
  {
    name: 'one of many that cannot go keeps none of the others (sanoid died there)',
    state: pool({ 'tank/ci': daily(60, (day) => (day === 30 ? { busy: true } : {})) }),
    gone: ci(Array.from({ length: 52 }, (_, index) => `auto-${index + 8}`).filter((name) => name !== 'auto-30')),
    left: { 'tank/ci@auto-30': /busy/ },
  },
  {
    name: 'all of them busy is said, and no harm',
    state: pool({ 'tank/ci': daily(11, () => ({ busy: true })) }),
    gone: [],
    left: Object.fromEntries(ci(old).map((name) => [name, /busy/])),
  },
  {
    name: 'space that several share is counted once they go together',
    state: {
      ...pool({}),
      datasets: { 'tank/ci': { snapshots: eleven(), shared: [{ by: ['auto-8', 'auto-9'], bytes: 500 * MiB }] } },
    },
    gone: ci(old),
    reclaimed: 503 * MiB,
    says: /503 MiB are still being given back/,
  },
  {
    name: 'what LXD made stays, whatever the pattern',
    state: pool({
      [container]: [
        ...daily(3),
        ...['snapshot-old', 'readonly', 'copy-1a', 'migration-1', 'deleted-1'].map((name) => made(name, 90)),
      ],
    }),
    spec: { datasets: [{ name: container, reach: 'itself' }], patterns: ['[a-z]*'] },
    gone: [],
    says: /of LXD or Incus: @/,
  },
  {
    name: "LXD's trash stays",
    state: pool({ 'tank/lxd/deleted': [], 'tank/lxd/deleted/images': daily(30) }),
    spec: { datasets: [{ name: 'tank/lxd', reach: 'all-below' }] },
    gone: [],
  },
  {
    name: 'where the snapshots stopped long ago, time alone empties nothing',
    state: pool({ 'tank/ci': daily(7).map((one) => ({ ...one, creation: (one.creation ?? 0) - 400 * DAY })) }),
    gone: [],
    says: /newest matching snapshot is 400 days old/,
  },
  {
    name: 'a clock ten years ahead removes nothing more',
    state: pool({ 'tank/ci': eleven() }, { clock: now + 3650 * DAY }),
    gone: ci(old),
    says: /36\d\d days ahead/,
  },
  {
    name: 'with a clock in the past nothing goes',
    state: pool({ 'tank/ci': eleven() }, { clock: now - 365 * DAY }),
    gone: [],
    says: /from the future/,
  },
  {
    name: 'with a clock at zero nothing goes',
    state: pool({ 'tank/ci': eleven() }, { clock: 0 }),
    gone: [],
    says: /could not be read/,
  },
  {
    name: 'with a clock that tells no time nothing goes',
    state: pool({ 'tank/ci': eleven() }, { clock: 'date: oops' }),
    gone: [],
    says: /could not be read/,
  },
  {
    name: 'one without a time of creation stays',
    state: pool({
      'tank/ci': [...eleven(), made('auto-zero', 50, { creation: 0 }), made('auto-none', 51, { creation: undefined })],
    }),
    gone: ci(old),
    says: /of unknown age: @auto-none, auto-zero|of unknown age: @auto-zero, auto-none/,
  },
  {
    name: 'one from the future stays, and does not count as a newer one',
    state: pool({ 'tank/ci': [made('auto-future', -30), ...[20, 21, 22].map((day) => made(`auto-${day}`, day))] }),
    gone: [],
  },
  {
    name: 'names with spaces, colons and dots go as well as any',
    state: pool({ 'tank/ci': [...daily(4), made('auto-2026-01-01 03:00:00', 90), made('auto-  two.spaces', 91)] }),
    gone: ci(['auto-2026-01-01 03:00:00', 'auto-  two.spaces']),
  },
  {
    name: 'a name with a comma or a % takes no others along',
    state: pool({ 'tank/ci': [...daily(4), made('auto-1,auto-2', 90), made('auto-0%', 91), made('auto-%', 92)] }),
    gone: [],
    says: /a name zfs would misread/,
  },
  {
    name: 'a name full of shell is only a name',
    state: pool({
      'tank/ci': [
        ...daily(4),
        ...['auto-$(touch x)', "auto-'; zfs destroy tank/ci; '", 'auto-`id`', 'auto-"'].map((name) => made(name, 90)),
      ],
    }),
    gone: [],
  },
  {
    name: 'a dataset with a space and a quote in its name',
    state: pool({ "tank/it's mine": eleven() }),
    spec: { datasets: [{ name: "tank/it's mine", reach: 'itself' }] },
    gone: old.map((name) => `tank/it's mine@${name}`),
  },
  {
    name: 'two datasets, each by its own newest',
    state: pool({ 'tank/a': eleven(), 'tank/b': daily(9), 'tank/c': eleven() }),
    spec: {
      datasets: [
        { name: 'tank/a', reach: 'itself' },
        { name: 'tank/b', reach: 'itself' },
      ],
    },
    gone: [...old.map((name) => `tank/a@${name}`), 'tank/b@auto-8'],
  },
  {
    name: '/* is the children and neither the parent nor the grandchildren',
    state: pool({ 'tank/ci': eleven(), 'tank/ci/a': eleven(), 'tank/ci/a/deep': eleven(), 'tank/cix': eleven() }),
    spec: { datasets: [{ name: 'tank/ci', reach: 'children' }] },
    gone: old.map((name) => `tank/ci/a@${name}`),
  },
  {
    name: '/** is all below, without the parent',
    state: pool({ 'tank/ci': eleven(), 'tank/ci/a': eleven(), 'tank/ci/a/deep': eleven() }),
    spec: { datasets: [{ name: 'tank/ci', reach: 'all-below' }] },
    gone: [...old.map((name) => `tank/ci/a@${name}`), ...old.map((name) => `tank/ci/a/deep@${name}`)],
  },
  {
    name: 'a dataset named twice is done once',
    state: pool({ 'tank/ci': eleven() }),
    spec: {
      datasets: [
        { name: 'tank/ci', reach: 'itself' },
        { name: 'tank/ci', reach: 'itself' },
        { name: 'tank', reach: 'children' },
      ],
    },
    gone: ci(old),
  },
  {
    name: 'a pool that is not there is said, and the others are done',
    state: pool({ 'tank/ci': eleven() }),
    spec: {
      datasets: [
        { name: 'gone/ci', reach: 'itself' },
        { name: 'tank/ci', reach: 'itself' },
      ],
    },
    gone: ci(old),
    says: /gone\/ci: left alone, cannot open 'gone\/ci': dataset does not exist/,
  },
  {
    name: 'a list that fails half-way leaves that dataset alone',
    state: {
      ...pool({}),
      datasets: { 'tank/ci': { snapshots: eleven() }, 'tank/sick': { snapshots: eleven(), fails: 'I/O error' } },
    },
    spec: {
      datasets: [
        { name: 'tank/sick', reach: 'itself' },
        { name: 'tank/ci', reach: 'itself' },
      ],
    },
    gone: ci(old),
    says: /tank\/sick: left alone, .*I\/O error/,
  },
  ...(
    [
      ['words', 'internal error: out of memory\n'],
      ['a torn line', 'tank/sick@auto-1\t12'],
      ['lines of another dataset', 'tank/ci@auto-9\t1\t1600000000\t1\t0\t0\t-\n'],
      ['a key of ours', '0\tend\tyes\n=0\n'],
      ['bytes that are no text', '\u0000\u0001\ufffd\t\t\t\t\t\t\n'],
    ] as const
  ).map(
    ([what, garbage]): Case => ({
      name: `${what} in place of a list leave that dataset alone`,
      state: {
        ...pool({}),
        datasets: { 'tank/ci': { snapshots: eleven() }, 'tank/sick': { snapshots: eleven(), garbage } },
      },
      spec: {
        datasets: [
          { name: 'tank/sick', reach: 'itself' },
          { name: 'tank/ci', reach: 'itself' },
        ],
      },
      gone: ci(old),
      says: /tank\/sick: left alone, zfs list gave a line/,
    }),
  ),
  {
    name: 'a dry run of zfs that names one more stops everything there',
    state: {
      ...pool({}),
      datasets: {
        'tank/ci': {
          snapshots: eleven(),
          dryRun: `${[...ci(old), 'tank/ci@auto-0'].map((name) => `destroy\t${name}\n`).join('')}reclaim\t1\n`,
        },
      },
    },
    gone: [],
    left: Object.fromEntries(ci(old).map((name) => [name, /named others/])),
  },
  {
    name: 'a dry run of zfs that names one less stops everything there',
    state: {
      ...pool({}),
      datasets: { 'tank/ci': { snapshots: eleven(), dryRun: `destroy\ttank/ci@auto-8\nreclaim\t1\n` } },
    },
    gone: [],
    left: Object.fromEntries(ci(old).map((name) => [name, /left some of these out/])),
  },
  {
    name: 'a dry run of zfs that is no dry run stops everything there',
    state: { ...pool({}), datasets: { 'tank/ci': { snapshots: eleven(), dryRun: 'would destroy tank/ci@auto-8\n' } } },
    gone: [],
    left: Object.fromEntries(ci(old).map((name) => [name, /nothing was destroyed/])),
  },
  {
    name: 'a zfs that says yes and does nothing is found out',
    state: { ...pool({}), datasets: { 'tank/ci': { snapshots: eleven(), lies: true } } },
    gone: [],
    left: Object.fromEntries(ci(old).map((name) => [name, /still there/])),
    reclaimed: 0,
  },
  {
    name: 'a pool that is suspended is said',
    state: { ...pool({}), datasets: { 'tank/ci': { snapshots: eleven(), suspended: true } } },
    gone: [],
    left: Object.fromEntries(ci(old).map((name) => [name, /suspended/])),
  },
  {
    name: 'without permission nothing goes, and after three refusals nobody knocks any more',
    state: pool({ 'tank/ci': daily(40) }, { uid: 1000, denied: true }),
    gone: [],
    left: { 'tank/ci@auto-8': /permission denied/, 'tank/ci@auto-39': /permission denied/ },
  },
  {
    name: 'a user with a sudo rule destroys through sudo, and looks without it',
    state: pool({ 'tank/ci': eleven() }, { uid: 1000, denied: true, sudo: ['^zfs destroy tank/ci@'] }),
    gone: ci(old),
  },
  {
    name: 'a user whom zfs allow permits needs no sudo',
    state: pool({ 'tank/ci': eleven() }, { uid: 1000 }),
    gone: ci(old),
  },
  {
    name: 'where /dev/zfs is closed, looking goes through sudo too',
    state: pool({ 'tank/ci': eleven() }, { uid: 1000, closed: true, denied: true, sudo: ['^zfs ', '^zpool '] }),
    gone: ci(old),
  },
  {
    name: 'sudo is not used where it is not wanted',
    state: pool({ 'tank/ci': eleven() }, { uid: 1000, denied: true, sudo: ['^zfs '] }),
    spec: { sudo: 'never' },
    gone: [],
    left: { 'tank/ci@auto-8': /permission denied/ },
  },
  {
    name: 'sudo that asks for a password is said',
    state: pool(
      { 'tank/ci': eleven() },
      { uid: 1000, denied: true, sudo: ['^zfs list', '^zpool', '^zfs destroy -nvp'] },
    ),
    spec: { sudo: 'always' },
    gone: [],
    left: { 'tank/ci@auto-8': /a password is required/ },
  },
  {
    name: 'one that was held after the look stays',
    state: pool(
      { 'tank/ci': eleven() },
      { hooks: [{ on: 'list tank/ci' }, { on: 'list tank/ci', set: { 'tank/ci@auto-9': { holds: ['send'] } } }] },
    ),
    gone: ci(['auto-8', 'auto-10']),
  },
  {
    name: 'one that was held in the very last moment stays',
    state: pool(
      { 'tank/ci': eleven() },
      { hooks: [{ on: 'destroy tank/ci', set: { 'tank/ci@auto-9': { holds: ['send'] } } }] },
    ),
    gone: ci(['auto-8', 'auto-10']),
    left: { 'tank/ci@auto-9': /busy/ },
  },
  {
    name: 'one that was cloned between dry run and destroy stays',
    state: pool(
      { 'tank/ci': eleven() },
      { hooks: [{ on: 'destroy tank/ci', set: { 'tank/ci@auto-9': { clones: ['tank/new'] } } }] },
    ),
    gone: ci(['auto-8', 'auto-10']),
    left: { 'tank/ci@auto-9': /dependent clones/ },
  },
  {
    name: 'one that was cloned just before the dry run stays',
    state: pool(
      { 'tank/ci': eleven() },
      { hooks: [{ on: 'dry-run tank/ci', set: { 'tank/ci@auto-9': { clones: ['tank/new'] } } }] },
    ),
    gone: ci(['auto-8', 'auto-10']),
    left: { 'tank/ci@auto-9': /dependent clones/ },
  },
  {
    name: 'one that vanished before the dry run is no trouble',
    state: pool({ 'tank/ci': eleven() }, { hooks: [{ on: 'dry-run tank/ci', set: { 'tank/ci@auto-9': null } }] }),
    gone: ci(old),
    says: /2 snapshots destroyed .*1 gone already/,
    reclaimed: 2 * MiB,
  },
  {
    name: 'all that vanished before the dry run are no trouble',
    state: pool(
      { 'tank/ci': eleven() },
      { hooks: [{ on: 'dry-run tank/ci', set: Object.fromEntries(ci(old).map((name) => [name, null])) }] },
    ),
    gone: ci(old),
    says: /0 snapshots destroyed .*3 gone already/,
    reclaimed: 0,
  },
  {
    name: 'through lxc, old snapshots of an instance go, and LXD knows it',
    state: pool({ [container]: five() }, lxd('lxc', known)),
    spec: throughLxc,
    gone: [`${container}@snapshot-s40`, `${container}@snapshot-s41`],
  },
  {
    name: 'through incus the same, by its own command',
    state: pool({ [container]: five() }, lxd('incus', known)),
    spec: { ...throughLxc, instanceTool: 'incus' },
    gone: [`${container}@snapshot-s40`, `${container}@snapshot-s41`],
  },
  {
    name: 'what LXD will remove by itself is left to it',
    state: pool(
      { [container]: five() },
      lxd(
        'lxc',
        known.map((one) => (one.name === 's41' ? { ...one, expires_at: '2099-01-01T00:00:00Z' } : one)),
      ),
    ),
    spec: throughLxc,
    gone: [`${container}@snapshot-s40`],
    says: /with an expiry of their own: @snapshot-s41: lxc removes it itself on 2099-01-01/,
  },
  {
    name: 'an instance that is busy keeps its snapshot',
    state: pool(
      { [container]: five() },
      lxd(
        'lxc',
        known.map((one) => ({ ...one, busy: one.name === 's41' })),
      ),
    ),
    spec: throughLxc,
    gone: [`${container}@snapshot-s40`],
    left: { [`${container}@snapshot-s41`]: /busy running a "backup"/ },
  },
  {
    name: 'without lxc on the list of wishes, instances are left alone',
    state: pool({ [container]: five() }, lxd('lxc', known)),
    spec: { ...throughLxc, instanceTool: 'none' },
    gone: [],
  },
  {
    name: 'where lxc does not answer, instances are left alone',
    state: pool({ [container]: five() }),
    spec: throughLxc,
    gone: [],
    says: /lxc could not be asked/,
  },
  {
    name: 'where lxc answers nonsense, that instance is left alone',
    state: pool(
      { [container]: five() },
      {
        lxd: {
          ...(lxd('lxc', []).lxd as NonNullable<StandInState['lxd']>),
          instances: { 'default/ci': { dataset: container, snapshots: [], garbage: '<html>' } },
        },
      },
    ),
    spec: throughLxc,
    gone: [],
    says: /was not understood/,
  },
  {
    name: 'a user outside the lxd group goes through sudo',
    state: pool(
      { [container]: five() },
      {
        ...lxd('lxc', known),
        uid: 1000,
        sudo: ['^lxc '],
        lxd: { ...(lxd('lxc', known).lxd as NonNullable<StandInState['lxd']>), rootOnly: true },
      },
    ),
    spec: throughLxc,
    gone: [`${container}@snapshot-s40`, `${container}@snapshot-s41`],
  },
];

describe('on a host with ZFS', () => {
  it.each(cases)('$name', async ({ state, spec: changes, gone, left = {}, says, reclaimed }) => {
    const before = Object.entries(state.datasets).flatMap(([name, { snapshots }]) =>
      snapshots.map((one) => `${name}@${one.name}`),
    );
    const { outcome, lines } = await run(state, changes);
    const after = Object.entries(await there()).flatMap(([name, names]) => names.map((one) => `${name}@${one}`));
    expect(before.filter((name) => !after.includes(name)).sort()).toEqual([...gone].sort());
    expect(Object.keys((await zfs.state()).datasets)).toEqual(Object.keys(state.datasets));
    expect(outcome.stopped).toBeUndefined();
    // What is said to be destroyed or gone is, and nothing else is.
    const told = outcome.datasets.flatMap(({ name, destroyed, vanished }) =>
      [...destroyed, ...vanished].map(({ snapshot }) => `${name}@${snapshot}`),
    );
    expect(told.sort()).toEqual([...gone].sort());
    const reasons = Object.fromEntries(
      outcome.datasets.flatMap(({ name, left }) => left.map(({ snapshot, why }) => [`${name}@${snapshot}`, why])),
    );
    for (const [name, why] of Object.entries(left)) expect(reasons[name]).toMatch(why);
    if (says) expect(lines).toMatch(says);
    if (reclaimed !== undefined) expect(outcome.datasets.reduce((sum, one) => sum + one.reclaimed, 0)).toBe(reclaimed);
  });

  it('all of a dataset go in one command', async () => {
    await run(pool({ 'tank/ci': daily(60) }));
    const destroys = (await zfs.calls()).filter(
      ([program, verb, option]) => program === 'zfs' && verb === 'destroy' && option !== '-nvp',
    );
    expect(destroys).toHaveLength(1);
  });

  it('five thousand snapshots go in commands of bearable length', async () => {
    const snapshots = Array.from({ length: 5000 }, (_, index) =>
      made(`auto-2026-01-01_00:00:00_number_${index}`, 8 + index / 1000),
    );
    const { outcome } = await run(pool({ 'tank/ci': [...daily(4), ...snapshots] }));
    expect(outcome.datasets[0]?.destroyed).toHaveLength(5000);
    expect((await there())['tank/ci']).toHaveLength(4);
    for (const call of await zfs.calls()) expect(call.join(' ').length).toBeLessThan(128 * 1024);
  });

  it('a dry run destroys nothing and says what zfs would free', async () => {
    const state: StandInState = {
      ...pool({}),
      datasets: { 'tank/ci': { snapshots: eleven(), shared: [{ by: ['auto-8', 'auto-9'], bytes: 500 * MiB }] } },
    };
    await zfs.set(state);
    const plan = planZfs(settings(), await surveyZfs(settings(), { log }));
    const estimate = await estimateZfs(settings(), plan, { log });
    await onlyHarmlessCalls(true);
    expect((await there())['tank/ci']).toHaveLength(11);
    expect(zfsLines(plan, undefined, estimate).join('\n')).toMatch(/3 snapshots would go \(503 MiB\), 8 kept/);
    expect(zfsRows(plan, undefined, estimate)).toMatchObject([
      { dataset: 'tank/ci', removed: 3, freed: 503 * MiB, kept: 8 },
    ]);
  });

  it('a second run finds nothing left to do', async () => {
    await run(pool({ 'tank/ci': daily(30) }));
    const { outcome, lines } = await run(await zfs.state());
    expect(outcome.datasets).toEqual([]);
    expect(lines).toMatch(/nothing to remove/);
  });

  it('the report has what stays, what it holds, and what the pool still gives back', async () => {
    const { lines, plan, outcome } = await run(
      pool({ 'tank/ci': daily(11, (day) => (day === 9 ? { busy: true } : {})) }),
    );
    expect(lines.split('\n')).toEqual([
      'tank/ci: 2 snapshots destroyed (2.0 MiB), 1 could not go, 8 kept',
      '  destroyed: @auto-10 (1.0 MiB): 10 days old, and 8 newer ones stay',
      '  destroyed: @auto-8 (1.0 MiB): 8 days old, and 8 newer ones stay',
      '  left: @auto-9: dataset is busy',
      '  kept, among the newest: @auto-2, auto-1, auto-0: among the newest 3',
      '  kept, younger: @auto-7, auto-6, auto-5, auto-4, auto-3',
      '  The snapshots that stay hold 9.0 MiB.',
      'Pool tank: 1.0 GiB free (1.0 GiB before), and 2.0 MiB are still being given back.',
    ]);
    expect(zfsRows(plan, outcome)).toEqual([
      { dataset: 'tank/ci', removed: 2, freed: 2 * MiB, kept: 8, left: 1, unknown: 0, stillHeld: 9 * MiB },
    ]);
  });
});

describe('the exit code', () => {
  const denied = { uid: 1000, denied: true };
  const held = (names: string[]) => daily(11, (day) => (names.includes(`auto-${day}`) ? { holds: ['send'] } : {}));
  const broken = (changes: Partial<StandInState['datasets'][string]>): StandInState => {
    const state = pool({ 'tank/ci': eleven() });
    Object.assign(state.datasets['tank/ci'] ?? {}, changes);
    return state;
  };
  const table: {
    name: string;
    state: StandInState;
    inputs?: Record<string, string>;
    code: number;
    result: string;
    says?: RegExp;
  }[] = [
    { name: 'when the old ones went', state: pool({ 'tank/ci': eleven() }), code: 0, result: 'cleaned' },
    { name: 'when there is nothing old', state: pool({ 'tank/ci': daily(5) }), code: 0, result: 'nothing-to-do' },
    { name: 'when all that is old is held', state: pool({ 'tank/ci': held(old) }), code: 0, result: 'nothing-to-do' },
    {
      name: 'when all that is old is busy',
      state: pool({ 'tank/ci': daily(11, () => ({ busy: true })) }),
      code: 0,
      result: 'nothing-to-do',
    },
    {
      name: 'when all that is old became the origin of a clone meanwhile',
      state: pool(
        { 'tank/ci': daily(9) },
        { hooks: [{ on: 'dry-run tank/ci', set: { 'tank/ci@auto-8': { clones: ['tank/new'] } } }] },
      ),
      code: 0,
      result: 'nothing-to-do',
    },
    {
      name: 'when a dataset is mistyped',
      state: pool({ 'tank/ci': eleven() }),
      inputs: { 'zfs-datasets': 'tank/ci\ntank/c' },
      code: 1,
      result: 'cleaned',
      says: /Snapshots on .*: tank\/c could not be looked at \(.*does not exist.*\)\. The caches were cleaned all the same/,
    },
    {
      name: 'when a dataset is mistyped, in a dry run',
      state: pool({ 'tank/ci': eleven() }),
      inputs: { 'zfs-datasets': 'tank/c', 'dry-run': 'true' },
      code: 1,
      result: 'dry-run',
      says: /It was a dry run: nothing was removed/,
    },
    {
      name: 'when the host is not reached, in a dry run',
      state: pool({ 'tank/ci': eleven() }),
      inputs: { 'zfs-port': '1', 'dry-run': 'true' },
      code: 1,
      result: 'dry-run',
      says: /It was a dry run: nothing was removed/,
    },
    {
      name: 'when the kernel module is not there',
      state: pool({ 'tank/ci': eleven() }, { noModule: true }),
      code: 1,
      result: 'nothing-to-do',
      says: /tank\/ci could not be looked at/,
    },
    {
      name: 'when its snapshots cannot be read',
      state: broken({ fails: 'I/O error' }),
      code: 1,
      result: 'nothing-to-do',
      says: /tank\/ci could not be looked at \(.*I\/O error/,
    },
    {
      name: 'when the clock cannot be read',
      state: pool({ 'tank/ci': eleven() }, { clock: 'no time' }),
      code: 1,
      result: 'nothing-to-do',
      says: /the clock of .* could not be read/,
    },
    {
      name: 'when nothing may be destroyed',
      state: pool({ 'tank/ci': eleven() }, denied),
      code: 1,
      result: 'nothing-to-do',
      says: /nothing in tank\/ci could be destroyed \(.*permission denied/,
    },
    {
      name: 'when nothing of one dataset may be destroyed, but all of another',
      state: pool(
        { 'tank/ci': eleven(), 'tank/b': eleven() },
        { ...denied, sudo: ['^zfs list', '^zpool', '^zfs destroy.* tank/b@', '^zfs destroy tank/ci@auto$'] },
      ),
      inputs: { 'zfs-datasets': 'tank/ci\ntank/b' },
      code: 1,
      result: 'cleaned',
      says: /: nothing in tank\/ci could be destroyed \([^;]*\)\. The caches/,
    },
    {
      name: 'when the pool is suspended',
      state: broken({ suspended: true }),
      code: 1,
      result: 'nothing-to-do',
      says: /nothing in tank\/ci could be destroyed/,
    },
    {
      name: 'when lxc cannot be asked',
      state: pool({ [container]: five() }, { ...lxd('lxc', known), uid: 1000 }),
      inputs: { 'zfs-datasets': 'tank/lxd/containers/*', 'zfs-pattern': 'snapshot-*', 'zfs-lxc': 'incus' },
      code: 1,
      result: 'nothing-to-do',
      says: /tank\/lxd\/containers\/ci could not be looked at \(incus could not be asked/,
    },
  ];

  it.each(table)('$name: $code, $result', async ({ state, inputs, code, result, says }) => {
    await zfs.set(state);
    const done = await startAction<Report>(bundle, {
      ...{ 'cargo-home': 'none', targets: 'none', 'sccache-dir': 'none', 'runner-dir': 'none' },
      ...{ 'zfs-host': server.host, 'zfs-port': String(server.port), 'zfs-user': server.user },
      ...{ 'zfs-private-key': server.privateKey, 'zfs-known-hosts': server.knownHosts },
      ...{ 'zfs-datasets': 'tank/ci', 'zfs-pattern': 'auto-*', 'zfs-keep': '3', 'zfs-max-age': '169h' },
      ...inputs,
    }).finished;
    expect([done.code, done.report?.result], done.log).toEqual([code, result]);
    expect(done.log.match(/^Error: .*/gm) ?? []).toHaveLength(code);
    if (says) expect(done.log).toMatch(says);
    expect(done.log).not.toMatch(/\n\s+at .*:\d+:\d+|Unexpected/);
  });
});

describe('somebody else at work between look and deed', () => {
  it('a snapshot made anew under an old name stays', async () => {
    const state = pool({ 'tank/ci': eleven() });
    const { outcome } = await run(state, {}, async () => {
      const changed = await zfs.state();
      const all = changed.datasets['tank/ci']?.snapshots ?? [];
      Object.assign(all.find(({ name }) => name === 'auto-9') ?? {}, made('auto-9', 0));
      await zfs.set(changed);
    });
    expect((await there())['tank/ci']).toContain('auto-9');
    expect(outcome.datasets[0]?.left).toMatchObject(
      [{ snapshot: 'auto-9', why: /made anew/ }].map((one) => ({ ...one, why: expect.stringMatching(one.why) })),
    );
  });

  it('when the newer ones have been removed meanwhile, the old ones stay', async () => {
    const { outcome } = await run(pool({ 'tank/ci': eleven() }), {}, async () => {
      const changed = await zfs.state();
      const dataset = changed.datasets['tank/ci'];
      if (dataset) dataset.snapshots = dataset.snapshots.filter(({ name }) => old.includes(name));
      await zfs.set(changed);
    });
    expect((await there())['tank/ci']).toHaveLength(3);
    expect(outcome.datasets[0]?.destroyed).toEqual([]);
  });

  it('a dataset that is gone meanwhile is said, and the next one is done', async () => {
    const two: Partial<ZfsSpec> = {
      datasets: [
        { name: 'tank/a', reach: 'itself' },
        { name: 'tank/ci', reach: 'itself' },
      ],
    };
    const { outcome } = await run(pool({ 'tank/a': eleven(), 'tank/ci': eleven() }), two, async () => {
      const { 'tank/a': _, ...datasets } = (await zfs.state()).datasets;
      await zfs.set({ ...(await zfs.state()), datasets });
    });
    expect(outcome.datasets.map(({ name, destroyed }) => [name, destroyed.length])).toEqual([
      ['tank/a', 0],
      ['tank/ci', 3],
    ]);
    expect(outcome.datasets[0]?.left[0]?.why).toMatch(/dataset does not exist/);
  });
});

describe('a host that cannot be used', () => {
  it('without zfs says so, and what to do', async () => {
    const bare = await startZfsStandIn({ without: ['zfs', 'zpool'] });
    await bare.set(pool({}));
    const host = await startSshd({ config: bare.sshdConfig });
    try {
      await expect(surveyZfs(spec({ endpoint: way(host) }), { log })).rejects.toThrow(
        /There is no zfs on .* No snapshot was looked at/,
      );
    } finally {
      await host.stop();
      await bare.stop();
    }
  });

  it('with an unknown host key is refused', async () => {
    const endpoint = { ...way(server), knownHosts: '' };
    await expect(surveyZfs(spec({ endpoint }), { log })).rejects.toThrow(/key/i);
  });

  it('without its kernel module, each dataset says so and nothing else happens', async () => {
    const { lines } = await run(pool({ 'tank/ci': eleven() }, { noModule: true }));
    expect(lines).toMatch(/left alone, The ZFS modules cannot be auto-loaded/);
  });

  it('where the user may not even look is refused, with a way out', async () => {
    await zfs.set(pool({ 'tank/ci': eleven() }, { uid: 1000, closed: true }));
    await expect(surveyZfs(settings(), { log })).rejects.toThrow(/may not even look at ZFS .*sudo rule/);
  });
});

describe('when it ends half-way', () => {
  const two: Partial<ZfsSpec> = {
    datasets: [
      { name: 'tank/a', reach: 'itself' },
      { name: 'tank/b', reach: 'itself' },
    ],
  };
  const both = (hooks: StandInState['hooks']) => pool({ 'tank/a': eleven(), 'tank/b': eleven() }, { hooks });
  const until = async (file: string) => {
    for (const end = Date.now() + 30_000; !existsSync(join(zfs.folder, file)); await pause(10))
      if (Date.now() > end) throw new Error(`the host never came to make ${file}`);
  };
  const clean = () => Promise.all(['began', 'go'].map((file) => rm(join(zfs.folder, file), { force: true })));

  /** Plans over a proxy, and does `cut` once the host has come to `moment`. */
  async function interrupted(
    hooks: StandInState['hooks'],
    cut: (link: Awaited<ReturnType<typeof startProxy>>, abort: AbortController) => Promise<void>,
  ) {
    await zfs.set(both(hooks));
    await clean();
    const link = await startProxy({ to: server });
    const abort = new AbortController();
    try {
      const wanted = settings({
        ...two,
        endpoint: {
          ...way(server),
          port: link.port,
          knownHosts: server.knownHosts.replaceAll(`:${server.port} `, `:${link.port} `),
        },
      });
      const plan = planZfs(wanted, await surveyZfs(wanted, { log }));
      const running = applyZfs(wanted, plan, { log, signal: abort.signal });
      await until('began');
      await cut(link, abort);
      const outcome = await running;
      const result = Object.fromEntries(
        outcome.datasets.map((one) => [
          one.name,
          { destroyed: one.destroyed.length, left: one.left.length, unknown: one.unknown.length },
        ]),
      );
      return { outcome, result };
    } finally {
      writeFileSync(join(zfs.folder, 'go'), '');
      await link.stop();
    }
  }

  it('a link lost while zfs destroys: it is seen afterwards that it did', async () => {
    const { outcome, result } = await interrupted(
      [{ on: 'destroy tank/a', touch: 'began', waitFor: 'go' }],
      async (link) => {
        await link.cut();
        await link.restore();
        setTimeout(() => writeFileSync(join(zfs.folder, 'go'), ''), 500);
      },
    );
    expect(result).toEqual({
      'tank/a': { destroyed: 3, left: 0, unknown: 0 },
      'tank/b': { destroyed: 0, left: 3, unknown: 0 },
    });
    expect(outcome.stopped).toMatch(/was lost/);
    expect((await there())['tank/a']).toHaveLength(8);
    expect((await there())['tank/b']).toHaveLength(11);
  });

  it('a link lost before zfs destroys: it is seen afterwards that it did not', async () => {
    const { result } = await interrupted([{ on: 'dry-run tank/a', touch: 'began', waitFor: 'go' }], async (link) => {
      await link.cut();
      await link.restore();
    });
    expect(result).toEqual({
      'tank/a': { destroyed: 0, left: 3, unknown: 0 },
      'tank/b': { destroyed: 0, left: 3, unknown: 0 },
    });
    expect((await there())['tank/a']).toHaveLength(11);
  });

  it('a link that stays lost: of those in the air nobody claims to know', async () => {
    const { outcome, result } = await interrupted([{ on: 'destroy tank/a', touch: 'began', waitFor: 'go' }], (link) =>
      link.cut(),
    );
    expect(result).toEqual({
      'tank/a': { destroyed: 0, left: 0, unknown: 3 },
      'tank/b': { destroyed: 0, left: 3, unknown: 0 },
    });
    expect(outcome.datasets[0]?.unknown[0]?.why).toMatch(/Whether it was destroyed could not be seen/);
  });

  it('a cancel while zfs destroys: that one ends, and nothing is begun after it', async () => {
    const { outcome, result } = await interrupted(
      [{ on: 'destroy tank/a', touch: 'began', waitFor: 'go' }],
      async (_, abort) => {
        abort.abort(new Error('Cancelled by SIGTERM.'));
        writeFileSync(join(zfs.folder, 'go'), '');
      },
    );
    expect(result).toEqual({
      'tank/a': { destroyed: 3, left: 0, unknown: 0 },
      'tank/b': { destroyed: 0, left: 3, unknown: 0 },
    });
    expect(outcome.stopped).toBe('Cancelled by SIGTERM.');
  });

  it('a cancel after the dry run: nothing is destroyed', async () => {
    const { result } = await interrupted(
      [{ on: 'dry-run tank/a', touch: 'began', waitFor: 'go' }],
      async (_, abort) => {
        abort.abort(new Error('Cancelled by SIGTERM.'));
        writeFileSync(join(zfs.folder, 'go'), '');
      },
    );
    expect(result).toEqual({
      'tank/a': { destroyed: 0, left: 3, unknown: 0 },
      'tank/b': { destroyed: 0, left: 3, unknown: 0 },
    });
  });

  it('the next run finishes what a lost link left', async () => {
    await interrupted([{ on: 'destroy tank/a', touch: 'began', waitFor: 'go' }], async (link) => {
      await link.cut();
      await link.restore();
      setTimeout(() => writeFileSync(join(zfs.folder, 'go'), ''), 200);
    });
    await run({ ...(await zfs.state()), hooks: [] }, two);
    expect(await there()).toMatchObject({ 'tank/a': { length: 8 }, 'tank/b': { length: 8 } });
  });

  it('leaves nothing behind on the host', () => {
    expect(
      readdirSync(zfs.folder).filter(
        (name) => !['bin', 'state.json', 'calls.jsonl', 'uid', 'clock', 'began', 'go'].includes(name),
      ),
    ).toEqual([]);
  });
});
