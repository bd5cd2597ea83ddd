import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from '../measure.js';

/** A folder for the trees of one part, on the machine's own disk. */
export interface Place {
  path: string;
  remove(): Promise<void>;
}

export async function makeFolder(): Promise<Place> {
  const path = mkdtempSync(join(tmpdir(), 'gbo-bench-cache-'));
  return { path, remove: async () => rmSync(path, { recursive: true, force: true }) };
}

/** A file system of its own, in a file on the machine's disk: a million files are gone with it in no time. */
export async function makeDisk(inodes: number): Promise<Place> {
  const folder = await makeFolder();
  const [image, path] = [join(folder.path, 'image'), join(folder.path, 'disk')];
  writeFileSync(image, '');
  truncateSync(image, 6 * 1024 ** 3); // sparse: it takes what is written to it
  mkdirSync(path);
  try {
    await output('mkfs.ext4', ['-q', '-F', '-N', String(inodes), image]);
    await output('mount', ['-o', 'loop', image, path]);
  } catch (error) {
    await folder.remove();
    throw error;
  }
  return {
    path,
    remove: async () => {
      await output('umount', [path]);
      await folder.remove();
    },
  };
}
