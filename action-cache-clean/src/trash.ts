import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@gbo/shared/errors';
import pLimit from 'p-limit';
import { blocks, namesIn, statOf } from './disk-usage.js';
import { mountsBelow, readMounts } from './mounts.js';

/** Deleting waits for the disk's journal, so some at a time are faster; on two cores more than these are not. */
const AT_ONCE = 4;

/** A folder on the same file system, to which things are moved in no time and from which they are deleted in peace. */
export class Trash {
  readonly #folder: string;
  readonly #run: string;
  /** Undefined until something is taken. */
  #own: string | undefined;
  #count = 0;

  /** @throws when there is something else in its place */
  constructor(folder: string, run: string) {
    this.#folder = folder;
    this.#run = run;
    // A symbolic link there would carry things out of the cache.
    const there = statOf(folder);
    if (there && !there.isDirectory()) throw new Error(`${folder} is no folder`);
  }

  /** Atomic: afterwards `path` is either there as it was, or gone. @throws when it cannot be moved */
  take(path: string): void {
    if (!this.#own && this.#begin(path)) return;
    renameSync(path, join(this.#own ?? '', `${this.#run}-${this.#count}`));
    this.#count += 1;
  }

  /** @returns whether `path` was taken by that */
  #begin(path: string): boolean {
    try {
      const own = join(this.#folder, this.#run);
      // One by one: of a disk that is read-only, mkdir -p says that nothing is there.
      for (const each of [this.#folder, own]) if (!statOf(each)?.isDirectory()) mkdirSync(each, { mode: 0o700 });
      this.#own = own;
      return false;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      const full = ['ENOSPC', 'EDQUOT'].includes(code);
      if (!full || statOf(this.#folder) || !statOf(path)?.isDirectory()) throw error;
      // On a disk that has no room for a folder, what is to go becomes the folder.
      renameSync(path, this.#folder);
      this.#own = this.#folder;
      return true;
    }
  }

  /** Deletes what was taken. */
  async empty(): Promise<Emptied> {
    if (!this.#own) return { bytes: 0, problems: [] };
    const { bytes, problems } = await remove(this.#own);
    removeIfEmpty(this.#folder);
    return { bytes, problems };
  }
}

export interface Emptied {
  /** Given back to the disk: blocks of files that have no other name left. */
  bytes: number;
  /** What could not be deleted, as sentences. */
  problems: string[];
}

/** Deletes what earlier runs moved here and did not get to delete. */
export async function sweep(folder: string): Promise<Emptied> {
  const all = await Promise.all(namesIn(folder).map((name) => remove(join(folder, name))));
  removeIfEmpty(folder);
  return { bytes: all.reduce((sum, { bytes }) => sum + bytes, 0), problems: all.flatMap(({ problems }) => problems) };
}

async function remove(folder: string): Promise<Emptied> {
  // Whatever was mounted in there went along with its folder, and is still somebody's.
  const [mount] = existsSync(folder) ? mountsBelow(readMounts(), folder) : [];
  if (mount) return { bytes: 0, problems: [`${folder} was left there: something is mounted at ${mount}`] };
  // Its own blocks are ours: nothing is given back by them.
  const own = statOf(folder);
  const bytes = givenBack(folder) - (own ? blocks(own) : 0);
  const limit = pLimit(AT_ONCE);
  const problems: string[] = [];
  const deletions = pieces(folder).map((path) =>
    limit(() =>
      rm(path, { recursive: true, force: true }).catch((error: unknown) => {
        problems.push(`${path} could not be deleted: ${messageOf(error)}`);
      }),
    ),
  );
  await Promise.all(deletions);
  await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
    if (problems.length === 0) problems.push(`${folder} could not be deleted: ${messageOf(error)}`);
  });
  return { bytes: problems.length > 0 ? Math.max(0, bytes - givenBack(folder)) : bytes, problems };
}

/** Enough pieces for all who delete: what is in the folder, or for few of them, what is in those. */
function pieces(folder: string): string[] {
  const inside = namesIn(folder).map((name) => join(folder, name));
  if (inside.length >= 4 * AT_ONCE) return inside;
  return inside.flatMap((path) => {
    const further = statOf(path)?.isDirectory() ? namesIn(path).map((name) => join(path, name)) : [];
    return further.length > 0 ? further : [path];
  });
}

/** Bytes that come free when all of it goes: those of files whose every name lies in there. */
export function givenBack(folder: string): number {
  let bytes = 0;
  const linked = new Map<string, { names: number; links: number; bytes: number }>();
  const visit = (path: string) => {
    const stat = statOf(path);
    if (!stat) return;
    if (stat.isDirectory()) {
      bytes += blocks(stat);
      for (const name of namesIn(path)) visit(join(path, name));
    } else if (stat.nlink === 1) {
      bytes += blocks(stat);
    } else {
      const key = `${stat.dev}:${stat.ino}`;
      const known = linked.get(key) ?? { names: 0, links: stat.nlink, bytes: blocks(stat) };
      known.names += 1;
      linked.set(key, known);
    }
  };
  visit(folder);
  for (const { names, links, bytes: size } of linked.values()) if (names >= links) bytes += size;
  return bytes;
}

function removeIfEmpty(folder: string): void {
  try {
    if (readdirSync(folder).length === 0) rmdirSync(folder);
  } catch {
    // An empty folder harms nobody.
  }
}
