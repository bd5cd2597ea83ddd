import type { Endpoint } from '@gbo/shared/ssh/connection';
import {
  checkKnownHosts,
  hostName,
  portNumber,
  readJumps,
  userName,
  withoutBrackets,
} from '@gbo/shared/ssh/endpoint-input';
import { readKey } from '@gbo/shared/ssh/key-input';
import { z } from 'zod';
import { yamlList } from './yaml-input.js';

/** One target and the way to it. */
export interface HostSpec {
  /** How it is called in the log: unique among the hosts of a run. */
  name: string;
  endpoint: Endpoint;
  /** In the order of travel. */
  jumps: Endpoint[];
}

const quoted = (input: unknown) => JSON.stringify(input);

export const hostFields = {
  host: hostName.optional().meta({ description: 'The target: name or address. Required unless `hosts` is given.' }),
  user: userName.meta({ description: 'User to log in as on the target.', default: 'root' }),
  port: portNumber.meta({ description: 'SSH port of the target.', default: '22' }),
  'private-key': z.string().optional().meta({
    description:
      'Private key for the target (OpenSSH, PEM or PKCS#8). A key mangled on its way through a secret is put right where that is safe.',
    secret: true,
  }),
  passphrase: z.string().optional().meta({ description: 'Passphrase of the private key.', secret: true }),
  'known-hosts': z.string().optional().meta({
    description: 'known_hosts lines of the target and of every jump host. A host whose key is not in it is refused.',
  }),
  'host-key-check': z
    .enum(['pinned', 'insecure'], { error: (issue) => `${quoted(issue.input)} is neither pinned nor insecure` })
    .meta({
      description: 'pinned, or insecure: take whatever key the other side shows, with a warning in the log.',
      default: 'pinned',
    }),
  'jump-host': z.string().optional().meta({
    description: 'Way to the target: `[user@]host[:port]`, several separated by commas, in the order of travel.',
  }),
  'jump-private-key': z.string().optional().meta({
    description: 'Private key for the jump hosts. Default: the same as for the target.',
    secret: true,
  }),
  'jump-passphrase': z.string().optional().meta({ description: 'Passphrase of the jump key.', secret: true }),
};

const hostEntry = z.strictObject({
  host: hostName,
  name: z.string().min(1).optional(),
  user: userName.optional(),
  port: portNumber.optional(),
  'jump-host': z.string().optional(),
});

export const hostList = yamlList(hostEntry);

type Entry = z.output<typeof hostEntry>;
const hostSchema = z.object(hostFields);
type Values = z.output<typeof hostSchema> & { hosts?: Entry[] };

/** The hosts of a run with everything they need to be reached. Reports through `problem`, once for each mistake. */
export function hostsFrom(values: Values, problem: (text: string) => void): HostSpec[] {
  if (values.host && values.hosts) problem('give either host or hosts, not both');
  if (!values.host && !values.hosts) problem('input host (or hosts) is required and empty');
  if (!values['private-key']) problem('input private-key is required and empty');
  const entries: Entry[] = values.hosts ?? (values.host ? [{ host: values.host }] : []);
  const key = readKey('private-key', values['private-key'], values.passphrase, problem);
  const jumpKey = values['jump-private-key']
    ? readKey('jump-private-key', values['jump-private-key'], values['jump-passphrase'], problem)
    : key;
  checkKnownHosts('known-hosts', values['known-hosts'] ?? '', problem);
  const common = { knownHosts: values['known-hosts'] ?? '', insecureHostKey: values['host-key-check'] === 'insecure' };
  const hosts = entries.map((entry): HostSpec => {
    const host = withoutBrackets(entry.host);
    const jump = entry['jump-host'] ?? values['jump-host'] ?? '';
    return {
      name: entry.name ?? host,
      endpoint: { host, port: entry.port ?? values.port, user: entry.user ?? values.user, ...key, ...common },
      jumps: readJumps('jump-host', jump, problem).map((address) => ({ ...address, ...jumpKey, ...common })),
    };
  });
  for (const name of duplicates(hosts.map(({ name }) => name)))
    problem(`two hosts are called ${name}; give each a name`);
  return hosts;
}

function duplicates(names: string[]): Set<string> {
  return new Set(names.filter((name, index) => names.indexOf(name) !== index));
}
