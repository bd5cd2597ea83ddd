import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { told } from '../harness.js';
import { createWorld, type World } from '../world.js';

let world: World;
const everywhere = (path: string, refspec?: string) =>
  Promise.all(['origin', 'alm'].map((remote) => world.push(path, remote, refspec)));
const head = (path: string) => world.git(path, 'rev-parse', 'HEAD');
const pathsOf = ({ report }: Awaited<ReturnType<World['check']>>) => [
  ...new Set(report?.matrix.map(({ path }) => path)),
];

/** Two open servers, these submodules, everything pushed. */
function inWorldOf(...paths: string[]): void {
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: {}, alm: {} } });
    await Promise.all(paths.map((path) => world.submodule(path)));
    await world.pin();
    await world.pushRoot();
  });
  afterAll(() => world?.stop());
}

/** The variables and the event file of a run, as Forgejo's runner sets them. */
function event(name: string, payload: object, variables: Record<string, string> = {}): Record<string, string> {
  const path = join(world.checkout, '..', 'event.json');
  writeFileSync(path, JSON.stringify(payload));
  return { GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: path, GITHUB_REPOSITORY: 'acme/gb', ...variables };
}

describe('grace, for the second push of a human', () => {
  inWorldOf('lib');

  it('a push that comes two seconds later makes it green', async () => {
    await world.commit('lib');
    await world.push('lib', 'alm');
    await world.pin();
    await world.pushRoot('alm');
    const running = world.start({ grace: '60s' });
    await sleep(2000);
    await world.push('lib', 'origin');
    await world.pushRoot('origin');
    const { code, log, outputs } = await running.finished;
    expect([code, outputs.result, log], log).toEqual([0, 'pushed', expect.stringContaining('looking again for up to')]);
  });

  it('a root that is pushed two seconds after its submodule makes the workflow of the submodule green', async () => {
    const sha = await world.commit('lib');
    await everywhere('lib');
    const variables = { GITHUB_SHA: sha, GITHUB_REPOSITORY: 'acme/lib', GITHUB_EVENT_NAME: 'push' };
    const running = world.start(
      { mode: 'submodule', grace: '60s', repository: join(world.checkout, 'lib') },
      variables,
    );
    await sleep(2000);
    await world.pin();
    await world.pushRoot();
    const { code, log, outputs } = await running.finished;
    expect([code, outputs.result], log).toEqual([0, 'pushed']);
  });

  it('it ends, and then the answer is red', async () => {
    await world.commit('lib');
    await world.push('lib', 'alm');
    await world.pin();
    await world.pushRoot();
    const began = Date.now();
    const red = await world.check({ grace: '1s' });
    expect([red.code, told(red)]).toEqual([1, ['lib origin: LAGGING']]);
    expect(Date.now() - began).toBeGreaterThan(1000);
  });

  it('nothing is waited for where time cannot mend it', async () => {
    await world.git('lib', 'reset', '--quiet', '--hard', 'HEAD^');
    await world.commit('lib');
    await world.push('lib', 'origin');
    const began = Date.now();
    const red = await world.check({ grace: '10m' });
    expect([red.code, told(red)]).toEqual([1, ['lib origin: DIVERGED']]);
    expect(Date.now() - began).toBeLessThan(60_000);
  });
});

describe('every commit of a push', () => {
  inWorldOf('lib', 'ui');
  let before: string;

  it('head looks at the newest one only, range finds the one in the middle whose pin is nowhere', async () => {
    before = await head('.');
    const lost = await world.commit('lib');
    await world.pin('lib');
    await world.git('lib', 'reset', '--quiet', '--hard', 'HEAD^');
    const pins = [];
    for (const _ of [1, 2, 3]) {
      pins.push(await world.commit('lib'));
      await world.pin('lib');
    }
    await everywhere('lib');
    await world.pushRoot();
    const push = event('push', { before }, { GITHUB_SHA: await head('.'), GITHUB_REF: 'refs/heads/main' });
    expect(told(await world.check({}, push))).toEqual([]);
    const red = await world.check({ commits: 'range' }, push);
    expect(told(red), red.log).toEqual(['lib origin: MISSING', 'lib alm: MISSING']);
    expect(red.report?.findings.every(({ what }) => what.includes(lost.slice(0, 12)))).toBe(true);
    const shas = red.report?.matrix
      .filter(({ path, remote }) => path === 'lib' && remote === 'alm')
      .map(({ sha }) => sha);
    expect(shas?.sort()).toEqual([lost, ...pins].sort());
    for (const cell of red.report?.matrix ?? []) if (pins.includes(cell.sha)) expect(cell.state).toBe('PUSHED');
  });

  it('a submodule that was taken out again within the push is asked about, and is no orphan', async () => {
    before = await head('.');
    await world.commit('ui');
    await world.pin('ui');
    await world.git('.', 'rm', '--quiet', '--cached', 'ui');
    await world.git('.', 'config', '-f', '.gitmodules', '--remove-section', 'submodule.ui');
    await world.git('.', 'add', '.gitmodules');
    await world.commit('.');
    await world.pushRoot();
    const push = event('push', { before }, { GITHUB_SHA: await head('.'), GITHUB_REF: 'refs/heads/main' });
    const red = await world.check({ commits: 'range' }, push);
    expect(told(red), red.log).toEqual(['ui origin: MISSING', 'ui alm: MISSING']);
  });

  it('is not green when the checkout is too shallow to know them', async () => {
    const push = event('push', { before: 'a'.repeat(40) }, { GITHUB_SHA: await head('.') });
    const red = await world.check({ commits: 'range' }, push);
    expect([red.code, red.outputs.result, told(red)], red.log).toEqual([1, 'unknown', ['.: COULD-NOT-CHECK']]);
    expect(red.report?.findings[0]?.hint).toContain('fetch-depth: 0');
  });
});

describe('a pull request', () => {
  inWorldOf('lib', 'ui', 'app');
  let base: string;
  const pull = async (mergeBase = base) =>
    event(
      'pull_request',
      { pull_request: { number: 7, merge_base: mergeBase, base: { ref: 'main', sha: base } } },
      { GITHUB_SHA: await head('.'), GITHUB_REF: 'refs/pull/7/head' },
    );
  /** As Forgejo sets it: the commit is that of the base. */
  const pullTarget = (sha?: string) => {
    const payload = { number: 7, merge_base: base, base: { ref: 'main', sha: base }, head: sha ? { sha } : undefined };
    const variables = { GITHUB_SHA: base, GITHUB_REF: 'refs/heads/main' };
    return event('pull_request_target', { pull_request: payload }, variables);
  };

  beforeAll(async () => {
    // Something is wrong with app on main already, which is not the matter of this pull request.
    await world.commit('app');
    await world.push('app', 'origin');
    await world.pin('app');
    await world.pushRoot();
    base = await head('.');
    await world.git('.', 'switch', '--quiet', '-c', 'topic');
  });

  it('is asked about the pins it changes only, and its base instead of its own commit', async () => {
    await world.commit('lib');
    await world.push('lib', 'alm');
    await world.pin('lib');
    const red = await world.check({}, await pull());
    expect([pathsOf(red), told(red)], red.log).toEqual([['.', 'lib'], ['lib origin: LAGGING']]);
    expect(red.report?.matrix.filter(({ path }) => path === '.').map(({ sha, state }) => [sha, state])).toEqual([
      [base, 'PUSHED'],
      [base, 'PUSHED'],
    ]);
  });

  it('is asked about the same on pull_request_target, whose commit is the base', async () => {
    const red = await world.check({}, pullTarget(await head('.')));
    expect([red.code, pathsOf(red), told(red)], red.log).toEqual([1, ['.', 'lib'], ['lib origin: LAGGING']]);
  });

  it.each([
    ['is not in the checkout', 'a'.repeat(40), /a{40} is not in this checkout\..*`ref: refs\/pull\/7\/head`/s],
    ['is not said', undefined, /does not say which commit is the head.*Run this on `pull_request`/s],
  ])('whose head %s on pull_request_target is red, and told what to do', async (_, sha, says) => {
    const red = await world.check({}, pullTarget(sha));
    expect([red.code, red.log], red.log).toEqual([1, expect.stringMatching(says)]);
  });

  it('never pushes, not even where that is allowed', async () => {
    const before = await world.tip('origin', 'lib');
    const red = await world.check({ push: 'origin,alm' }, await pull());
    expect([red.code, red.report?.pushed, red.report?.notes]).toEqual([
      1,
      [],
      ['Nothing is ever pushed on a pull request.'],
    ]);
    expect(await world.tip('origin', 'lib')).toBe(before);
  });

  it('is green once its pins are everywhere', async () => {
    await world.push('lib', 'origin');
    const green = await world.check({}, await pull());
    expect([green.code, told(green)]).toEqual([0, []]);
  });

  it('cannot choose the branch that counts; the base can', async () => {
    const sha = await world.commit('ui');
    await everywhere('ui', 'HEAD:refs/heads/easy');
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule.ui.branch', 'easy');
    await world.pin(['ui', sha]);
    expect(told(await world.check({}, await pull()))).toEqual(['ui origin: OTHER-BRANCH', 'ui alm: OTHER-BRANCH']);
    // The same words on main are policy.
    const policy = { pull_request: { number: 7, merge_base: base, base: { ref: 'main', sha: await head('.') } } };
    const variables = event('pull_request', policy, { GITHUB_SHA: await head('.') });
    expect(told(await world.check({ exclude: '.' }, variables))).toEqual([]);
    await world.git('.', 'reset', '--quiet', '--hard', 'HEAD^');
  });

  it('that leads an unchanged pin to another address is asked about it', async () => {
    await Promise.all(Object.values(world.homes).map((home) => home.create('empty-fork')));
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule.ui.url', '../empty-fork.git');
    await world.git('.', 'commit', '--quiet', '-am', 'Lead ui elsewhere');
    const red = await world.check({}, await pull());
    expect(told(red), red.log).toEqual(['ui origin: COULD-NOT-CHECK', 'ui alm: COULD-NOT-CHECK']);
    await world.git('.', 'reset', '--quiet', '--hard', 'HEAD^');
  });

  it('whose pin needs a merge is told to commit to its own branch, never to main', async () => {
    const start = await head('lib');
    await world.commit('lib');
    await everywhere('lib');
    await world.git('lib', 'reset', '--quiet', '--hard', start);
    await world.commit('lib');
    await world.push('lib', 'alm', 'HEAD:refs/heads/review');
    await world.pin('lib');
    await world.git('.', 'push', '--quiet', '--set-upstream', 'alm', 'topic');
    const red = await world.check({}, await pull());
    expect(told(red), red.log).toEqual(['lib origin: MISSING', 'lib alm: OTHER-BRANCH']);
    const main = await world.tip('alm', '.');
    const { code, said } = await world.mend(red.outputs.commands ?? '');
    expect([code, red.outputs.commands], said).toEqual([0, expect.not.stringMatching(/^git push .*main/m)]);
    expect([await world.tip('alm', '.'), await world.tip('alm', '.', 'topic')]).toEqual([main, await head('.')]);
    expect(told(await world.check({}, await pull()))).toEqual([]);
  });

  it('that pins a commit of a fork is printed no command that would put it on main', async () => {
    const start = await head('lib');
    await world.commit('lib');
    // On a server, but on no branch: what a fork brings to the network of a repository.
    await world.push('lib', 'alm', 'HEAD:refs/heads/gone');
    await world.push('lib', 'alm', ':refs/heads/gone');
    await world.pin('lib');
    const red = await world.check({}, await pull());
    expect([told(red), red.outputs.commands], red.log).toEqual([['lib origin: MISSING', 'lib alm: DANGLING'], '']);
    for (const { hint } of red.report?.findings ?? []) expect(hint).toMatch(/may come from a fork/);
    await world.git('.', 'reset', '--quiet', '--hard', 'HEAD^');
    await world.git('lib', 'reset', '--quiet', '--hard', start);
  });

  it('on top of another pull request is not told to push that one to main', async () => {
    const topic = await head('.');
    await world.push('.', 'alm', 'HEAD:refs/heads/topic');
    await world.commit('.');
    const stacked = event(
      'pull_request',
      { pull_request: { number: 8, merge_base: topic, base: { ref: 'topic', sha: topic } } },
      { GITHUB_SHA: await head('.') },
    );
    const green = await world.check({}, stacked);
    expect([told(green), green.outputs.commands], green.log).toEqual([[], '']);
    expect(green.report?.notes).toEqual([expect.stringMatching(/leads to topic, .* the root was not asked about/)]);
    await world.git('.', 'reset', '--quiet', '--hard', 'HEAD^');
  });

  it('is written to in no dry run', async () => {
    await world.commit('lib');
    await world.push('lib', 'alm');
    await world.pin('lib');
    const asked: string[] = [];
    const api = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
    const { port } = api.address() as AddressInfo;
    const variables = { GITHUB_API_URL: `http://127.0.0.1:${port}`, GITHUB_TOKEN: 'run-token', ...(await pull()) };
    expect(told(await world.check({ 'dry-run': 'true' }, variables))).toEqual(['lib origin: LAGGING']);
    expect(asked).toEqual([]);
    await world.check({}, variables);
    expect(asked).not.toEqual([]);
    api.close();
    await world.push('lib', 'origin');
  });

  it('is not blamed for an entry without a gitlink that main has already, but for one that it brings', async () => {
    const stray = async (name: string) => {
      await world.git('.', 'config', '-f', '.gitmodules', `submodule.${name}.path`, name);
      await world.git('.', 'config', '-f', '.gitmodules', `submodule.${name}.url`, `../${name}.git`);
      await world.git('.', 'commit', '--quiet', '-am', `Name ${name}`);
    };
    await stray('old');
    const mergeBase = await head('.');
    await stray('new');
    expect(told(await world.check({}, await pull(mergeBase)))).toEqual(['new: NO-GITLINK']);
    expect(told(await world.check({ include: 'lib' }, await pull(mergeBase)))).toEqual([]);
  });

  it('whose base is not in the checkout is asked about everything, and says so', async () => {
    const variables = await pull('b'.repeat(40));
    const { report, log } = await world.check({}, variables);
    expect(report?.notes, log).toEqual([expect.stringContaining('all pins were asked about')]);
    expect(
      (await world.check({}, event('pull_request', { pull_request: { number: 7, base: { ref: 'main' } } }))).report
        ?.notes,
    ).toEqual([
      expect.stringContaining('all pins were asked about'),
      expect.stringMatching(/\.gitmodules of the base could not be read: no `branch` in it counts/),
    ]);
    expect(report?.matrix.map(({ path }) => path)).toContain('app');
  });
});

describe('which submodules, and which branch', () => {
  inWorldOf('lib', 'vendor/a', 'vendor/b', '.hidden');

  it.each<[string, Record<string, string>, string[]]>([
    ['include takes globs, and always the root', { include: 'vendor/*' }, ['.', 'vendor/a', 'vendor/b']],
    ['include takes several lines, and names with a dot', { include: 'lib\n*hidden' }, ['.', '.hidden', 'lib']],
    ['exclude takes globs', { exclude: 'vendor/**' }, ['.', '.hidden', 'lib']],
    ['exclude wins over include', { include: 'vendor/*', exclude: 'vendor/b' }, ['.', 'vendor/a']],
    ['exclude of a dot leaves out the root only', { exclude: '.' }, ['.hidden', 'lib', 'vendor/a', 'vendor/b']],
  ])('%s', async (_, inputs, paths) => {
    expect(pathsOf(await world.check(inputs))).toEqual(paths);
  });

  it('a typo in a glob is an error, not a question that is narrowed to what is green', async () => {
    const red = await world.check({ include: 'vendr/*' });
    expect([red.code, red.log]).toEqual([1, expect.stringContaining('No submodule fits include "vendr/*".')]);
  });

  it('expected-branches wins over branch in .gitmodules, which wins over the input; a dot is the branch of the root', async () => {
    for (const path of ['lib', 'vendor/a', 'vendor/b', '.hidden']) {
      await world.commit(path);
      const branch = { lib: 'release/1', 'vendor/a': 'stable', 'vendor/b': 'main', '.hidden': 'develop' }[path];
      await everywhere(path, `HEAD:refs/heads/${branch}`);
    }
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule.lib.branch', 'stable');
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule.vendor/a.branch', 'stable');
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule..hidden.branch', '.');
    await world.pin();
    await world.pushRoot();
    await everywhere('.', 'HEAD:refs/heads/develop');
    const inputs = { 'expected-branches': 'lib = release/1' };
    const onDevelop = { GITHUB_REF: 'refs/heads/develop', GITHUB_EVENT_NAME: 'push', GITHUB_SHA: await head('.') };
    const green = await world.check(inputs, onDevelop);
    expect(told(green), green.log).toEqual([]);
    const onMain = await world.check(inputs, { ...onDevelop, GITHUB_REF: 'refs/heads/main' });
    expect(told(onMain)).toEqual(['.hidden origin: OTHER-BRANCH', '.hidden alm: OTHER-BRANCH']);
    const without = await world.check({}, onDevelop);
    expect(told(without)).toEqual(['lib origin: BRANCH-MISSING', 'lib alm: BRANCH-MISSING']);
  });

  it('a tag may be expected like a branch, and is pushed as a tag', async () => {
    const first = await head('vendor/a');
    await world.git('vendor/a', 'tag', 'v1.2');
    await world.push('vendor/a', 'alm', 'refs/tags/v1.2');
    const inputs = { include: 'vendor/a', exclude: '.', 'expected-branches': 'vendor/a = v1.2' };
    const red = await world.check(inputs);
    expect(told(red), red.log).toEqual(['vendor/a origin: BRANCH-MISSING']);
    expect(red.outputs.commands).toBe('git -C vendor/a push origin refs/tags/v1.2');
    expect((await world.mend(red.outputs.commands ?? '')).code).toBe(0);
    expect(told(await world.check(inputs))).toEqual([]);
    // The tag does not lead to what came after it.
    await world.commit('vendor/a');
    await everywhere('vendor/a');
    await world.pin('vendor/a');
    const beyond = await world.check(inputs);
    expect([told(beyond), beyond.outputs.commands], beyond.log).toEqual([
      ['vendor/a origin: BRANCH-MISSING', 'vendor/a alm: BRANCH-MISSING'],
      '',
    ]);
    await world.git('vendor/a', 'reset', '--quiet', '--hard', first);
    await world.git('.', 'reset', '--quiet', '--hard', 'HEAD^');
  });

  it('what git does with an entry and few expect is noted', async () => {
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule.lib.update', 'none');
    await world.git('.', 'config', '-f', '.gitmodules', '--add', 'submodule..hidden.url', '../.hidden.git/');
    await world.git('.', 'commit', '--quiet', '-am', 'Odd');
    const { report, log } = await world.check({ exclude: '.' });
    expect(report?.notes.sort(), log).toEqual([
      expect.stringMatching(/^\.hidden has several urls/),
      expect.stringMatching(/^lib has `update = none`/),
    ]);
    await world.git('.', 'reset', '--quiet', '--hard', 'HEAD^');
  });

  it('each remote may have a branch of its own, for the root as well, and the commands push to it', async () => {
    await world.push('.', 'alm', 'HEAD:refs/heads/company');
    await world.push('.hidden', 'alm', 'HEAD:refs/heads/company');
    await world.commit('.hidden');
    await world.commit('vendor/b');
    await world.push('vendor/b', 'alm', 'HEAD:refs/heads/company');
    await world.git('vendor/b', 'reset', '--quiet', '--hard', 'HEAD^');
    await world.commit('vendor/b');
    for (const path of ['.hidden', 'vendor/b']) await world.push(path, 'origin');
    for (const path of ['lib', 'vendor/a', '.hidden'])
      await world.git('.', 'config', '-f', '.gitmodules', '--unset', `submodule.${path}.branch`);
    await world.pin();
    await world.pushRoot('origin');
    const inputs = {
      remotes: `origin = ${world.homes.origin?.base}\nalm = ${world.homes.alm?.base} company`,
      include: '.hidden\nvendor/b',
    };
    const red = await world.check(inputs);
    expect(told(red), red.log).toEqual(['. alm: LAGGING', '.hidden alm: LAGGING', 'vendor/b alm: DIVERGED']);
    const main = await world.tip('alm', '.');
    const { code, said } = await world.mend(red.outputs.commands ?? '');
    expect(code, `${red.outputs.commands}\n${said}`).toBe(0);
    expect(told(await world.check(inputs))).toEqual([]);
    expect([await world.tip('alm', '.'), await world.tip('alm', '.', 'company')]).toEqual([main, await head('.')]);
  });
});

describe('by the clock, and from the side of the submodule', () => {
  inWorldOf('lib', 'ui');
  const hours = 3600;
  const ago = (count: number) => Math.floor(Date.now() / 1000) - count * hours;
  const fromLib = async (more: Record<string, string> = {}) =>
    [
      { mode: 'submodule', repository: join(world.checkout, 'lib'), ...more },
      { GITHUB_SHA: await head('lib'), GITHUB_REPOSITORY: 'acme/lib', GITHUB_EVENT_NAME: 'push' },
    ] as const;

  it('a submodule that is ahead of its pin for an hour may be so', async () => {
    await world.commit('lib', { at: ago(1) });
    await everywhere('lib');
    const green = await world.check({ mode: 'schedule' });
    expect([green.code, told(green)], green.log).toEqual([0, []]);
    expect(told(await world.check({ mode: 'schedule', 'behind-for': '30m' }))).toEqual([
      'lib origin: PIN-BEHIND',
      'lib alm: PIN-BEHIND',
    ]);
  });

  it('one that is ahead since the day before yesterday is told, with how many commits, and the command mends it', async () => {
    await world.commits('ui', 3, { from: ago(50), every: hours });
    await everywhere('ui');
    const red = await world.check({ mode: 'schedule' });
    expect([red.code, told(red)], red.log).toEqual([1, ['ui origin: PIN-BEHIND', 'ui alm: PIN-BEHIND']]);
    expect(red.report?.findings[0]?.what).toMatch(
      /ui on origin is 3 commits ahead of its pin [0-9a-f]{12}, the oldest for 50 h/,
    );
    const { code, said } = await world.mend(red.outputs.commands ?? '');
    expect(code, said).toBe(0);
    expect(told(await world.check({ mode: 'schedule' }))).toEqual([]);
  });

  it('a root that was pushed to one forge only is told at night, whichever forge runs it, but not pushed past its pins', async () => {
    await world.commit('.', { files: { 'docs/a.md': 'a\n' } });
    await world.pushRoot('origin');
    const atAlm = { GITHUB_SHA: await world.tip('alm', '.'), GITHUB_EVENT_NAME: 'schedule' };
    const red = await world.check({ mode: 'schedule', push: 'alm' }, atAlm);
    expect([told(red), red.report?.pushed], red.log).toEqual([['. alm: LAGGING'], []]);
    expect(told(await world.check({ mode: 'schedule', exclude: '.' }, atAlm))).toEqual([]);
    expect((await world.mend(red.outputs.commands ?? '')).code).toBe(0);
    expect(told(await world.check({ mode: 'schedule' }, atAlm))).toEqual([]);
  });

  it('roots that went separate ways are told at night', async () => {
    const start = await head('.');
    await world.commit('.');
    await world.pushRoot('origin');
    await world.git('.', 'reset', '--quiet', '--hard', start);
    await world.commit('.');
    await world.pushRoot('alm');
    const atAlm = { GITHUB_SHA: await world.tip('alm', '.'), GITHUB_EVENT_NAME: 'schedule' };
    const red = await world.check({ mode: 'schedule' }, atAlm);
    expect(told(red), red.log).toEqual(['. origin: DIVERGED', '. alm: DIVERGED']);
    const { code, said } = await world.mend(red.outputs.commands ?? '');
    expect(code, `${red.outputs.commands}\n${said}`).toBe(0);
    expect(told(await world.check({ mode: 'schedule' }, { GITHUB_SHA: await world.tip('alm', '.') }))).toEqual([]);
    await world.git('.', 'checkout', '--quiet', '-B', 'main');
  });

  it('a root that pins an older commit is told how far behind it is', async () => {
    await world.commits('lib', 2);
    await everywhere('lib');
    const red = await world.check(...(await fromLib()));
    expect([red.code, told(red)], red.log).toEqual([1, ['lib origin: ROOT-BEHIND', 'lib alm: ROOT-BEHIND']]);
    expect(red.report?.findings[0]?.what).toMatch(/still pins lib at [0-9a-f]{12}, 3 commits before/);
  });

  it('a root that was pushed to one forge only is told of the other one', async () => {
    await world.pin();
    await world.pushRoot('alm');
    const red = await world.check(...(await fromLib()));
    expect(told(red), red.log).toEqual(['lib origin: ROOT-BEHIND']);
    await world.pushRoot('origin');
    expect(told(await world.check(...(await fromLib())))).toEqual([]);
  });

  it('a root that is beyond this commit already is green', async () => {
    const older = await world.git('lib', 'rev-parse', 'HEAD~2');
    const [inputs, variables] = await fromLib();
    expect(told(await world.check(inputs, { ...variables, GITHUB_SHA: older }))).toEqual([]);
  });

  it('a submodule that itself was pushed to one forge only is told of that as well', async () => {
    await world.commit('lib');
    await world.push('lib', 'alm');
    await world.pin('lib');
    await world.pushRoot();
    const red = await world.check(...(await fromLib()));
    expect(told(red), red.log).toEqual(['lib origin: LAGGING']);
    await world.push('lib', 'origin');
  });

  it('one that was pushed to one forge only, while no root pins it yet, is told of both, by its path in the root', async () => {
    await world.git('.', 'mv', 'ui', 'vendor-ui');
    await world.pin(['vendor-ui', await head('vendor-ui')]);
    await world.pushRoot();
    await world.commit('vendor-ui');
    await world.push('vendor-ui', 'alm', 'HEAD:refs/heads/main');
    const red = await world.check(
      { mode: 'submodule', repository: join(world.checkout, 'vendor-ui') },
      { GITHUB_SHA: await head('vendor-ui'), GITHUB_REPOSITORY: 'acme/ui', GITHUB_EVENT_NAME: 'push' },
    );
    expect(told(red), red.log).toEqual([
      'vendor-ui origin: LAGGING',
      'vendor-ui origin: ROOT-BEHIND',
      'vendor-ui alm: ROOT-BEHIND',
    ]);
    const { code, said } = await world.mend(red.outputs.commands ?? '');
    expect(code, `${red.outputs.commands}\n${said}`).toBe(0);
    await world.pushRoot();
  });

  it('an address that several submodules have must be told apart by the path', async () => {
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule.copy.path', 'copy');
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule.copy.url', '../lib.git');
    await world.pin(['copy', await head('lib')]);
    await world.pushRoot();
    const several = await world.check(...(await fromLib()));
    expect([several.code, several.log]).toEqual([
      1,
      expect.stringContaining('several submodules whose address ends in lib'),
    ]);
    expect(told(await world.check(...(await fromLib({ submodule: 'copy' }))))).toEqual([]);
  });

  it('a root that pins nothing there is told so', async () => {
    const red = await world.check(...(await fromLib({ submodule: 'elsewhere' })));
    expect(red.report?.findings.map(({ state, what }) => [state, what]).at(0), red.log).toEqual([
      'ROOT-BEHIND',
      'The root on origin pins nothing at elsewhere.',
    ]);
  });

  it('old commits that were merged a moment ago do not make it ahead for long', async () => {
    const start = await head('lib');
    await world.git('lib', 'switch', '--quiet', '--create', 'slow', start);
    await world.commits('lib', 2, { from: ago(480), every: hours });
    await world.git('lib', 'switch', '--quiet', 'main');
    await world.git('lib', 'merge', '--quiet', '--no-ff', '--no-edit', 'slow');
    await everywhere('lib');
    const green = await world.check({ mode: 'schedule', include: 'lib' });
    expect(told(green), green.log).toEqual([]);
  });
});
