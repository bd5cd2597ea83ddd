import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Finished, run } from '../harness.js';
import { type ArtifactEntry, artifacts, startTenant, type Tenant } from '../tenant.js';

const config = '/opt/gbo/conf/config';
const unit = `[Unit]
Description=proxy
[Service]
ExecStart=/usr/bin/caddy run --config ${config} --adapter caddyfile
ExecReload=/usr/bin/caddy reload --config ${config} --adapter caddyfile
[Install]
WantedBy=multi-user.target
`;

/** A Caddyfile that answers `text` on 8080 and serves these host names on 8081. */
const caddyfile = (text: string, ...names: string[]) => `{
	auto_https off
	storage file_system {
		root /opt/gbo/data/caddy
	}
}
:8080 {
	respond "${text}"
}
${names.map((name) => `http://${name}:8081 {\n\trespond "${name}"\n}\n`).join('')}`;

const result = ({ report }: Finished) => report?.hosts.map((host) => host.result);

describe('the Caddyfile of a real Caddy', () => {
  let tenant: Tenant;
  beforeAll(async () => {
    tenant = await startTenant('acme-proxy');
  });
  afterAll(() => tenant?.stop());

  async function deploy(text: string, more: ArtifactEntry = {}): Promise<Finished> {
    const entry: ArtifactEntry = {
      artifact: tenant.file('Caddyfile', text),
      path: config,
      unit: 'proxy',
      check: 'caddy validate --config {file} --adapter caddyfile',
      activate: 'caddy',
      'health-url': 'http://localhost:8080/',
      'health-timeout': '5s',
      ...more,
    };
    const unitEntry = {
      artifact: tenant.file('proxy.service', unit),
      path: '/etc/systemd/system/proxy.service',
      unit: 'proxy',
    };
    return run({ ...tenant.way, soak: '300ms', ...artifacts(entry, unitEntry) });
  }
  const invocation = async () => (await tenant.host.exec('systemctl show -P InvocationID proxy')).stdout;
  const onDisk = async () => (await tenant.host.exec(`cat ${config}`)).stdout;

  it('is brought with its unit, validated and started', async () => {
    const finished = await deploy(caddyfile('one', 'a.example.com', 'b.example.com'));
    expect(finished.log).toContain('Result: deployed');
    expect([finished.code, ...(result(finished) ?? [])]).toEqual([0, 'deployed']);
    expect(await tenant.answer(8080)).toMatch(/one$/);
  });

  it('is reloaded, not restarted, when host names stay or come; the file before is kept as the backup', async () => {
    const before = await invocation();
    const finished = await deploy(caddyfile('two', 'a.example.com', 'b.example.com', 'c.example.com'));
    expect([finished.code, ...(result(finished) ?? [])]).toEqual([0, 'deployed']);
    expect(finished.log).toContain('proxy.service is reloaded: config changed');
    expect(await invocation()).toBe(before);
    expect(await tenant.answer(8080)).toMatch(/two$/);
    const kept = await tenant.host.exec(`cat /opt/gbo/conf/.gbo-deploy/releases/${finished.outputs.previous}/config`);
    expect(kept.stdout).toBe(caddyfile('one', 'a.example.com', 'b.example.com'));
  });

  it('is restarted when a host name went away', async () => {
    const before = await invocation();
    const finished = await deploy(caddyfile('three', 'a.example.com', 'c.example.com'));
    expect([finished.code, ...(result(finished) ?? [])]).toEqual([0, 'deployed']);
    expect(finished.log).toContain('proxy.service is restarted: b.example.com went away');
    expect(await invocation()).not.toBe(before);
    expect(await tenant.answer(8080)).toMatch(/three$/);
  });

  const good = caddyfile('three', 'a.example.com', 'c.example.com');

  it('is refused by validation when it is broken, and nothing that runs is touched', async () => {
    const before = await invocation();
    const finished = await deploy(good.replace('respond', 'rspond'));
    expect([finished.code, ...(result(finished) ?? [])]).toEqual([1, 'failed']);
    expect(finished.log).toMatch(/The check of .* refused it: .*unrecognized directive: rspond/);
    expect([await onDisk(), await invocation()]).toEqual([good, before]);
  });

  it('is put back when Caddy accepts it and then cannot serve it', async () => {
    const finished = await deploy(`${good}:22 {\n\trespond "x"\n}\n`);
    expect([finished.code, ...(result(finished) ?? [])]).toEqual([1, 'rolled-back']);
    expect(await onDisk()).toBe(good);
    expect(await tenant.answer(8080)).toMatch(/three$/);
  });

  it('is put back when it does not answer as it must, and names that came with it are forgotten', async () => {
    const finished = await deploy(caddyfile('four', 'a.example.com', 'c.example.com', 'new.example.com'), {
      'health-contains': 'five',
      'health-timeout': '1s',
    });
    expect([finished.code, ...(result(finished) ?? [])]).toEqual([1, 'rolled-back']);
    expect(finished.log).toContain('answered without "five"');
    expect(await onDisk()).toBe(good);
    expect(await tenant.answer(8080)).toMatch(/three$/);
  });

  it('goes back to any kept release by rollback', async () => {
    const finished = await run({
      ...tenant.way,
      mode: 'rollback',
      path: config,
      unit: 'proxy',
      activate: 'caddy',
      soak: '300ms',
    });
    expect([finished.code, ...(result(finished) ?? [])]).toEqual([0, 'returned']);
    expect(await tenant.answer(8080)).toMatch(/two$/);
  });

  it('is put there by a signal or a command as well, when the artifact says so', async () => {
    const signal = await deploy(good, { activate: 'signal USR1', 'health-url': '', check: '' });
    expect([signal.code, ...(result(signal) ?? [])]).toEqual([0, 'deployed']);
    expect(signal.log).toContain('proxy.service gets SIGUSR1');
    const command = await deploy(caddyfile('six', 'a.example.com'), {
      activate: 'command caddy reload --config /opt/gbo/conf/config --adapter caddyfile',
    });
    expect([command.code, ...(result(command) ?? [])]).toEqual([0, 'deployed']);
    expect(await tenant.answer(8080)).toMatch(/six$/);
  });
});
