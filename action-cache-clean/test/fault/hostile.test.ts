import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, realpath, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { startAction } from '../../../testbed/run-action.js';
import { installMissing } from '../../../testbed/systemd.js';
import { bundle, clock, manifest, type Report } from '../harness.js';

const registry = 'index.example.com-0123456789abcdef';
const hash = '0123456789abcdef';
const tag = 'Signature: 8a477f597d28d172789f06886806bc55\n';
const entry = `ab${'c'.repeat(62)}`;

/** Where everything lies; paths below `root`. Made by hand: a table of so many rows has no time for a build. */
interface Site {
  root: string;
  /** Nothing in there may ever change. */
  outside: string;
  home: string;
  cargo: string;
  target: string;
  sccache: string;
  runner: string;
  workspace: string;
}

interface Changes {
  inputs?: Record<string, string>;
  env?: Record<string, string>;
  through?: string[];
}

interface Case {
  name: string;
  /** Makes the trouble; gives what is to be different from the usual run. */
  arrange(site: Site): Promise<Changes> | Promise<void>;
  /** Exit code. Default 0. */
  code?: number;
  says?: RegExp;
  /** Below `root`. */
  stays?: string[];
  goes?: string[];
}

const files: Record<string, string> = {
  [`cargo/registry/index/${registry}/config.json`]: '{}',
  [`cargo/registry/cache/${registry}/acme-1.0.0.crate`]: 'archive',
  [`cargo/registry/src/${registry}/acme-1.0.0/.cargo-ok`]: '{"v":1}',
  [`cargo/registry/src/${registry}/acme-1.0.0/src/lib.rs`]: 'text',
  [`cargo/git/db/tool-${hash}/HEAD`]: 'ref: refs/heads/main',
  [`cargo/git/checkouts/tool-${hash}/0123456/.cargo-ok`]: '',
  'cargo/.package-cache': '',
  'cargo/.package-cache-mutate': '',
  'target/CACHEDIR.TAG': tag,
  'target/.rustc_info.json': '{}',
  'target/debug/.cargo-lock': '',
  [`target/debug/.fingerprint/acme-${hash}/lib-acme`]: '0123',
  [`target/debug/.fingerprint/acme-${hash}/lib-acme.json`]: '{"rustc":1}',
  [`target/debug/deps/libacme-${hash}.rlib`]: 'library',
  'target/debug/incremental/acme-1abc/s-1/file': 'text',
  [`sccache/a/b/${entry}`]: 'object',
  'runner/dead0000/hostexecutor/file': 'text',
};
const all = {
  source: `cargo/registry/src/${registry}/acme-1.0.0`,
  crate: `cargo/registry/cache/${registry}/acme-1.0.0.crate`,
  repository: `cargo/git/db/tool-${hash}`,
  unit: `target/debug/.fingerprint/acme-${hash}`,
  library: `target/debug/deps/libacme-${hash}.rlib`,
  object: `sccache/a/b/${entry}`,
  job: 'runner/dead0000',
};

async function makeSite(): Promise<Site> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'hostile-')));
  await chmod(root, 0o755);
  const at = (name: string) => join(root, name);
  for (const [path, text] of Object.entries(files)) {
    for (const file of [at(path), join(at('outside'), path)]) {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    }
  }
  await mkdir(at('home'));
  await mkdir(at('job/inner'), { recursive: true });
  return {
    root,
    outside: at('outside'),
    home: at('home'),
    cargo: at('cargo'),
    target: at('target'),
    sccache: at('sccache'),
    runner: at('runner'),
    workspace: at('job'),
  };
}

/** In place of something in the cache, a symbolic link to its like outside. */
const linked =
  (path: string) =>
  async ({ root, outside }: Site) => {
    await rm(join(root, path), { recursive: true });
    await symlink(join(outside, path), join(root, path));
  };

/** Over something in the cache, its like outside, by a mount that ends with the action. */
const mounted =
  (path: string) =>
  async ({ root, outside }: Site) => ({
    through: inMounts(`mount --bind '${join(outside, path)}' '${join(root, path)}'`),
  });

// In bash: others drop variables such as INPUT_CARGO-HOME.
function inMounts(script: string): string[] {
  return ['unshare', '--mount', 'bash', '-euc', `${script}; exec "$@"`, 'bash'];
}

/** Without anything that only root may do. */
const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
const asNobody = (site: Site) => {
  // The faked clock needs shared memory, which is root's by now.
  execFileSync('find', [
    site.cargo,
    site.target,
    site.sccache,
    site.runner,
    '-exec',
    'touch',
    '-h',
    '-d',
    '3 hours ago',
    '{}',
    '+',
  ]);
  return {
    through: nobody,
    env: { GITHUB_OUTPUT: '', GITHUB_STEP_SUMMARY: '', LD_PRELOAD: '' },
    inputs: { 'state-dir': join(site.root, 'state') },
  };
};

const fifo =
  (path: string) =>
  async ({ root }: Site) => {
    await rm(join(root, path), { recursive: true, force: true });
    execFileSync('mkfifo', [join(root, path)]);
  };
const text =
  (path: string, contents: string | Buffer) =>
  async ({ root }: Site) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), contents);
  };

const cases: Case[] = [
  { name: 'nothing hostile: all of it goes', arrange: async () => {}, goes: Object.values(all) },

  // Symbolic links that lead out of a cache, at every level.
  ...[
    'cargo/registry',
    'cargo/registry/src',
    `cargo/registry/src/${registry}`,
    all.source,
    'cargo/registry/cache',
    `cargo/registry/cache/${registry}`,
    all.crate,
    'cargo/git',
    'cargo/git/db',
    all.repository,
    'cargo/git/checkouts',
    `cargo/git/checkouts/tool-${hash}`,
    `cargo/git/checkouts/tool-${hash}/0123456`,
    'target/debug',
    'target/debug/deps',
    'target/debug/.fingerprint',
    all.unit,
    'target/debug/incremental',
    'target/debug/incremental/acme-1abc',
    'sccache/a',
    'sccache/a/b',
    all.object,
    all.job,
    'runner/dead0000/hostexecutor',
  ].map((path) => ({ name: `${path} is a symbolic link to a folder like it`, arrange: linked(path), stays: [path] })),
  { name: 'the target itself is a symbolic link', arrange: linked('target'), says: /target: it is a symbolic link/ },
  {
    name: 'cargo-home is a symbolic link to a folder that is none',
    arrange: async ({ cargo, outside }) => {
      await rm(cargo, { recursive: true });
      await symlink(join(outside, 'target'), cargo);
    },
    code: 1,
    says: /is no home of cargo/,
  },
  ...['cargo', 'target', 'runner'].map((cache) => ({
    name: `the trash of ${cache} is a symbolic link`,
    arrange: ({ root, outside }: Site) => symlink(outside, join(root, cache, '.gbo-trash')),
    says: /is no folder/,
    stays: [cache === 'cargo' ? all.source : cache === 'target' ? all.unit : all.job],
  })),
  {
    name: 'what goes holds symbolic links that lead out',
    arrange: ({ root, outside }) => symlink(outside, join(root, all.source, 'src/out')),
    goes: [all.source],
  },
  {
    name: 'its own state is a symbolic link',
    arrange: async ({ home, outside }) => {
      await mkdir(join(home, '.cache/gbo-cache-clean'), { recursive: true });
      for (const name of ['state.json', 'state.json.new'])
        await symlink(join(outside, 'target/debug/.cargo-lock'), join(home, '.cache/gbo-cache-clean', name));
    },
    goes: [all.source],
  },

  // Mounts.
  ...[all.source, 'cargo/registry', 'target/debug/deps', 'sccache/a', 'runner/dead0000/hostexecutor'].map((path) => ({
    name: `something is mounted at ${path}`,
    arrange: mounted(path),
    says: /something is mounted at/,
    stays: [path],
  })),
  {
    name: "something is mounted in an earlier run's trash",
    arrange: async ({ root, outside }) => {
      const folder = join(root, 'cargo/.gbo-trash/earlier/0');
      await mkdir(folder, { recursive: true });
      return { through: inMounts(`mount --bind '${outside}' '${folder}'`) };
    },
    says: /was left there: something is mounted/,
  },
];

const unmarked: Pick<Case, 'name' | 'arrange'>[] = [
  { name: 'a target without CACHEDIR.TAG', arrange: ({ target }) => rm(join(target, 'CACHEDIR.TAG')) },
  { name: 'a target with a wrong CACHEDIR.TAG', arrange: text('target/CACHEDIR.TAG', 'Signature: 1\n') },
  { name: 'a target with an empty CACHEDIR.TAG', arrange: text('target/CACHEDIR.TAG', '') },
  { name: 'a target whose CACHEDIR.TAG is a link', arrange: linked('target/CACHEDIR.TAG') },
  { name: 'a target whose CACHEDIR.TAG is a pipe', arrange: fifo('target/CACHEDIR.TAG') },
  { name: 'a target without .rustc_info.json', arrange: ({ target }: Site) => rm(join(target, '.rustc_info.json')) },
];
// Whatever is in it, cargo did not make it.
cases.push(...unmarked.map((each) => ({ ...each, says: /cargo has not marked it/, stays: [all.unit, all.library] })));

// Folders that are no caches, in each of the four inputs.
for (const input of ['cargo-home', 'sccache-dir', 'runner-dir', 'targets']) {
  const wrong: [string, (site: Site) => string][] = [
    ['/', () => '/'],
    ['/usr', () => '/usr'],
    ['the home folder', ({ home }) => home],
    ['~', () => '~'],
    ['what contains the home folder', ({ root }) => root],
    ["this job's workspace", ({ workspace }) => workspace],
    ["this job's workspace, spelt in another way", ({ workspace }) => `${workspace}/inner/../../job//`],
    ['a relative path', () => '../cargo'],
  ];
  for (const [what, path] of wrong) {
    cases.push({
      name: `${input} is ${what}`,
      arrange: async (site) => ({ inputs: { [input]: path(site) } }),
      ...(input === 'targets'
        ? {
            code: what === '/' || what === 'a relative path' ? 1 : 0,
            says: /not an absolute path|the system|home folder|workspace/,
          }
        : { code: 1, says: /is no cache|is not an absolute path|workspace/, stays: Object.values(all) }),
    });
  }
}

cases.push(
  // Variables that are there and empty.
  ...['CARGO_HOME', 'CARGO_TARGET_DIR', 'SCCACHE_DIR', 'XDG_CACHE_HOME', 'GITHUB_WORKSPACE', 'RUSTUP_HOME'].map(
    (name) => ({
      name: `${name} is empty`,
      arrange: async () => ({
        env: { [name]: '' },
        inputs: { 'cargo-home': '', targets: '', 'sccache-dir': '', 'runner-dir': '' },
      }),
      says: /nothing-to-do/,
      stays: Object.values(all),
    }),
  ),
  {
    name: 'HOME is empty',
    // What the password file says is the home is then not this test's: nothing may go there.
    arrange: async () => ({ env: { HOME: '' }, inputs: { 'dry-run': 'true' } }),
    says: /dry-run/,
    stays: Object.values(all),
  },

  // Names.
  ...[
    'new\nline',
    '\n::error::owned',
    '\u001b[2Jescape',
    '::stop-commands::x',
    'right\u202eleft',
    "quote'$(id)`",
    '-rf',
    '%0A::error::owned',
  ].map((name) => ({
    name: `a source is called ${JSON.stringify(name)}`,
    arrange: text(`cargo/registry/src/${registry}/${name}-1.0.0/file`, 'text'),
    goes: [`cargo/registry/src/${registry}/${name}-1.0.0`],
  })),
  {
    name: 'a target is called by a command of the runner',
    arrange: async ({ root, target }) => {
      const name = join(root, 'x\n::error::owned');
      await rename(target, name);
      await rm(join(name, 'CACHEDIR.TAG'));
      return { inputs: { targets: `${root}/x*` } };
    },
    says: /cargo has not marked it/,
  },

  // No right to it.
  {
    name: 'all of it belongs to somebody else',
    arrange: async (site) => {
      await mkdir(join(site.root, 'state'), { mode: 0o777 });
      await chmod(join(site.root, 'state'), 0o777);
      return asNobody(site);
    },
    // Where root builds meanwhile, whose cache it uses cannot be told either.
    says: /could not be moved \(EACCES\)|may need anything|may build there/,
    stays: Object.values(all),
  },
  {
    name: 'not even the locks may be read',
    arrange: async (site) => {
      await chmod(join(site.cargo, '.package-cache-mutate'), 0o600);
      return asNobody(site);
    },
    says: /A lock could not be taken/,
    stays: Object.values(all),
  },
  {
    name: 'the cache is on a disk that is read-only',
    arrange: async ({ cargo }) => ({
      through: inMounts(`mount --bind '${cargo}' '${cargo}'; mount -o remount,bind,ro '${cargo}'`),
    }),
    says: /EROFS/,
    stays: [all.source],
    goes: [all.unit],
  },
  {
    name: 'there is no room for its own state',
    arrange: async ({ root }) => {
      const state = join(root, 'state');
      await mkdir(state);
      return {
        inputs: { 'state-dir': state },
        through: inMounts(`mount -t tmpfs -o nr_inodes=2 tmpfs '${state}'; : > '${state}/lock'`),
      };
    },
    says: /ENOSPC/,
    goes: [all.source],
  },

  // Locks that are none.
  ...['.package-cache', '.package-cache-mutate'].flatMap((name) => [
    { name: `${name} is a pipe`, arrange: fifo(`cargo/${name}`), says: /is no regular file/, stays: [all.source] },
    {
      name: `${name} is a folder`,
      arrange: async ({ cargo }: Site) => {
        await rm(join(cargo, name));
        await mkdir(join(cargo, name));
      },
      says: /is no regular file/,
      stays: [all.source],
    },
    {
      name: `${name} is a symbolic link to nothing outside`,
      arrange: async ({ cargo, outside }: Site) => {
        await rm(join(cargo, name));
        await symlink(join(outside, 'new'), join(cargo, name));
      },
      says: /is no regular file/,
      stays: [all.source],
    },
  ]),
  {
    name: 'the lock of a target is a pipe',
    arrange: fifo('target/debug/.cargo-lock'),
    says: /is no regular file/,
    stays: [all.unit],
  },
  {
    name: 'its own lock is a pipe',
    arrange: async (site) => {
      await mkdir(join(site.home, '.cache/gbo-cache-clean'), { recursive: true });
      await fifo('home/.cache/gbo-cache-clean/lock')(site);
    },
    says: /Whether another run is at work could not be told/,
  },

  // Files that are not what they should be.
  ...(
    [
      ['garbage', Buffer.from('garbage')],
      ['empty', Buffer.alloc(0)],
      ['only its first bytes', Buffer.from('SQLite format 3\0')],
      ['with a write-ahead log', Buffer.concat([Buffer.from('SQLite format 3\0\x10\0\x02\x02'), Buffer.alloc(5000)])],
      ['zeros after its head', Buffer.concat([Buffer.from('SQLite format 3\0\x10\0\x01\x01'), Buffer.alloc(5000)])],
      [
        'noise after its head',
        Buffer.concat([Buffer.from('SQLite format 3\0\x10\0\x01\x01'), Buffer.alloc(9000, 0x0d)]),
      ],
    ] as const
  ).map(([what, bytes]) => ({
    name: `cargo's database is ${what}`,
    arrange: text('cargo/.global-cache', bytes),
    says: /database could not be read/,
    goes: [all.source],
  })),
  {
    name: "cargo's database is a pipe",
    arrange: fifo('cargo/.global-cache'),
    says: /database could not be read/,
    goes: [all.source],
  },
  {
    name: 'a protected Cargo.lock is garbage',
    arrange: async (site) => {
      await text('job/Cargo.lock', '\0\x01[[')(site);
      return { inputs: { protect: 'locked' } };
    },
    code: 1,
    says: /Cargo\.lock cannot be read/,
    stays: Object.values(all),
  },
  {
    name: 'a Cargo.lock that only matters last is a pipe',
    arrange: async (site) => {
      await fifo('job/Cargo.lock')(site);
      return { inputs: { protect: 'last', 'lock-files': join(site.workspace, '*.lock') } };
    },
    goes: [all.source],
  },
  {
    name: 'a fingerprint has 8 MB',
    arrange: text(`${all.unit}/lib-acme.json`, `{"rustc":1,"x":"${'y'.repeat(8_000_000)}"}`),
    goes: [all.unit],
  },
  { name: 'a fingerprint is a pipe', arrange: fifo(`${all.unit}/lib-acme.json`), goes: [all.unit] },
  {
    name: 'its state is garbage',
    arrange: text('home/.cache/gbo-cache-clean/state.json', '{"runs":'),
    says: /is damaged; it is begun anew/,
    goes: [all.source],
  },
  {
    name: 'its state is a pipe',
    arrange: async (site) => {
      await mkdir(join(site.home, '.cache/gbo-cache-clean'), { recursive: true });
      await fifo('home/.cache/gbo-cache-clean/state.json')(site);
    },
    says: /cannot be read/,
    goes: [all.source],
  },
  { name: 'a crate is empty', arrange: ({ root }) => truncate(join(root, all.crate)), goes: [all.crate] },
  {
    name: 'things vanish in the very moment in which they are moved',
    arrange: async () => ({
      through: [
        'strace',
        '-f',
        '-qq',
        '-o',
        '/dev/null',
        '-e',
        'trace=rename',
        '-e',
        'inject=rename:error=ENOENT:when=1+',
      ],
    }),
    says: /could not be moved \(ENOENT\)/,
    stays: [all.source],
  },
  {
    name: 'a target, the only one on its disk, vanishes while the run goes on',
    arrange: async ({ root, target }) => {
      // The first lock is that of the run itself, when the survey is over.
      await mkdir(join(root, 'bin'));
      const flock = join(root, 'bin/flock');
      await writeFile(flock, `#!/bin/sh\nrm -rf '${target}'\nPATH=\${PATH#*:}\nexec flock "$@"\n`);
      await chmod(flock, 0o755);
      return {
        inputs: { 'cargo-home': 'none', 'sccache-dir': 'none', 'runner-dir': 'none' },
        env: { PATH: `${join(root, 'bin')}:${process.env.PATH}` },
      };
    },
    says: /Free on the disk of/,
    stays: [all.source],
  },
);

beforeAll(() => installMissing(['faketime', 'strace', 'setpriv', 'unshare', 'flock']));

function start(site: Site, { inputs, env, through }: Changes) {
  return startAction<Report>(
    bundle,
    {
      'cargo-home': site.cargo,
      targets: site.target,
      'sccache-dir': site.sccache,
      'runner-dir': site.runner,
      'max-size': '0',
      'max-age': '1h',
      protect: 'none',
      toolchains: 'any',
      wait: '0s',
      ...inputs,
    },
    { HOME: site.home, GITHUB_WORKSPACE: site.workspace, ...clock('+3h'), ...env },
    through,
  ).finished;
}

test.each(cases)('$name', async ({ arrange, code = 0, says, stays = [], goes = [] }) => {
  const site = await makeSite();
  try {
    const before = manifest(site.outside);
    const done = await start(site, (await arrange(site)) ?? {});
    expect(done.log).not.toContain('Unexpected');
    expect(done.code, done.log).toBe(code);
    if (says) expect(done.log).toMatch(says);
    expect(manifest(site.outside)).toEqual(before);
    for (const path of stays) expect(existsSync(join(site.root, path)), path).toBe(true);
    for (const path of goes) expect(existsSync(join(site.root, path)), path).toBe(false);
    // What it says is its own: no name of a file becomes a command of the runner, or moves the cursor.
    const commands = done.log.match(/^::[^:]*::.*/gm) ?? [];
    expect(commands.filter((line) => !/^::(group|endgroup)::/.test(line))).toEqual([]);
    expect(done.log.match(/^Error: .*/gm) ?? [], done.log).toHaveLength(code);
    expect(['\u001b', '\u202e'].filter((character) => done.log.includes(character))).toEqual([]);
  } finally {
    await rm(site.root, { recursive: true, force: true });
  }
});

test('two runs at once leave nothing behind and do not disturb each other', async () => {
  const site = await makeSite();
  try {
    const runs = await Promise.all([start(site, {}), start(site, {}), start(site, {})]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(runs.flatMap(({ report }) => report?.problems)).toEqual([]);
    for (const path of Object.values(all)) expect(existsSync(join(site.root, path)), path).toBe(false);
  } finally {
    await rm(site.root, { recursive: true, force: true });
  }
});
