import { execFile } from 'node:child_process';
import { appendFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finished } from '../harness.js';
import { createWorld, type World } from '../world.js';

// Servers that hold less than their branches lead to, or hand out less than they hold.

const exec = promisify(execFile);
const repository = (world: World, remote: string, name: string) => join(world.homes[remote]?.dir ?? '', `${name}.git`);
const statesAt = ({ report, log }: Finished, path: string) => {
  if (!report) throw new Error(log);
  return report.matrix.filter((cell) => cell.path === path).map(({ remote, state }) => `${remote}: ${state}`);
};

/** Leaves nothing of a repository but the newest commits, as a clone with `--depth` has it. */
async function cutOff(world: World, remote: string, name: string, depth: number): Promise<void> {
  const path = repository(world, remote, name);
  await rename(path, `${path}.whole`);
  await exec('git', ['clone', '--quiet', '--bare', `--depth=${depth}`, `file://${path}.whole`, path]);
  await appendFile(join(path, 'config'), '[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n');
}

describe('a repository on a server that is a shallow clone', () => {
  let world: World;
  let first: Finished;
  const paths = ['first', 'ahead', 'kept', 'twin', 'late'];
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: {}, alm: {} } });
    for (const path of paths) await world.submodule(path);
    const pins = await Promise.all(
      paths.map(async (path): Promise<[string, string]> => {
        const pin = await world.commits(path, 1);
        if (path !== 'late') await world.commits(path, 5);
        await world.push(path, 'origin');
        if (path === 'ahead') await world.commits(path, 1);
        if (path !== 'late') await world.push(path, 'alm');
        return [path, pin];
      }),
    );
    await cutOff(world, 'origin', 'first', 2);
    await cutOff(world, 'alm', 'ahead', 2);
    await cutOff(world, 'origin', 'kept', 2);
    await exec('git', [
      '-C',
      repository(world, 'origin', 'kept'),
      'fetch',
      '--quiet',
      '--depth=1',
      `file://${repository(world, 'alm', 'kept')}`,
      pins[2]?.[1] ?? '',
    ]);
    await cutOff(world, 'alm', 'twin', 2);
    // Two requests list its branches, and two ask for the commit.
    let seen = 0;
    world.homes.alm?.http?.before('late', async () => {
      seen += 1;
      if (seen === 5) await world.push('late', 'alm');
    });
    await world.pin(...pins);
    first = await world.check({ exclude: '.' });
  });
  afterAll(() => world?.stop());

  it.each([
    {
      what: 'lacks a pin that its branch leads to',
      path: 'first',
      remote: 'origin',
      states: ['origin: MISSING', 'alm: PUSHED'],
    },
    {
      what: 'has gone beyond a pin that it lacks',
      path: 'ahead',
      remote: 'alm',
      states: ['origin: PUSHED', 'alm: MISSING'],
    },
    {
      what: 'holds a pin, and not what leads to it',
      path: 'kept',
      remote: 'origin',
      states: ['origin: DANGLING', 'alm: PUSHED'],
    },
  ])('one that $what is told as shallow, and nothing to merge is printed', ({ path, remote, states }) => {
    expect(statesAt(first, path)).toEqual(states);
    const found = first.report?.findings.filter((finding) => finding.path === path);
    expect(found?.map(({ remote, mend }) => [remote, mend])).toEqual([[remote, []]]);
    expect(found?.[0]?.what).toMatch(/^main of \w+ leads to \w+ at [0-9a-f]{12}, but .* the repository is shallow\.$/);
    expect(found?.[0]?.hint).toContain('git fetch --unshallow');
  });

  // Its protocol tells what is cut off with an answer to a fetch only, and remotes at one commit are asked for that once.
  it.fails('one at the same commit as a whole one is told as shallow', () => {
    expect(statesAt(first, 'twin')).toEqual(['origin: PUSHED', 'alm: MISSING']);
  });

  it('a pin that is pushed while the history of its branch is counted is pushed', () => {
    expect(statesAt(first, 'late')).toEqual(['origin: PUSHED', 'alm: PUSHED']);
  });
});

describe('two old servers that hand out only what a branch or tag leads to', () => {
  let world: World;
  let first: Finished;
  beforeAll(async () => {
    const old = { protocol: 0, partial: false } as const;
    world = await createWorld({ homes: { origin: { ...old, via: 'ssh' }, alm: old } });
    const everywhere = (path: string, refspec?: string) =>
      Promise.all(['origin', 'alm'].map((remote) => world.push(path, remote, refspec)));
    for (const path of ['folder', 'tag', 'tips']) await world.submodule(path);
    await world.commit('folder', { files: { 'docs/a.md': 'a\n' } });
    await everywhere('folder');
    await world.git('tag', 'tag', '-a', '-m', 'Inner', 'v1');
    await world.git('tag', 'tag', '-a', '-m', 'Outer', 'v2', 'v1');
    await everywhere('tag', 'refs/tags/v2');
    const tips = await world.commit('tips');
    await world.commit('tips');
    await everywhere('tips');
    await exec('git', ['-C', repository(world, 'origin', 'tips'), 'config', 'uploadpack.allowTipSHA1InWant', 'true']);
    await world.pin(
      ['folder', await world.git('folder', 'rev-parse', 'HEAD:docs')],
      ['tag', await world.git('tag', 'rev-parse', 'v1')],
      ['tips', tips],
    );
    first = await world.check({ exclude: '.' });
  });
  afterAll(() => world?.stop());

  it.each([
    { what: 'a folder of a commit is no commit', path: 'folder', state: 'NOT-A-COMMIT' },
    { what: 'a tag below another tag is no commit', path: 'tag', state: 'NOT-A-COMMIT' },
    {
      what: 'a commit below a tip, where one says that it has nothing but tips, is on main',
      path: 'tips',
      state: 'PUSHED',
    },
  ])('$what', ({ path, state }) => {
    expect(statesAt(first, path)).toEqual([`origin: ${state}`, `alm: ${state}`]);
  });
});
