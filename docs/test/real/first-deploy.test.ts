import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYaml, stringify } from 'yaml';
import { bundle } from '../../../action-deploy/test/harness.js';
import {
  binaryEntry,
  botserver,
  botui,
  startTenant,
  type Tenant,
  unitEntry,
} from '../../../action-deploy/test/tenant.js';
import { startAction } from '../../../testbed/run-action.js';
import { documents, root, type ShellBlock, shellBlocks, tenantDocuments } from '../documents.js';

const blocks = tenantDocuments.flatMap((path) =>
  shellBlocks(documents().find((document) => document.path === path) ?? { path, tokens: [] }),
);
const own = 'docs/test/real/first-deploy.test.ts';
const first = blocks.filter(({ heading }) => heading === 'A tenant in ten minutes');
const commands = (block: ShellBlock | undefined) => (block?.text ?? '').split('\n').filter((line) => line.trim());
const later = blocks.filter((block) => !first.includes(block) && !block.notRun && !block.runBy);

/**
 * The commands of the documents as they are written, names included: the forge's address leads to folders (git's insteadOf),
 * `lxc exec` enters the testbed's container, and `acme-system` is its address in a hosts file of this test alone.
 */
describe('an operator who follows the documents', () => {
  let tenant: Tenant;
  const home = mkdtempSync(join(tmpdir(), 'gbo-operator-'));
  const work = join(home, 'work');
  const hosts = join(home, 'hosts');
  // Not sh: it drops variables with a dash in their name, which is how a runner hands inputs over.
  const inAcme = ['unshare', '--mount', 'bash', '--norc', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts];
  const env = () => ({ PATH: `${join(home, 'bin')}:${process.env.PATH}`, HOME: home, LANG: 'C.UTF-8' });
  const git = (...args: string[]) =>
    execFileSync('git', args, { env: env(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  let secrets = { key: '', knownHosts: '' };

  /** Runs a block where its reader is, and gives what it printed. */
  function follow(block: ShellBlock | undefined, folder: string): Promise<string> {
    const [program = '', ...args] = [...inAcme, 'bash', '--norc', '-euo', 'pipefail', '-c', block?.text ?? 'false'];
    return new Promise((resolve, reject) => {
      execFile(program, args, { cwd: folder, env: env() }, (error, stdout, stderr) => {
        if (error) reject(new Error(`${block?.text}\n${stdout}${stderr}`));
        else resolve(stdout);
      }).stdin?.end();
    });
  }

  /** What the runner does after a push: the deploy step of the pushed workflow, with stand-ins for what cargo would build. */
  async function runnerDeploys(version: string): Promise<string> {
    const pushed = git('-C', join(home, 'forge/acme/gb'), 'show', 'main:.forgejo/workflows/deploy.yml');
    const step = parseYaml(pushed).jobs.deploy.steps.at(-1).with as Record<string, string>;
    const built = [await binaryEntry(botserver, { version }), await binaryEntry(botui, { version })];
    const entries = (parseYaml(step.artifacts ?? '') as object[]).map((entry, index) => ({
      ...entry,
      artifact: built[index]?.artifact,
    }));
    const inputs = {
      ...step,
      soak: '300ms',
      'private-key': secrets.key,
      'known-hosts': secrets.knownHosts,
      artifacts: stringify(entries),
    };
    return (await startAction(bundle, inputs, {}, inAcme).finished).log;
  }
  const version = async () => /"version":"([^"]+)"/.exec(await tenant.answer(botserver.port))?.[1];

  beforeAll(async () => {
    tenant = await startTenant('acme-system');
    await tenant.host.exec('userdel --remove deploy');
    for (const program of [botserver, botui]) {
      const text = readFileSync(String(unitEntry(tenant, program).artifact), 'utf8');
      await tenant.host.exec(`cat > /etc/systemd/system/${program.unit}.service << 'UNIT'\n${text}\nUNIT`);
    }
    await tenant.host.exec('systemctl daemon-reload');

    for (const folder of ['bin', 'work', '.ssh']) mkdirSync(join(home, folder));
    writeFileSync(hosts, `127.0.0.1 localhost\n${tenant.host.host} acme-system\n`);
    writeFileSync(
      join(home, '.gitconfig'),
      `[user]\n\tname = Acme\n\temail = acme@example.com\n[init]\n\tdefaultBranch = main\n[url "${join(home, 'forge')}/"]\n\tinsteadOf = https://forge.example.com/\n`,
    );
    writeFileSync(
      join(home, 'bin/lxc'),
      `#!/bin/sh\n[ "$1 $2 $3" = 'exec acme-system --' ] || { echo "lxc: $*" >&2; exit 2; }\nshift 3\nexec nsenter --target ${tenant.host.pid} --all --root --wd env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"\n`,
    );
    chmodSync(join(home, 'bin/lxc'), 0o755);

    // The action as it is released, and the tenant's root repository with a checkout.
    const action = join(home, 'forge/gbo/action-deploy');
    git('init', '--quiet', action);
    for (const path of ['dist', 'action.yml', 'README.md'])
      cpSync(join(root, 'action-deploy', path), join(action, path), { recursive: true });
    git('-C', action, 'add', '--all', '--force');
    git('-C', action, 'commit', '--quiet', '-m', 'Release');
    git('init', '--quiet', '--bare', join(home, 'forge/acme/gb'));
    git('clone', '--quiet', 'https://forge.example.com/acme/gb', join(work, 'gb'));
    git('-C', join(work, 'gb'), 'commit', '--quiet', '--allow-empty', '-m', 'Begin');
  });
  afterAll(async () => {
    await tenant?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('needs at most 12 commands for the first deploy, and each line is one', () => {
    const all = first.filter(({ document, runBy }) => document === 'README.md' && !runBy).flatMap(commands);
    expect(all.length).toBeGreaterThan(5);
    expect(all.length).toBeLessThanOrEqual(12);
    for (const line of all) expect(line).not.toMatch(/[;&|\\]\s*$|&&|\|\||; /);
  });

  it('the short form in the README of the action has the same commands', () => {
    const short = blocks.filter(({ document, runBy }) => document === 'action-deploy/README.md' && runBy === own);
    expect(short.flatMap(commands).length).toBeGreaterThan(3);
    for (const line of short.flatMap(commands)) expect(first.flatMap(commands)).toContain(line);
  });

  it('prepares the target, and is told that it is ready', async () => {
    const told = await follow(first[0], work);
    expect(told).toContain('acme-system: ready');
    const file = (name: string) => readFileSync(join(work, 'action-deploy', name), 'utf8');
    secrets = { key: file('deploy_key'), knownHosts: file('known_hosts') };
    expect(secrets.knownHosts).toBe(`acme-system ${tenant.host.hostKey}\n`);
  });

  it('writes and pushes the workflows, and the runner deploys', async () => {
    expect(await follow(first[1], join(work, 'action-deploy'))).toContain(
      'written: ../gb/.forgejo/workflows/deploy.yml',
    );
    expect(await runnerDeploys('1.0.0')).toContain('Result: deployed');
    expect(await version()).toBe('1.0.0');
    expect(await runnerDeploys('2.0.0')).toContain('Result: deployed');
    // From here on the documents speak of an operator with a key of his own.
    writeFileSync(join(home, '.ssh/id_ed25519'), secrets.key, { mode: 0o600 });
    writeFileSync(join(home, '.ssh/known_hosts'), secrets.knownHosts);
  });

  it.each(later.map((block, index) => [`${block.document}, ${block.heading} (${index + 1})`, block] as const))(
    'follows %s',
    async (_, block) => {
      const told = await follow(block, join(work, 'action-deploy'));
      if (block.text.includes('--mode status')) expect(told).toMatch(/acme-system: \d{8}T\d{6}Z-[0-9a-f]{12} since/);
      if (block.text.includes('--mode rollback')) {
        expect(told).toContain('Result: returned');
        expect(await version()).toBe('1.0.0');
      }
      if (block.text.includes('" return')) {
        expect(told).toContain('undo: undone by return');
        const further = block.text.includes('*.confirmed');
        expect(await version()).toBe(further ? '1.0.0' : '2.0.0');
        if (further) return;
        expect(await follow(block, work)).toContain('undo: was undone before');
        expect(await version()).toBe('2.0.0');
      }
    },
  );
});
