// For .forgejo/workflows/self-test.yml: an sshd of its own for a few minutes, and the way to it as outputs of the step.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startSshd } from './sshd.js';

/** Nothing tells it that the job is over, and what leaves the job's session outlives it. */
const LIFE_MS = 5 * 60_000;

if (process.argv[2] === 'serve') {
  const { stop, dir, host, port, user, knownHosts, privateKey } = await startSshd();
  process.send?.({ folder: dir, host, port: String(port), user, 'known-hosts': knownHosts, 'private-key': privateKey });
  process.disconnect?.();
  setTimeout(() => void stop(), LIFE_MS);
} else {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), 'serve'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  child.once('exit', () => process.exit(1));
  const [outputs] = (await once(child, 'message')) as [Record<string, string>];
  // Raw and line by line, as Forgejo's reporter masks.
  for (const line of outputs['private-key']?.split('\n').filter(Boolean) ?? []) console.log(`::add-mask::${line}`);
  for (const [name, value] of Object.entries(outputs))
    appendFileSync(process.env.GITHUB_OUTPUT ?? '/dev/stdout', `${name}<<END_OF_OUTPUT\n${value}\nEND_OF_OUTPUT\n`);
  process.exit();
}
