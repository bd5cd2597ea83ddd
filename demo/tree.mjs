import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** One hash over every name, mode, time and byte below a folder. */
export async function treeHash(folder) {
  const hash = createHash('sha256');
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, name);
    const { mode, mtimeMs } = await lstat(path);
    hash.update(`${name}\0${mode}\0${mtimeMs}\0`);
    // By inode, a kept release is the file in place; each is read nevertheless, since nothing here should be believed.
    if ((mode & 0o170000) === 0o100000) hash.update(await fileHash(path));
  }
  return hash.digest('hex');
}

export async function fileHash(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return hash.digest('hex');
}
