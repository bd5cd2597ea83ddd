import { writeFileSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { told } from '../harness.js';
import { createWorld, type World } from '../world.js';

const submodules = [
  { path: '.github' },
  { path: 'botapp' },
  { path: 'botbook' },
  { path: 'botdevice' },
  { path: 'botlib' },
  { path: 'botmodels' },
  { path: 'botplugin' },
  { path: 'botserver', name: 'BotServer' },
  { path: 'bottemplates' },
  { path: 'bottest' },
  { path: 'botui' },
];
const ownPush = (repository: string, sha: string) => ({
  GITHUB_EVENT_NAME: 'push',
  GITHUB_SHA: sha,
  GITHUB_REF: 'refs/heads/main',
  GITHUB_REPOSITORY: repository,
});

describe('a root with eleven submodules by relative addresses, one in other letters than its path, on two forges', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: { token: 'origin-secret' }, alm: { token: 'alm-secret' } } });
    await Promise.all(submodules.map(({ path, name }) => world.submodule(path, { name })));
    await world.pin();
    await world.pushRoot();
    // Forges do not care about the case of a name; a plain git server does.
    await symlink('BotServer.git', join(world.homes.alm?.dir ?? '', 'botserver.git'));
  });
  afterAll(() => world?.stop());

  it('is green when all is pushed, for about half a kilobyte a question', async () => {
    const { code, outputs, report, log } = await world.check();
    expect([code, outputs.result, outputs.findings], log).toEqual([0, 'pushed', '0']);
    expect(report?.matrix).toHaveLength(24);
    expect(report?.cost.requests).toBe(24);
    expect(report?.cost.bytes).toBeLessThan(24 * 1024);
  });

  it('each forge gets its own token, and never that of the other; neither stands in the log', async () => {
    for (const home of Object.values(world.homes)) home.http?.reset();
    const { log, outputs, summary } = await world.check();
    for (const [remote, home] of Object.entries(world.homes)) {
      const sent = new Set(
        home.http?.counters.authorization.map((header) => Buffer.from(header.slice(6), 'base64').toString()),
      );
      expect([remote, ...sent]).toEqual([remote, `x-access-token:${remote}-secret`]);
    }
    const said = [log.replaceAll(/^::add-mask::.*$/gm, ''), JSON.stringify(outputs), summary].join('\n');
    expect(said).not.toMatch(/origin-secret|alm-secret/);
    expect(said).not.toContain(Buffer.from('x-access-token:alm-secret').toString('base64'));
  });

  it('names exactly those two that lag, in the log, the summary and the outputs, and is green once they are pushed', async () => {
    const [server, github] = await Promise.all(['botserver', '.github'].map((path) => world.commit(path)));
    await world.push('botserver', 'origin');
    await world.push('.github', 'alm');
    await world.pin('botserver', '.github');
    await world.pushRoot();
    const red = await world.check();
    expect([red.code, told(red)]).toEqual([1, ['.github origin: LAGGING', 'botserver alm: LAGGING']]);
    const commands = [
      `git -C .github push origin ${github}:refs/heads/main`,
      `git -C botserver push alm ${server}:refs/heads/main`,
    ];
    expect(red.outputs.commands?.split('\n')).toEqual(commands);
    for (const command of commands) {
      expect(red.log).toContain(`  ${command}\n`);
      expect(red.summary).toContain(command);
    }
    expect(red.log).toMatch(
      /Error: LAGGING: \.github at [0-9a-f]{12} is not on main of origin, which is 1 commit behind it\./,
    );
    expect((await world.mend(commands)).code).toBe(0);
    expect(told(await world.check())).toEqual([]);
  });

  it.each(['acme/BotServer', 'acme/botserver'])(
    'the workflow of %s finds its place in the root by its address',
    async (repository) => {
      const sha = await world.commit('botserver');
      await world.push('botserver', 'origin');
      await world.push('botserver', 'alm');
      const inputs = {
        mode: 'submodule',
        repository: `${world.checkout}/botserver`,
        remotes: `alm = ${world.homes.alm?.base}`,
        tokens: 'alm = alm-secret',
      };
      const red = await world.check(inputs, ownPush(repository, sha));
      expect(told(red), red.log).toEqual(['botserver alm: ROOT-BEHIND']);
      expect(await world.mend(red.outputs.commands ?? '')).toMatchObject({ code: 0 });
      expect(told(await world.check(inputs, ownPush(repository, sha)))).toEqual([]);
    },
  );

  it('an address in other letters than the repository is told as not found, where the server cares', async () => {
    const green = await world.git('.', 'rev-parse', 'HEAD');
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule.botlib.url', '../BotLib.git');
    await world.pin('botlib');
    await world.pushRoot();
    const { report, log } = await world.check({ include: 'botlib' });
    expect(
      report?.findings.map(({ state, what }) => [state, what]),
      log,
    ).toEqual(
      ['origin', 'alm'].map((remote) => [
        'COULD-NOT-CHECK',
        expect.stringMatching(
          `^It could not be told whether botlib at [0-9a-f]{12} is on ${remote}: not found or no access`,
        ),
      ]),
    );
    await world.git('.', 'revert', '--no-edit', 'HEAD');
    await world.pushRoot();
    expect(await world.git('.', 'diff', green, 'HEAD')).toBe('');
  });
});

describe('names that scripts stumble over', () => {
  let world: World;
  const paths = [
    'with space',
    'new\nline',
    `it's "quoted" \\ 100%`,
    'ünïcode',
    'deep/er/path',
    'a=b',
    '$HOME `id` $(id)',
    'tab\there',
    '*',
    '#hash',
  ];
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: {}, alm: {} } });
    await Promise.all(
      paths.map(async (path, index) => {
        // Two folders up and down again, as where repositories of another owner are submodules too.
        const url = index % 2 === 0 ? `../../acme/lib-${index}.git` : `../lib-${index}`;
        await world.submodule(path, { name: `lib-${index}`, entry: `the library, no. ${index}`, url });
        await world.commit(path);
        await world.push(path, 'alm');
        await world.git(path, 'reset', '--quiet', '--hard', 'HEAD^');
        await world.commit(path);
        await world.push(path, 'origin');
      }),
    );
    const pins = await Promise.all(
      paths.map(async (path): Promise<[string, string]> => [path, await world.git(path, 'rev-parse', 'HEAD')]),
    );
    const head = await world.git('.', 'rev-parse', 'HEAD');
    const tree = await world.git('.', 'rev-parse', 'HEAD^{tree}');
    await world.submodule('folder in\na folder', { name: 'tree' });
    await world.push('folder in\na folder', 'origin');
    await world.git('.', 'config', '-f', '.gitmodules', `submodule.stray 'one'.path`, 'stray\nplace');
    await world.pin(...pins, ['orphan\nof "none"', head], ['folder in\na folder', tree]);
    await world.pushRoot();
  });
  afterAll(() => world?.stop());

  it('are checked, and the printed commands mend them as they stand, one command a line', async () => {
    // A tree is a tree everywhere, also where this one is not.
    await world.git('folder in\na folder', 'push', '--quiet', 'origin', `HEAD^{tree}:refs/tags/tree`);
    const red = await world.check();
    expect(told(red).sort(), red.log).toEqual(
      [
        ...paths.map((path) => `${path} alm: DIVERGED`),
        'folder in\na folder alm: NOT-A-COMMIT',
        'folder in\na folder origin: NOT-A-COMMIT',
        'orphan\nof "none": ORPHAN-GITLINK',
        'stray\nplace: NO-GITLINK',
      ].sort(),
    );
    const commands = red.outputs.commands?.split('\n') ?? [];
    for (const command of commands) {
      expect(command).toMatch(/^git /);
      expect(red.log.split('\n')).toContain(`  ${command}`);
    }
    const { code, said } = await world.mend(commands);
    expect(code, said).toBe(0);
    const green = await world.check();
    expect([told(green), green.outputs.result], green.log).toEqual([[], 'pushed']);
    for (const path of paths)
      expect(await world.holds('alm', path, await world.git('.', 'rev-parse', `HEAD:${path}`))).toBe(true);
  });
});

describe.each([
  ['protocol 2', { protocol: 2 }],
  ['protocol 0', { protocol: 0 }],
] as const)('repositories with sha256 names, %s', (_, kind) => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: kind, alm: kind }, format: 'sha256' });
    await Promise.all(['tip', 'behind', 'lag', 'diverged', 'topic', 'missing'].map((path) => world.submodule(path)));
    await Promise.all(
      ['origin', 'alm'].map(async (remote) => {
        await world.push('tip', remote);
      }),
    );
    const behind = await world.git('behind', 'rev-parse', 'HEAD');
    await world.commits('behind', 5);
    await Promise.all(['origin', 'alm'].map((remote) => world.push('behind', remote)));
    await world.commit('lag');
    await world.push('lag', 'origin');
    await world.commit('diverged');
    await world.push('diverged', 'alm');
    await world.git('diverged', 'reset', '--quiet', '--hard', 'HEAD^');
    await world.commit('diverged');
    await world.push('diverged', 'origin');
    await world.commit('topic');
    await Promise.all(['origin', 'alm'].map((remote) => world.push('topic', remote, 'HEAD:refs/heads/topic')));
    await world.commit('missing');
    await world.pin('tip', ['behind', behind], 'lag', 'diverged', 'topic', 'missing');
  });
  afterAll(() => world?.stop());

  it('get the same answers, and the same commands mend them', async () => {
    const red = await world.check();
    expect(told(red), red.log).toEqual([
      '. origin: MISSING',
      '. alm: MISSING',
      'diverged alm: DIVERGED',
      'lag alm: LAGGING',
      'missing origin: MISSING',
      'missing alm: MISSING',
      'topic origin: OTHER-BRANCH',
      'topic alm: OTHER-BRANCH',
    ]);
    const { code, said } = await world.mend(red.outputs.commands ?? '');
    expect(code, said).toBe(0);
    const green = await world.check();
    expect([told(green), green.outputs.result], green.log).toEqual([[], 'pushed']);
  });
});

describe('submodules of submodules', () => {
  let world: World;
  const everywhere = (path: string) => Promise.all(['origin', 'alm'].map((remote) => world.push(path, remote)));

  /** A submodule below `parent`, pinned by it and pushed everywhere. */
  async function below(parent: string, path: string, name: string): Promise<string> {
    const full = `${parent}/${path}`;
    await world.repository(full, name);
    await world.git(parent, 'config', '-f', '.gitmodules', `submodule.${name}.path`, path);
    await world.git(parent, 'config', '-f', '.gitmodules', `submodule.${name}.url`, `../${name}.git`);
    await repin(parent, path);
    return full;
  }

  /** Records what is checked out at `path` of the submodule `parent`, or another object, and pushes that everywhere. */
  async function repin(parent: string, path: string, sha?: string): Promise<void> {
    const pin = sha ?? (await world.git(`${parent}/${path}`, 'rev-parse', 'HEAD'));
    await world.git(parent, 'update-index', '--add', '--cacheinfo', `160000,${pin},${path}`);
    await world.git(parent, 'add', '.gitmodules');
    await world.commit(parent);
    await everywhere(parent);
  }

  beforeAll(async () => {
    world = await createWorld({ homes: { origin: {}, alm: { partial: false } } });
    await world.submodule('lib');
    await below('lib', 'vendor/core', 'core');
    await below('lib/vendor/core', 'tiny', 'tiny');
    await repin('lib', 'vendor/core');
    await world.pin();
    await world.pushRoot();
  });
  afterAll(() => world?.stop());

  it('are left alone unless asked for', async () => {
    expect((await world.check()).report?.matrix.map(({ path }) => path)).toEqual(['.', '.', 'lib', 'lib']);
  });

  it('are checked to the innermost one', async () => {
    const { report, code, log } = await world.check({ nested: 'true' });
    expect([code, [...new Set(report?.matrix.map(({ path }) => path))]], log).toEqual([
      0,
      ['.', 'lib', 'lib/vendor/core', 'lib/vendor/core/tiny'],
    ]);
  });

  it('one that lags is named by its whole path, and its command mends it', async () => {
    await world.commit('lib/vendor/core/tiny');
    await world.push('lib/vendor/core/tiny', 'origin');
    await repin('lib/vendor/core', 'tiny');
    await repin('lib', 'vendor/core');
    await world.pin();
    await world.pushRoot();
    await isMended(['lib/vendor/core/tiny alm: LAGGING']);
  });

  it('one that diverged is merged, and pinned anew in all that hold it', async () => {
    const tiny = 'lib/vendor/core/tiny';
    await world.commit(tiny);
    await world.push(tiny, 'alm');
    await world.git(tiny, 'reset', '--quiet', '--hard', 'HEAD^');
    await world.commit(tiny);
    await world.push(tiny, 'origin');
    await repin('lib/vendor/core', 'tiny');
    await repin('lib', 'vendor/core');
    await world.pin();
    await world.pushRoot();
    await isMended(['lib/vendor/core/tiny alm: DIVERGED']);
  });

  it('a pin that is no commit, and a gitlink without an entry, are mended where they lie', async () => {
    const tree = await world.git('lib/vendor/core/tiny', 'rev-parse', 'HEAD^{tree}');
    await repin('lib/vendor/core', 'tiny', tree);
    await repin('lib', 'vendor/core');
    await repin('lib', 'stray', await world.git('lib', 'rev-parse', 'HEAD'));
    await world.pin();
    await world.pushRoot();
    await isMended([
      'lib/stray: ORPHAN-GITLINK',
      'lib/vendor/core/tiny origin: NOT-A-COMMIT',
      'lib/vendor/core/tiny alm: NOT-A-COMMIT',
    ]);
  });

  it('one that two pushed pins of its parent hold is asked about once', async () => {
    const before = await world.git('.', 'rev-parse', 'HEAD');
    await world.commits('lib/vendor/core', 20);
    await everywhere('lib/vendor/core');
    for (const _ of ['one', 'two']) {
      await world.commit('lib');
      await everywhere('lib');
      await world.pin();
    }
    await world.pushRoot();
    const path = join(world.checkout, '..', 'event.json');
    writeFileSync(path, JSON.stringify({ before }));
    const event = { GITHUB_EVENT_NAME: 'push', GITHUB_EVENT_PATH: path, GITHUB_REPOSITORY: 'acme/gb' };
    const { report, log } = await world.check({ nested: 'true', exclude: '.', commits: 'range' }, event);
    const cells = report?.matrix.map(({ path, remote, state }) => `${path} ${remote}: ${state}`) ?? [];
    expect(
      cells.filter((cell) => cell.startsWith('lib ')),
      log,
    ).toHaveLength(4);
    expect(cells.filter((cell) => cell.startsWith('lib/vendor/core '))).toEqual([
      'lib/vendor/core origin: PUSHED',
      'lib/vendor/core alm: PUSHED',
    ]);
  });

  it('`branch` in the .gitmodules of a submodule counts, but not on a pull request, which chooses that commit', async () => {
    const core = 'lib/vendor/core';
    await world.commit(core);
    for (const remote of ['origin', 'alm']) await world.push(core, remote, 'HEAD:refs/heads/stable');
    await world.git('lib', 'config', '-f', '.gitmodules', 'submodule.core.branch', 'stable');
    await repin('lib', 'vendor/core');
    const base = await world.git('.', 'rev-parse', 'HEAD');
    await world.pin();
    await world.pushRoot();
    const green = await world.check({ nested: 'true', exclude: '.' });
    expect(
      told(green).filter((each) => each.startsWith(`${core} `)),
      green.log,
    ).toEqual([]);
    const path = join(world.checkout, '..', 'pull.json');
    writeFileSync(
      path,
      JSON.stringify({ pull_request: { number: 7, merge_base: base, base: { ref: 'main', sha: base } } }),
    );
    const variables = { GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: path, GITHUB_REPOSITORY: 'acme/gb' };
    const red = await world.check({ nested: 'true', exclude: '.' }, variables);
    expect(told(red), red.log).toEqual([`${core} origin: OTHER-BRANCH`, `${core} alm: OTHER-BRANCH`]);
    await world.git('lib', 'config', '-f', '.gitmodules', '--unset', 'submodule.core.branch');
    await everywhere(core);
    await repin('lib', 'vendor/core');
    await world.pin();
    await world.pushRoot();
  });

  it('an unreadable .gitmodules below is told as not checked, unless it is left out', async () => {
    await world.commit('lib/vendor/core', { files: { '.gitmodules': '[submodule "tiny"\n' } });
    await everywhere('lib/vendor/core');
    await repin('lib', 'vendor/core');
    await world.pin();
    await world.pushRoot();
    const red = await world.check({ nested: 'true' });
    expect([told(red), red.outputs.result], red.log).toEqual([['lib/vendor/core: COULD-NOT-CHECK'], 'unknown']);
    const green = await world.check({ nested: 'true', exclude: 'lib/vendor/**' });
    expect([told(green), green.outputs.result]).toEqual([[], 'pushed']);
  });

  async function isMended(findings: string[]): Promise<void> {
    const red = await world.check({ nested: 'true' });
    expect(told(red), red.log).toEqual(findings);
    const { code, said } = await world.mend(red.outputs.commands ?? '');
    expect(code, `${red.outputs.commands}\n${said}`).toBe(0);
    expect(told(await world.check({ nested: 'true' }))).toEqual([]);
  }
});
