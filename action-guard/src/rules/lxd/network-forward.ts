import type { Rule } from '../../rule.js';
import type { LxdOptions } from './options.js';
import { forwardSamples } from './samples.js';
import { setupOf } from './setup.js';

export const networkForward: Rule<LxdOptions> = {
  id: 'lxd/network-forward',
  severity: 'error',
  title: 'Ports are forwarded by proxy devices, never by network forwards.',
  reason: `A network forward works on the bridge. The platform's external address is on the host's own network card, so a forward is accepted and
nothing ever arrives; and LXD then refuses a proxy device on the same address.`,
  suppressible: true,
  files: ({ files }) => files,
  check: ({ head, options }) =>
    setupOf(head, options).forwards.map(({ at, what }) => ({
      status: 'fail',
      at,
      message: `This forwards ${what.slice(0, 60)} by a network forward, which does not work with an address of the host's own card.`,
      todo: 'Use a proxy device: lxc config device add INSTANCE NAME proxy listen=tcp:0.0.0.0:PORT connect=tcp:127.0.0.1:PORT',
    })),
  samples: forwardSamples,
};
