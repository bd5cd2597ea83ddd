import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
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
const built = join(cacheDir, 'sccache-new');

/**
 * Debian's sccache, always, and a newer one where there is one: on the PATH, or built by an earlier run. Building one takes
 * minutes, so that is done only with GBO_NEW_SCCACHE set.
 */
export async function sccaches(): Promise<Sccache[]> {
  await installMissing(['sccache']);
  const newer = [
    ...(process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'sccache')),
    join(built, 'bin/sccache'),
  ].find((path) => existsSync(path) && !['/usr/bin/sccache', '/bin/sccache'].includes(path));
  const paths = [debian, newer ?? (process.env.GBO_NEW_SCCACHE ? await build() : undefined)];
  return Promise.all(
    paths.filter((path) => path !== undefined).map(async (path) => ({ path, version: await ask(path) })),
  );
}

async function ask(path: string): Promise<string> {
  return (await execute(path, ['--version'])).stdout.trim();
}

async function build(): Promise<string> {
  await mkdir(built, { recursive: true });
  const env = { ...process.env, CARGO_TARGET_DIR: join(built, 'target') };
  await execute('cargo', ['install', 'sccache', '--no-default-features', '--locked', '--root', built], { env });
  return join(built, 'bin/sccache');
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

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
