import type { Family } from './rule.js';
import { bot } from './rules/bot/index.js';
import { caddy } from './rules/caddy/index.js';
import { ci } from './rules/ci/index.js';
import { dns } from './rules/dns/index.js';
import { f2b } from './rules/f2b/index.js';
import { ipt } from './rules/ipt/index.js';
import { lxd } from './rules/lxd/index.js';
import { vault } from './rules/vault/index.js';

/** Of any options: whoever calls a rule hands it those of its own family. */
const any = <Options>(family: Family<Options>): Family => family as unknown as Family;

/** Every family of rules, in the order of the report. */
export const families: Family[] = [any(bot), any(caddy), any(ipt), any(dns), any(f2b), any(lxd), any(vault), any(ci)];
