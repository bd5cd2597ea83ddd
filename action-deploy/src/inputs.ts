import { posix } from 'node:path';
import { count, duration, word, yesOrNo } from '@gbo/shared/fields';
import { defineInputs } from '@gbo/shared/inputs';
import type { Endpoint } from '@gbo/shared/ssh/connection';
import { z } from 'zod';
import { type ArtifactSpec, artifactFields, artifactFrom, artifactList } from './artifact-input.js';
import { type HostSpec, hostFields, hostList, hostsFrom } from './host-input.js';
import { isPlainAbsolutePath } from './plain-path.js';

export type Mode = 'deploy' | 'rollback' | 'status' | 'check';
/** Which hosts go back when one fails: all that were switched, only those that failed, or none (not even the failed). */
export type OnFailure = 'all' | 'failed-only' | 'none';

export interface Inputs {
  mode: Mode;
  dryRun: boolean;
  hosts: HostSpec[];
  artifacts: ArtifactSpec[];
  /** Folder on the target for the lock, the record and the undo scripts; absolute. */
  stateDir: string;
  /** For `rollback`: the release to go back to; the newest good one before the current when absent. */
  release?: string;
  keep: number;
  lockWaitMs: number;
  soakMs: number;
  /** Time the target waits for our word before it undoes the switch itself; absent: derived from health time-outs and soak. */
  confirmMs?: number;
  /** Hosts that are switched first, alone. */
  canary: number;
  /** Hosts that are switched together after the canary. */
  batch: { hosts: number } | { percent: number };
  onFailure: OnFailure;
  maxFailed: number;
}

export type { ArtifactSpec, Endpoint, HostSpec };

const batch = z.string().transform((text, context): Inputs['batch'] => {
  const match = /^(\d{1,4})(%?)$/.exec(text);
  const number = Number(match?.[1]);
  if (!match || number < 1 || (match[2] && number > 100)) {
    context.addIssue({
      code: 'custom',
      message: `${JSON.stringify(text)} is neither a number of hosts nor a percentage`,
    });
    return z.NEVER;
  }
  return match[2] ? { percent: number } : { hosts: number };
});

const schema = z.object({
  mode: word(['deploy', 'rollback', 'status', 'check']).meta({
    description:
      'deploy; rollback (to the release before, or to `release`); status (what runs, what can be rolled back to); check (is the host ready for its first deploy).',
    default: 'deploy',
  }),
  'dry-run': yesOrNo.meta({
    description: 'Look at everything, print the plan, change nothing.',
    default: 'false',
  }),
  ...hostFields,
  hosts: hostList.optional().meta({
    description:
      'Several targets, as a YAML list of {host, name, user, port, jump-host}. What an entry leaves out comes from the inputs of the same name.',
  }),
  ...artifactFields,
  artifacts: artifactList.optional().meta({
    description:
      'Several artifacts that switch and roll back together, as a YAML list of the inputs from `artifact` to `health-timeout`.',
  }),
  soak: duration.meta({
    description:
      'How long units must stay up, with the same process and without a restart, after they first answered as healthy.',
    default: '2s',
  }),
  'confirm-timeout': duration.optional().meta({
    description:
      'The target undoes the switch by itself when it has not heard from the action for this long. Default: what the units may take to stop, the longest `health-timeout` (60s without one), `soak`, and 30 s.',
  }),
  keep: count(1, 100).meta({
    description: 'Releases kept on the target to roll back to, the current one included.',
    default: '5',
  }),
  'lock-wait': duration.meta({
    description: 'How long to wait while another deploy holds the lock on the target. 0 fails at once.',
    default: '10m',
  }),
  canary: count(0, 1000).meta({
    description: 'Hosts that switch first and must be healthy before any other is switched.',
    default: '1',
  }),
  batch: batch.meta({
    description: 'Hosts that switch together after the canary: a number, or a percentage of all.',
    default: '100%',
  }),
  'on-failure': word(['all', 'failed-only', 'none']).meta({
    description:
      'Which hosts are rolled back when one fails: all that were switched, failed-only, or none (the failed release stays for inspection).',
    default: 'all',
  }),
  'max-failed-hosts': count(0, 1000).meta({
    description: 'Hosts that may fail before no further host is switched.',
    default: '0',
  }),
  release: z
    .string()
    .optional()
    .meta({ description: 'For mode rollback: the release to go back to, as `status` prints it.' }),
  'state-dir': z.string().optional().meta({
    description:
      'Folder on the target for lock, record and undo. Default: `.gbo-deploy` beside the first artifact. Deploys that share a folder exclude each other.',
  }),
});

/** Everything a user may write under `with:`, and what the rooms get from it. */
export const inputs = defineInputs(
  schema,
  (values, problem): Inputs => {
    const hosts = hostsFrom(values, problem);
    const artifacts = artifactsOf(values, problem);
    const stateDir = values['state-dir'] ?? posix.join(posix.dirname(artifacts[0]?.path ?? '/'), '.gbo-deploy');
    if (!isPlainAbsolutePath(stateDir))
      problem(`input state-dir: ${JSON.stringify(stateDir)} is not a plain absolute path`);
    if (values.release && !/^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}$/.test(values.release)) {
      problem(
        `input release: ${JSON.stringify(values.release)} is not a release id such as 20260131T120000Z-0123456789ab`,
      );
    }
    if (values.release && values.mode !== 'rollback') problem('input release goes with mode rollback only');
    return {
      mode: values.mode,
      dryRun: values['dry-run'],
      hosts,
      artifacts,
      stateDir,
      release: values.release,
      keep: values.keep,
      lockWaitMs: values['lock-wait'],
      soakMs: values.soak,
      confirmMs: values['confirm-timeout'],
      canary: values.canary,
      batch: values.batch,
      onFailure: values['on-failure'],
      maxFailed: values['max-failed-hosts'],
    };
  },
  keysInUse,
);

/** A key that was converted has other lines than the one in the secret. */
function keysInUse({ hosts }: Inputs): string[] {
  return hosts.flatMap(({ endpoint, jumps }) => [endpoint, ...jumps].map(({ privateKey }) => privateKey));
}

type Values = z.output<typeof schema>;

function artifactsOf(values: Values, problem: (text: string) => void): ArtifactSpec[] {
  const flat = values.artifact ?? values.path;
  if (values.artifacts && flat) problem('give either artifacts, or artifact and path, not both');
  const needsSource = values.mode === 'deploy';
  const list = values.artifacts ?? [values];
  const artifacts = list.map((entry, index) =>
    artifactFrom(entry, values.artifacts ? `artifacts[${index}].` : 'input ', needsSource, problem),
  );
  const paths = artifacts.map(({ path }) => path);
  for (const path of new Set(paths.filter((path, index) => paths.indexOf(path) !== index))) {
    problem(`two artifacts have the path ${path}`);
  }
  const names = artifacts.map(({ name }) => name);
  // Two files called `config` in two folders: their paths tell them apart.
  return artifacts.map((artifact) =>
    names.filter((name) => name === artifact.name).length > 1 ? { ...artifact, name: artifact.path } : artifact,
  );
}
