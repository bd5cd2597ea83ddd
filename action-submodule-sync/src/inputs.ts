import { count, duration, durationUpTo, word, yesOrNo } from '@gbo/shared/fields';
import { defineInputs } from '@gbo/shared/inputs';
import { z } from 'zod';
import { basicLogin, isBranchName, meaningfulLines, type Remote, remotesFrom } from './remote-input.js';

export type { Remote };

export type Mode = 'root' | 'submodule' | 'schedule';

export interface Inputs {
  mode: Mode;
  dryRun: boolean;
  remotes: Remote[];
  branch: string;
  /** Name of the root repository below every base; absent: that of the run's repository. */
  root?: string;
  /** Path of the submodule in the root, for mode submodule; absent: found by its name. */
  submodule?: string;
  include: string[];
  exclude: string[];
  /** Expected branch by path of the submodule. */
  expectedBranches: Map<string, string>;
  nested: boolean;
  commits: 'head' | 'range';
  graceMs: number;
  /** Names of the remotes that may be pushed to. */
  push: string[];
  onUnknown: 'fail' | 'warn';
  behindForMs: number;
  allowHosts: string[];
  caFile?: string;
  sshKey?: string;
  knownHosts: string;
  /** Bytes that one question may bring. */
  mostBytes: number;
  /** Milliseconds that one question may take. */
  mostMs: number;
  mostSubmodules: number;
  parallel: number;
  comment: boolean;
  repository?: string;
}

const lines = z.string().transform(meaningfulLines);

const hosts = lines.superRefine((names, context) => {
  for (const name of names.filter((each) => !/^(\w[\w.-]*|\[[\da-f:.]+\])$/i.test(each)))
    context.addIssue({ code: 'custom', message: `${JSON.stringify(name)} is not a host name` });
});

/** As ssh reads it, with the line breaks that get lost on the way through a secret. Never shown. */
const privateKey = z
  .string()
  .transform((text) => text.replaceAll('\\n', '\n').replaceAll(/\r\n?/g, '\n'))
  .refine((text) => /-----BEGIN [A-Z ]*PRIVATE KEY-----\n[\s\S]+\n-----END /.test(text), {
    error: 'it holds no private key, from its BEGIN line to its END line',
  });

const branch = z.string().refine(isBranchName, { error: (issue) => `${JSON.stringify(issue.input)} is not a branch` });

const schema = z.object({
  mode: word(['root', 'submodule', 'schedule']).meta({
    description:
      'root: are the pins of this commit, and the commit itself, on every remote. submodule: in the workflow of a submodule: does the root pin this commit yet. schedule: like root, and submodules whose branch is long ahead of the pin.',
    default: 'root',
  }),
  'dry-run': yesOrNo.meta({
    description: 'Look, report and say what would be pushed; push nothing.',
    default: 'false',
  }),
  remotes: z.string().meta({
    description:
      'Where the repositories lie, one remote a line: `name = base-url [branch]`, or a YAML list of {name, base, branch}. The base is the folder that holds the root. Names are those people use in `git push NAME`.',
    required: true,
  }),
  tokens: z.string().optional().meta({
    description:
      'A token for each remote that needs one, a line each: `name = token`. Sent to the base of that remote only.',
    secret: true,
  }),
  branch: branch.meta({ description: 'Branch that must hold every pin, and the root.', default: 'main' }),
  root: z.string().optional().meta({
    description:
      'Name of the root repository below the bases, such as `gb`. Default: that of the repository that runs; required for mode submodule.',
  }),
  submodule: z.string().optional().meta({
    description:
      'For mode submodule: its path in the root. Default: the one whose address ends in the name of this repository.',
  }),
  include: lines.optional().meta({
    description: 'Globs of submodule paths to check, a line each; one that fits nothing is an error. Default: all.',
  }),
  exclude: lines.optional().meta({
    description:
      'Globs of submodule paths to leave out, a line each; `.` leaves out the root itself, one that fits nothing is an error.',
  }),
  'expected-branches': lines.optional().meta({
    description: 'Other branches for some submodules, a line each: `path = branch`. Wins over `branch` in .gitmodules.',
  }),
  nested: yesOrNo.meta({ description: 'Also check the submodules of submodules.', default: 'false' }),
  commits: word(['head', 'range']).meta({
    description:
      'head: the pins of the newest commit. range: of every commit that was pushed, so that bisecting stays possible; needs `fetch-depth: 0`.',
    default: 'head',
  }),
  grace: duration.meta({
    description: 'How long to wait for the second push of a human before something counts as not pushed.',
    default: '0s',
  }),
  push: z.string().meta({
    description:
      'Remotes that may be pushed to, separated by commas, to fast-forward what lags there; none pushes nowhere. Never done on pull requests.',
    default: 'none',
  }),
  'on-unknown': word(['fail', 'warn']).meta({
    description:
      'What a question without an answer (no access, unreachable) does to the run. An address that may not be asked and a .gitmodules that cannot be read fail it in any case.',
    default: 'fail',
  }),
  'behind-for': durationUpTo(365).meta({
    description: 'For mode schedule: how long the branch of a submodule may be ahead of its pin, such as 12h or 3d.',
    default: '24h',
  }),
  'allow-hosts': hosts.optional().meta({
    description: 'Further hosts that .gitmodules may lead to, a line each. Default: only those of the remotes.',
  }),
  'ca-file': z.string().optional().meta({ description: 'File with the certificate authority of a remote, in PEM.' }),
  'ssh-key': privateKey.optional().meta({ description: 'Private key for remotes with ssh addresses.', secret: true }),
  'known-hosts': z.string().optional().meta({ description: 'known_hosts lines for remotes with ssh addresses.' }),
  'max-megabytes': count(1, 100_000).meta({ description: 'Megabytes that one question may bring.', default: '200' }),
  'max-time': duration
    .refine((time) => time >= 1000, { error: 'it must be at least a second' })
    .meta({ description: 'How long one question may take.', default: '60s' }),
  'max-submodules': count(1, 10_000).meta({
    description: 'With more submodules than this nothing is asked.',
    default: '500',
  }),
  parallel: count(1, 64).meta({ description: 'Questions asked at the same time.', default: '12' }),
  comment: yesOrNo.meta({ description: 'On a pull request, say it in comments too.', default: 'true' }),
  repository: z.string().optional().meta({ description: 'Folder of the checkout. Default: the workspace of the run.' }),
});

/** Everything a user may write under `with:`, and what the rooms get from it. */
export const inputs = defineInputs(
  schema,
  (values, problem): Inputs => {
    const remotes = remotesFrom(values.remotes, values.tokens, problem);
    if (remotes.length === 0) problem('input remotes names no remote');
    const push =
      values.push === 'none'
        ? []
        : values.push
            .split(',')
            .map((name) => name.trim())
            .filter(Boolean);
    for (const name of push.filter((each) => !remotes.some((remote) => remote.name === each))) {
      problem(`input push: ${JSON.stringify(name)} is none of the remotes`);
    }
    for (const name of [values.root, values.submodule]) {
      if (name !== undefined && !isPlainName(name))
        problem(`${JSON.stringify(name)} is not the name or path of a repository`);
    }
    if (values.mode === 'submodule' && !values.root) problem('input root is required for mode submodule');
    return {
      mode: values.mode,
      dryRun: values['dry-run'],
      remotes,
      branch: values.branch,
      root: values.root,
      submodule: values.submodule,
      include: values.include ?? [],
      exclude: values.exclude ?? [],
      expectedBranches: expectedBranches(values['expected-branches'] ?? [], problem),
      nested: values.nested,
      commits: values.commits,
      graceMs: values.grace,
      push,
      onUnknown: values['on-unknown'],
      behindForMs: values['behind-for'],
      allowHosts: (values['allow-hosts'] ?? []).map((host) => host.toLowerCase()),
      caFile: values['ca-file'],
      sshKey: values['ssh-key'],
      knownHosts: values['known-hosts'] ?? '',
      mostBytes: values['max-megabytes'] * 1024 * 1024,
      mostMs: values['max-time'],
      mostSubmodules: values['max-submodules'],
      parallel: values.parallel,
      comment: values.comment,
      repository: values.repository,
    };
  },
  tokensOf,
);

/** Alone and as it travels: a line of `tokens` holds the name of a remote beside it. */
function tokensOf({ remotes }: Inputs): string[] {
  return remotes.flatMap(({ token }) => (token ? [token, basicLogin(token)] : []));
}

function isPlainName(name: string): boolean {
  return !/[\p{Cc}]|^[-/]|\/$|(^|\/)\.\.?(\/|$)/u.test(name) && name.length < 1000;
}

function expectedBranches(given: string[], problem: (text: string) => void): Map<string, string> {
  return new Map(
    given.flatMap((line) => {
      const at = line.lastIndexOf('=');
      const [path, name] = [line.slice(0, at).trim(), line.slice(at + 1).trim()];
      if (at > 0 && path && isBranchName(name)) return [[path, name] as const];
      problem(`input expected-branches: ${JSON.stringify(line)} is not \`path = branch\``);
      return [];
    }),
  );
}
