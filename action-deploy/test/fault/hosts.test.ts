import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Proxy as Link, startProxy } from '../../../testbed/proxy.js';
import { type Running, start } from '../harness.js';
import { artifacts, binaryEntry, botserver, startTenant, type Tenant, unitEntry } from '../tenant.js';

describe('several hosts', () => {
  let tenants: [Tenant, Tenant];
  /** The way to the first of them. */
  let link: Link;
  let version = 1;
  const next = () => `7.0.${version++}`;

  beforeAll(async () => {
    tenants = [await startTenant('acme-one'), await startTenant('acme-two')];
    link = await startProxy({ to: tenants[0].host });
    expect((await deploy({})).result).toEqual(['deployed', 'deployed']);
  });
  afterAll(() => Promise.all([link?.stop(), ...(tenants ?? []).map((tenant) => tenant.stop())]));

  /**
   * Deploys a fresh version to both; a host on which /opt/ill exists does not become healthy with it. `happens` gets every
   * line of the log, and may do something about it.
   */
  async function deploy(
    inputs: Record<string, string>,
    happens: (line: string, deploy: Running) => unknown = () => {},
    name = next(),
  ) {
    const [one, two] = tenants;
    const entry = await binaryEntry(botserver, { version: name });
    const hosts = [
      { host: link.host, port: link.port, name: 'one' },
      { host: two.host.host, name: 'two' },
    ];
    const { host: _, 'private-key': __, 'known-hosts': ___, ...way } = one.way;
    // The hosts have keys of their own; one key pair logs in to both.
    await two.host.exec(
      `cat >> /root/.ssh/authorized_keys << 'EOF'\n${(await one.host.exec('cat /root/.ssh/authorized_keys')).stdout}EOF`,
    );
    const deploying = start({
      ...way,
      'private-key': one.host.privateKey,
      'known-hosts': `[${link.host}]:${link.port} ${one.host.hostKey}\n${one.host.knownHosts}${two.host.knownHosts}`,
      hosts: stringify(hosts),
      soak: '300ms',
      ...artifacts({ ...entry, 'health-timeout': '2s', 'health-command': healthy(name) }, unitEntry(one, botserver)),
      ...inputs,
    });
    deploying.onLine((line) => void happens(line, deploying));
    const finished = await deploying.finished;
    await link.restore();
    const result = finished.report?.hosts.map((host) => host.result);
    return { ...finished, result, runs: await Promise.all(tenants.map((tenant) => tenant.runs('system'))) };
  }
  const healthy = (name: string) => `test ! -e /opt/ill || ! ${botserver.path} --version | grep -qF ${name}`;
  const runs = () => Promise.all(tenants.map((tenant) => tenant.runs('system')));
  const ill = async (index: 0 | 1, test: () => Promise<void>) => {
    await tenants[index].host.exec('touch /opt/ill');
    try {
      await test();
    } finally {
      await tenants[index].host.exec('rm /opt/ill');
    }
  };

  /** Where the word is given, the host is slow to answer. */
  const slowWord = async (test: () => Promise<void>) => {
    await tenants[0].host.exec(
      "printf '#!/bin/sh\\nsleep 2\\n' > /usr/local/bin/logger; chmod +x /usr/local/bin/logger",
    );
    try {
      await test();
    } finally {
      await tenants[0].host.exec('rm /usr/local/bin/logger');
    }
  };

  it('get the same release, the canary first', async () => {
    const { result, log, runs: [one, two] = [] } = await deploy({});
    expect(result).toEqual(['deployed', 'deployed']);
    expect(one).toBe(two);
    expect(log.indexOf('one: confirm: done')).toBeLessThan(log.indexOf('two: switch the files ...'));
  });

  it('an ill canary stops the rollout: the others are not switched', async () => {
    await ill(0, async () => {
      const before = await runs();
      const { result, code, runs: after } = await deploy({});
      expect([code, result]).toEqual([1, ['rolled-back', 'skipped']]);
      expect(after).toEqual(before);
    });
  });

  it('an ill second host takes the first one back as well', async () => {
    await ill(1, async () => {
      const before = await runs();
      const { result, code, runs: after, log } = await deploy({});
      expect([code, result]).toEqual([1, ['rolled-back', 'rolled-back']]);
      expect(log).toContain('Another host failed, and on-failure: all takes every host back.');
      expect(after).toEqual(before);
    });
  });

  it('with on-failure: failed-only the first one keeps the new release', async () => {
    await ill(1, async () => {
      const [, two] = await runs();
      const { result, runs: [, after] = [] } = await deploy({ 'on-failure': 'failed-only' });
      expect(result).toEqual(['deployed', 'rolled-back']);
      expect(after).toBe(two);
    });
  });

  it('with on-failure: none the failed release stays for inspection, and is never chosen again', async () => {
    await ill(1, async () => {
      const { result, code, runs: [one, two] = [] } = await deploy({ 'on-failure': 'none' });
      expect([code, result]).toEqual([1, ['deployed', 'failed-kept']]);
      expect(one).toBe(two);
    });
    expect((await deploy({})).result).toEqual(['deployed', 'deployed']);
  });

  describe('of which one cannot be reached', () => {
    const all = (broken: object, change: Record<string, string> = {}) => ({
      ...change,
      hosts: stringify([
        ...tenants.map(({ host }, index) => ({ host: host.host, name: index === 0 ? 'one' : 'two' })),
        { name: 'three', ...broken },
      ]),
    });
    const powered = () => ({ host: tenants[0].host.host, port: 9 });

    it.each<[string, () => object, RegExp]>([
      ['does not answer', powered, /Could not reach .*:9: connection refused/],
      ['refuses the login', () => ({ host: tenants[0].host.host, user: 'deploy' }), /did not accept the private key/],
      [
        'shows another key than the pinned one',
        () => ({ host: otherwise.host, port: otherwise.port }),
        /The host key of .* has changed: it offered/,
      ],
    ])(
      'are deployed to without one that %s where max-failed-hosts allows it, and the run is red',
      async (_, broken, says) => {
        const known = tenants.map(({ host }) => host.knownHosts).join('');
        const pinned = `${known}[127.0.0.1]:${otherwise.port} ${tenants[1].host.hostKey}\n`;
        const finished = await deploy(all(broken(), { 'max-failed-hosts': '1', 'known-hosts': pinned }));
        expect([finished.code, finished.result]).toEqual([1, ['deployed', 'deployed', 'failed']]);
        expect(finished.outputs.result).toBe('failed');
        expect(finished.runs[0]).toBe(finished.runs[1]);
        expect(finished.log.slice(finished.log.lastIndexOf('three: failed. '))).toMatch(says);
      },
    );
    /** The first host by another name, for which the key of the second is pinned. */
    let otherwise: Link;
    beforeAll(async () => {
      otherwise = await startProxy({ to: tenants[0].host });
    });
    afterAll(() => otherwise?.stop());

    it('are not begun where it allows none, and the outputs are there', async () => {
      const before = await runs();
      const { result, code, outputs } = await deploy(all(powered()));
      expect([code, result, outputs.result]).toEqual([1, ['planned', 'planned', 'failed'], 'failed']);
      expect(await runs()).toEqual(before);
    });

    it('are told of by status, in which it is unknown', async () => {
      const { code, log, outputs } = await deploy(all(powered(), { mode: 'status' }));
      expect([code, outputs.result]).toEqual([1, 'unknown']);
      expect(outputs.release).toMatch(/^\d{8}T/);
      expect(log).toMatch(/one: \d{8}T.* since .*two: \d{8}T.* since .*three: unknown/s);
    });
  });

  it('one that cannot be deployed to is refused before any is touched', async () => {
    const before = await runs();
    await tenants[1].host.exec(
      'systemctl stop system && mv /opt/gbo/bin/botserver /opt/aside && mkdir /opt/gbo/bin/botserver',
    );
    const { result } = await deploy({});
    await tenants[1].host.exec(
      'rmdir /opt/gbo/bin/botserver && mv /opt/aside /opt/gbo/bin/botserver && systemctl start system',
    );
    expect(result?.[1]).toBe('refused');
    expect(await runs()).toEqual(before);
  });

  describe('when the run is cancelled', () => {
    const staged = async () => {
      const folders = await Promise.all(
        tenants.map(({ host }) => host.exec('ls /opt/gbo/bin/.gbo-deploy/releases /opt/gbo/bin/.gbo-deploy/undo')),
      );
      return folders.map(({ stdout }) => stdout);
    };

    it('while everything is prepared, no host is switched, nothing stays, and the run is red', async () => {
      const before = [await runs(), await staged()];
      const slow = {
        artifact: tenants[0].file('slow.conf', next()),
        path: '/opt/gbo/bin/slow.conf',
        check: 'sleep 2; : {file}',
      };
      const { result, code, log } = await deploy(artifacts(slow), (line, { child }) => {
        if (line.endsWith('two: check slow.conf ...')) setTimeout(() => child.kill('SIGTERM'), 500);
      });
      expect([code, result]).toEqual([1, ['failed', 'failed']]);
      expect(log).toContain('Cancelled by SIGTERM. Nothing that runs was touched.');
      expect([await runs(), await staged()]).toEqual(before);
    });

    it.each([
      ['all', ['rolled-back', 'failed']],
      ['failed-only', ['deployed', 'failed']],
    ])('while the canary is confirmed, the others are not switched, and on-failure: %s holds', (policy, expected) =>
      slowWord(async () => {
        const before = await runs();
        const cancel = (line: string, { child }: Running) => {
          if (line.endsWith('one: confirm ...')) setTimeout(() => child.kill('SIGTERM'), 500);
        };
        const { result, code, log, runs: after } = await deploy({ 'on-failure': policy }, cancel);
        expect([code, result]).toEqual([1, expected]);
        expect(log).toContain('two: failed. Cancelled by SIGTERM. Nothing that runs was touched.');
        expect([after[0] === before[0], after[1]]).toEqual([policy === 'all', before[1]]);
      }),
    );
  });

  it('one whose word was lost on the way is taken back as well, when another one fails', () =>
    slowWord(() =>
      ill(1, async () => {
        const before = await runs();
        const {
          result,
          log,
          runs: after,
        } = await deploy({}, async (line) => {
          if (!line.endsWith('one: confirm ...')) return;
          await sleep(500);
          await link.cut();
          await link.restore();
        });
        expect(log).toContain('one: the connection is lost; calling the target again ...');
        expect(result).toEqual(['rolled-back', 'rolled-back']);
        expect(after).toEqual(before);
      }),
    ));

  it('one that was confirmed and cannot be reached any more is not said to put itself back', () =>
    ill(1, async () => {
      const [, was] = await runs();
      const {
        result,
        log,
        runs: after,
      } = await deploy({}, async (line) => {
        if (line.endsWith('two: watch it ...')) await link.cut();
      });
      expect(result).toEqual(['unknown', 'rolled-back']);
      expect(log).toMatch(/one: unknown\. .*It had been confirmed, so that nothing there puts \S+ back by itself/);
      expect([after[0] === was, after[1]]).toEqual([false, was]);
      expect((await deploy({ 'on-failure': 'none' })).result?.[0]).toBe('deployed');
      await tenants[1].host.exec('rm /opt/ill');
      expect((await deploy({})).result).toEqual(['deployed', 'deployed']);
      await tenants[1].host.exec('touch /opt/ill');
    }));
});
