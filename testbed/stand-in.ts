import { execFile } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheDir, installMissing } from './systemd.js';

const run = promisify(execFile);
const source = fileURLToPath(new URL('./stand-in.c', import.meta.url));

/** What the program does once it is started; the order is that of the enum in stand-in.c. */
export const behaviours = [
  'healthy', // answers 200
  'crash', // exits 1 after 50 ms, never listens
  'crash-late', // answers 200, exits 1 after 1.5 s
  'unhealthy', // answers 503
  'never-listens', // runs and does nothing
  'slow-start', // answers 200, listens after 2 s
  'ignores-sigterm', // answers 200, ends only by SIGKILL
  'bad-version', // answers 200, but `--version` exits 3
] as const;
export type Behaviour = (typeof behaviours)[number];

export interface StandInOptions {
  /** Also the file name. Default `botserver`. */
  name?: string;
  /** In the answer of `--version` and of HTTP. Default `1.0.0`. */
  version?: string;
  /** The file is at least this big; the padding is incompressible and part of the ELF file. Default 0: some 16 KiB. */
  sizeMiB?: number;
  behaviour?: Behaviour;
  /**
   * `other-machine`: its header names another processor (aarch64; x86_64 when this machine is aarch64).
   * `future-glibc`: needs GLIBC_9.99. `static`: needs no loader and no libc.
   */
  build?: 'native' | 'other-machine' | 'future-glibc' | 'static';
}

/**
 * A real ELF program with the ways of a botserver; gives its path, a file that others may be using too: copy it, do not
 * change it. It listens on 127.0.0.1, on the port in PORT or after `--port`. The same options give the same bytes on the
 * same machine. Needs gcc, which it installs; rejects with gcc's words.
 */
export async function standIn(options: StandInOptions = {}): Promise<string> {
  const { name = 'botserver', version = '1.0.0', sizeMiB = 0, behaviour = 'healthy', build = 'native' } = options;
  if (!/^[\w.+-]+$/.test(name + version))
    throw new Error(`A stand-in's name and version are plain words: ${name} ${version}`);
  const code = await readFile(source);
  const key = createHash('sha256')
    .update(JSON.stringify([name, version, sizeMiB, behaviour, build, process.arch]))
    .update(code)
    .update(await readFile(fileURLToPath(import.meta.url)))
    .digest('hex')
    .slice(0, 16);
  const all = join(cacheDir, 'stand-ins');
  const folder = join(all, key);
  const path = join(folder, name);
  if (!existsSync(path)) {
    await installMissing(['gcc', 'objcopy', 'strip']);
    await mkdir(all, { recursive: true });
    await removeUnused(all);
    const making = await mkdtemp(join(all, '.making-'));
    try {
      const file = join(making, name);
      const defines = { NAME: `"${name}"`, VERSION: `"${version}"`, BEHAVIOUR: behaviours.indexOf(behaviour) };
      const flags = Object.entries(defines).map(([word, value]) => `-D${word}=${value}`);
      await run('gcc', ['-O2', '-s', ...(build === 'static' ? ['-static'] : []), ...flags, '-o', file, source]);
      if (build === 'future-glibc') await patch(file, askForFutureGlibc);
      if (sizeMiB > 0) await pad(file, key, sizeMiB);
      if (build === 'other-machine') await patchMachine(file);
      await chmod(file, 0o755);
      await chmod(making, 0o755);
      await rename(making, folder).catch((error) => {
        if (!existsSync(path)) throw error; // else another process was faster
      });
    } finally {
      await rm(making, { recursive: true, force: true });
    }
  }
  const now = new Date();
  await utimes(folder, now, now);
  return path;
}

/** A service unit for a stand-in. `path`: where the binary lies on the target. `extra`: more lines of [Service]. */
export function unitFile(unit: {
  name: string;
  path: string;
  port: number;
  restartSec?: string;
  extra?: string[];
}): string {
  const { name, path, port, restartSec = '100ms', extra = [] } = unit;
  return `[Unit]
Description=${name}
After=network.target

[Service]
Type=simple
ExecStart=${path} --port ${port}
Restart=always
RestartSec=${restartSec}
${extra.map((line) => `${line}\n`).join('')}
[Install]
WantedBy=multi-user.target
`;
}

/** Puts a section that nothing loads into the file, filled with a cipher's key stream. */
async function pad(file: string, seed: string, sizeMiB: number): Promise<void> {
  const padding = `${file}.padding`;
  const stream = createCipheriv('aes-128-ctr', createHash('md5').update(seed).digest(), Buffer.alloc(16));
  const handle = await open(padding, 'w');
  const zeros = Buffer.alloc(1024 * 1024);
  for (let written = 0; written < sizeMiB; written++) await handle.write(stream.update(zeros));
  await handle.close();
  await run('objcopy', ['--add-section', `.padding=${padding}`, file]);
  await rm(padding);
}

async function patch(file: string, change: (elf: Buffer) => void): Promise<void> {
  const handle = await open(file, 'r+');
  const elf = await handle.readFile();
  change(elf);
  await handle.write(elf, 0, elf.length, 0);
  await handle.close();
}

/** e_machine is 2 bytes at offset 18 (elf(5)); EM_AARCH64 is 183, EM_X86_64 is 62 (elf.h). */
async function patchMachine(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(Buffer.from([process.arch === 'arm64' ? 62 : 183, 0]), 0, 2, 18);
  await handle.close();
}

/**
 * Renames the version GLIBC_2.34 (that of __libc_start_main, so every program has it) to GLIBC_9.99: its string, of the
 * same length, and its hash in .gnu.version_r, which is what the loader compares.
 */
function askForFutureGlibc(elf: Buffer): void {
  const replaceOnce = (from: Buffer, to: Buffer) => {
    const at = elf.indexOf(from);
    if (at < 0 || elf.indexOf(from, at + 1) >= 0)
      throw new Error('This compiler makes an ELF that the testbed cannot patch.');
    to.copy(elf, at);
  };
  const hashes = ['GLIBC_2.34', 'GLIBC_9.99'].map((text) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(elfHash(text));
    return bytes;
  }) as [Buffer, Buffer];
  replaceOnce(Buffer.from('GLIBC_2.34\0'), Buffer.from('GLIBC_9.99\0'));
  replaceOnce(...hashes);
}

/** The hash of a symbol version's name: System V ABI, "Hash Table". */
function elfHash(text: string): number {
  let hash = 0;
  for (const byte of Buffer.from(text)) {
    hash = ((hash << 4) >>> 0) + byte;
    const high = hash & 0xf0000000;
    hash = ((hash ^ (high >>> 24)) & ~high) >>> 0;
  }
  return hash;
}

/** Big files add up: what nobody asked for in a week goes. */
async function removeUnused(all: string): Promise<void> {
  for (const entry of await readdir(all)) {
    const folder = join(all, entry);
    const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > 7 * 24 * 3600 * 1000) await rm(folder, { recursive: true, force: true });
  }
}
