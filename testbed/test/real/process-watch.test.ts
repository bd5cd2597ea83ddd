import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { watchProcesses } from '../../process-watch.js';

const secret = 'planted%secret "ü"';
const own = 'path-of-the-action/index.js';
const sleep = ['-e', 'setTimeout(() => {}, 100)', '--'];

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
  const { hits, programs, sweeps } = await watched([own], { INPUT_TOKEN: secret });
  expect([hits, programs.includes('node')]).toEqual([[], true]);
  expect(sweeps).toBeGreaterThan(1);
});

async function watched(args: string[], env: Record<string, string>) {
  const watch = await watchProcesses({ token: secret }, own);
  const child = spawn(process.execPath, [...sleep, ...args], { env, stdio: 'ignore' });
  await once(child, 'close');
  return watch.stop();
}
