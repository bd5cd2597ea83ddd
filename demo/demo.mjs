// `npm run demo`: the action deploys a small HTTP service to a target of its own, without root and without anything
// installed. `npm run demo -- --host user@target` asks a real host instead, and changes nothing there.
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Narrator } from './narrator.mjs';
import { checkRealHost } from './real-host.mjs';
import { setStage } from './stage.mjs';
import { duration, picture, svg, table } from './timeline.mjs';

const cancel = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(name, () => cancel.abort(new Error(`Ended by ${name}.`)));
const narrator = new Narrator();

try {
  const options = readOptions();
  narrator.verbose = options.verbose;
  if (options.host) process.exitCode = await checkRealHost(options, { print: narrator.print, signal: cancel.signal });
  else process.exitCode = await play();
} catch (error) {
  narrator.print(`\nThe demo did not come to its end: ${error.message}`);
  process.exitCode = cancel.signal.aborted ? 130 : 1;
}

function readOptions() {
  const text = { type: 'string' };
  const verbose = { type: 'boolean', default: false };
  return parseArgs({ options: { verbose, host: text, key: text, path: text, unit: text, 'passphrase-file': text } })
    .values;
}

async function play() {
  const began = Date.now();
  narrator.opening();
  const stage = await setStage({ signal: cancel.signal, say: narrator.log });
  try {
    const acts = [await first(stage), await second(stage)];
    acts.push(await third(stage, acts[1]), await fourth(stage));
    await closing(acts, Date.now() - began);
  } finally {
    await stage.clear();
  }
  return narrator.verdict();
}

async function first(stage) {
  narrator.act('1. Version 1.0.0 is deployed. Nothing runs yet.');
  const act = await stage.deploy({ version: '1.0.0' });
  narrator.promise('v1.0.0 is deployed', act.code === 0 && act.result === 'deployed');
  narrator.promise('its bytes are what runs (/proc/PID/exe)', (await stage.running()).sha256 === act.sha256);
  return act;
}

async function second(stage) {
  narrator.act('2. Version 2.0.0 replaces it, while somebody asks the service every 5 ms.');
  const act = await stage.deploy({ version: '2.0.0' });
  narrator.promise('v2.0.0 is deployed', act.code === 0 && act.result === 'deployed');
  narrator.promise('its bytes are what runs (/proc/PID/exe)', (await stage.running()).sha256 === act.sha256);
  const longest = Math.max(0, ...act.outages.map(({ from, to }) => to - from));
  narrator.print(`  Users were without an answer for ${duration(longest)} at the longest.`);
  return act;
}

async function third(stage, before) {
  narrator.act('3. Version 3.0.0 starts, answers as healthy, and crashes a moment later.');
  const act = await stage.deploy({ version: '3.0.0', crashAfterMs: 1500 });
  narrator.promise('v3.0.0 is rolled back, and the step is red', act.code === 1 && act.result === 'rolled-back');
  narrator.promise('v2.0.0 is what runs again (/proc/PID/exe)', (await stage.running()).sha256 === before.sha256);
  return act;
}

async function fourth(stage) {
  narrator.act('4. The host answers with another key: reinstalled, or somebody in between.');
  const { pid } = await stage.running();
  const tree = await stage.treeHash();
  await stage.target.changeHostKey();
  const act = await stage.deploy({ version: '4.0.0' });
  narrator.promise('the changed host key is refused', act.code === 1 && /The host key of .* has changed/.test(act.log));
  narrator.promise('no file on the target was touched', (await stage.treeHash()) === tree);
  narrator.promise('the same process of v2.0.0 still runs', (await stage.running()).pid === pid);
  return { ...act, title: 'changed key', result: 'refused' };
}

async function closing(acts, tookMs) {
  narrator.act(`What happened, in ${duration(tookMs)}`);
  for (const line of table(acts)) narrator.print(line);
  narrator.print('');
  const deploys = acts.slice(0, 3);
  for (const line of picture(deploys, narrator.terminal)) narrator.print(line);
  narrator.print(`\nThe picture as a drawing: ${await keep(svg(deploys))}`);
}

/** Where git ignores it; in the temp folder where the repository may not be written. @returns the path */
async function keep(drawing) {
  for (const folder of [fileURLToPath(new URL('../build', import.meta.url)), tmpdir()]) {
    const path = join(folder, 'demo-timeline.svg');
    try {
      await mkdir(folder, { recursive: true });
      await writeFile(path, drawing);
      return path;
    } catch {
      // The next folder, then.
    }
  }
  return 'nowhere, since neither the repository nor the temp folder could be written';
}
