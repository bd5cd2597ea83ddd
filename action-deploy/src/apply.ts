import { ExpectedError, messageOf } from '@gbo/shared/errors';
import type { RunContext } from '@gbo/shared/run';
import { HostRun, Stale } from './host-run.js';
import type { HostOutcome, Outcome } from './outcome.js';
import type { HostPlan, Plan } from './plan.js';
import { keepFailed, recover, removeStaged } from './recover.js';
import type { Target } from './session.js';

/**
 * Carries the plan out: all hosts are prepared before any is switched; then wave by wave, each host guarded by its own
 * undo. Never rejects for what happens on a target. `stale`: what was surveyed is no longer true, and the locks are held.
 */
export async function apply(
  plan: Plan,
  targets: Target[],
  who: string,
  { log, signal }: RunContext,
): Promise<Outcome | 'stale'> {
  const runs = plan.hosts
    .filter(({ verdict }) => verdict === 'change')
    .map((host) => new HostRun(host, targetOf(targets, host), log, who, signal));
  const outcomes = new Map<string, HostOutcome>(
    plan.hosts.filter(({ verdict }) => verdict !== 'change').map((host) => [host.host, settled(host)]),
  );
  const failures = () => [...outcomes.values()].filter(({ result }) => isFailure(result)).length;

  const prepared = await Promise.allSettled(runs.map((run) => run.phase('prepare')));
  if (prepared.some((result) => result.status === 'rejected' && result.reason instanceof Stale)) return 'stale';
  for (const [index, result] of prepared.entries()) {
    const run = runs[index] as HostRun;
    if (result.status === 'rejected') outcomes.set(run.plan.host, await recover(run, result.reason, 'action'));
  }

  const confirmed: HostRun[] = [];
  for (const wave of plan.waves) {
    if (failures() > plan.maxFailed || signal.aborted) break;
    const now = runs.filter((run) => wave.includes(run.plan.host) && !outcomes.has(run.plan.host));
    await Promise.all(
      now.map(async (run) => {
        const outcome = await run.phase('switch').then(
          () => run.outcome('deployed'),
          (error: unknown) => (plan.onFailure === 'none' ? keepFailed(run, error) : recover(run, error, 'action')),
        );
        // Also where only the answer to the word was lost.
        const isConfirmed = outcome.result === 'deployed';
        if (isConfirmed) confirmed.push(run);
        outcomes.set(
          run.plan.host,
          isConfirmed && plan.mode === 'rollback' ? { ...outcome, result: 'returned' } : outcome,
        );
      }),
    );
  }

  await Promise.all(
    runs
      .filter(({ plan: { host } }) => !outcomes.has(host))
      .map(async (run) => {
        if (signal.aborted) outcomes.set(run.plan.host, await recover(run, signal.reason, 'action'));
        else await removeStaged(run);
      }),
  );

  if (failures() > plan.maxFailed && plan.onFailure === 'all') {
    const all = 'on-failure: all takes every host back.';
    const cause = signal.aborted ? `${messageOf(signal.reason)} ${all}` : `Another host failed, and ${all}`;
    await Promise.all(
      confirmed.map(async (run) => {
        const why = new ExpectedError(cause, '', '');
        outcomes.set(run.plan.host, await recover(run, why, 'return'));
      }),
    );
  }
  await Promise.all(runs.map((run) => tidy(run, outcomes.get(run.plan.host))));
  return {
    hosts: plan.hosts.map(
      (host) =>
        outcomes.get(host.host) ?? {
          ...settled(host),
          result: 'skipped',
          reason: 'Not switched, because another host failed before.',
        },
    ),
  };
}

function targetOf(targets: Target[], { host }: HostPlan): Target {
  const target = targets.find(({ spec }) => spec.name === host);
  if (!target) throw new Error(`no connection to ${host}`);
  return target;
}

/** The outcome of a host on which nothing is done. */
export function settled({ host, verdict, release, previous, refusals }: HostPlan): HostOutcome {
  const result = verdict === 'change' ? 'planned' : verdict;
  return {
    host,
    result,
    release,
    previous,
    reason: refusals.join('\n') || undefined,
    timeline: [],
    diagnosis: [],
    bytesSent: 0,
  };
}

/** Whether a run with this result must be red. */
export function isFailure(result: HostOutcome['result']): boolean {
  return !['deployed', 'returned', 'unchanged', 'planned', 'skipped'].includes(result);
}

/** Tidying after the outcome is fixed: a failure here is said, and changes nothing about it. */
async function tidy(run: HostRun, outcome: HostOutcome | undefined): Promise<void> {
  try {
    if (outcome?.result === 'deployed' || outcome?.result === 'returned') await run.phase('finish');
    else await run.target.lock?.release();
  } catch (error) {
    run.say(`tidying up was not finished (${error instanceof Error ? error.message : error}); the next deploy does it`);
  }
}
