import { isAbsolute } from 'node:path';
import { count, word, yesOrNo } from '@gbo/shared/fields';
import { defineInputs } from '@gbo/shared/inputs';
import { z } from 'zod';
import { type Preset, presets } from './rule.js';

export interface Inputs {
  mode: 'check' | 'generate' | 'baseline';
  /** Id of a rule whose page is wanted, and nothing else. */
  explain?: string;
  preset?: Preset;
  /** Path in the repository. */
  policy: string;
  /** Path in the repository. */
  baseline?: string;
  /** Commits; absent: those of the event. */
  head?: string;
  base?: string;
  failOn: 'error' | 'warning' | 'never';
  onUnknown: 'fail' | 'warn';
  tools: boolean;
  comment: boolean;
  status: boolean;
  token?: string;
  mostComments: number;
  /** Files to write, below the workspace. */
  json?: string;
  sarif?: string;
  junit?: string;
  patch?: string;
  repository?: string;
}

const revision = z.string().refine((text) => /^[\w./~^@{}-]{1,200}$/.test(text) && !text.startsWith('-'), {
  error: (issue) => `${JSON.stringify(issue.input)} is not a commit or branch`,
});

const pathInside = z
  .string()
  .refine((text) => !isAbsolute(text) && !text.split('/').includes('..') && !/\p{Cc}/u.test(text), {
    error: (issue) => `${JSON.stringify(issue.input)} is not a path inside the repository`,
  });

const rule = z.string().refine((text) => /^[a-z0-9-]+\/[a-z0-9-]+$/.test(text), {
  error: (issue) => `${JSON.stringify(issue.input)} is not the id of a rule, such as caddy/storage`,
});

const schema = z.object({
  mode: word(['check', 'generate', 'baseline']).meta({
    description:
      'check: judge the files. generate: print the `.mcp.json` that each bot tool should have, and write a patch of it. baseline: write what is found now to `baseline`, to be accepted from then on.',
    default: 'check',
  }),
  explain: rule.optional().meta({ description: 'Id of a rule: print its page and do nothing else.' }),
  preset: word(presets).optional().meta({
    description:
      "Names, ports and places to expect: guide-lxd (the operators' guide) or infra-incus. Default: what the policy says, else guide-lxd.",
  }),
  policy: pathInside.meta({
    description:
      'Policy file in the repository: rules, options, accepted exceptions. On a pull request it is read from the base branch, so that nobody switches his own guard off.',
    default: '.forgejo/gbo-guard.yml',
  }),
  baseline: pathInside.optional().meta({
    description: 'File in the repository with findings that are accepted as they are. Read from the base branch.',
  }),
  head: revision.optional().meta({ description: 'Commit to judge. Default: that of the run.' }),
  base: revision.optional().meta({
    description:
      'Commit to compare with: only what is new fails, and what must never vanish is looked for. Default: where the pull request left its base; else none.',
  }),
  'fail-on': word(['error', 'warning', 'never']).meta({
    description: 'The least severity of a new finding that fails the run.',
    default: 'error',
  }),
  'on-unknown': word(['fail', 'warn']).meta({
    description:
      'What a rule that could not tell does to the run. On a pull request only what is new counts; a file that is too large to be judged is new whenever it changes.',
    default: 'warn',
  }),
  tools: yesOrNo.meta({
    description:
      'Also ask caddy, fail2ban-regex and systemd-analyze where they are installed, each in its side-effect-free way, and DNS for the addresses of up to 100 domains of the Caddyfile.',
    default: 'true',
  }),
  comment: yesOrNo.meta({ description: 'On a pull request, say it in a review and a comment too.', default: 'true' }),
  status: yesOrNo.meta({ description: 'Set a commit status, where the token may.', default: 'true' }),
  token: z.string().optional().meta({
    description: 'Token for comments and status. Default: that of the run, which on forks may only comment.',
    secret: true,
  }),
  'max-comments': count(1, 500).meta({
    description: 'Comments at lines in one review, the gravest first.',
    default: '50',
  }),
  json: pathInside.optional().meta({ description: 'Write everything as JSON to this file.' }),
  sarif: pathInside.optional().meta({ description: 'Write the findings as SARIF 2.1.0 to this file.' }),
  junit: pathInside.optional().meta({ description: 'Write the rules as JUnit XML to this file.' }),
  patch: pathInside.optional().meta({
    description: 'Write what can be mended by itself to this file, ready for `git apply`.',
  }),
  repository: z.string().optional().meta({ description: 'Folder of the checkout. Default: the workspace of the run.' }),
});

/** Everything a user may write under `with:`, and what the rooms get from it. */
export const inputs = defineInputs(schema, (values, problem): Inputs => {
  if (values.mode === 'baseline' && !values.baseline) problem('input baseline is required for mode baseline');
  return {
    mode: values.mode,
    explain: values.explain,
    preset: values.preset,
    policy: values.policy,
    baseline: values.baseline,
    head: values.head,
    base: values.base,
    failOn: values['fail-on'],
    onUnknown: values['on-unknown'],
    tools: values.tools,
    comment: values.comment,
    status: values.status,
    token: values.token,
    mostComments: values['max-comments'],
    json: values.json,
    sarif: values.sarif,
    junit: values.junit,
    patch: values.patch,
    repository: values.repository,
  };
});
