import { messageOf } from '@gbo/shared/errors';
import { openForge, type Review } from '@gbo/shared/forge';
import { literal, plain } from '@gbo/shared/report';
import type { RunContext } from '@gbo/shared/run';
import type { Inputs } from './inputs.js';
import type { Judged, Judgement } from './judge.js';
import { counting, type Result, summary } from './report.js';
import { severities } from './rule.js';
import type { Facts } from './survey.js';
import { sentence, together } from './words.js';

/** Marks the comments of this action, so that the next run finds them. */
export const MARKER = 'gbo guard';

/** Such as `1 error, 3 warnings`. */
function tellCounts(findings: readonly Judged[]): string {
  const names = { error: ['error', 'errors'], warning: ['warning', 'warnings'], info: ['hint', 'hints'] } as const;
  return severities
    .map((severity) => [severity, findings.filter((each) => each.severity === severity).length] as const)
    .filter(([, count]) => count > 0)
    .map(([severity, count]) => `${count} ${names[severity][count === 1 ? 0 : 1]}`)
    .join(', ');
}

/** The comments at lines: the gravest first, one for each line, only where the diff shows the line. Pure. */
export function reviewOf(inputs: Inputs, { commit, diff }: Facts, judgement: Judgement): Review {
  const byLine = new Map<string, Judged[]>();
  for (const finding of counting(judgement)) {
    if (!diff.get(finding.at.path)?.has(finding.at.line)) continue;
    const key = JSON.stringify([finding.at.path, finding.at.line]);
    byLine.set(key, [...(byLine.get(key) ?? []), finding]);
  }
  const comments = [...byLine.values()].slice(0, inputs.mostComments).map((own) => ({
    path: own[0]?.at.path ?? '',
    line: own[0]?.at.line ?? 1,
    body: bodyOf(own),
  }));
  const left = byLine.size - comments.length;
  const body = `The guard found something at these lines${left > 0 ? ` (and at ${left} more, which stand in the log)` : ''}:`;
  return { commit, body, comments };
}

/** What several rules say in the same words, as of a file that none could read, stands there once. */
function bodyOf(findings: Judged[]): string {
  const rules = new Map<string, string[]>();
  for (const { finding, rules: own } of together(findings)) {
    const said = sentence(finding).slice(sentence(finding).indexOf(':') + 2);
    rules.set(said, [...(rules.get(said) ?? []), ...own]);
  }
  return [...rules].map(([said, by]) => `**${by.join(', ')}** ${literal(said)}`).join('\n\n');
}

/**
 * Tells the pull request: a review with comments at lines, one comment that sums up, a status. What the token may not do is
 * said in the log, where everything stands anyway; it never changes the result.
 */
export async function deliver(
  inputs: Inputs,
  facts: Facts,
  judgement: Judgement,
  result: Result,
  context: RunContext,
): Promise<void> {
  const { env, log, redact } = context;
  const { GITHUB_API_URL: apiUrl, GITHUB_REPOSITORY: repository } = env;
  const token = inputs.token ?? env.GITHUB_TOKEN;
  const { pullRequest } = facts.event;
  if (!apiUrl || !repository || !token) {
    if (pullRequest !== undefined && inputs.comment)
      log.line('The pull request gets no comment: the run has no API address or no token.');
    return;
  }
  const forge = openForge({ apiUrl, repository, token });
  const review = reviewOf(inputs, facts, judgement);
  const sticky =
    counting(judgement).length > 0 ? summary(result, judgement, [...judgement.notes, ...facts.notes].map(plain)) : '';
  const tell: [string, boolean, () => Promise<void>][] = [
    [
      'review on the pull request',
      inputs.comment && pullRequest !== undefined,
      () =>
        forge.review(pullRequest ?? 0, MARKER, {
          ...review,
          comments: review.comments.map((each) => ({ ...each, body: redact(each.body) })),
        }),
    ],
    [
      'comment on the pull request',
      inputs.comment && pullRequest !== undefined,
      () => forge.sticky(pullRequest ?? 0, MARKER, redact(sticky)),
    ],
    ['status of the commit', inputs.status, () => forge.status(facts.commit, statusOf(result, judgement))],
  ];
  for (const [what, wanted, write] of tell) {
    if (!wanted) continue;
    try {
      await write();
    } catch (error) {
      log.line(`The ${what} was not written: ${messageOf(error)}`);
    }
  }
}

/** The status of a commit, with a description in a few words. Pure. */
export function statusOf(result: Result, judgement: Judgement) {
  const count = counting(judgement).length;
  const words = {
    // What does not fail the run may be there all the same.
    pass: count === 0 ? 'nothing new is found' : `nothing that fails the run; ${tellCounts(counting(judgement))}`,
    fail: `${count} to mend`,
    unknown: 'not everything could be told',
  };
  const states = { pass: 'success', fail: 'failure', unknown: 'warning' } as const;
  return { context: 'gbo/guard', state: states[result], description: words[result] };
}
