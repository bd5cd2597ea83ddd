import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  type Stats,
  statfsSync,
} from 'node:fs';

export interface Usage {
  /** On the disk, hard links counted once. */
  bytes: number;
  files: number;
  /** The newest change of a file, in ms; of folders only when there is no file. */
  newest: number;
}

/** Files with several names that were counted already. */
export type Seen = Set<string>;

/**
 * What lies below a path, the path included; `stat` is that of the path, where it is known. Follows no symbolic link and skips what it may not read. Synchronous:
 * promises cost two to six times what the system calls cost, and nobody waits for this process meanwhile.
 */
export function diskUsage(path: string, seen: Seen = new Set(), stat = statOf(path)): Usage {
  const usage: Usage = { bytes: 0, files: 0, newest: 0 };
  if (!stat) return usage;
  let newestFolder = 0;
  const visit = (at: string, stats: Stats) => {
    count(usage, stats, seen);
    if (!stats.isDirectory()) {
      usage.files += 1;
      usage.newest = Math.max(usage.newest, stats.mtimeMs);
      return;
    }
    newestFolder = Math.max(newestFolder, stats.mtimeMs);
    for (const name of namesIn(at)) {
      const child = `${at}/${name}`; // join would take as long as a fourth of the look at it
      const childStats = statOf(child);
      if (childStats) visit(child, childStats);
    }
  };
  visit(path, stat);
  usage.newest ||= newestFolder;
  return usage;
}

function count(usage: Usage, stats: Stats, seen: Seen): void {
  if (stats.nlink > 1 && !stats.isDirectory()) {
    const key = `${stats.dev}:${stats.ino}`;
    if (seen.has(key)) return;
    seen.add(key);
  }
  usage.bytes += blocks(stats);
}

/** Bytes on the disk: sparse and compressed files take less than their length (stat(2): blocks of 512). */
export function blocks(stats: Stats): number {
  return stats.blocks * 512;
}

/** Undefined when it is gone or may not be looked at. */
export function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Bytes of the disk that a path lies on, for those who are not root; undefined when the path is gone. */
export function spaceOf(path: string): { free: number; total: number } | undefined {
  try {
    const { bavail, blocks, bsize } = statfsSync(path);
    return { free: bavail * bsize, total: blocks * bsize };
  } catch {
    return undefined;
  }
}

/** Empty when it is gone, no folder, or may not be read. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export function entriesIn(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Folders in a folder, symbolic links to such left out. */
export function foldersIn(folder: string): string[] {
  return entriesIn(folder)
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** More than any file that we read as a whole ever has: cargo's database of a million crates has 150 MB. */
const MOST_BYTES = 256 * 1024 * 1024;

/** The whole of a file. @throws Error also when it is a pipe or a device, which would keep us waiting for ever */
export function readWhole(path: string): Buffer {
  return withFile(path, (file, { size }) => {
    if (size > MOST_BYTES) throw new Error(`it has ${size} bytes`);
    return readFileSync(file);
  });
}

/** The first bytes of a file, as latin1; fewer when it has not as many. @throws Error as `readWhole` does */
export function readStart(path: string, length: number): string {
  return withFile(path, (file) => {
    const bytes = Buffer.alloc(length);
    return bytes.toString('latin1', 0, readSync(file, bytes, 0, length, 0));
  });
}

function withFile<Value>(path: string, use: (file: number, stats: Stats) => Value): Value {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new Error('it is no regular file');
    return use(file, stats);
  } finally {
    closeSync(file);
  }
}
