import type { UnitFacts } from './facts.js';

/** What a unit's main process runs, held against the file at a path. `unknown` is the third answer: it could not be told. */
export type Running = 'it' | 'other' | 'nothing' | 'unknown';

export function whatRuns({ mainPid, runs }: UnitFacts, path: string): Running {
  if (mainPid === 0) return 'nothing';
  if (!runs) return 'unknown';
  return runs.includes(path) ? 'it' : 'other';
}

/** Whether a unit has a main process that lasts, which can be held against a file. */
export function hasProcess({ name, type }: UnitFacts): boolean {
  return name.endsWith('.service') && type !== 'oneshot';
}
