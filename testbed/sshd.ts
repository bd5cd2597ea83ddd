import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Endpoint } from '../packages/shared/src/ssh/endpoint.js';

export type KeyType = 'ed25519' | 'rsa' | 'ecdsa';

export interface SshdOptions {
  /** Host keys the server owns. Default: ed25519. */
  hostKeys?: KeyType[];
  /** Lines put before the ones of the testbed in sshd_config; the first value of a keyword wins. */
  config?: string[];
  /** Options in front of the key in authorized_keys, such as `restrict` or `command="..."`. */
  authorizedKeysOptions?: string;
  /** Type of the user's key. Default: ed25519. */
  userKey?: KeyType;
  /** Passphrase of the user's key. Default: none. */
  passphrase?: string;
}

export interface Sshd {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** The user who may log in: the one who runs the test. */
  readonly user: string;
  /** known_hosts text with every host key of the server. */
  readonly knownHosts: string;
  /** Text of the private key that may log in. */
  readonly privateKey: string;
  readonly passphrase: string | undefined;
  /** By key type: `ssh-ed25519 AAAA...`. */
  readonly hostKeyPublic: Readonly<Partial<Record<KeyType, string>>>;
  /** Folder of its own with keys and configuration; removed by stop. */
  readonly dir: string;
  readonly pid: number;
  /** What the server has written to its log so far. */
  log(): string;
  /** Ends the server, its sessions, and removes its folder. */
  stop(): Promise<void>;
}

/** How to log in to a server, over a proxy in front of it if there is one. */
export function endpointOf(server: Sshd, over?: { port: number }): Endpoint {
  const { host, user, privateKey, passphrase } = server;
  const port = over?.port ?? server.port;
  const knownHosts = server.knownHosts.replaceAll(`:${server.port} `, `:${port} `);
  return { host, port, user, privateKey, passphrase, knownHosts, insecureHostKey: false };
}

const program = '/usr/sbin/sshd';
const sftpServer = existsSync('/usr/lib/openssh/sftp-server') ? '/usr/lib/openssh/sftp-server' : 'internal-sftp';

/**
 * Starts OpenSSH's own server on a free port of 127.0.0.1 with throw-away keys. It ends with `stop`, and with this
 * process however that ends.
 *
 * @throws Error when sshd is missing and cannot be installed, or does not answer within 10 s (with its log).
 */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  install();
  const dir = await mkdtemp(join(tmpdir(), 'testbed-sshd-'));
  const hostKeys = options.hostKeys ?? ['ed25519'];
  const hostKeyPublic: Partial<Record<KeyType, string>> = {};
  for (const type of hostKeys) hostKeyPublic[type] = generateKey(join(dir, `host_${type}`), type, '');
  const userKey = generateKey(join(dir, 'user'), options.userKey ?? 'ed25519', options.passphrase ?? '');
  await writeFile(join(dir, 'authorized_keys'), `${options.authorizedKeysOptions ?? ''} ${userKey}\n`.trimStart());
  // Another process can take the free port before sshd does; then the next one is tried.
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    await writeFile(join(dir, 'sshd_config'), configuration(dir, port, hostKeys, options.config ?? []));
    const server = launch(dir);
    try {
      await answers(port, server);
      return {
        host: '127.0.0.1',
        port,
        user: userInfo().username,
        knownHosts: hostKeys.map((type) => `[127.0.0.1]:${port} ${hostKeyPublic[type]}\n`).join(''),
        privateKey: await readFile(join(dir, 'user'), 'utf8'),
        passphrase: options.passphrase,
        hostKeyPublic,
        dir,
        pid: server.pid,
        log: server.log,
        stop: async () => {
          await server.stop();
          await rm(dir, { recursive: true, force: true });
        },
      };
    } catch (error) {
      await server.stop();
      if (tries < 3 && server.log().includes('Address already in use')) continue;
      await rm(dir, { recursive: true, force: true });
      throw error;
    }
  }
}

function install(): void {
  if (!existsSync(program)) {
    if (process.getuid?.() !== 0) throw new Error('openssh-server is missing, and only root can install it');
    // RUNLEVEL=1 keeps the package from starting a server of its own.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'openssh-server'], { env, stdio: 'pipe' });
  }
  // sshd started as root wants this folder, which systemd or the init script would have made.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
}

/** Writes `path` and `path.pub`; returns `type base64`. */
function generateKey(path: string, type: KeyType, passphrase: string): string {
  const bits = type === 'rsa' ? ['-b', '2048'] : [];
  execFileSync('ssh-keygen', ['-q', '-t', type, ...bits, '-N', passphrase, '-C', 'testbed', '-f', path]);
  return readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
}

function configuration(dir: string, port: number, hostKeys: KeyType[], extra: string[]): string {
  const lines = [
    ...extra,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    ...hostKeys.map((type) => `HostKey ${join(dir, `host_${type}`)}`),
    `AuthorizedKeysFile ${join(dir, 'authorized_keys')}`,
    `PidFile ${join(dir, 'sshd.pid')}`,
    'StrictModes no',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    // The login shell of whoever runs the tests may do and say anything. sshd takes the first such line only.
    ...(extra.some((line) => line.startsWith('SetEnv')) ? [] : [`SetEnv HOME=${dir}`]),
    'UsePAM no',
    'PrintMotd no',
    'LogLevel VERBOSE',
    // Debian's own default, where it is installed; sshd refuses a second line for the same subsystem.
    ...(extra.some((line) => line.startsWith('Subsystem')) ? [] : [`Subsystem sftp ${sftpServer}`]),
  ];
  return `${lines.join('\n')}\n`;
}

interface Server {
  readonly pid: number;
  log(): string;
  exited(): boolean;
  stop(): Promise<void>;
}

function launch(dir: string): Server {
  const command = [program, '-D', '-e', '-f', join(dir, 'sshd_config')];
  // The kernel ends sshd when this process dies, even by kill -9.
  const leashed = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'TERM', ...command] : command;
  const child = spawn(leashed[0] as string, leashed.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.on('error', (error) => {
    text += String(error);
  });
  const pid = child.pid ?? 0;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  const killNow = () => void kill(pid, 'SIGKILL');
  process.once('exit', killNow);
  const exited = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid,
    log: () => text,
    exited,
    stop: async () => {
      process.off('exit', killNow);
      if (pid === 0 || exited()) return;
      const sessions = descendants(pid);
      kill(pid, 'SIGTERM');
      for (const session of sessions) kill(session, 'SIGTERM');
      await Promise.race([gone, pause(3000)]);
      if (!exited()) kill(pid, 'SIGKILL');
      await gone;
    },
  };
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** The processes below `pid`, from the kernel's own list. */
function descendants(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    return children.flatMap((child) => [child, ...descendants(child)]);
  } catch {
    return [];
  }
}

/** A port of 127.0.0.1 that nobody listened on a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function answers(port: number, server: Server): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end && !server.exited(); await pause(20)) {
    if (await greets(port)) return;
  }
  throw new Error(`sshd does not answer on port ${port}:\n${server.log()}`);
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.setTimeout(1000, () => done(false));
    socket.once('data', (data) => done(data.toString().startsWith('SSH-2.0-')));
    socket.once('error', () => done(false)).once('end', () => done(false));
  });
}
