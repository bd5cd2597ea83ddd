import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Repository } from '../../../action-guard/test/harness.js';
import { type Reported, runReported } from '../../log-reporter.js';
import { secretSearch } from '../../secret-search.js';
import { type Sshd, startSshd } from '../../sshd.js';

const bundle = (action: string) => fileURLToPath(new URL(`../../../${action}/dist/index.js`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'testbed-log-'));
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
/** What people have in a secret: signs of runner commands and of URLs, quotes, other letters, a line end of Windows. */
const tokens = [
  't0k%25en%0Ahalf%',
  'say "s3cret" & \'more\'',
  'gl\u00fcck-\u65e5\u672c-\u{1f511}',
  'front\rback-of-it',
];
const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3uGGmCVjwW5CXkHgJYnwLgwX7vPEAsJ0ZVkfqpvyxT';
/** Nobody listens there. */
const closed = { host: '127.0.0.1', port: '1', 'known-hosts': `[127.0.0.1]:1 ${hostKey}` };

let sshd: Sshd;
let repository: Repository;
let chatty: { url: string; stop(): void };
let pull: Record<string, string>;

beforeAll(async () => {
  sshd = await startSshd();
  chatty = await startChatty();
  repository = new Repository();
  const good = 'on: [push]\njobs:\n  a:\n    runs-on: gbo\n    steps:\n      - run: make\n';
  const path = '.forgejo/workflows/a.yml';
  const base = repository.commit({ [path]: good });
  const head = repository.commit({ [path]: good.replace(/ {4}steps:\n.*\n/, '') });
  pull = { ...repository.pullRequest(base, head), GITHUB_API_URL: `${chatty.url}/api/v1`, HOME: folder };
  writeFileSync(join(folder, 'Caddyfile'), 'example.com\n');
});
afterAll(async () => {
  await sshd?.stop();
  chatty?.stop();
  repository?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A server that refuses everything, and says what it was sent: plainly, decoded, and encoded in other ways. */
async function startChatty(): Promise<{ url: string; stop(): void }> {
  const server = createServer((request, response) => {
    const said = request.headers.authorization ?? '';
    const decoded = Buffer.from(said.split(' ')[1] ?? '', 'base64').toString();
    const password = decoded.split(':').slice(1).join(':');
    const body = [said, decoded, password, encodeURIComponent(password), Buffer.from(password).toString('base64')];
    response.writeHead(said ? 403 : 401, {
      'WWW-Authenticate': 'Basic realm="x"',
      'Content-Type': 'text/plain',
    });
    response.end(`${body.join('\n')}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

interface Case {
  action: string;
  what: string;
  secrets: Record<string, string>;
  inputs: () => Record<string, string>;
  env?: () => Record<string, string>;
  code: number;
  says: RegExp;
}

const deploy = () => ({ artifact: join(folder, 'Caddyfile'), path: '/opt/gbo/conf/config' });
const each = (action: string, make: (token: string) => Omit<Case, 'action'>): Case[] =>
  tokens.map((token) => ({ action, ...make(token) }));

const cases: Case[] = [
  {
    action: 'action-deploy',
    what: 'a target that is not there',
    secrets: { 'private-key': pem },
    inputs: () => ({ ...closed, ...deploy(), 'dry-run': 'true' }),
    code: 1,
    says: /127\.0\.0\.1/,
  },
  {
    action: 'action-deploy',
    what: 'half a key',
    secrets: { 'private-key': pem.slice(0, 700) },
    inputs: () => ({ ...closed, ...deploy() }),
    code: 1,
    says: /private-key/,
  },
  {
    action: 'action-deploy',
    what: 'a key on one line, with \\n for its line ends',
    secrets: { 'private-key': pem.replaceAll('\n', '\\n') },
    inputs: () => ({ ...closed, ...deploy(), host: 'no such host' }),
    code: 1,
    says: /no such host/,
  },
  ...each('action-deploy', (token) => ({
    what: `the passphrase ${JSON.stringify(token)} of a key that has none`,
    secrets: { 'private-key': pem, passphrase: token },
    inputs: () => ({ ...closed, ...deploy() }),
    code: 1,
    says: /Error: /,
  })),
  ...each('action-submodule-sync', (token) => ({
    what: `the token ${JSON.stringify(token)} at a server that says it back`,
    secrets: { tokens: `alm = ${token}` },
    inputs: () => ({ remotes: `alm = ${chatty.url}/acme/`, root: 'gb', repository: repository.folder }),
    code: 1,
    says: /COULD-NOT-CHECK|input tokens/,
  })),
  {
    action: 'action-submodule-sync',
    what: 'an SSH remote that is not there',
    secrets: { 'ssh-key': pem },
    inputs: () => ({
      remotes: 'alm = ssh://git@127.0.0.1:1/acme/',
      'known-hosts': closed['known-hosts'],
      root: 'gb',
      repository: repository.folder,
    }),
    code: 1,
    says: /COULD-NOT-CHECK/,
  },
  ...each('action-cache-clean', (token) => ({
    what: `a ZFS host that is not there, and the passphrase ${JSON.stringify(token)}`,
    secrets: { 'zfs-private-key': pem, 'zfs-passphrase': token },
    inputs: () => ({
      ...Object.fromEntries(Object.entries(closed).map(([name, value]) => [`zfs-${name}`, value])),
      'zfs-datasets': 'tank/acme',
      'zfs-pattern': 'auto-*',
      'runner-dir': 'none',
      targets: 'none',
      'sccache-dir': 'none',
      'cargo-home': 'none',
      // One run at a time works in a folder.
      'state-dir': mkdtempSync(join(folder, 'state-')),
    }),
    code: 1,
    says: /Error: /,
  })),
  ...each('action-guard', (token) => ({
    what: `the token ${JSON.stringify(token)} at a forge that says it back`,
    secrets: { token },
    inputs: () => ({ repository: repository.folder, tools: 'false' }),
    env: () => pull,
    code: 1,
    says: /ci\/no-steps/,
  })),
];

describe('in the log of Forgejo', () => {
  // Side by side: most of the time is patience with hosts that do not answer.
  it.concurrent.each(cases)('$action: $what: no secret, and one sentence at the end', async (one) => {
    const finished = await runReported(bundle(one.action), { ...one.inputs(), ...one.secrets }, one.env?.());
    expect(secretSearch(one.secrets).inText('log', finished.rows.join('\n'))).toEqual([]);
    expect(finished.code).toBe(one.code);
    expect(finished.rows.join('\n')).toMatch(one.says);
    readsRight(finished);
  });

  it('action-deploy: a run that succeeds says its plan, and no line of its key', async () => {
    const way = { host: sshd.host, port: String(sshd.port), user: sshd.user, 'known-hosts': sshd.knownHosts };
    const inputs = { ...way, artifact: join(folder, 'Caddyfile'), path: join(sshd.dir, 'config'), 'dry-run': 'true' };
    const secrets = { 'private-key': sshd.privateKey };
    const finished = await runReported(bundle('action-deploy'), { ...inputs, ...secrets });
    expect([finished.code, secretSearch(secrets).inText('log', finished.rows.join('\n'))]).toEqual([0, []]);
    // What came out of the terminal before the reporter had it, masks and all.
    expect(secretSearch(secrets).inText('log', finished.raw)).not.toEqual([]);
    expect(finished.rows.join('\n')).toContain('::group::Plan for ');
    readsRight(finished);
  });

  it('a secret that only @actions/core had masked would be there: the stand-in lets it through', async () => {
    const script = join(folder, 'naive.js');
    const command = `::add-mask::${pem.replaceAll('%', '%25').replaceAll('\n', '%0A')}`;
    writeFileSync(script, `console.log(${JSON.stringify(command)}); console.log(process.env.INPUT_KEY);`);
    const { rows } = await runReported(script, { key: pem });
    expect(secretSearch({ key: pem }).inText('log', rows.join('\n'))).not.toEqual([]);
  });

  it('is a terminal that nobody types on', async () => {
    const script = join(folder, 'tty.js');
    writeFileSync(script, 'console.log(["stdin", "stdout", "stderr"].map((name) => process[name].isTTY).join());');
    expect((await runReported(script, {})).rows).toEqual(['true,true,true']);
  });
});

/** What holds for every log: groups that close, rows that fit and hold one state each, one error, in words. */
function readsRight({ code, rows }: Reported): void {
  let depth = 0;
  for (const row of rows) {
    if (row.startsWith('::group::')) depth++;
    if (row.startsWith('::endgroup::')) depth--;
    expect([0, 1]).toContain(depth);
  }
  expect(depth).toBe(0);
  expect(rows.filter((row) => /^::(?!group::|endgroup::)/.test(row))).toEqual([]);
  expect(rows.filter((row) => row.includes('\r') || row.length > 20_000)).toEqual([]);
  expect(rows.filter((row) => /^\s+at .*:\d+:\d+\)?$/.test(row))).toEqual([]);
  const errors = rows.filter((row) => row.startsWith('Error: '));
  expect(errors.length).toBe(code === 0 ? 0 : 1);
  expect(errors.filter((row) => /Unexpected/.test(row))).toEqual([]);
}
