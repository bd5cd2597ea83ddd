import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Finished, told } from '../harness.js';
import { createWorld, type Kind, type World } from '../world.js';

let world: World;
afterEach(() => world?.stop());

const head = (path: string) => world.git(path, 'rev-parse', 'HEAD');
const pushedBy = ({ report }: Finished) =>
  report?.pushed.map(({ push, result }) => `${push.path} ${push.remote}: ${result}`);

/** Every submodule pinned at a commit that only origin has, and the root pushed to origin only. */
async function lagging(paths: string[], kinds: Partial<Record<'origin' | 'alm', Kind>> = {}): Promise<void> {
  world = await createWorld({ homes: { origin: kinds.origin ?? {}, alm: kinds.alm ?? {} } });
  for (const path of paths) {
    await world.submodule(path);
    await world.commit(path, { files: { 'a.md': `${path}\n` } });
    await world.push(path, 'origin');
  }
  await world.pin();
  await world.pushRoot('origin');
}

/** A hook of the server of a remote. */
function hook(remote: string, name: string, which: string, script: string): void {
  const hooks = join(world.homes[remote]?.dir ?? '', `${name}.git`, 'hooks');
  mkdirSync(hooks, { recursive: true });
  writeFileSync(join(hooks, which), `#!/bin/sh\n${script}\n`);
  chmodSync(join(hooks, which), 0o755);
}

const everythingOfAlm = () =>
  world.git('.', 'ls-remote', 'alm').then(async (root) => [root, await world.git('lib', 'ls-remote', 'alm')]);

describe('what lags is pushed where that is allowed', () => {
  it.each<[string, Partial<Record<'origin' | 'alm', Kind>>]>([
    ['between two forges with tokens', { origin: { token: 'origin-secret' }, alm: { token: 'alm-secret' } }],
    [
      'from an old server without partial clone to another one',
      { origin: { protocol: 0, partial: false }, alm: { protocol: 0, partial: false } },
    ],
    ['to a forge over SSH', { alm: { via: 'ssh' } }],
  ])('%s: submodules first and the root last, and only what the servers say afterwards counts', async (_, kinds) => {
    await lagging(['lib', 'ui'], kinds);
    const green = await world.check({ push: 'alm' });
    expect([green.code, green.outputs.result, pushedBy(green)], green.log).toEqual([
      0,
      'pushed',
      ['lib alm: pushed', 'ui alm: pushed', '. alm: pushed'],
    ]);
    expect(green.report?.matrix.map(({ state }) => state)).toEqual(Array(6).fill('PUSHED'));
    for (const path of ['.', 'lib', 'ui']) {
      expect([path, await world.tip('alm', path)]).toEqual([path, await head(path)]);
      const bare = join(world.homes.alm?.dir ?? '', `${path === '.' ? 'gb' : path}.git`);
      expect(await world.git('.', '--git-dir', bare, 'fsck', '--connectivity-only')).not.toMatch(/missing|broken/);
    }
  });

  it('what origin has beyond the pin stays there', async () => {
    await lagging(['lib']);
    const pin = await head('lib');
    await world.commits('lib', 3);
    await world.push('lib', 'origin');
    expect(pushedBy(await world.check({ push: 'alm' }))).toEqual(['lib alm: pushed', '. alm: pushed']);
    expect(await world.tip('alm', 'lib')).toBe(pin);
  });

  it('a long history with merges arrives whole', async () => {
    await lagging([]);
    await world.submodule('lib');
    await world.commits('lib', 30);
    const fork = await head('lib');
    await world.commit('lib', { files: { 'side.md': 'side\n' } });
    const side = await world.commits('lib', 20);
    await world.git('lib', 'reset', '--quiet', '--hard', fork);
    for (const remote of ['origin', 'alm']) await world.push('lib', remote);
    await world.commits('lib', 20);
    await world.git('lib', 'merge', '--quiet', '--no-edit', side);
    await world.commits('lib', 20);
    await world.push('lib', 'origin');
    await world.pin();
    await world.pushRoot('origin');
    const green = await world.check({ push: 'alm' });
    expect([green.code, pushedBy(green)], green.log).toEqual([0, ['lib alm: pushed', '. alm: pushed']]);
    const bare = join(world.homes.alm?.dir ?? '', 'lib.git');
    expect(await world.git('.', '--git-dir', bare, 'rev-list', '--count', 'main')).toBe(
      await world.git('lib', 'rev-list', '--count', 'HEAD'),
    );
    expect(await world.git('.', '--git-dir', bare, 'fsck', '--full')).not.toMatch(/missing|broken/);
  });

  it('both ways, each remote by its own consent', async () => {
    await lagging(['lib']);
    await world.submodule('ui');
    await world.commit('ui');
    await world.push('ui', 'alm');
    await world.pin();
    await world.pushRoot('origin');
    const half = await world.check({ push: 'alm' });
    expect([half.code, pushedBy(half), told(half)]).toEqual([
      1,
      ['lib alm: pushed', '. alm: pushed'],
      ['ui origin: LAGGING'],
    ]);
    const whole = await world.check({ push: 'alm, origin' });
    expect([whole.code, pushedBy(whole)]).toEqual([0, ['ui origin: pushed']]);
  });

  it('several pins of one submodule in the commits of one push go in their order', async () => {
    await lagging(['lib']);
    const before = await world.git('.', 'rev-parse', 'HEAD~1');
    await world.commits('lib', 2);
    await world.push('lib', 'origin');
    await world.pin('lib');
    await world.pushRoot('origin');
    const path = join(world.checkout, '..', 'event.json');
    writeFileSync(path, JSON.stringify({ before }));
    const push = { GITHUB_EVENT_NAME: 'push', GITHUB_EVENT_PATH: path, GITHUB_SHA: await head('.') };
    const green = await world.check({ push: 'alm', commits: 'range' }, push);
    expect([green.code, pushedBy(green)], green.log).toEqual([
      0,
      ['lib alm: pushed', 'lib alm: pushed', '. alm: pushed'],
    ]);
  });
});

describe('nothing is pushed', () => {
  it('without consent, or with consent for the other remote', async () => {
    await lagging(['lib']);
    const before = await everythingOfAlm();
    for (const push of ['none', 'origin']) {
      const red = await world.check({ push });
      expect([red.code, red.report?.pushed, told(red)]).toEqual([1, [], ['. alm: LAGGING', 'lib alm: LAGGING']]);
    }
    expect(await everythingOfAlm()).toEqual(before);
  });

  it('in a dry run, which says what would be pushed', async () => {
    await lagging(['lib']);
    const before = await everythingOfAlm();
    const red = await world.check({ push: 'alm', 'dry-run': 'true' });
    expect([red.code, red.report?.pushed]).toEqual([1, []]);
    expect(red.log).toContain(`Dry run: lib ${await head('lib')} would be pushed to main of alm.`);
    expect(red.log).toContain(`Dry run: . ${await head('.')} would be pushed to main of alm.`);
    expect(await everythingOfAlm()).toEqual(before);
  });

  it('where alm has commits of its own: they are merged by people, and the root stays as well', async () => {
    await lagging(['lib', 'ui']);
    const pin = await head('lib');
    await world.git('lib', 'reset', '--quiet', '--hard', 'HEAD^');
    const own = await world.commit('lib');
    await world.push('lib', 'alm');
    await world.git('lib', 'reset', '--quiet', '--hard', pin);
    const red = await world.check({ push: 'alm' });
    expect([red.code, pushedBy(red), told(red)], red.log).toEqual([
      1,
      ['ui alm: pushed'],
      ['. alm: LAGGING', 'lib alm: DIVERGED'],
    ]);
    expect(red.report?.notes).toEqual([
      expect.stringMatching(/^The root is not pushed to alm, because lib at [0-9a-f]{12} is not there\.$/),
    ]);
    expect(await world.tip('alm', 'lib')).toBe(own);
    expect((await world.mend(red.outputs.commands ?? '')).code).toBe(0);
    expect(told(await world.check())).toEqual([]);
  });

  it('of a root whose .gitmodules cannot be read: what it pins is not known', async () => {
    await lagging(['lib']);
    await world.commit('.', { files: { '.gitmodules': '[submodule "lib"\n' } });
    await world.pushRoot('origin');
    const before = await everythingOfAlm();
    for (const dry of ['true', 'false']) {
      const red = await world.check({ push: 'alm', 'dry-run': dry, 'on-unknown': 'warn' });
      expect([red.code, red.report?.pushed, told(red)], red.log).toEqual([
        1,
        [],
        ['.gitmodules: COULD-NOT-CHECK', '. alm: LAGGING'],
      ]);
      expect(red.log).not.toContain('would be pushed');
      expect(red.report?.notes).toEqual([expect.stringMatching(/root is not pushed to alm, because its .gitmodules/)]);
    }
    expect(await everythingOfAlm()).toEqual(before);
  });

  it('of commits that no branch vouches for, such as those of a fork', async () => {
    await lagging([]);
    await world.submodule('lib');
    await world.commit('lib');
    await world.push('lib', 'origin', 'HEAD:refs/heads/fork');
    await world.push('lib', 'origin', ':refs/heads/fork');
    await world.pin();
    await world.pushRoot('origin');
    const red = await world.check({ push: 'alm, origin' });
    expect([pushedBy(red) ?? [], told(red)], red.log).toEqual([
      [],
      ['. alm: LAGGING', 'lib origin: DANGLING', 'lib alm: MISSING'],
    ]);
  });

  it('of what uses Git LFS, whose files would stay behind', async () => {
    await lagging(['lib']);
    await world.commit('lib', {
      files: { 'assets/.gitattributes': '# large files\n*.bin filter=lfs diff=lfs merge=lfs -text\n' },
    });
    await world.push('lib', 'origin');
    await world.pin('lib');
    await world.pushRoot('origin');
    const before = await everythingOfAlm();
    const red = await world.check({ push: 'alm' });
    expect([red.code, pushedBy(red)], red.log).toEqual([1, ['lib alm: refused', '. alm: refused']]);
    expect(red.report?.pushed[0]?.why).toContain('Git LFS');
    expect(await everythingOfAlm()).toEqual(before);
  });
});

describe('a server has the last word', () => {
  it('its hook may decline: its words are told, and the root is not pushed', async () => {
    await lagging(['lib', 'ui']);
    hook('alm', 'lib', 'pre-receive', 'echo "alm is production: closed on Fridays"; exit 1');
    const red = await world.check({ push: 'alm' });
    expect([red.code, pushedBy(red), told(red)], red.log).toEqual([
      1,
      ['lib alm: refused', 'ui alm: pushed', '. alm: refused'],
      ['. alm: LAGGING', 'lib alm: LAGGING'],
    ]);
    expect(red.report?.pushed[0]?.why).toMatch(/pre-receive hook declined.*closed on Fridays/);
    expect(red.report?.pushed[2]?.why).toBe('A submodule was not pushed, so the root was not either.');
    expect(await world.tip('alm', '.')).not.toBe(await head('.'));
  });

  it('it may not let this token write', async () => {
    await lagging(['lib']);
    await world.git(
      '.',
      '--git-dir',
      join(world.homes.alm?.dir ?? '', 'lib.git'),
      'config',
      'http.receivepack',
      'false',
    );
    const red = await world.check({ push: 'alm' });
    expect([red.code, pushedBy(red)], red.log).toEqual([1, ['lib alm: refused', '. alm: refused']]);
    expect(red.report?.pushed[0]?.why).toMatch(/403/);
  });

  it('somebody who is quicker wins: nothing of theirs is lost, and the root waits', async () => {
    await lagging(['lib']);
    const pin = await head('lib');
    await world.git('lib', 'reset', '--quiet', '--hard', 'HEAD^');
    const theirs = await world.commit('lib');
    await world.git('lib', 'reset', '--quiet', '--hard', pin);
    let done = false;
    world.homes.alm?.http?.before('lib', async ({ url }) => {
      if (done || !url?.includes('service=git-receive-pack')) return;
      done = true;
      await world.push('lib', 'alm', `${theirs}:refs/heads/main`);
    });
    const red = await world.check({ push: 'alm' });
    expect([red.code, pushedBy(red), told(red)], red.log).toEqual([
      1,
      ['lib alm: ahead', '. alm: refused'],
      ['. alm: LAGGING', 'lib alm: DIVERGED'],
    ]);
    expect(await world.tip('alm', 'lib')).toBe(theirs);
  });

  it('a colleague who pushes the very same meanwhile is no trouble at all', async () => {
    await lagging(['lib']);
    let done = false;
    world.homes.alm?.http?.before('lib', async ({ url }) => {
      if (done || !url?.includes('service=git-receive-pack')) return;
      done = true;
      await world.push('lib', 'alm');
    });
    const green = await world.check({ push: 'alm' });
    expect([green.code, pushedBy(green)], green.log).toEqual([0, ['lib alm: pushed', '. alm: pushed']]);
  });

  it('what moved between the question and the last byte of the push is told as moved', async () => {
    await lagging(['lib']);
    const pin = await head('lib');
    await world.git('lib', 'reset', '--quiet', '--hard', 'HEAD^');
    const theirs = await world.commit('lib');
    await world.git('lib', 'reset', '--quiet', '--hard', pin);
    await world.push('lib', 'alm', `${theirs}:refs/heads/waiting`);
    hook('alm', 'lib', 'pre-receive', 'unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main refs/heads/waiting');
    const red = await world.check({ push: 'alm' });
    expect([red.code, pushedBy(red), told(red)], red.log).toEqual([
      1,
      ['lib alm: ahead', '. alm: refused'],
      ['. alm: LAGGING', 'lib alm: DIVERGED'],
    ]);
    expect(await world.tip('alm', 'lib')).toBe(theirs);
  });
});
