import type { Duplex } from 'node:stream';
import { NodeSSH } from 'node-ssh';
import ssh2, { type Client } from 'ssh2';
import { ExpectedError, messageOf } from '../errors.js';
import { ForwardRefused, HostKeyRefused, Unreachable } from './connection-errors.js';
import { dialDirectly, dialThrough, networkReason, unreachable } from './dial.js';
import { addressOf, type Endpoint, hostAndPort } from './endpoint.js';
import { describeHostKey, type HostKeySeen, hostKeyAlgorithms, refuseHostKey } from './host-key.js';
import { type KnownHosts, parseKnownHosts } from './known-hosts.js';

/** One server on the way, logged in. */
export interface Hop {
  readonly endpoint: Endpoint;
  readonly client: Client;
  /** What carries the SSH conversation: a TCP socket, or a channel of the hop before. */
  readonly socket: Duplex;
  readonly hostKey: HostKeySeen;
  readonly end: End;
  /** To be called when the first command has begun on the last server: from then on nothing has to be hurried. */
  calm(): void;
}

/** The end of a conversation, once it has come. */
export interface End {
  readonly reached: boolean;
  /** What ended it, if that was an error. */
  readonly error: Error | undefined;
  /** Resolves when it is reached. */
  readonly promise: Promise<void>;
}

export interface HopOptions {
  connectTimeoutMs: number;
  attempts: number;
  keepaliveMs: number;
  log: (line: string) => void;
  signal?: AbortSignal;
}

const HURRY_EVERY_MS = 2;
const HURRY_MS = 2000;

/**
 * Connects and logs in to `endpoint`, directly or through the hop before it. Tries again, up to `attempts` times, only
 * while no SSH conversation came about; a refused host key or login is final, or sshd would ban the runner.
 *
 * @throws Unreachable, HostKeyRefused, ConnectionLost (the hop before it), ExpectedError (login, key exchange, cancelled)
 */
export async function reach(endpoint: Endpoint, via: Hop | undefined, options: HopOptions): Promise<Hop> {
  const known = parseKnownHosts(endpoint.knownHosts);
  for (let attempt = 1; ; attempt++) {
    throwIfCancelled(endpoint, options.signal);
    try {
      return await logIn(endpoint, known, via, options);
    } catch (error) {
      throwIfCancelled(endpoint, options.signal);
      if (!worthAnotherTry(error) || attempt >= options.attempts) throw error;
      const delay = 500 * 2 ** (attempt - 1) * (0.5 + Math.random());
      const next = `Trying again in ${(delay / 1000).toFixed(1)} s (${attempt + 1} of ${options.attempts}).`;
      options.log(`${(error as ExpectedError).what} ${next}`);
      await pause(delay, options.signal);
    }
  }
}

function worthAnotherTry(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof ForwardRefused && error.reason === 2);
}

/** @throws the signal's reason if that is a sentence, else one */
function throwIfCancelled(endpoint: Endpoint, signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  if (signal.reason instanceof ExpectedError) throw signal.reason;
  throw new ExpectedError(`Connecting to ${addressOf(endpoint)} was cancelled.`, '', '', { cause: signal.reason });
}

/** Ends early, without an error, when the signal fires. Ours: node's own rejects, and no retry library is installed. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}

async function logIn(endpoint: Endpoint, known: KnownHosts, via: Hop | undefined, options: HopOptions): Promise<Hop> {
  const { host, port, user: username, privateKey, passphrase } = endpoint;
  const { connectTimeoutMs, keepaliveMs, log, signal } = options;
  const start = performance.now();
  const socket = via
    ? await dialThrough(via.client, via.endpoint, host, port, connectTimeoutMs, signal)
    : await dialDirectly(endpoint, connectTimeoutMs, signal);

  let hostKey: HostKeySeen | undefined;
  let refusal: unknown;
  const ssh = new NodeSSH();
  const ready = ssh.connect({
    host,
    port,
    sock: socket as Duplex & NodeJS.ReadableStream,
    username,
    privateKey,
    passphrase,
    readyTimeout: Math.max(1000, connectTimeoutMs - (performance.now() - start)),
    algorithms: { serverHostKey: hostKeyAlgorithms(known, host, port) },
    // ssh2 takes everything but `false` for a yes, a promise of false included: so a callback, and strictly a boolean.
    hostVerifier: (key: Buffer, verify: (accepted: boolean) => void): void => {
      let accepted = false;
      try {
        hostKey ??= describeHostKey(host, port, key);
        refusal = refuseHostKey(endpoint, known, key, log);
        accepted = refusal === undefined;
      } catch (error) {
        refusal = error;
      }
      verify(accepted);
    },
  });
  // node-ssh takes its own listener away once connected, and a later reset would then end the process. Its client
  // exists as soon as connect() has returned.
  const client = ssh.connection as Client;
  const end = endOf(client);
  client.setNoDelay(true);
  const cancelled = () => socket.destroy();
  signal?.addEventListener('abort', cancelled);
  try {
    await ready;
  } catch (error) {
    socket.destroy();
    throw refusal instanceof Error ? refusal : loginError(endpoint, error);
  } finally {
    signal?.removeEventListener('abort', cancelled);
  }
  // ssh2 offers no way past the verifier; should that change, nothing goes on unverified.
  if (!hostKey) throw new HostKeyRefused(`${hostAndPort(host, port)} showed no host key.`, '', '');
  void via?.end.promise.then(() => socket.destroy());
  askForLife(client, socket, end, keepaliveMs);
  return { endpoint, client, socket, hostKey, end, calm: hurry(client, socket, end) };
}

/**
 * Asks the server something every `everyMs`, and ends the conversation after 3 questions without a byte from it. Ours:
 * ssh2's own keepalive wants the very answer, and on a slow line that waits behind all that is being uploaded.
 */
function askForLife(client: Client, socket: Duplex, end: { error: Error | undefined } & End, everyMs: number): void {
  let unanswered = 0;
  socket.on('data', () => {
    unanswered = 0;
  });
  const timer = setInterval(() => {
    if (unanswered === 3) {
      end.error ??= new Error(`no answer for ${(3 * everyMs) / 1000} s`);
      socket.destroy();
      return;
    }
    unanswered += 1;
    nudge(client);
  }, everyMs);
  void end.promise.then(() => clearInterval(timer));
}

/**
 * One question and its answer. ssh2 has no public ping; taking back a forwarding that was never asked for is a question
 * every server answers (RFC 4254 section 7.1), with no, and without doing anything.
 */
export function ask(client: Client, answered: () => void): void {
  client.unforwardIn('127.0.0.1', 1, answered);
}

/** Asks, whatever the answer. */
function nudge(client: Client): void {
  try {
    ask(client, () => {});
  } catch {
    // It has ended by itself.
  }
}

/**
 * Answers what the server sends with a question, until told to stop or for HURRY_MS. sshd leaves Nagle's algorithm on until
 * its first command begins, and holds a packet back while the one before is not acknowledged; our kernel acknowledges with
 * our next packet, or after 40 ms. Node cannot tell it to hurry (TCP_QUICKACK).
 */
function hurry(client: Client, socket: Duplex, end: End): () => void {
  let heard = true;
  const hear = () => {
    heard = true;
  };
  socket.on('data', hear);
  const timer = setInterval(() => {
    if (heard) nudge(client);
    heard = false;
  }, HURRY_EVERY_MS);
  const over = setTimeout(() => stop(), HURRY_MS);
  const stop = () => {
    clearInterval(timer);
    clearTimeout(over);
    socket.off('data', hear);
  };
  void end.promise.then(stop);
  return stop;
}

/** Listens for ever: an error without a listener would end the process. */
function endOf(client: Client): End & { error: Error | undefined } {
  const end = { reached: false, error: undefined as Error | undefined };
  client.on('error', (error: Error) => {
    end.error ??= error;
  });
  const promise = new Promise<void>((resolve) => {
    const done = () => {
      // Before ssh2 closes the channels, so that they can tell a lost link from a command that ended.
      end.reached = true;
      resolve();
    };
    client.once('end', done).once('close', done);
  });
  return Object.assign(end, { promise });
}

function loginError(endpoint: Endpoint, error: unknown): ExpectedError {
  const address = addressOf(endpoint);
  const level = (error as { level?: string }).level;
  const message = messageOf(error);
  if (level === 'client-authentication') {
    return new ExpectedError(
      `${address} did not accept the private key.`,
      'Nothing was changed on the host.',
      `Add the matching public key to ~${endpoint.user}/.ssh/authorized_keys on ${endpoint.host}: ${publicKey(endpoint)}`,
      { cause: error },
    );
  }
  if (message.startsWith('Cannot parse privateKey')) {
    const reason = message.replace('Cannot parse privateKey: ', '');
    return new ExpectedError(
      `The private key for ${address} cannot be read: ${reason}.`,
      '',
      'Check the key and its passphrase.',
    );
  }
  if (level === 'client-timeout')
    return unreachable(endpoint, 'it answered, but did not finish the login in time', error);
  // Dropped before a single byte of SSH: MaxStartups, a load balancer, or sshd on its way up.
  if (level === 'client-socket' || message === 'Connection lost before handshake') {
    return unreachable(endpoint, level ? networkReason(error) : 'it closed the connection before the handshake', error);
  }
  if (level === 'handshake') {
    const todo = 'Compare the algorithms that sshd -T prints on the host with those of ssh2.';
    return new ExpectedError(`The SSH handshake with ${address} failed: ${message}.`, '', todo, { cause: error });
  }
  const todo = `See the log of sshd on ${endpoint.host}.`;
  return new ExpectedError(`${address} ended the connection during login: ${message}.`, '', todo, { cause: error });
}

/** The public half in authorized_keys form, which is no secret. */
function publicKey({ privateKey, passphrase }: Endpoint): string {
  const key = ssh2.utils.parseKey(privateKey, passphrase);
  return key instanceof Error ? '(the key cannot be read)' : `${key.type} ${key.getPublicSSH().toString('base64')}`;
}
