import { copyFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProxy } from '../../../testbed/proxy.js';
import { standIn } from '../../../testbed/stand-in.js';
import { type Finished, run, start } from '../harness.js';
import {
  type ArtifactEntry,
  artifacts,
  binaryEntry,
  botserver,
  startTenant,
  type Tenant,
  unitEntry,
} from '../tenant.js';

const results = ({ report }: Finished) => report?.hosts.map((host) => host.result);
const quick = { soak: '300ms', 'lock-wait': '20s' };
const lock = '/opt/gbo/bin/.gbo-deploy/lock';

/** A key that is nobody's. */
const otherKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3uGGmCVjwW5CXkHgJYnwLgwX7vPEAsJ0ZVkfqpvyxT';

describe('what can be wrong with a target, a file or the way there', () => {
  let tenant: Tenant;
  let version = 1;

  beforeAll(async () => {
    tenant = await startTenant();
    const first = await run({ ...tenant.way, ...quick, ...(await release('1.0.0')) });
    expect(first.log).toContain('Result: deployed');
    await tenant.host.exec('mkdir /opt/small && mount -t tmpfs -o size=160m tmpfs /opt/small');
  });
  afterAll(() => tenant?.stop());

  async function release(name: string, change: Parameters<typeof standIn>[0] = {}, more: ArtifactEntry = {}) {
    const entry = await binaryEntry(botserver, { ...change, version: name });
    return artifacts({ ...entry, 'health-timeout': '5s', ...more }, unitEntry(tenant, botserver));
  }
  const next = () => `1.0.${version++}`;

  /** What runs, and everything that a refused deploy must not have touched. */
  async function standing() {
    const { stdout } = await tenant.host.exec(
      'systemctl show -P InvocationID system; sha256sum /opt/gbo/bin/botserver /etc/systemd/system/system.service; tail -n 1 /opt/gbo/bin/.gbo-deploy/record.jsonl; ls /opt/gbo/bin/.gbo-deploy/undo /opt/gbo/bin/.gbo-deploy/releases',
    );
    return stdout;
  }

  type Change = (inputs: Record<string, string>) => Record<string, string> | Promise<Record<string, string>>;
  const rows: [name: string, change: Change, says: RegExp][] = [
    [
      'another processor',
      async () => release(next(), { build: 'other-machine' }),
      /is built for (aarch64|x86_64), the target is/,
    ],
    [
      'a glibc newer than the target has',
      async () => release(next(), { build: 'future-glibc' }),
      /needs GLIBC_9\.99, the target has 2\.36; build it on a system no newer/,
    ],
    [
      'a program that fails its trial run',
      async () => release(next(), { behaviour: 'bad-version' }),
      /The trial run of .* with --version failed: .*exit status 3.*Nothing that runs was touched/,
    ],
    [
      'a check that refuses the file',
      async () => release(next(), {}, { check: 'echo no good >&2; exit 4; : {file}' }),
      /refused it: no good \(exit status 4\)\. Nothing that runs was touched/,
    ],
    [
      'a script in place of a program',
      async () => release(next(), {}, { artifact: tenant.file('script', '#!/bin/sh\n'), type: 'binary' }),
      /is not an ELF file/,
    ],
    [
      'a unit that starts something else',
      async () => artifacts({ ...(await binaryEntry(botserver, { version: next() })), path: '/opt/gbo/bin/other' }),
      /system\.service starts \/opt\/gbo\/bin\/botserver, not \/opt\/gbo\/bin\/other/,
    ],
    [
      'a unit nobody knows',
      async () => artifacts({ ...(await binaryEntry(botserver, { version: next() })), unit: 'nobody' }),
      /nobody\.service is not known on the target/,
    ],
    [
      'a folder at the path',
      () => artifacts({ artifact: tenant.file('c', 'x'), path: '/opt/gbo', type: 'config' }),
      /\/opt\/gbo is a folder/,
    ],
    [
      'a host key nobody pinned',
      (inputs) => ({ ...inputs, 'known-hosts': `other.example.com ${otherKey}` }),
      /is not in known_hosts: it offered .*add to known_hosts: /,
    ],
    ['no known_hosts at all', (inputs) => ({ ...inputs, 'known-hosts': '' }), /is not in known_hosts/],
    [
      'a host key that changed',
      (inputs) => ({ ...inputs, 'known-hosts': `${tenant.host.host} ${otherKey}` }),
      /has changed: it offered/,
    ],
    [
      'a host key that was revoked',
      (inputs) => ({ ...inputs, 'known-hosts': `${tenant.host.knownHosts}@revoked * ${tenant.host.hostKey}` }),
      /marks as revoked/,
    ],
    [
      'a key the target does not know',
      (inputs) => ({ ...inputs, user: 'deploy' }),
      /did not accept the private key.*authorized_keys/s,
    ],
    [
      'a jump host that is down',
      (inputs) => ({ ...inputs, 'jump-host': 'root@127.0.0.1:9' }),
      /Could not reach 127\.0\.0\.1:9: connection refused/,
    ],
  ];

  it.each(rows)('%s is refused in one clear sentence, and what runs is not touched', async (_, change, says) => {
    const before = await standing();
    const sound = { ...tenant.way, ...quick, ...(await release(next())) };
    const { artifacts: list, ...changed } = await change(sound);
    const { log, code } = await run({ ...sound, ...changed, ...(list ? { artifacts: list } : {}) });
    const error = log.slice(log.lastIndexOf('\nError: '));
    expect(error).toMatch(says);
    expect(log).not.toMatch(/\n\s+at .*:\d+:\d+/);
    expect(code).toBe(1);
    expect(await standing()).toBe(before);
  });

  describe('the disk', () => {
    const small = (name: string): ArtifactEntry => ({ artifact: name, path: '/opt/small/app/data', type: 'config' });

    it('too small is found before a byte moves', async () => {
      const big = await standIn({ version: 'big', sizeMiB: 60 });
      const finished = await run({ ...tenant.way, ...quick, ...artifacts(small(big)) });
      expect([finished.code, ...(results(finished) ?? [])]).toEqual([1, 'refused']);
      expect(finished.log).toMatch(/160 MiB free for \/opt\/small\/app\/data, and 180 MiB are needed/);
    });

    it('filled up while the file travels leaves nothing half-done', async () => {
      await tenant.host.exec('mkdir -p /opt/small/app && echo old > /opt/small/app/data');
      const big = await standIn({ version: 'big', sizeMiB: 30 });
      const link = await startProxy({ to: { host: tenant.host.host, port: tenant.host.port }, delayMs: 60 });
      const way = {
        ...tenant.way,
        host: link.host,
        port: String(link.port),
        'known-hosts': `[127.0.0.1]:${link.port} ${tenant.host.hostKey}`,
      };
      const deploy = start({ ...way, ...quick, ...artifacts(small(big)) });
      deploy.onLine((line) => {
        if (/ upload data \.\.\.$/.test(line))
          void tenant.host.exec('dd if=/dev/zero of=/opt/small/filler bs=1M 2>/dev/null');
      });
      const finished = await deploy.finished;
      await link.stop();
      expect([finished.code, ...(results(finished) ?? [])]).toEqual([1, 'failed']);
      expect(finished.log).toMatch(/free space|No space left/);
      expect((await tenant.host.exec('cat /opt/small/app/data; rm /opt/small/filler')).stdout).toBe('old\n');
    });

    it('mounted read-only is found before a byte moves', async () => {
      await tenant.host.exec('mount -o remount,ro /opt/small');
      const finished = await run({ ...tenant.way, ...quick, ...artifacts(small(await standIn())) });
      expect(finished.log).toMatch(/file system of \/opt\/small\/app\/data is read-only; remount it for writing/);
      expect(finished.code).toBe(1);
    });
  });

  it('a file that shrinks while it travels is not deployed, and the run ends', async () => {
    const before = await tenant.runs('system');
    const path = join(tenant.folder, 'botserver');
    const entry = await binaryEntry(botserver, { version: next(), sizeMiB: 40 });
    copyFileSync(String(entry.artifact), path);
    const link = await startProxy({ to: { host: tenant.host.host, port: tenant.host.port }, delayMs: 100 });
    const way = {
      ...tenant.way,
      host: link.host,
      port: String(link.port),
      'known-hosts': `[127.0.0.1]:${link.port} ${tenant.host.hostKey}`,
    };
    const deploy = start({ ...way, ...quick, ...artifacts({ ...entry, artifact: path }) });
    deploy.onLine((line) => {
      if (/ upload botserver \.\.\.$/.test(line)) truncateSync(path, 1024 * 1024);
    });
    const finished = await deploy.finished;
    await link.stop();
    expect(finished.log).toMatch(/changed while it was uploaded\. .*Let the build finish/);
    expect([finished.code, ...(results(finished) ?? [])]).toEqual([1, 'failed']);
    expect(await tenant.runs('system')).toBe(before);
  });

  describe('the lock', () => {
    const hold = (seconds: number) =>
      tenant.host.exec(
        `echo 'run 41 of acme, alice' > ${lock}.holder; systemd-run -q --unit=holder flock ${lock} sleep ${seconds}; sleep 0.3`,
      );

    it('held by another deploy is waited for', async () => {
      await hold(3);
      const finished = await run({ ...tenant.way, ...quick, ...(await release(next())) });
      expect(finished.log).toContain('waiting for the lock, held by run 41 of acme, alice');
      expect(results(finished)).toEqual(['deployed']);
    });

    it('held for too long is named, and nothing is touched', async () => {
      await hold(20);
      const before = await standing();
      const finished = await run({ ...tenant.way, ...quick, 'lock-wait': '1s', ...(await release(next())) });
      expect(finished.log).toMatch(/The target is locked by run 41 of acme, alice and stayed so for 1\.0 s/);
      expect([finished.code, await standing()]).toEqual([1, before]);
    });

    it('is free as soon as its holder is killed', async () => {
      await tenant.host.exec('systemctl kill -s KILL holder');
      const finished = await run({ ...tenant.way, ...quick, 'lock-wait': '0', ...(await release(next())) });
      expect(results(finished)).toEqual(['deployed']);
    });

    it('makes one of two deploys at once wait, and both end well', async () => {
      const inputs = [await release(next()), await release(next())];
      const both = await Promise.all(inputs.map((each) => run({ ...tenant.way, ...quick, ...each })));
      expect(both.map(results)).toEqual([['deployed'], ['deployed']]);
      expect((await tenant.host.exec('systemctl is-active system')).stdout).toBe('active\n');
    });
  });

  it('a unit that hit its start limit is deployed to all the same', async () => {
    await tenant.host.exec(
      'systemctl stop system; for i in 1 2 3 4 5 6 7 8; do systemctl start system; systemctl kill -s KILL system; done; sleep 0.5; systemctl stop system; mkdir -p /run/systemd/system/system.service.d; printf "[Unit]\\nStartLimitBurst=1\\nStartLimitIntervalSec=600\\n" > /run/systemd/system/system.service.d/limit.conf; systemctl daemon-reload; systemctl start system; systemctl kill -s KILL system; sleep 1',
    );
    expect((await tenant.host.exec('systemctl start system 2>&1; systemctl is-active system')).stdout).toMatch(
      /too quickly|start-limit|failed\n$/,
    );
    const finished = await run({ ...tenant.way, ...quick, ...(await release(next())) });
    expect(finished.log).toContain('Result: deployed');
    await tenant.host.exec('rm -r /run/systemd/system/system.service.d; systemctl daemon-reload');
  });

  it('a cancelled run (SIGTERM) puts the old release back before it ends', async () => {
    const before = await tenant.runs('system');
    const deploy = start({ ...tenant.way, ...quick, soak: '20s', ...(await release(next())) });
    deploy.onLine((line) => {
      if (/ watch it \.\.\.$/.test(line)) deploy.child.kill('SIGTERM');
    });
    const finished = await deploy.finished;
    expect(finished.log).toMatch(/Cancelled by SIGTERM\. Rolled back: .* runs again, proven/);
    expect([finished.code, await tenant.runs('system')]).toEqual([1, before]);
  });

  it('a config file that somebody edits meanwhile is left as they made it', async () => {
    const path = '/opt/gbo/conf/limits';
    const deploy = (text: string, more: ArtifactEntry = {}) =>
      start({
        ...tenant.way,
        ...quick,
        ...artifacts({ artifact: tenant.file('limits', text), path, type: 'config', ...more }),
      });
    expect(results(await deploy('one').finished)).toEqual(['deployed']);
    const second = deploy('two', { check: `sh -c 'echo theirs > ${path}' # {file}` });
    const finished = await second.finished;
    expect(finished.log).toContain(`${path} was changed by somebody else meanwhile; left as it is`);
    expect(finished.code).toBe(1);
    expect((await tenant.host.exec(`cat ${path}`)).stdout).toBe('theirs\n');
  });

  describe('a user other than root', () => {
    let way: Record<string, string>;
    beforeAll(async () => {
      way = { ...tenant.way, user: 'deploy', 'private-key': tenant.host.deployUserKey };
      await tenant.host.exec('chown -R deploy /opt/gbo/bin');
    });
    const only = async (ill: Parameters<typeof standIn>[0] = {}) => {
      const name = next();
      return artifacts({ ...(await binaryEntry(botserver, { ...ill, version: name })), 'health-timeout': '5s' });
    };

    it('without sudo rules is refused, with the lines to add', async () => {
      const { log, code } = await run({ ...way, ...quick, ...(await only()) });
      expect(log).toMatch(/User deploy has no password-less sudo rule for .*systemctl restart system\.service/);
      expect(code).toBe(1);
    });

    it('with exactly the printed lines deploys, and a bad release is rolled back by them too', async () => {
      const { log } = await run({ ...way, mode: 'check', ...(await only()) });
      const lines = log.split('\n').filter((line) => /^deploy ALL=\(root\) NOPASSWD: /.test(line.trim()));
      expect(lines.length).toBeGreaterThan(5);
      const sudoers = [...new Set(lines.map((line) => line.trim()))].join('\n').replaceAll("'", `'\\''`);
      const installed = await tenant.host.exec(
        `printf '%s\\n' '${sudoers}' > /etc/sudoers.d/gbo-deploy && chmod 440 /etc/sudoers.d/gbo-deploy && visudo -cf /etc/sudoers.d/gbo-deploy`,
      );
      expect([installed.code, installed.stderr]).toEqual([0, '']);
      const good = await run({ ...way, ...quick, ...(await only()) });
      expect(good.log).toContain('Result: deployed');
      const runs = await tenant.runs('system');
      const bad = await run({ ...way, ...quick, ...(await only({ behaviour: 'crash' })) });
      expect(bad.log).toContain('Result: rolled-back');
      expect(await tenant.runs('system')).toBe(runs);
    });

    it('may do nothing else as root by those lines', async () => {
      const tries = [
        'systemctl restart ssh',
        'systemctl stop gbo-undo-x.timer ssh.service',
        'cat /etc/shadow',
        'sha256sum /etc/shadow',
        'systemd-run id',
        'sha256sum /proc/1/exe /etc/shadow',
      ];
      for (const command of tries) {
        const { code } = await tenant.host.exec(`runuser -u deploy -- sudo -n ${command}`);
        expect([command, code === 0]).toEqual([command, false]);
      }
    });
  });
});
