import { duration, read, word, yesOrNo } from '@gbo/shared/fields';
import { defineInputs } from '@gbo/shared/inputs';
import { z } from 'zod';
import { parseAge } from './age.js';
import { type Category, categories } from './categories.js';
import { lines } from './lines-input.js';
import { type Amount, parseAmount, parseSize } from './size.js';
import { type ZfsSpec, zfsFields, zfsFrom } from './zfs-input.js';

/** One value for each category, and one for all of them together. */
export type Limits = Partial<Record<Category | 'all', number>>;

export interface Inputs {
  dryRun: boolean;
  /** Absent: cargo's own default. `none` leaves it alone. */
  cargoHome?: string;
  /** Globs of target folders; absent: CARGO_TARGET_DIR. */
  targets?: string[];
  sccacheDir?: string;
  runnerDir?: string;
  /** Bytes. */
  maxSize: Limits;
  /** Milliseconds since the last use. */
  maxAge: Limits;
  /** Evict only where less than this is free. */
  freeDisk?: Amount;
  /** Evict until this is free. */
  freeDiskUntil?: Amount;
  /** Nothing that was used less than this many ms ago goes. */
  minAgeMs: number;
  /** What a Cargo.lock names: never goes, goes last, or is like any other. */
  protect: 'locked' | 'last' | 'none';
  /** Globs; absent: beside the targets and in the workspace. */
  lockFiles?: string[];
  /** Whether what a toolchain that is gone has built goes first. */
  toolchains: 'installed' | 'any';
  stateDir?: string;
  /** How long to wait for a lock that a build holds. */
  waitMs: number;
  /** Snapshots to thin out; absent: none are looked at. */
  zfs?: ZfsSpec;
}

const HOUR_MS = 60 * 60 * 1000;

/** Where max-age says nothing else. */
const usualAges = { all: 30 * 24 * HOUR_MS, runner: 24 * HOUR_MS };

/** `none`: as old as it likes. */
const age = (text: string) => (text === 'none' ? Number.POSITIVE_INFINITY : parseAge(text));

/** `30d`, or `registry = 10GB, target = 40GB, all = 80GB`, by commas or lines. */
const limits = (parse: (text: string) => number) =>
  read((text): Limits => {
    const found: Limits = {};
    for (const part of text.split(/[\n,]/).filter((each) => each.trim())) {
      const at = part.indexOf('=');
      const [name, value] = at < 0 ? ['all', part] : [part.slice(0, at), part.slice(at + 1)];
      const known = ['all', ...categories].find((each) => each === name.trim());
      if (!known) throw new Error(`${JSON.stringify(name.trim())} is none of all, ${categories.join(', ')}`);
      if (found[known as Category] !== undefined) throw new Error(`${known} stands there twice`);
      found[known as Category] = parse(value.trim());
    }
    if (Object.keys(found).length === 0) throw new Error(`${JSON.stringify(text)} names no limit`);
    return found;
  });

const absolute = (also: string[]) =>
  z.string().refine((text) => also.includes(text) || /^(~?\/.*|~)$/.test(text), {
    error: (issue) => `${JSON.stringify(issue.input)} is not an absolute path`,
  });
const folder = absolute(['none']);

const schema = z.object({
  'dry-run': yesOrNo.meta({ description: 'Say what would go and why; remove nothing.', default: 'false' }),
  'cargo-home': folder.optional().meta({
    description: "Cargo's home. Default: `CARGO_HOME`, else `~/.cargo`. `none` leaves it alone.",
  }),
  targets: lines.optional().meta({
    description:
      'Globs of target folders (also build folders), a line each. Only folders that cargo itself has marked are touched. Default: `CARGO_TARGET_DIR`. `none` leaves all alone.',
  }),
  'sccache-dir': folder.optional().meta({
    description:
      'Disk cache of sccache. Default: `SCCACHE_DIR`, else `~/.cache/sccache` (or in `XDG_CACHE_HOME`). `none` leaves it alone.',
  }),
  'runner-dir': folder.optional().meta({
    description:
      "Where the runner keeps the workspaces of its jobs (`host.workdir_parent`). Default: `~/.cache/act`. `none` leaves it alone. This job's own workspace and those of living processes are never touched.",
  }),
  'max-size': limits(parseSize).optional().meta({
    description:
      'Bytes that may lie there: one size for all together, or by category, by commas or lines: `registry = 10GB, git = 5GB, target = 40GB, sccache = 20GB, runner = 5GB, all = 60GB`. Default: no limit.',
  }),
  'max-age': limits(age).meta({
    description:
      'What was not used for this long goes; spelt like `max-size`. What is not named keeps its default; `none` alone sets no age at all, `registry = none` none for that.',
    default: '30d, runner = 1d',
  }),
  'free-disk': read(parseAmount).optional().meta({
    description:
      'Evict only when less than this is free on the disk, such as `20GB` or `15%`, and then until `free-disk-until` is free, beyond the limits above if need be. Broken things are mended in any case.',
  }),
  'free-disk-until': read(parseAmount).optional().meta({ description: 'See `free-disk`. Default: the same.' }),
  'min-age': read(parseAge)
    .refine((age) => age >= HOUR_MS, { error: 'it must be at least 1h: builds tell cargo late what they use' })
    .meta({ description: 'What was used more recently than this never goes, whatever the limits.', default: '1h' }),
  protect: word(['last', 'locked', 'none']).meta({
    description:
      'What a Cargo.lock names: `last` evicts it after everything else and never for its age; `locked` never evicts it; `none` treats it like the rest.',
    default: 'last',
  }),
  'lock-files': lines.optional().meta({
    description:
      'Globs of the Cargo.lock files that `protect` is about, a line each. Default: beside every target folder and in the workspace; those of earlier runs are remembered for 30 days.',
  }),
  toolchains: word(['installed', 'any']).meta({
    description:
      'installed: what was built by a toolchain that is no longer installed goes first, whatever its age. any: toolchains are not looked at.',
    default: 'installed',
  }),
  'state-dir': absolute([]).optional().meta({
    description: 'Where the trend and the remembered lock files are kept. Default: `~/.cache/gbo-cache-clean`.',
  }),
  wait: duration.meta({
    description: 'How long to wait for a lock that a build holds, for each place.',
    default: '60s',
  }),
  ...zfsFields,
});

/** Everything a user may write under `with:`, and what the rooms get from it. */
export const inputs = defineInputs(schema, (values, problem): Inputs => {
  if (values['free-disk-until'] && !values['free-disk']) problem('input free-disk-until needs free-disk');
  if (!untilIsMore(values['free-disk'], values['free-disk-until']))
    problem('input free-disk-until is less than free-disk');
  for (const [name, age] of Object.entries(values['max-age'])) {
    const usual = age === usualAges[name as 'all'];
    if (age < values['min-age'] && !usual) problem(`input max-age: ${name} is shorter than min-age`);
  }
  return {
    dryRun: values['dry-run'],
    cargoHome: values['cargo-home'],
    targets: values.targets,
    sccacheDir: values['sccache-dir'],
    runnerDir: values['runner-dir'],
    maxSize: values['max-size'] ?? {},
    maxAge: agesFrom(values['max-age']),
    freeDisk: values['free-disk'],
    freeDiskUntil: values['free-disk-until'] ?? values['free-disk'],
    minAgeMs: values['min-age'],
    protect: values.protect,
    lockFiles: values['lock-files'],
    toolchains: values.toolchains,
    stateDir: values['state-dir'],
    waitMs: values.wait,
    zfs: zfsFrom(values, problem),
  };
});

/** What is given takes the place of that one default; one age for all is also the most for what has a shorter default. */
function agesFrom(given: Limits): Limits {
  const { all = usualAges.all } = given;
  if (all === Number.POSITIVE_INFINITY && Object.keys(given).length === 1) return {};
  return { ...usualAges, runner: Math.min(all, usualAges.runner), ...given };
}

function untilIsMore(below: Amount | undefined, until: Amount | undefined): boolean {
  if (!below || !until) return true;
  if ('bytes' in below && 'bytes' in until) return until.bytes >= below.bytes;
  if ('percent' in below && 'percent' in until) return until.percent >= below.percent;
  return true; // which is more depends on the disk
}
