import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { run } from '../harness.js';

const folder = mkdtempSync(join(tmpdir(), 'gbo-bad-input-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = join(folder, 'botserver');
writeFileSync(file, 'not an ELF, but a file\n');
const empty = join(folder, 'empty');
writeFileSync(empty, '');
const tornElf = join(folder, 'torn-elf');
writeFileSync(tornElf, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]));
truncateSync(tornElf, 20);
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** Port 1 on loopback: nobody listens there, so an input that slips through ends as a connection error, not as a deploy. */
const sound: Record<string, string> = {
  host: '127.0.0.1',
  port: '1',
  'private-key': key,
  'known-hosts': '127.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3uGGmCVjwW5CXkHgJYnwLgwX7vPEAsJ0ZVkfqpvyxT',
  artifact: file,
  path: '/opt/gbo/bin/botserver',
  type: 'config',
};

const without = (...names: string[]) =>
  Object.fromEntries(Object.entries(sound).filter(([name]) => !names.includes(name)));

const table: [title: string, inputs: Record<string, string>, says: RegExp][] = [
  ['no host', without('host'), /host \(or hosts\) is required and empty/],
  ['a host with user@', { ...sound, host: 'root@acme-system' }, /"root@acme-system" is not a host name/],
  ['a host with a scheme', { ...sound, host: 'ssh://acme-system' }, /is not a host name/],
  ['a host with a port', { ...sound, host: 'acme-system:22' }, /is not a host name/],
  ['a host that begins with a dash', { ...sound, host: '-oProxyCommand=x' }, /is not a host name/],
  ['host and hosts', { ...sound, hosts: '- host: acme-a' }, /either host or hosts/],
  ['a port that is no number', { ...sound, port: 'ssh' }, /"ssh" is not a port/],
  ['a port beyond 65535', { ...sound, port: '65536' }, /not a port from 1 to 65535/],
  ['a user with a space', { ...sound, user: 'gbo deploy' }, /"gbo deploy" is not a user name/],
  ['no private key', without('private-key'), /private-key is required and empty/],
  ['an unexpanded secret as key', { ...sound, 'private-key': '$DEPLOY_KEY' }, /input private-key: /],
  [
    'a public key as private key',
    { ...sound, 'private-key': publicKey.export({ type: 'spki', format: 'pem' }).toString() },
    /input private-key: /,
  ],
  ['half a private key', { ...sound, 'private-key': key.slice(0, 400) }, /input private-key: /],
  [
    'a jump host without a name',
    { ...sound, 'jump-host': 'root@:22' },
    /jump-host: "root@:22" is not \[user@\]host\[:port\]/,
  ],
  ['no artifact', without('artifact'), /input artifact is required and empty/],
  ['no path', without('path'), /input path is required and empty/],
  ['a relative path', { ...sound, path: 'bin/botserver' }, /"bin\/botserver" is not a plain absolute path/],
  ['a path with ..', { ...sound, path: '/opt/../etc/passwd' }, /is not a plain absolute path/],
  ['a path that ends in a slash', { ...sound, path: '/opt/gbo/bin/' }, /is not a plain absolute path/],
  ['a path with a newline', { ...sound, path: '/opt/a\nb' }, /is not a plain absolute path/],
  ['a path below /proc', { ...sound, path: '/proc/1/exe' }, /is not a place for files/],
  ['an artifact that is not there', { ...sound, artifact: join(folder, 'gone') }, /gone for .* cannot be read/],
  ['an artifact that is a folder', { ...sound, artifact: folder }, /is not a regular file/],
  ['an empty artifact', { ...sound, artifact: empty }, /empty is empty/],
  ['a torn ELF', { ...sound, type: 'binary', artifact: tornElf }, /torn-elf|ELF/],
  ['a file mode that is not octal', { ...sound, 'file-mode': '999' }, /"999" is not an octal mode/],
  ['an owner with a shell character', { ...sound, owner: 'gbo;id' }, /is neither user nor user:group/],
  ['a unit that is none', { ...sound, unit: 'a/b.service' }, /"a\/b.service" is not a unit name/],
  ['an unknown activation', { ...sound, unit: 'system', activate: 'kick' }, /"kick" is not one of restart, reload/],
  ['reload without a unit', { ...sound, activate: 'reload' }, /"reload" needs a unit/],
  [
    'a health address without a scheme',
    { ...sound, 'health-url': 'localhost:5858' },
    /is not an http:\/\/, https:\/\/ or tcp:\/\//,
  ],
  ['a health address with a password', { ...sound, 'health-url': 'http://a:b@localhost/' }, /holds a user or password/],
  [
    'a health status of 99',
    { ...sound, 'health-url': 'http://localhost/', 'health-status': '99' },
    /is not an HTTP status/,
  ],
  ['a health text without an address', { ...sound, 'health-contains': 'ok' }, /health-url is empty/],
  ['an unknown mode', { ...sound, mode: 'depoly' }, /"depoly" is not one of deploy, rollback, status, check/],
  ['a dry-run that is neither', { ...sound, 'dry-run': 'maybe' }, /"maybe" is neither true nor false/],
  ['a soak without a number', { ...sound, soak: 'long' }, /input soak: /],
  ['a negative lock-wait', { ...sound, 'lock-wait': '-1s' }, /input lock-wait: /],
  ['keep 0', { ...sound, keep: '0' }, /"0" is not a whole number from 1 to 100/],
  ['a batch of 0', { ...sound, batch: '0' }, /neither a number of hosts nor a percentage/],
  ['a batch of 120 %', { ...sound, batch: '120%' }, /neither a number of hosts nor a percentage/],
  ['an unknown on-failure', { ...sound, 'on-failure': 'panic' }, /"panic" is not one of all, failed-only, none/],
  [
    'a release in mode deploy',
    { ...sound, release: '20260131T120000Z-0123456789ab' },
    /release goes with mode rollback/,
  ],
  ['a release that is none', { ...sound, mode: 'rollback', release: 'v1.2.3' }, /is not a release id/],
  [
    'artifacts that are no YAML',
    { ...without('artifact', 'path', 'type'), artifacts: '- {path: [' },
    /input artifacts.*: is not YAML/,
  ],
  [
    'artifacts that are no list',
    { ...without('artifact', 'path', 'type'), artifacts: 'path: /a' },
    /is not a YAML list/,
  ],
  [
    'an artifacts entry with an unknown key',
    { ...without('artifact', 'path', 'type'), artifacts: `- {artifact: ${file}, pth: /opt/a}` },
    /pth/,
  ],
  [
    'two artifacts on one path',
    {
      ...without('artifact', 'path', 'type'),
      artifacts: `- {artifact: ${file}, path: /opt/a}\n- {artifact: ${file}, path: /opt/a}`,
    },
    /two artifacts have the path \/opt\/a/,
  ],
  [
    'two hosts of one name',
    { ...without('host'), hosts: '- host: acme-a\n- host: acme-a' },
    /two hosts are called acme-a/,
  ],
  ['a mistyped input', { ...sound, 'know-hosts': 'x' }, /there is no input know-hosts \(did you mean known-hosts\?\)/],
  ['an input that nothing resembles', { ...sound, flavour: 'x' }, /there is no input flavour[^(]/],
  ['a known_hosts line that cannot be read', { ...sound, 'known-hosts': 'just-a-name' }, /known_hosts|known-hosts/],
];

describe('bad input', () => {
  it.each(table)('%s is answered with one clear sentence, and nothing is touched', async (_title, inputs, says) => {
    const { code, log } = await run(inputs);
    const said = log.split('\n').filter((line) => line && !line.startsWith('::add-mask::'));
    expect(said.at(-1)).toMatch(/^Error: /);
    expect(said.at(-1)).toMatch(says);
    expect(said.at(-1)).toMatch(/Nothing was touched\./);
    expect(log).not.toMatch(/\n\s+at .*:\d+:\d+/);
    expect(code).toBe(1);
  });

  it('several mistakes are named at once', async () => {
    const { log } = await run({ ...sound, port: 'x', soak: 'y', keep: '-1' });
    expect(log).toMatch(/3 bad inputs: .*port.*soak.*keep/s);
  });
});
