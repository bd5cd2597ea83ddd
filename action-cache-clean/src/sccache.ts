import { execFile } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'smol-toml';
import { blocks, entriesIn, readWhole, statOf } from './disk-usage.js';
import type { Item, Place, SccacheStats } from './facts.js';
import { commandOf, type Process, processes } from './processes.js';

const run = promisify(execFile);

/** A server that is running. Asking sccache itself would start one (to version 0.5). */
export interface SccacheServer {
  pid: number;
  program: string;
  /** What it was started with: where it listens and where its cache lies. */
  env: Record<string, string>;
  dir: string;
}

/** The server of a cache folder, found among the processes. */
export function serverOf(dir: string, all: Process[] = processes()): SccacheServer | undefined {
  return serversAmong(all).find((server) => server.dir === dir);
}

export function serversAmong(all: Process[]): SccacheServer[] {
  return all
    .filter(({ exe }) => exe !== undefined && basename(exe).startsWith('sccache'))
    .flatMap(({ pid, exe = '' }) => {
      const env = environment(pid);
      return env.SCCACHE_START_SERVER === '1' ? [{ pid, program: exe, env, dir: folderOf(env) }] : []; // else a client
    });
}

/** As sccache finds it: the variable, its configuration, the default. It may be spelt in any way. */
function folderOf(env: Record<string, string>): string {
  const home = env.HOME ?? '';
  const given =
    env.SCCACHE_DIR ||
    configured(env.SCCACHE_CONF || join(env.XDG_CONFIG_HOME || join(home, '.config'), 'sccache/config'));
  const dir = given || join(env.XDG_CACHE_HOME || join(home, '.cache'), 'sccache');
  try {
    return realpathSync(dir);
  } catch {
    return dir;
  }
}

function configured(file: string): string | undefined {
  try {
    const { cache } = parse(readWhole(file).toString()) as { cache?: { disk?: { dir?: unknown } } };
    return typeof cache?.disk?.dir === 'string' ? cache.disk.dir : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Who keeps the server from being stopped: it ends what it is doing for 10 s at most, and a compiler whose server is gone
 * fails. undefined: nobody.
 */
export function clientOf(all: Process[] = processes()): Process | undefined {
  return all.find(({ pid, exe }) =>
    exe === undefined
      ? commandOf(pid) === 'sccache' // somebody else's: server or not, whose cache it is could not be told
      : basename(exe).startsWith('sccache') && environment(pid).SCCACHE_START_SERVER !== '1',
  );
}

function environment(pid: number): Record<string, string> {
  try {
    const pairs = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
    return Object.fromEntries(
      pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    );
  } catch {
    return {};
  }
}

function asClient({ env }: SccacheServer): NodeJS.ProcessEnv {
  const { SCCACHE_START_SERVER: _, ...rest } = env;
  return rest;
}

/** @returns whether it is down now. It ends what it is doing first, for 10 s at most. */
export async function stopServer(server: SccacheServer): Promise<boolean> {
  try {
    await run(server.program, ['--stop-server'], { env: asClient(server), timeout: 20_000 });
    return true;
  } catch {
    return statOf(`/proc/${server.pid}`) === undefined;
  }
}

/** What the server tells of itself; undefined when it does not. */
export async function statsOf(server: SccacheServer): Promise<SccacheStats | undefined> {
  try {
    const options = { env: asClient(server), timeout: 20_000 };
    const { stdout } = await run(server.program, ['--show-stats', '--stats-format=json'], options);
    const { stats } = JSON.parse(stdout) as { stats: Record<string, { counts?: Record<string, number> }> };
    const version = (await run(server.program, ['--version'], options)).stdout.trim();
    const total = (name: string) => Object.values(stats[name]?.counts ?? {}).reduce((sum, count) => sum + count, 0);
    return { hits: total('cache_hits'), misses: total('cache_misses'), version };
  } catch {
    return undefined;
  }
}

/** One entry of the cache: the folders are its first digits. */
const ENTRY = /^[0-9a-f]{32,128}$/;
const DIGIT = /^[0-9a-f]$/;

/** The entries on disk. Their time is that of their last use: sccache sets it on every hit. */
export function surveySccache(place: Place): Item[] {
  const items: Item[] = [];
  const walk = (folder: string, depth: number) => {
    for (const entry of entriesIn(join(place.root, folder))) {
      const path = folder ? `${folder}/${entry.name}` : entry.name;
      if (entry.isDirectory()) {
        const goes = folder === '' ? DIGIT.test(entry.name) || entry.name === 'preprocessor' : DIGIT.test(entry.name);
        if (goes && depth < 5) walk(path, depth + 1);
      } else if (entry.isFile()) {
        const temporary = folder === '' && entry.name.startsWith('.sccachetmp');
        if (!temporary && !(depth > 0 && ENTRY.test(entry.name))) continue;
        const stat = statOf(join(place.root, path));
        if (!stat) continue;
        items.push({
          place,
          category: 'sccache',
          kind: temporary ? 'broken' : 'object',
          broken: temporary ? 'it was never finished' : undefined,
          path,
          bytes: blocks(stat),
          usedAt: stat.mtimeMs,
          changedAt: stat.ctimeMs,
        });
      }
    }
  };
  walk('', 0);
  return items;
}
