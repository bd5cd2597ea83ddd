import type { Category } from './categories.js';

/**
 * What a thing is, in the order of what it costs to have it again:
 * nothing; a rebuild that cargo does anyway; an unpacking; a build; a compilation; a download.
 */
export type Kind =
  | 'broken'
  | 'leftover'
  | 'incremental'
  | 'gone-toolchain'
  | 'source'
  | 'checkout'
  | 'unit'
  | 'object'
  | 'crate'
  | 'repository'
  | 'index';

/** A folder whose contents go together under the same locks. */
export interface Place {
  kind: 'cargo-home' | 'target' | 'sccache' | 'runner';
  /** Real path. For a target: that of one profile folder in it. */
  root: string;
  /** Lock files that whoever works here takes, in their order. Absolute. */
  locks: string[];
  /** Where things are moved to before they are deleted: on the same file system. */
  trash: string;
  /** Of the file system, as in stat(2). */
  device: number;
  /** For a target: the whole of it, the folder that CACHEDIR.TAG marks. */
  target?: string;
}

/** Something that can go as a whole. */
export interface Item {
  place: Place;
  category: Category;
  kind: Kind;
  /** Below the root of its place. */
  path: string;
  /** More of it, below the same root; moved after `path`. */
  also?: string[];
  bytes: number;
  /** Last use that anything tells of, in ms since 1970. */
  usedAt: number;
  /** Later uses that nothing would tell of are possible up to here, in ms; absent: none are. */
  maybeUsedAt?: number;
  /** When `path` itself, or the `marker` in it, was last changed; different later means that somebody was there. */
  changedAt: number;
  /** A file in `path` that whoever makes it writes last: asked in its stead, where it is looked at anyway. */
  marker?: string;
  /** `Cargo.lock` that names it. */
  neededBy?: string;
  /** For a broken one: what is wrong. */
  broken?: string;
  /** Things that are of no use without it: they go with it, before it. */
  dependents?: Item[];
}

export interface Disk {
  device: number;
  /** A place on it. */
  path: string;
  free: number;
  total: number;
}

/** How sccache did since its server was started. */
export interface SccacheStats {
  hits: number;
  misses: number;
  version: string;
}

/** One run, for the trend. */
export interface PastRun {
  /** ms since 1970. */
  at: number;
  freed: number;
  /** Bytes by category before it. */
  sizes: Partial<Record<Category, number>>;
}

/** A Cargo.lock that an earlier run read: workspaces of jobs go, what they need stays the same. */
export interface RememberedLock {
  at: number;
  path: string;
  crates: string[];
  commits: string[];
}

/** What one run leaves to the next. */
export interface State {
  runs: PastRun[];
  /** By a hash of what they need. */
  locks: Record<string, RememberedLock>;
}

export interface Facts {
  /** Start of the survey, in ms since 1970. */
  now: number;
  items: Item[];
  places: Place[];
  disks: Disk[];
  /** What was left out, and why. */
  skipped: string[];
  /** What people should know. */
  notes: string[];
  /** The Cargo.lock files that were read. */
  lockFiles: string[];
  /** What earlier runs moved out and did not get to delete: folders. */
  trash: string[];
  /** Absent: cargo's home is left alone. */
  cargoHome?: string;
  /** This job's own. */
  workspace?: string;
  earlier: State;
  sccache?: SccacheStats;
  /** Of cargo's database when the survey read it, in ms; absent: there is none. */
  databaseAt?: number;
}
