import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runAction } from './action.mjs';

/** `--host user@target[:port]`: asks a real host whether it is ready for a deploy. Nothing on it is changed. */
export async function checkRealHost(options, { print, signal }) {
  const match = /^([^@\s]+)@(\[[^\]]+\]|[^:\s]+)(?::(\d{1,5}))?$/.exec(options.host);
  if (!match) throw new Error(`--host ${options.host} is not user@target or user@target:port.`);
  const [, user, host, port = '22'] = match;
  const { path = '/opt/gbo/bin/botserver', unit = 'system.service' } = options;
  const key = options.key ?? join(homedir(), '.ssh', 'id_ed25519');
  print(`Read-only check of ${options.host}: could ${path} (unit ${unit}) be deployed there? Nothing is changed.`);
  const inputs = {
    mode: 'check',
    host,
    user,
    port,
    path,
    unit,
    'private-key': await read(key, 'Give another key by --key path.'),
    passphrase: options['passphrase-file'] ? (await read(options['passphrase-file'], '')).replace(/\r?\n$/, '') : '',
    'known-hosts': await read(join(homedir(), '.ssh', 'known_hosts'), '').catch(() => ''),
  };
  const { code } = await runAction(inputs, {
    say: (line) => line !== '::endgroup::' && print(`    ${line.replace('::group::', '')}`),
    signal,
  });
  print('Nothing was changed on the host: mode check only reads.');
  return code === 0 ? 0 : 1;
}

async function read(path, todo) {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new Error(`${path} cannot be read (${error.message}). ${todo}`.trim());
  }
}
