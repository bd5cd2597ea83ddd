import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Finished, run, told } from '../harness.js';
import { createWorld, type World } from '../world.js';

/** The guide's own lines, after a commit in botlib. */
const lines = [
  'git push origin main',
  'git push alm main',
  'cd ..',
  'git add botlib',
  'git commit -m "Update submodule"',
  'git push alm main # the root',
];

describe('the lines of the guide, pushed over HTTP with tokens', () => {
  let world: World;
  const clones: string[] = [];
  beforeAll(async () => {
    world = await createWorld({
      homes: { origin: { token: 'origin-token' }, alm: { token: 'alm-token' } },
      overNetwork: true,
    });
    await Promise.all(['botlib', 'botserver'].map((path) => world.submodule(path)));
    await world.pin();
    await world.pushRoot();
    for (const path of ['.', 'botlib']) {
      for (const remote of ['origin', 'alm']) await world.git(path, 'fetch', '--quiet', remote);
    }
  });
  afterAll(() => world?.stop());

  /** What a developer types, who does not look at what git says. */
  async function type(typed: string[]): Promise<void> {
    await world.commit('botlib');
    await world.mend(`cd botlib\n${typed.map((line) => `${line} || :`).join('\n')}`);
  }

  /** A workflow of alm, with the checkout that a runner makes. */
  async function workflow(path: string, sha: string, inputs: Record<string, string>): Promise<Finished> {
    const name = path === '.' ? 'gb' : path;
    const checkout = join(world.checkout, '..', `ci-${clones.length}`);
    clones.push(checkout);
    await world.git('.', 'clone', '--quiet', '--depth=1', `file://${world.homes.alm?.dir}/${name}.git`, checkout);
    const env = {
      GITHUB_EVENT_NAME: 'push',
      GITHUB_SHA: sha,
      GITHUB_REF: 'refs/heads/main',
      GITHUB_REPOSITORY: `acme/${name}`,
    };
    const finished = await run({ ...world.inputs(inputs), repository: checkout }, env);
    await rm(checkout, { recursive: true });
    return finished;
  }

  /** Those workflows of alm that the pushes since `before` start: the root's and the submodule's. */
  async function started(before: string[]): Promise<{ root?: Finished; submodule?: Finished }> {
    const [root = '', submodule = ''] = await tips();
    return {
      root: root === before[0] ? undefined : await workflow('.', root, { exclude: '.' }),
      submodule:
        submodule === before[1]
          ? undefined
          : await workflow('botlib', submodule, {
              mode: 'submodule',
              remotes: `alm = ${world.homes.alm?.base}`,
              tokens: 'alm = alm-token',
            }),
    };
  }

  const tips = () => Promise.all(['.', 'botlib'].map((path) => world.tip('alm', path)));
  const byNight = async () =>
    workflow('.', await world.tip('alm', '.'), { mode: 'schedule', 'behind-for': '0s', exclude: '.' });

  it('with none forgotten everything is green', async () => {
    const before = await tips();
    await type(lines);
    const { root, submodule } = await started(before);
    expect([root?.outputs.result, root?.code], root?.log).toEqual(['pushed', 0]);
    expect([submodule?.outputs.result, submodule?.code], submodule?.log).toEqual(['pushed', 0]);
    expect(told(await byNight())).toEqual([]);
  });

  // A root that was not pushed starts no workflow: then only the submodule's own can see it, and the night's.
  const stale = ['botlib alm: ROOT-BEHIND'];
  const staleByNight = ['botlib origin: PIN-BEHIND', 'botlib alm: PIN-BEHIND'];
  it.each([
    [lines[0], { root: ['botlib origin: LAGGING'], submodule: [], night: ['botlib origin: LAGGING'] }],
    [lines[1], { root: ['botlib alm: LAGGING'], submodule: undefined, night: ['botlib alm: LAGGING'] }],
    [lines[2], { root: undefined, submodule: stale, night: staleByNight }],
    [lines[3], { root: undefined, submodule: stale, night: staleByNight }],
    [lines[4], { root: undefined, submodule: stale, night: staleByNight }],
    [lines[5], { root: undefined, submodule: stale, night: staleByNight }],
  ])('a forgotten `%s` is named, and what is printed mends it', async (line, { root, submodule, night }) => {
    const before = await tips();
    await type(lines.filter((each) => each !== line));
    const runs = await started(before);
    expect(runs.root && told(runs.root), runs.root?.log).toEqual(root);
    expect(runs.submodule && told(runs.submodule), runs.submodule?.log).toEqual(submodule);
    expect(told(await byNight())).toEqual(night);

    const red = [runs.root, runs.submodule].find((each) => each?.outputs.commands);
    const pasted = await world.mend(red?.outputs.commands ?? '');
    expect([pasted.code, red?.outputs.commands], pasted.said).toEqual([0, expect.stringContaining('git ')]);
    expect(told(await byNight())).toEqual([]);
    for (const remote of ['origin', 'alm']) {
      expect(await world.holds(remote, 'botlib', await world.git('botlib', 'rev-parse', 'HEAD'))).toBe(true);
    }
    expect(await world.git('.', 'rev-parse', 'HEAD:botlib')).toBe(await world.git('botlib', 'rev-parse', 'HEAD'));
    expect(await world.tip('alm', '.')).toBe(await world.git('.', 'rev-parse', 'HEAD'));
  });
});
