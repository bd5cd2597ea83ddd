import type { Rule } from '../../rule.js';
import { rootsOf } from '../f2b/jails.js';
import type { LxdOptions } from './options.js';
import { covers, exposureOf, keepsClient } from './proxy.js';
import { clientSamples } from './samples.js';
import { instances, setupOf } from './setup.js';

export const clientIpLost: Rule<LxdOptions> = {
  id: 'lxd/client-ip-lost',
  severity: 'warning',
  title: 'Where fail2ban bans, the service sees who calls.',
  reason: `A proxy device opens a connection of its own: the service behind it sees the host, not the client. Fail2ban in that container then bans
nobody, or bans the bridge, which is everybody (canonical/lxd#7050, #4786, #4512). \`nat=true\` (with a fixed address of the container) or
\`proxy_protocol=true\` (where the service understands it) keep the client's address.`,
  suppressible: true,
  files: ({ files }) => files,
  check: ({ head, options }) => {
    const parts = new Set(
      rootsOf(head).flatMap((root) => root.split('/').flatMap((part) => [part, part.slice(part.lastIndexOf('-') + 1)])),
    );
    const setup = setupOf(head, options);
    return instances(setup, options.clients).flatMap(({ name = '', devices }) => {
      const role = name.slice(name.lastIndexOf('-') + 1);
      if (!parts.has(name) && !parts.has(role)) return [];
      return [...devices.values()].flatMap((device) => {
        const exposure = exposureOf(device);
        if (exposure.kind !== 'host' || keepsClient(device)) return [];
        if (!options.ports.some((port) => covers(exposure.listen, port))) return [];
        return [
          {
            status: 'fail' as const,
            at: device.at,
            message: `Behind the proxy device ${device.name.slice(0, 60)} ${name} sees the host as every client, and its fail2ban bans nobody or all.`,
            todo:
              exposure.listen.protocol === 'udp'
                ? 'Set nat=true.'
                : 'Set nat=true, or proxy_protocol=true where the service understands it.',
          },
        ];
      });
    });
  },
  samples: clientSamples,
};
