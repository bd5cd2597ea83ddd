import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type LocalGit, localGit } from './git.js';
import type { GitAnswer, NetworkGit } from './network-git.js';

/** A bare repository of its own for the questions about one commit; thrown away afterwards. */
export interface Scratch {
  readonly git: LocalGit;
  /** Fetches without trees and files, only the commit graph, where the server allows it. */
  fetch(url: string, refspecs: string[], ...options: string[]): Promise<GitAnswer>;
  /** Fetches this one object, which the server must not take for known because of what leads to it. */
  fetchObject(url: string, oid: string): Promise<GitAnswer>;
  push(url: string, refspec: string, ...options: string[]): Promise<GitAnswer>;
  lsRemote(url: string, ...patterns: string[]): Promise<GitAnswer>;
  /** How much was asked, and what came (bytes of packs and of listed refs). */
  readonly cost: { requests: number; bytes: number };
}

let number = 0;

/** @param sha a hash of the repository that will be asked: its length tells the object format */
export async function createScratch(
  folder: string,
  sha: string,
  network: NetworkGit,
  env: NodeJS.ProcessEnv,
): Promise<Scratch> {
  number += 1;
  const directory = join(folder, `scratch-${number}`);
  mkdirSync(directory, { mode: 0o700 });
  // Without the settings of whoever runs this: log.showSignature alone would start a program of theirs on what a server sent.
  const git = localGit(directory, { PATH: env.PATH, HOME: join(folder, 'home') });
  // By the isolated git: simple-git's guard does not allow an empty template, and a template may bring hooks.
  const format = `--object-format=${sha.length === 64 ? 'sha256' : 'sha1'}`;
  await network(directory, ['init', '--quiet', '--bare', '--template=', format]);
  const cost = { requests: 0, bytes: 0 };
  const count = async (asked: Promise<GitAnswer>) => {
    const before = packBytes(directory);
    const answer = await asked;
    cost.requests += 1;
    cost.bytes += packBytes(directory) - before + answer.stdout.length;
    return answer;
  };
  const fetchOptions = [
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--no-recurse-submodules',
    '--no-auto-maintenance',
  ];
  return {
    git,
    cost,
    fetch: (url, refspecs, ...options) =>
      count(network(directory, ['fetch', ...fetchOptions, ...options, '--', url, ...refspecs])),
    fetchObject: (url, oid) => {
      const alone = ['-c', 'fetch.negotiationAlgorithm=noop', 'fetch', ...fetchOptions];
      return count(network(directory, [...alone, '--', url, `+${oid}:refs/probe/object`]));
    },
    push: (url, refspec, ...options) =>
      count(network(directory, ['push', '--porcelain', '--no-verify', ...options, '--', url, refspec])),
    lsRemote: (url, ...patterns) => count(network(directory, ['ls-remote', '--quiet', '--', url, ...patterns])),
  };
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
