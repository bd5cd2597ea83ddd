import { fileURLToPath } from 'node:url';
import * as action from '../../testbed/run-action.js';

export const bundle = fileURLToPath(new URL('../dist/index.js', import.meta.url));

export type Finished = action.Finished<{ result: string; hosts: HostReport[] }>;
export type Running = action.Running<{ result: string; hosts: HostReport[] }>;

export interface HostReport {
  host: string;
  result: string;
  release: string;
  previous?: string;
  downtimeMs?: number;
  reason?: string;
  timeline: { step: string; began: number; ended: number; ok: boolean }[];
}

/** Starts the bundle as a runner would. */
export function start(inputs: Record<string, string>, env: Record<string, string> = {}): Running {
  return action.startAction(bundle, inputs, env);
}

/** Runs the bundle to its end. */
export function run(inputs: Record<string, string>, env: Record<string, string> = {}): Promise<Finished> {
  return start(inputs, env).finished;
}
