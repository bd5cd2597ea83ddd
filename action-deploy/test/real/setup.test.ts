import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYaml, stringify } from 'yaml';
import { bundle, run } from '../harness.js';
import { least } from '../setup-tenant.js';
import { binaryEntry, botserver, botui, startTenant, type Tenant, unitEntry } from '../tenant.js';

const rulesFile = '/etc/sudoers.d/gbo-deploy';
const keysFile = '/home/deploy/.ssh/authorized_keys';

describe('a tenant made ready by setup', () => {
  let tenant: Tenant;
  const folder = mkdtempSync(join(tmpdir(), 'gbo-setup-'));
  const keyFile = join(folder, 'deploy_key');
  const setup = (...args: string[]) =>
    execFileSync(process.execPath, [bundle, 'setup', ...least, '--host', tenant.host.host, ...args], {
      encoding: 'utf8',
    });
  const withKey = (...args: string[]) => setup('--public-key', `@${keyFile}.pub`, ...args);
  /** Gives a script to root on the target, past sshd, as `lxc exec` would. */
  const onTarget = (script: string) => tenant.host.exec(`sh -s << 'SCRIPT_ENDS'\n${script}\nSCRIPT_ENDS\n`);

  beforeAll(async () => {
    tenant = await startTenant();
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'deploy acme', '-f', keyFile]);
    // As on a container that has never heard of deploys: units of the platform, and no user for them.
    await tenant.host.exec('userdel --remove deploy');
    for (const program of [botserver, botui]) {
      const unit = String(unitEntry(tenant, program).artifact);
      await tenant.host.exec(
        `cat > /etc/systemd/system/${program.unit}.service << 'UNIT'\n${readFileSync(unit, 'utf8')}\nUNIT`,
      );
    }
    await tenant.host.exec('systemctl daemon-reload');
    setup('--write', folder);
  });
  afterAll(async () => {
    await tenant?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs the deploy step of the written workflow, with the secrets filled in and stand-ins for what cargo would build. */
  async function deploy(
    version: string,
    behaviour: Parameters<typeof binaryEntry>[1]['behaviour'] = 'healthy',
    ui = version,
  ) {
    const workflow = parseYaml(readFileSync(join(folder, '.forgejo/workflows/deploy.yml'), 'utf8'));
    const step = workflow.jobs.deploy.steps.at(-1).with as Record<string, string>;
    const built = [await binaryEntry(botserver, { version, behaviour }), await binaryEntry(botui, { version: ui })];
    const entries = (parseYaml(step.artifacts ?? '') as Record<string, string>[]).map((entry, index) => ({
      ...entry,
      artifact: built[index]?.artifact,
      'health-timeout': '10s',
    }));
    return run({
      ...step,
      soak: '300ms',
      'private-key': readFileSync(keyFile, 'utf8'),
      'known-hosts': knownHosts,
      artifacts: stringify(entries),
    });
  }
  let knownHosts = '';

  it('a folder that belongs to somebody else is left to them, with the choices, and nothing is changed', async () => {
    await tenant.host.exec('useradd gbuser; mkdir -p /opt/gbo/bin; chown gbuser:gbuser /opt/gbo/bin');
    const { code, stderr } = await onTarget(withKey('--print', 'target'));
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^\/opt\/gbo\/bin belongs to gbuser, and was left so: .*--user gbuser.*--folder.*chown deploy \/opt\/gbo\/bin\. Nothing was changed\.\n$/,
      ),
    ]);
    const after = await tenant.host.exec('stat -c %U:%G /opt/gbo/bin; id deploy; ls /etc/sudoers.d');
    expect(after.stdout).toBe('gbuser:gbuser\nREADME\n');
    // By one of the choices: the owner deploys.
    const owner = await onTarget(withKey('--user', 'gbuser', '--print', 'target'));
    expect(owner.code).toBe(0);
    await tenant.host.exec(`rm -r /opt/gbo ${rulesFile}; userdel --remove gbuser`);
  });

  it('the target script brings user, folder, key and rules there, and prints the known_hosts line', async () => {
    const { code, stdout, stderr } = await onTarget(withKey('--print', 'target'));
    expect([code, stdout]).toEqual([0, tenant.host.knownHosts]);
    expect(stderr).toMatch(
      /made the user deploy\n.*made \/opt\/gbo\/bin\n.*let the key in.*\nwrote \/etc\/sudoers\.d\/gbo-deploy/s,
    );
    knownHosts = stdout;
  });

  it('without the host key it prints no line that pins nothing, and says how to make one', async () => {
    const away = (from: string, to: string) => tenant.host.exec(`mv /etc/ssh/${from} /etc/ssh/${to}`);
    await away('ssh_host_ed25519_key.pub', 'away');
    try {
      const script = await onTarget(withKey('--print', 'target'));
      expect([script.code, script.stdout]).toEqual([1, '']);
      expect(script.stderr).toMatch(/this machine has no ed25519 host key\. `ssh-keygen -A` makes one/);
      const pasted = await onTarget(knownHostsCommand());
      expect([pasted.code === 0, pasted.stdout]).toEqual([false, '']);
    } finally {
      await away('away', 'ssh_host_ed25519_key.pub');
    }
    expect((await onTarget(knownHostsCommand())).stdout).toBe(tenant.host.knownHosts);
  });
  /** As `setup` prints it below DEPLOY_KNOWN_HOSTS. */
  const knownHostsCommand = () => /DEPLOY_KNOWN_HOSTS.*\n +(.*)/.exec(setup('--print', 'secrets'))?.[1] ?? 'false';

  it('a second time it changes nothing', async () => {
    const state = () =>
      tenant.host.exec(`stat -c '%n %i %Y %a %U' ${rulesFile} ${keysFile} /opt/gbo/bin /etc/passwd; ls /etc/sudoers.d`);
    const before = await state();
    expect(await onTarget(withKey('--print', 'target'))).toEqual({ code: 0, stdout: knownHosts, stderr: '' });
    expect(await state()).toEqual(before);
  });

  it('with the same key under other restrictions it changes nothing and says which line to replace', async () => {
    const before = await tenant.host.exec(`cat ${keysFile}`);
    const { code, stderr } = await onTarget(withKey('--from', '10.0.0.7', '--print', 'target'));
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/has this key with other restrictions.*from="10\.0\.0\.7"/s),
    ]);
    expect(await tenant.host.exec(`cat ${keysFile}`)).toEqual(before);
  });

  it('rules that somebody added by hand stay, and it says so', async () => {
    await tenant.host.exec(
      `cp -p ${rulesFile} /root/rules; echo 'deploy ALL=(root) NOPASSWD: /usr/bin/true' >> ${rulesFile}`,
    );
    const before = await tenant.host.exec(`cat ${rulesFile}`);
    const { code, stderr } = await onTarget(withKey('--print', 'target'));
    expect([code, stderr]).toEqual([1, expect.stringMatching(/gbo-deploy was edited by hand/)]);
    expect(await tenant.host.exec(`cat ${rulesFile}; ls ${rulesFile}.new 2>/dev/null`)).toMatchObject({
      stdout: before.stdout,
    });
    await tenant.host.exec(`mv /root/rules ${rulesFile}`);
  });

  it('its own rules of earlier are renewed', async () => {
    await onTarget(withKey('--server-unit', 'other', '--print', 'target'));
    expect((await tenant.host.exec(`cat ${rulesFile}`)).stdout).toContain('restart other.service');
    expect(await onTarget(withKey('--print', 'target'))).toMatchObject({ code: 0 });
    expect((await tenant.host.exec(`cat ${rulesFile}`)).stdout).not.toContain('other.service');
  });

  it('root is not led by a link to the keys of another', async () => {
    await tenant.host.exec(`mv ${keysFile} /root/keys; ln -s /root/.ssh/authorized_keys ${keysFile}`);
    const before = await tenant.host.exec('cat /root/.ssh/authorized_keys');
    expect((await onTarget(withKey('--print', 'target'))).code).not.toBe(0);
    expect(await tenant.host.exec('cat /root/.ssh/authorized_keys')).toEqual(before);
    await tenant.host.exec(`mv -f /root/keys ${keysFile}`);
  });

  it('the rules let nothing of the user run as root, whatever one argument holds', async () => {
    const undo = '/opt/gbo/bin/.gbo-deploy/undo';
    await tenant.host.exec(
      `runuser -u deploy -- sh -c 'mkdir -p ${undo}; echo "id -u > /tmp/ran-\\$(id -u)" > ${undo}/x.sh'`,
    );
    const start = '--quiet --collect --on-active=1 --timer-property=AccuracySec=100ms';
    const tries = [
      `${start} '--unit=gbo-undo-a --uid=deploy' /bin/sh ${undo}/x.sh dead-man`,
      `'--uid=deploy --quiet' --collect --on-active=1 --timer-property=AccuracySec=100ms --unit=gbo-undo-b /bin/sh ${undo}/x.sh dead-man`,
      `--uid=deploy --quiet --collect --on-active=1 --timer-property=AccuracySec=100ms '--unit=gbo-undo-c /bin/sh' ${undo}/x.sh dead-man`,
      `--uid=deploy ${start} --unit=gbo-undo-d /bin/sh ${undo}/x.sh dead-man`,
    ];
    for (const each of tries) await tenant.host.exec(`runuser -u deploy -- sudo -n systemd-run ${each}`);
    await tenant.host.exec('sleep 3');
    const { stdout: uid } = await tenant.host.exec('id -u deploy');
    const ran = await tenant.host.exec('cd /tmp; ls -d ran-*; rm -rf ran-* /opt/gbo/bin/.gbo-deploy');
    expect(ran.stdout).toBe(`ran-${uid}`);
  });

  it('the rules it wrote are the printed ones, and visudo takes them, those of odd unit names too', async () => {
    const printed = withKey('--print', 'sudoers');
    expect((await tenant.host.exec(`sed 1d ${rulesFile}; stat -c %a ${rulesFile}`)).stdout).toBe(`${printed}440\n`);
    const odd = setup('--print', 'sudoers', '--server-unit', 'bot:server@1-2', '--folder', '/opt/a.b-c');
    const judged = await tenant.host.exec(
      `cat > /etc/sudoers.d/odd << 'RULES'\n${odd}RULES\nvisudo -cf /etc/sudoers.d/odd && runuser -u deploy -- sudo -n -l -- systemctl restart bot:server@1-2.service; status=$?; rm /etc/sudoers.d/odd; exit $status`,
    );
    expect([judged.code, judged.stderr]).toEqual([0, '']);
  });

  it('by exactly these lines a user other than root deploys as the written workflow says', async () => {
    const finished = await deploy('1.0.0');
    expect(finished.log).toContain('Result: deployed');
    expect(await tenant.answer(botserver.port)).toContain('"version":"1.0.0"');
    expect(await tenant.answer(botui.port)).toContain('"version":"1.0.0"');
  });

  // Of another user's process the kernel tells nothing: what it runs is asked by sudo.
  const invocations = async () =>
    (await tenant.host.exec('systemctl show -P InvocationID system ui')).stdout.trim().split(/\n+/);

  it('the same deploy again restarts nothing', async () => {
    const before = await invocations();
    const { report, code } = await deploy('1.0.0');
    expect([code, report?.hosts[0]?.result]).toEqual([0, 'unchanged']);
    expect(await invocations()).toEqual(before);
  });

  it('a deploy that changes botui alone leaves the process of botserver alone', async () => {
    const before = await invocations();
    const { log } = await deploy('1.0.0', 'healthy', '1.0.1');
    expect(log).toContain('Result: deployed');
    const after = await invocations();
    expect([after[0], after[1] === before[1]]).toEqual([before[0], false]);
  });

  /** What the deploy user sees of both, by the inputs of the written workflow. */
  const status = async () => {
    const programs = [botserver, botui].map(({ path, unit }) => ({ path, unit }));
    const way = { ...tenant.way, user: 'deploy', 'private-key': readFileSync(keyFile, 'utf8') };
    const { code, log, outputs } = await run({ ...way, mode: 'status', artifacts: stringify(programs) });
    return { green: code === 0 && outputs.result === 'unchanged', release: outputs.release, log };
  };

  it('a process that does not run what lies at its path turns status red, and is restarted alone', async () => {
    expect(await status()).toMatchObject({ green: true, release: expect.stringMatching(/^\d{8}T/) });
    const { artifact } = await binaryEntry(botserver, { version: '1.1.0' });
    const bin = join(tenant.host.rootDir, 'opt/gbo/bin');
    copyFileSync(String(artifact), join(bin, 'other'));
    // A restart of Type=simple is over before the program is looked up.
    const runsIt = '[ "/proc/$(systemctl show --value -p MainPID system)/exe" -ef botserver ]';
    await tenant.host.exec(
      `cd /opt/gbo/bin && mv botserver right && mv other botserver && systemctl restart system && until ${runsIt}; do sleep 0.1; done && mv right botserver`,
    );
    const seen = await status();
    expect(seen).toMatchObject({ green: false, release: '' });
    expect(seen.log).toMatch(/no release is proven to run \(system\.service runs other bytes/);
    const before = await invocations();
    const { log } = await deploy('1.0.0', 'healthy', '1.0.1');
    expect(log).toContain('system.service is restarted: it does not run what lies at its path.');
    const after = await invocations();
    expect([after[0] === before[0], after[1]]).toEqual([false, before[1]]);
    expect(await tenant.answer(botserver.port)).toContain('"version":"1.0.0"');
  });

  it.each([
    ['that is stopped', 'systemctl stop ui', 'systemctl start ui', /ui\.service is inactive \(dead\)/],
    [
      'of which sudo tells nothing',
      `sed '/sha256sum/d' ${rulesFile} > /root/less; mv ${rulesFile} /root/rules; cp /root/less ${rulesFile}`,
      `mv /root/rules ${rulesFile}`,
      /could not be told what system\.service runs .*sudo -n sha256sum/,
    ],
  ])('status is red over a unit %s', async (_, make, mend, says) => {
    await tenant.host.exec(make);
    const { green, release, log } = await status();
    await tenant.host.exec(mend);
    expect([green, release]).toEqual([false, '']);
    expect(log).toMatch(says);
    expect((await status()).green).toBe(true);
  });

  it('a unit that somebody edited without daemon-reload is reloaded with the deploy', async () => {
    await edit('# one');
    const { log } = await deploy('1.0.0', 'healthy', '1.0.2');
    expect(log).toContain('ui.service was edited on disk without daemon-reload; it is reloaded with this deploy.');
    expect(log).toContain('Result: deployed');
  });
  const edit = (text: string) => tenant.host.exec(`echo '${text}' >> /etc/systemd/system/ui.service`);

  it('and without that rule a deploy that changes something is refused, with the line to add', async () => {
    await edit('# two');
    await tenant.host.exec(`cp -p ${rulesFile} /root/rules; sed -i '/daemon-reload/d' ${rulesFile}`);
    const before = await invocations();
    const refused = await deploy('1.0.0', 'healthy', '1.0.3');
    expect([refused.code, refused.report?.hosts[0]?.result]).toEqual([1, 'refused']);
    expect(refused.log).toMatch(
      /ui\.service was edited on the target without daemon-reload.*\ndeploy ALL=\(root\) NOPASSWD: \/usr\/bin\/systemctl daemon-reload\n/,
    );
    const { code, report } = await deploy('1.0.0', 'healthy', '1.0.2');
    expect([code, report?.hosts[0]?.result]).toEqual([0, 'unchanged']);
    expect(await invocations()).toEqual(before);
    await tenant.host.exec(`mv /root/rules ${rulesFile}; systemctl daemon-reload`);
    expect((await deploy('1.0.0')).log).toContain('Result: deployed');
  });

  it('check asks for the dead-man of a file without a unit too, and by its rules such a file is deployed', async () => {
    const limits = { path: '/opt/gbo/bin/limits.toml', type: 'config' };
    const way = { ...tenant.way, user: 'deploy', 'private-key': readFileSync(keyFile, 'utf8') };
    await tenant.host.exec(`mv ${rulesFile} /root/rules`);
    const { log, code } = await run({ ...way, ...limits, mode: 'check' });
    await tenant.host.exec(`mv /root/rules ${rulesFile}`);
    expect([code, log]).toEqual([1, expect.stringMatching(/no password-less sudo rule for `systemd-run --uid=deploy/)]);
    const deployed = await run({ ...way, ...limits, artifact: tenant.file('limits.toml', 'a = 1\n') });
    expect(deployed.log).toContain('Result: deployed');
    await tenant.host.exec('rm /opt/gbo/bin/limits.toml');
    // The record is of one state folder: what runs is to be its last word again.
    await deploy('1.0.0', 'healthy', '1.0.4');
    expect((await deploy('1.0.0')).log).toContain('Result: deployed');
  });

  it('and a bad release is rolled back by them too, with the journal of what failed', async () => {
    const { log, code } = await deploy('2.0.0', 'crash');
    expect(log).toMatch(/cannot reach its database/);
    expect(log).toContain('Result: rolled-back');
    expect(code).toBe(1);
    expect(await tenant.answer(botserver.port)).toContain('"version":"1.0.0"');
  });

  it('the key opens no terminal and forwards to nothing but the health addresses', async () => {
    const known = join(folder, 'known_hosts');
    writeFileSync(known, knownHosts);
    const way = ['-i', keyFile, '-o', `UserKnownHostsFile=${known}`, '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'];
    const ssh = (...args: string[]) => {
      try {
        return execFileSync('ssh', [...way, ...args], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'pipe'],
          timeout: 20_000,
        });
      } catch (error) {
        return String((error as { stderr?: string }).stderr);
      }
    };
    const to = `deploy@${tenant.host.host}`;
    expect(ssh('-tt', to, 'tty')).toMatch(/PTY allocation request failed|not a tty/);
    expect(ssh('-W', 'localhost:22', to)).toMatch(/administratively prohibited/);
  });

  // The line of every command that a deploy runs as root: without it there is a sentence, before anything is touched.
  it('without one of the rules the deploy is refused, and the sentence names the command', async () => {
    const rules = withKey('--print', 'sudoers').trimEnd().split('\n');
    const before = await tenant.host.exec(
      'systemctl show -P InvocationID system ui; tail -n 1 /opt/gbo/bin/.gbo-deploy/record.jsonl',
    );
    // Refusals cost a survey each: one of each kind is tried.
    const kinds = [/reset-failed ui/, /\^stop gbo-undo/, /sha256sum/];
    for (const kind of kinds) {
      const left = rules.filter((rule) => !kind.test(rule));
      expect(left).toHaveLength(rules.length - 1);
      await tenant.host.exec(`cat > ${rulesFile} << 'RULES'\n${left.join('\n')}\nRULES`);
      const { log, code } = await deploy('3.0.0');
      expect(log).toMatch(/User deploy has no password-less sudo rule for `[^`]+`; add with visudo on the target:/);
      expect(log.match(/no password-less sudo rule for `([^`]+)`/)?.[1]).toMatch(
        kind.source.includes('gbo-undo') ? /systemctl stop gbo-undo-/ : kind,
      );
      expect(code).toBe(1);
    }
    expect(
      await tenant.host.exec(
        'systemctl show -P InvocationID system ui; tail -n 1 /opt/gbo/bin/.gbo-deploy/record.jsonl',
      ),
    ).toEqual(before);
  });

  it('without the key line the deploy is refused with a sentence about authorized_keys', async () => {
    await tenant.host.exec(`: > ${keysFile}`);
    const { log, code } = await deploy('3.0.0');
    expect(log).toMatch(/did not accept the private key.*authorized_keys/s);
    expect(code).toBe(1);
  });

  it('a key that is bound to another address does not open, and the same sentence says so', async () => {
    const line = withKey('--from', '192.0.2.1', '--print', 'authorized-keys');
    await tenant.host.exec(`cat > ${keysFile} << 'KEYS'\n${line}KEYS`);
    expect((await deploy('3.0.0')).log).toMatch(/did not accept the private key/);
    const own = withKey('--from', '169.254.0.0/16', '--print', 'authorized-keys');
    await tenant.host.exec(`cat > ${keysFile} << 'KEYS'\n${own}KEYS`);
    // It opens: what stands against this deploy now is the rule that is still missing.
    expect((await deploy('3.0.0')).log).toMatch(/no password-less sudo rule for `sha256sum/);
  });
});
