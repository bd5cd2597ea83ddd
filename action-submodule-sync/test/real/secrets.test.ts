import { afterAll, beforeAll, expect, it } from 'vitest';
import { encrypted, hostilePassphrase, hostileToken } from '../../../testbed/hostile-secrets.js';
import { watchProcesses } from '../../../testbed/process-watch.js';
import { bundle } from '../harness.js';
import { createWorld, type World } from '../world.js';

let world: World;
beforeAll(async () => {
  world = await createWorld({ homes: { origin: { via: 'ssh' }, alm: { token: hostileToken } } });
  await world.submodule('lib');
  await world.pin();
  await world.pushRoot();
});
afterAll(() => world?.stop());

// Into log, outputs, files and requests of every run is looked by testbed/run-action.ts.
it.each([
  { name: 'that work', change: () => ({}), code: 0 },
  { name: 'that are refused', change: () => ({ tokens: `alm = not the ${hostileToken}` }), code: 1 },
  {
    name: 'that cannot be used',
    change: () => ({ 'ssh-key': encrypted(world.inputs()['ssh-key'] ?? '', hostilePassphrase) }),
    code: 1,
  },
])('secrets $name are in no process list, and in nothing that is written', async ({ change, code }) => {
  const inputs: Record<string, string> = { ...world.inputs(), ...change() };
  const { tokens = '', 'ssh-key': key = '' } = inputs;
  const { PATH, stop } = await watchProcesses({ tokens, key }, bundle, ['git', 'ssh']);
  const finished = await world.check({ ...inputs, push: 'alm' }, { GITHUB_TOKEN: hostilePassphrase, PATH });
  const { hits, called } = await stop();
  expect([finished.code, hits]).toEqual([code, []]);
  expect(called).toContain('git');
});

it('a token that a server says back is in nothing that is told, in JSON and in Markdown neither', async () => {
  world.homes.alm?.http?.answer('lib', (request, response) => {
    const [, basic = ''] = request.headers.authorization?.split(' ') ?? [];
    const said = Buffer.from(basic, 'base64').toString();
    response.writeHead(403, { 'Content-Type': 'text/plain' }).end(`no: ${said}\n`);
  });
  await world.commit('lib');
  await world.pin();
  const { report, log } = await world.check();
  expect(report?.findings.find(({ remote, path }) => remote === 'alm' && path === 'lib')?.what, log).toContain('***');
});
