import type { Family } from '../../rule.js';
import { adminOpen } from './admin-open.js';
import { deadDomain } from './dead-domain.js';
import { invalid } from './invalid.js';
import { noAccessLog } from './no-access-log.js';
import { type CaddyRuleOptions, presets, schema } from './options.js';
import { partial } from './partial.js';
import { restartNeeded } from './restart-needed.js';
import { storage } from './storage.js';

/** Caddyfiles of the proxy. */
export const caddy: Family<CaddyRuleOptions> = {
  name: 'caddy',
  schema,
  presets,
  rules: [partial, storage, deadDomain, invalid, noAccessLog, adminOpen, restartNeeded],
};

export { domainsToResolve } from './dead-domain.js';
