import { execFile } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parse } from 'smol-toml';
import { blocks, entriesIn, readWhole, statOf } from './disk-usage.js';
import type { Item, Place, SccacheStats } from './facts.js';
import { commandOf, type Process, processes, startOf } from './processes.js';

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
 * fails. A client of another server is nobody's hindrance. undefined: nobody.
 */
export function clientOf(server: SccacheServer, all: Process[] = processes()): Process | undefined {
  return all.find(({ pid, exe }) => {
    if (exe === undefined || !basename(exe).startsWith('sccache')) return false;
    const env = environment(pid);
    // One whose variables cannot be read may be anybody's.
    return (
      env.SCCACHE_START_SERVER !== '1' && (Object.keys(env).length === 0 || addressOf(env) === addressOf(server.env))
    );
  });
}

/** Where a server listens and its clients call, by the variables of sccache's docs/Configuration.md. */
function addressOf(env: Record<string, string>): string {
  return env.SCCACHE_SERVER_UDS || String(portOf(env));
}

function portOf(env: Record<string, string>): number {
  return Number(env.SCCACHE_SERVER_PORT || 4226);
}

/** Whether there is one of another user, whose cache cannot be told. */
export function strangerAmong(all: Process[]): boolean {
  return all.some(({ pid, exe }) => exe === undefined && commandOf(pid) === 'sccache');
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

/** How long it may take to end: it finishes what it is doing first, for 10 s at most. */
const STOP_MS = 12_000;

function asClient({ env }: SccacheServer): Record<string, string> {
  const { SCCACHE_START_SERVER: _, SCCACHE_STARTUP_NOTIFY: __, ...rest } = env;
  return rest;
}

/** Whether an entry may vanish while it runs: before 0.10 its cache fails for good when it meets one. */
export async function bearsRemoval(server: SccacheServer): Promise<boolean> {
  try {
    const { stdout } = await run(server.program, ['--version'], { env: asClient(server), timeout: 20_000 });
    const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(stdout) ?? []).slice(1).map(Number);
    return major > 0 || minor >= 10;
  } catch {
    return false;
  }
}

/** @returns whether it is down now: as long as it is there, a client may still reach it, and fail. */
export async function stopServer(server: SccacheServer): Promise<boolean> {
  const end = Date.now() + STOP_MS;
  const start = startOf(server.pid);
  await run(server.program, ['--stop-server'], { env: asClient(server), timeout: STOP_MS }).catch(() => {});
  // Not by its variables: they are gone before its port is free, and the one that takes its place would not start.
  while (start !== undefined && startOf(server.pid) === start) {
    if (Date.now() >= end) return false;
    await sleep(10);
  }
  return true;
}

/** How often it is tried. On a machine with three times the load that it bears, one start of Debian's sccache in fifty fails. */
const STARTS = 3;

/**
 * How long a start may take before there is any process of the server, which comes first: a client whose server has ended
 * waits for it for 10 s, and our locks with it.
 */
const GONE_MS = 2000;

/**
 * Starts one that was stopped again, as it was but for the variables of the job that started it and for what leads into
 * `gone`. Left to the next build, its compilers would start several at once, and with old versions some of them fail at it.
 * One whose own settings lead in there is not started: with others it would be another server. One that does not start
 * after several tries is left to the next build.
 */
export async function startServer(server: SccacheServer, gone: string[] = []): Promise<void> {
  const leadsThere = (text: string) => gone.some((folder) => text.includes(folder));
  const variables = Object.entries(asClient(server));
  if (variables.some(([name, value]) => name.startsWith('SCCACHE_') && leadsThere(value))) return;
  const env = variables
    .filter(([name]) => gone.length === 0 || !/^(GITHUB|FORGEJO|GITEA|RUNNER|ACTIONS|INPUT)_/.test(name))
    // Of a list such as PATH, the rest is needed.
    .map(([name, value]) => {
      const rest = value.split(':').filter((part) => !leadsThere(part));
      return [name, rest.join(':')];
    })
    .filter(([, value]) => value !== '');
  for (let left = STARTS; left > 0; left--) if (await starts(server, Object.fromEntries(env))) return;
}

/**
 * One try. Old versions lose a race with themselves: the client starts the server before it makes the socket on which that
 * has to say that it is there, and a server that finds none ends (run_server_process of its src/commands.rs).
 */
async function starts({ program, env: its }: SccacheServer, env: Record<string, string>): Promise<boolean> {
  const isThere = () => serversAmong(processes()).some((other) => addressOf(other.env) === addressOf(its));
  const giveUp = new AbortController();
  const client = run(program, ['--start-server'], { env, cwd: '/', timeout: 20_000, signal: giveUp.signal }).then(
    () => true,
    () => isThere(), // somebody else was faster
  );
  const watch = setTimeout(() => {
    if (!isThere()) giveUp.abort();
  }, GONE_MS);
  return client.finally(() => clearTimeout(watch));
}

/** Whether it answers yet; one that does not is in the middle of its start, and asked, an old one would start another. */
function listens({ env }: SccacheServer): Promise<boolean> {
  if (env.SCCACHE_SERVER_UDS) return Promise.resolve(true); // no version that knows this starts one when asked
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: portOf(env) });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => end(false));
    socket.on('connect', () => end(true)).on('error', () => end(false));
  });
}

/** What the server tells of itself; undefined when it does not. */
export async function statsOf(server: SccacheServer): Promise<SccacheStats | undefined> {
  try {
    if (!(await listens(server))) return undefined;
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
