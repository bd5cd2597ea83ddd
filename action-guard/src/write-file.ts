import { mkdir, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { ExpectedError, messageOf } from '@gbo/shared/errors';

/**
 * Writes a file below a folder. What lies there may come from a pull request: a link that leads out of the folder is not
 * followed, and one in the file's own place is replaced.
 *
 * @throws ExpectedError
 */
export async function writeBelow(folder: string, path: string, text: string): Promise<void> {
  try {
    const root = await realpath(folder);
    const parent = dirname(join(root, path));
    for (const at of upTo(root, parent)) await mkdir(at).catch(ifThere);
    const real = await realpath(parent);
    if (relative(root, real).startsWith('..')) throw new Error('a link leads out of the repository');
    const temporary = join(real, `.${basename(path)}.${process.pid}.new`);
    await writeFile(temporary, text, { flag: 'wx' });
    await rename(temporary, join(real, basename(path))).catch(async (error: unknown) => {
      await rm(temporary, { force: true });
      throw error;
    });
  } catch (error) {
    throw new ExpectedError(
      `${path} cannot be written: ${messageOf(error)}.`,
      'The rules were judged, nothing was told.',
      'Name a path that can be written.',
    );
  }
}

/** The folders from below `root` down to `folder`. */
function upTo(root: string, folder: string): string[] {
  return folder === root ? [] : [...upTo(root, dirname(folder)), folder];
}

function ifThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
