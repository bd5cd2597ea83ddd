import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Proxy as Link, type ProxyOptions, startProxy } from '../../../../testbed/proxy.js';
import { endpointOf, freePort, type Sshd, type SshdOptions, startSshd } from '../../../../testbed/sshd.js';
import { ExpectedError } from '../../src/errors.js';
import {
  type Connection,
  ConnectionLost,
  type ConnectOptions,
  connect,
  type Endpoint,
  ForwardRefused,
  HostKeyRefused,
  Unreachable,
} from '../../src/ssh/connection.js';
import { normalisePrivateKey } from '../../src/ssh/private-key.js';

let folder: string;
/** A server with one host key, for all that does not need one of its own. */
let server: Sshd;
const parts: { stop(): Promise<void> }[] = [];
const connections: Connection[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gbo-connection-'));
  server = await startSshd();
});
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close();
  await Promise.all(parts.splice(0).map((part) => part.stop()));
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Ends with the test. */
function lasting<T extends { stop(): Promise<void> }>(part: T): T {
  parts.push(part);
  return part;
}

const sshd = async (options: SshdOptions = {}) => lasting(await startSshd(options));
const proxy = async (options: ProxyOptions) => lasting(await startProxy(options));

/** A connection that is closed with the test. */
async function open(endpoint: Endpoint, options?: ConnectOptions): Promise<Connection> {
  const connection = await connect(endpoint, options);
  connections.push(connection);
  return connection;
}

/** What a promise rejects with. */
function failure(promise: Promise<unknown>): Promise<ExpectedError> {
  return promise.then(
    (value) => {
      throw new Error(`it succeeded, with ${value}`);
    },
    (error) => error,
  );
}

/** TCP connections that a server has seen since it started. */
const visits = (to: Sshd) => to.log().split('Connection from ').length - 1;

/** Calls `action` and tells how many ms passed until what it gives was settled. */
async function clock<T>(action: Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  return [await action, performance.now() - start];
}

/** Processes of this machine with the text in their command line. */
function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** A word that is nowhere else on the machine. */
const marker = () => randomBytes(8).toString('hex');

/** Seconds for sleep(1) that no other process sleeps for. */
const longSleep = () => `300.${randomBytes(4).readUInt32BE().toString().padStart(10, '0')}`;

/** Listens on 127.0.0.1 without ever taking a connection, and its queue is full: whoever comes waits for an answer. */
async function deafPort(): Promise<number> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
     });`,
    { eval: true },
  );
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  const queue = Array.from({ length: 4 }, () => dial(port, '127.0.0.1').on('error', () => {}));
  lasting({
    stop: async () => {
      for (const socket of queue) socket.destroy();
      await worker.terminate();
    },
  });
  await sleep(50);
  return port;
}

/** A TCP server of this process on 127.0.0.1. */
async function listener(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const tcp: Server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  lasting({
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => tcp.close(resolve));
    },
  });
  return (tcp.address() as { port: number }).port;
}

const echo = () => listener((socket) => void socket.pipe(socket));

describe('the host key', () => {
  /** Owns all three types; `other` is a machine with other keys of the same types. */
  let all: Sshd;
  let other: Sshd;
  beforeAll(async () => {
    [all, other] = await Promise.all([
      startSshd({ hostKeys: ['ed25519', 'rsa', 'ecdsa'] }),
      startSshd({ hostKeys: ['ed25519', 'rsa', 'ecdsa'] }),
    ]);
  });
  afterAll(async () => {
    await all?.stop();
    await other?.stop();
  });

  type Type = 'ed25519' | 'rsa' | 'ecdsa';
  const key = (of: Sshd, type: Type) => of.hostKeyPublic[type] as string;
  const line = (of: Sshd, type: Type, name = `[127.0.0.1]:${all.port}`) => `${name} ${key(of, type)}\n`;
  function hashed(text: string): string {
    const file = join(folder, marker());
    execFileSync('sh', ['-c', 'printf %s "$1" > "$2"; ssh-keygen -H -f "$2" >&2; rm -f "$2.old"', 'sh', text, file], {
      stdio: 'ignore',
    });
    return readFileSync(file, 'utf8');
  }

  it.each<[string, () => string, string]>([
    ['of the only pinned type is asked for: ed25519', () => line(all, 'ed25519'), 'ssh-ed25519'],
    ['of the only pinned type is asked for: RSA, though ed25519 is offered', () => line(all, 'rsa'), 'ssh-rsa'],
    ['of the only pinned type is asked for: ECDSA', () => line(all, 'ecdsa'), 'ecdsa-sha2-nistp256'],
    ['may be pinned on a hashed line', () => hashed(line(all, 'ed25519')), 'ssh-ed25519'],
    ['of a type pinned on a hashed line is asked for', () => hashed(line(all, 'rsa')), 'ssh-rsa'],
    ['is one of several pinned ones', () => line(other, 'rsa') + line(all, 'rsa'), 'ssh-rsa'],
    ['may be pinned by a pattern', () => line(all, 'ecdsa', '[127.0.0.*]:*'), 'ecdsa-sha2-nistp256'],
    [
      'is found among the lines of other hosts',
      () => line(other, 'ed25519', 'a.example') + line(all, 'rsa') + line(other, 'ecdsa', 'b.example'),
      'ssh-rsa',
    ],
    [
      'may be pinned beside a certificate authority',
      () => `@cert-authority ${line(other, 'ed25519')}${line(all, 'ed25519')}`,
      'ssh-ed25519',
    ],
    [
      'may be pinned where an older one is revoked',
      () => `@revoked ${line(other, 'ed25519')}${line(all, 'ed25519')}`,
      'ssh-ed25519',
    ],
  ])('%s', async (_, knownHosts, type) => {
    const { hostKeys } = await open({ ...endpointOf(all), knownHosts: knownHosts() });
    const short = (Object.keys(all.hostKeyPublic) as Type[]).find((name) => key(all, name).startsWith(type)) as Type;
    const printed = execFileSync('ssh-keygen', ['-lf', join(all.dir, `host_${short}.pub`)]).toString();
    expect(hostKeys).toEqual([
      {
        host: '127.0.0.1',
        port: all.port,
        type,
        fingerprint: printed.split(' ')[1],
        knownHostsLine: line(all, short).trim(),
      },
    ]);
  });

  const toAdd = (type: Type) =>
    new RegExp(`add to known_hosts: \\[127\\.0\\.0\\.1\\]:\\d+ ${literal(key(all, type))}$`);
  it.each<[string, () => string, () => RegExp[], boolean?]>([
    [
      'is unknown when nothing is pinned',
      () => '',
      () => [
        /^The host key of 127\.0\.0\.1:\d+ is not in known_hosts: it offered ssh-ed25519 SHA256:/,
        toAdd('ed25519'),
      ],
    ],
    [
      'is unknown when it is pinned for another port only',
      () => line(all, 'ed25519', '127.0.0.1') + line(all, 'ed25519', '[127.0.0.1]:1'),
      () => [/ is not in known_hosts: /],
    ],
    [
      'has changed when another one is pinned',
      () => `# ours\n${line(other, 'ed25519')}`,
      () => [
        /^The host key of \S+ has changed: it offered ssh-ed25519 SHA256:\S+, and known_hosts has ssh-ed25519 SHA256:\S+ on line 2\./,
        new RegExp(`replace line 2 with: .*${literal(key(all, 'ed25519'))}$`),
      ],
    ],
    [
      'has changed when none of several pinned ones is offered',
      () => line(other, 'ed25519') + line(other, 'rsa'),
      () => [/ on line 1, ssh-rsa SHA256:\S+ on line 2\./, /replace those lines with: /],
    ],
    [
      'is refused when it is revoked',
      () => `${line(all, 'ed25519')}@revoked ${line(all, 'ed25519', '*')}`,
      () => [/^\S+ offered the host key ssh-ed25519 SHA256:\S+, which known_hosts line 2 marks as revoked\./],
    ],
    [
      'is refused when it is revoked, also where any key would do',
      () => `@revoked ${line(all, 'ed25519')}`,
      () => [/ line 1 marks as revoked\./],
      true,
    ],
    [
      'is not vouched for by a certificate authority',
      () => `@cert-authority ${line(all, 'ed25519', '*')}`,
      () => [/^Line 1 of known_hosts vouches for \S+ by @cert-authority, which is not supported/, toAdd('ed25519')],
    ],
  ])('%s', async (_, knownHosts, says, insecureHostKey = false) => {
    const before = visits(all);
    const log: string[] = [];
    const endpoint = { ...endpointOf(all), knownHosts: knownHosts(), insecureHostKey };
    const error = await failure(connect(endpoint, { log: (text) => log.push(text) }));
    expect(error).toBeInstanceOf(HostKeyRefused);
    for (const part of says()) expect(error.message).toMatch(part);
    expect(log).toEqual([]);
    await expect.poll(() => visits(all)).toBe(before + 1);
    expect(all.log().split('Connection from ').at(-1)).not.toMatch(/Accepted|Failed|Postponed/);
  });

  it('has changed when the only pinned type is no longer offered', async () => {
    const knownHosts = line(all, 'rsa', `[127.0.0.1]:${server.port}`);
    const error = await failure(connect({ ...endpointOf(server), knownHosts }));
    expect(error).toBeInstanceOf(HostKeyRefused);
    expect(error.what).toMatch(/offered ssh-ed25519 SHA256:\S+, and known_hosts has ssh-rsa SHA256:\S+ on line 1\.$/);
  });

  it('may be any where the user says so, with a warning that has the line to pin it', async () => {
    const log: string[] = [];
    const endpoint = { ...endpointOf(all), knownHosts: line(other, 'ed25519'), insecureHostKey: true };
    const connection = await open(endpoint, { log: (text) => log.push(text) });
    expect((await connection.script('echo in')).stdout).toBe('in\n');
    expect(log).toHaveLength(1);
    expect(log[0]).toMatch(/ was not checked \(insecure\): ssh-ed25519 SHA256:/);
    expect(log[0]).toContain(line(all, 'ed25519').trim());
  });

  it('is not even asked for when known_hosts cannot be read', async () => {
    const before = visits(all);
    const error = await failure(
      connect({ ...endpointOf(all), knownHosts: `${line(all, 'rsa')}[127.0.0.1]:22 rubbish\n` }),
    );
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(/^Line 2 of known_hosts cannot be read/);
    expect(visits(all)).toBe(before);
  });
});

function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

describe('the user', () => {
  /** A key that may log in to `server`, made by ssh-keygen with these arguments. */
  async function allowed(args: string[], passphrase = ''): Promise<string> {
    const file = join(folder, marker());
    execFileSync('ssh-keygen', ['-q', '-N', passphrase, '-C', 'test', '-f', file, ...args]);
    await appendFile(join(server.dir, 'authorized_keys'), readFileSync(`${file}.pub`));
    return readFileSync(file, 'utf8');
  }

  it.each([
    ['ed25519', ['-t', 'ed25519'], ''],
    ['RSA', ['-t', 'rsa', '-b', '2048'], ''],
    ['ECDSA on nistp256', ['-t', 'ecdsa', '-b', '256'], ''],
    ['ECDSA on nistp384', ['-t', 'ecdsa', '-b', '384'], ''],
    ['ECDSA on nistp521', ['-t', 'ecdsa', '-b', '521'], ''],
    ['ed25519 with a passphrase', ['-t', 'ed25519'], 'open sesame'],
    ['RSA with a passphrase', ['-t', 'rsa', '-b', '2048'], 'open sesame'],
    ['RSA in PEM', ['-t', 'rsa', '-b', '2048', '-m', 'PEM'], ''],
    ['RSA in PEM with a passphrase', ['-t', 'rsa', '-b', '2048', '-m', 'PEM'], 'open sesame'],
    ['ECDSA in PKCS#8', ['-t', 'ecdsa', '-b', '256', '-m', 'PKCS8'], ''],
    ['RSA in PKCS#8 with a passphrase', ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8'], 'open sesame'],
  ])('logs in with a key of the kind %s', async (_, args, passphrase) => {
    const privateKey = normalisePrivateKey(await allowed(args, passphrase), passphrase);
    const connection = await open({ ...endpointOf(server), privateKey, passphrase });
    expect((await connection.script('echo in')).stdout).toBe('in\n');
  });

  it.each([
    ['whose key is not known there', {}],
    ['whom nobody knows there', { user: 'nobody-of-that-name' }],
  ])('%s is refused at once, and told the public key to add', async (_, more) => {
    const file = join(folder, marker());
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
    const log: string[] = [];
    const before = visits(server);
    const privateKey = readFileSync(file, 'utf8');
    const error = await failure(
      connect({ ...endpointOf(server), privateKey, ...more }, { log: (text) => log.push(text) }),
    );
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error).not.toBeInstanceOf(Unreachable);
    expect(error.what).toMatch(/^\S+@127\.0\.0\.1:\d+ did not accept the private key\.$/);
    expect(error.todo).toContain(readFileSync(`${file}.pub`, 'utf8').trim());
    expect(error.message).not.toContain('PRIVATE KEY');
    expect([log, visits(server) - before]).toEqual([[], 1]);
  });

  it('is told when the passphrase does not open the key', async () => {
    const privateKey = await allowed(['-t', 'ed25519'], 'open sesame');
    for (const passphrase of [undefined, 'wrong']) {
      const error = await failure(connect({ ...endpointOf(server), privateKey, passphrase }));
      expect(error).toBeInstanceOf(ExpectedError);
      expect(error.what).toMatch(/^The private key for \S+ cannot be read: .*passphrase/);
    }
  });

  it('logs in where a banner greets everybody', async () => {
    const banner = join(folder, 'banner');
    await writeFile(banner, 'Authorised use only.\n'.repeat(50));
    const connection = await open(endpointOf(await sshd({ config: [`Banner ${banner}`] })));
    expect(await connection.script('echo in')).toEqual({ code: 0, signal: null, stdout: 'in\n', stderr: '' });
  });
});

describe('over a jump host', () => {
  let jump: Sshd;
  beforeAll(async () => {
    jump = await startSshd();
  });
  afterAll(() => jump?.stop());

  it('the target is reached, and each server is verified against its own name', async () => {
    const connection = await open(endpointOf(server), { jumps: [endpointOf(jump)] });
    expect((await connection.script('echo "$SSH_CONNECTION"')).stdout).toMatch(new RegExp(` ${server.port}\n$`));
    expect(connection.hostKeys.map(({ knownHostsLine }) => `${knownHostsLine}\n`)).toEqual([
      jump.knownHosts,
      server.knownHosts,
    ]);
  });

  it('and a second one, a target with another kind of user key is reached', async () => {
    const target = await sshd({ userKey: 'rsa', passphrase: 'open sesame', hostKeys: ['rsa'] });
    const connection = await open(endpointOf(target), { jumps: [endpointOf(jump), endpointOf(server)] });
    expect(connection.hostKeys.map(({ port }) => port)).toEqual([jump.port, server.port, target.port]);
    expect((await connection.script('cat; head -c 3000000 /dev/zero')).stdout).toHaveLength(3_000_000);
    const sftp = await connection.sftp();
    expect(await new Promise((resolve) => sftp.realpath('/', (_, path) => resolve(path)))).toBe('/');
    sftp.end();
  });

  it.each<[string, () => [Endpoint, Endpoint], () => RegExp]>([
    [
      'the key of the jump host is checked under its own name only',
      () => [{ ...endpointOf(jump), knownHosts: server.knownHosts }, endpointOf(server)],
      () => new RegExp(`^The host key of 127\\.0\\.0\\.1:${jump.port} is not in known_hosts`),
    ],
    [
      'the key of the target is checked under its own name only',
      () => [endpointOf(jump), { ...endpointOf(server), knownHosts: jump.knownHosts }],
      () => new RegExp(`^The host key of 127\\.0\\.0\\.1:${server.port} is not in known_hosts`),
    ],
    [
      'the jump host may not show its own key as the target',
      () => [
        endpointOf(jump),
        { ...endpointOf(jump), knownHosts: endpointOf(server).knownHosts.replace(`${server.port}`, `${jump.port}`) },
      ],
      () => new RegExp(`^The host key of 127\\.0\\.0\\.1:${jump.port} has changed`),
    ],
  ])('%s', async (_, servers, says) => {
    const [via, target] = servers();
    const error = await failure(connect(target, { jumps: [via] }));
    expect(error).toBeInstanceOf(HostKeyRefused);
    expect(error.message).toMatch(says());
  });

  it('that refuses the login, the sentence names the jump host', async () => {
    const error = await failure(
      connect(endpointOf(server), { jumps: [{ ...endpointOf(jump), privateKey: server.privateKey }] }),
    );
    expect(error.what).toBe(`${jump.user}@127.0.0.1:${jump.port} did not accept the private key.`);
  });

  it('that is down, it is the jump host that was not reached', async () => {
    const via = { ...endpointOf(jump), port: await freePort() };
    const error = await failure(connect(endpointOf(server), { jumps: [via], attempts: 2 }));
    expect(error).toBeInstanceOf(Unreachable);
    expect(error.what).toBe(`Could not reach 127.0.0.1:${via.port}: connection refused.`);
  });

  it('that reaches nobody at the port, it is tried again, then said', async () => {
    const log: string[] = [];
    const target = { ...endpointOf(server), port: await freePort() };
    const error = await failure(
      connect(target, { jumps: [endpointOf(jump)], attempts: 2, log: (text) => log.push(text) }),
    );
    expect(error).toBeInstanceOf(ForwardRefused);
    expect(error).toMatchObject({ reason: 2 });
    expect(error.what).toBe(
      `${jump.user}@127.0.0.1:${jump.port} could not connect to 127.0.0.1:${target.port}: Connection refused.`,
    );
    expect(log).toHaveLength(1);
    expect(log[0]).toMatch(/Trying again in \d\.\d s \(2 of 2\)\.$/);
  });

  it.each([
    ['by its configuration', { config: ['AllowTcpForwarding no'] }],
    ['by authorized_keys', { authorizedKeysOptions: 'restrict' }],
    ['to that port', { config: ['PermitOpen 127.0.0.1:1'] }],
  ])('that forbids forwarding %s, it is said at once', async (_, options) => {
    const log: string[] = [];
    const strict = await sshd(options);
    const error = await failure(
      connect(endpointOf(server), { jumps: [endpointOf(strict)], log: (text) => log.push(text) }),
    );
    expect(error).toBeInstanceOf(ForwardRefused);
    expect(error).toMatchObject({ reason: 1 });
    expect(error.what).toMatch(/ does not allow connections to 127\.0\.0\.1:\d+ to be forwarded\.$/);
    expect(error.todo).toContain('AllowTcpForwarding');
    expect(log).toEqual([]);
  });

  it('the end of its link is the end of the connection, at once', async () => {
    const link = await proxy({ to: jump });
    const connection = await open(endpointOf(server), { jumps: [endpointOf(jump, link)] });
    const script = failure(connection.script('sleep 60'));
    await sleep(300);
    await link.cut();
    const [error, ms] = await clock(script);
    expect(error).toBeInstanceOf(ConnectionLost);
    expect(ms).toBeLessThan(1000);
    expect(await connection.closed).toBeInstanceOf(ConnectionLost);
  });

  it('closing ends both links', async () => {
    const [first, second] = await Promise.all([proxy({ to: jump }), proxy({ to: server })]);
    const connection = await connect(endpointOf(server, second), { jumps: [endpointOf(jump, first)] });
    expect([first.counters.open, second.counters.open]).toEqual([1, 1]);
    connection.close();
    expect(await connection.closed).toBeUndefined();
    await expect.poll(() => [first.counters.open, second.counters.open], { timeout: 3000 }).toEqual([0, 0]);
  });
});

describe('a server that cannot be reached', () => {
  it('on a closed port is tried again after growing pauses with chance in them, then said in one sentence', async () => {
    const endpoint = { ...endpointOf(server), port: await freePort() };
    const logs: string[][] = await Promise.all(
      [1, 2].map(async () => {
        const log: string[] = [];
        const error = await failure(connect(endpoint, { attempts: 3, log: (text) => log.push(text) }));
        expect(error).toBeInstanceOf(Unreachable);
        expect(error.message).toBe(
          `Could not reach 127.0.0.1:${endpoint.port}: connection refused. Check the host name, the port, the firewall and that sshd runs.`,
        );
        return log;
      }),
    );
    for (const log of logs) {
      const pauses = log.map((text) => Number(/Trying again in (\d+\.\d) s \(\d of 3\)\.$/.exec(text)?.[1]));
      expect(pauses).toHaveLength(2);
      expect(Math.abs((pauses[0] ?? 0) - 0.5)).toBeLessThanOrEqual(0.25 + 0.06);
      expect(Math.abs((pauses[1] ?? 0) - 1)).toBeLessThanOrEqual(0.5 + 0.06);
    }
  });

  it('at first is logged in to once it answers', async () => {
    const link = await proxy({ to: server });
    await link.cut();
    const log: string[] = [];
    const connecting = open(endpointOf(server, link), { log: (text) => log.push(text) });
    await expect.poll(() => log.length).toBeGreaterThan(0);
    await link.restore();
    expect((await (await connecting).script('echo in')).stdout).toBe('in\n');
  });

  it('by name is said with the name', async () => {
    // Too long for a name, so that no name server is needed to know it.
    const host = `${'x'.repeat(64)}.example`;
    const error = await failure(connect({ ...endpointOf(server), host }, { attempts: 1 }));
    expect(error).toBeInstanceOf(Unreachable);
    expect(error.what).toBe(`Could not reach ${host}:${server.port}: the name is not known.`);
  });

  it('because nobody takes the connection is given up in time', async () => {
    const endpoint = { ...endpointOf(server), port: await deafPort() };
    const [error, ms] = await clock(failure(connect(endpoint, { attempts: 1, connectTimeoutMs: 1000 })));
    expect(error).toBeInstanceOf(Unreachable);
    expect(error.what).toBe(`Could not reach 127.0.0.1:${endpoint.port}: no answer within 1 s.`);
    expect(ms).toBeLessThan(3000);
  });

  it('because it takes the connection and says nothing is given up in time, and tried again', async () => {
    const link = await proxy({ to: server });
    link.blackhole();
    const log: string[] = [];
    const options = { attempts: 2, connectTimeoutMs: 1000, log: (text: string) => log.push(text) };
    const [error, ms] = await clock(failure(connect(endpointOf(server, link), options)));
    expect(error).toBeInstanceOf(Unreachable);
    expect(error.what).toMatch(/^Could not reach 127\.0\.0\.1:\d+: .* in time\.$/);
    expect([log.length, link.counters.connections]).toEqual([1, 2]);
    expect(ms).toBeLessThan(5000);
    await link.restore();
    await expect.poll(() => link.counters.open).toBe(0);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['hangs up before a word', (socket) => void socket.end()],
    ['resets the connection', (socket) => void socket.resetAndDestroy()],
    ['speaks HTTP', (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('because what is there %s is tried again, then said in one sentence', async (_, behave) => {
    const log: string[] = [];
    const endpoint = { ...endpointOf(server), port: await listener(behave) };
    const error = await failure(connect(endpoint, { attempts: 2, log: (text) => log.push(text) }));
    expect(error).toBeInstanceOf(Unreachable);
    expect(error.what).toMatch(/127\.0\.0\.1:\d+.*[^.]\.$/);
    expect(log).toHaveLength(1);
  });
});

describe('an address', () => {
  const loopback = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
  it.runIf(loopback).each(['[::1]', '::1'])('of IPv6 may be written as %s', async (host) => {
    const both = await sshd({ config: ['ListenAddress ::1'] });
    const endpoint = { ...endpointOf(both), host, knownHosts: both.knownHosts.replace('127.0.0.1', '::1') };
    const connection = await open(endpoint);
    expect(connection.hostKeys[0]?.knownHostsLine).toBe(endpoint.knownHosts.trim());
    expect((await connection.script('echo "$SSH_CONNECTION"')).stdout).toMatch(/^::1 /);
  });

  it('has its round trip measured', async () => {
    const link = await proxy({ to: server, delayMs: 100 });
    const far = await (await open(endpointOf(server, link))).roundTrip();
    expect(far).toBeGreaterThanOrEqual(99);
    expect(far).toBeLessThan(500);
    expect(await (await open(endpointOf(server))).roundTrip()).toBeLessThan(100);
  });
});

describe('cancelling', () => {
  const late = new ExpectedError('The job was cancelled.', '', '');

  it.each<[string, () => Promise<Parameters<typeof connect>>]>([
    ['while nobody takes the connection', async () => [{ ...endpointOf(server), port: await deafPort() }]],
    [
      'while the server says nothing',
      async () => {
        const link = await proxy({ to: server });
        link.blackhole();
        return [endpointOf(server, link)];
      },
    ],
    ['between two attempts', async () => [{ ...endpointOf(server), port: await freePort() }, { attempts: 100 }]],
    [
      'while a jump host waits for the target',
      async () => [{ ...endpointOf(server), port: await deafPort() }, { jumps: [endpointOf(server)] }],
    ],
    [
      'while the target behind a jump host says nothing',
      async () => {
        const link = await proxy({ to: server });
        link.blackhole();
        return [endpointOf(server, link), { jumps: [endpointOf(server)] }];
      },
    ],
  ])('%s ends it at once', async (_, arrange) => {
    const [endpoint, options] = await arrange();
    const errors = [undefined, late].map(async (reason) => {
      const control = new AbortController();
      const connecting = failure(connect(endpoint, { ...options, signal: control.signal }));
      await sleep(600);
      control.abort(reason);
      const [error, ms] = await clock(connecting);
      expect(ms).toBeLessThan(500);
      return error;
    });
    const [plain, said] = await Promise.all(errors);
    expect(plain?.message).toBe(`Connecting to ${server.user}@127.0.0.1:${endpoint.port} was cancelled.`);
    expect(said).toBe(late);
  });

  it('before it began reaches out to nobody', async () => {
    const before = visits(server);
    const error = await failure(connect(endpointOf(server), { signal: AbortSignal.abort() }));
    expect(error.what).toMatch(/ was cancelled\.$/);
    expect(visits(server)).toBe(before);
  });

  it('at any moment of a slow login ends it at once and leaves no connection open', async () => {
    const link = await proxy({ to: server, delayMs: 150 });
    const endpoint = endpointOf(server, link);
    const [first, whole] = await clock(connect(endpoint));
    first.close();
    const moments = Array.from({ length: 12 }, (_, index) => (whole * index) / 12);
    await Promise.all(
      moments.map(async (moment) => {
        const control = new AbortController();
        const connecting = connect(endpoint, { signal: control.signal }).then(
          (connection) => {
            connection.close();
            return 'connected';
          },
          (error: ExpectedError) => error.what,
        );
        await sleep(moment);
        control.abort();
        const [end, ms] = await clock(connecting);
        expect([moment, end, ms < 500]).toEqual([moment, expect.stringMatching(/ was cancelled\.$|^connected$/), true]);
      }),
    );
    await expect.poll(() => link.counters.open, { timeout: 5000 }).toBe(0);
  });

  it('while the speed of the link is measured ends it at once', async () => {
    const link = await proxy({ to: server, delayMs: 300 });
    const before = server.log().length;
    const control = new AbortController();
    const connecting = failure(connect(endpointOf(server, link), { signal: control.signal }));
    await expect.poll(() => server.log().slice(before), { interval: 10, timeout: 10_000 }).toContain('Accepted');
    await sleep(250); // the good news have arrived, and the answer to the first question has not
    link.blackhole();
    await sleep(300);
    control.abort();
    const [error, ms] = await clock(connecting);
    expect(error.what).toMatch(/^Connecting to \S+ was cancelled\.$/);
    expect(ms).toBeLessThan(500);
  });

  it('after the login leaves the connection open, since there may be something to undo', async () => {
    const control = new AbortController();
    const connection = await open(endpointOf(server), { signal: control.signal });
    control.abort();
    expect((await connection.script('echo still here')).stdout).toBe('still here\n');
  });
});

describe('a script', () => {
  let connection: Connection;
  beforeAll(async () => {
    connection = await connect(endpointOf(server));
  });
  afterAll(() => connection?.close());

  it.each([
    ['exit 0', 0],
    ['exit 1', 1],
    ['exit 126', 126],
    ['exit 255', 255],
    ['no-such-command', 127],
    ['false; true', 0],
    ['set -e; false; true', 1],
    ['if', 2],
    ['', 0],
  ])('%j ends with %i', async (sh, code) => {
    expect(await connection.script(sh)).toMatchObject({ code, signal: null });
  });

  it.each(['KILL', 'TERM', 'SEGV', 'PIPE'])(
    'that is ended by SIG%s has no exit code, so it is no success',
    async (name) => {
      const result = await connection.script(`echo before; kill -${name} $$; sleep 5; echo after`);
      expect(result).toEqual({ code: null, signal: `SIG${name}`, stdout: 'before\n', stderr: '' });
    },
  );

  it('gets its arguments as they are, whatever is in them', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => !value.includes('\0'));
    const nasty = fc.constantFrom("'", "'\\''", '"$(id)"', '`id`', '\n', '-n', '', '\\', '*', '~', '$1');
    const many = fc.array(fc.oneof(text, nasty), { minLength: 50, maxLength: 200 });
    const property = fc.asyncProperty(many, async (args) => {
      const { stdout } = await connection.script('for a; do printf "%s\\0" "$a"; done', { args });
      expect(stdout.split('\0').slice(0, -1)).toEqual(args);
    });
    await fc.assert(property, { numRuns: 5 });
  });

  it('may be longer than any command line', async () => {
    const long = 'x'.repeat(3_000_000);
    const { stdout } = await connection.script(`a='${long}'; echo \${#a} \${#1}`, { args: [long] });
    expect(stdout).toBe('3000000 3000000\n');
  });

  it('reads nothing from its stdin', async () => {
    const { code, stdout } = await connection.script('cat; wc -c; read -r line || echo none; exit 3');
    expect([code, stdout]).toEqual([3, '0\nnone\n']);
  });

  it.each([
    ['script', 'echo \0', []],
    ['argument', 'echo', ['a\0b']],
  ])('with a NUL in its %s is refused', async (_, sh, args) => {
    await expect(connection.script(sh, { args })).rejects.toThrow(/NUL/);
  });

  it('is in no process list, nor are its arguments', async () => {
    const secret = marker();
    const running = connection.script(`secret=${secret}; sleep 1; echo "$secret $1"`, { args: [secret] });
    let looks = 0;
    for (const end = Date.now() + 700; Date.now() < end; await sleep(20)) {
      expect(processesWith(secret)).toEqual([]);
      looks += 1;
    }
    expect(looks).toBeGreaterThan(3);
    expect((await running).stdout).toBe(`${secret} ${secret}\n`);
  });

  it('that says much on both streams does not block, and is cut at the limit', async () => {
    const sh = 'head -c 20000000 /dev/zero | tr "\\0" e >&2; head -c 20000000 /dev/zero | tr "\\0" o; exit 4';
    const { code, stdout, stderr } = await connection.script(sh, { maxBytes: 100_000 });
    expect([code, stdout.length, stderr.length]).toEqual([4, 100_000, 100_000]);
    expect(stdout.endsWith('o') && stderr.endsWith('e')).toBe(true);
  });

  it('that stays below the limit comes back whole', async () => {
    const { stdout } = await connection.script('printf "äöü\\nno newline at the end"', { maxBytes: 29 });
    expect(stdout).toBe('äöü\nno newline at the end');
  });

  it.each([
    ['with what it started', (time: string) => `sleep ${time} & (sleep ${time}; true) & sh -c 'sleep ${time}; true'`],
    ['though it ignores polite signals', (time: string) => `trap '' TERM HUP INT; sleep ${time}; sleep ${time}; true`],
    ['in other sessions', (time: string) => `setsid sh -c 'sleep ${time}; true' & wait`],
    ['which makes ever new children', (time: string) => `while :; do sleep ${time} & sleep 0.01; done`],
  ])('that takes too long is killed, %s', async (_, sh) => {
    const time = longSleep();
    const running = failure(connection.script(sh(time), { timeoutMs: 1000 }));
    await expect.poll(() => processesWith(time).length).toBeGreaterThan(0);
    const error = await running;
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(/^A script on \S+@127\.0\.0\.1:\d+ did not end within 1 s and was killed\.$/);
    await expect.poll(() => processesWith(time), { timeout: 5000 }).toEqual([]);
    expect((await connection.script('echo up')).stdout).toBe('up\n');
  });

  it('that leaves something running in the background ends by itself when that has let go of its output', async () => {
    const time = longSleep();
    const { code, stdout } = await connection.script(`sleep ${time} >/dev/null 2>&1 & echo $!`);
    process.kill(Number(stdout));
    expect(code).toBe(0);
  });

  it('runs beside others', async () => {
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, index) => connection.script(`sleep 0.2; echo ${index}; exit ${index}`)),
    );
    expect(results.map(({ code, stdout }) => `${code} ${stdout}`)).toEqual(
      Array.from({ length: 8 }, (_, index) => `${index} ${index}\n`),
    );
  });

  it('is not disturbed by a login shell that talks', async () => {
    const home = join(folder, 'talking');
    await mkdir(home);
    await writeFile(join(home, '.bashrc'), 'echo Welcome; fortune() { :; }; printf "no newline here"; echo loud >&2\n');
    const talking = await open(endpointOf(await sshd({ config: [`SetEnv HOME=${home}`] })));
    const result = await talking.script('echo "$1"; exit 5', { args: ['mine'] });
    expect(result).toEqual({ code: 5, signal: null, stdout: 'mine\n', stderr: 'loud\n' });
    const time = longSleep();
    await failure(talking.script(`sleep ${time}; true`, { timeoutMs: 500 }));
    await expect.poll(() => processesWith(time), { timeout: 5000 }).toEqual([]);
  });

  it('that the server replaces by a command of its own is no success', async () => {
    const forced = await open(endpointOf(await sshd({ authorizedKeysOptions: 'command="echo backup done"' })));
    const error = await failure(forced.script('echo mine'));
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(/^A script on \S+ did not run/);
    expect(error.message).toMatch(/ForceCommand|authorized_keys/);
  });
});

describe('a server with few sessions', () => {
  it('that are all in use says so', async () => {
    const connection = await open(endpointOf(await sshd({ config: ['MaxSessions 1'] })));
    const cat = await connection.start('cat');
    for (const ask of [connection.script('true'), connection.start('true'), connection.sftp()]) {
      const error = await failure(ask);
      expect(error).toBeInstanceOf(ExpectedError);
      expect(error.what).toMatch(/^Starting (a command|SFTP) on \S+ failed: .*open failed\.$/);
      expect(error.todo).toContain('MaxSessions');
    }
    cat.end();
    await cat.exited;
    expect((await connection.script('echo free')).stdout).toBe('free\n');
  });

  it('says when a script that takes too long could not be killed, for want of another one', async () => {
    const connection = await open(endpointOf(await sshd({ config: ['MaxSessions 1'] })));
    const time = longSleep();
    const error = await failure(connection.script(`sleep ${time}; true`, { timeoutMs: 500 }));
    expect(error.message).toMatch(/ did not end within 0\.5 s and could not be killed\. It may still be running\. /);
    for (const pid of processesWith(time)) process.kill(pid);
  });

  it('and none for SFTP says that', async () => {
    const connection = await open(endpointOf(await sshd({ config: ['Subsystem sftp /nowhere/sftp-server'] })));
    const error = await failure(connection.sftp());
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(/^Starting SFTP on \S+ failed: .*127/);
  });
});

it('a login shell that talks is named as what is in the way of SFTP', async () => {
  const home = join(folder, 'greeting');
  await mkdir(home);
  await writeFile(join(home, '.bashrc'), 'echo Welcome\n');
  const connection = await open(endpointOf(await sshd({ config: [`SetEnv HOME=${home}`] })));
  const error = await failure(connection.sftp());
  expect(error).toBeInstanceOf(ExpectedError);
  expect(error.what).toMatch(/^Starting SFTP on \S+ failed: /);
  expect(error.todo).toMatch(/^Keep the login shell of the user silent there .* internal-sftp/);
});

describe('a live command', () => {
  let connection: Connection;
  beforeAll(async () => {
    connection = await connect(endpointOf(server));
  });
  afterAll(() => connection?.close());

  it('answers line by line, and null at its end', async () => {
    const command = await connection.start(
      `while read -r line; do echo "got $line"; done; printf 'no newline'; exit 6`,
    );
    command.write('a\nb\n');
    expect(await command.nextLine(5000)).toBe('got a');
    expect(await command.nextLine(5000)).toBe('got b');
    command.write('c\n');
    command.end();
    expect(await command.nextLine(5000)).toBe('got c');
    expect(await command.nextLine(5000)).toBeNull();
    expect(await command.nextLine(5000)).toBeNull();
    expect(await command.exited).toEqual({ code: 6, signal: null, stdout: '', stderr: '' });
  });

  it('loses no line, though several arrive at once while one is waited for', async () => {
    const link = await proxy({ to: server });
    const shell = await open(endpointOf(server, link));
    const command = await shell.start('read -r go; sleep 0.3; for i in 1 2 3; do echo $i; sleep 0.1; done');
    const first = command.nextLine(10_000);
    const { up } = link.counters;
    command.write('go\n');
    await expect.poll(() => link.counters.up, { interval: 1 }).toBeGreaterThan(up);
    link.blackhole();
    await sleep(1000);
    await link.restore();
    expect([await first, await command.nextLine(5000), await command.nextLine(5000)]).toEqual(['1', '2', '3']);
    expect(await command.nextLine(5000)).toBeNull();
  });

  it('that says nothing in time is told so, and its line is there later', async () => {
    const command = await connection.start('sleep 0.6; echo late');
    const error = await failure(command.nextLine(100));
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(/^A command on \S+ said nothing for 0\.1 s\.$/);
    expect(await command.nextLine(5000)).toBe('late');
  });

  it('ended by a signal has no exit code', async () => {
    const command = await connection.start('echo oops >&2; kill -9 $$');
    expect(await command.nextLine(5000)).toBeNull();
    expect(await command.exited).toEqual({ code: null, signal: 'SIGKILL', stdout: '', stderr: 'oops\n' });
  });

  it('whose lines nobody reads cannot fill the memory, nor block', async () => {
    const command = await connection.start('yes "$(head -c 1000 /dev/zero | tr "\\0" y)" | head -n 20000; exit 7');
    expect((await command.exited).code).toBe(7);
    let bytes = 0;
    for (let line = await command.nextLine(5000); line !== null; line = await command.nextLine(5000))
      bytes += line.length;
    expect(bytes).toBeGreaterThan(500_000);
    expect(bytes).toBeLessThan(2_000_000);
  });

  it('may be written to after its end without harm', async () => {
    const command = await connection.start('exit 0');
    await command.exited;
    command.write('anybody?\n');
    command.end();
    command.write('nobody\n');
    await sleep(50);
    expect((await connection.script('echo up')).stdout).toBe('up\n');
  });
});

describe('a connection forwarded from the target', () => {
  it('carries bytes both ways', async () => {
    const stream = await (await open(endpointOf(server))).forward('127.0.0.1', await echo());
    const sent = randomBytes(3_000_000);
    const received: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => received.push(chunk));
    stream.end(sent);
    await new Promise((resolve) => stream.once('end', resolve));
    expect(Buffer.concat(received).equals(sent)).toBe(true);
  });

  it.each<[string, () => Promise<[string, number]>, SshdOptions, number, RegExp]>([
    [
      'to a closed port is refused',
      async () => ['127.0.0.1', await freePort()],
      {},
      2,
      / could not connect to 127\.0\.0\.1:\d+: Connection refused\.$/,
    ],
    [
      'to an unknown name is refused',
      async () => [`${'x'.repeat(64)}.example`, 80],
      {},
      2,
      / could not connect to x+\.example:80: .+\.$/,
    ],
    [
      'is refused where forwarding is forbidden',
      async () => ['127.0.0.1', await echo()],
      { config: ['AllowTcpForwarding no'] },
      1,
      / does not allow connections to 127\.0\.0\.1:\d+ to be forwarded\.$/,
    ],
  ])('%s, with the reason of the server', async (_, target, options, reason, says) => {
    const connection = await open(endpointOf(await sshd(options)));
    const error = await failure(connection.forward(...(await target())));
    expect(error).toBeInstanceOf(ForwardRefused);
    expect(error).toMatchObject({ reason });
    expect(error.what).toMatch(says);
    expect((await connection.script('echo up')).stdout).toBe('up\n');
  });
});

describe('a lost link', () => {
  /** Everything one may wait for over a connection, begun. */
  async function waitForAll(connection: Connection) {
    const port = await deafPort();
    const sftp = await connection.sftp();
    const [cat, silent] = await Promise.all([connection.start('cat'), connection.start('cat')]);
    const pending = {
      script: failure(connection.script('sleep 60')),
      nextLine: failure(cat.nextLine(60_000)),
      forward: failure(connection.forward('127.0.0.1', port)),
      sftp: failure(new Promise((_, reject) => sftp.readdir('/proc', reject))),
    };
    await sleep(300);
    return { pending, exited: [cat.exited, silent.exited], commands: [cat, silent] };
  }

  it.each<[string, (link: Link) => unknown, number]>([
    ['is noticed at once by all that wait, and the process lives on', (link) => link.cut(), 1000],
    ['that only went silent is declared dead after three questions', (link) => link.blackhole(), 2500],
  ])('%s', async (_, lose, withinMs) => {
    const link = await proxy({ to: server });
    const connection = await open(endpointOf(server, link), { keepaliveMs: 300 });
    const { pending, exited, commands } = await waitForAll(connection);
    const start = performance.now();
    void lose(link);
    for (const [name, error] of Object.entries(pending)) {
      if (name !== 'sftp') expect([name, await error]).toEqual([name, expect.any(ConnectionLost)]);
    }
    expect(performance.now() - start).toBeLessThan(withinMs);
    expect(await connection.closed).toBeInstanceOf(ConnectionLost);
    for (const end of exited) expect(await end).toMatchObject({ code: null, signal: null });
    for (const command of commands) {
      expect(await failure(command.nextLine(1000))).toBeInstanceOf(ConnectionLost);
      command.write('anybody?\n');
      command.end();
    }
    for (const ask of [
      connection.script('true'),
      connection.start('true'),
      connection.sftp(),
      connection.forward('127.0.0.1', 1),
    ]) {
      const error = await failure(ask);
      expect(error).toBeInstanceOf(ConnectionLost);
      expect(error.what).toMatch(/^The connection to \S+@127\.0\.0\.1:\d+ was lost: .+\.$/);
    }
    connection.close();
    expect(await connection.closed).toBeInstanceOf(ConnectionLost);
  });

  it('that is silent for less than three questions is not given up', async () => {
    const link = await proxy({ to: server });
    const connection = await open(endpointOf(server, link), { keepaliveMs: 500 });
    link.blackhole();
    await sleep(900);
    await link.restore();
    await sleep(1500);
    expect((await connection.script('echo up')).stdout).toBe('up\n');
  });

  it('is told apart from a command that ended: what was said before counts, its end does not', async () => {
    const link = await proxy({ to: server });
    const connection = await open(endpointOf(server, link));
    // `cat` writes both lines in one go; bash's own printf would write each by itself, and the cut could come between.
    const command = await connection.start("cat <<'end'\nfirst\nsecond\nend\ncat");
    expect(await command.nextLine(5000)).toBe('first');
    await link.cut();
    await connection.closed;
    expect(await command.nextLine(5000)).toBe('second');
    expect(await failure(command.nextLine(5000))).toBeInstanceOf(ConnectionLost);
  });

  it('because the server ended the session says so', async () => {
    const connection = await open(endpointOf(server));
    const error = await failure(connection.script('kill -9 $PPID; sleep 5'));
    expect(error).toBeInstanceOf(ConnectionLost);
    expect(await connection.closed).toBeInstanceOf(ConnectionLost);
  });
});

describe('closing a connection', () => {
  it('is no loss: `closed` resolves with nothing, and may be asked for before and after', async () => {
    const connection = await connect(endpointOf(server));
    const before = connection.closed;
    connection.close();
    connection.close();
    expect([await before, await connection.closed]).toEqual([undefined, undefined]);
  });

  it('ends whatever waits, and refuses what comes later', async () => {
    const connection = await connect(endpointOf(server));
    const command = await connection.start('cat');
    const waiting = [failure(connection.script('sleep 60')), failure(command.nextLine(60_000))];
    await sleep(200);
    connection.close();
    for (const error of [...(await Promise.all(waiting)), await failure(connection.script('true'))]) {
      expect(error).toBeInstanceOf(ConnectionLost);
      expect(error.what).toMatch(/^The connection to \S+ is closed\.$/);
    }
    expect(await command.exited).toMatchObject({ code: null });
    expect(await connection.closed).toBeUndefined();
  });

  it('to a server that went silent does not take long either', async () => {
    const link = await proxy({ to: server });
    const connection = await connect(endpointOf(server, link));
    link.blackhole();
    connection.close();
    const [error, ms] = await clock(connection.closed);
    expect(error).toBeUndefined();
    expect(ms).toBeLessThan(2000);
    await link.restore();
    await expect.poll(() => link.counters.open).toBe(0);
  });

  it('leaves no process of its own on the target', async () => {
    const connection = await connect(endpointOf(server));
    const { stdout } = await connection.script('echo $PPID');
    const session = `/proc/${stdout.trim()}`;
    expect(existsSync(session)).toBe(true);
    connection.close();
    await expect.poll(() => existsSync(session), { timeout: 3000 }).toBe(false);
  });
});
