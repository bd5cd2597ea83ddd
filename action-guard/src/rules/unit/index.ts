import { z } from 'zod';
import type { Family } from '../../rule.js';
import { botserverUrl } from './botserver-url.js';
import { install } from './install.js';
import { invalid } from './invalid.js';
import { portsRule } from './ports.js';

const service = z.strictObject({
  units: z.array(z.string()).describe('Names of its unit.'),
  program: z.string().describe('Name of its program, for units that are called otherwise.'),
  variable: z.string().describe('Variable that says on which port it listens.'),
  port: z.int().min(1).max(65535).describe('Port it has to listen on.'),
});

const schema = z.strictObject({
  files: z.array(z.string()).describe('Globs of units and their drop-ins.'),
  environment: z.array(z.string()).describe('Globs of files that EnvironmentFile= may name.'),
  ui: service.describe('The service that people reach: botui.'),
  server: service.describe('The service behind it: botserver.'),
  url: z
    .strictObject({
      variable: z.string().describe('Variable of the ui that says where the server is.'),
      hosts: z.array(z.string()).describe('Hosts it may name; the first one is put into fixes.'),
      privateAddresses: z.boolean().describe('Whether it may also name a private IPv4 address.'),
    })
    .describe('How the ui reaches the server.'),
});
export type UnitOptions = z.infer<typeof schema>;

const guide: UnitOptions = {
  files: ['**/*.service', '**/*.service.d/*.conf'],
  environment: ['**/.env', '**/*.env', '**/.env.*', '**/etc/default/*', '**/etc/sysconfig/*', '**/conf/*'],
  ui: { units: ['ui.service', 'botui.service'], program: 'botui', variable: 'BOTUI_PORT', port: 5859 },
  server: { units: ['system.service', 'botserver.service'], program: 'botserver', variable: 'PORT', port: 5858 },
  url: { variable: 'BOTSERVER_URL', hosts: ['localhost'], privateAddresses: false },
};

export const unit: Family<UnitOptions> = {
  name: 'unit',
  schema,
  presets: {
    'guide-lxd': guide,
    // It says both localhost and the address of the container.
    'infra-incus': { ...guide, url: { ...guide.url, privateAddresses: true } },
  },
  rules: [botserverUrl, portsRule, install, invalid],
};
