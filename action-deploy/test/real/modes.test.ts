import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encrypted, hostilePassphrase } from '../../../testbed/hostile-secrets.js';
import { watchProcesses } from '../../../testbed/process-watch.js';
import { secretSearch } from '../../../testbed/secret-search.js';
import { bundle, type Finished, run } from '../harness.js';
import { artifacts, binaryEntry, botserver, startTenant, type Tenant, unitEntry } from '../tenant.js';

const release = /\d{8}T\d{6}Z-[0-9a-f]{12}/;
const results = ({ report }: Finished) => report?.hosts.map((host) => host.result);

describe('the modes beside deploy', () => {
  let tenant: Tenant;
  const ids: string[] = [];
  let inputs: Record<string, string>;
  const deployed = async (version: string) => {
    const entry = await binaryEntry(botserver, { version });
    return { ...tenant.way, soak: '200ms', ...artifacts(entry, unitEntry(tenant, botserver)) };
  };
  const answers = () => tenant.answer(botserver.port);

  /** Everything on the target that a read-only mode could have written to, with its times. */
  const fingerprint = async () =>
    (
      await tenant.host.exec(
        "find /opt /etc/systemd /root /usr/local -printf '%p %i %m %s %T@ %C@\\n' | sort | sha256sum",
      )
    ).stdout;

  beforeAll(async () => {
    tenant = await startTenant();
  });
  afterAll(() => tenant?.stop());

  it('check on an empty host says what is missing, changes nothing, and is red', async () => {
    const before = await fingerprint();
    const { log, code } = await run({
      ...tenant.way,
      mode: 'check',
      path: botserver.path,
      unit: botserver.unit,
      'health-url': 'http://localhost:5858/health',
    });
    expect(log).toMatch(/Unit system\.service is not known on the target; deploy its unit file too/);
    expect(log).toContain(tenant.host.knownHosts.trim());
    expect(log).toContain('restrict,port-forwarding,permitopen="localhost:5858"');
    expect(code).toBe(1);
    expect(await fingerprint()).toBe(before);
  });

  it('check with the files of the first deploy is green when the host is ready for them', async () => {
    const before = await fingerprint();
    const { log, code } = await run({ ...(await deployed('1.0.0')), mode: 'check' });
    expect([code, log]).toEqual([0, expect.stringMatching(/acme-system|ready/)]);
    expect(await fingerprint()).toBe(before);
  });

  it('a dry run prints the plan of the deploy that follows it, and changes nothing', async () => {
    const before = await fingerprint();
    const dry = await run({ ...(await deployed('1.0.0')), 'dry-run': 'true' });
    expect([dry.code, ...(results(dry) ?? [])]).toEqual([0, 'planned']);
    expect(await fingerprint()).toBe(before);
    const real = await run(await deployed('1.0.0'));
    expect([real.code, ...(results(real) ?? [])]).toEqual([0, 'deployed']);
    const steps = (finished: Finished) => /step +if a later[\s\S]*?::endgroup::/.exec(finished.log)?.[0];
    expect(steps(real)).toBe(steps(dry));
    ids.push(real.outputs.release ?? '');
  });

  it('status after three deploys tells what runs, since when, and what can be rolled back to', async () => {
    for (const version of ['2.0.0', '3.0.0']) {
      const finished = await run(await deployed(version));
      expect([finished.code, ...(results(finished) ?? [])]).toEqual([0, 'deployed']);
      ids.push(finished.outputs.release ?? '');
    }
    expect(ids.every((id) => release.test(id))).toBe(true);
    const { artifacts: list } = await deployed('3.0.0');
    inputs = { ...tenant.way, artifacts: list ?? '', soak: '200ms' };
    const before = await fingerprint();
    const { log, code, outputs } = await run({ ...inputs, mode: 'status' });
    expect(code).toBe(0);
    expect(outputs).toMatchObject({ result: 'unchanged', release: ids[2], previous: ids[1] });
    expect(log).toMatch(new RegExp(`${ids[2]} since \\d{4}-`));
    expect(log).toContain(`Can be rolled back to: ${ids[1]}, ${ids[0]}`);
    expect(log).toMatch(/system\.service +active \(running\)/);
    expect(await fingerprint()).toBe(before);
  });

  it('rollback needs no argument: it goes to the release before, proven and healthy by that version', async () => {
    const old = {
      ...inputs,
      ...artifacts(await binaryEntry(botserver, { version: '2.0.0' }), unitEntry(tenant, botserver)),
    };
    const finished = await run({ ...old, mode: 'rollback' });
    expect(finished.log).toContain('Result: returned');
    expect([finished.code, ...(results(finished) ?? [])]).toEqual([0, 'returned']);
    expect(finished.outputs.release).toBe(ids[1]);
    expect(JSON.parse(finished.outputs.sha256 ?? '')).toHaveProperty([botserver.path], await tenant.runs('system'));
    expect(await answers()).toContain('"version":"2.0.0"');
  });

  it('rollback again goes one further, and one by name goes forward again', async () => {
    const plain = { ...tenant.way, soak: '200ms', path: botserver.path, unit: botserver.unit, type: 'binary' };
    const further = await run({ ...plain, mode: 'rollback' });
    expect([further.code, further.outputs.release]).toEqual([0, ids[0]]);
    expect(await answers()).toContain('"version":"1.0.0"');
    const forward = await run({ ...plain, mode: 'rollback', release: ids[2] ?? '' });
    expect([forward.code, forward.outputs.release]).toEqual([0, ids[2]]);
    expect(await answers()).toContain('"version":"3.0.0"');
  });

  it('status says so when somebody changed a file by hand', async () => {
    await tenant.host.exec('cp -p /opt/gbo/bin/botserver /tmp/b; echo >> /tmp/b; mv /tmp/b /opt/gbo/bin/botserver');
    const { log, outputs, code } = await run({ ...inputs, mode: 'status' });
    expect(log).toMatch(/\/opt\/gbo\/bin\/botserver was changed after .* was deployed/);
    expect([code, outputs.result]).toEqual([1, 'unknown']);
  });

  it('and the next deploy keeps the changed file as a release of its own', async () => {
    const finished = await run(await deployed('4.0.0'));
    expect([finished.code, ...(results(finished) ?? [])]).toEqual([0, 'deployed']);
    const { log } = await run({ ...inputs, mode: 'status' });
    expect(log).toContain(`Can be rolled back to: ${finished.outputs.previous}`);
  });

  it('releases beyond `keep` go, and the one before always stays', async () => {
    const finished = await run({ ...(await deployed('5.0.0')), keep: '1' });
    expect(finished.code).toBe(0);
    const { stdout } = await tenant.host.exec('ls /opt/gbo/bin/.gbo-deploy/releases | sort');
    expect(stdout.trim().split('\n')).toEqual([finished.outputs.previous, finished.outputs.release].sort());
  });

  it('no secret is in a process list of either machine, nor in a file that is left on the target', async () => {
    const secrets = {
      'private-key': encrypted(tenant.host.privateKey, hostilePassphrase).replaceAll('\n', '\r\n'),
      passphrase: hostilePassphrase,
    };
    // The processes of the target are among those of this machine. Into log, outputs and files here every run is looked.
    const watch = await watchProcesses(secrets, bundle);
    const finished = await run({ ...(await deployed('6.0.0')), ...secrets });
    const { hits } = await watch.stop();
    expect([finished.code, hits]).toEqual([0, []]);
    const search = secretSearch(secrets);
    const folders = ['opt', 'tmp', 'var/tmp', 'var/log', 'root', 'etc/systemd'];
    expect(folders.flatMap((name) => search.inFiles(join(tenant.host.rootDir, name)))).toEqual([]);
  });
});
