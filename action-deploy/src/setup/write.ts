import { createHash, randomUUID } from 'node:crypto';
import { lstat, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { createTwoFilesPatch } from 'diff';

/** What became of a file. `kept`: somebody edited it, so it was left, and `diff` says what it lacks. */
export type Written =
  | { path: string; state: 'written' | 'updated' | 'unchanged' }
  | { path: string; state: 'kept'; diff: string };

const mark = /^# setup of gbo\/action-deploy wrote this file \(([0-9a-f]{12})\)[^\n]*\n/;

/** The text with a first line that tells later whether somebody edited it. */
export function marked(text: string): string {
  return `# setup of gbo/action-deploy wrote this file (${sum(text)}): run again, it renews it unless you have edited it.\n${text}`;
}

function sum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function isEdited(text: string): boolean {
  const found = mark.exec(text);
  return !found || sum(text.slice(found[0].length)) !== found[1];
}

/**
 * Brings one file below `folder` to this text. A file that was edited by hand is left as it is.
 *
 * @throws ExpectedError when a link lies in the way, or the disk refuses; the file is never half-written.
 */
export async function writeMarked(folder: string, path: string, plain: string): Promise<Written> {
  const text = marked(plain);
  const file = join(folder, path);
  await mustNotLead(folder, path);
  try {
    const found = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    // Git may check files out with the line ends of Windows, which nobody has edited.
    const there = found?.replaceAll('\r\n', '\n');
    if (there === text) return { path: file, state: 'unchanged' };
    if (there !== undefined && isEdited(there)) {
      return { path: file, state: 'kept', diff: createTwoFilesPatch(path, path, there, text, 'yours', 'setup') };
    }
    await mkdir(dirname(file), { recursive: true });
    const temporary = `${file}.${randomUUID().slice(0, 8)}.new`;
    try {
      await writeFile(temporary, text, { flag: 'wx' });
      await rename(temporary, file);
    } finally {
      await rm(temporary, { force: true });
    }
    return { path: file, state: there === undefined ? 'written' : 'updated' };
  } catch (error) {
    throw new ExpectedError(
      `${file} cannot be written (${messageOf(error)}).`,
      'That file was not touched.',
      'Mend that and run again.',
    );
  }
}

/** @throws ExpectedError when it is none */
export async function mustBeFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new ExpectedError(
    `${folder} ${found ? 'is not a folder' : 'is not there'}.`,
    'Nothing was written.',
    'Name the checkout of a repository.',
  );
}

/** A checkout is written by others: a link in it must not lead the files to another place. */
async function mustNotLead(folder: string, path: string): Promise<void> {
  const parts = path.split('/');
  for (const [index] of parts.entries()) {
    const part = join(folder, ...parts.slice(0, index + 1));
    const found = await lstat(part).catch(() => undefined);
    const right = index === parts.length - 1 ? found?.isFile() : found?.isDirectory();
    if (!found || right) continue;
    throw new ExpectedError(
      `${part} is ${found.isSymbolicLink() ? 'a symbolic link' : `not a ${index === parts.length - 1 ? 'file' : 'folder'}`}.`,
      'It was left as it is, and nothing was written there.',
      'Move it out of the way and run again.',
    );
  }
}
