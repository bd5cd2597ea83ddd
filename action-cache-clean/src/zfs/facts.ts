/** What zfs said of one snapshot. */
export interface SnapshotFacts {
  /** The part behind the @. */
  name: string;
  /** Never the same for two snapshots, so one that was made anew under an old name is told apart. */
  guid: string;
  /** Seconds of the epoch by the clock at that time; undefined where zfs gives none. */
  creation?: number;
  /** Number of the transaction group: the true order of two snapshots, whatever the clock said. */
  createtxg: number;
  /** Bytes that this snapshot alone holds. */
  used: number;
  holds: number;
  clones: string[];
}

/** An instance of LXD or Incus whose root volume a dataset is. */
export interface InstanceFacts {
  project: string;
  instance: string;
  /** By LXD's own name for it (without `snapshot-`): when LXD removes it itself, epoch seconds; null is never. */
  expiry: Record<string, number | null>;
}

export interface InstanceTrouble {
  trouble: string;
  /** It could not be asked, which is no answer. */
  unread?: boolean;
}

export interface DatasetFacts {
  name: string;
  snapshots: SnapshotFacts[];
  /** Bytes that all of its snapshots hold together. */
  usedBySnapshots?: number;
  /** A sentence when zfs-lxc asks for its instance and it could not be read. */
  instance?: InstanceFacts | InstanceTrouble;
}

export interface PoolFacts {
  name: string;
  free: number;
  /** Bytes of destroyed things that the pool is still giving back, in the background. */
  freeing: number;
}

/** How commands are run on the host. */
export interface Privileges {
  /** `sudo` in front of commands that only read, that destroy, and of lxc or incus. */
  read: boolean;
  destroy: boolean;
  instances: boolean;
}

/** All that must be known about the snapshots of one host. */
export interface ZfsFacts {
  host: string;
  /** Epoch seconds: the host's clock, and ours at that moment. Undefined when the host's was not a number. */
  clock?: number;
  runnerClock: number;
  privileges: Privileges;
  datasets: DatasetFacts[];
  /** Datasets and lines of zfs-datasets that are left alone, each with the reason. */
  skipped: { dataset: string; why: string }[];
  pools: PoolFacts[];
}
