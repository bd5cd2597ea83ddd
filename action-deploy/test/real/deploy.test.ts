import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Finished, run } from '../harness.js';
import { artifacts, binaryEntry, botserver, botui, startTenant, type Tenant, unitEntry } from '../tenant.js';

const sha256 = (path: string) => execFileSync('sha256sum', [path]).toString().slice(0, 64);

describe('botserver and botui on a real systemd host', () => {
  let tenant: Tenant;
  beforeAll(async () => {
    tenant = await startTenant();
  });
  afterAll(() => tenant?.stop());

  /** Deploys one version of both; `ill` is what botserver is like. */
  async function deploy(version: string, ill: Parameters<typeof binaryEntry>[1]['behaviour'] = 'healthy') {
    const server = await binaryEntry(botserver, { version, behaviour: ill, sizeMiB: 100 });
    // The other program's 60 s are none of botserver's.
    const { 'health-timeout': _, ...ui } = await binaryEntry(botui, { version, sizeMiB: 30 });
    const units = [unitEntry(tenant, botserver), unitEntry(tenant, botui)];
    const finished = await run({ ...tenant.way, ...artifacts(server, ui, ...units) });
    return { finished, server: sha256(String(server.artifact)), ui: sha256(String(ui.artifact)) };
  }

  const result = ({ report }: Finished) => report?.hosts.map((host) => host.result);

  it('a first deploy brings binaries and units, starts them and proves that they run', async () => {
    const { finished, server, ui } = await deploy('1.0.0');
    expect(finished.log).toContain('Result: deployed');
    expect(finished.code).toBe(0);
    expect(await tenant.runs('system')).toBe(server);
    expect(await tenant.runs('ui')).toBe(ui);
    expect(finished.outputs.previous).toBe('');
    // Units may run as any user, who has to reach the program; what is kept concerns nobody.
    const modes = await tenant.host.exec(
      'stat -c %a /opt/gbo /opt/gbo/bin /opt/gbo/bin/botserver /opt/gbo/bin/.gbo-deploy',
    );
    expect(modes.stdout).toBe('755\n755\n755\n700\n');
  });

  it('the same deploy again sends nothing and restarts nothing', async () => {
    const before = await tenant.host.exec('systemctl show -P InvocationID system ui');
    const { finished } = await deploy('1.0.0');
    expect([finished.code, ...(result(finished) ?? [])]).toEqual([0, 'unchanged']);
    expect(await tenant.host.exec('systemctl show -P InvocationID system ui')).toEqual(before);
  });

  let good: Awaited<ReturnType<typeof deploy>>;

  it('a second version replaces the first, and the first stays to be rolled back to', async () => {
    good = await deploy('2.0.0');
    expect(good.finished.log).toContain('Result: deployed');
    expect(await tenant.runs('system')).toBe(good.server);
    expect(await tenant.runs('ui')).toBe(good.ui);
    expect(good.finished.outputs.previous).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{12}$/);
    expect(Number(good.finished.outputs['downtime-ms'])).toBeGreaterThan(0);
  });

  it.each([
    ['crashes at once', 'crash', /cannot reach its database/],
    ['crashes after a while', 'crash-late', /lost its database/],
    ['is healthy to systemd but answers 503', 'unhealthy', /answered 503 in place of 200/],
    ['never listens', 'never-listens', /did not become healthy within 10 s: /],
  ] as const)('a version that %s is rolled back, with both programs', async (_, ill, says) => {
    const { finished } = await deploy('3.0.0', ill);
    expect(finished.log).toMatch(says);
    expect(finished.log).toContain('Result: rolled-back');
    expect([finished.code, ...(result(finished) ?? [])]).toEqual([1, 'rolled-back']);
    expect(await tenant.runs('system')).toBe(good.server);
    expect(await tenant.runs('ui')).toBe(good.ui);
    expect((await tenant.host.exec('systemctl is-active system ui')).stdout).toBe('active\nactive\n');
  });
});
