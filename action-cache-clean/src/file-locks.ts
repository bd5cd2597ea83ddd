import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExpectedError } from '@gbo/shared/errors';
import { statOf } from './disk-usage.js';

export interface LockFile {
  path: string;
  /** Whether it may be made when it is not there. One that is missing and may not be made guards nothing. */
  create: boolean;
}

export interface HeldLocks {
  /** Resolves when the kernel has let go of them. */
  release(): Promise<void>;
}

/** flock(1)'s exit code for a lock that somebody else holds. */
const BUSY = 75;
/** Between two tries. A try takes some ms of another process, and a build is waiting for nothing meanwhile. */
const PAUSE_MS = 50;

/**
 * Holds exclusive flock(2) locks, as cargo takes them, in the order given. All or none: while one is busy, none is held. Node
 * has no flock, so flock(1) holds them in a child that ends when we do, however that is: its stdin closes.
 *
 * @returns undefined when they were busy until `waitMs` had passed
 * @throws ExpectedError without flock(1), or when a lock file cannot be opened or is none
 */
export async function hold(files: LockFile[], waitMs: number, signal?: AbortSignal): Promise<HeldLocks | undefined> {
  const paths = files.filter(({ path, create }) => create || existsSync(path)).map(({ path }) => path);
  if (paths.length === 0) return { release: async () => {} };
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
  const chain = paths.flatMap((path) => ['flock', '-n', '-x', '-E', String(BUSY), path]);
  const [program = '', ...args] = [...chain, 'sh', '-c', 'echo; exec cat'];
  // Not our whole environment: the inputs are in it, and others can read in /proc what a flock of theirs has.
  const { env } = process;
  const child = spawn(program, args, { env: { PATH: env.PATH, LC_ALL: 'C' }, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {});
  let trouble = '';
  child.stderr.on('data', (chunk: Buffer) => {
    trouble += chunk.toString();
  });
  const ended = once(child, 'close').then(
    ([code]) => code as number | null,
    (error: NodeJS.ErrnoException) => error,
  );
  const held = await Promise.race([once(child.stdout, 'data').then(() => true), ended]);
  if (held === true) {
    return {
      release: async () => {
        child.stdin.end();
        await ended;
      },
    };
  }
  if (held === BUSY) return undefined;
  if (held instanceof Error) {
    throw new ExpectedError(
      'The program flock is not there.',
      'Nothing was removed.',
      'Install util-linux on the runner.',
      { cause: held },
    );
  }
  throw new ExpectedError(`A lock could not be taken: ${trouble.trim() || `flock ended with ${held}`}.`, '', '');
}
