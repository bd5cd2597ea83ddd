import { execFile } from 'node:child_process';
import { appendFile, rename } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
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

/** What stands at a tip comes from the same repository of another remote; of what does not, it says what JGit says. */
async function likeGerrit(world: World, remote: string, request: IncomingMessage, response: ServerResponse) {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const path = String(request.url).replace('/acme/', '');
  const wants = body.toString().match(/(?<=want )[0-9a-f]+/g) ?? [];
  const tip = await world.tip(remote, path.split('.')[0] ?? '');
  const refused = wants.find((want) => want !== tip);
  if (refused) {
    const said = `ERR want ${refused} not valid`;
    response.writeHead(200, { 'Content-Type': 'application/x-git-upload-pack-result' });
    response.end((said.length + 4).toString(16).padStart(4, '0') + said);
    return;
  }
  const passed = ['content-type', 'content-encoding', 'accept', 'git-protocol'];
  const headers = Object.fromEntries(
    passed.flatMap((name) => (request.headers[name] ? [[name, String(request.headers[name])]] : [])),
  );
  const { method } = request;
  const given = await fetch(`${world.homes[remote]?.base}${path}`, {
    method,
    headers,
    body: method === 'POST' ? body : null,
  });
  response.writeHead(given.status, { 'Content-Type': given.headers.get('content-type') ?? '' });
  response.end(Buffer.from(await given.arrayBuffer()));
}

describe('servers with protocol 2 that lack or refuse what their branch leads to', () => {
  let world: World;
  let first: Finished;
  const paths = ['first', 'ahead', 'kept', 'twin', 'late', 'strict', 'forgot'];
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: {}, alm: {} } });
    await Promise.all(paths.map((path) => world.submodule(path)));
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
    world.homes.origin?.http?.answer('strict', (request, response) => likeGerrit(world, 'alm', request, response));
    let asked = 0;
    const forgetful = repository(world, 'origin', 'forgot');
    world.homes.origin?.http?.before('forgot', async () => {
      asked += 1;
      if (asked !== 4) return;
      await exec('git', ['-C', forgetful, 'update-ref', 'refs/heads/main', pins.at(-1)?.[1] ?? '']);
      await exec('git', ['-C', forgetful, 'prune', '--expire=now']);
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
  ])(
    'a repository that is a shallow clone and $what is told as one, and nothing to merge is printed',
    ({ path, remote, states }) => {
      expect(statesAt(first, path)).toEqual(states);
      const found = first.report?.findings.filter((finding) => finding.path === path);
      expect(found?.map(({ remote, mend }) => [remote, mend])).toEqual([[remote, []]]);
      expect(found?.[0]?.what).toMatch(
        /^main of \w+ leads to \w+ at [0-9a-f]{12}, but .* the repository is shallow\.$/,
      );
      expect(found?.[0]?.hint).toContain('git fetch --unshallow');
    },
  );

  // Its protocol tells what is cut off with an answer to a fetch only, and remotes at one commit are asked for that once.
  it.fails('a shallow one at the same commit as a whole one is told as shallow', () => {
    expect(statesAt(first, 'twin')).toEqual(['origin: PUSHED', 'alm: MISSING']);
  });

  it('a pin that is pushed while the history of its branch is counted is pushed', () => {
    expect(statesAt(first, 'late')).toEqual(['origin: PUSHED', 'alm: PUSHED']);
  });

  it.each([
    {
      what: 'a pin behind the tip of a server that gives nothing but tips, as Gerrit says it, is pushed',
      path: 'strict',
    },
    { what: 'a pin is pushed also where its branch is set back to it while it is asked about', path: 'forgot' },
  ])('$what', ({ path }) => {
    expect(statesAt(first, path)).toEqual(['origin: PUSHED', 'alm: PUSHED']);
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
    await Promise.all(['folder', 'tag', 'tips'].map((path) => world.submodule(path)));
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
