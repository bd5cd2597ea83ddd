import { read, word } from '@gbo/shared/fields';
import type { Endpoint } from '@gbo/shared/ssh/connection';
import {
  checkKnownHosts,
  hostName,
  portNumber,
  readJumps,
  userName,
  withoutBrackets,
} from '@gbo/shared/ssh/endpoint-input';
import { z } from 'zod';
import { parseAge } from './age.js';
import { lines } from './lines-input.js';
import { globTrouble } from './zfs/pattern.js';

/** Whose command removes an instance's snapshots; `none`: they stay. */
export type InstanceTool = 'none' | 'lxc' | 'incus';

/** A line of zfs-datasets. */
export interface DatasetRule {
  name: string;
  /** `/*` stands for the datasets directly below, `/**` for all below; neither for the dataset itself. */
  reach: 'itself' | 'children' | 'all-below';
}

/** Which snapshots may go, and where they are. */
export interface ZfsSpec {
  /** Its key, and that of the jumps, as it was given: see withReadKey. */
  endpoint: Endpoint;
  /** In the order of travel. */
  jumps: Endpoint[];
  datasets: DatasetRule[];
  /** Globs for the part behind the @; one has to match it from its first to its last character. */
  patterns: string[];
  /** Of each dataset the newest so many that match stay, whatever their age. At least 1. */
  keep: number;
  maxAgeMs: number;
  instanceTool: InstanceTool;
  sudo: 'auto' | 'always' | 'never';
}

const quoted = (input: unknown) => JSON.stringify(input);

export const zfsFields = {
  'zfs-host': hostName.optional().meta({
    description:
      'Host whose ZFS snapshots are thinned out, over SSH: name or address. Without it no snapshot is looked at.',
  }),
  'zfs-user': userName.meta({ description: 'User to log in as on the ZFS host.', default: 'root' }),
  'zfs-port': portNumber.meta({ description: 'SSH port of the ZFS host.', default: '22' }),
  'zfs-private-key': z.string().optional().meta({
    description:
      'Private key for the ZFS host and its jump hosts (OpenSSH, PEM or PKCS#8). A key mangled on its way through a secret is put right where that is safe.',
    secret: true,
  }),
  'zfs-passphrase': z.string().optional().meta({ description: 'Passphrase of the private key.', secret: true }),
  'zfs-known-hosts': z.string().optional().meta({
    description: 'known_hosts lines of the ZFS host and of every jump host. A host whose key is not in it is refused.',
  }),
  'zfs-jump-host': z.string().optional().meta({
    description: 'Way to the ZFS host: `[user@]host[:port]`, several separated by commas, in the order of travel.',
  }),
  'zfs-datasets': lines.optional().meta({
    description:
      'The only datasets whose snapshots may go, one a line. `tank/ci` is that dataset alone, `tank/ci/*` those directly below it, `tank/ci/**` all below it.',
  }),
  'zfs-pattern': lines.optional().meta({
    description:
      'Snapshots that may go: a glob (`*`, `?`, `[0-9]`; several: one a line) that has to match all of what follows the @, such as `auto-*`. What it does not match is never touched.',
  }),
  'zfs-keep': z
    .string()
    .refine((text) => /^\d{1,6}$/.test(text) && Number(text) >= 1, {
      error: (issue) => `${quoted(issue.input)} is not a whole number of at least 1`,
    })
    .transform(Number)
    .meta({
      description: 'Of each dataset, the newest matching snapshots that stay whatever their age. At least 1.',
      default: '7',
    }),
  'zfs-max-age': read(parseAge).meta({
    description:
      'Matching snapshots older than this go, where `zfs-keep` newer ones stay. Counted back from the newest snapshot when no new ones were made for a day.',
    default: '7d',
  }),
  'zfs-lxc': word(['none', 'lxc', 'incus']).meta({
    description:
      'none: snapshots that belong to LXD or Incus are never touched. lxc or incus: those of instances (`snapshot-*`) are thinned out through that command, except those with an expiry of their own.',
    default: 'none',
  }),
  'zfs-sudo': word(['auto', 'always', 'never']).meta({
    description:
      'auto: sudo where the user is not root and a sudo rule allows it (else `zfs allow` has to); always; never.',
    default: 'auto',
  }),
};

const zfsSchema = z.object(zfsFields);

/** Dataset names by zfs's own rules (zfs_namecheck.c): no empty parts, no leading dash that would read as an option. */
const datasetPattern = /^[A-Za-z][\w.: -]*(\/[\w.:][\w.: -]*)*$/;

/** What is to be done about snapshots; undefined when no host is given. Reports through `problem`, once for each mistake. */
export function zfsFrom(values: z.output<typeof zfsSchema>, problem: (text: string) => void): ZfsSpec | undefined {
  const names = values['zfs-datasets'] ?? [];
  const patterns = values['zfs-pattern'] ?? [];
  const host = values['zfs-host'];
  if (!host) {
    if (names.length > 0) problem('zfs-datasets is given without zfs-host');
    return undefined;
  }
  for (const name of ['zfs-private-key', 'zfs-datasets', 'zfs-pattern', 'zfs-known-hosts'] as const)
    if (!values[name]?.length) problem(`input ${name} is required with zfs-host and empty`);
  checkKnownHosts('zfs-known-hosts', values['zfs-known-hosts'] ?? '', problem);
  for (const glob of patterns) {
    const trouble = globTrouble(glob);
    if (trouble) problem(`input zfs-pattern: ${trouble}`);
  }
  const common = {
    privateKey: values['zfs-private-key'] ?? '',
    passphrase: values['zfs-passphrase'],
    knownHosts: values['zfs-known-hosts'] ?? '',
    insecureHostKey: false,
  };
  return {
    endpoint: { host: withoutBrackets(host), port: values['zfs-port'], user: values['zfs-user'], ...common },
    jumps: readJumps('zfs-jump-host', values['zfs-jump-host'] ?? '', problem).map((address) => ({
      ...address,
      ...common,
    })),
    datasets: names.map((name) => datasetRule(name, problem)),
    patterns,
    keep: values['zfs-keep'],
    maxAgeMs: values['zfs-max-age'],
    instanceTool: values['zfs-lxc'],
    sudo: values['zfs-sudo'],
  };
}

function datasetRule(text: string, problem: (text: string) => void): DatasetRule {
  const [, name = '', stars = ''] = /^(.*?)(?:\/(\*\*?))?$/.exec(text) ?? [];
  if (!datasetPattern.test(name)) {
    const snapshot = name.includes('@') ? '; the part behind the @ belongs into zfs-pattern' : '';
    problem(`input zfs-datasets: ${quoted(text)} is neither a dataset nor one with /* or /** behind it${snapshot}`);
  }
  return { name, reach: stars === '**' ? 'all-below' : stars === '*' ? 'children' : 'itself' };
}
