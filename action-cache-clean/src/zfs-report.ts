import { formatBytes } from '@gbo/shared/bytes';
import type { DatasetOutcome, Left, ZfsOutcome } from './zfs-apply.js';
import type { DatasetPlan, Kept, KeptBecause, ZfsPlan } from './zfs-plan.js';

/** Names in one line of the log; the rest is counted. */
const MOST_NAMES = 8;

const because: Record<KeptBecause, string> = {
  foreign: 'not matching zfs-pattern',
  'odd-name': 'with a name zfs would misread',
  lxd: 'of LXD or Incus',
  expires: 'with an expiry of their own',
  'no-clock': 'of unknown age',
  future: 'from the future',
  held: 'held',
  cloned: 'with clones',
  newest: 'among the newest',
  younger: 'younger',
};

/** The log of the snapshots' part: what goes or went, what stays and why. `outcome` is absent in a dry run. */
export function zfsLines(plan: ZfsPlan, outcome?: ZfsOutcome, estimate?: ReadonlyMap<string, number>): string[] {
  const lines = [...plan.notes];
  for (const { dataset, why } of plan.skipped) lines.push(`${dataset}: left alone, ${why}`);
  for (const dataset of plan.datasets) {
    const done = outcome?.datasets.find(({ name }) => name === dataset.name);
    lines.push(headline(dataset, done, outcome !== undefined, estimate?.get(dataset.name)));
    lines.push(...dataset.notes.map((note) => `  ${note}`));
    const shown = done ? done.destroyed : dataset.victims;
    for (const { snapshot, bytes, reason } of shown.slice(0, 50))
      lines.push(`  ${done ? 'destroyed' : 'would go'}: @${snapshot} (${formatBytes(bytes)}): ${reason}`);
    if (shown.length > 50) lines.push(`  and ${shown.length - 50} more`);
    if (done) lines.push(...troubles(done));
    lines.push(...keptLines(dataset.kept));
    if (done?.stillHeld !== undefined) lines.push(`  The snapshots that stay hold ${formatBytes(done.stillHeld)}.`);
  }
  for (const { name, free, freeing } of outcome?.pools ?? []) {
    const before = plan.pools.find((pool) => pool.name === name);
    const was = before ? ` (${formatBytes(before.free)} before)` : '';
    // zfs gives space back in the background, after destroy has returned.
    const still = freeing > 0 ? `, and ${formatBytes(freeing)} are still being given back` : '';
    lines.push(`Pool ${name}: ${formatBytes(free)} free${was}${still}.`);
  }
  if (outcome?.stopped) lines.push(`Stopped early: ${outcome.stopped}`);
  return lines;
}

function headline(
  { name, victims, kept }: DatasetPlan,
  done: DatasetOutcome | undefined,
  ran: boolean,
  estimate?: number,
) {
  if (done) {
    const parts = [
      `${count(done.destroyed.length)} destroyed (${formatBytes(done.reclaimed)})`,
      done.vanished.length > 0 && `${done.vanished.length} gone already`,
      done.left.length > 0 && `${done.left.length} could not go`,
      done.unknown.length > 0 && `${done.unknown.length} of which nobody knows`,
      `${kept.length} kept`,
    ];
    return `${name}: ${parts.filter(Boolean).join(', ')}`;
  }
  if (ran || victims.length === 0) return `${name}: nothing to remove, ${kept.length} kept`;
  const own = victims.reduce((sum, { bytes }) => sum + bytes, 0);
  const bytes = estimate === undefined ? `at least ${formatBytes(own)}` : formatBytes(estimate);
  return `${name}: ${count(victims.length)} would go (${bytes}), ${kept.length} kept`;
}

function troubles({ left, unknown }: DatasetOutcome): string[] {
  const line =
    (what: string) =>
    ({ snapshot, why }: Left) =>
      `  ${what}: @${snapshot}: ${why}`;
  return [...grouped(left).map(line('left')), ...grouped(unknown).map(line('unknown'))];
}

/** Those with the same reason in one line. */
function grouped(left: Left[]): Left[] {
  const groups = new Map<string, Left[]>();
  for (const one of left) groups.set(one.why, [...(groups.get(one.why) ?? []), one]);
  return [...groups.values()].map((group) => ({ ...(group[0] as Left), snapshot: names(group) }));
}

function keptLines(kept: Kept[]): string[] {
  const lines: string[] = [];
  for (const kind of Object.keys(because) as KeptBecause[]) {
    const these = kept.filter((one) => one.because === kind);
    if (these.length === 0) continue;
    const reasons = new Set(these.map(({ reason }) => reason));
    const why = reasons.size === 1 ? `: ${these[0]?.reason}` : '';
    lines.push(`  kept, ${because[kind]}: @${names(these)}${why}`);
  }
  return lines;
}

function names(all: { snapshot: string }[]): string {
  const shown = all.slice(0, MOST_NAMES).map(({ snapshot }) => snapshot);
  return all.length > MOST_NAMES ? `${shown.join(', ')} and ${all.length - MOST_NAMES} more` : shown.join(', ');
}

/** One row of the summary's table. */
export interface ZfsRow {
  dataset: string;
  removed: number;
  freed: number;
  kept: number;
  left: number;
  unknown: number;
  /** Bytes that the remaining snapshots hold; undefined where it was not read. */
  stillHeld?: number;
}

export function zfsRows(plan: ZfsPlan, outcome?: ZfsOutcome, estimate?: ReadonlyMap<string, number>): ZfsRow[] {
  return plan.datasets.map(({ name, victims, kept }) => {
    const done = outcome?.datasets.find((dataset) => dataset.name === name);
    const would = estimate?.get(name) ?? victims.reduce((sum, { bytes }) => sum + bytes, 0);
    return {
      dataset: name,
      removed: done ? done.destroyed.length : outcome ? 0 : victims.length,
      freed: done ? done.reclaimed : outcome ? 0 : would,
      kept: kept.length,
      left: done?.left.length ?? 0,
      unknown: done?.unknown.length ?? 0,
      stillHeld: done?.stillHeld,
    };
  });
}

function count(number: number): string {
  return `${number} ${number === 1 ? 'snapshot' : 'snapshots'}`;
}
