import { z } from 'zod';
import type { Family } from '../../rule.js';
import { exposed } from './exposed.js';
import { invalid } from './invalid.js';
import { loopbackOrder } from './loopback-order.js';

const schema = z.strictObject({
  files: z
    .array(z.string())
    .describe('Globs of files with iptables rules: for iptables-restore, of `iptables -S`, and scripts.'),
  ports: z
    .record(z.string(), z.int().min(1).max(65535))
    .describe('Ports that have to work on loopback, by the name of what listens there.'),
  ufw: z
    .string()
    .describe("The last part of the path of ufw's before.rules, of which it is known what stands around it."),
});
export type IptOptions = z.infer<typeof schema>;

const files = [
  '**/rules.v4',
  '**/rules.v6',
  '**/*.rules',
  '**/*iptables*',
  '**/*ip6tables*',
  '**/*firewall*',
  '**/*.sh',
  '!**/*.{md,rs,ts,js,py,go,c,h,html,json,yaml,yml,toml,service}',
];

const guide: IptOptions = {
  files,
  ports: { Valkey: 6379, MinIO: 9000, 'the MinIO console': 9001, botserver: 5858, botui: 5859, Vault: 8200 },
  ufw: 'ufw/before.rules',
};

export const ipt: Family<IptOptions> = {
  name: 'ipt',
  schema,
  presets: {
    'guide-lxd': guide,
    // Its Valkey, MinIO and Vault are in containers of their own; loopback has to work there all the same.
    'infra-incus': { ...guide, ports: { ...guide.ports, PostgreSQL: 5432 } },
  },
  rules: [loopbackOrder, invalid, exposed],
};
