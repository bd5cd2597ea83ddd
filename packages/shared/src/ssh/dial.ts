import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import { messageOf } from '../errors.js';
import { ConnectionLost, ForwardRefused, Unreachable } from './connection-errors.js';
import { addressOf, type Endpoint, hostAndPort } from './endpoint.js';

const reasons: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name could not be looked up just now',
  ETIMEDOUT: 'no answer',
};

/** The cause of a network error in words; its own message where we have none. */
export function networkReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  return reasons[code] ?? (messageOf(error) || code || 'unknown reason');
}

/** The sentence for a server that was not reached from here. */
export function unreachable(endpoint: Endpoint, reason: string, cause?: unknown): Unreachable {
  return new Unreachable(
    `Could not reach ${hostAndPort(endpoint.host, endpoint.port)}: ${reason}.`,
    '',
    'Check the host name, the port, the firewall and that sshd runs.',
    { cause },
  );
}

/**
 * Opens TCP to the endpoint from here. The socket keeps an error listener for ever, so no reset can end the process.
 *
 * @throws Unreachable on any network error and after `timeoutMs`.
 */
export function dialDirectly(endpoint: Endpoint, timeoutMs: number, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port } = endpoint;
    // Node tries the next address after 250 ms by default, which gives up on a slow but working one.
    const socket = connect({ host, port, noDelay: true, autoSelectFamilyAttemptTimeout: 2500 });
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      finish();
    };
    const fail = (error: Error) =>
      settle(() => {
        socket.destroy();
        reject(error);
      });
    const aborted = () => fail(unreachable(endpoint, 'cancelled', signal?.reason));
    const timer = setTimeout(() => fail(unreachable(endpoint, `no answer within ${timeoutMs / 1000} s`)), timeoutMs);
    signal?.addEventListener('abort', aborted);
    socket.on('error', (error) => fail(unreachable(endpoint, networkReason(error), error)));
    socket.once('connect', () => settle(() => resolve(inOneGo(socket))));
  });
}

/**
 * Hands all that is written in one turn to the kernel at once. ssh2 writes each packet of 32 KiB in three pieces (length,
 * content, tag), which without this are three system calls and, since we do not wait for Nagle, three segments.
 */
function inOneGo(socket: Socket): Socket {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  let corked = false;
  socket.write = (...args: unknown[]) => {
    if (!corked) {
      corked = true;
      socket.cork();
      process.nextTick(() => {
        corked = false;
        socket.uncork();
      });
    }
    return write(...args);
  };
  return socket;
}

/**
 * Asks the server behind `client` to open TCP to host:port (direct-tcpip, RFC 4254 section 7.2).
 *
 * @throws ForwardRefused with the server's reason code; ConnectionLost when `client` has ended; Unreachable after
 * `timeoutMs` and when cancelled.
 */
export function dialThrough(
  client: Client,
  via: Endpoint,
  host: string,
  port: number,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Duplex> {
  const target = hostAndPort(host, port);
  return new Promise((resolve, reject) => {
    let late = false;
    const giveUp = (reason: string) => {
      late = true;
      const todo = `Check that ${target} can be reached from ${via.host}.`;
      reject(new Unreachable(`${addressOf(via)} did not connect to ${target}: ${reason}.`, '', todo));
    };
    const cancelled = () => giveUp('cancelled');
    const timer = setTimeout(() => giveUp(`no answer within ${timeoutMs / 1000} s`), timeoutMs);
    signal?.addEventListener('abort', cancelled);
    const done = (error: (Error & { reason?: unknown }) | undefined, channel?: Duplex) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancelled);
      if (channel) {
        channel.on('error', () => {});
        if (late) channel.destroy();
        else resolve(channel);
      } else if (typeof error?.reason === 'number') reject(refused(via, target, error.reason, error));
      else
        reject(
          new ConnectionLost(`The connection to ${addressOf(via)} was lost.`, '', 'Run it again.', { cause: error }),
        );
    };
    try {
      client.forwardOut('127.0.0.1', 0, host, port, done);
    } catch (error) {
      done(error as Error);
    }
  });
}

function refused(via: Endpoint, target: string, reason: number, cause: Error): ForwardRefused {
  const server = addressOf(via);
  if (reason === 1) {
    return new ForwardRefused(
      reason,
      `${server} does not allow connections to ${target} to be forwarded.`,
      '',
      `Allow it on ${via.host}: AllowTcpForwarding and PermitOpen in sshd_config, permitopen in authorized_keys.`,
      { cause },
    );
  }
  const said = cause.message.replace('(SSH) Channel open failure: ', '');
  const todo = `Check that ${target} is up and can be reached from ${via.host}.`;
  return new ForwardRefused(reason, `${server} could not connect to ${target}: ${said}.`, '', todo, { cause });
}
