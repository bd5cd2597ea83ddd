import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** What started the run, as far as it matters here. */
export interface Event {
  kind: 'push' | 'pull_request' | 'other';
  /** The commit whose pins are asked about; `HEAD` outside a runner. */
  commit: string;
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
    })
    .optional()
    .catch(undefined),
});

/** Reads the runner's variables and its event file; a file that cannot be read counts as empty. */
export function eventOf(env: NodeJS.ProcessEnv): Event {
  const read = payload.safeParse(eventFile(env.GITHUB_EVENT_PATH));
  const { before, pull_request: pull } = read.success ? read.data : {};
  const common = { commit: env.GITHUB_SHA || 'HEAD', repository: env.GITHUB_REPOSITORY || undefined };
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

function eventFile(path: string | undefined): unknown {
  try {
    return path ? JSON.parse(readFileSync(path, 'utf8')) : {};
  } catch {
    return {};
  }
}
