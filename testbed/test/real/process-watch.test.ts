import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { watchProcesses } from '../../process-watch.js';

const secret = 'planted%secret "ü"';
const own = 'path-of-the-action/index.js';
const sleep = ['-e', 'setTimeout(() => {}, 60_000)', '--'];

const cases: { name: string; args: string[]; env: Record<string, string>; place: RegExp }[] = [
  { name: 'in a command line', args: [`x=${secret}`], env: {}, place: /^the command line of node$/ },
  {
    name: 'in base64 in a command line',
    args: [Buffer.from(`x:${secret}`).toString('base64')],
    env: {},
    place: /command/,
  },
  { name: 'in an environment', args: [], env: { TOKEN: secret }, place: /^the environment of node$/ },
  { name: "in the action's command line", args: [own, secret], env: {}, place: /^the command line of node$/ },
];

it.each(cases)('a secret $name is found', async ({ args, env, place }) => {
  const { hits } = await watched(args, env);
  expect(hits.map((hit) => hit.place)).toEqual([expect.stringMatching(place)]);
});

it("in the action's own environment its inputs may be", async () => {
  expect((await watched([own], { INPUT_TOKEN: secret })).hits).toEqual([]);
});

it.each([
  { name: 'argument', args: [secret], env: {} },
  { name: 'environment', args: [], env: { TOKEN: secret } },
])('a call that is over at once is seen with its $name', async ({ args, env }) => {
  const watch = await watchProcesses({ token: secret }, own, ['true']);
  execFileSync('true', args, { env: { ...env, PATH: watch.PATH } });
  const { hits, called } = await watch.stop();
  expect([hits.length > 0, called]).toEqual([true, ['true']]);
});

async function watched(args: string[], env: Record<string, string>) {
  const watch = await watchProcesses({ token: secret }, own);
  const child = spawn(process.execPath, [...sleep, ...args], { env, stdio: 'ignore' });
  await once(child, 'spawn');
  try {
    return await watch.stop();
  } finally {
    child.kill();
  }
}
