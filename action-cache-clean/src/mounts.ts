import { readFileSync, type Stats } from 'node:fs';

export interface Mount {
  /** Where it is mounted. */
  point: string;
  /** Options of this mount and of its file system. */
  options: string[];
}

/** What is mounted where, as the kernel tells it (proc(5), mountinfo). @throws when /proc is not there */
export function readMounts(text = readFileSync('/proc/self/mountinfo', 'utf8')): Mount[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const fields = line.split(' ');
      const dash = fields.indexOf('-', 6);
      return {
        // Space, tab, newline and backslash come as octal escapes.
        point: (fields[4] ?? '').replaceAll(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
        options: [fields[5], fields[dash + 3]].flatMap((each) => (each ?? '').split(',')),
      };
    });
}

/**
 * What access times below a path tell. `exact`: of each read. `daily`: a read shows only when the time that stands there is a
 * day old, or older than the last change (mount(8), relatime, which is the default). `none`: nothing.
 */
export type AccessTimes = 'exact' | 'daily' | 'none';

export function accessTimes(mounts: Mount[], path: string): AccessTimes {
  const mount = mounts
    .filter(({ point }) => isBelow(path, point) || path === point)
    .sort((a, b) => a.point.length - b.point.length)
    .at(-1);
  if (!mount || mount.options.includes('noatime') || mount.options.includes('ro')) return 'none';
  return mount.options.includes('relatime') ? 'daily' : 'exact';
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** The last read of a file that its times show, and the last that there may have been, in ms; 0: nothing is known. */
export function lastRead(stat: Stats | undefined, times: AccessTimes): { shown: number; possible: number } {
  if (!stat || times === 'none') return { shown: 0, possible: 0 };
  const { atimeMs, mtimeMs, ctimeMs } = stat;
  // With a change since, the next read would have shown.
  const hides = times === 'daily' && atimeMs > mtimeMs && atimeMs > ctimeMs;
  return { shown: atimeMs, possible: hides ? atimeMs + DAY_MS : atimeMs };
}

/** Mount points strictly below a folder. A bind mount has the device number of its surroundings: only this list tells. */
export function mountsBelow(mounts: Mount[], folder: string): string[] {
  return mounts.map(({ point }) => point).filter((point) => isBelow(point, folder));
}

/** Strictly below. Both are absolute and normal. */
export function isBelow(path: string, folder: string): boolean {
  return path !== folder && path.startsWith(folder === '/' ? '/' : `${folder}/`);
}
