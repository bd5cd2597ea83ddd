import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { run } from '../harness.js';
import { artifacts, binaryEntry, botserver, startTenant, type Tenant, unitEntry } from '../tenant.js';

describe('several hosts', () => {
  let tenants: [Tenant, Tenant];
  let version = 1;
  const next = () => `7.0.${version++}`;

  beforeAll(async () => {
    tenants = [await startTenant('acme-one'), await startTenant('acme-two')];
    expect((await deploy({})).result).toEqual(['deployed', 'deployed']);
  });
  afterAll(() => Promise.all((tenants ?? []).map((tenant) => tenant.stop())));

  /** Deploys a fresh version to both; a host on which /opt/ill exists does not become healthy with it. */
  async function deploy(inputs: Record<string, string>, name = next()) {
    const [one, two] = tenants;
    const entry = await binaryEntry(botserver, { version: name });
    const hosts = tenants.map(({ host }, index) => ({ host: host.host, name: index === 0 ? 'one' : 'two' }));
    const { host: _, 'private-key': __, 'known-hosts': ___, ...way } = one.way;
    // The hosts have keys of their own; one key pair logs in to both.
    await two.host.exec(
      `cat >> /root/.ssh/authorized_keys << 'EOF'\n${(await one.host.exec('cat /root/.ssh/authorized_keys')).stdout}EOF`,
    );
    const finished = await run({
      ...way,
      'private-key': one.host.privateKey,
      'known-hosts': one.host.knownHosts + two.host.knownHosts,
      hosts: stringify(hosts),
      soak: '300ms',
      ...artifacts({ ...entry, 'health-timeout': '2s', 'health-command': healthy(name) }, unitEntry(one, botserver)),
      ...inputs,
    });
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

    it('are deployed to without it where max-failed-hosts allows one, and the run is red', async () => {
      const {
        result,
        code,
        log,
        runs: [one, two] = [],
        outputs,
      } = await deploy(all(powered(), { 'max-failed-hosts': '1' }));
      expect([code, result, outputs.result]).toEqual([1, ['deployed', 'deployed', 'failed'], 'failed']);
      expect(one).toBe(two);
      expect(log).toMatch(/three: failed\. Could not reach .*:9: connection refused/);
    });

    it('are not begun where it allows none, and the outputs are there', async () => {
      const before = await runs();
      const { result, code, outputs } = await deploy(all(powered()));
      expect([code, result, outputs.result]).toEqual([1, ['planned', 'planned', 'failed'], 'failed']);
      expect(await runs()).toEqual(before);
    });

    it('are deployed to without one that refuses the login, which counts as the same', async () => {
      const { result, log } = await deploy(
        all({ host: tenants[0].host.host, user: 'deploy' }, { 'max-failed-hosts': '1' }),
      );
      expect(result).toEqual(['deployed', 'deployed', 'failed']);
      expect(log).toMatch(/three: failed\. .*did not accept the private key/);
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
});
