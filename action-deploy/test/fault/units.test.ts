import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Finished, run, start } from '../harness.js';
import {
  type ArtifactEntry,
  artifacts,
  binaryEntry,
  botserver,
  botui,
  startTenant,
  type Tenant,
  unitEntry,
} from '../tenant.js';
import { reached } from './matrix.js';

const results = ({ report }: Finished) => report?.hosts.map((host) => host.result);
const state = '/opt/gbo/bin/.gbo-deploy';
const config = '/opt/gbo/conf/botserver.toml';

describe('how a unit stood before a deploy', () => {
  let tenant: Tenant;
  let version = 1;
  /** What each test deploys over. */
  let old: ArtifactEntry[];

  beforeAll(async () => {
    tenant = await startTenant('acme-units');
  });
  afterAll(() => tenant?.stop());
  beforeEach(async () => {
    old = [await binary(botserver), await binary(botui), toml('release = 1')];
    expect(results(await deploy(...old))).toEqual(['deployed']);
    expect((await exec('systemctl is-active system ui')).trim()).toBe('active\nactive');
  });

  const exec = async (command: string) => (await tenant.host.exec(command)).stdout;
  const inputsOf = (...entries: ArtifactEntry[]) => ({
    ...tenant.way,
    soak: '300ms',
    ...artifacts(...entries, unitEntry(tenant, botserver), unitEntry(tenant, botui)),
  });
  const deploy = (...entries: ArtifactEntry[]) => run(inputsOf(...entries));
  const toml = (text: string, more: ArtifactEntry = {}): ArtifactEntry => ({
    artifact: tenant.file('botserver.toml', `${text}\n`),
    path: config,
    activate: 'none',
    ...more,
  });
  async function binary(program: typeof botserver, behaviour: 'healthy' | 'crash' | 'unhealthy' = 'healthy') {
    const entry = await binaryEntry(program, { version: `5.0.${version++}`, behaviour });
    return { ...entry, 'health-timeout': '2s' };
  }
  const restarts = async () => Number(await exec('systemctl show -P NRestarts system'));
  const pending = () => exec(`cd ${state}/undo; ls | grep -E 'armed$|undoing$'`);
  const lastWord = async () => JSON.parse(await exec(`tail -n 1 ${state}/record.jsonl`));

  describe('one that systemd restarted long ago', () => {
    beforeEach(async () => {
      await exec('systemctl kill -s KILL system; until systemctl is-active system; do sleep 0.1; done; sleep 0.5');
      expect(await restarts()).toBe(1);
    });

    it('and that is not touched is no reason against a deploy', async () => {
      const [server, , text] = old as [ArtifactEntry, ArtifactEntry, ArtifactEntry];
      const finished = await deploy(server, await binary(botui), text);
      expect([finished.code, ...(results(finished) ?? [])]).toEqual([0, 'deployed']);
      expect(await restarts()).toBe(1);
    });

    it('nor against an undo', async () => {
      const [server, , text] = old as [ArtifactEntry, ArtifactEntry, ArtifactEntry];
      const finished = await deploy(server, await binary(botui, 'unhealthy'), text);
      expect(results(finished)).toEqual(['rolled-back']);
      expect(finished.log).toMatch(/Rolled back: \S+ runs again, proven\./);
    });

    it('is still seen when it crashes by what it is told', async () => {
      const kill = 'command test -e /opt/once || { touch /opt/once; systemctl kill -s KILL system; }';
      const finished = await deploy(...old.slice(0, 2), toml('release = 2', { unit: 'system', activate: kill }));
      expect(results(finished)).toEqual(['rolled-back']);
      expect(finished.log).toMatch(/system\.service crashed .* systemd (restarted it \(2\. restart\)|is about to)/);
    });
  });

  it('one that goes on with an older release keeps that release from being pruned', async () => {
    const running = await exec(`tail -n 1 ${state}/record.jsonl`);
    for (let count = 0; count < 3; count++) {
      const { artifact = '' }: ArtifactEntry = await binary(botserver);
      const unit = { unit: 'system', activate: 'none' };
      const finished = await run({
        ...inputsOf({ artifact, path: botserver.path, ...unit }, ...old.slice(1)),
        keep: '1',
      });
      expect([finished.code, finished.outputs['downtime-ms']]).toEqual([0, '']);
    }
    const { release } = JSON.parse(running);
    const kept = (await exec(`ls ${state}/releases`)).trim().split('\n');
    expect([kept.length, kept.includes(release)]).toEqual([3, true]);
    expect(await exec(`ls ${state}/releases/${release}`)).toContain('botserver');
  });

  describe('when it is put back', () => {
    const ill = async () => [await binary(botserver, 'unhealthy'), ...old.slice(1)];

    it('one that did not run is stopped, and nothing is said to run', async () => {
      await exec('systemctl stop system');
      const finished = await deploy(...(await ill()));
      expect(results(finished)).toEqual(['rolled-back']);
      expect(finished.log).toMatch(/system\.service did not run before and is stopped/);
      expect(finished.log).not.toContain('system.service runs again');
      expect(await exec('systemctl is-active system')).toBe('inactive\n');
    });

    it('one that waited for its next try after a crash is started again, as it was', async () => {
      await exec(
        'mkdir -p /run/systemd/system/system.service.d; printf "[Service]\\nRestartSec=30s\\n" > /run/systemd/system/system.service.d/slow.conf; systemctl daemon-reload',
      );
      const crashing = [await binary(botserver, 'crash'), ...old.slice(1)];
      const left = await run({ ...inputsOf(...crashing), 'on-failure': 'none' });
      expect(results(left)).toEqual(['failed-kept']);
      expect(await exec('systemctl show -P ActiveState,SubState system')).toMatch(/activating/);
      const finished = await deploy(...(await ill()));
      expect(results(finished)).toEqual(['rolled-back']);
      expect(finished.log).toMatch(/system\.service was not up before and was started again\./);
      expect(await exec('systemctl is-active system')).not.toMatch(/inactive|failed/);
      await exec('rm -r /run/systemd/system/system.service.d; systemctl daemon-reload');
    });
  });

  describe('an undo whose activation fails', () => {
    const command = (text: string, activate: string) => [...old.slice(0, 2), toml(text, { activate })];

    it('leaves the next deploy a way, when the files are back and the units well', async () => {
      const finished = await deploy(...command('release = 2', 'command systemctl relaod system'));
      expect(results(finished)).toEqual(['rolled-back']);
      expect(finished.log).toContain('Unknown command verb');
      expect([await pending(), (await lastWord()).result]).toEqual(['', 'rolled-back']);
      const status = await run({ ...inputsOf(...old), mode: 'status' });
      expect([status.code, status.outputs.result]).toEqual([0, 'unchanged']);
      const next = await deploy(...command('release = 2', 'command true'));
      expect([next.code, ...(results(next) ?? [])]).toEqual([0, 'deployed']);
      expect(next.log).not.toContain('finish the undo');
    });

    it('restarts the units of that file, which takes them back for certain', async () => {
      const before = await exec('systemctl show -P InvocationID system');
      const entry = toml('release = 2', { unit: 'system', activate: 'command systemctl relaod system' });
      const finished = await deploy(...old.slice(0, 2), entry);
      expect(results(finished)).toEqual(['rolled-back']);
      expect(await exec('systemctl show -P InvocationID system')).not.toBe(before);
      expect([await pending(), (await lastWord()).result]).toEqual(['', 'rolled-back']);
    });

    it('of a run that was killed is finished by the next deploy, once', async () => {
      const killed = start(inputsOf(...command('release = 2', 'command sleep 2; systemctl relaod system')));
      await reached({ name: 'activation', isAt: (line) => line.endsWith(': activate ...') }, killed);
      killed.child.kill('SIGKILL');
      await exec(
        `until ls ${state}/undo/*.undoing && grep -q rollback-failed ${state}/record.jsonl; do sleep 0.2; done`,
      );
      await exec('sleep 3');
      expect(await exec(`cat ${config}`)).toBe('release = 1\n');
      const next = await deploy(...command('release = 3', 'command true'));
      expect([next.code, ...(results(next) ?? [])]).toEqual([0, 'deployed']);
      expect(next.log).toContain('finish the undo');
      expect(await pending()).toBe('');
    });
  });
});
