import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExpectedError } from '@gbo/shared/errors';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { inputs } from '../../src/inputs.js';
import { authorizedKey, secretLines, targetScript, tenantSudoers } from '../../src/setup/lines.js';
import { parse } from '../../src/setup/setup.js';
import { workflows } from '../../src/setup/workflows.js';
import { marked, writeMarked } from '../../src/setup/write.js';
import { asked, least } from '../setup-tenant.js';

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3uGGmCVjwW5CXkHgJYnwLgwX7vPEAsJ0ZVkfqpvyxT deploy acme';

describe('the options of setup', () => {
  const bad: [title: string, args: string[], says: RegExp][] = [
    ['no tenant', ['--forge', 'https://forge.example.com'], /--tenant is required and empty/],
    ['no Forgejo', ['--tenant', 'acme'], /--forge is required and empty/],
    ['a tenant with a slash', ['--tenant', 'a/b', ...least.slice(2)], /"a\/b" is not a name/],
    ['a tenant that begins with a dash', ['--tenant=-x', ...least.slice(2)], /"-x" is not a name/],
    ['a tenant with a quote and a newline', ['--tenant', "a'\nb", ...least.slice(2)], /is not a name/],
    ['a Forgejo without https', ['--tenant', 'acme', '--forge', 'forge.example.com'], /is not an address such as/],
    ['a Forgejo with a token', ['--tenant', 'acme', '--forge', 'https://a:b@example.com'], /a user or password/],
    [
      'an expression for a Forgejo',
      ['--tenant', 'acme', '--forge', `https://x/\${{ secrets.A }}`],
      /is not an address/,
    ],
    ['a host with a user', [...least, '--host', 'root@acme-system'], /is not a host name/],
    ['a host that is an option', [...least, '--host=-oProxyCommand=x'], /is not a host name/],
    ['a port beyond 65535', [...least, '--port', '65536'], /is not a port/],
    ['a user with a space', [...least, '--user', 'a b'], /is not a user name/],
    ['a user that is sudoers syntax', [...least, '--user', 'ALL=(ALL)'], /is not a user name/],
    ['a relative folder', [...least, '--folder', 'opt'], /is not a plain absolute path/],
    ['a folder with a space', [...least, '--folder', '/opt/a b'], /is not a plain absolute path/],
    ['the root as folder', [...least, '--folder', '/'], /"\/" is not a plain absolute path/],
    ...['/opt', '/etc', '/etc/gbo', '/usr/bin', '/usr/local/bin', '/var/lib', '/lib64/x'].map(
      (folder): [string, string[], RegExp] => [
        `a folder that is not for the binaries alone, ${folder},`,
        [...least, '--folder', folder],
        /is the system's, and deploy would own it/,
      ],
    ),
    ['a unit with a slash', [...least, '--ui-unit', 'a/b'], /is not a unit name/],
    ['a unit that systemd has not', [...least, '--ui-unit', 'ui.thing'], /is not a unit name/],
    ['one unit for both', [...least, '--ui-unit', 'system'], /server-unit and ui-unit are the same/],
    ['a health address without a scheme', [...least, '--ui-health', 'localhost:1'], /is not an address such as/],
    ['a health address with a quote', [...least, '--ui-health', 'http://a/"'], /is not an address such as/],
    ['addresses that close the quote', [...least, '--from', '10.0.0.7",command="x'], /is not a list of addresses/],
    [
      'a private key for the public one',
      [...least, '--public-key=-----BEGIN OPENSSH PRIVATE KEY-----'],
      /is a private key/,
    ],
    ['a value that looks like an option', [...least, '--host', '-x'], /Option '--host' argument is ambiguous\.$/],
    ['a public key of two lines', [...least, '--public-key', `${key}\n${key}`], /is not one line such as/],
    ['a public key with options', [...least, '--public-key', `command="x" ${key}`], /is not one line such as/],
    ['a key file that is not there', [...least, '--public-key', '@/nowhere/key.pub'], /cannot be read/],
    ['an unknown section', [...least, '--print', 'everything'], /is not one of all, workflows/],
    ['an unknown option', [...least, '--tennant', 'x'], /Unknown option '--tennant'/],
    ['a value for --scan', [...least, '--scan=maybe'], /--scan: is a switch without a value/],
    ['a word too many', ['acme'], /Unexpected argument 'acme'/],
  ];

  it.each(bad)('%s is answered with one sentence, and nothing is written', (_, args, says) => {
    const error = (() => {
      try {
        return parse(args);
      } catch (thrown) {
        return thrown;
      }
    })() as ExpectedError;
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(says);
    expect(error.what).not.toContain('\n');
    expect(error.message).toMatch(/Nothing was written\. `setup --help` lists all\.$/);
  });

  it('root may deploy to a folder of the system', () => {
    expect(asked('--user', 'root', '--folder', '/usr/local/bin').tenant.folder).toBe('/usr/local/bin');
  });

  it.each(['/opt/gbo', '/usr/local/gbo/bin', '/var/lib/gbo', '/home/deploy/bin'])('%s may be the folder', (folder) => {
    expect(asked('--folder', folder).tenant.folder).toBe(folder);
  });

  it('the host and the owner follow from the tenant', () => {
    expect(asked().tenant).toMatchObject({
      host: 'acme-system',
      owner: 'acme',
      origin: 'https://github.com/acme/',
      user: 'deploy',
    });
  });
});

describe('the workflows of setup', () => {
  const all = workflows(asked('--port', '2222', '--label', '123', '--root', 'null').tenant).map((workflow) => ({
    ...workflow,
    yaml: parseYaml(marked(workflow.text)),
  }));
  const stepsOf = (path: string) => {
    const jobs = all.find((workflow) => workflow.path.endsWith(path))?.yaml.jobs;
    return Object.values(jobs as Record<string, { steps: { uses?: string; with?: Record<string, string> }[] }>)[0]
      ?.steps;
  };
  const withOf = (path: string) => stepsOf(path)?.at(-1)?.with ?? {};

  it('are one for each of deploy, submodules, clean, guard, and one for submodules', () => {
    expect(all.map(({ repository, path }) => `${repository} ${path.split('/').at(-1)}`)).toEqual([
      'root deploy.yml',
      'root submodules.yml',
      'root clean.yml',
      'root guard.yml',
      'submodule root-pin.yml',
    ]);
  });

  it('names that YAML would read as something else stay names', () => {
    expect(
      all.map(({ yaml }) => Object.values(yaml.jobs as Record<string, { 'runs-on': string }>)[0]?.['runs-on']),
    ).toEqual(Array(5).fill('123'));
    expect(withOf('root-pin.yml').root).toBe('null');
  });

  it('the deploy workflow gives the action inputs that it takes', () => {
    const given = withOf('deploy.yml');
    const texts = new Map(Object.entries(given).map(([name, value]) => [name, String(value)]));
    // What comes from secrets is not to be had here; it is the only thing that is missing.
    texts.delete('private-key');
    texts.delete('known-hosts');
    expect(() => inputs.parse(texts)).toThrow(/^Bad input: input private-key is required and empty\. /);
    expect(texts.get('port')).toBe('2222');
  });

  it.each([
    ['deploy.yml', 'action-deploy'],
    ['submodules.yml', 'action-submodule-sync'],
    ['root-pin.yml', 'action-submodule-sync'],
    ['clean.yml', 'action-cache-clean'],
    ['guard.yml', 'action-guard'],
  ])('%s uses %s by its full address, with inputs that action.yml has', (path, action) => {
    const step = stepsOf(path)?.at(-1);
    expect(step?.uses).toBe(`https://forge.example.com/gbo/${action}@v1`);
    const { inputs: declared } = parseYaml(
      readFileSync(new URL(`../../../${action}/action.yml`, import.meta.url), 'utf8'),
    );
    for (const name of Object.keys(step?.with ?? {})) expect(Object.keys(declared)).toContain(name);
  });
});

describe('the lines of setup', () => {
  const { tenant } = asked('--public-key', key, '--from', '10.0.0.7, 10.1.0.0/24');

  it('the key may deploy and no more, and only from the addresses that were given', () => {
    expect(authorizedKey(tenant)).toBe(
      `from="10.0.0.7,10.1.0.0/24",restrict,port-forwarding,permitopen="localhost:5858",permitopen="localhost:5859" ${key}`,
    );
  });

  it('root needs no sudo rules, and others have no rule with a wildcard', () => {
    expect(tenantSudoers(asked('--user', 'root').tenant)).toEqual([]);
    const rules = tenantSudoers(tenant);
    expect(rules.length).toBeGreaterThan(5);
    for (const rule of rules) expect(rule).toMatch(/^deploy ALL=\(root\) NOPASSWD: \/usr\/bin\/[^*?]+$/);
  });

  it('no argument before the user of the undo takes a space, which would hide the user in it', () => {
    const rule = tenantSudoers(asked('--user', 'a.b').tenant).find((line) => line.includes('systemd-run'));
    expect(rule).toMatch(/NOPASSWD: \/usr\/bin\/systemd-run \^--uid=a\\\.b --quiet /);
  });

  it('the target script holds each of the lines as it is printed', () => {
    const script = targetScript(tenant);
    for (const line of [...tenantSudoers(tenant), authorizedKey(tenant)]) expect(script).toContain(line);
  });

  it('the secrets are those that the workflows name', () => {
    const named = workflows(tenant).flatMap(({ text }) => [...text.matchAll(/(secrets|vars)\.(\w+)/g)]);
    const wanted = [...new Set(named.map(([, kind, name]) => `${kind === 'vars' ? 'variable' : 'secret'} ${name}:`))];
    const told = secretLines(tenant).join('\n');
    expect(wanted).toHaveLength(3);
    for (const secret of wanted) expect(told).toContain(secret);
  });
});

describe('a file that setup writes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-setup-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const path = '.forgejo/workflows/a.yml';
  const file = join(folder, path);
  beforeEach(() => rmSync(join(folder, '.forgejo'), { recursive: true, force: true }));
  const write = async (text: string) => (await writeMarked(folder, path, text)).state;

  it('is written, then left alone, then renewed when setup would write another', async () => {
    expect([await write('a: 1\n'), await write('a: 1\n'), await write('a: 2\n')]).toEqual([
      'written',
      'unchanged',
      'updated',
    ]);
    expect(readFileSync(file, 'utf8')).toBe(marked('a: 2\n'));
    expect(readdirSync(join(folder, '.forgejo/workflows'))).toEqual(['a.yml']);
  });

  it('checked out with the line ends of Windows is unedited still, and is renewed as any other', async () => {
    await write('a: 1\n');
    writeFileSync(file, marked('a: 1\n').replaceAll('\n', '\r\n'));
    expect([await write('a: 1\n'), await write('a: 2\n')]).toEqual(['unchanged', 'updated']);
    writeFileSync(file, `${marked('a: 2\n')}b: 2\n`.replaceAll('\n', '\r\n'));
    const { state, ...kept } = await writeMarked(folder, path, 'a: 2\n');
    expect(state).toBe('kept');
    // Nothing but what was edited.
    expect('diff' in kept && kept.diff.match(/^[-+][^-+].*$/gm)).toEqual(['-b: 2']);
  });

  it.each([
    ['was edited by hand', `${marked('a: 1\n')}b: 2\n`],
    ['lost its first line', 'a: 1\n'],
    ['is of somebody else', 'name: ours\n'],
    ['is empty', ''],
  ])('and %s is left as it is, with a diff', async (_, text) => {
    await write('a: 1\n');
    writeFileSync(file, text);
    const written = await writeMarked(folder, path, 'a: 3\n');
    expect(written).toMatchObject({ state: 'kept', diff: expect.stringMatching(/^\+a: 3$/m) });
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it.each([
    ['a link for the file', () => symlinkSync('/etc/hostname', file), /a\.yml is a symbolic link/],
    ['a folder for the file', () => mkdirSync(file), /a\.yml is not a file/],
  ])('%s is refused, and not followed', async (_, make, says) => {
    mkdirSync(join(folder, '.forgejo/workflows'), { recursive: true });
    make();
    await expect(write('a: 1\n')).rejects.toThrow(says);
  });

  it('a link on the way is refused', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'gbo-setup-'));
    symlinkSync(elsewhere, join(folder, '.forgejo'));
    await expect(write('a: 1\n')).rejects.toThrow(/\.forgejo is a symbolic link/);
    expect(readdirSync(elsewhere)).toEqual([]);
    rmSync(elsewhere, { recursive: true });
    rmSync(join(folder, '.forgejo'));
  });

  it('what the disk does not take is said in one sentence', async () => {
    await expect(writeMarked(folder, `${'a'.repeat(300)}.yml`, 'a: 1\n')).rejects.toThrow(
      /cannot be written \(ENAMETOOLONG.*That file was not touched\. Mend that and run again\.$/,
    );
  });
});
