import type { ArtifactSpec, ArtifactType, HealthCheck } from './artifact-input.js';
import type { Elf } from './elf.js';
import type { RecordEntry } from './record.js';

/** A local file that is to be deployed, read once. */
export interface LocalArtifact extends Omit<ArtifactSpec, 'type'> {
  type: ArtifactType;
  size: number;
  sha256: string;
  elf?: Elf;
}

/** What is at an artifact's path on one target, and around it. */
export interface FileFacts {
  kind: 'none' | 'file' | 'folder' | 'link';
  linkTarget?: string;
  size: number;
  /** Absent when it could not be read. */
  sha256?: string;
  mode?: string;
  owner?: string;
  /** Time of last change as `20260131T120000Z`. */
  changed?: string;
  /** The nearest folder above that exists, and what holds for it. */
  nearest: string;
  notFolder?: string;
  writable: boolean;
  storeLocked: boolean;
  readOnly: boolean;
  freeBytes: number;
  freeInodes: number;
  /** Releases whose copy of this file is kept. */
  kept: string[];
}

export interface UnitFacts {
  name: string;
  loadState: string;
  activeState: string;
  subState: string;
  restarts: number;
  mainPid: number;
  type: string;
  /** Paths of the programs that ExecStart names. */
  execStart: string[];
  needsReload: boolean;
  triggeredBy: string;
  since: string;
  /** Milliseconds systemd gives the unit to stop. */
  stopTimeoutMs: number;
  enabled: string;
  /** The artifact paths whose file, as it lies there now, is what the unit's main process runs; absent: could not be told. */
  runs?: string[];
  /** What /proc says the main process runs; ends in ` (deleted)` when the file was replaced. Absent where only root may see. */
  exe?: string;
}

export interface HostFacts {
  host: string;
  address: string;
  uid: number;
  user: string;
  machine: string;
  /** Absent where the C library is not glibc. */
  glibc?: string;
  systemd?: number;
  missingTools: string[];
  /** Command lines that need sudo here and have no rule. */
  sudoMissing: string[];
  stateMark: string;
  /** In the order of the artifacts. */
  files: FileFacts[];
  units: UnitFacts[];
  record: RecordEntry[];
  /** Releases whose undo was begun or waits, from a run that did not end. */
  pending: { release: string; state: 'armed' | 'undoing' }[];
  /** Who holds the lock, as it wrote itself down; absent when it is free. */
  lockHolder?: string;
  /** Id under which the files found here are kept when no record knows them. */
  foundId?: string;
  /** Host names of Caddyfiles, by path; absent where caddy could not tell. */
  caddyHosts: Record<string, { old?: string[]; new?: string[] }>;
  /** Health addresses that cannot be reached through the connection, with the server's reason. */
  forwarding: 'allowed' | 'refused' | 'untested';
  hasCurl: boolean;
  roundTripMs: number;
  hostKeys: { host: string; type: string; fingerprint: string; knownHostsLine: string }[];
}

/** A host that was not reached, or lost before anything was done there. */
export interface LostHost {
  host: string;
  /** Sentences: why, what was left as it was, what to do. */
  reason: string;
}

export interface Facts {
  /** UTC of the survey, as `20260131T120000Z`. */
  now: string;
  artifacts: LocalArtifact[];
  /** Twelve hex digits that stand for the contents of all artifacts. */
  contentId: string;
  hosts: HostFacts[];
  lost: LostHost[];
  provenance: { run?: string; commit?: string; actor?: string };
}

export type { HealthCheck };
