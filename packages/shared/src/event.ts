import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ExpectedError } from './errors.js';

/** What started the run, as far as it matters here. */
export interface Event {
  kind: 'push' | 'pull_request' | 'other';
  /** The commit the run is about, of a pull request its head; `HEAD` outside a runner. */
  commit: string;
  /** What to do when the checkout lacks `commit`, where the usual checkout step does lack it. */
  fetch?: string;
  /** Branch the commit is on, or that the pull request wants to reach; absent where nobody says so. */
  branch?: string;
  /** For a push: what the branch held before. For a pull request: where it left its base. */
  before?: string;
  /** For a pull request: the tip of its base branch. */
  base?: string;
  /** `owner/name` of the repository that runs. */
  repository?: string;
  pullRequest?: number;
}

const sha = z.string().regex(/^[0-9a-f]{40,64}$/);
const payload = z.object({
  before: sha.optional().catch(undefined),
  number: z.number().optional().catch(undefined),
  pull_request: z
    .object({
      number: z.number(),
      merge_base: sha.optional().catch(undefined),
      base: z.object({ ref: z.string(), sha: sha.optional().catch(undefined) }),
      head: z.object({ sha }).optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
});

type PullRequest = NonNullable<z.output<typeof payload>['pull_request']>;

/**
 * Reads the runner's variables and its event file; a file that cannot be read counts as empty.
 * @throws ExpectedError where that would make the base of a pull request pass for its head
 */
export function eventOf(env: NodeJS.ProcessEnv): Event {
  const read = payload.safeParse(eventFile(env.GITHUB_EVENT_PATH));
  const { before, pull_request: pull } = read.success ? read.data : {};
  const common = {
    commit: env.GITHUB_SHA || 'HEAD',
    repository: env.GITHUB_REPOSITORY || undefined,
    ...(env.GITHUB_EVENT_NAME === 'pull_request_target' ? headOf(pull) : {}),
  };
  if (pull) {
    const { base, merge_base, number } = pull;
    return {
      kind: 'pull_request',
      ...common,
      branch: base.ref,
      before: merge_base ?? base.sha,
      base: base.sha,
      pullRequest: number,
    };
  }
  const known = before && !/^0+$/.test(before) ? before : undefined;
  const branch = env.GITHUB_REF?.startsWith('refs/heads/') ? env.GITHUB_REF.slice('refs/heads/'.length) : undefined;
  return { kind: env.GITHUB_EVENT_NAME === 'push' ? 'push' : 'other', ...common, branch, before: known };
}

/**
 * For pull_request_target GITHUB_SHA and the usual checkout are the tip of the base (Forgejo: services/actions/context.go):
 * looked at in place of the head, it would find every pull request in order.
 */
function headOf(pull: PullRequest | undefined): Pick<Event, 'commit' | 'fetch'> {
  if (!pull?.head) {
    throw new ExpectedError(
      'The event pull_request_target does not say which commit is the head of the pull request.',
      'Nothing was looked at.',
      'Run this on `pull_request`.',
    );
  }
  return {
    commit: pull.head.sha,
    fetch: `On pull_request_target a checkout holds the base: give its step \`ref: refs/pull/${pull.number}/head\` and \`fetch-depth: 0\`, and let no later step run what it brings.`,
  };
}

function eventFile(path: string | undefined): unknown {
  try {
    return path ? JSON.parse(readFileSync(path, 'utf8')) : {};
  } catch {
    return {};
  }
}
