import type { Family } from './rule.js';
import { bot } from './rules/bot/index.js';
import { caddy } from './rules/caddy/index.js';
import { ci } from './rules/ci/index.js';
import { dns } from './rules/dns/index.js';
import { f2b } from './rules/f2b/index.js';
import { ipt } from './rules/ipt/index.js';
import { lxd } from './rules/lxd/index.js';
import { ufw } from './rules/ufw/index.js';
import { unit } from './rules/unit/index.js';
import { vault } from './rules/vault/index.js';

/** Of any options: whoever calls a rule hands it those of its own family. */
const any = (family: unknown): Family => family as Family;

/** Every family of rules, in the order of the report. */
export const families: Family[] = [bot, caddy, dns, f2b, ipt, lxd, ufw, unit, vault, ci].map(any);
