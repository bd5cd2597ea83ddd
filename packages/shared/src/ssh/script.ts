import { randomBytes } from 'node:crypto';
import type { ClientChannel } from 'ssh2';
import { ExpectedError } from '../errors.js';
import type { Link } from './link.js';
import { type CommandResult, result } from './live-command.js';
import { shellQuote } from './quote.js';

export interface ScriptOptions {
  /** They become $1, $2, ... */
  args?: string[];
  /** Default: 2 minutes. The script and all it started are then killed. */
  timeoutMs?: number;
  /** Of stdout, and again of stderr; the rest is cut. Default: 8 MiB. */
  maxBytes?: number;
}

/** Bytes a login shell may print before our mark. */
const MOST_NOISE = 64 * 1024;

/** Starts a command on the target; `listen` gets its channel before anything can have come out of it. */
export type Exec = <T>(command: string, listen: (channel: ClientChannel) => T) => Promise<T>;

/** Kills a process and everything below it, stopping each first so that it cannot start more. $1: process id. */
const killTree = `
fell() {
  kill -STOP "$1" 2>/dev/null
  for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do fell "$child"; done
  kill -KILL "$1" 2>/dev/null
}
fell "$1"`;

/**
 * Runs a POSIX sh script over a fresh channel. Script and arguments travel over stdin, so nothing of them is in the
 * target's process list, and a command in the script that reads stdin finds it empty.
 *
 * @throws ConnectionLost; ExpectedError when it takes longer than timeoutMs
 */
export async function runScript(
  link: Link,
  exec: Exec,
  sh: string,
  { args = [], timeoutMs = 120_000, maxBytes = 8 * 1024 * 1024 }: ScriptOptions = {},
): Promise<CommandResult> {
  if ([sh, ...args].some((text) => text.includes('\0'))) throw new TypeError('a shell script cannot contain a NUL');
  // The shell first prints its process id behind a mark. It is needed to kill the script, since sshd leaves a script
  // without a terminal running when its channel closes; and what a talking .bashrc printed before it can be cut off.
  const mark = randomBytes(8).toString('hex');
  let head = '';
  const { channel, ended } = await exec(`/bin/sh -c 'echo ${mark} $$; eval "$(cat)"'`, (channel) => {
    channel.on('data', (chunk: Buffer) => {
      if (head.length < MOST_NOISE) head += chunk.toString('latin1');
    });
    return { channel, ended: result(channel, { stdout: maxBytes + MOST_NOISE, stderr: maxBytes }) };
  });
  // The shell reads to the closing brace before it runs anything: of a script that a lost link cuts short, nothing runs.
  channel.end(`set -- ${args.map(shellQuote).join(' ')}\n{ :\n${sh}\n}\n`);

  const late = new Error('too late');
  let all: CommandResult;
  try {
    all = await link.during<CommandResult>(
      timeoutMs,
      () => late,
      (resolve) => {
        void ended.then((value) => {
          // A lost link closes the channel as well; then the rejection comes from the link.
          if (value.code !== null || value.signal !== null || !link.lost) resolve(value);
        });
        return () => {};
      },
    );
  } catch (error) {
    if (error !== late) throw error;
    // Before it is told: whoever hears of it may close the connection.
    const killed = await kill(link, exec, new RegExp(`${mark} (\\d+)\\n`).exec(head)?.[1]);
    channel.destroy();
    throw new ExpectedError(
      `A script on ${link.address} did not end within ${timeoutMs / 1000} s and ${killed ? 'was killed' : 'could not be killed'}.`,
      killed ? '' : 'It may still be running.',
      'See whether the host is overloaded.',
    );
  }
  // A server that runs a command of its own in its place (ForceCommand) may well report that one as a success.
  if (all.code === 0 && !head.includes(mark)) {
    throw new ExpectedError(
      `A script on ${link.address} did not run: the server ran something else in its place.`,
      '',
      'Check ForceCommand in sshd_config and command= in authorized_keys.',
    );
  }
  return { ...all, stdout: cut(behind(all.stdout, mark), maxBytes) };
}

/** Never throws, and ends in time even on a host that does not answer. Whether the script is dead now. */
async function kill(link: Link, exec: Exec, pid: string | undefined): Promise<boolean> {
  if (!pid) return false;
  try {
    const ended = await exec(`/bin/sh -c ${shellQuote(`set -- ${pid}${killTree}`)}`, (channel) => ({
      result: result(channel.end(), { stdout: 0, stderr: 0 }),
    }));
    const late = () => new Error('too late');
    await link.during<CommandResult>(10_000, late, (resolve) => {
      void ended.result.then(resolve);
      return () => {};
    });
    return true;
  } catch {
    return false; // no session is free for it (MaxSessions), the host does not answer, or the link is lost
  }
}

function behind(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at < 0 ? text : text.slice(text.indexOf('\n', at) + 1);
}

function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  return bytes.length <= maxBytes ? text : bytes.subarray(0, maxBytes).toString('utf8');
}
