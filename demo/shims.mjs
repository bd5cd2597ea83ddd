import { spawnSync } from 'node:child_process';
import { constants, mkdirSync, openSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const programs = ['systemctl', 'systemd-run', 'journalctl', 'logger'];

/** Between the words of a question; it comes in no command line of a deploy. */
const UNIT_SEPARATOR = '\x1f';

/** What a pipe holds (pipe(7)); an answer is written in one go. */
const LONGEST_ANSWER = 60_000;

/**
 * Makes a folder of programs for the front of PATH, which hand their command line to `run` and print its answer.
 * Named pipes and plain sh, because a node in their place would take longer to start than systemctl takes to answer.
 */
export function makeShims(folder, run) {
  const bin = join(folder, 'bin');
  const questions = join(folder, 'questions');
  mkdirSync(bin, { recursive: true });
  const { status, error } = spawnSync('mkfifo', ['-m', '600', questions]);
  if (status !== 0) throw new Error(`mkfifo failed in ${folder}: ${error?.message ?? `status ${status}`}`);
  writeFileSync(join(bin, '.ask'), shim(folder, questions), { mode: 0o755 });
  for (const program of programs) symlinkSync('.ask', join(bin, program));
  writeFileSync(join(bin, 'sudo'), sudo, { mode: 0o755 });
  // Opened for writing too, or it would end with its first writer.
  const socket = new Socket({ fd: openSync(questions, constants.O_RDWR | constants.O_NONBLOCK), writable: false });
  createInterface({ input: socket }).on('line', (line) => void answer(line, run));
  return { bin, close: () => socket.destroy() };
}

async function answer(line, run) {
  const [reply, program, ...args] = line.split(UNIT_SEPARATOR).slice(0, -1);
  const { code, out, err } = await run(program, args).catch((error) => ({ code: 1, out: '', err: error.message }));
  const marked = (mark, text) => (text ? text.split('\n').map((row) => `${mark}${row}\n`) : []);
  const rows = `${[...marked('o', out), ...marked('e', err)].join('').slice(0, LONGEST_ANSWER)}\nx${code}\n`;
  try {
    const pipe = await open(reply, constants.O_WRONLY | constants.O_NONBLOCK);
    unlinkSync(reply);
    await pipe.write(rows);
    await pipe.close();
  } catch {
    // Whoever asked has gone.
  }
}

const shim = (folder, questions) => `#!/bin/sh
# Asks the demo's service manager, in the place of the program of this name.
reply='${folder}'/reply.$$
mkfifo -m 600 "$reply" || exit 1
exec 3<>"$reply"
# One write, which the kernel does not mix with those of others up to 4096 bytes (pipe(7)).
question=$(printf '%s\\037' "$reply" "\${0##*/}" "$@")
printf '%s\\n' "$question" > '${questions}'
while IFS= read -r row <&3; do
  case $row in
    o*) printf '%s\\n' "\${row#o}" ;;
    e*) printf '%s\\n' "\${row#e}" >&2 ;;
    x*) exit "\${row#x}" ;;
  esac
done
`;

const sudo = `#!/bin/sh
# The target has one user, who owns all of it: everything is allowed, and runs as that user.
[ "$1" != -n ] || shift
[ "$1" != -l ] || exit 0
exec "$@"
`;
