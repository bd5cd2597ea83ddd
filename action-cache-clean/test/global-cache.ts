import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Row } from '../src/sqlite-file.js';

const script = fileURLToPath(new URL('./global-cache.py', import.meta.url));

export type Tables = Record<string, { columns: string[]; rows: Row[] }>;

/** A database of cargo that is to be made. */
export interface Wanted {
  path: string;
  /** SQL before the tables are made. */
  before?: string[];
  rows: Record<string, Row[]>;
  /** SQL after the rows are in. */
  after?: string[];
  /** Left as it is when its writer is killed. */
  open?: boolean;
}

/** Makes them with the real SQLite (python's), and gives what that reads in them. */
export function makeGlobalCaches(wanted: Wanted[]): Tables[] {
  const input = JSON.stringify(wanted);
  return JSON.parse(execFileSync('python3', [script], { input, encoding: 'utf8', maxBuffer: 2 ** 28 }));
}
