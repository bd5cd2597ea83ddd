import { ExpectedError } from '@gbo/shared/errors';
import type { Report } from '@gbo/shared/report';
import type { RunContext } from '@gbo/shared/run';
import { apply, settled } from './apply.js';
import type { Facts, LocalArtifact } from './facts.js';
import type { Inputs } from './inputs.js';
import { makePlan, type Plan } from './plan.js';
import { readinessReport } from './readiness.js';
import { planGroups, report } from './report.js';
import { closeTargets, type Opened, openTargets, type Target } from './session.js';
import { statusReport } from './status.js';
import { provenance, survey, surveyLocal } from './survey.js';

/** A plan can be overtaken by a deploy it waited for, and by an undo it finished first; not for ever. */
const MOST_PLANS = 4;

/** Inputs to report: the way through the rooms, in every mode. */
export async function run(inputs: Inputs, context: RunContext): Promise<Report> {
  const local = surveyLocal(inputs);
  const { targets, lost } = await openTargetsUnless(local, inputs, context);
  try {
    const surveyed = await survey(inputs, local, targets, context.env);
    const facts = { ...surveyed, lost: [...lost, ...surveyed.lost] };
    if (inputs.mode === 'status') return statusReport(inputs, facts);
    if (inputs.mode === 'check') return readinessReport(inputs, facts);
    return await carryOut(inputs, facts, targets, context);
  } finally {
    closeTargets(targets);
  }
}

/**
 * Local files are read while the connections open and the targets are surveyed. What is wrong with them is mostly found at
 * once, and ends the run; their hash takes longer than a connection, and is waited for by survey.
 */
async function openTargetsUnless(
  local: Promise<LocalArtifact[]>,
  inputs: Inputs,
  context: RunContext,
): Promise<Opened> {
  const enough = new AbortController();
  const opening = openTargets(inputs, { ...context, signal: AbortSignal.any([context.signal, enough.signal]) });
  // Either may fail after the other has: without a listener by then, node would end the process.
  for (const later of [opening, local]) later.catch(() => {});
  try {
    return await Promise.race([opening, local.then(() => opening)]);
  } catch (error) {
    enough.abort(error);
    await opening.then(
      ({ targets }) => closeTargets(targets),
      () => {},
    );
    throw error;
  }
}

async function carryOut(inputs: Inputs, surveyed: Facts, targets: Target[], context: RunContext): Promise<Report> {
  let facts = surveyed;
  for (let plans = 0; plans < MOST_PLANS; plans++) {
    const plan = makePlan(inputs, facts);
    for (const group of planGroups(plan)) context.log.group(group);
    const outcome =
      inputs.dryRun || mustNotStart(plan)
        ? { hosts: plan.hosts.map(settled) }
        : await apply(plan, targets, holder(context), context);
    if (outcome !== 'stale') return report(plan, outcome);
    context.log.line('The target changed since it was looked at; looking again, with the lock held.');
    const { hosts, lost, ...rest } = facts;
    const here = targets.filter(({ spec }) => hosts.some(({ host }) => host === spec.name));
    const again = await survey(inputs, facts.artifacts, here, context.env);
    facts = { ...rest, hosts: again.hosts, lost: [...lost, ...again.lost] };
  }
  throw new ExpectedError(
    'The target kept changing while it was being deployed to.',
    'Nothing was switched.',
    'See who else deploys there.',
  );
}

/** More hosts refused or not reached than may fail: then none is begun. */
function mustNotStart({ hosts, maxFailed }: Plan): boolean {
  return hosts.filter(({ verdict }) => verdict === 'refused' || verdict === 'failed').length > maxFailed;
}

/** The line that others read while they wait for the lock. */
function holder({ env }: RunContext): string {
  const { run: url, commit, actor } = provenance(env);
  return [url ?? 'a run outside a runner', commit?.slice(0, 12), actor, new Date().toISOString()]
    .filter(Boolean)
    .join(', ');
}
