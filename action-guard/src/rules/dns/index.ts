import type { Family } from '../../rule.js';
import { aclMissing } from './acl-missing.js';
import { aclOpen } from './acl-open.js';
import { aclOverblock } from './acl-overblock.js';
import { aclUnreachable } from './acl-unreachable.js';
import { invalid } from './invalid.js';
import { openResolver } from './open-resolver.js';
import { type DnsRuleOptions, presets, schema } from './options.js';

/** Corefiles of CoreDNS. */
export const dns: Family<DnsRuleOptions> = {
  name: 'dns',
  schema,
  presets,
  rules: [aclMissing, aclOpen, aclUnreachable, aclOverblock, openResolver, invalid],
};
