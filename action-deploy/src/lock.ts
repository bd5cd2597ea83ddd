import { posix } from 'node:path';
import { formatDuration } from '@gbo/shared/duration';
import { ExpectedError } from '@gbo/shared/errors';
import type { Connection, LiveCommand } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import * as layout from './layout.js';
import { nextWord } from './next-word.js';

/** The holder on the target hears a heartbeat this often, and gives up after `PATIENCE_S` without one. */
const HEARTBEAT_MS = 5000;
const PATIENCE_S = 30;
const NOTICE_MS = 60_000;
/** Begins each line of the holder, to tell them from what a talking login shell printed. */
const SAYS = 'gbo-lock:';

/** A lock on a target that the kernel frees when its holder dies, whatever the reason (flock(2)). */
export interface Lock {
  /** Resolves with the reason when the lock is lost without having been released. */
  readonly lost: Promise<string>;
  readonly held: boolean;
  release(): Promise<void>;
}

/**
 * The holder: a process on the target with the lock on a file descriptor, fed with heartbeats over its stdin.
 * When they end without a farewell, the deployer is gone: it undoes what is armed before it lets the lock go.
 */
export function holderScript(stateDir: string, waitSeconds: number): string {
  const lock = q(layout.lockFile(stateDir));
  const holder = q(layout.holderFile(stateDir));
  // Children get descriptor 9 closed: a child that outlives the holder must not keep the lock.
  return `umask 077; ${layout.makeFolders([posix.dirname(stateDir)], [`${stateDir}/undo`])} || exit 73
exec 9>>${lock} || exit 73
echo
if ! flock -n 9; then
  echo "${SAYS}busy $(tail -n 1 ${holder} 2>/dev/null 9>&-)"
  flock -w ${waitSeconds} 9 || { echo ${SAYS}timeout; exit 75; }
fi
who=$(timeout ${PATIENCE_S} sed -u 1q 9>&-) && [ -n "$who" ] || exit 1
printf "%s\\n" "$who" > ${holder}
echo ${SAYS}locked
farewell=
while beat=$(timeout ${PATIENCE_S} dd bs=1 count=1 2>/dev/null 9>&-) && [ -n "$beat" ]; do
  if [ "$beat" = q ]; then farewell=yes; break; fi
done
: > ${holder}
[ -z "$farewell" ] || exit 0
cd ${q(`${stateDir}/undo`)} || exit 1
for armed in *.armed; do
  [ ! -e "$armed" ] || sh "\${armed%.armed}.sh" lost-contact > last.log 2>&1 9>&-
done`;
}

export interface LockRequest {
  stateDir: string;
  waitMs: number;
  /** One line that tells others who holds it. */
  who: string;
  onBusy(holder: string): void;
  signal: AbortSignal;
}

/** @throws ExpectedError when it is held longer than `waitMs`, or the state folder cannot be written. */
export async function acquire(connection: Connection, request: LockRequest): Promise<Lock> {
  const { stateDir, waitMs, who, signal } = request;
  signal.throwIfAborted();
  const command = await connection.start(`/bin/sh -c ${q(holderScript(stateDir, Math.ceil(waitMs / 1000)))}`);
  command.write(`${who.replaceAll(/[\r\n]/g, ' ')}\n`);
  const beat = setInterval(() => command.write('.'), HEARTBEAT_MS);
  try {
    await untilLocked(command, request);
  } catch (error) {
    clearInterval(beat);
    command.write('q');
    command.end();
    throw error;
  }
  let released = false;
  let ended = false;
  const lost = new Promise<string>((resolve) => {
    void command.exited.then(({ stderr }) => {
      clearInterval(beat);
      ended = true;
      if (!released) resolve(`the lock on the target was lost${stderr ? ` (${stderr.trim()})` : ''}`);
    });
  });
  return {
    lost,
    get held() {
      return !released && !ended;
    },
    async release() {
      released = true;
      clearInterval(beat);
      command.write('q');
      command.end();
      await command.exited;
    },
  };
}

async function untilLocked(command: LiveCommand, { waitMs, stateDir, onBusy, signal }: LockRequest): Promise<void> {
  // Time for the target to answer at all, beyond the wait for the lock.
  const answerMs = 15_000;
  signal.throwIfAborted();
  const cancelled = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  cancelled.catch(() => {});
  let line = await Promise.race([nextWord(command, SAYS, answerMs), cancelled]);
  const holder = line?.startsWith('busy') ? line.slice('busy '.length) || 'somebody unnamed' : undefined;
  if (holder) {
    onBusy(holder);
    const notice = setInterval(() => onBusy(holder), NOTICE_MS);
    try {
      line = await Promise.race([nextWord(command, SAYS, waitMs + answerMs), cancelled]);
    } finally {
      clearInterval(notice);
    }
  }
  if (line === 'locked') return;
  if (holder) {
    throw new ExpectedError(
      `The target is locked by ${holder} and stayed so for ${formatDuration(waitMs)}.`,
      'Nothing was touched.',
      'Wait for that run to end, or raise lock-wait.',
    );
  }
  const { code, stderr } = await command.exited;
  throw new ExpectedError(
    `The lock in ${stateDir} could not be taken: ${stderr.trim() || `exit status ${code}`}.`,
    'Nothing was touched.',
    'Make the folder writable for the user who deploys.',
  );
}
