import type { ArtifactSpec } from './artifact-input.js';
import type { HealthCheck } from './facts.js';

/** Moves one file into place, or takes it away. */
export interface Move {
  path: string;
  /** The kept copy that comes to `path`; absent: `path` did not exist before, and goes. */
  from?: string;
  /** What must be at `path` now for the move to be right; anything else was put there by somebody else. */
  over?: string;
  /** Config and unit files are edited in place by people, so they are copied where a binary is linked. */
  copy: boolean;
}

/** How the units take the new files. */
export interface Activation {
  daemonReload: boolean;
  restart: string[];
  reload: string[];
  signals: { unit: string; signal: string }[];
  /** Each with the units of its artifact. */
  commands: { command: string; units: string[] }[];
  /** On an undo: units that did not run before. */
  stop: string[];
  /** On an undo: units that were not up before, but about to start. Whether they come up is not ours to promise. */
  start: string[];
  /** Units that an undo restarts although they were only reloaded: host names that came must go from Caddy's memory. */
  restartOnUndo: string[];
}

/** Kept releases that may go, unless a unit still runs one of them. */
export interface Surplus {
  /** The files of each, newest first. */
  remove: string[][];
  /** Kept binaries of the releases that stay. */
  stay: string[];
  units: string[];
}

export interface Proof {
  unit: string;
  path: string;
  sha256: string;
}

export interface Soak {
  units: string[];
  health: HealthCheck[];
  soakMs: number;
}

/** What a step does: plain data, carried out by apply. */
export type Work =
  | { kind: 'lock'; stateDir: string; waitMs: number; paths: string[]; stateMark: string }
  | { kind: 'settle'; stateDir: string; release: string }
  | { kind: 'stage'; parents: string[]; folders: string[] }
  | { kind: 'upload'; source: string; to: string; size: number; sha256: string }
  | { kind: 'verify'; part: string; to: string; sha256: string; size: number; mode?: string; owner?: string }
  | { kind: 'keep'; links: { from: string; to: string; copy: boolean; sha256: string }[] }
  | { kind: 'probe'; file: string; args: string }
  | { kind: 'check'; file: string; command: string }
  | { kind: 'verify-unit'; file: string; replace: { from: string; to: string }[] }
  | { kind: 'arm'; stateDir: string; release: string; seconds: number; script: string }
  | { kind: 'switch'; stateDir: string; release: string; moves: Move[] }
  | { kind: 'activate'; stateDir: string; release: string; activation: Activation; others: string[] }
  | { kind: 'prove'; proofs: Proof[]; timeoutMs: number }
  | { kind: 'soak'; soak: Soak }
  | { kind: 'confirm'; stateDir: string; release: string; record: string[] }
  | { kind: 'prune'; stateDir: string; files: { path: string; kept: string; sha256: string }[]; surplus: Surplus }
  | { kind: 'unlock'; stateDir: string };

export interface Step {
  /** Unique in the plan of a host, such as `upload:botserver`. */
  id: string;
  /** prepare changes nothing that runs; switch is guarded by the undo; finish is only tidying. */
  phase: 'prepare' | 'switch' | 'finish';
  title: string;
  why: string;
  /** What happens to it when a later step fails. */
  undo: string;
  work: Work;
}

export type { ArtifactSpec };
