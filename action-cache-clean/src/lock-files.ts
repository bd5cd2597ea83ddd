import { parse } from 'smol-toml';
import { readWhole } from './disk-usage.js';

/** What a Cargo.lock needs of cargo's home. */
export interface Needed {
  /** `name-version`, whatever the registry: its folder's name changes with cargo's version. */
  crates: Set<string>;
  /** `repository#commit`: last part of the url, as cargo names its folder, and the whole commit. */
  commits: Set<string>;
}

/** @throws Error when it is no Cargo.lock */
export function neededBy(lockFile: string): Needed {
  const { package: packages } = parse(lockFile) as { package?: unknown };
  const needed: Needed = { crates: new Set(), commits: new Set() };
  if (packages === undefined) return needed;
  if (!Array.isArray(packages)) throw new Error('its packages are no list');
  for (const each of packages as { name?: unknown; version?: unknown; source?: unknown }[]) {
    if (typeof each.source !== 'string') continue; // a member of the workspace
    const commit = /^git\+(.*)#([0-9a-f]{40,64})$/.exec(each.source);
    if (commit) needed.commits.add(`${repositoryName(commit[1] ?? '')}#${commit[2]}`);
    else needed.crates.add(`${each.name}-${each.version}`);
  }
  return needed;
}

/** As cargo derives it: the last part of the path, without `.git` (its `Source::ident`). */
export function repositoryName(url: string): string {
  const path = url.replace(/[?#].*$/, '').replace(/\/+$/, '');
  return (path.slice(path.lastIndexOf('/') + 1) || '_empty').replace(/\.git$/, '').toLowerCase();
}

/** Who needs what: the name of a Cargo.lock by crate and by commit. */
export class KeepSet {
  readonly #crates = new Map<string, string>();
  readonly #commits = new Map<string, Map<string, string>>();

  add(needed: Needed, lockFile: string): void {
    for (const crate of needed.crates) if (!this.#crates.has(crate)) this.#crates.set(crate, lockFile);
    for (const each of needed.commits) {
      const [repository = '', commit = ''] = each.split('#');
      const commits = this.#commits.get(repository) ?? new Map<string, string>();
      commits.set(commit, commits.get(commit) ?? lockFile);
      this.#commits.set(repository, commits);
    }
  }

  crate(nameAndVersion: string): string | undefined {
    return this.#crates.get(nameAndVersion);
  }

  /** `database`: `repository-<hash>`, as the folder is called; `commit`: the first digits of one, or absent for any. */
  repository(database: string, commit = ''): string | undefined {
    const name = database.replace(/-shallow$/, '').replace(/-[0-9a-f]+$/, '');
    for (const [needed, lockFile] of this.#commits.get(name.toLowerCase()) ?? []) {
      if (needed.startsWith(commit)) return lockFile;
    }
    return undefined;
  }
}

/** Reads a Cargo.lock; a sentence when that is not possible. */
export function readLockFile(path: string): Needed | string {
  try {
    return neededBy(readWhole(path).toString());
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  }
}
