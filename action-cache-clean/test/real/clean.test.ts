import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { appendFile, copyFile, mkdir, open, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../../testbed/cargo.js';
import { sccacheEnv, sccaches, startSccache } from '../../../testbed/sccache.js';
import { startServer } from '../../src/sccache.js';
import { manifest, startWorld, stayed, victimsIn, type World } from '../harness.js';

const execute = promisify(execFile);

let world: World;
let project: string;
let target: string;
/** What every test begins with: all of it fetched and built once. */
let saved: string;
const none = { 'sccache-dir': 'none', 'runner-dir': 'none' };

beforeAll(async () => {
  world = await startWorld();
  project = await world.workspace('acme-a', { crates: 12 });
  target = join(project, 'target');
  expect(await world.cargo(['build', '--quiet'], project)).toEqual({ code: 0, output: '' });
  saved = join(world.root, 'saved');
  await copy(world.cargoHome, join(saved, 'cargo-home'));
  await copy(target, join(saved, 'target'));
});
beforeEach(async () => {
  await rm(join(world.home, '.cache'), { recursive: true, force: true });
  await copy(join(saved, 'cargo-home'), world.cargoHome);
  await copy(join(saved, 'target'), target);
});
afterAll(() => world?.stop());

async function copy(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await mkdir(join(to, '..'), { recursive: true });
  await execute('cp', ['-a', from, to]);
}

/** Of a process; '' when that cannot be told. */
function programOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return '';
  }
}

function variablesOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Names of crates that have an archive, and of those that have a source. */
function crates(): { archives: string[]; sources: string[] } {
  const inside = (part: string) => {
    const folder = join(world.cargoHome, 'registry', part);
    return readdirSync(folder).flatMap((registry) => readdirSync(join(folder, registry)));
  };
  return { archives: inside('cache').map((name) => name.replace(/\.crate$/, '')), sources: inside('src') };
}

const build = (...args: string[]) => world.cargo(['build', '--quiet', ...args], project);
const green = { code: 0, output: '' };

describe('what goes', () => {
  test.each([
    { category: 'registry', gone: ['source', 'crate', 'index'], place: 1 },
    { category: 'git', gone: ['checkout', 'repository'], place: 1 },
    { category: 'target', gone: ['unit', 'incremental'], place: 1 },
  ])(
    'with no room for $category, all of it goes and nothing else, and the next build is green',
    async ({ category, gone }) => {
      const { code, report } = await world.clean({
        ...none,
        targets: target,
        protect: 'none',
        'max-size': `${category} = 0`,
      });
      expect(code).toBe(0);
      expect(report?.result).toBe('cleaned');
      const kinds = (report?.places ?? []).flatMap(({ kinds }) => Object.keys(kinds));
      expect(kinds.sort()).toEqual(gone.sort());
      expect(report?.budgets.find(({ name }) => name === category)).toMatchObject({ over: 0 });
      expect(await build()).toEqual(green);
    },
  );

  test('what a build has just read stays, though under relatime its times show the read of hours ago', async () => {
    const inputs = { ...none, 'cargo-home': 'none', targets: target, protect: 'none', 'max-size': 'target = 0' };
    const units = () => readdirSync(join(target, 'debug/.fingerprint')).length;
    // One read shows, as there was none since the copy; a second one five minutes later would not.
    await sleep(1100);
    expect(await build()).toEqual(green);
    const before = units();
    const { log } = await world.clean(inputs, { later: '+3h' });
    if (!/ is mounted with relatime/.test(log)) return; // each read shows there, or none
    expect(units()).toBe(before);
    expect(log).toMatch(/may have been, which relatime does not show/);
    expect((await world.clean(inputs)).report?.result).toBe('cleaned');
    expect(units()).toBe(0);
  });

  test('a source never stays without its crate, wherever the limit falls', async () => {
    for (const size of ['600KB', '250KB', '60KB']) {
      const { code } = await world.clean({ ...none, protect: 'none', 'max-size': `registry = ${size}` });
      expect(code).toBe(0);
      const { archives, sources } = crates();
      expect(sources.filter((name) => !archives.includes(name))).toEqual([]);
    }
    expect(crates().archives.length).toBeLessThan(12);
    expect(await build()).toEqual(green);
  });

  test('what was used within the hour stays, though there is room for nothing', async () => {
    const before = manifest(world.cargoHome);
    const { code, report } = await world.start({ ...none, targets: target, protect: 'none', 'max-size': '0' }).finished;
    expect([code, report?.result]).toEqual([0, 'nothing-to-do']);
    expect(manifest(world.cargoHome)).toEqual(before);
  });

  test('what a Cargo.lock names stays with protect: locked, and builds without the network', async () => {
    const other = join(world.root, 'other');
    if (!existsSync(other)) await world.workspace('other', { crates: 20, git: false });
    expect((await world.cargo(['fetch', '--quiet'], other)).code).toBe(0);
    const inputs = {
      ...none,
      targets: target,
      protect: 'locked',
      'max-size': '0',
      'lock-files': `${project}/Cargo.lock`,
    };
    const { code, report } = await world.clean(inputs);
    expect(code).toBe(0);
    expect(crates().archives).toHaveLength(12);
    expect(report?.notes.join(' ')).toContain('needed by');
    expect(readdirSync(join(target, 'debug/.fingerprint'))).toEqual([]);
    expect(await build('--offline', '--locked')).toEqual(green);
  });

  test('what the checkout of the job names stays with protect: locked, also when later runs have none', async () => {
    const inputs = { ...none, targets: 'none', protect: 'locked', 'max-size': '0' };
    const before = manifest(join(world.cargoHome, 'registry'));
    const unprotected = await world.clean(inputs);
    expect(unprotected.code).toBe(1);
    expect(unprotected.log).toMatch(/^Error: protect: locked has nothing to go by/m);
    expect(manifest(join(world.cargoHome, 'registry'))).toEqual(before);
    for (const workspace of [project, join(world.root, 'job')]) {
      const { code, log } = await world.clean(inputs, { env: { GITHUB_WORKSPACE: workspace } });
      expect(code).toBe(0);
      expect(log).toMatch(/Cargo\.lock files protect: 12 crates and 1 git repositories, by 1 different file,/);
      expect(crates().archives).toHaveLength(12);
    }
    expect(await build('--offline', '--locked')).toEqual(green);
  });

  test('looking at a target does not make it look used', async () => {
    const old = new Date(Date.now() - 40 * 24 * 60 * 60 * 1000);
    for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), old, old);
    }
    const inputs = { ...none, 'cargo-home': 'none', targets: target, 'dry-run': 'true' };
    const first = await world.start(inputs).finished;
    expect(first.report?.victimCount).toBeGreaterThan(12);
    expect((await world.start(inputs).finished).report?.victims).toEqual(first.report?.victims);
  });
});

describe('what is broken is mended', () => {
  const registry = (part: string) => {
    const folder = join(world.cargoHome, 'registry', part);
    return join(folder, readdirSync(folder)[0] ?? '');
  };

  test('sources whose unpacking never ended, empty crates, checkouts that never ended', async () => {
    const [source = '', poisoned = ''] = (await readdir(registry('src'))).sort();
    await rm(join(registry('src'), source, '.cargo-ok'));
    await rm(join(registry('src'), source, 'Cargo.toml'));
    await truncate(join(registry('cache'), `${poisoned}.crate`), 0);
    const checkouts = join(world.cargoHome, 'git/checkouts');
    const repository = join(checkouts, (await readdir(checkouts))[0] ?? '');
    const commit = join(repository, (await readdir(repository))[0] ?? '');
    await rm(join(commit, '.cargo-ok'));
    await rm(join(commit, 'src'), { recursive: true });
    const done = await world.clean(none);
    expect(victimsIn(done, world.cargoHome).map((path) => path.replace(/-[0-9a-f]{16}/, ''))).toEqual(
      expect.arrayContaining([
        `registry/src/127.0.0.1/${source}`,
        `registry/cache/127.0.0.1/${poisoned}.crate`,
        expect.stringMatching('git/checkouts/acme-tool/'),
      ]),
    );
    expect(await build()).toEqual(green);
  });

  test('a registry that cargo now keeps under another name goes with its index, once nothing uses it any more', async () => {
    await rm(join(world.cargoHome, 'registry'), { recursive: true });
    await rm(join(world.cargoHome, '.global-cache'));
    expect((await build()).code).toBe(0);
    const [old = ''] = await readdir(join(world.cargoHome, 'registry/index'));
    await world.moveRegistry();
    expect((await build()).code).toBe(0);
    expect((await world.clean(none)).report?.result).toBe('nothing-to-do');
    // As a build leaves it ten days later, which knows nothing of the old one. (Cargo hangs under a faked clock.)
    const later = `UPDATE registry_index SET timestamp = timestamp + 864000 WHERE name <> '${old}'`;
    const script = 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit()';
    await execute('python3', ['-c', script, join(world.cargoHome, '.global-cache'), later]);
    const done = await world.clean(none, { later: '+11d' });
    const went = victimsIn(done, world.cargoHome);
    expect(went.filter((path) => !path.includes(old))).toEqual([]);
    expect(went).toHaveLength(25);
    expect(went).toContain(`registry/index/${old}`);
    expect(await build('--offline')).toEqual(green);
  });
});

describe('toolchains', () => {
  test('what a toolchain has built goes when it is gone, and only that; one that is linked is installed', async () => {
    const bin = await world.addToolchain('other');
    const before = readdirSync(join(target, 'debug/.fingerprint'));
    const env = { PATH: `${bin}:${world.env.PATH}` };
    expect((await world.cargo(['build', '--quiet'], project, env)).code).toBe(0);
    const both = readdirSync(join(target, 'debug/.fingerprint'));
    expect(both.length).toBeGreaterThan(before.length);
    const installed = await world.clean({ ...none, targets: target });
    expect(installed.report?.result).toBe('nothing-to-do');
    await rm(join(bin, '..'), { recursive: true });
    const gone = await world.clean({ ...none, targets: target });
    expect(new Set(gone.report?.victims.map(({ reason }) => reason))).toEqual(
      new Set(['built by a toolchain that is no longer installed']),
    );
    expect(readdirSync(join(target, 'debug/.fingerprint')).sort()).toEqual(before.sort());
    const { output } = await world.cargo(['build', '--offline'], project);
    expect(output).not.toContain('Compiling');
  });

  test('with one that does not work, nobody is taken for gone', async () => {
    const bin = await world.addToolchain('other');
    await writeFile(join(bin, 'rustc'), '#!/bin/sh\nexit 1\n');
    const { report } = await world.clean({ ...none, targets: target });
    await rm(join(bin, '..'), { recursive: true });
    expect(report?.result).toBe('nothing-to-do');
    expect(report?.notes.join(' ')).toContain('could not be told');
  });
});

describe('who is at work', () => {
  const room = () => ({ ...none, targets: target, protect: 'none', 'max-size': 'target = 0', wait: '0s' });

  test('a test that runs keeps its target, and after it the target goes', async () => {
    const tests = world.cargo(['test', '--quiet', '--test', 'wait'], project, { WAIT: '20' });
    const binary = () => readdirSync('/proc').some((pid) => programOf(pid).startsWith(`${target}/debug/deps/wait-`));
    while (!binary()) await sleep(100);
    const meanwhile = await world.clean(room());
    expect([meanwhile.code, meanwhile.report?.result]).toEqual([0, 'busy']);
    expect(Object.keys(stayed(meanwhile)).join()).toMatch(/^process \d+ .* uses it$|^cargo .* may build there$/);
    expect((await tests).code).toBe(0);
    expect((await world.clean(room())).report?.result).toBe('cleaned');
  });

  test.each(['.package-cache-mutate', '.package-cache'])(
    'while somebody holds %s, all stays, is said, and is no failure',
    async (name) => {
      const lock = join(world.cargoHome, name);
      const holder = spawn('flock', ['-x', lock, 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
      await once(holder.stdout, 'data');
      const before = manifest(join(world.cargoHome, 'registry'));
      const done = await world.clean({ ...none, protect: 'none', 'max-size': '0', wait: '0s' });
      holder.stdin.end();
      await once(holder, 'close');
      expect([done.code, done.report?.result]).toEqual([0, 'busy']);
      expect(stayed(done)).toEqual({ 'a build holds the lock': expect.any(Number) });
      expect(manifest(join(world.cargoHome, 'registry'))).toEqual(before);
    },
  );

  test('a cargo that has ended and that nobody waits for keeps nothing', async () => {
    const dead = join(world.root, 'dead/cargo');
    await mkdir(join(dead, '..'), { recursive: true });
    await execute('cp', ['/bin/true', dead]);
    const parent = spawn('bash', ['-c', `${dead} & exec sleep 60`], { stdio: 'ignore' });
    await sleep(500);
    const done = await world.clean({ ...none, protect: 'none', 'max-size': 'registry = 0', wait: '0s' });
    parent.kill();
    expect(stayed(done)).toEqual({});
    expect(crates().archives).toEqual([]);
  });

  test('a target that cargo locks stays, and the one beside it goes', async () => {
    const beside = join(world.root, 'beside');
    await copy(target, beside);
    const holder = spawn('flock', ['-x', join(target, 'debug/.cargo-lock'), 'sh', '-c', 'echo; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    const done = await world.clean({ ...room(), targets: `${target}\n${beside}` });
    holder.stdin.end();
    await once(holder, 'close');
    expect(done.report?.result).toBe('cleaned');
    expect(readdirSync(join(target, 'debug/.fingerprint')).length).toBeGreaterThan(12);
    expect(readdirSync(join(beside, 'debug/.fingerprint'))).toEqual([]);
    await rm(beside, { recursive: true });
  });

  test('a second run at the same time leaves everything to the first', async () => {
    const lock = join(world.home, '.cache/gbo-cache-clean/lock');
    await mkdir(join(lock, '..'), { recursive: true });
    const holder = spawn('flock', ['-x', lock, 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    const done = await world.clean({ ...none, protect: 'none', 'max-size': '0' });
    holder.stdin.end();
    await once(holder, 'close');
    expect(done.code).toBe(0);
    expect(done.log).toContain('Another run of this action is at work');
    expect(crates().archives).toHaveLength(12);
  });
});

describe("the runner's folder", () => {
  const ids = ['dead0000', 'inhere00', 'giventoo', 'openfile', 'ownspace'] as const;
  const folderOf = (id: string) => join(world.root, 'runner', id);

  test('what dead jobs left goes; what a living process works in, was given or has open stays, and so does our own', async () => {
    for (const id of ids) {
      await mkdir(join(folderOf(id), 'hostexecutor/src'), { recursive: true });
      await mkdir(join(folderOf(id), 'tmp'));
      await writeFile(join(folderOf(id), 'hostexecutor/src/file'), 'text');
    }
    await mkdir(join(world.root, 'runner/no-job'), { recursive: true });
    const jobs = [
      spawn('sleep', ['60'], { cwd: join(folderOf('inhere00'), 'hostexecutor') }),
      spawn('sleep', ['60'], { env: { ...process.env, GITHUB_WORKSPACE: join(folderOf('giventoo'), 'hostexecutor') } }),
    ];
    const file = await open(join(folderOf('openfile'), 'hostexecutor/src/file'));
    const done = await world.clean(
      { 'cargo-home': 'none', 'sccache-dir': 'none', 'runner-dir': join(world.root, 'runner') },
      { later: '+2d', env: { GITHUB_WORKSPACE: join(folderOf('ownspace'), 'hostexecutor') } },
    );
    for (const job of jobs) job.kill();
    await file.close();
    expect(done.code).toBe(0);
    expect(victimsIn(done, join(world.root, 'runner'))).toEqual(['dead0000']);
    expect(readdirSync(join(world.root, 'runner')).sort()).toEqual([...ids.slice(1), 'no-job'].sort());
    await rm(join(world.root, 'runner'), { recursive: true });
  });
});

const versions = await sccaches();

describe.each(versions)('$version', (sccache) => {
  const cache = () => join(world.root, `sccache-${sccache.version}`.replace(' ', '-'));
  const inputs = () => ({ 'cargo-home': 'none', 'runner-dir': 'none', 'sccache-dir': cache(), 'max-size': '0' });
  const serverOf = (port: string) =>
    readdirSync('/proc').find((pid) => {
      const env = variablesOf(pid);
      return env.includes('SCCACHE_START_SERVER=1') && env.includes(`SCCACHE_SERVER_PORT=${port}`);
    });

  test('its hit rate is told, its entries go, its server works on, and none is started that was not there', async () => {
    // Spelt in a way of its own, as people do.
    const env = await sccacheEnv(sccache, `${cache()}//`);
    const through = { ...world.env, ...env };
    const rebuild = async () => {
      await rm(target, { recursive: true });
      return world.cargo(['build', '--quiet'], project, env);
    };
    try {
      await startSccache(sccache, '/', through);
      expect(await rebuild()).toEqual(green);
      expect(await rebuild()).toEqual(green);
      const before = serverOf(env.SCCACHE_SERVER_PORT ?? '');
      const home = { 'cargo-home': world.cargoHome, targets: 'none', 'max-size': 'sccache = 0' };
      const done = await world.clean({ ...inputs(), ...home });
      expect(done.report?.sccache?.hits).toBeGreaterThan(5);
      expect(done.report?.places?.[0]?.kinds.object).toBeGreaterThan(5);
      const after = serverOf(env.SCCACHE_SERVER_PORT ?? '');
      expect(after).toBeDefined();
      // An old one does not bear it that its entries vanish while it runs.
      if (/ 0\.\d\./.test(sccache.version)) expect(after).not.toBe(before);
      expect(await rebuild()).toEqual(green);
      expect(await rebuild()).toEqual(green);
      const stats = await run(sccache.path, ['--show-stats', '--stats-format=json'], '/', through);
      expect(stats.code).toBe(0);
      expect(JSON.parse(stats.output).stats).toMatchObject({ cache_write_errors: 0 });
    } finally {
      await run(sccache.path, ['--stop-server'], '/', through);
    }
    while (serverOf(env.SCCACHE_SERVER_PORT ?? '')) await sleep(50);
    const without = await world.clean(inputs(), { env });
    expect(without.report?.result).toBe('cleaned');
    expect(without.report?.sccache).toBeUndefined();
    expect(serverOf(env.SCCACHE_SERVER_PORT ?? '')).toBeUndefined();
  });

  // What Debian's does now and then on a busy machine: 8 of 400 with six programs on two processors.
  test.each([
    ['fails', 'exit 2'],
    ['waits for a server that has ended', 'exec sleep 10'],
  ])('whose first start %s is started again', async (_, first) => {
    const env = { ...world.env, ...(await sccacheEnv(sccache, cache())) } as Record<string, string>;
    const program = join(world.root, 'starts-late');
    const mark = `${program}-tried`;
    const text = `#!/bin/sh\nif [ ! -e ${mark} ]; then : > ${mark}; ${first}; fi\nexec ${sccache.path} "$@"\n`;
    await writeFile(program, text, { mode: 0o755 });
    try {
      const since = performance.now();
      await startServer({ pid: 0, program, env, dir: cache() });
      // Cargo's locks are held meanwhile: it is not for sccache to say when it has waited long enough.
      expect(performance.now() - since).toBeLessThan(8000);
      expect(serverOf(env.SCCACHE_SERVER_PORT ?? '')).toBeDefined();
    } finally {
      await run(sccache.path, ['--stop-server'], '/', env);
      await rm(mark, { force: true });
    }
  });

  test('its server, started by a job that is dead, does not keep the folder of that job', async () => {
    const runner = join(world.root, 'runner');
    const job = join(runner, 'dead0000/hostexecutor');
    await mkdir(job, { recursive: true });
    const env = await sccacheEnv(sccache, cache());
    const through = { ...world.env, ...env };
    const given = { GITHUB_WORKSPACE: job, RUNNER_TEMP: '/tmp', PATH: `${job}/bin:${through.PATH}` };
    await startSccache(sccache, job, { ...through, ...given });
    // Another one belongs to a job that goes on: its server has to be left as it is.
    const alive = join(runner, 'alive000/hostexecutor');
    await mkdir(alive, { recursive: true });
    const living = spawn('sleep', ['600'], { cwd: alive });
    const its: Record<string, string> = {
      ...world.env,
      ...(await sccacheEnv(sccache, join(alive, 'cache'))),
      GITHUB_WORKSPACE: alive,
    };
    await startSccache(sccache, alive, its);
    const untouched = serverOf(its.SCCACHE_SERVER_PORT ?? '');
    // What waits for another server keeps nobody from this one. A sleep by that name waits as long as it is needed to.
    const client = join(world.root, 'sccache-client');
    await copyFile('/bin/sleep', client);
    const waiting = spawn(client, ['600'], { cwd: '/', env: its });
    try {
      const inputs = { 'sccache-dir': 'none', 'runner-dir': runner };
      const { code, report } = await world.clean(inputs, { later: '+2d' });
      expect(code).toBe(0);
      expect(readdirSync(runner)).toEqual(['alive000']);
      const server = serverOf(env.SCCACHE_SERVER_PORT ?? '') ?? '';
      expect(variablesOf(server)).toEqual(
        expect.arrayContaining(['SCCACHE_START_SERVER=1', `SCCACHE_DIR=${cache()}`, `PATH=${through.PATH}`]),
      );
      expect(variablesOf(server).filter((pair) => pair.includes(job) || /^(GITHUB|RUNNER)_/.test(pair))).toEqual([]);
      expect(report?.longestLockMs).toBeGreaterThan(0);
      expect(serverOf(its.SCCACHE_SERVER_PORT ?? '')).toBe(untouched);
      expect(untouched).toBeDefined();
    } finally {
      waiting.kill();
      living.kill();
      await run(sccache.path, ['--stop-server'], '/', its);
      await run(sccache.path, ['--stop-server'], '/', through);
      await rm(runner, { recursive: true, force: true });
    }
  });
});

describe('the report', () => {
  test('a dry run changes nothing, and the run after it does just what it said', async () => {
    const inputs = { ...none, targets: target, protect: 'none', 'max-size': '1MB' };
    const temporary = (path: string) => path === join(world.root, 'tmp');
    const before = manifest(world.root, temporary);
    const dry = await world.clean({ ...inputs, 'dry-run': 'true' });
    expect(dry.report?.result).toBe('dry-run');
    expect(manifest(world.root, temporary)).toEqual(before);
    const wet = await world.clean(inputs);
    expect(wet.report?.victims.map(({ path, reason }) => [path, reason])).toEqual(
      dry.report?.victims.map(({ path, reason }) => [path, reason]),
    );
    for (const { path } of dry.report?.victims ?? []) expect(existsSync(path), path).toBe(false);
  });

  test('without a database of cargo, what was planned is freed to the byte', async () => {
    await rm(join(world.cargoHome, '.global-cache'));
    const { report } = await world.clean({ ...none, targets: target, protect: 'none', 'max-size': '0' });
    expect(report?.planned).toBeGreaterThan(1_000_000);
    expect(report?.freed).toBe(report?.planned);
  });

  test('a disk without room for even a folder is cleaned all the same', async () => {
    const disk = join(world.root, 'disk');
    await mkdir(disk, { recursive: true });
    await execute('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=4000', 'tmpfs', disk]);
    try {
      await execute('cp', ['-a', target, `${disk}/target`]);
      let files = 0;
      const fill = async () => {
        for (;;) await writeFile(join(disk, `fill-${files++}`), '');
      };
      await expect(fill()).rejects.toThrow('ENOSPC');
      const done = await world.clean({ ...none, targets: `${disk}/target`, protect: 'none', 'max-size': 'target = 0' });
      expect(done.code).toBe(0);
      expect(done.report?.problems).toEqual([]);
      expect(readdirSync(`${disk}/target/debug/.fingerprint`)).toEqual([]);
      expect(readdirSync(`${disk}/target`)).not.toContain('.gbo-trash');
    } finally {
      await execute('umount', [disk]);
    }
  });

  test('free-disk evicts on a full disk until enough is free, oldest first, and not beyond', async () => {
    const disk = join(world.root, 'disk');
    await mkdir(disk, { recursive: true });
    await execute('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', disk]);
    try {
      const names = Array.from({ length: 8 }, (_, index) => `${index}${'ab'.repeat(31)}c`);
      for (const [index, name] of names.entries()) {
        const folder = join(disk, 'cache', name.slice(0, 1), name.slice(1, 2));
        await mkdir(folder, { recursive: true });
        await appendFile(join(folder, name), Buffer.alloc(4 * 1024 * 1024));
        const time = new Date(Date.now() - (20 - index) * 60 * 60 * 1000);
        await utimes(join(folder, name), time, time);
      }
      const inputs = { 'cargo-home': 'none', 'runner-dir': 'none', 'sccache-dir': join(disk, 'cache') };
      const enough = await world.start({ ...inputs, 'free-disk': '5MB' }).finished;
      expect(enough.report?.result).toBe('nothing-to-do');
      const short = await world.start({ ...inputs, 'free-disk': '40%', 'free-disk-until': '45%' }).finished;
      expect(short.report?.victims.map(({ path }) => path.at(-64))).toEqual(['0', '1', '2']);
      expect(short.report?.freed).toBe(3 * 4 * 1024 * 1024);
    } finally {
      await execute('umount', [disk]);
    }
  });
});
