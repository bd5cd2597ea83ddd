import type { Event } from '@gbo/shared/event';
import type { Parent } from './mend.js';
import type { Entry, Pin } from './pins.js';
import type { Probe, Trouble } from './states.js';

/** One commit that every remote must hold: a pin, or the root itself (path `.`). */
export interface Row {
  path: string;
  sha: string;
  /** Line of its entry in .gitmodules. */
  line?: number;
  /** For a submodule of a submodule: those that hold it, innermost first. */
  parents?: Parent[];
  probes: Probe[];
}

/** What the root pins, asked from the side of a submodule or of the clock. */
export interface RootPin {
  remote: string;
  path: string;
  /** What the root pins on that remote; absent: nothing at this path. */
  pin?: string;
  /** Commits of the branch that the pin lacks: 0 when it is there or beyond. Absent: could not be told. */
  behind?: number;
  /** Committer time of the oldest commit that the pin lacks (epoch ms). */
  oldest?: number;
  trouble?: Trouble;
}

/** What an earlier commit of the push holds that cannot be asked about. */
export interface Earlier {
  /** Absent: none of them is known. */
  commit?: string;
  /** `.`, `.gitmodules`, or that of a gitlink without an address. */
  path: string;
  /** Why it cannot be read; absent: it is a gitlink without an address. */
  why?: string;
}

export interface Facts {
  event: Event;
  /** Epoch ms. */
  now: number;
  /** The root first, then by path. */
  rows: Row[];
  orphans: (Pin & { parents?: Parent[] })[];
  /** Entries of .gitmodules without a gitlink. */
  strays: Entry[];
  unreadable?: string;
  /** Submodules whose own submodules are not known, and why; `broken`: what they say of them cannot be read by anybody. */
  unknowns?: { path: string; why: string; broken?: boolean }[];
  /** Pins of this commit that `include` and `exclude` left out: nothing is known of them. */
  leftOut?: string[];
  /** Of a pull request whose base was read: paths whose gitlink it changes, so that they are files of its diff. */
  changed?: string[];
  /** For `commits: range`. */
  earlier?: Earlier[];
  rootPins: RootPin[];
  /** Paths left out, and why. */
  notes: string[];
}
