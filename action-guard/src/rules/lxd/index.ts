import type { Family } from '../../rule.js';
import { ciDisk } from './ci-disk.js';
import { clientIpLost } from './client-ip-lost.js';
import { networkForward } from './network-forward.js';
import { type LxdOptions, presets, schema } from './options.js';
import { portRemoved } from './port-removed.js';
import { systemPrivileged } from './system-privileged.js';

/** Instances and profiles of LXD and Incus, from what they print and from the scripts that call them. */
export const lxd: Family<LxdOptions> = {
  name: 'lxd',
  schema,
  presets,
  rules: [systemPrivileged, ciDisk, portRemoved, networkForward, clientIpLost],
};
