import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { categories } from '../../src/categories.js';
import type { Disk, Facts, Item, Kind, Place } from '../../src/facts.js';
import type { Inputs } from '../../src/inputs.js';
import { makePlan, type Plan } from '../../src/plan.js';
import { amountOf } from '../../src/size.js';
import { DAY, factsOf, GB, HOUR, inputsOf, NOW } from './facts-of.js';

const names = ({ victims }: Plan) => victims.map(({ item }) => item.path).join(' ');

interface Also {
  disks?: Partial<Disk>[];
  /** Each must match one note, in their order; absent: there is none. */
  notes?: RegExp[];
  warnings?: RegExp[];
  /** Of each victim, in their order. */
  reasons?: RegExp[];
  /** `name: bytes limit goes over`, in GB; `-` for no limit. */
  budgets?: string[];
  /** Kinds of place in the order in which they are worked on. */
  steps?: string;
}

/** A sentence, what the user wrote, what was found -> names of the victims in the order in which they go. */
type Case = [sentence: string, written: Record<string, string>, found: string[], victims: string, also?: Also];

const never = { 'max-age': '3650d' };
const size = (text: string, more: Record<string, string> = {}) => ({ ...never, 'max-size': text, ...more });
const sourceAndCrate = ['source s 20d 2GB', 'crate c 20d 1GB holds=s'];
const oneOfEach = [
  'repository r 20d 1GB',
  'crate c 20d 1GB',
  'object o 20d 1GB',
  'unit u 2d 1GB',
  'checkout k 20d 1GB',
  'source s 20d 1GB',
  'unit old-u 20d 1GB',
  'gone-toolchain g 20d 1GB',
  'incremental i 20d 1GB',
  'leftover l 20d 1GB',
];

const byAge: Case[] = [
  ['nothing found, nothing goes', {}, [], ''],
  ['what was used yesterday stays by default', {}, ['source s 1d 1GB'], ''],
  [
    'a source that nobody used for 30 days goes by default',
    {},
    ['source s 31d 1GB'],
    's',
    { reasons: [/^not used for 31 days$/] },
  ],
  ['30 days to the day are long enough', {}, ['source s 30d 1GB'], 's'],
  ['a minute less is not', {}, ['source s 719.9h 1GB'], ''],
  ['the workspace of a dead job goes after a day', {}, ['leftover l 25h 1GB', 'leftover m 23h 1GB'], 'l'],
  [
    'an age by category is that of the category alone; the others keep their default',
    { 'max-age': 'git = 3d' },
    ['checkout k 5d 1GB', 'source s 5d 1GB', 'source t 90d 1GB', 'leftover l 5d 1GB'],
    'l t k',
  ],
  [
    'what may have been used just now does not go, however long ago it shows',
    { 'max-age': '5d' },
    ['unit u 20d 1GB maybe=0', 'unit v 20d 1GB maybe=-4', 'unit w 20d 1GB maybe=1'],
    'w',
  ],
  ['without an age nothing goes for it', { 'max-age': 'none' }, ['source s 900d 1GB', 'leftover l 900d 1GB'], ''],
  [
    'an age of a category comes before that of all',
    { 'max-age': '5d, target = 50d' },
    ['unit u 20d 1GB', 'object o 20d 1GB'],
    'o',
  ],
  [
    'what goes for its age goes cheapest first, and the oldest of its kind first',
    { 'max-age': '5d' },
    ['crate c 9d 1GB', 'source s 9d 1GB', 'source t 10d 1GB', 'incremental i 6d 1GB'],
    'i t s c',
  ],
  ['an old crate goes after its source', { 'max-age': '5d' }, sourceAndCrate, 's c'],
  [
    'an old crate whose source is in use stays',
    { 'max-age': '5d' },
    ['source s 1d 2GB', 'crate c 20d 1GB holds=s'],
    '',
  ],
  [
    'an old source of a crate in use goes alone: unpacking is cheap',
    { 'max-age': '5d' },
    ['source s 20d 2GB', 'crate c 1d 1GB holds=s'],
    's',
  ],
  [
    'an old repository goes after its checkouts',
    { 'max-age': '5d' },
    ['checkout k 20d 1GB', 'checkout n 10d 1GB', 'repository r 20d 1GB holds=k,n'],
    'k n r',
  ],
  [
    'a repository with one checkout in use stays, the other checkout goes',
    { 'max-age': '5d' },
    ['checkout k 20d 1GB', 'checkout n 1d 1GB', 'repository r 20d 1GB holds=k,n'],
    'k',
  ],
  ['a use that cannot be told is no age', { 'max-age': '5d' }, ['source s ? 1GB'], ''],
  ['a use in the future counts as just now', { 'max-age': '1h' }, ['source s -5d 1GB'], ''],
  ['age is no matter of size', { 'max-age': '5d' }, ['source s 6d 0', 'source t 4d 90GB'], 's'],
  [
    'what a Cargo.lock names does not go for its age',
    { 'max-age': '5d' },
    ['source s 90d 1GB needed', 'source t 90d 1GB'],
    't',
  ],
  [
    'what a Cargo.lock names does not go for its age when it is locked',
    { 'max-age': '5d', protect: 'locked' },
    ['crate c 90d 1GB needed'],
    '',
  ],
  [
    'what a Cargo.lock names is like the rest with protect: none',
    { 'max-age': '5d', protect: 'none' },
    ['source s 90d 1GB needed'],
    's',
  ],
  [
    'a crate does not go for its age when its source is named',
    { 'max-age': '5d' },
    ['source s 90d 1GB needed', 'crate c 90d 1GB holds=s'],
    '',
  ],
];

const bySize: Case[] = [
  [
    'below its limit nothing goes',
    size('registry = 10GB'),
    ['source s 20d 9GB'],
    '',
    { budgets: ['registry: 9 10 0 0'] },
  ],
  ['exactly at its limit nothing goes', size('registry = 9GB'), ['source s 20d 9GB'], ''],
  [
    'a byte beyond it is too much, and a tenth below it is made room for',
    size('registry = 10GB'),
    ['source a 20d 0.9GB', 'source b 19d 0.5GB', 'source c 18d 8.6GB', 'source d 17d 1B'],
    'a b',
    { reasons: [/^registry is over its 9\.3 GiB$/, /./] },
  ],
  [
    'no more goes than is asked for',
    size('registry = 10GB'),
    ['source a 30d 1GB', 'source b 29d 1GB', 'source c 28d 9GB'],
    'a b',
    { budgets: ['registry: 11 10 2 0'] },
  ],
  [
    'a limit is that of its category alone',
    size('registry = 1GB'),
    ['object o 20d 50GB', 'source s 20d 2GB'],
    's',
    { budgets: ['registry: 2 1 2 0', 'sccache: 50 - 0 0', 'all: 52 - 2 0'] },
  ],
  ['a limit of all sums everything', size('5GB'), ['object o 20d 3GB', 'source s 20d 3GB'], 's'],
  ['a limit of all takes the cheapest first, whatever its category', size('0'), oneOfEach, 'g l i old-u k s u o c r'],
  [
    'what goes for a category counts for all',
    size('registry = 1GB, all = 10GB'),
    ['source s 20d 4GB', 'object o 20d 8GB'],
    's',
  ],
  [
    'what goes for its age counts for a size',
    { 'max-age': '30d', 'max-size': '5GB' },
    ['source s 40d 4GB', 'source t 20d 5GB'],
    's',
  ],
  ['a limit of 0 empties', size('sccache = 0'), ['object o 2d 1GB', 'object p 3d 1GB'], 'p o'],
  ['the least recently used goes first', size('sccache = 1GB'), ['object o 2d 1GB', 'object p 3d 1GB'], 'p o'],
  [
    'large or small does not matter, last use does',
    size('sccache = 10GB'),
    ['object o 5d 9GB', 'object p 6d 1GB', 'object q 4d 1GB'],
    'p o',
  ],
  ['equal ones go in the order of their names', size('sccache = 0'), ['object b 5d 1GB', 'object a 5d 1GB'], 'a b'],
  ['a crate that must go takes its source along', size('registry = 0'), sourceAndCrate, 's c'],
  [
    'a crate takes along a source that was used later',
    size('registry = 0'),
    ['source s 2d 1GB', 'source t 3d 1GB', 'crate c 20d 1GB holds=s', 'crate d 10d 1GB holds=t'],
    't s c d',
  ],
  ['when the sources are enough, the crates stay', size('registry = 2GB'), sourceAndCrate, 's'],
  [
    'when the checkouts are enough, the repository stays',
    size('git = 4GB'),
    ['checkout k 2d 2GB', 'repository r 20d 3GB holds=k'],
    'k',
  ],
  [
    'a crate does not go while its source is too young to go',
    size('registry = 0'),
    ['source s 0.5h 1GB', 'crate c 20d 1GB holds=s'],
    '',
    {
      notes: [/^registry stays 1\.9 GiB over its limit: 954 MiB was used within 60 min\.$/],
      warnings: [/max-size of registry/],
    },
  ],
  [
    'what was used within an hour stays, and that is said',
    size('registry = 1GB'),
    ['source s 0.9h 5GB'],
    '',
    {
      notes: [/^registry stays 3\.7 GiB over its limit: 4\.7 GiB was used within 60 min\.$/],
      warnings: [/max-size of registry .* is less than what was used within a day/],
      budgets: ['registry: 5 1 0 4'],
    },
  ],
  [
    'an hour to the minute is old enough',
    size('sccache = 1GB'),
    ['object o 1h 1GB', 'object p 1d 1GB', 'object q 0.99h 1B'],
    'p o',
    { warnings: [/^max-size of sccache .* within a day/] },
  ],
  [
    'min-age can be longer',
    size('sccache = 1GB', { 'min-age': '3d' }),
    ['object o 2d 5GB', 'object p 4d 5GB'],
    'p',
    { notes: [/^sccache stays .* was used within 3 days\.$/] },
  ],
  [
    'a use in the future is too young',
    size('sccache = 1GB'),
    ['object o -3d 5GB'],
    '',
    { notes: [/used within/], warnings: [/within a day/] },
  ],
  [
    'a use that cannot be told protects',
    size('sccache = 1GB'),
    ['object o ? 5GB'],
    '',
    { notes: [/^sccache stays 3\.7 GiB over its limit\.$/] },
  ],
  ['without a limit nothing goes for its size', never, ['object o 20d 9000GB'], ''],
];

const byLockFile: Case[] = [
  [
    'what a Cargo.lock names goes after everything else',
    size('registry = 2GB'),
    ['source s 90d 1GB needed', 'crate c 2d 1GB', 'source t 3d 1GB'],
    't c',
  ],
  [
    'and it goes when nothing else is left',
    size('registry = 2GB'),
    ['source s 90d 2GB needed', 'source t 3d 1GB'],
    't s',
  ],
  [
    'locked, it never goes, and the report says who needs it',
    size('registry = 1GB', { protect: 'locked' }),
    ['source s 90d 2GB needed', 'source t 3d 1GB'],
    't',
    {
      notes: [/^registry stays 954 MiB over its limit: 1\.9 GiB is needed by \/ws\/Cargo\.lock\.$/],
      budgets: ['registry: 3 1 1 1'],
    },
  ],
  [
    'of many who need it three are named',
    size('registry = 0', { protect: 'locked' }),
    ['a', 'b', 'c', 'd'].map((name) => `source ${name} 9d 1GB needed=/${name}/Cargo.lock`),
    '',
    { notes: [/needed by \/a\/Cargo\.lock, \/b\/Cargo\.lock, \/c\/Cargo\.lock, \.\.\.\.$/] },
  ],
  [
    'locked, a crate stays for the sake of its source',
    size('registry = 0', { protect: 'locked' }),
    ['source s 90d 1GB needed', 'crate c 90d 1GB holds=s'],
    '',
    { notes: [/needed by/] },
  ],
  [
    'locked, a repository stays for the sake of one commit, and its other checkouts go',
    size('git = 0', { protect: 'locked' }),
    ['checkout k 9d 1GB needed', 'checkout n 9d 1GB', 'repository r 9d 1GB holds=k,n needed'],
    'n',
    { notes: [/1\.9 GiB is needed by/] },
  ],
  [
    'with protect: none a Cargo.lock protects nothing',
    size('registry = 1GB', { protect: 'none' }),
    ['source s 90d 1GB needed', 'source t 3d 1GB'],
    's t',
  ],
  [
    'among what is named, the order is the usual one',
    size('registry = 0'),
    ['crate c 90d 1GB needed', 'source s 3d 1GB needed', 'source t 5d 1GB needed'],
    't s c',
  ],
  [
    'young and needed are both told',
    size('registry = 0', { protect: 'locked' }),
    ['source s 90d 1GB needed', 'source t 0h 1GB'],
    '',
    {
      notes: [/954 MiB was used within 60 min; 954 MiB is needed by/],
      warnings: [/max-size of registry \(0 B\) is less than/],
    },
  ],
];

const mended: Case[] = [
  [
    'what is broken goes, however much room there is',
    never,
    ['broken b 2h 1MB', 'source s 2h 1MB'],
    'b',
    { reasons: [/^its unpacking never ended$/] },
  ],
  [
    'what is broken goes first',
    size('registry = 0'),
    ['incremental i 9d 1GB', 'source s 9d 1GB', 'broken b 2d 0'],
    'b s',
  ],
  ['what is broken but younger than an hour may be in the making', never, ['broken b 0.5h 1MB'], ''],
  [
    'what is broken goes though enough of the disk is free',
    { 'free-disk': '10GB' },
    ['broken b 2h 1MB', 'source s 90d 1GB'],
    'b',
    { notes: [/^Enough of every disk is free: nothing was evicted\.$/] },
  ],
  ['what is broken is no use to the Cargo.lock that names it', never, ['broken b 2d 1MB needed'], 'b'],
  [
    'an old repository goes with the checkout that used it and goes for its size, not by the next run',
    { 'max-age': '30d', 'max-size': 'all = 9MB' },
    ['checkout k 7d 5MB', 'repository r 31d 5MB holds=k'],
    'k r',
    { reasons: [/^everything together is over/, /^not used for 31 days$/] },
  ],
  [
    'what is broken is no use to the Cargo.lock that names it, be it locked',
    { ...never, protect: 'locked' },
    ['broken b 2d 1MB needed', 'source s 2d 1MB needed'],
    'b',
  ],
  [
    'a broken crate takes its source along',
    never,
    ['source s 2d 1GB', 'broken c 2d 0 holds=s'],
    's c',
    { reasons: [/^its unpacking never ended; useless without c$/, /./] },
  ],
  ['a broken source does not take its crate along', never, ['broken s 2d 1GB', 'crate c 2d 1GB holds=s'], 's'],
  ['a broken file of sccache goes too', never, ['broken b 2d 1MB category=sccache'], 'b'],
];

const byToolchain: Case[] = [
  [
    'what a toolchain that is gone has built goes, whatever its age',
    {},
    ['gone-toolchain g 2h 1GB', 'unit u 2h 1GB'],
    'g',
    { reasons: [/^built by a toolchain that is no longer installed$/] },
  ],
  ['but not within the hour', {}, ['gone-toolchain g 0.5h 1GB'], ''],
  [
    'and not while enough of the disk is free',
    { 'free-disk': '10GB' },
    ['gone-toolchain g 2d 1GB'],
    '',
    { notes: [/Enough/] },
  ],
  ['it counts for the size of targets', size('target = 5GB'), ['gone-toolchain g 2h 2GB', 'unit u 9d 4GB'], 'g'],
];

const unitsByAge: Case[] = [
  ['a build of this week is dearer than unpacking', size('3GB'), ['unit u 6d 2GB', 'source s 1d 2GB'], 's'],
  ['a build of last week is cheaper than unpacking', size('3GB'), ['unit u 7d 2GB', 'source s 1d 2GB'], 'u'],
  ['incremental folders go before any build', size('target = 3GB'), ['unit u 20d 2GB', 'incremental i 2h 2GB'], 'i'],
  ['a download goes after a compilation', size('3GB'), ['crate c 90d 2GB', 'object o 2d 2GB'], 'o'],
];

const gb = (free: number) => ({ free: free * GB });
const byDisk: Case[] = [
  [
    'with enough free nothing goes, be it old or over its limit',
    { 'free-disk': '20GB', 'max-size': '1GB' },
    ['source s 90d 5GB'],
    '',
    { notes: [/^Enough of every disk is free: nothing was evicted\.$/] },
  ],
  [
    'with less free the limits are kept again',
    { 'free-disk': '20GB', 'max-size': '1GB' },
    ['source s 10d 5GB'],
    's',
    { disks: [gb(19)] },
  ],
  [
    'with less free old things go',
    { 'free-disk': '20GB' },
    ['source s 90d 5GB', 'source t 9d 5GB'],
    's',
    { disks: [gb(16)], reasons: [/^not used for 90 days$/] },
  ],
  [
    'beyond the limits goes what is needed until as much is free',
    { 'free-disk': '20GB' },
    ['source s 9d 5GB', 'source t 8d 5GB', 'source u 7d 5GB'],
    's t',
    { disks: [gb(12)], reasons: [/^less than 19 GiB was free$/, /./], budgets: ['/disk1: 88 80 10 0'] },
  ],
  [
    'until more is free than it began at',
    { 'free-disk': '10GB', 'free-disk-until': '20GB' },
    ['source s 9d 5GB', 'source t 8d 5GB', 'source u 7d 5GB'],
    's t u',
    { disks: [gb(9)] },
  ],
  [
    'at the lower mark exactly, nothing goes',
    { 'free-disk': '10GB', 'free-disk-until': '20GB' },
    ['source s 9d 5GB'],
    '',
    { disks: [gb(10)], notes: [/Enough/] },
  ],
  ['a part of the disk is a part of its whole', { 'free-disk': '15%' }, ['source s 9d 5GB'], 's', { disks: [gb(14)] }],
  [
    'a part of another disk is another amount',
    { 'free-disk': '15%' },
    ['source s 9d 5GB'],
    '',
    { disks: [{ free: 14 * GB, total: 50 * GB }], notes: [/Enough/] },
  ],
  [
    'only the disk that is short is cleared',
    { 'free-disk': '20GB', 'max-size': '0' },
    ['source s 9d 15GB', 'unit u 9d 15GB on=2'],
    'u',
    { disks: [gb(90), gb(10)] },
  ],
  [
    'what lies on the other disk does not help this one',
    { 'free-disk': '20GB' },
    ['incremental i 9d 15GB on=2', 'crate c 9d 15GB'],
    'c',
    { disks: [gb(10), gb(90)] },
  ],
  [
    'two short disks are each cleared',
    { 'free-disk': '20GB' },
    ['crate c 9d 15GB', 'unit u 9d 15GB on=2', 'unit v 9d 15GB on=2'],
    'c u',
    { disks: [gb(10), gb(10)] },
  ],
  [
    'when it cannot be reached, that is said, with the reason',
    { 'free-disk': '20GB', protect: 'locked' },
    ['crate c 9d 15GB needed', 'unit u 0.1h 1GB'],
    '',
    {
      disks: [gb(10)],
      notes: [/^\/disk1 stays 9\.3 GiB over its limit: 954 MiB was used within 60 min; 14 GiB is needed by/],
    },
  ],
  [
    'for a disk, what a Cargo.lock names goes last',
    { 'free-disk': '20GB' },
    ['crate c 9d 15GB needed', 'crate d 8d 15GB'],
    'd',
    { disks: [gb(10)] },
  ],
];

const alarms: Case[] = [
  [
    'a limit below what a day uses is warned of',
    size('target = 5GB'),
    ['unit u 5h 4GB', 'unit v 6h 4GB'],
    'v',
    {
      warnings: [
        /^max-size of target \(4\.7 GiB\) is less than what was used within a day \(7\.5 GiB\): it will be fetched and built again each day\.$/,
      ],
    },
  ],
  ['a limit above it is not', size('target = 9GB'), ['unit u 5h 4GB', 'unit v 6d 4GB', 'unit w 9d 4GB'], 'w'],
  [
    'a limit of all below what a day uses is warned of',
    size('5GB'),
    ['unit u 0.5h 3GB', 'object o 0.5h 3GB'],
    '',
    { warnings: [/^max-size of all /], notes: [/^all stays/] },
  ],
  ['what dead jobs left is no use', size('runner = 1GB'), ['leftover l 5h 4GB'], 'l'],
];

const steps: Case[] = [
  [
    'dead jobs first, then targets, cargo home, sccache',
    size('0'),
    ['object o 9d 1GB', 'source s 9d 1GB', 'unit u 9d 1GB', 'leftover l 9d 1GB'],
    'l u s o',
    { steps: 'runner target cargo-home sccache' },
  ],
  [
    'equal ones of several places go in the order of the places',
    size('target = 0'),
    ['unit v 9d 1GB in=release', 'unit u 9d 1GB in=debug'],
    'u v',
    { steps: 'target target' },
  ],
  [
    'what has nothing to lose is no step',
    size('registry = 0'),
    ['object o 9d 1GB', 'source s 9d 1GB'],
    's',
    { steps: 'cargo-home' },
  ],
  [
    'two profiles are two steps',
    size('target = 0'),
    ['unit u 9d 1GB in=debug', 'unit v 8d 1GB in=release'],
    'u v',
    { steps: 'target target' },
  ],
];

const tables = { byAge, bySize, byLockFile, mended, byToolchain, unitsByAge, byDisk, alarms, steps };

describe.each([
  ['by age', byAge],
  ['by size', bySize],
  ['by what a Cargo.lock names', byLockFile],
  ['mended', mended],
  ['by toolchain', byToolchain],
  ['what a build costs', unitsByAge],
  ['by what is free on the disk', byDisk],
  ['alarms', alarms],
  ['steps', steps],
])('%s', (_, cases) => {
  it.each(cases)('%s', (_sentence, written, found, victims, also = {}) => {
    const facts = factsOf(found, also.disks);
    const plan = makePlan(inputsOf(written), facts);
    expect(names(plan)).toBe(victims);
    expect(plan.notes).toEqual((also.notes ?? []).map((each) => expect.stringMatching(each)));
    expect(plan.warnings).toEqual((also.warnings ?? []).map((each) => expect.stringMatching(each)));
    if (also.reasons) {
      expect(plan.victims.map(({ reason }) => reason)).toEqual(also.reasons.map((each) => expect.stringMatching(each)));
    }
    const budgets = plan.budgets.map(
      ({ name, bytes, limit, goes, over }) =>
        `${name}: ${bytes / GB} ${limit === undefined ? '-' : limit / GB} ${goes / GB} ${over / GB}`,
    );
    for (const line of also.budgets ?? []) expect(budgets).toContain(line);
    if (also.steps !== undefined) expect(plan.steps.map(({ place }) => place.kind).join(' ')).toBe(also.steps);
  });
});

it('the table has at least 80 cases, and no sentence twice', () => {
  const sentences = Object.values(tables).flatMap((cases) => cases.map(([sentence]) => sentence));
  expect(sentences.length).toBeGreaterThanOrEqual(80);
  expect(new Set(sentences).size).toBe(sentences.length);
});

const kinds: Kind[] = [
  'broken',
  'leftover',
  'incremental',
  'gone-toolchain',
  'source',
  'checkout',
  'unit',
  'object',
  'crate',
  'repository',
];

/** Any facts that a survey could find: dependents lie in the place of what they depend on, and a need of theirs is its need. */
const anyFacts: fc.Arbitrary<Facts> = fc
  .record({
    lines: fc.array(
      fc.record({
        kind: fc.constantFrom(...kinds),
        hours: fc.oneof(fc.integer({ min: -48, max: 2000 }), fc.constantFrom(0, 1, 24, 168, 720)),
        mb: fc.oneof(fc.integer({ min: 0, max: 9000 }), fc.constant(0)),
        needed: fc.boolean(),
        disk: fc.constantFrom(1, 2),
        dependents: fc.integer({ min: 0, max: 2 }),
      }),
      { maxLength: 40 },
    ),
    free: fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 })),
  })
  .map(({ lines, free }) => {
    const free_ = new Map<string, string[]>();
    const needed = new Set<string>();
    const texts = lines.map((line, index) => {
      const home = ['source', 'crate', 'checkout', 'repository', 'broken'].includes(line.kind);
      const disk = home ? 1 : line.disk;
      const name = `n${index}`;
      const dependent = { crate: 'source', repository: 'checkout' }[line.kind as string];
      const holds = dependent
        ? (free_.get(dependent) ?? []).splice(0, line.kind === 'crate' ? 1 : line.dependents)
        : [];
      free_.set(line.kind, [...(free_.get(line.kind) ?? []), name]);
      const isNeeded = home && (line.needed || holds.some((each) => needed.has(each)));
      if (isNeeded) needed.add(name);
      return [
        `${line.kind} ${name} ${line.hours}h ${line.mb}MB on=${disk}`,
        ...(isNeeded ? ['needed'] : []),
        ...(holds.length > 0 ? [`holds=${holds}`] : []),
      ].join(' ');
    });
    return factsOf(texts, [gb(free[0]), gb(free[1])]);
  });

const anySize = fc.option(fc.integer({ min: 0, max: 60_000 }).map((mb) => mb * 1e6));
const anyInputs: fc.Arbitrary<Inputs> = fc
  .record({
    all: anySize,
    registry: anySize,
    target: anySize,
    sccache: anySize,
    maxAge: fc.integer({ min: 24, max: 2000 }),
    minAge: fc.integer({ min: 1, max: 48 }),
    protect: fc.constantFrom('last', 'locked', 'none'),
    free: fc.option(fc.integer({ min: 1, max: 90 })),
  })
  .map(({ all, registry, target, sccache, maxAge, minAge, protect, free }) => {
    const limits = Object.entries({ all, registry, target, sccache }).filter(([, bytes]) => bytes !== null);
    return {
      ...inputsOf({ 'max-age': `${maxAge + minAge}h`, 'min-age': `${minAge}h`, protect }),
      maxSize: Object.fromEntries(limits),
      ...(free === null ? {} : { freeDisk: { percent: free }, freeDiskUntil: { percent: free } }),
    };
  });

const total = (items: Item[]) => items.reduce((sum, { bytes }) => sum + bytes, 0);
const gone = (plan: Plan) => new Set(plan.victims.map(({ item }) => item));
const has = (name: string, facts: Facts) => {
  const disk = facts.disks.find(({ path }) => path === name);
  return (item: Item) => (disk ? item.place.device === disk.device : name === 'all' || item.category === name);
};

describe('in every plan', () => {
  const holds = (promise: (facts: Facts, inputs: Inputs, plan: Plan) => void) =>
    fc.assert(
      fc.property(anyFacts, anyInputs, (facts, inputs) => promise(facts, inputs, makePlan(inputs, facts))),
      { numRuns: 500 },
    );

  it('nothing goes that was used within min-age, and nothing whose use cannot be told', () =>
    holds((facts, inputs, { victims }) => {
      for (const { item } of victims) expect(facts.now - item.usedAt).toBeGreaterThanOrEqual(inputs.minAgeMs);
    }));

  it('locked, nothing goes that a Cargo.lock names, but what is broken', () =>
    holds((_, inputs, { victims }) => {
      if (inputs.protect !== 'locked') return;
      expect(victims.filter(({ item }) => item.neededBy && item.kind !== 'broken')).toEqual([]);
    }));

  it('what a Cargo.lock names goes only when nothing else of that budget is left to go', () =>
    holds((facts, inputs, plan) => {
      if (inputs.protect !== 'last') return;
      const victims = gone(plan);
      const mayGo = (item: Item): boolean =>
        facts.now - item.usedAt >= inputs.minAgeMs && (item.dependents ?? []).every(mayGo);
      for (const { item, reason } of plan.victims) {
        if (!item.neededBy || item.kind === 'broken' || reason.includes('useless without')) continue;
        // By its reason it went for a size or for a disk: then each other thing of that kind went as well.
        const category = /^(\w+) is over/.exec(reason)?.[1];
        const name = reason.startsWith('everything') ? 'all' : category;
        const same = name
          ? has(name, facts)
          : ({ place }: Item) => place.device === item.place.device && /^less than/.test(reason);
        const acts = ({ place }: Item) => {
          const disk = facts.disks.find(({ device }) => device === place.device);
          return !inputs.freeDisk || (disk !== undefined && disk.free < amountOf(inputs.freeDisk, disk.total));
        };
        const left = facts.items.filter((each) => !each.neededBy && same(each) && acts(each) && mayGo(each));
        expect(left.filter((each) => !victims.has(each))).toEqual([]);
      }
    }));

  it('a crate goes after its source, a repository after its checkouts, and never without them', () =>
    holds((_, _inputs, { victims }) => {
      const order = new Map(victims.map(({ item }, index) => [item, index]));
      for (const [item, index] of order) {
        for (const each of item.dependents ?? []) expect(order.get(each)).toBeLessThan(index);
      }
    }));

  it('nothing goes twice, and every victim has its step and its reason', () =>
    holds((_, _inputs, plan) => {
      expect(gone(plan).size).toBe(plan.victims.length);
      const worked = plan.steps.flatMap(({ place, victims }) => {
        for (const { item } of victims) expect(item.place).toBe(place);
        return victims;
      });
      expect(new Set(worked)).toEqual(new Set(plan.victims));
      expect(new Set(plan.steps.map(({ place }) => place)).size).toBe(plan.steps.length);
      for (const { reason } of plan.victims) expect(reason.length).toBeGreaterThan(5);
    }));

  it('the bytes of a budget that go are what lies there before, less what lies there after', () =>
    holds((facts, _, plan) => {
      const victims = gone(plan);
      for (const { name, bytes, goes, limit, over } of plan.budgets) {
        const mine = facts.items.filter(has(name, facts));
        const after = total(mine.filter((item) => !victims.has(item)));
        expect(goes).toBe(total(mine) - after);
        if (!facts.disks.some(({ path }) => path === name)) expect(bytes).toBe(total(mine));
        expect(over).toBe(limit === undefined ? 0 : Math.max(0, bytes - goes - limit));
      }
    }));

  it('a limit that is passed although something could go is one that was not to act', () =>
    holds((facts, inputs, plan) => {
      if (inputs.freeDisk) return;
      const victims = gone(plan);
      const mayGo = (item: Item): boolean =>
        facts.now - item.usedAt >= inputs.minAgeMs &&
        !(inputs.protect === 'locked' && item.neededBy) &&
        (item.dependents ?? []).every(mayGo);
      for (const { name, over } of plan.budgets) {
        if (over === 0) continue;
        expect(facts.items.filter((item) => has(name, facts)(item) && !victims.has(item) && mayGo(item))).toEqual([]);
        expect(plan.notes.some((note) => note.startsWith(`${name} stays `))).toBe(true);
      }
    }));

  it('no more goes for sizes than brings each below its limit by a tenth', () =>
    holds((facts, inputs, plan) => {
      const last = plan.victims.at(-1);
      const name = /^(everything together|\w+) is over its [^;]*$/.exec(last?.reason ?? '')?.[1];
      if (!last || !name) return;
      const budget = plan.budgets.find((each) => each.name === (name === 'everything together' ? 'all' : name));
      const limit = budget?.limit ?? 0;
      const dependents = total(last.item.dependents ?? []);
      // Without the last of them, it was not yet enough.
      expect((budget?.bytes ?? 0) - (budget?.goes ?? 0) + last.item.bytes + dependents).toBeGreaterThan(limit * 0.9);
      expect(inputs.maxSize[budget?.name as 'all']).toBe(limit);
      expect(facts.items).toContain(last.item);
    }));

  it('the same facts give the same plan, in whatever order they were found', () =>
    fc.assert(
      fc.property(anyFacts, anyInputs, fc.func(fc.integer()), (facts, inputs, rank) => {
        const shuffled = facts.items.toSorted((a, b) => rank(a.path) - rank(b.path));
        const plan = makePlan(inputs, facts);
        expect(makePlan(inputs, facts)).toEqual(plan);
        expect(makePlan(inputs, { ...facts, items: shuffled }).victims).toEqual(plan.victims);
      }),
    ));

  it('nothing of the facts is changed', () =>
    holds((facts, inputs) => {
      const before = structuredClone(facts);
      makePlan(inputs, facts);
      expect(facts).toEqual(before);
    }));

  it('with one limit, a smaller one evicts all that a larger one does', () =>
    fc.assert(
      fc.property(
        anyFacts,
        fc.constantFrom('all' as const, ...categories),
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 0, max: 60 }),
        fc.constantFrom('last', 'locked', 'none'),
        (facts, name, one, other, protect) => {
          const [less, more] = [Math.min(one, other), Math.max(one, other)];
          const of = (limit: number) =>
            gone(makePlan(inputsOf({ ...never, protect, 'max-size': `${name} = ${limit}GB` }), facts));
          expect([...of(more)].filter((item) => !of(less).has(item))).toEqual([]);
        },
      ),
      { numRuns: 300 },
    ));

  it('a shorter age evicts all that a longer one does', () =>
    fc.assert(
      fc.property(anyFacts, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), (facts, one, other) => {
        const of = (days: number) => gone(makePlan(inputsOf({ 'max-age': `${days}d` }), facts));
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        expect([...of(more)].filter((item) => !of(less).has(item))).toEqual([]);
      }),
    ));

  it('a run after it has nothing left to do, but for what only time brings', () =>
    holds((facts, inputs, plan) => {
      const victims = gone(plan);
      const freed = (device: number) => total([...victims].filter(({ place }) => place.device === device));
      const after = {
        ...facts,
        items: facts.items
          .filter((item) => !victims.has(item))
          .map((item) => ({ ...item, dependents: item.dependents?.filter((each) => !victims.has(each)) })),
        disks: facts.disks.map((disk) => ({ ...disk, free: disk.free + freed(disk.device) })),
      };
      // Things hold their dependents by reference, and those were copied.
      const copies = new Map(after.items.map((item) => [item.path, item]));
      for (const item of after.items) {
        item.dependents = item.dependents?.flatMap((each) => copies.get(each.path) ?? []);
      }
      expect(names(makePlan(inputs, after))).toBe('');
    }));
});

describe('a plan for many things', () => {
  /** Reads of one property of the things: each look at a thing is at least one. */
  function looks(count: number): number {
    const place: Place = { kind: 'sccache', root: '/s', locks: [], trash: '', device: 1 };
    let reads = 0;
    const items = Array.from({ length: count }, (_, index) => ({
      place,
      category: 'sccache' as const,
      kind: 'object' as const,
      path: String((index * 7919) % count),
      get bytes() {
        reads += 1;
        return 1e6;
      },
      get usedAt() {
        reads += 1;
        return NOW - 2 * DAY - ((index * 104_729) % 1000) * HOUR;
      },
      changedAt: 0,
    }));
    const facts: Facts = { ...factsOf([]), items, places: [place] };
    const inputs = inputsOf({ 'max-size': `sccache = ${count / 2}MB, all = ${count / 3}MB`, 'free-disk': '60%' });
    const { victims } = makePlan(inputs, facts);
    expect(victims.length).toBeGreaterThan(count / 2);
    return reads;
  }

  it('takes ten times the work for ten times as many, but for the sorting', () => {
    const [few, many] = [looks(3000), looks(30_000)];
    expect(many / few).toBeLessThan(10 * (Math.log(30_000) / Math.log(3000)) * 1.1);
  });
});
