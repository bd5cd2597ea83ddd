import { GitFailed, type LocalGit } from './git.js';

/** A submodule as the tree of a commit pins it: mode 160000. */
export interface Pin {
  path: string;
  sha: string;
}

/** An entry of .gitmodules; its name need not be its path. */
export interface Entry {
  name: string;
  path?: string;
  url?: string;
  branch?: string;
  /** Whether `git submodule update` leaves it out. */
  updateNone?: true;
  /** Whether it has several urls, as after a merge that went wrong. */
  severalUrls?: true;
  /** Line of its `path`, or of its header, from 1; absent when it could not be found. */
  line?: number;
}

export interface Tree {
  commit: string;
  pins: Pin[];
  entries: Entry[];
  /** Why .gitmodules could not be read: then nothing that depends on it is known. */
  unreadable?: string;
}

/** Bytes of a .gitmodules that are read; a larger one is refused. */
const LARGEST_GITMODULES = 4 * 1024 * 1024;

/**
 * The pins and entries of one commit, without any checkout.
 * @throws GitFailed when the commit is not in this repository
 */
export async function readTree(git: LocalGit, commit: string): Promise<Tree> {
  const [listing, blob] = await Promise.all([
    git('ls-tree', '-r', '-z', '--full-tree', commit),
    git('ls-tree', '-l', '-z', '--full-tree', commit, '--', '.gitmodules'),
  ]);
  const tree = { commit, pins: pinsOf(listing), entries: [] };
  const [, mode, oid, size] = /^(\d+) \w+ ([0-9a-f]+) +(\S+)\t/.exec(blob) ?? [];
  if (!oid) return tree;
  if (mode === '120000') return { ...tree, unreadable: '.gitmodules is a symbolic link, which git itself refuses' };
  if (Number(size) > LARGEST_GITMODULES) return { ...tree, unreadable: '.gitmodules is larger than 4 MiB' };
  try {
    // By the blob, so that nothing has to be checked out; without includes, or a pull request could have other files read.
    const [config, text] = await Promise.all([
      git('config', '--blob', oid, '--no-includes', '-z', '--list'),
      git('cat-file', 'blob', oid),
    ]);
    return { ...tree, entries: withLines(entriesOf(config), text) };
  } catch (error) {
    if (error instanceof GitFailed)
      return { ...tree, unreadable: `git cannot read .gitmodules (${error.said.split('\n')[0]})` };
    throw error;
  }
}

function pinsOf(listing: string): Pin[] {
  return listing.split('\0').flatMap((row) => {
    const tab = row.indexOf('\t');
    const [mode, , sha] = row.slice(0, tab).split(' ');
    return mode === '160000' && sha ? [{ path: row.slice(tab + 1), sha }] : [];
  });
}

function entriesOf(config: string): Entry[] {
  const byName = new Map<string, Entry>();
  for (const row of config.split('\0')) {
    const newline = row.indexOf('\n');
    const key = newline < 0 ? row : row.slice(0, newline);
    const value = newline < 0 ? '' : row.slice(newline + 1);
    const end = key.lastIndexOf('.');
    if (!key.startsWith('submodule.') || end < 'submodule.'.length) continue;
    const name = key.slice('submodule.'.length, end);
    const entry = byName.get(name) ?? { name };
    byName.set(name, entry);
    const field = key.slice(end + 1);
    if (field === 'url' && entry.url !== undefined && entry.url !== value) entry.severalUrls = true;
    if (field === 'update') entry.updateNone = value === 'none' ? true : undefined;
    // The last of several wins, as in git.
    if (field === 'path' || field === 'url' || field === 'branch') entry[field] = value;
  }
  return [...byName.values()];
}

/** Only for pointing at the place: what the entries say was read by git. */
function withLines(entries: Entry[], text: string): Entry[] {
  const headers = new Map<string, number>();
  const paths = new Map<string, number>();
  let name: string | undefined;
  for (const [index, row] of text.split('\n').entries()) {
    if (/^\s*\[/.test(row)) {
      name = /^\s*\[submodule\s+"((?:[^"\\]|\\.)*)"/i.exec(row)?.[1]?.replaceAll(/\\(.)/g, '$1');
      if (name !== undefined && !headers.has(name)) headers.set(name, index + 1);
    }
    if (name !== undefined && !paths.has(name) && /^\s*path\s*=/i.test(row)) paths.set(name, index + 1);
  }
  return entries.map((entry) => {
    const line = paths.get(entry.name) ?? headers.get(entry.name);
    return line === undefined ? entry : { ...entry, line };
  });
}
