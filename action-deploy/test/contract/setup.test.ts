import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run as guard, Repository } from '../../../action-guard/test/harness.js';
import { startSshd } from '../../../testbed/sshd.js';
import { bundle } from '../harness.js';
import { least } from '../setup-tenant.js';

const setup = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bundle, 'setup', ...args], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
};

describe('setup in the bundle', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-setup-'));
  const root = join(folder, 'gb');
  const submodule = join(folder, 'botui');
  beforeAll(() => {
    for (const path of [root, submodule]) mkdirSync(path);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const write = () => setup(...least, '--write', root, '--write-submodule', submodule);
  const filesOf = (path: string) => {
    const below = join(path, '.forgejo/workflows');
    return Object.fromEntries(readdirSync(below).map((name) => [name, readFileSync(join(below, name), 'utf8')]));
  };

  it('prints everything a tenant needs, and writes nothing', () => {
    const { code, stdout, stderr } = setup(...least);
    expect([code, stderr]).toEqual([0, '']);
    for (const needed of [
      '.forgejo/workflows/deploy.yml',
      'secret DEPLOY_KEY',
      'ssh-keygen -q -t ed25519',
      'deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart system.service',
      'restrict,port-forwarding,permitopen="localhost:5858"',
    ])
      expect(stdout).toContain(needed);
    expect(readdirSync(root)).toEqual([]);
  });

  it('with --write writes the workflows, and a second time says that there is nothing to do', () => {
    expect(write()).toMatchObject({ code: 0, stderr: '' });
    const before = filesOf(root);
    expect([...Object.keys(before), ...Object.keys(filesOf(submodule))].sort()).toEqual([
      'clean.yml',
      'deploy.yml',
      'guard.yml',
      'root-pin.yml',
      'submodules.yml',
    ]);
    const times = () => Object.keys(before).map((name) => statSync(join(root, '.forgejo/workflows', name)).mtimeMs);
    const then = times();
    const { code, stdout } = write();
    expect([code, stdout]).toEqual([0, expect.stringMatching(/Nothing to do: every workflow is as it should be\.\n$/)]);
    expect([filesOf(root), times()]).toEqual([before, then]);
  });

  it('who writes those of the root alone is told of those of the submodules; who wrote both is not', () => {
    const hint = /A root that nobody pushed .* --write-submodule/;
    expect(setup(...least, '--write', root).stdout).toMatch(hint);
    expect(write().stdout).not.toMatch(hint);
  });

  it('the workflows pass every rule of the guard about workflows', async () => {
    const repository = new Repository();
    try {
      const files = { ...filesOf(root), ...filesOf(submodule) };
      repository.commit(
        Object.fromEntries(Object.entries(files).map(([name, text]) => [`.forgejo/workflows/${name}`, text])),
      );
      const { report, code } = await guard({ repository: repository.folder, tools: 'false', 'fail-on': 'warning' });
      const rules = report?.rules.filter(({ id }) => id.startsWith('ci/')) ?? [];
      expect(rules.length).toBeGreaterThanOrEqual(10);
      expect(rules.map(({ id, status }) => `${id} ${status}`)).toEqual(rules.map(({ id }) => `${id} pass`));
      expect([report?.findings, code]).toEqual([[], 0]);
    } finally {
      repository.remove();
    }
  });

  it('a workflow that was edited by hand stays, and the difference is shown with what to do', () => {
    const file = join(root, '.forgejo/workflows/clean.yml');
    appendFileSync(file, '# ours\n');
    const edited = readFileSync(file, 'utf8');
    const { code, stdout } = write();
    expect(stdout).toMatch(/kept: .*clean\.yml was edited by hand.*take over what you want/s);
    expect(stdout).toMatch(/^-# ours$/m);
    expect(readFileSync(file, 'utf8')).toBe(edited);
    expect(code).toBe(1);
  });

  it.each([
    ['no arguments', [], /^Error: 2 bad inputs: .*--tenant is required.*--forge is required/],
    [
      'a folder that is not there',
      [...least, '--write', join(folder, 'gone')],
      /gone is not there\. Nothing was written/,
    ],
    [
      'a file for a folder',
      [...least, '--write', root, '--write-submodule', bundle],
      /index\.js is not a folder\. Nothing was written/,
    ],
    ['a target script without a key', [...least, '--print', 'target'], /--public-key is missing/],
    [
      'a port where nobody answers',
      [...least, '--host', '127.0.0.1', '--port', '1', '--scan'],
      /127\.0\.0\.1, port 1, shows no host key/,
    ],
  ])('%s gives one sentence and exit code 1', (_, args, says) => {
    const { code, stdout, stderr } = setup(...args);
    expect(stderr).toMatch(says);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect([code, stdout]).toEqual([1, '']);
  });

  it('--scan shows what the network says with its fingerprint, and says that it is to be compared', async () => {
    const sshd = await startSshd({ hostKeys: ['rsa', 'ed25519'] });
    try {
      const way = [...least, '--host', sshd.host, '--port', String(sshd.port), '--scan', '--print', 'known-hosts'];
      const { code, stdout } = setup(...way);
      const lines = stdout.trimEnd().split('\n');
      expect(code).toBe(0);
      expect(lines.filter((line) => !line.startsWith('#')).sort()).toEqual(
        sshd.knownHosts.trimEnd().split('\n').sort(),
      );
      expect(lines.filter((line) => !line.startsWith('#'))[0]).toContain('ssh-ed25519');
      const { stdout: known } = spawnSync('ssh-keygen', ['-lf', join(sshd.dir, 'host_ed25519.pub')], {
        encoding: 'utf8',
      });
      expect(stdout).toContain(`# ${known.split(' ')[1]}`);
      expect(stdout).toMatch(/Compare with the target itself before you trust/);
    } finally {
      await sshd.stop();
    }
  });

  it('--help lists every option', () => {
    const { code, stdout } = setup('--help');
    expect(code).toBe(0);
    for (const option of ['--tenant', '--write', '--write-submodule', '--scan', '--print', '--from'])
      expect(stdout).toContain(option);
  });

  it('the bundle stays small, and setup is no part of what a deploy loads', () => {
    const dist = dirname(bundle);
    const bytes = readdirSync(dist).map((name) => statSync(join(dist, name)).size);
    expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(2.5 * 1024 * 1024);
    expect(readFileSync(fileURLToPath(new URL('../../dist/index.js', import.meta.url)), 'utf8')).not.toContain(
      'root-pin.yml',
    );
  });
});
