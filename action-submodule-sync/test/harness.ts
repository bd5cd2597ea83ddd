import { fileURLToPath } from 'node:url';
import * as action from '../../testbed/run-action.js';
import type { Finding, State } from '../src/states.js';

export const bundle = fileURLToPath(new URL('../dist/index.js', import.meta.url));

/** The `report` output, as far as the tests look into it. */
export interface Report {
  result: 'pushed' | 'not-pushed' | 'unknown';
  commit: string;
  matrix: { path: string; sha: string; remote: string; state: State }[];
  findings: Finding[];
  notes: string[];
  pushed: { push: { path: string; remote: string; sha: string }; result: string; why?: string }[];
  cost: { ms: number; requests: number; bytes: number };
}

export type Finished = action.Finished<Report>;
export type Running = action.Running<Report>;

/** Starts the bundle as a runner would. */
export function start(inputs: Record<string, string>, env: Record<string, string> = {}): Running {
  return action.startAction(bundle, inputs, env);
}

/** Runs the bundle to its end. */
export function run(inputs: Record<string, string>, env: Record<string, string> = {}): Promise<Finished> {
  return start(inputs, env).finished;
}

/** `path remote: STATE` of every finding, in the order of the report. */
export function told({ report }: Finished): string[] {
  return (report?.findings ?? []).map(({ path, remote, state }) => `${path}${remote ? ` ${remote}` : ''}: ${state}`);
}
