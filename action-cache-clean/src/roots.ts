import { lstatSync, realpathSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, normalize } from 'node:path';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { readStart } from './disk-usage.js';
import { isBelow } from './mounts.js';

/** Folders whose loss nobody would forgive: neither they nor what contains them is ever a cache. */
const sacred = [
  '/bin',
  '/boot',
  '/dev',
  '/etc',
  '/home',
  '/lib',
  '/lib64',
  '/opt',
  '/proc',
  '/root',
  '/run',
  '/sbin',
  '/srv',
  '/sys',
  '/tmp',
  '/usr',
  '/var',
];

export interface Surroundings {
  home: string;
  /** This job's own. */
  workspace?: string;
}

/** An empty variable is none (`CARGO_HOME= cargo clean` once deleted projects), also for HOME, where os.homedir() takes it. */
export function surroundings(env: NodeJS.ProcessEnv): Surroundings {
  return { home: env.HOME || userInfo().homedir, workspace: env.GITHUB_WORKSPACE || undefined };
}

export function expandHome(path: string, { home }: Surroundings): string {
  return path === '~' || path.startsWith('~/') ? join(home, path.slice(1)) : path;
}

/**
 * The real path of a folder that may be cleaned; undefined when there is none.
 *
 * @throws ExpectedError when it is a folder that is no cache by its place alone, whatever is in it
 */
export function cacheFolder(what: string, given: string, around: Surroundings): string | undefined {
  const path = normalize(expandHome(given, around));
  let real: string;
  try {
    real = realpathSync(path);
    if (!lstatSync(real).isDirectory()) throw new Error('it is not a folder');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ExpectedError(`${what} ${path} cannot be used: ${messageOf(error)}.`, 'Nothing was touched.', '');
  }
  // The runner keeps this job's workspace in its folder, beside those of dead jobs: which of them may go is told one by one.
  const inThere = what === 'runner-dir' && around.workspace && isBelow(realOr(around.workspace), real);
  const problem = whyNoCache(real, inThere ? { home: around.home } : around);
  if (!problem) return real;
  throw new ExpectedError(`${what} ${path} is no cache: ${problem}.`, 'Nothing was touched.', `Correct ${what}.`);
}

/** Why a folder can be no cache, by its place; undefined when it can. `real` is a real path. */
export function whyNoCache(real: string, around: Surroundings): string | undefined {
  const home = around.home && realOr(around.home);
  const workspace = around.workspace && realOr(around.workspace);
  // Many of them are links to others: /bin to /usr/bin.
  if (real === '/' || sacred.some((folder) => real === folder || real === realOr(folder)))
    return 'it belongs to the system';
  if (home && (real === home || isBelow(home, real))) return 'it is the home folder, or contains it';
  if (workspace && (real === workspace || isBelow(workspace, real)))
    return "it is this job's workspace, or contains it";
  return undefined;
}

/** The real path; the path itself where there is none. */
export function realOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/**
 * Whether a path below a real one lies where it says: with a symbolic link on its way, what is moved is somebody else's.
 * `known`: answers by folder, for as long as they may be taken for true.
 */
export function liesThere(path: string, known: Map<string, boolean>): boolean {
  const folder = path.slice(0, path.lastIndexOf('/')) || '/'; // of a real path; dirname takes longer than all the rest
  let answer = known.get(folder);
  if (answer === undefined) {
    try {
      answer = realpathSync(folder) === folder;
    } catch {
      answer = false;
    }
    known.set(folder, answer);
  }
  return answer;
}

/** First bytes of a CACHEDIR.TAG, from https://bford.info/cachedir/. */
const SIGNATURE = 'Signature: 8a477f597d28d172789f06886806bc55';

/** Whether cargo made this folder as a target: it carries cargo's tag, and cargo's note about the compiler. */
export function isTarget(folder: string): boolean {
  try {
    const tag = join(folder, 'CACHEDIR.TAG');
    return (
      lstatSync(tag).isFile() &&
      readStart(tag, SIGNATURE.length) === SIGNATURE &&
      lstatSync(join(folder, '.rustc_info.json')).isFile()
    );
  } catch {
    return false;
  }
}
