import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const bundle = fileURLToPath(new URL('../action-deploy/dist/index.js', import.meta.url));

/**
 * Runs the bundle of action-deploy to its end, exactly as a runner would: inputs as INPUT_*, outputs through files.
 * `signal` cancels it as a runner does, by SIGINT; it then undoes what it began.
 */
export async function runAction(inputs, { say, signal, env = {}, parent = tmpdir() }) {
  const folder = await mkdtemp(join(parent, 'gbo-demo-run-'));
  const files = { GITHUB_OUTPUT: join(folder, 'output'), GITHUB_STEP_SUMMARY: join(folder, 'summary') };
  try {
    for (const file of Object.values(files)) await writeFile(file, '');
    const began = Date.now();
    const child = spawn(process.execPath, [bundle], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true, // Ctrl-C comes from us, once
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        GITHUB_ACTIONS: 'true',
        ...files,
        ...env,
        ...Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
      },
    });
    const cancel = () => child.kill('SIGINT');
    signal.addEventListener('abort', cancel, { once: true });
    let log = '';
    createInterface({ input: child.stdout }).on('line', (line) => {
      // The runner's own business: what to mask, which is the private key.
      if (line.startsWith('::add-mask::')) return;
      log += `${line}\n`;
      say(line);
    });
    const [code] = await once(child, 'close');
    signal.removeEventListener('abort', cancel);
    const outputs = outputsIn(await readFile(files.GITHUB_OUTPUT, 'utf8'));
    const host = outputs.report ? JSON.parse(outputs.report).hosts[0] : undefined;
    return { code, log, outputs, host, began, ended: Date.now() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `name<<delimiter` blocks, as actions write them to GITHUB_OUTPUT. */
function outputsIn(text) {
  const blocks = text.matchAll(/^([^=<\n]+)<<(.+)\n([\s\S]*?)\n?\2$/gm);
  return Object.fromEntries([...blocks].map(([, name, , value]) => [name, value]));
}
