import type { Family } from '../../rule.js';
import { backend } from './backend.js';
import { filter } from './filter.js';
import { floodJail } from './flood-jail.js';
import { type F2bOptions, presets, schema } from './options.js';
import { sshdEnabled } from './sshd-enabled.js';

/** Fail2ban, merged as it merges its files. */
export const f2b: Family<F2bOptions> = {
  name: 'f2b',
  schema,
  presets,
  rules: [floodJail, filter, backend, sshdEnabled],
};
