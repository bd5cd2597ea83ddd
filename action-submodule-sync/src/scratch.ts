import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LocalGit, localGit } from './git.js';
import type { GitAnswer, NetworkGit } from './network-git.js';

/** A bare repository of its own for the questions about one commit, made when something is fetched; thrown away afterwards. */
export interface Scratch {
  readonly git: LocalGit;
  fetch(url: string, refspecs: string[], ...options: string[]): Promise<GitAnswer>;
  /** Fetches, and when that succeeds runs a shell command, which must be a constant; its output comes with the answer. */
  fetchAndThen(andThen: string, url: string, refspecs: string[], ...options: string[]): Promise<GitAnswer>;
  /** Fetches this one object, which the server must not take for known because of what leads to it. */
  fetchObject(url: string, oid: string): Promise<GitAnswer>;
  push(url: string, refspec: string, ...options: string[]): Promise<GitAnswer>;
  /** Lists what the server has, without fetching any of it. */
  lsRemote(url: string, ...options: string[]): Promise<GitAnswer>;
  /** Whether history is cut off somewhere in what was fetched. */
  isShallow(): boolean;
  /** How much was asked, and what came (bytes of packs and of listed refs). */
  readonly cost: { requests: number; bytes: number };
}

let number = 0;

/** @param sha a hash of the repository that will be asked: its length tells the object format */
export function createScratch(folder: string, sha: string, network: NetworkGit, env: NodeJS.ProcessEnv): Scratch {
  number += 1;
  const directory = join(folder, `scratch-${number}`);
  const format = sha.length === 64 ? 'sha256' : 'sha1';
  // Without the settings of whoever runs this: log.showSignature alone would start a program of theirs on what a server sent.
  const local = localGit(directory, { PATH: env.PATH, HOME: join(folder, 'home') });
  const git: LocalGit = (...args) => {
    makeRepository(directory, format);
    return local(...args);
  };
  const cost = { requests: 0, bytes: 0 };
  const ask = async (args: string[], andThen?: string) => {
    makeRepository(directory, format);
    const before = packBytes(directory);
    const answer = await network(directory, args, andThen);
    cost.requests += 1;
    cost.bytes += packBytes(directory) - before;
    return answer;
  };
  const fetchCommand = [
    'fetch',
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--no-recurse-submodules',
    '--no-auto-maintenance',
  ];
  return {
    git,
    cost,
    // As git itself sees it (gitrepository-layout(5)), without a process.
    isShallow: () => (statSync(join(directory, 'shallow'), { throwIfNoEntry: false })?.size ?? 0) > 0,
    fetch: (url, refspecs, ...options) => ask([...fetchCommand, ...options, '--', url, ...refspecs]),
    fetchAndThen: (andThen, url, refspecs, ...options) =>
      ask([...fetchCommand, ...options, '--', url, ...refspecs], andThen),
    fetchObject: (url, oid) => {
      const alone = ['-c', 'fetch.negotiationAlgorithm=noop', ...fetchCommand];
      return ask([...alone, '--', url, `+${oid}:refs/probe/object`]);
    },
    push: (url, refspec, ...options) => ask(['push', '--porcelain', '--no-verify', ...options, '--', url, refspec]),
    async lsRemote(url, ...options) {
      // One for all, since nothing is written; in no repository git would look for one further up.
      const empty = join(folder, 'empty');
      makeRepository(empty, 'sha1');
      const answer = await network(empty, ['ls-remote', '--quiet', ...options, '--', url]);
      cost.requests += 1;
      cost.bytes += answer.stdout.length;
      return answer;
    },
  };
}

/**
 * All that git needs to take a folder for a bare repository (gitrepository-layout(5)): what `git init` makes in a process
 * of its own, without its templates and defaults.
 */
function makeRepository(directory: string, format: 'sha1' | 'sha256'): void {
  if (existsSync(directory)) return;
  for (const path of [directory, join(directory, 'objects'), join(directory, 'refs')]) mkdirSync(path, { mode: 0o700 });
  const extensions = format === 'sha256' ? '[extensions]\n\tobjectFormat = sha256\n' : '';
  const version = extensions ? 1 : 0;
  writeFileSync(join(directory, 'HEAD'), 'ref: refs/heads/main\n');
  writeFileSync(
    join(directory, 'config'),
    `[core]\n\trepositoryFormatVersion = ${version}\n\tbare = true\n${extensions}`,
  );
}

function packBytes(directory: string): number {
  try {
    const packs = join(directory, 'objects', 'pack');
    return readdirSync(packs).reduce(
      (sum, name) => sum + (name.endsWith('.pack') ? statSync(join(packs, name)).size : 0),
      0,
    );
  } catch {
    return 0;
  }
}
