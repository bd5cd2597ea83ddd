import type { Family } from './rule.js';

/** Every family of rules, in the order of the report. */
export const families: Family[] = [];
