import type { Review } from '@gbo/shared/forge';
import type { Facts } from './facts.js';
import type { Plan } from './plan.js';
import { markdownFinding } from './report.js';

/** Marks the comments of this action, so that the next run finds them. */
export const MARKER = 'gbo submodule-sync';

/** What the pull request itself is told. Pure. */
export interface PullRequestComments {
  pullRequest: number;
  review: Review;
  /** Empty when there is nothing to say. */
  sticky: string;
}

/**
 * A comment at each changed pin (a gitlink is a file of one line in a diff), and one that sums up. A finding that belongs to
 * no line of the diff is in the sum only.
 */
export function commentsOf({ event, changed = [] }: Facts, { findings }: Plan): PullRequestComments | undefined {
  if (event.kind !== 'pull_request' || event.pullRequest === undefined) return undefined;
  const comments = changed.flatMap((path) => {
    const own = findings.filter((finding) => finding.path === path);
    return own.length > 0 ? [{ path, line: 1, body: own.map(markdownFinding).join('\n\n') }] : [];
  });
  const sticky =
    findings.length > 0
      ? ['### Not every submodule commit is where it must be', ...findings.map(markdownFinding)].join('\n\n')
      : '';
  return {
    pullRequest: event.pullRequest,
    sticky,
    review: { commit: event.commit, body: 'Submodule commits that are not where they must be:', comments },
  };
}
