import { ExpectedError } from '@gbo/shared/errors';
import { applyZfs, estimateZfs, type ZfsOutcome } from './zfs-apply.js';
import type { ZfsSpec } from './zfs-input.js';
import { planZfs, type ZfsPlan } from './zfs-plan.js';
import { type ZfsRow, zfsLines, zfsRows } from './zfs-report.js';
import { surveyZfs } from './zfs-survey.js';

/** The snapshots' part of a run. */
export interface ZfsPart {
  lines: string[];
  rows: ZfsRow[];
  /** What was not done that should have been, in sentences. */
  failed?: string;
}

/** The snapshots' way through their own rooms. Never rejects for what an operator can mend: the caches come first. */
export async function runZfs(
  spec: ZfsSpec,
  dryRun: boolean,
  context: { signal: AbortSignal; log(line: string): void },
): Promise<ZfsPart> {
  try {
    const plan = planZfs(spec, await surveyZfs(spec, context));
    if (dryRun) {
      const estimate = await estimateZfs(spec, plan, context);
      return {
        lines: zfsLines(plan, undefined, estimate),
        rows: zfsRows(plan, undefined, estimate),
        failed: troubleIn(plan),
      };
    }
    const outcome = await applyZfs(spec, plan, context);
    return { lines: zfsLines(plan, outcome), rows: zfsRows(plan, outcome), failed: troubleIn(plan, outcome) };
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    return { lines: [error.message], rows: [], failed: error.message };
  }
}

/** A snapshot in use is another night's. What would be so every night while the disk fills is said aloud. */
function troubleIn(plan: ZfsPlan, outcome?: ZfsOutcome): string | undefined {
  const problems = [
    plan.latest === undefined && `the clock of ${plan.host} could not be read, so nothing is old`,
    ...plan.skipped.map(({ dataset, why }) => `${dataset} could not be looked at (${why})`),
    ...plan.datasets.map(
      ({ name, instance }) =>
        instance && 'unread' in instance && `${name} could not be looked at (${instance.trouble})`,
    ),
    outcome?.stopped && `it stopped early (${outcome.stopped})`,
    ...(outcome?.datasets ?? []).flatMap(({ name, destroyed, left, unknown }) => {
      const trouble = left.find(({ inUse, why }) => !inUse && why !== outcome?.stopped);
      return [
        unknown.length > 0 && `of ${unknown.length} in ${name} it is not known whether they are gone`,
        destroyed.length === 0 && trouble && `nothing in ${name} could be destroyed (${trouble.why})`,
      ];
    }),
  ].filter((problem) => typeof problem === 'string');
  return problems.length > 0 ? `Snapshots on ${plan.host}: ${problems.join('; ')}.` : undefined;
}
