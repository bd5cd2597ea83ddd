import { execFile } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { clock } from '../../../action-cache-clean/test/harness.js';
import { startTenant, type Tenant } from '../../../action-deploy/test/tenant.js';
import { actAvailable, runWorkflow, type StepLog, type WorkflowFinished } from '../../act.js';
import { ForgeStandIn } from '../../forge.js';
import { secretSearch } from '../../secret-search.js';
import { unitFile } from '../../stand-in.js';
import { installMissing, testbedAvailable } from '../../systemd.js';
import { startTenantSite, type TenantSite, writeBotserver } from '../../tenant-site.js';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../../../', import.meta.url));
const actions = ['action-deploy', 'action-submodule-sync', 'action-cache-clean', 'action-guard'];
const available = [await actAvailable(), await testbedAvailable()].find(({ ok }) => !ok) ?? { ok: true };

if (process.env.CI === 'true')
  test('a machine of the CI can run workflows, and has a target for them', () => {
    expect(available).toEqual({ ok: true });
  });
if ('why' in available) test.skip(`the tenant's story is not told here: ${available.why}`, () => {});

/** The tenant's story, in the order in which it happens: from the releases of the actions to the pull request. */
describe.runIf(available.ok)('actions as released, used by the workflows of a tenant', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-runner-'));
  const source = join(folder, 'source');
  let site: TenantSite;
  let tenant: Tenant;
  let forge: ForgeStandIn;
  const logs: string[] = [];

  const inSource = (program: string, ...args: string[]) => execute(program, args, { cwd: source, encoding: 'utf8' });
  const git = (...args: string[]) =>
    inSource('git', '-c', 'user.name=Acme', '-c', 'user.email=acme@example.com', ...args);
  const tip = async (remote: string, ref: string) => (await git('ls-remote', remote, ref)).stdout.split('\t')[0] ?? '';

  async function release(action: string, version: string): Promise<void> {
    const remotes = site.actionRemotes(action).flatMap((remote) => ['--remote', remote]);
    await inSource(process.execPath, 'scripts/release.mjs', action, version, ...remotes);
  }
  /** As `npm test` leaves it when all is green, and a fetch when it is in main. */
  async function tested(): Promise<void> {
    writeFileSync(join(source, '.git', 'gbo-tested'), (await git('rev-parse', 'HEAD')).stdout.trim());
    await git('update-ref', 'refs/remotes/origin/main', 'HEAD');
  }

  beforeAll(async () => {
    const cloned = execute('git', ['clone', '--quiet', '--no-hardlinks', root, source]).then(() =>
      inSource(process.execPath, 'scripts/bootstrap.mjs', '--no-bundles'),
    );
    [site, tenant, forge] = await Promise.all([
      startTenantSite(),
      startTenant(),
      new ForgeStandIn('acme/gb').start(),
      installMissing(['faketime', 'flock', 'cc']),
      cloned,
    ]);
    await tested();
    await Promise.all(actions.map((action) => release(action, '1.0.0')));
    await target();
    await beginRoot();
  }, 600_000);
  afterAll(async () => {
    forge?.stop();
    await Promise.all([site?.stop(), tenant?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** What an operator does before the first deploy: the folder and the units. */
  async function target(): Promise<void> {
    for (const [name, program, port] of [
      ['system', 'botserver', 5858],
      ['ui', 'botui', 5859],
    ] as const) {
      const unit = unitFile({ name, path: `/opt/gbo/bin/${program}`, port });
      writeFileSync(`${tenant.host.rootDir}/etc/systemd/system/${name}.service`, unit);
    }
    await tenant.host.exec('mkdir -p /opt/gbo/bin && systemctl daemon-reload');
  }

  /** The tenant's repositories, with the workflows of `examples/`. */
  async function beginRoot(): Promise<void> {
    const { world } = site;
    await world.submodule('botserver');
    writeBotserver(join(world.checkout, 'botserver'), '1.0.0');
    const pin = site.example('root-pin.yml', { 'grace: 10m': 'grace: 0s' });
    await world.commit('botserver', { files: { '.forgejo/workflows/root-pin.yml': pin } });
    await commitBotserver('1.0.0');
    for (const remote of ['origin', 'alm']) await world.push('botserver', remote);
    const files = {
      'Cargo.toml': '[workspace]\nmembers = ["botserver"]\nresolver = "2"\n',
      'Cargo.lock':
        '# It is not intended for manual editing.\nversion = 3\n\n[[package]]\nname = "botserver"\nversion = "0.1.0"\n',
      '.gitignore': '/target\n',
      '.forgejo/workflows/deploy.yml': site.example('deploy.yml', {
        'host: acme-system': `host: ${tenant.host.host}`,
        'user: deploy': 'user: root',
        // The default is a minute, and the longest of all counts.
        '/health\n': '/health\n              health-timeout: 10s\n',
        ':5859/\n': ':5859/\n              health-timeout: 10s\n',
      }),
      '.forgejo/workflows/submodules.yml': site.example('submodules.yml', { 'grace: 1m': 'grace: 0s' }),
      '.forgejo/workflows/clean.yml': site.example('clean.yml'),
      '.forgejo/workflows/guard.yml': site.example('guard.yml'),
      'lxd/acme-proxy.yaml': proxyContainer(['80', '443']),
    };
    await world.commit('.', { files });
    await world.pin('botserver');
    await world.pushRoot();
  }

  async function commitBotserver(version: string, status?: string): Promise<void> {
    const at = join(site.world.checkout, 'botserver');
    writeBotserver(at, version, status);
    await site.world.git('botserver', 'add', '.');
    await site.world.git('botserver', 'commit', '--quiet', '-m', version);
  }

  async function run(name: string, options: Parameters<TenantSite['run']>[1] = {}): Promise<WorkflowFinished> {
    const finished = await site.run(`.forgejo/workflows/${name}.yml`, options);
    logs.push(finished.log);
    return finished;
  }
  const deploy = () =>
    run('deploy', {
      secrets: { DEPLOY_KEY: tenant.host.privateKey },
      vars: { DEPLOY_KNOWN_HOSTS: tenant.host.knownHosts },
    });
  /** The answer of the service, and whether its process runs the file that is there. */
  async function service(): Promise<{ answer: string; runsItsFile: boolean }> {
    const { stdout } = await tenant.host.exec('sha256sum < /opt/gbo/bin/botserver | cut -c1-64');
    const answer = await tenant.answer(5858);
    return { answer: answer.split('\r\n\r\n')[1] ?? '', runsItsFile: (await tenant.runs('system')) === stdout.trim() };
  }

  it('each is on both remotes at one commit, with v1', async () => {
    for (const action of actions) {
      const tips = await Promise.all(site.actionRemotes(action).map((remote) => tip(remote, 'refs/tags/v1')));
      expect(tips[0]).toMatch(/^[0-9a-f]{40}$/);
      expect(tips[1]).toBe(tips[0]);
    }
  });

  it('the first push: its submodules are everywhere, and it is deployed', async () => {
    const submodules = await run('submodules');
    expect(submodules.code, submodules.log).toBe(0);
    const deployed = await deploy();
    expect(deployed.code, deployed.log).toBe(0);
    expect(await service()).toEqual({ answer: '1.0.0', runsItsFile: true });
  });

  it('a push of botserver whose root was never pushed is red in botserver itself, until the root is pushed', async () => {
    await commitBotserver('2.0.0');
    for (const remote of ['origin', 'alm']) await site.world.push('botserver', remote);
    const before = await run('root-pin', { from: 'botserver' });
    expect([before.code, textOf(before, 'Root')], before.log).toEqual([1, expect.stringContaining('ROOT-BEHIND')]);
    await site.world.pin('botserver');
    await site.world.pushRoot();
    const after = await run('root-pin', { from: 'botserver' });
    expect(after.code, after.log).toBe(0);
  });

  it('a forgotten push to the second remote is red, with the command that mends it; done, it is green', async () => {
    await commitBotserver('2.0.1');
    await site.world.push('botserver', 'origin');
    await site.world.pin('botserver');
    await site.world.pushRoot();
    const red = await run('submodules');
    expect(red.code, red.log).toBe(1);
    const command = /git -C \S*botserver push alm \S+/.exec(textOf(red, 'Submodules'))?.[0] ?? '';
    expect(command, red.log).not.toBe('');
    expect(await site.world.mend(command)).toMatchObject({ code: 0 });
    const green = await run('submodules');
    expect(green.code, green.log).toBe(0);
  });

  it('what was mended is deployed; a version that is not well is rolled back, red, with the service up', async () => {
    const good = await deploy();
    expect(good.code, good.log).toBe(0);
    expect(await service()).toEqual({ answer: '2.0.1', runsItsFile: true });
    await commitBotserver('3.0.0', '503 Service Unavailable');
    for (const remote of ['origin', 'alm']) await site.world.push('botserver', remote);
    await site.world.pin('botserver');
    await site.world.pushRoot();
    const bad = await deploy();
    expect(bad.steps.map(({ name, result }) => [name, result]).at(-1)).toEqual(['Deploy', 'failure']);
    expect(textOf(bad, 'Deploy')).toMatch(/rolled-back/);
    expect(await service()).toEqual({ answer: '2.0.1', runsItsFile: true });
  });

  it('the nightly clean takes what a dead job left, while a build goes on; both are green', async () => {
    const { cargo } = site;
    const dead = join(cargo.home, '.cache/act/0123456789abcdef');
    mkdirSync(join(dead, 'hostexecutor'), { recursive: true });
    writeFileSync(join(dead, 'hostexecutor/big'), Buffer.alloc(1 << 20));
    const workspace = await cargo.workspace('acme', { crates: 12, git: false });
    const env = { CARGO_TARGET_DIR: join(cargo.home, '.cache/gbo-target/other'), WAIT: '3' };
    let building = true;
    const build = cargo.cargo(['test', '--quiet'], workspace, env).finally(() => (building = false));
    // Two days later; nothing was touched for it.
    const clean = await run('clean', { event: 'schedule', env: clock('+2d') });
    expect(building).toBe(true);
    expect(clean.code, clean.log).toBe(0);
    expect(textOf(clean, 'Clean')).toContain('0123456789abcdef');
    await expect(execute('stat', [dead])).rejects.toThrow();
    const { code, output } = await build;
    expect(code, output).toBe(0);
  });

  it('a pull request that drops a proxy port gets its finding at the line, and a red status', async () => {
    const base = await site.world.git('.', 'rev-parse', 'HEAD');
    await site.world.git('.', 'checkout', '--quiet', '-b', 'tidy');
    const head = await site.world.commit('.', { files: { 'lxd/acme-proxy.yaml': proxyContainer(['80']) } });
    await site.world.push('.', 'alm', 'HEAD:refs/heads/tidy');
    const pull = { number: 7, merge_base: base, base: { ref: 'main', sha: base }, head: { ref: 'tidy', sha: head } };
    const finished = await run('guard', {
      at: head,
      event: 'pull_request',
      payload: { number: 7, pull_request: pull },
      secrets: { GITHUB_TOKEN: 't0ken' },
      env: { GITHUB_API_URL: forge.apiUrl },
    });
    expect(finished.code, finished.log).toBe(1);
    expect(textOf(finished, 'Guard')).toContain('lxd/port-removed');
    expect(forge.shown, finished.log).toEqual([
      expect.objectContaining({ path: 'lxd/acme-proxy.yaml', new_position: 7, body: expect.stringContaining('443') }),
    ]);
    expect(forge.statuses.at(-1)).toMatchObject({ commit: head, state: 'failure' });
  });

  // That a remote which refuses keeps its v1 and is named: release.test.ts.
  it('a second release moves v1 on both remotes, and the next run uses it', async () => {
    const action = 'action-submodule-sync';
    const first = await site.used(action);
    const manifest = join(source, action, 'package.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"version": "[^"]+"/, '"version": "1.0.1"'));
    appendFileSync(join(source, action, 'CHANGELOG.md'), '\n## 1.0.1\n\n- More.\n');
    await git('commit', '--quiet', '--all', '-m', '1.0.1');
    await tested();
    await release(action, '1.0.1');
    const tips = await Promise.all(site.actionRemotes(action).map((remote) => tip(remote, 'refs/tags/v1')));
    expect(tips[0]).not.toBe(first);
    expect(tips[1]).toBe(tips[0]);
    const finished = await run('submodules');
    expect(finished.code, finished.log).toBe(0);
    expect(await site.used(action)).toBe(tips[0]);
  });

  it('in no log is a line of the key', () => {
    expect(logs.length).toBeGreaterThan(8);
    const search = secretSearch({ DEPLOY_KEY: tenant.host.privateKey, READ_TOKEN: 'read%token' });
    // The runner writes what it was told to mask as it was told.
    const said = logs
      .join('\n')
      .split('\n')
      .filter((row) => !row.includes('"command":"add-mask"'));
    expect(search.inText('log', said.join('\n'))).toEqual([]);
  });
});

/** Whether a job runs is the runner's word: the conditions as they are written, each on a job that does nothing. */
describe.runIf(available.ok)('the jobs that not everybody may start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-conditions-'));
  const repository = join(folder, 'gb');
  const path = '.forgejo/workflows/conditions.yml';
  const conditions = {
    check: jobOf('.forgejo/workflows/check.yml').check?.if,
    deploy: jobOf('examples/workflows/deploy.yml').deploy?.if,
  };
  beforeAll(async () => {
    const jobs = Object.entries(conditions).map(([name, condition]) => [
      name,
      { if: condition, 'runs-on': 'gbo', steps: [{ name, run: 'true' }] },
    ]);
    const workflow = { on: ['push', 'pull_request', 'workflow_dispatch'], jobs: Object.fromEntries(jobs) };
    mkdirSync(join(repository, '.forgejo/workflows'), { recursive: true });
    writeFileSync(join(repository, path), stringify(workflow));
    const who = ['-c', 'user.name=Acme', '-c', 'user.email=acme@example.com'];
    for (const args of [
      ['init', '--quiet'],
      ['add', '.'],
      [...who, 'commit', '--quiet', '-m', 'Begin'],
    ])
      await execute('git', args, { cwd: repository });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const pull = (from: string) => ({ number: 7, pull_request: { head: { repo: { full_name: from } } } });
  it.each<[title: string, event: string, payload: object, runs: string[]]>([
    ['a push to main is checked and deployed', 'push', { ref: 'refs/heads/main' }, ['check', 'deploy']],
    ['a pull request from a branch here is checked', 'pull_request', pull('acme/gb'), ['check']],
    ['a pull request from a fork runs nothing of what it brings', 'pull_request', pull('mallory/gb'), []],
    ['main is deployed by hand too', 'workflow_dispatch', { ref: 'refs/heads/main' }, ['check', 'deploy']],
    ['a branch is deployed by nobody', 'workflow_dispatch', { ref: 'refs/heads/main2' }, ['check']],
  ])('%s', async (_, event, payload, runs) => {
    const finished = await runWorkflow({
      repository,
      name: 'acme/gb',
      workflow: path,
      event,
      payload,
      home: folder,
      path: process.env.PATH ?? '',
      server: 'http://127.0.0.1:9',
    });
    expect(finished.code, finished.log).toBe(0);
    expect(finished.steps.map(({ name }) => name).sort(), finished.log).toEqual(runs);
  });
});

/** The jobs of a workflow of this repository. */
function jobOf(path: string): Record<string, { if?: string }> {
  return parse(readFileSync(join(root, path), 'utf8')).jobs;
}

/** As `lxc config show` prints it. */
function proxyContainer(ports: string[]): string {
  const devices = ports.map(
    (port) => `  http-${port}:\n    connect: tcp:127.0.0.1:${port}\n    listen: tcp:0.0.0.0:${port}\n    type: proxy\n`,
  );
  return `architecture: x86_64\nconfig: {}\ndevices:\n${devices.join('')}ephemeral: false\nprofiles:\n- default\nstateful: false\n`;
}

function textOf({ steps }: WorkflowFinished, name: string): string {
  return (steps.find((step: StepLog) => step.name === name)?.lines ?? []).join('\n');
}
