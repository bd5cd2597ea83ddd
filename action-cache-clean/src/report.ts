import { formatBytes } from '@gbo/shared/bytes';
import { formatDuration } from '@gbo/shared/duration';
import type { LogGroup } from '@gbo/shared/log';
import { literal, markdownTable, plain, type Report, textTable } from '@gbo/shared/report';
import type { Facts, Item, SccacheStats } from './facts.js';
import type { Outcome } from './outcome.js';
import type { Plan } from './plan.js';
import type { ZfsPart } from './zfs-run.js';

/** The outputs of the action and what each holds. */
export const outputs = {
  result: 'cleaned, nothing-to-do, dry-run, or busy (everything that was to go was in use).',
  freed: 'Bytes given back to the disk.',
  planned: 'Bytes that were to go.',
  report:
    'Everything as one JSON object: `budgets` and `victims` of the plan; by `places` what went, what stayed and why; what was `skipped`; `warnings`, `notes`, `problems`; `swept` bytes of an earlier run; `disks`, `sccache`, `lockFiles`, `snapshots`, `trend`.',
};

/** Victims that are named one by one. */
const TOP = 20;

/** What the run has to say at its end. Pure. */
export function report(
  facts: Facts,
  plan: Plan,
  outcome: Outcome | undefined,
  zfs: ZfsPart | undefined,
  ms: number,
): Report {
  const planned = sum(plan.victims.map(({ item }) => item.bytes));
  const freed = outcome ? outcome.swept + sum(outcome.places.map(({ bytes }) => bytes)) : 0;
  const result = resultOf(plan, outcome, freed, sum((zfs?.rows ?? []).map(({ removed }) => removed)));
  const trend = trendOf(facts, freed);
  const table = budgetTable(facts, plan, outcome);
  const top = [...plan.victims].sort((a, b) => b.item.bytes - a.item.bytes).slice(0, TOP);
  const victims = textTable(
    ['bytes', 'what', 'why'],
    top.map(({ item, reason }) => [formatBytes(item.bytes), nameOf(item), plain(reason)]),
  );
  const stayed = stayedLines(outcome);
  const notes = [...plan.warnings.map((text) => `Warning: ${text}`), ...plan.notes, ...facts.notes].map(plain);
  const disks = diskLines(facts, outcome, freed);
  const groups: LogGroup[] = [
    {
      title: `${formatBytes(sum(facts.items.map(({ bytes }) => bytes)))} in ${facts.items.length} things`,
      lines: textTable(table.head, table.rows),
    },
    ...(top.length > 0 ? [{ title: `${plan.victims.length} to go, the largest`, lines: victims }] : []),
    ...(facts.skipped.length > 0 ? [{ title: 'Left alone', lines: facts.skipped.map(plain) }] : []),
    ...(stayed.length > 0 ? [{ title: 'Stayed after all', lines: stayed }] : []),
    ...(outcome?.problems.length ? [{ title: 'Problems', lines: outcome.problems.map(plain) }] : []),
    ...(zfs ? [{ title: 'Snapshots', lines: zfs.lines.map(plain) }] : []),
    ...(notes.length > 0 ? [{ title: 'Notes', lines: notes }] : []),
    {
      title: `Result: ${result}`,
      lines: [...disks, ...sccacheLines(facts.sccache), ...trendLines(trend), `${formatDuration(ms)}.`],
    },
  ];
  return {
    failed: outcome?.cancelled
      ? `${outcome.cancelled} What was moved out is deleted; the rest is as it was.`
      : zfs?.failed &&
        `${zfs.failed} ${outcome ? 'The caches were cleaned all the same.' : 'It was a dry run: nothing was removed.'}`,
    outputs: {
      result,
      freed: String(freed),
      planned: String(planned),
      report: JSON.stringify(data(facts, plan, outcome, zfs, { result, planned, freed, ms, trend })),
    },
    log: groups,
    summary: [
      `### cache-clean: ${result}`,
      markdownTable(table.head, table.rows),
      ...(zfs && zfs.rows.length > 0 ? [snapshotTable(zfs)] : []),
      ...[...disks, ...sccacheLines(facts.sccache), ...trendLines(trend), ...stayed, ...notes].map(
        (line) => `- ${literal(line)}`,
      ),
    ].join('\n\n'),
  };
}

function resultOf(plan: Plan, outcome: Outcome | undefined, freed: number, snapshots: number): string {
  if (!outcome) return 'dry-run';
  const moved = sum(outcome.places.map(({ moved }) => moved.length));
  if (moved > 0 || freed > 0 || snapshots > 0) return 'cleaned';
  return plan.victims.length === 0 ? 'nothing-to-do' : 'busy';
}

function budgetTable(facts: Facts, plan: Plan, outcome: Outcome | undefined): { head: string[]; rows: string[][] } {
  const head = ['what', 'things', 'now', 'limit', outcome ? 'went' : 'would go', 'left'];
  const gone = outcome ? outcome.places.flatMap(({ moved }) => moved) : plan.victims.map(({ item }) => item);
  const rows = plan.budgets.map(({ name, bytes, limit }) => {
    const disk = facts.disks.find(({ path }) => path === name);
    const has = (item: Item) => (disk ? item.place.device === disk.device : name === 'all' || item.category === name);
    const goes = sum(gone.filter(has).map((item) => item.bytes));
    return [
      disk ? plain(`disk of ${name}`) : name,
      String(facts.items.filter(has).length),
      formatBytes(bytes),
      limit === undefined ? '-' : formatBytes(Math.max(0, limit)),
      formatBytes(goes),
      formatBytes(Math.max(0, bytes - goes)),
    ];
  });
  return { head, rows };
}

/** A unit is called by its fingerprint. */
function nameOf({ place, path }: Item): string {
  return plain(`${place.root}/${path.replace('.fingerprint/', '')}`);
}

function stayedLines(outcome: Outcome | undefined): string[] {
  return (outcome?.places ?? []).flatMap(({ place, stayed }) =>
    [...stayed].map(([reason, count]) => plain(`${place}: ${count} ${count === 1 ? 'thing' : 'things'}, ${reason}`)),
  );
}

function diskLines(facts: Facts, outcome: Outcome | undefined, freed: number): string[] {
  if (!outcome)
    return facts.disks.map(({ path, free, total }) =>
      plain(`Free on the disk of ${path}: ${formatBytes(free)} of ${formatBytes(total)}.`),
    );
  const gained = sum(outcome.disks.map(({ free }, index) => free - (facts.disks[index]?.free ?? 0)));
  const lines = [
    `Given back: ${formatBytes(freed)} of files${outcome.swept > 0 ? `, ${formatBytes(outcome.swept)} of them from an earlier run's trash` : ''}; more free than before: ${formatBytes(Math.max(0, gained))}.`,
    ...outcome.disks.map(({ path, free, total }) =>
      plain(`Free on the disk of ${path}: ${formatBytes(free)} of ${formatBytes(total)}.`),
    ),
  ];
  // A few MiB are what others write meanwhile.
  if (freed - gained > Math.max(64 * 1024 * 1024, freed / 10)) {
    lines.push('Much of it is not free yet: snapshots hold it, or others wrote meanwhile.');
  }
  if (outcome.longestLockMs > 0)
    lines.push(`Cargo's locks were held for ${formatDuration(outcome.longestLockMs)} at most at a stretch.`);
  return lines;
}

function snapshotTable({ rows }: ZfsPart): string {
  const cells = rows.map(({ dataset, removed, freed, kept, left }) => [
    plain(dataset),
    String(removed),
    formatBytes(freed),
    String(kept),
    String(left),
  ]);
  return markdownTable(['dataset', 'snapshots gone', 'bytes', 'kept', 'could not go'], cells);
}

function sccacheLines(stats: SccacheStats | undefined): string[] {
  if (!stats) return [];
  const all = stats.hits + stats.misses;
  const rate =
    all > 0
      ? `${Math.round((100 * stats.hits) / all)} % hits of ${all} since its server was started`
      : 'no requests yet';
  return [plain(`${stats.version}: ${rate}.`)];
}

interface Trend {
  /** Bytes by which all together has grown since the last run; less than 0: shrunk. */
  grown: number;
  /** This one included. */
  runs: number;
  /** On which there was a run before this one. */
  days: number;
  /** Bytes, in all these runs. */
  freed: number;
}

/** Undefined where there was no run before. */
function trendOf({ earlier, items }: Facts, freed: number): Trend | undefined {
  const last = earlier.runs.at(-1);
  if (!last) return undefined;
  const before = sum(Object.values(last.sizes)) - last.freed;
  return {
    grown: sum(items.map(({ bytes }) => bytes)) - before,
    runs: earlier.runs.length + 1,
    days: new Set(earlier.runs.map(({ at }) => Math.floor(at / 86_400_000))).size,
    freed: sum(earlier.runs.map((run) => run.freed)) + freed,
  };
}

function trendLines(trend: Trend | undefined): string[] {
  if (!trend) return [];
  const { grown, runs, days, freed } = trend;
  return [
    `Since the last run: ${grown >= 0 ? 'grown' : 'shrunk'} by ${formatBytes(Math.abs(grown))}. Freed in ${runs} runs on ${days} days: ${formatBytes(freed)}.`,
  ];
}

function data(
  facts: Facts,
  plan: Plan,
  outcome: Outcome | undefined,
  zfs: ZfsPart | undefined,
  figures: { result: string; planned: number; freed: number; ms: number; trend?: Trend },
) {
  return {
    ...figures,
    swept: outcome?.swept ?? 0,
    budgets: plan.budgets,
    victims: plan.victims.slice(0, 1000).map(({ item, reason }) => ({
      path: `${item.place.root}/${item.path}`,
      kind: item.kind,
      bytes: item.bytes,
      usedAt: new Date(item.usedAt).toISOString(),
      reason,
    })),
    victimCount: plan.victims.length,
    places: outcome?.places.map((place) => ({
      ...place,
      moved: place.moved.length,
      kinds: countByKind(place.moved),
      stayed: Object.fromEntries(place.stayed),
    })),
    skipped: facts.skipped,
    warnings: plan.warnings,
    notes: [...plan.notes, ...facts.notes],
    problems: outcome?.problems ?? [],
    longestLockMs: outcome?.longestLockMs,
    disks: { before: facts.disks, after: outcome?.disks },
    sccache: facts.sccache,
    lockFiles: facts.lockFiles,
    snapshots: zfs,
  };
}

function countByKind(items: Item[]): Partial<Record<Item['kind'], number>> {
  const counts: Partial<Record<Item['kind'], number>> = {};
  for (const { kind } of items) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
