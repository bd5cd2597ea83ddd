import { messageOf } from '@gbo/shared/errors';
import { openForge } from '@gbo/shared/forge';
import type { RunContext } from '@gbo/shared/run';
import { MARKER, type PullRequestComments } from './comments.js';

/**
 * Tells the pull request: comments at the pins, and one that sums up. What the token may not do is said in the log, where
 * everything stands anyway; it never changes the result.
 */
export async function deliver(
  { pullRequest, review, sticky }: PullRequestComments,
  { env, log, redact }: RunContext,
): Promise<void> {
  const { GITHUB_API_URL: apiUrl, GITHUB_REPOSITORY: repository, GITHUB_TOKEN: token } = env;
  if (!apiUrl || !repository || !token) {
    log.line('The pull request gets no comment: the run has no API address or no token.');
    return;
  }
  const forge = openForge({ apiUrl, repository, token });
  for (const [what, write] of [
    [
      'review',
      () =>
        forge.review(pullRequest, MARKER, {
          ...review,
          comments: review.comments.map((comment) => ({ ...comment, body: redact(comment.body) })),
        }),
    ],
    ['comment', () => forge.sticky(pullRequest, MARKER, redact(sticky))],
  ] as const) {
    try {
      await write();
    } catch (error) {
      log.line(`The ${what} on the pull request was not written: ${messageOf(error)}`);
    }
  }
}
