import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { createWorld, type World } from '../world.js';

// Remotes that are at the same commit are asked about its history once; what one knows must never become another's answer.

let world: World;

const pushTo = (remotes: string[], refspec?: string) =>
  Promise.all(remotes.map((remote) => world.push('lib', remote, refspec)));

async function begin(...remotes: string[]): Promise<void> {
  await world?.stop();
  world = await createWorld({ homes: Object.fromEntries(remotes.map((remote) => [remote, {}])) });
  await world.submodule('lib');
}

/** Three commits on a branch that main lacks; the last is checked out and pinned. */
async function topic(): Promise<void> {
  await world.git('lib', 'checkout', '--quiet', '-b', 'topic');
  await world.commits('lib', 3);
  await world.pin();
}

async function states(): Promise<string[]> {
  const { report, log } = await world.check({ exclude: '.' });
  if (!report) throw new Error(log);
  return report.matrix.map(({ remote, state }) => `${remote}: ${state}`);
}

afterAll(() => world?.stop());

describe('three remotes at one commit', () => {
  beforeEach(() => begin('origin', 'alm', 'mirror'));

  it.each([
    { what: 'on a branch of the first and the last', on: ['origin', 'mirror'] },
    { what: 'on a branch of the second only', on: ['alm'] },
    { what: 'on a branch of all of them', on: ['origin', 'alm', 'mirror'] },
    { what: 'on none', on: [] },
  ])('a pin $what is told of each by what it holds', async ({ on }) => {
    await topic();
    await pushTo([...on], 'HEAD:refs/heads/topic');
    const expected = ['origin', 'alm', 'mirror'].map(
      (remote) => `${remote}: ${on.includes(remote) ? 'OTHER-BRANCH' : 'MISSING'}`,
    );
    expect(await states()).toEqual(expected);
  });

  it('a pin far behind is on main of all, and is looked for on one only', async () => {
    const now = Math.floor(Date.now() / 1000);
    await world.commits('lib', 1, { from: now - 90_000, every: 60 });
    await world.pin();
    await world.commits('lib', 60, { from: now - 80_000, every: 60 });
    await pushTo(['origin', 'alm', 'mirror']);
    expect(await states()).toEqual(['origin: PUSHED', 'alm: PUSHED', 'mirror: PUSHED']);
    // Both took the list of branches, which is two requests, and nothing else.
    for (const remote of ['alm', 'mirror']) expect(world.homes[remote]?.http?.counters.requests).toBe(2);
  });
});

describe('a branch that moves while it is looked at', () => {
  beforeEach(() => begin('origin', 'alm'));

  it.each(
    [1, 2, 3, 4, 5, 6].flatMap((request) => [
      { request, moved: 'origin', other: 'alm' },
      { request, moved: 'alm', other: 'origin' },
    ]),
  )('before request $request to $moved, is no answer for $other', async ({ request, moved, other }) => {
    await topic();
    await pushTo(['origin', 'alm'], 'HEAD:refs/heads/topic');
    let seen = 0;
    world.homes[moved]?.http?.before('lib', async () => {
      seen += 1;
      if (seen === request) await world.push('lib', moved, 'HEAD:refs/heads/main');
    });
    const [origin = '', alm = ''] = await states();
    const state = { origin: origin.split(': ')[1], alm: alm.split(': ')[1] };
    expect(state[other as keyof typeof state]).toMatch(/^(OTHER-BRANCH|LAGGING)$/);
    expect(state[moved as keyof typeof state]).toMatch(/^(PUSHED|OTHER-BRANCH)$/);
  });
});

describe('refs that cannot be fetched all at once', () => {
  it.each([
    { what: 'a tag of a tree', refs: ['HEAD^{tree}:refs/tags/tree'] },
    { what: 'a branch that is called as a tag is kept', refs: ['HEAD:refs/heads/tags/v1', 'HEAD:refs/tags/v1'] },
    { what: 'a branch that is called as the folder of tags', refs: ['HEAD:refs/heads/tags', 'HEAD:refs/tags/v1'] },
  ])('$what: a pin whose date leads past the near ones is on main all the same', async ({ refs }) => {
    await begin('origin', 'alm');
    const now = Math.floor(Date.now() / 1000);
    await world.commits('lib', 1, { from: now + 900_000 });
    await world.pin();
    await world.commits('lib', 20, { from: now - 90_000 });
    await pushTo(['origin', 'alm']);
    for (const ref of refs) await pushTo(['origin', 'alm'], ref);
    expect(await states()).toEqual(['origin: PUSHED', 'alm: PUSHED']);
  });
});
