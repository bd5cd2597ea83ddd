import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { Client, SFTPWrapper } from 'ssh2';
import { dialThrough } from './dial.js';
import type { Endpoint } from './endpoint.js';
import { ask, type Hop, reach } from './hop.js';
import type { HostKeySeen } from './host-key.js';
import { Link } from './link.js';
import { type CommandResult, type LiveCommand, liveCommand } from './live-command.js';
import { type Exec, runScript, type ScriptOptions } from './script.js';

export { ConnectionLost, ForwardRefused, HostKeyRefused, Unreachable } from './connection-errors.js';
export type { CommandResult, Endpoint, HostKeySeen, LiveCommand, ScriptOptions };

export interface ConnectOptions {
  /** Servers on the way, in the order of travel. */
  jumps?: Endpoint[];
  /** For each server: TCP, key exchange and login. Default: 20 s. */
  connectTimeoutMs?: number;
  /** For each server, while no SSH conversation came about. Default: 4. */
  attempts?: number;
  /** Time between questions whether the other side is still there; dead after 3 without an answer. Default: 10 s. */
  keepaliveMs?: number;
  /** Retries and warnings, one line each. */
  log?: (line: string) => void;
  /** Cancels connecting. An open connection stays open, since there may be something to undo over it. */
  signal?: AbortSignal;
}

/** An SSH connection to the target. Nothing here waits for ever, and a lost link never ends the process. */
export interface Connection {
  readonly endpoint: Endpoint;
  /** One for each server on the way, the target's last. */
  readonly hostKeys: readonly HostKeySeen[];
  /**
   * Time of one question and answer between the two SSH ends, in ms: the better of two, taken when it is first asked for.
   *
   * @throws ConnectionLost, ExpectedError
   */
  roundTrip(): Promise<number>;
  /**
   * Runs a POSIX sh script on the target. Script and arguments travel over stdin and are in no process list; the
   * script's own stdin is empty. Resolves with any exit code: success is `code === 0` and nothing else.
   *
   * @throws ConnectionLost; ExpectedError after timeoutMs, with the script and all it started killed
   */
  script(sh: string, options?: ScriptOptions): Promise<CommandResult>;
  /** Starts a command through the user's login shell, with its stdin open. @throws ConnectionLost, ExpectedError */
  start(command: string): Promise<LiveCommand>;
  /** A new SFTP session; `end()` it after use. @throws ConnectionLost, ExpectedError */
  sftp(): Promise<SFTPWrapper>;
  /** TCP from the target's side. @throws ForwardRefused (with the server's reason code), ConnectionLost, Unreachable */
  forward(host: string, port: number): Promise<Duplex>;
  /** Resolves when the connection has ended, with a ConnectionLost unless `close` was called. */
  readonly closed: Promise<Error | undefined>;
  close(): void;
}

/** Time for the server to open a channel or answer a question. */
const ANSWER_MS = 30_000;

/**
 * Logs in to `endpoint`, over the jump hosts if there are any; each server is verified against its own name.
 *
 * @throws Unreachable, HostKeyRefused, ForwardRefused (by a jump host), ConnectionLost (to a jump host), ExpectedError
 * (login refused, unreadable known_hosts, cancelled)
 */
export async function connect(endpoint: Endpoint, options: ConnectOptions = {}): Promise<Connection> {
  const { jumps = [], connectTimeoutMs = 20_000, attempts = 4, keepaliveMs = 10_000, log = () => {}, signal } = options;
  const hops: Hop[] = [];
  try {
    for (const server of [...jumps, endpoint].map(withoutBrackets)) {
      hops.push(await reach(server, hops.at(-1), { connectTimeoutMs, attempts, keepaliveMs, log, signal }));
    }
    const target = hops.at(-1) as Hop;
    const link = new Link(target.endpoint, target.end);
    return connection(hops, link);
  } catch (error) {
    hangUp(hops);
    throw error;
  }
}

function withoutBrackets(endpoint: Endpoint): Endpoint {
  return { ...endpoint, host: endpoint.host.replace(/^\[(.*)\]$/, '$1') };
}

function connection(hops: Hop[], link: Link): Connection {
  let measured: Promise<number> | undefined;
  const { client, endpoint } = hops.at(-1) as Hop;
  const exec: Exec = (command, listen) =>
    session(() =>
      link.answer('Starting a command', ANSWER_MS, (done, late) => {
        client.exec(command, (error, channel) => {
          for (const hop of hops) hop.calm();
          if (error) done(error);
          else if (late()) channel.destroy();
          // At once: the exit code of a short command comes in the same packet, and nobody may be listening later.
          else done(undefined, listen(channel));
        });
      }),
    );
  return {
    endpoint,
    hostKeys: hops.map((hop) => hop.hostKey),
    roundTrip: () => {
      measured ??= roundTrip(client, link);
      return measured;
    },
    script: (sh, scriptOptions) => runScript(link, exec, sh, scriptOptions),
    start: (command) => exec(command, (channel) => liveCommand(link, channel)),
    sftp: () =>
      session(() =>
        link.answer('Starting SFTP', ANSWER_MS, (done, late) => {
          client.sftp((error, sftp) => {
            if (error) done(error);
            else if (late()) sftp.end();
            // A broken answer would otherwise end the process; the requests that wait are failed by ssh2.
            else
              done(
                undefined,
                sftp.on('error', () => {}),
              );
          });
        }),
      ),
    forward: async (host, port) => {
      if (link.lost) throw link.lost;
      return dialThrough(client, endpoint, host, port, ANSWER_MS);
    },
    closed: link.closed,
    close: () => {
      link.closing();
      hangUp(hops);
    },
  };
}

/**
 * Opens a session, with a second try: sshd counts one that has just been closed until it has worked off all that came
 * in the same packet, and where MaxSessions is small that one may be in the way of the next.
 */
async function session<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    // Only a channel that was not opened has a reason code.
    const { cause } = error as { cause?: { reason?: unknown } };
    if (typeof cause?.reason !== 'number') throw error;
    await pause(50);
    return open();
  }
}

/** The better of two questions and answers, in ms. */
async function roundTrip(client: Client, link: Link): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 2; i++) {
    const start = performance.now();
    await link.answer<void>('An SSH ping', ANSWER_MS, (done) => ask(client, () => done(undefined, undefined)));
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** Says goodbye from the target back to the first server; cuts what has not ended after a second. */
function hangUp(hops: Hop[]): void {
  for (const { client } of hops.toReversed()) client.end();
  setTimeout(() => {
    for (const { socket } of hops.toReversed()) socket.destroy();
  }, 1000).unref();
}
