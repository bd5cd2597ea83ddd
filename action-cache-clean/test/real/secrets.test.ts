import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hostilePassphrase } from '../../../testbed/hostile-secrets.js';
import { watchProcesses } from '../../../testbed/process-watch.js';
import { startAction } from '../../../testbed/run-action.js';
import { type Sshd, startSshd } from '../../../testbed/sshd.js';
import { startZfsStandIn, type ZfsStandIn } from '../../../testbed/zfs-stand-in.js';
import { bundle, type Report } from '../harness.js';
import { daily, pool } from '../zfs-site.js';

let zfs: ZfsStandIn;
let server: Sshd;
const folder = mkdtempSync(join(tmpdir(), 'gbo-secrets-'));
const home = join(folder, '.cargo');
beforeAll(async () => {
  zfs = await startZfsStandIn();
  server = await startSshd({ config: zfs.sshdConfig, passphrase: hostilePassphrase });
});
afterAll(async () => {
  await server?.stop();
  await zfs?.stop();
  rmSync(folder, { recursive: true, force: true });
});

// Into log, outputs and files of every run is looked by testbed/run-action.ts.
it.each([
  { name: 'that work', change: {}, result: 'cleaned', flocks: ['flock'], left: 7 },
  {
    name: 'of which the passphrase is wrong',
    change: { 'zfs-passphrase': `not ${hostilePassphrase}` },
    flocks: [],
    left: 11,
  },
])('secrets $name are in no process list, and in nothing that is written', async ({ change, result, flocks, left }) => {
  await zfs.set(pool({ 'tank/ci': daily(11) }));
  for (const path of ['index/r-1949cf8c6b5b557f/config.json', 'src/r-1949cf8c6b5b557f/a-1.0.0/lib.rs']) {
    mkdirSync(join(home, 'registry', dirname(path)), { recursive: true });
    writeFileSync(join(home, 'registry', path), '{}');
  }
  execFileSync('find', [folder, '-exec', 'touch', '-d', '90 days ago', '{}', '+']);
  const secrets = {
    'zfs-private-key': server.privateKey.replaceAll('\n', '\r\n'),
    'zfs-passphrase': hostilePassphrase,
    ...change,
  };
  const { PATH, stop } = await watchProcesses(secrets, bundle, ['flock']);
  const given = {
    ...{ 'cargo-home': home, targets: 'none', 'sccache-dir': 'none', 'runner-dir': 'none' },
    ...{ 'state-dir': join(folder, 'state'), 'max-age': '30d', toolchains: 'any' },
    ...{ 'zfs-host': server.host, 'zfs-port': String(server.port), 'zfs-user': server.user },
    ...{ 'zfs-known-hosts': server.knownHosts, 'zfs-datasets': 'tank/ci', 'zfs-pattern': 'auto-*' },
    ...secrets,
  };
  const { log, report } = await startAction<Report>(bundle, given, { PATH }).finished;
  const { hits, called } = await stop();
  expect(hits).toEqual([]);
  expect([report?.result, log]).toEqual([result, expect.any(String)]);
  expect(called).toEqual(flocks);
  expect((await zfs.state()).datasets['tank/ci']?.snapshots).toHaveLength(left);
});
