import { ExpectedError } from '@gbo/shared/errors';
import { applyZfs, estimateZfs } from './zfs-apply.js';
import type { ZfsSpec } from './zfs-input.js';
import { planZfs } from './zfs-plan.js';
import { type ZfsRow, zfsLines, zfsRows } from './zfs-report.js';
import { surveyZfs } from './zfs-survey.js';

/** The snapshots' part of a run. */
export interface ZfsPart {
  lines: string[];
  rows: ZfsRow[];
  /** Why it ended early; the caches are clean all the same. */
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
      return { lines: zfsLines(plan, undefined, estimate), rows: zfsRows(plan, undefined, estimate) };
    }
    const outcome = await applyZfs(spec, plan, context);
    return { lines: zfsLines(plan, outcome), rows: zfsRows(plan, outcome) };
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    return { lines: [error.message], rows: [], failed: error.message };
  }
}
