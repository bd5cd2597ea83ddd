import { execFile, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync } from 'node:fs';
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createRepository, type GitServer, startGitServer } from '../../testbed/git-server.js';
import { type Sshd, startSshd } from '../../testbed/sshd.js';
import { type Finished, type Running, run, start } from './harness.js';

const exec = promisify(execFile);

/** What kind of server a remote is. */
export interface Kind {
  via?: 'http' | 'ssh';
  /** Partial clone, and any object by its name. Default true. */
  partial?: boolean;
  protocol?: 0 | 2;
  token?: string;
}

/** The server of one remote. */
export interface Home {
  /** Its line in the input `remotes`, without the name. */
  readonly base: string;
  /** Where its bare repositories lie. */
  readonly dir: string;
  readonly token?: string;
  /** What the action needs to reach it, beside base and token. */
  readonly inputs: Record<string, string>;
  readonly http?: GitServer;
  create(name: string, format?: 'sha1' | 'sha256'): Promise<string>;
  stop(): Promise<void>;
}

export async function startHome({ via = 'http', partial = true, protocol = 2, token }: Kind = {}): Promise<Home> {
  if (via === 'http') {
    const http = await startGitServer({ token, partial, protocol });
    return { base: http.base, dir: http.dir, token, inputs: {}, http, create: http.create, stop: http.stop };
  }
  // The default key exchange would take most of the time of these tests.
  const config = ['KexAlgorithms curve25519-sha256', ...(protocol === 2 ? ['AcceptEnv GIT_PROTOCOL'] : [])];
  const sshd: Sshd = await startSshd({ config });
  const dir = join(sshd.dir, 'acme');
  await mkdir(dir);
  return {
    base: `ssh://${sshd.user}@127.0.0.1:${sshd.port}${dir}/`,
    dir,
    inputs: { 'ssh-key': sshd.privateKey, 'known-hosts': sshd.knownHosts },
    stop: sshd.stop,
    async create(name, format) {
      const path = join(dir, `${name}.git`);
      await createRepository(path, { format, partial });
      return path;
    },
  };
}

export interface WorldOptions {
  /** By the names that developers use in `git push NAME`. */
  homes: Record<string, Kind>;
  format?: 'sha1' | 'sha256';
  /** Whether developers push over the network, as people do; default: straight to the disk of the server, which is quicker. */
  overNetwork?: boolean;
}

/** Two forges, and a developer with a checkout of the root `gb` and of its submodules. */
export interface World {
  readonly homes: Readonly<Record<string, Home>>;
  /** The developer's checkout of the root. */
  readonly checkout: string;
  /** Runs git in the submodule at `path`, `.` for the root; gives what it prints. */
  git(path: string, ...args: string[]): Promise<string>;
  /** Makes a repository on every remote, with a checkout at `path` and one commit that is on main everywhere. */
  repository(path: string, name?: string): Promise<void>;
  /** Makes a submodule with one commit that is pushed everywhere, and its entry, named after its path unless told otherwise. */
  submodule(path: string, options?: { name?: string; entry?: string; url?: string; branch?: string }): Promise<void>;
  /** Commits something new in `path`; `at` is its date in seconds. */
  commit(path: string, options?: { message?: string; at?: number; files?: Record<string, string> }): Promise<string>;
  /** A row of commits, quickly; the last one is checked out. */
  commits(path: string, count: number, options?: { from?: number; every?: number }): Promise<string>;
  push(path: string, remote: string, refspec?: string): Promise<void>;
  /** Pins what these submodules, or all of them, have checked out, or other objects, and commits the root. */
  pin(...pins: (string | [path: string, sha: string])[]): Promise<string>;
  /** Pushes the root to these remotes, or to all. */
  pushRoot(...remotes: string[]): Promise<void>;
  /** The inputs that every run needs. */
  inputs(more?: Record<string, string>): Record<string, string>;
  check(more?: Record<string, string>, env?: Record<string, string>): Promise<Finished>;
  start(more?: Record<string, string>, env?: Record<string, string>): Running;
  /** Carries printed commands out, as pasted into a shell that stops at the first failure. */
  mend(commands: string[] | string): Promise<{ code: number | null; said: string }>;
  /** Whether a branch of a server holds a commit, by the server's own repository. */
  holds(remote: string, path: string, sha: string, branch?: string): Promise<boolean>;
  /** What a branch of a server is at; '' when there is none. */
  tip(remote: string, path: string, branch?: string): Promise<string>;
  readonly env: NodeJS.ProcessEnv;
  stop(): Promise<void>;
}

export async function createWorld({
  homes: kinds,
  format = 'sha1',
  overNetwork = false,
}: WorldOptions): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-world-'));
  const checkout = join(folder, 'gb');
  const started = await Promise.all(
    Object.entries(kinds).map(async ([name, kind]) => [name, await startHome(kind)] as const),
  );
  const homes = Object.fromEntries(started);
  const remotes = Object.keys(homes);
  const env = await developer(folder);
  const names = new Map<string, string>();
  const submodules: string[] = [];
  let number = 0;

  const at = (path: string) => (path === '.' ? checkout : join(checkout, path));
  const nameOf = (path: string) => names.get(path) ?? path;
  const piped = (args: string[], input: string) =>
    new Promise<void>((resolve, reject) => {
      const child = spawn('git', args, { env, stdio: ['pipe', 'ignore', 'inherit'] });
      child.on('error', reject);
      child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`git ended with ${code}`))));
      child.stdin.end(input);
    });
  const git = async (path: string, ...args: string[]) => {
    const { stdout } = await exec('git', ['-C', at(path), ...args], { env, maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  };

  async function repository(path: string, name = path): Promise<void> {
    names.set(path, name);
    const paths = await Promise.all(Object.values(homes).map((home) => home.create(name, format)));
    await exec('git', ['init', '--quiet', '--template=', `--object-format=${format}`, at(path)], { env });
    const sections = remotes.map((remote, index) => {
      const url = overNetwork ? withToken(`${homes[remote]?.base}${name}.git`, homes[remote]?.token) : paths[index];
      return `[remote "${remote}"]\n\turl = ${JSON.stringify(url)}\n\tfetch = +refs/heads/*:refs/remotes/${remote}/*\n`;
    });
    await appendFile(join(at(path), '.git', 'config'), sections.join(''));
    await world.commit(path, { message: `Begin ${name}` });
    await Promise.all(remotes.map((remote) => world.push(path, remote)));
  }

  const world: World = {
    homes,
    checkout,
    env,
    git,
    repository,
    async submodule(path, { name = path, entry = path, url = `../${name}.git`, branch } = {}) {
      const quoted = (text: string) => JSON.stringify(text);
      const rows = [`[submodule ${quoted(entry)}]`, `path = ${quoted(path)}`, `url = ${quoted(url)}`];
      if (branch) rows.push(`branch = ${quoted(branch)}`);
      appendFileSync(join(checkout, '.gitmodules'), `${rows.join('\n\t')}\n`);
      submodules.push(path);
      await repository(path, name);
    },
    async commit(path, { message, at: seconds, files = {} } = {}) {
      number += 1;
      for (const [file, text] of Object.entries(files)) {
        await mkdir(dirname(join(at(path), file)), { recursive: true });
        await writeFile(join(at(path), file), text);
        await git(path, 'add', '--', file);
      }
      const dates =
        seconds === undefined ? {} : { GIT_AUTHOR_DATE: `@${seconds} +0000`, GIT_COMMITTER_DATE: `@${seconds} +0000` };
      await exec('git', ['-C', at(path), 'commit', '--quiet', '--allow-empty', '-m', message ?? `Change ${number}`], {
        env: { ...env, ...dates },
      });
      return git(path, 'rev-parse', 'HEAD');
    },
    async commits(path, count, { from = Math.floor(Date.now() / 1000) - count, every = 1 } = {}) {
      number += 1;
      const head = await git(path, 'rev-parse', 'HEAD');
      const branch = await git(path, 'symbolic-ref', 'HEAD');
      const rows = Array.from({ length: count }, (_, index) => {
        const text = `Change ${number}.${index}`;
        const who = `committer Acme <acme@example.com> ${from + index * every} +0000`;
        return `commit ${branch}\n${who}\ndata ${text.length}\n${text}\n${index === 0 ? `from ${head}\n` : ''}`;
      });
      // They change no file, so that the checkout still fits.
      await piped(['-C', at(path), 'fast-import', '--quiet'], rows.join(''));
      return git(path, 'rev-parse', 'HEAD');
    },
    push: async (path, remote, refspec = 'HEAD:refs/heads/main') =>
      void (await git(path, 'push', '--quiet', remote, refspec)),
    async pin(...pins) {
      const chosen = pins.length > 0 ? pins : submodules;
      const rows = await Promise.all(
        chosen.map(async (pin) => {
          const [path, sha] = typeof pin === 'string' ? [pin, await git(pin, 'rev-parse', 'HEAD')] : pin;
          return `160000 ${sha}\t${path}\0`;
        }),
      );
      await piped(['-C', checkout, 'update-index', '-z', '--index-info'], rows.join(''));
      if (existsSync(join(checkout, '.gitmodules'))) await git('.', 'add', '.gitmodules');
      return world.commit('.', { message: 'Update submodules' });
    },
    async pushRoot(...to) {
      await Promise.all((to.length > 0 ? to : remotes).map((remote) => world.push('.', remote)));
    },
    inputs: (more = {}) => {
      const tokens = remotes.flatMap((remote) => (homes[remote]?.token ? [`${remote} = ${homes[remote]?.token}`] : []));
      return {
        remotes: remotes.map((remote) => `${remote} = ${homes[remote]?.base}`).join('\n'),
        ...(tokens.length > 0 ? { tokens: tokens.join('\n') } : {}),
        ...Object.assign({}, ...Object.values(homes).map((home) => home.inputs)),
        root: 'gb',
        repository: checkout,
        ...more,
      };
    },
    check: (more, variables) => run(world.inputs(more), variables),
    start: (more, variables) => start(world.inputs(more), variables),
    async mend(commands) {
      const text = typeof commands === 'string' ? commands : commands.join('\n');
      try {
        const { stdout, stderr } = await exec('sh', ['-ec', text], { cwd: checkout, env });
        return { code: 0, said: stdout + stderr };
      } catch (error) {
        const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
        return { code, said: stdout + stderr };
      }
    },
    async holds(remote, path, sha, branch = 'main') {
      const bare = join(homes[remote]?.dir ?? '', `${nameOf(path)}.git`);
      try {
        await exec('git', ['-C', bare, 'merge-base', '--is-ancestor', sha, `refs/heads/${branch}`], { env });
        return true;
      } catch {
        return false;
      }
    },
    async tip(remote, path, branch = 'main') {
      const bare = join(homes[remote]?.dir ?? '', `${nameOf(path)}.git`);
      const { stdout } = await exec(
        'git',
        ['-C', bare, 'for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`],
        { env },
      );
      return stdout.trim();
    },
    async stop() {
      await Promise.all(Object.values(homes).map((home) => home.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
  await repository('.', 'gb');
  return world;
}

/** A person with a name, and a git that has no other settings than these. */
async function developer(folder: string): Promise<NodeJS.ProcessEnv> {
  const config = join(folder, 'gitconfig');
  await writeFile(
    config,
    '[user]\n\tname = Acme\n\temail = acme@example.com\n[init]\n\tdefaultBranch = main\n[advice]\n\taddEmbeddedRepo = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n',
  );
  return {
    PATH: process.env.PATH,
    HOME: folder,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: config,
    GIT_TERMINAL_PROMPT: '0',
  };
}

function withToken(url: string, token: string | undefined): string {
  return token ? url.replace('://', `://acme:${token}@`) : url;
}
