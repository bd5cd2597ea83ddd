import { readFileSync } from 'node:fs';

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

/** Whether reading a file below `path` leaves a trace in its access time. */
export function recordsAccess(mounts: Mount[], path: string): boolean {
  const mount = mounts
    .filter(({ point }) => isBelow(path, point) || path === point)
    .sort((a, b) => a.point.length - b.point.length)
    .at(-1);
  return mount !== undefined && !mount.options.includes('noatime') && !mount.options.includes('ro');
}

/** Mount points strictly below a folder. A bind mount has the device number of its surroundings: only this list tells. */
export function mountsBelow(mounts: Mount[], folder: string): string[] {
  return mounts.map(({ point }) => point).filter((point) => isBelow(point, folder));
}

/** Strictly below. Both are absolute and normal. */
export function isBelow(path: string, folder: string): boolean {
  return path !== folder && path.startsWith(folder === '/' ? '/' : `${folder}/`);
}
