import type { Event } from '@gbo/shared/event';
import type { Parent } from './mend.js';
import type { Entry, Pin } from './pins.js';
import type { Probe } from './states.js';

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
  trouble?: { reason: string; said: string };
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
  /** Submodules whose own submodules are not known, and why. */
  unknowns?: { path: string; why: string }[];
  rootPins: RootPin[];
  /** Paths left out, and why. */
  notes: string[];
}
