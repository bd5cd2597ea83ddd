import type { Disk, Item } from './facts.js';

export interface PlaceOutcome {
  /** Root of the place. */
  place: string;
  moved: Item[];
  /** Given back to the disk. */
  bytes: number;
  /** What stayed although it was to go, by reason. */
  stayed: Map<string, number>;
}

export interface Outcome {
  places: PlaceOutcome[];
  /** Bytes of what earlier runs had moved out and not deleted. */
  swept: number;
  /** Longest time for which a lock of cargo was held at a stretch, in ms. */
  longestLockMs: number;
  problems: string[];
  disks: Disk[];
  /** Absent: it ran to its end. */
  cancelled?: string;
}
