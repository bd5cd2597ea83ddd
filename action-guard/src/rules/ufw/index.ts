import { z } from 'zod';
import type { Family } from '../../rule.js';
import { forwardPolicy } from './forward-policy.js';
import { forwardUnit } from './forward-unit.js';

const schema = z.strictObject({
  defaults: z.array(z.string()).describe("Globs of the host's /etc/default/ufw."),
  conf: z.array(z.string()).describe("Globs of the host's /etc/ufw/ufw.conf, which is read after it."),
  units: z.array(z.string()).describe('Globs of units and their drop-ins.'),
  scripts: z.array(z.string()).describe('Globs of scripts that may hold the forward rule.'),
  rules: z.array(z.string()).describe("Globs of ufw's own rule files, which are loaded at boot."),
  docs: z.array(z.string()).describe('Globs of documents that may hold the forward rule.'),
  bridges: z.array(z.string()).describe('Bridges of the containers.'),
  after: z
    .array(z.string())
    .describe('Units that set up a firewall of their own, behind which the forward rule has to come.'),
});
export type UfwOptions = z.infer<typeof schema>;

const guide: UfwOptions = {
  defaults: ['**/default/ufw'],
  conf: ['**/ufw/ufw.conf'],
  units: ['**/*.service', '**/*.service.d/*.conf'],
  scripts: ['**/*.sh', '**/sbin/*', '**/bin/*', '**/if-up.d/*'],
  rules: ['**/ufw/*.rules'],
  docs: ['**/*.md', '**/*.txt'],
  bridges: ['lxdbr0'],
  after: ['ufw.service', 'snap.lxd.daemon.service'],
};

export const ufw: Family<UfwOptions> = {
  name: 'ufw',
  schema,
  presets: {
    'guide-lxd': guide,
    'infra-incus': { ...guide, bridges: ['incusbr0', 'lxdbr0'], after: ['ufw.service', 'incus.service'] },
  },
  rules: [forwardPolicy, forwardUnit],
};
