import { setTimeout as sleep } from 'node:timers/promises';
import { eventOf } from '@gbo/shared/event';
import { plain, type Report } from '@gbo/shared/report';
import type { RunContext } from '@gbo/shared/run';
import { apply } from './apply.js';
import { commentsOf } from './comments.js';
import { deliver } from './deliver.js';
import type { Facts } from './facts.js';
import { localGit } from './git.js';
import type { Inputs } from './inputs.js';
import { makePlan, type Plan } from './plan.js';
import { report } from './report.js';
import { surveyAhead, surveyFromSubmodule } from './root-pin.js';
import { survey } from './survey.js';
import { surveyOwn } from './survey-own.js';
import { openWorkshop, type Workshop } from './workshop.js';

/** Between two looks while a human is still pushing. */
const LOOK_AGAIN_MS = 5000;

/** Inputs to report: the way through the rooms, in every mode. */
export async function run(inputs: Inputs, context: RunContext): Promise<Report> {
  const began = Date.now();
  let requests = 0;
  let bytes = 0;
  /** Every look has scratch repositories of its own, so that nothing old can answer. */
  const look = async <T>(use: (shop: Workshop) => Promise<T>): Promise<T> => {
    const shop = openWorkshop(inputs, context.env, context.signal);
    try {
      const seen = await use(shop);
      context.signal.throwIfAborted(); // else its questions look as if nobody had answered
      return seen;
    } finally {
      const cost = shop.cost();
      requests += cost.requests;
      bytes += cost.bytes;
      shop.close();
    }
  };
  const assess = async (): Promise<{ facts: Facts; plan: Plan }> => {
    const facts = await look((shop) => surveyMode(inputs, context, shop));
    return { facts, plan: makePlan(inputs, facts) };
  };

  let { facts, plan } = await assess();
  while (isWorthWaiting(plan) && Date.now() - began < inputs.graceMs) {
    const left = inputs.graceMs - (Date.now() - began);
    context.log.line(`Not everything is pushed yet; looking again for up to ${Math.ceil(left / 1000)} s.`);
    await sleep(Math.min(LOOK_AGAIN_MS, left), undefined, { signal: context.signal });
    ({ facts, plan } = await assess());
  }
  // A dry run writes nowhere.
  const comments = inputs.comment && !inputs.dryRun ? commentsOf(facts, plan) : undefined;
  if (comments) await deliver(comments, context);
  const wanted = plan.pushes;
  if (wanted.length === 0 || inputs.dryRun) {
    for (const { path, remote, sha, branch } of wanted)
      context.log.line(plain(`Dry run: ${path} ${sha} would be pushed to ${branch} of ${remote}.`));
    return report(inputs, facts, plan, [], { ms: Date.now() - began, requests, bytes });
  }
  const pushed = await look((shop) => apply(wanted, shop, (text) => context.log.line(plain(text))));
  // Only what the servers say afterwards counts.
  ({ facts, plan } = await assess());
  return report(inputs, facts, plan, pushed, { ms: Date.now() - began, requests, bytes });
}

async function surveyMode(inputs: Inputs, { env }: RunContext, shop: Workshop): Promise<Facts> {
  const event = eventOf(env);
  const git = localGit(inputs.repository ?? env.GITHUB_WORKSPACE ?? process.cwd(), env);
  if (inputs.mode === 'submodule') {
    const facts = await surveyOwn(inputs, event, git, shop);
    const [own] = facts.rows;
    if (!own) return facts;
    const { row, rootPins } = await surveyFromSubmodule(inputs, own, shop);
    return { ...facts, rows: [row], rootPins };
  }
  const facts = await survey(inputs, event, git, shop);
  return inputs.mode === 'schedule' ? { ...facts, rootPins: await surveyAhead(facts, shop) } : facts;
}

/** Whether a push that is still to come, or a server that is back, could change the answer. */
function isWorthWaiting({ findings }: Plan): boolean {
  const waiting = ['LAGGING', 'MISSING', 'BRANCH-MISSING', 'ROOT-BEHIND', 'OTHER-BRANCH', 'DANGLING'];
  return findings.some(({ state, cause }) => waiting.includes(state) || cause === 'passing');
}
