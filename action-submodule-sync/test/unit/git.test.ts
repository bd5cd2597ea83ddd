import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GitFailed, localGit } from '../../src/git.js';
import { inputs } from '../../src/inputs.js';
import { type GitAnswer, type NetworkGit, networkGit } from '../../src/network-git.js';
import { createScratch } from '../../src/scratch.js';
import { scratchRepository } from './scratch-repository.js';

const repository = scratchRepository();
const folder = mkdtempSync(join(tmpdir(), 'gbo-git-'));
afterAll(() => {
  repository.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A folder for PATH whose git is this shell script; the real one is `$GIT`. */
function shim(script: string): string {
  const bin = mkdtempSync(join(folder, 'bin-'));
  const real = (process.env.PATH ?? '')
    .split(':')
    .map((each) => join(each, 'git'))
    .find((path) => existsSync(path));
  writeFileSync(join(bin, 'git'), `#!/bin/sh\nGIT=${real}\n${script}\n`);
  chmodSync(join(bin, 'git'), 0o755);
  return `${bin}:${process.env.PATH}`;
}

describe('git on this disk', () => {
  const [one, two] = ['one', 'two'].map((text) =>
    repository.commitTree([`100644 blob ${repository.blob(text)}\tfile`]),
  );
  const git = localGit(repository.folder, repository.env);

  // simple-git calls an exit code without a word on stderr a success.
  it.each([
    ['no ancestor', ['merge-base', '--is-ancestor', String(one), String(two)], 1],
    ['no such object', ['cat-file', '-e', '1'.repeat(40)], 1],
    ['no such setting', ['config', '--get', 'no.such'], 1],
    ['no such key', ['config', '--file', '/dev/null', '--get', 'no.such'], 1],
    ['no such revision', ['rev-parse', '--verify', '--quiet', '--end-of-options', 'nowhere^{commit}'], 1],
    ['no such branch', ['show-ref', '--verify', '--quiet', 'refs/heads/nowhere'], 1],
    ['no such command', ['no-such-command'], 1],
  ])('that says %s by its exit code alone is an error', async (_title, args, code) => {
    const failed = await git(...args).catch((error) => error);
    expect(failed).toBeInstanceOf(GitFailed);
    expect(failed.exitCode).toBe(code);
  });

  it('that exits with 0 gives its stdout, also when it warns', async () => {
    const warning = localGit(repository.folder, {
      ...repository.env,
      PATH: shim('echo "warning: x" >&2; exec $GIT "$@"'),
    });
    expect(await warning('cat-file', '-t', String(one))).toBe('commit\n');
  });

  it('that is killed is an error, whatever it had said until then', async () => {
    const dying = localGit(repository.folder, { ...repository.env, PATH: shim('echo 160000 commit; kill -9 $$') });
    await expect(dying('ls-tree', 'HEAD')).rejects.toThrow(GitFailed);
  });

  it('that is not installed is an error', async () => {
    await expect(localGit(repository.folder, { PATH: folder })('version')).rejects.toThrow(GitFailed);
  });

  it('in a folder that is not there is an error', async () => {
    await expect(localGit('/nonexistent/folder', repository.env)('rev-parse', 'HEAD')).rejects.toThrow(GitFailed);
  });

  it('keeps its own words for the error', async () => {
    const failed = await git('ls-tree', '1'.repeat(40)).catch((error) => error);
    expect(failed.said).toMatch(/^fatal: not a tree object/);
    expect(failed.exitCode).toBe(128);
  });

  it('gives all of a long answer, though the process is busy when it ends', async () => {
    const rows = Array.from({ length: 30_000 }, (_, number) => `160000 commit ${'1'.repeat(40)}\tm${number}`);
    const commit = repository.commitTree(rows);
    const asked = Array.from({ length: 6 }, () => git('ls-tree', '-r', '-z', commit));
    for (let turn = 0; turn < 5; turn++) {
      await sleep(20);
      const until = performance.now() + 150;
      while (performance.now() < until);
    }
    for (const listing of await Promise.all(asked)) expect(listing.split('\0')).toHaveLength(30_001);
  });

  it('that answers without end is stopped', async () => {
    const endless = localGit(repository.folder, { ...repository.env, PATH: shim('exec yes 160000') });
    const failed = await endless('ls-tree', '-r', 'HEAD').catch((error) => error);
    expect(failed).toBeInstanceOf(GitFailed);
    expect(failed.said).toMatch(/too large/);
  });

  it('takes no variable of the runner but PATH and HOME', async () => {
    const log = join(folder, 'environment');
    const hostile = Object.fromEntries(
      [
        'GIT_DIR',
        'GIT_INDEX_FILE',
        'GIT_SSH_COMMAND',
        'GIT_ASKPASS',
        'GIT_CONFIG_COUNT',
        'GIT_CONFIG_GLOBAL',
        'GIT_TRACE',
        'EDITOR',
        'PAGER',
        'LD_PRELOAD',
        'INPUT_TOKENS',
        'GITHUB_TOKEN',
      ].map((name) => [name, '/nonexistent']),
    );
    process.env.GIT_DIR = '/nonexistent';
    try {
      const watched = localGit(repository.folder, {
        ...repository.env,
        ...hostile,
        PATH: shim(`env > ${log}; exec $GIT "$@"`),
      });
      expect(await watched('cat-file', '-t', String(one))).toBe('commit\n');
    } finally {
      delete process.env.GIT_DIR;
    }
    const names = readFileSync(log, 'utf8')
      .split('\n')
      .map((row) => row.split('=')[0] ?? '');
    expect(names.filter((name) => name in hostile)).toEqual([]);
    expect(readFileSync(log, 'utf8')).toMatch(/^GIT_NO_LAZY_FETCH=1$/m);
  });

  it('never fetches what is missing', async () => {
    const marker = join(folder, 'fetched');
    const partial = scratchRepository();
    try {
      const trap = join(folder, 'trap');
      writeFileSync(trap, `#!/bin/sh\ntouch ${marker}\n`);
      chmodSync(trap, 0o755);
      for (const [key, value] of [
        ['core.repositoryFormatVersion', '1'],
        ['extensions.partialClone', 'origin'],
        ['remote.origin.promisor', 'true'],
        ['remote.origin.url', `ext::${trap}`],
        ['protocol.ext.allow', 'always'],
      ] as const)
        partial.git(['config', key, value]);
      await expect(localGit(partial.folder, partial.env)('cat-file', '-p', '1'.repeat(40))).rejects.toThrow(GitFailed);
      expect(existsSync(marker)).toBe(false);
    } finally {
      partial.remove();
    }
  });
});

describe('git over the network', () => {
  const TOKEN = 'tok-en=123/abc';
  let server: Server;
  let silent: Server;
  const seen: { url: string; authorization: string[] }[] = [];
  const bases: string[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      const authorization = request.rawHeaders.filter(
        (_, at) => request.rawHeaders[at - 1]?.toLowerCase() === 'authorization',
      );
      seen.push({ url: request.url ?? '', authorization });
      response.writeHead(404).end();
    });
    silent = createServer(() => {});
    for (const each of [server, silent]) {
      await new Promise<void>((done) => each.listen(0, '127.0.0.1', done));
      each.unref();
      bases.push(`http://127.0.0.1:${(each.address() as AddressInfo).port}`);
    }
  });
  afterAll(() => {
    for (const each of [server, silent]) {
      each.closeAllConnections();
      each.close();
    }
  });

  let opened = 0;
  /** With a PATH of its own, by which its processes are known. */
  function open(raw: Record<string, string>, env: NodeJS.ProcessEnv = {}, signal = new AbortController().signal) {
    opened += 1;
    const work = join(folder, `work-${opened}`);
    mkdirSync(work);
    const parsed = inputs.parse(new Map(Object.entries({ remotes: `alm = ${bases[0]}/acme/`, ...raw })));
    const path = `${work}:${process.env.PATH}`;
    return { work, git: networkGit(parsed, work, { PATH: path, ...env }, signal), left: () => processesOf(work) };
  }
  const lsRemote = (git: NetworkGit, url: string): Promise<GitAnswer> => git(folder, ['ls-remote', '--', url]);
  afterEach(() => {
    seen.length = 0;
  });

  it('ends after its time, and no process is left', async () => {
    const slow = open({ 'max-time': '1s' });
    const began = performance.now();
    const answer = await lsRemote(slow.git, `${bases[1]}/acme/x.git`);
    expect(answer.code).not.toBe(0); // git may see by itself that nothing comes
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(slow.left()).toEqual([]);
  });

  it('ends after its time, also where a helper of git takes no signal but the last one', async () => {
    const slow = open({ 'max-time': '1s' }, { PATH: shim('trap "" INT TERM HUP; sleep 3071 & sleep 3072') });
    const began = performance.now();
    expect(await lsRemote(slow.git, 'x')).toMatchObject({ code: null, cut: 'took too long' });
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(processesOf('sleep 307')).toEqual([]);
  });

  it('ends when the run is cancelled, at once, and no process is left', async () => {
    const cancel = new AbortController();
    const running = open({ 'max-time': '60s' }, {}, cancel.signal);
    const asked = [1, 2, 3].map(() => lsRemote(running.git, `${bases[1]}/acme/x.git`));
    await until(() => running.left().some((line) => line.includes('remote-http')));
    const began = performance.now();
    cancel.abort();
    for (const answer of await Promise.all(asked)) expect(answer.code).toBeNull();
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(running.left()).toEqual([]);
  });

  it('is not even started when the run was cancelled before, or while it waited for its turn', async () => {
    const cancel = new AbortController();
    const running = open({ 'max-time': '60s', parallel: '1' }, {}, cancel.signal);
    const asked = [1, 2, 3, 4].map(() => lsRemote(running.git, `${bases[1]}/acme/x.git`));
    await until(() => running.left().length > 0);
    cancel.abort();
    const began = performance.now();
    for (const answer of await Promise.all([...asked, lsRemote(running.git, `${bases[0]}/acme/x.git`)]))
      expect(answer.code).toBeNull();
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(seen).toEqual([]);
    expect(running.left()).toEqual([]);
  });

  it('runs no more at the same time than it may', async () => {
    const log = join(folder, 'turns');
    const script = `echo +1 >> ${log}; sleep 0.2; echo -1 >> ${log}`;
    const { git } = open({ parallel: '2' }, { PATH: shim(script) });
    await Promise.all(Array.from({ length: 6 }, () => lsRemote(git, `${bases[0]}/acme/x.git`)));
    let now = 0;
    const most = Math.max(
      ...readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((step) => (now += Number(step))),
    );
    expect(most).toBe(2);
  });

  it('sends the token to the base it belongs to, once, and nowhere else', async () => {
    const { git } = open({ remotes: `alm = ${bases[0]}/acme/`, tokens: `alm = ${TOKEN}` });
    const header = `Basic ${Buffer.from(`x-access-token:${TOKEN}`).toString('base64')}`;
    for (const [path, expected] of [
      ['/acme/x.git', [header]],
      ['/acme/deep/x.git', [header]],
      ['/acmee/x.git', []],
      ['/other/x.git', []],
      ['/acme/../other/x.git', []],
      ['/acme/%2e%2e/other/x.git', []],
      ['/x.git', []],
    ] as const) {
      seen.length = 0;
      await lsRemote(git, `${bases[0]}${path}`);
      expect(seen.length).toBeGreaterThan(0);
      for (const { authorization } of seen) expect(authorization).toEqual(expected);
    }
    seen.length = 0;
    await lsRemote(git, `${bases[0]?.replace('127.0.0.1', 'localhost')}/acme/x.git`);
    expect(seen.map(({ authorization }) => authorization)).toEqual([[]]);
  });

  it.each([
    ['the outer one first', ['all', 'alm']],
    ['the inner one first', ['alm', 'all']],
  ])('sends one token where a base lies in another one, %s', async (_title, order) => {
    const lines = { all: `all = ${bases[0]}/`, alm: `alm = ${bases[0]}/acme/` } as Record<string, string>;
    const { git } = open({
      remotes: order.map((name) => lines[name]).join('\n'),
      tokens: 'all = outer-token\nalm = inner-token',
    });
    await lsRemote(git, `${bases[0]}/acme/x.git`);
    await lsRemote(git, `${bases[0]}/x.git`);
    const logins = seen.map(({ authorization }) =>
      authorization.map((text) => Buffer.from(text.slice(6), 'base64').toString()),
    );
    expect(logins).toEqual([['x-access-token:inner-token'], ['x-access-token:outer-token']]);
  });

  it('keeps the token in one file that only its owner can read, out of arguments and environment', async () => {
    const log = join(folder, 'calls');
    const { git, work } = open(
      { tokens: `alm = ${TOKEN}` },
      { PATH: shim(`{ echo "$@"; env; } >> ${log}; exec $GIT "$@"`), INPUT_TOKENS: TOKEN },
    );
    await lsRemote(git, `${bases[0]}/acme/x.git`);
    const secret = Buffer.from(`x-access-token:${TOKEN}`).toString('base64');
    expect(readFileSync(log, 'utf8')).not.toContain(TOKEN);
    expect(readFileSync(log, 'utf8')).not.toContain(secret);
    const files = readdirSync(work).filter((name) => name !== 'home');
    expect(files.filter((name) => readFileSync(join(work, name), 'utf8').includes(secret))).toEqual(['gitconfig']);
  });

  it.each([
    ['an option', '--upload-pack=TRAP'],
    ['the ext:: transport', 'ext::TRAP'],
    ['a file address', 'file://FOLDER'],
    ['a path', 'FOLDER'],
    ['an SSH option', 'ssh://-oProxyCommand=TRAP/x'],
    ['another helper', 'fd::0'],
  ])('refuses by itself %s in place of an address', async (_title, url) => {
    const marker = join(folder, `marker-${opened}`);
    const trap = join(folder, `trap-${opened}`);
    writeFileSync(trap, `#!/bin/sh\ntouch ${marker}\n`);
    chmodSync(trap, 0o755);
    const { git } = open({});
    const answer = await lsRemote(git, url.replace('TRAP', trap).replace('FOLDER', repository.folder));
    expect(answer.code).toBe(128);
    expect(existsSync(marker)).toBe(false);
  });

  it('ends what writes more than it may', async () => {
    const { git } = open(
      { 'max-megabytes': '1' },
      { PATH: shim(`exec dd if=/dev/zero of=${folder}/big bs=1048576 count=20`) },
    );
    expect(await lsRemote(git, 'x')).toMatchObject({ cut: 'too large' });
    rmSync(join(folder, 'big'), { force: true });
    const talker = open({}, { PATH: shim('exec yes a-long-line-that-is-said-again-and-again') });
    expect(await lsRemote(talker.git, 'x')).toMatchObject({ cut: 'too large' });
    expect(talker.left()).toEqual([]);
  });

  it('that cannot be started is an answer, not an exception', async () => {
    const { git } = open({});
    const answer = await git('/nonexistent/folder', ['version']);
    expect(answer).toMatchObject({ code: null });
    expect(answer.stderr).toMatch(/ENOENT/);
  });

  it('makes scratch repositories whose git has no settings of a person', async () => {
    const home = join(folder, 'home');
    mkdirSync(home);
    writeFileSync(join(home, '.gitconfig'), '[acme]\n\tsetting = 1\n');
    const { git, work } = open({}, { HOME: home });
    const scratch = await createScratch(work, '1'.repeat(40), git, { PATH: process.env.PATH, HOME: home });
    await expect(scratch.git('config', '--get', 'acme.setting')).rejects.toThrow(GitFailed);
  });
});

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !holds(); turn++) await sleep(50);
  expect(holds()).toBe(true);
}

/** Command lines of the processes that have this text in their PATH or arguments. */
function processesOf(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .flatMap((name) => {
      try {
        const line = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ');
        const environment = readFileSync(`/proc/${name}/environ`, 'latin1');
        return line && (line.includes(text) || environment.includes(text)) ? [line] : [];
      } catch {
        return []; // it has ended
      }
    });
}
