import type { FileHandle } from 'node:fs/promises';
import { setImmediate as soon } from 'node:timers/promises';
import type { CommandResult, Connection, LiveCommand } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import { readWhole } from './local-file.js';
import { nextWord } from './next-word.js';
import { WINDOW } from './part-file.js';
import type { UploadOptions } from './upload.js';
import type { UploadWatch } from './upload-watch.js';

/** Begins the line that tells where to go on, and ends what a talking login shell printed to stderr. */
const SAYS = 'gbo-upload:';

/**
 * Read from the disk and handed to the channel at once: smaller pieces cost more than they are worth. On a link so slow
 * that one takes stallMs (17 kB/s), an upload is taken for stalled.
 */
const PIECE = 512 * 1024;

const ANSWER_MS = 30_000;

/**
 * Uploads as the stdin of one dd on the target. On a fast link SSH is bound by the processor, and there this takes an
 * eighth less time than SFTP, which copies every byte once more on both sides and asks for an answer to each write. Each
 * byte has its place, so that a dd which outlives its link writes nothing wrong into what the next one makes.
 *
 * @throws ExpectedError
 */
export async function asStream(to: {
  connection: Connection;
  options: UploadOptions;
  file: FileHandle;
  watch: UploadWatch;
}): Promise<void> {
  const { connection, options, file, watch } = to;
  const command = await connection.start(`/bin/sh -c ${q(script(options))}`);
  const checking = setInterval(lookAt(command, watch), watch.stallMs / 5);
  const stop = () => {
    clearInterval(checking);
    command.destroy();
  };
  watch.over.addEventListener('abort', stop, { once: true });
  if (watch.over.aborted) stop();
  try {
    const begin = await nextWord(command, SAYS, ANSWER_MS);
    if (begin !== null) {
      watch.resumeFrom(Number(begin));
      if (await feed(command, options, file, watch, Number(begin))) command.end();
    }
    const ended = await command.exited;
    if (begin === null || ended.code !== 0) throw await whatFailed(ended, watch);
  } finally {
    stop();
  }
}

/**
 * GNU dd says a failed write by its reason, which SFTP does not: it has one number for a full and a read-only disk.
 * One line, since csh as a login shell ends a quoted word at a newline.
 */
function script({ to, size }: UploadOptions): string {
  const path = q(to);
  return [
    'umask 077; LC_ALL=C; export LC_ALL',
    `echo; echo ${SAYS} >&2`,
    `size=$(stat -Lc %s -- ${path} 2>/dev/null) || size=0`,
    `if [ "$size" -gt ${size} ]; then : > ${path} && size=0 || exit 1; fi`,
    `from=$((size > ${WINDOW} ? size - ${WINDOW} : 0))`,
    `echo ${SAYS}$from`,
    `exec dd of=${path} bs=256K oflag=seek_bytes seek=$from conv=notrunc status=none`,
  ].join('; ');
}

/** Whether all bytes from `begin` on were taken; false when the command has ended before, or nobody waits any more. */
async function feed(
  command: LiveCommand,
  { from, size }: UploadOptions,
  file: FileHandle,
  watch: UploadWatch,
  begin: number,
): Promise<boolean> {
  // One is sent while the other is filled.
  const buffers = [0, 1].map(() => Buffer.allocUnsafeSlow(Math.min(PIECE, Math.max(1, size - begin))));
  const read = async (offset: number, turn: number): Promise<Buffer> => {
    const bytes = (buffers[turn % 2] as Buffer).subarray(0, Math.max(0, size - offset));
    await readWhole(file, from, bytes, offset);
    return bytes;
  };
  let next = read(begin, 0);
  for (let offset = begin, turn = 1; offset < size; turn++) {
    const bytes = await next;
    offset += bytes.length;
    next = read(offset, turn);
    next.catch(() => {}); // it is told when it is waited for
    if (!(await command.feed(bytes)) || watch.over.aborted) return false;
    watch.moved(bytes.length);
  }
  return true;
}

/** A slow disk takes what is already on the way without a word from us, but not without an answer to us. */
function lookAt(command: LiveCommand, watch: UploadWatch): () => void {
  let before = command.window;
  return () => {
    if (command.window !== before) watch.alive();
    before = command.window;
  };
}

async function whatFailed({ code, signal, stderr: all }: CommandResult, watch: UploadWatch): Promise<Error> {
  // When it went with the link, the link's own error comes first.
  await soon();
  // What a login shell complained of before has nothing to do with it.
  const stderr = all.split(`${SAYS}\n`).at(-1) ?? '';
  const cause = new Error(stderr.trim() || `exit status ${code}`);
  if (/: No such file or directory/.test(stderr)) {
    return watch.problem('failed: its folder does not exist', 'Create it, or correct the path.', cause);
  }
  if (/: Permission denied/.test(stderr)) {
    return watch.problem('failed: permission denied', 'Let the user write to that folder.', cause);
  }
  const reason = stderr.trim().split('\n').at(-1)?.split(': ').at(-1);
  if (reason) {
    const todo = 'Check free space, quota and whether the file system is writable.';
    return watch.problem(`failed: ${reason}`, todo, cause);
  }
  if (code === 0) {
    const todo = 'Check ForceCommand in sshd_config and command= in authorized_keys.';
    return watch.problem('failed: the server ran something else in its place', todo, cause);
  }
  const end = signal ? `was ended by ${signal}` : `ended with exit status ${code}`;
  return watch.problem(`failed: dd on the host ${end}`, 'See the log of the host.', cause);
}
