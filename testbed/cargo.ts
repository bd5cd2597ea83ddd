import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDir, installMissing } from './systemd.js';

const execute = promisify(execFile);

/** Small ones without dependencies of their own, so that a build of all takes seconds; `=` keeps old ones old. */
const crates = `adler=1 arrayref=0.3 arrayvec=0.7 base16ct=0.2 bitflags=1 byteorder=1 bytes=1 cast=0.3 cfg-if=1
  constant_time_eq=0.3 crc32fast=1 data-encoding=2 downcast-rs=1 dtoa=1 dyn-clone=1 either=1 equivalent=1 fastrand=2
  fixedbitset=0.5 fnv=1 foldhash=0.1 futures-core=0.3 futures-sink=0.3 futures-task=0.3 heck=0.5 hex=0.4 httpdate=1
  humantime=2 indoc=2 is_terminal_polyfill=1 itoa=1 lazy_static=1 linked-hash-map=0.5 lru-cache=0.1 maplit=1 matches=0.1
  minimal-lexical=0.2 nohash-hasher=0.2 opaque-debug=0.3 percent-encoding=2 pin-project-lite=0.2 pin-utils=0.1
  quick-error=2 rustc-hash=2 ryu=1 scopeguard=1 shlex=1 siphasher=1 slab=0.4 smallvec=1 spin=0.9 stable_deref_trait=1
  static_assertions=1 strsim=0.11 subtle=2 take_mut=0.2 tinyvec=1 try-lock=0.2 typed-arena=2 unicode-width=0.1
  unicode-xid=0.2 unreachable=1 utf8parse=0.2 version_check=0.9 void=1 want=0.3`
  .split(/\s+/)
  .map((each) => each.split('=') as [name: string, version: string]);

/** How many crates of crates.io a whole workspace needs directly. */
export const crateCount = crates.length;

export interface Ran {
  code: number | null;
  /** stdout and stderr. */
  output: string;
}

export interface WorkspaceOptions {
  /** How many of the crates it needs. Default: all. */
  crates?: number;
  /** Whether it needs `acme-tool` of a git repository. Default true. */
  git?: boolean;
}

/** Cargo with a home, a registry and toolchains that are its own. All of it lies in one folder. */
export interface CargoWorld {
  readonly root: string;
  readonly home: string;
  readonly cargoHome: string;
  readonly rustupHome: string;
  /** What cargo is started with. Nothing of this process's environment but the way to a compiler. */
  readonly env: Record<string, string>;
  /** Crates that were downloaded since the start. */
  downloads(): number;
  /** Makes a workspace with a library, a program, and a test that waits for WAIT seconds. Gives its folder. */
  workspace(name: string, options?: WorkspaceOptions): Promise<string>;
  /** Never rejects. `toolchain`: folder of its programs, default that of `env`. */
  cargo(args: string[], cwd: string, env?: Record<string, string>): Promise<Ran>;
  /** Adds a toolchain that is another one by `rustc -vV`, and does what the real one does. Gives its bin folder. */
  addToolchain(name: string, version?: string): Promise<string>;
  /** From now on the index has another address and the crates the old one, as after a change of cargo's hash of it. */
  moveRegistry(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a cargo of its own: real crates of crates.io, from a registry on 127.0.0.1 (they are fetched from crates.io once for
 * all tests), so that evicting them again and again costs nobody's bandwidth.
 */
export async function startCargo(): Promise<CargoWorld> {
  await installMissing(['git', 'cc']);
  const real = await toolchain();
  const from = await seed();
  const root = await realpath(await mkdtemp(join(tmpdir(), 'testbed-cargo-')));
  const [home, cargoHome, rustupHome, tmp] = ['home', 'home/.cargo', 'home/.rustup', 'tmp'].map((name) =>
    join(root, name),
  ) as [string, string, string, string];
  for (const folder of [cargoHome, join(rustupHome, 'toolchains'), tmp]) await mkdir(folder, { recursive: true });
  await symlink(dirname(real), join(rustupHome, 'toolchains', 'stable'));
  const registries = [await startRegistry(from)];
  const useRegistry = () =>
    writeFile(
      join(cargoHome, 'config.toml'),
      `[source.crates-io]\nreplace-with = "near"\n\n[source.near]\nregistry = "sparse+${registries.at(-1)?.url}"\n`,
    );
  await useRegistry();
  const env = {
    PATH: `${real}:/usr/local/bin:/usr/bin:/bin`,
    HOME: home,
    CARGO_HOME: cargoHome,
    RUSTUP_HOME: rustupHome,
    TMPDIR: tmp,
    CARGO_TERM_COLOR: 'never',
  };
  return {
    root,
    home,
    cargoHome,
    rustupHome,
    env,
    downloads: () => registries.reduce((sum, each) => sum + each.downloads(), 0),
    async workspace(name, options = {}) {
      const folder = join(root, name);
      await mkdir(join(folder, 'src'), { recursive: true });
      await mkdir(join(folder, 'tests'));
      await writeFile(join(folder, 'Cargo.toml'), manifest(name, from, options));
      await cp(join(from, 'Cargo.lock'), join(folder, 'Cargo.lock'));
      await writeFile(join(folder, 'src/lib.rs'), 'pub fn answer() -> u32 {\n    42\n}\n');
      await writeFile(join(folder, 'src/main.rs'), 'fn main() {\n    println!("hello from acme");\n}\n');
      await writeFile(join(folder, 'tests/wait.rs'), waiting(name));
      return folder;
    },
    cargo: (args, cwd, more = {}) => run('cargo', args, cwd, { ...env, ...more }),
    async addToolchain(name, version = '1.0.0-other') {
      const bin = join(rustupHome, 'toolchains', name, 'bin');
      await mkdir(bin, { recursive: true });
      await symlink(join(real, 'cargo'), join(bin, 'cargo'));
      const rustc = join(bin, 'rustc');
      // Cargo asks `rustc -vV` and nothing else for who it is.
      const script = `#!/bin/sh\n[ "$*" = -vV ] || exec ${real}/rustc "$@"\n${real}/rustc -vV | sed 's/^commit-hash: .*/commit-hash: ${version}/'\n`;
      await writeFile(rustc, script);
      await chmod(rustc, 0o755);
      return bin;
    },
    async moveRegistry() {
      registries.push(await startRegistry(from, registries[0]?.url));
      await useRegistry();
    },
    async stop() {
      for (const registry of registries) registry.stop();
      await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

/** Runs a program to its end, whatever that is. */
export function run(program: string, args: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    child.on('error', reject);
    // Not `close`: a server that it started may keep its pipes.
    child.on('exit', (code) => setTimeout(() => resolve({ code, output }), 20));
  });
}

/** The bin folder of the compiler that is used here: rustup's own programs would look for it under another home. */
async function toolchain(): Promise<string> {
  try {
    return join((await execute('rustc', ['--print', 'sysroot'])).stdout.trim(), 'bin');
  } catch (error) {
    throw new Error(`These tests need cargo and rustc, as rustup installs them: ${String(error)}`);
  }
}

/** All toolchains that rustup has installed here, as their bin folders, the one in use first. */
export async function toolchainsHere(): Promise<string[]> {
  const used = await toolchain();
  const all = dirname(dirname(used));
  if (basename(all) !== 'toolchains') return [used];
  const others = (await readdir(all)).map((name) => join(all, name, 'bin')).filter((bin) => bin !== used);
  return [used, ...others.filter((bin) => existsSync(join(bin, 'cargo')))];
}

function manifest(name: string, from: string, { crates: count = crates.length, git = true }: WorkspaceOptions): string {
  const dependencies = crates.slice(0, count).map(([crate, version]) => `${crate} = "${version}"`);
  if (git) dependencies.push(`acme-tool = { git = "file://${from}/acme-tool.git" }`);
  return `[package]\nname = "${name}"\nversion = "0.1.0"\nedition = "2021"\n\n[profile.dev]\ndebug = 0\n\n[dependencies]\n${dependencies.join('\n')}\n`;
}

const waiting = (name: string) => `#[test]
fn waits() {
    let seconds = std::env::var("WAIT").map_or(0, |text| text.parse().unwrap());
    std::thread::sleep(std::time::Duration::from_secs(seconds));
    assert_eq!(${name.replaceAll('-', '_')}::answer(), 42);
}
`;

/** Cargo.lock, crates, their index, and a git repository: fetched once, kept for all tests. Gives its folder. */
async function seed(): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify(crates)).digest('hex').slice(0, 12);
  const folder = join(cacheDir, `crates-${key}`);
  if (existsSync(folder)) return folder;
  await mkdir(cacheDir, { recursive: true });
  const making = await mkdtemp(join(cacheDir, '.making-'));
  try {
    const [home, project, source] = ['home', 'project', 'acme-tool'].map((name) => join(making, name)) as [
      string,
      string,
      string,
    ];
    await gitRepository(source, join(making, 'acme-tool.git'));
    await mkdir(join(project, 'src'), { recursive: true });
    await writeFile(join(project, 'Cargo.toml'), manifest('acme', making, {}));
    await writeFile(join(project, 'src/lib.rs'), '');
    const env = { ...process.env, CARGO_HOME: home };
    await execute('cargo', ['fetch', '--quiet'], { cwd: project, env });
    const lock = await readFile(join(project, 'Cargo.lock'), 'utf8');
    await writeFile(join(making, 'Cargo.lock'), lock.replaceAll(making, folder));
    await collect(home, making);
    for (const name of [home, project, source]) await rm(name, { recursive: true });
    await rename(making, folder).catch((error) => {
      if (!existsSync(folder)) throw error; // else another process was faster
    });
    return folder;
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

async function gitRepository(source: string, bare: string): Promise<void> {
  await mkdir(join(source, 'src'), { recursive: true });
  await writeFile(join(source, 'Cargo.toml'), '[package]\nname = "acme-tool"\nversion = "0.1.0"\nedition = "2021"\n');
  await writeFile(join(source, 'src/lib.rs'), 'pub fn tool() {}\n');
  const dates = { GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z', GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z' };
  const who = ['-c', 'user.name=acme', '-c', 'user.email=acme@example.com', '-c', 'commit.gpgsign=false'];
  const git = (...args: string[]) => execute('git', [...who, ...args], { env: { ...process.env, ...dates } });
  await git('init', '--quiet', '--initial-branch=main', source);
  await git('-C', source, 'add', '.');
  await git('-C', source, 'commit', '--quiet', '--message', 'Begin');
  await git('clone', '--quiet', '--bare', source, bare);
}

/** What a registry needs, out of a cargo home that has just fetched all of it. */
async function collect(home: string, into: string): Promise<void> {
  await mkdir(join(into, 'crates'));
  await mkdir(join(into, 'index'));
  const only = async (folder: string) => join(folder, (await readdir(folder))[0] ?? '');
  const cache = await only(join(home, 'registry/cache'));
  for (const file of await readdir(cache)) await cp(join(cache, file), join(into, 'crates', file));
  const index = join(await only(join(home, 'registry/index')), '.cache');
  for (const path of await readdir(index, { recursive: true, withFileTypes: true })) {
    if (!path.isFile()) continue;
    // Cargo's own cache of an index: a head, then version and line in turn, each with a 0 behind it.
    const parts = (await readFile(join(path.parentPath, path.name), 'utf8')).split('\0');
    await writeFile(join(into, 'index', path.name), `${parts.filter((part) => part.startsWith('{')).join('\n')}\n`);
  }
}

/** The sparse protocol of https://doc.rust-lang.org/cargo/reference/registry-index.html, as far as cargo asks. */
/** `dl`: where its crates are, when not here. */
async function startRegistry(from: string, dl?: string): Promise<{ url: string; downloads(): number; stop(): void }> {
  let downloads = 0;
  const server = createServer((request, response) => {
    const parts = (request.url ?? '/').split('/').slice(1);
    const answer = async (): Promise<Buffer | string> => {
      if (parts[0] === 'config.json') return JSON.stringify({ dl: `${dl ?? url}crates/{crate}-{version}.crate` });
      if (parts[0] !== 'crates') return readFile(join(from, 'index', basename(parts.at(-1) ?? '')));
      downloads++;
      return readFile(join(from, 'crates', basename(parts.at(-1) ?? '')));
    };
    answer().then(
      (body) => response.end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  server.unref();
  return {
    url,
    downloads: () => downloads,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
