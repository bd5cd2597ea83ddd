import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { statOf } from './disk-usage.js';

export interface LockFile {
  path: string;
  /** Whether it may be made when it is not there. One that is missing and may not be made guards nothing. */
  create: boolean;
}

export interface HeldLocks {
  /** Lets go of them, at once. */
  release(): void;
}

/** flock(1)'s exit code for a lock that somebody else holds. */
const BUSY = 75;
/** A shell's exit code for a program that is not there. */
const NOT_FOUND = 127;
/** Between two tries. A try takes some ms of another process, and a build is waiting for nothing meanwhile. */
const PAUSE_MS = 50;
/** The number that the first lock file has in the shell; the others follow. */
const FIRST_FD = 3;

/**
 * Holds exclusive flock(2) locks, as cargo takes them, in the order given. All or none: while one is busy, none is held. Node
 * has no flock, but a lock belongs to the open file, not to the process: flock(1) takes it on a file that we have opened, and
 * it is ours until we close that file, or end, however that is. No process has to start or end while cargo waits.
 *
 * @returns undefined when they were busy until `waitMs` had passed
 * @throws ExpectedError without flock(1), or when a lock file cannot be opened or is none
 */
export async function hold(files: LockFile[], waitMs: number, signal?: AbortSignal): Promise<HeldLocks | undefined> {
  const paths = files.filter(({ path, create }) => create || existsSync(path)).map(({ path }) => path);
  if (paths.length === 0) return { release: () => {} };
  for (const path of paths) {
    // Opening a pipe waits for ever, and a dangling link would make a file where it leads to.
    const stat = statOf(path);
    if (stat && !stat.isFile()) throw new ExpectedError(`The lock ${path} is no regular file.`, '', '');
  }
  // A loop of ours: flock's own --timeout would wait for the second lock while it holds the first.
  for (const end = Date.now() + waitMs; ; ) {
    const held = await tryOnce(paths);
    if (held) return held;
    if (Date.now() >= end || signal?.aborted) return undefined;
    await sleep(Math.min(PAUSE_MS, Math.max(1, end - Date.now())));
  }
}

async function tryOnce(paths: string[]): Promise<HeldLocks | undefined> {
  const opened: number[] = [];
  const release = () => {
    for (const fd of opened.splice(0)) closeSync(fd);
  };
  let locked = false;
  try {
    for (const path of paths) opened.push(open(path));
    locked = await lockAll(opened);
  } finally {
    if (!locked) release();
  }
  return locked ? { release } : undefined;
}

function open(path: string): number {
  const flags = constants.O_CREAT | constants.O_NOFOLLOW;
  try {
    try {
      return openSync(path, constants.O_RDWR | flags);
    } catch {
      return openSync(path, constants.O_RDONLY | flags); // one that we may only read can be locked all the same
    }
  } catch (error) {
    throw notTaken(messageOf(error), error);
  }
}

/** @returns false when one of them is busy; then those before it are locked */
async function lockAll(opened: number[]): Promise<boolean> {
  // Not our whole environment: the inputs are in it, and others can read in /proc what a flock of theirs has.
  const { env } = process;
  const numbers = opened.map((_, index) => String(FIRST_FD + index));
  const loop = `for fd; do flock -n -x -E ${BUSY} "$fd" || exit; done`;
  const child = spawn('/bin/sh', ['-c', loop, 'sh', ...numbers], {
    env: { PATH: env.PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe', ...opened],
  });
  let trouble = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    trouble += chunk.toString();
  });
  const [code] = await once(child, 'close').catch((error: unknown) => {
    throw notTaken(messageOf(error), error);
  });
  if (code === 0) return true;
  if (code === BUSY) return false;
  if (code === NOT_FOUND) {
    throw new ExpectedError(
      'The program flock is not there.',
      'Nothing was removed.',
      'Install util-linux on the runner.',
    );
  }
  throw notTaken(trouble.trim() || `flock ended with ${code}`);
}

function notTaken(reason: string, cause?: unknown): ExpectedError {
  return new ExpectedError(`A lock could not be taken: ${reason}.`, '', '', { cause });
}
