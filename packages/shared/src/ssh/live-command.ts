import { StringDecoder } from 'node:string_decoder';
import type { ClientChannel } from 'ssh2';
import { ExpectedError } from '../errors.js';
import type { Link } from './link.js';

export interface CommandResult {
  /** Exit code; null when it was ended by a signal or nobody knows. */
  code: number | null;
  /** `SIGKILL`, ...; null when it was not ended by a signal. */
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** A command that is talked to while it runs. */
export interface LiveCommand {
  /**
   * Resolves to the next complete line of stdout without its newline, or null at the end. Rejects with ConnectionLost,
   * and with ExpectedError after `timeoutMs`; the line is then there for the next call.
   * One call at a time.
   */
  nextLine(timeoutMs: number): Promise<string | null>;
  /** Writes to its stdin. */
  write(text: string): void;
  /**
   * Writes to its stdin. Resolves when the buffer may be used again: true when its bytes are on the way, no further ahead
   * of the command than the server's window for the channel; false when the command has ended or been given up. One call
   * at a time.
   */
  feed(bytes: Uint8Array): Promise<boolean>;
  /** Bytes of stdin the server would take now. It grows when the command has read some. */
  readonly window: number;
  /** Closes its stdin. */
  end(): void;
  /** Gives it up: what it has not read yet is thrown away, its stdin is closed, and what it prints is not waited for. */
  destroy(): void;
  /** Never rejects; stdout there is ''. Code and signal are null when the link was lost. */
  readonly exited: Promise<CommandResult>;
}

/** Lines nobody has asked for yet; beyond it (characters) new output is dropped, so a chatty command cannot fill memory. */
const MOST_UNREAD = 1024 * 1024;
const MOST_STDERR = 64 * 1024;

/** Wraps a channel on which a command has just been started. */
export function liveCommand(link: Link, channel: ClientChannel): LiveCommand {
  const lines: string[] = [];
  let unread = 0;
  let partial = '';
  let over = false;
  let known = false;
  let wake = () => {};
  let givenUp = false;
  let refuse = () => {};
  const decoder = new StringDecoder('utf8');
  channel.on('data', (chunk: Buffer) => {
    if (unread + partial.length > MOST_UNREAD) return;
    const parts = (partial + decoder.write(chunk)).split('\n');
    partial = parts.pop() ?? '';
    lines.push(...parts);
    for (const line of parts) unread += line.length;
    if (parts.length > 0) wake();
  });
  const exited = result(channel, { stdout: 0, stderr: MOST_STDERR }).then((ended) => {
    over = true;
    known = ended.code !== null || ended.signal !== null;
    wake();
    refuse();
    return ended;
  });

  const take = (): { line: string | null } | undefined => {
    const line = lines.shift();
    if (line !== undefined) {
      unread -= line.length;
      return { line };
    }
    return over ? { line: null } : undefined;
  };
  // Its end is not known, because the link was lost; then the rejection comes from the link.
  const cutOff = () => !known && link.lost !== undefined;
  const nextLine = async (timeoutMs: number): Promise<string | null> => {
    const there = take();
    if (there && !(there.line === null && cutOff())) return there.line;
    const late = () =>
      new ExpectedError(
        `A command on ${link.address} said nothing for ${timeoutMs / 1000} s.`,
        '',
        'See whether the host is overloaded.',
      );
    return link.during<string | null>(timeoutMs, late, (resolve) => {
      wake = () => {
        const next = take();
        if (!next || (next.line === null && cutOff())) return;
        wake = () => {}; // more lines may come before this one has reached who waits
        resolve(next.line);
      };
      return () => {
        wake = () => {};
      };
    });
  };
  return {
    nextLine,
    write: (text) => void channel.write(text),
    feed: (bytes) =>
      new Promise((resolve) => {
        refuse = () => resolve(false);
        // A channel that has been closed never calls back.
        if (over || givenUp) refuse();
        else channel.write(bytes, () => resolve(true));
      }),
    get window() {
      // Nothing public tells it; the package is pinned to one version.
      return (channel as unknown as { outgoing: { window: number } }).outgoing.window;
    },
    end: () => void channel.end(),
    destroy() {
      givenUp = true;
      refuse();
      channel.destroy();
    },
    exited,
  };
}

/**
 * Collects what a command prints, up to that many bytes of each stream, and waits until its channel is closed. Never
 * rejects. A lost link gives code and signal null, as does a server that tells neither.
 */
export function result(channel: ClientChannel, most: { stdout: number; stderr: number }): Promise<CommandResult> {
  const stdout = collect(channel, most.stdout);
  const stderr = collect(channel.stderr, most.stderr);
  let code: number | null = null;
  let signal: string | null = null;
  channel.on('error', () => {});
  channel.on('exit', (exitCode: number | null, signalName?: string) => {
    code = exitCode ?? null;
    signal = signalName ?? null;
  });
  return new Promise((resolve) => {
    // stderr may hand over its last bytes just after stdout has ended.
    channel.on('close', () => setImmediate(() => resolve({ code, signal, stdout: stdout(), stderr: stderr() })));
  });
}

function collect(stream: NodeJS.ReadableStream, most: number): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    // What is too much is still read, or the command would block on a full pipe.
    const kept = chunk.subarray(0, Math.max(0, most - bytes));
    bytes += kept.length;
    if (kept.length > 0) chunks.push(kept);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
