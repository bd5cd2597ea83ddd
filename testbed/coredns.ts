import { execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDir } from './systemd.js';

const version = 'v1.15.0';

/** A CoreDNS of this machine's own making: Debian has none. The first time it takes minutes, as Go builds it. */
export async function coreDnsBinary(): Promise<string> {
  const folder = join(cacheDir, 'coredns', version);
  const binary = join(folder, 'coredns');
  if (existsSync(binary)) return binary;
  await mkdir(folder, { recursive: true });
  const go = existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : 'go';
  await promisify(execFile)('nice', [go, 'install', `github.com/coredns/coredns@${version}`], {
    env: { ...process.env, GOBIN: folder, GOFLAGS: '-p=2' },
    maxBuffer: 64 * 1024 * 1024,
  });
  return binary;
}

export interface CoreDns {
  /** Whether it took its Corefile and listens. */
  started: boolean;
  output: string;
  stop(): Promise<void>;
}

/** Starts it with a Corefile and the files beside it; it ends with `stop()` or with this process. */
export async function startCoreDns(binary: string, files: Record<string, string>): Promise<CoreDns> {
  const folder = await mkdtemp(join(tmpdir(), 'coredns-'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', binary, '-conf', 'Corefile'], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const started = await new Promise<boolean>((resolve) => {
    const read = (data: Buffer) => {
      output += data.toString();
      // It says its version once it listens.
      if (output.includes('\nlinux/')) resolve(true);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', () => resolve(false));
    child.once('close', () => resolve(false));
  });
  return {
    started,
    output,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A port of 127.0.0.1 that is free for UDP just now. */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', () => resolve()));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
