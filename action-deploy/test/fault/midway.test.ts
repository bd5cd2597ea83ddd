import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startSshd } from '../../../testbed/sshd.js';
import { type Finished, type Running, run, start } from '../harness.js';
import { artifacts, botserver } from '../tenant.js';
import { inTime, reached } from './matrix.js';
import { configPath, programOf, type Release, Site, state } from './site.js';

const results = ({ report, outputs }: Finished) => report?.hosts.map((host) => host.result) ?? [outputs.result];

describe('what can happen in the middle of a deploy', () => {
  let site: Site;
  /** What runs before each test. */
  let before: Release;

  beforeAll(async () => {
    site = await Site.start('acme-midway', 'mkdir /opt/gbo && mount -t tmpfs -o size=240m tmpfs /opt/gbo');
    expect(results(await run(site.release().inputs))).toEqual(['deployed']);
  });
  afterAll(() => site?.stop());
  beforeEach(async () => {
    await site.link.restore();
    before = site.judge(await site.rest(), site.releases);
  });

  const at = (name: string) => ({ name, isAt: (line: string) => line.endsWith(`: ${name}`) });
  const after = (name: string) => ({ name, isAt: (line: string) => line.includes(`: ${name}: done`) });

  /** Halts the action at a moment, lets something happen, and lets it go on. */
  async function meanwhile(deploy: Running, moment: ReturnType<typeof at>, happens: () => Promise<unknown>) {
    await reached(moment, deploy);
    deploy.child.kill('SIGSTOP');
    await happens();
    deploy.child.kill('SIGCONT');
  }

  /** The target is at rest on one of these releases. */
  async function endsOn(...possible: Release[]) {
    return site.judge(await site.rest(), possible);
  }

  describe('while a file travels', () => {
    const faults: [name: string, happens: (deploy: Running) => unknown, ends: [number | null, string?]][] = [
      ['the link is cut', () => site.link.cut(), [1, 'failed']],
      ['the action is killed', ({ child }) => child.kill('SIGKILL'), [null]],
      ['the run is cancelled (SIGINT)', ({ child }) => child.kill('SIGINT'), [1, 'failed']],
    ];

    it.each(faults)(
      '%s: what runs is not touched, and the next deploy goes on where it was',
      async (_, happens, ends) => {
        const release = site.release({ program: await programOf({ sizeMiB: 40 }) });
        const deploy = start(release.inputs);
        await reached(at('upload botserver ...'), deploy);
        const { up } = site.link.counters;
        while (site.link.counters.up < up + 24 * 1024 * 1024) await sleep(1);
        await happens(deploy);
        const finished = await inTime(deploy, 20_000);
        expect([finished.code, finished.outputs.result]).toEqual([ends[0], ends[1]]);
        await site.link.restore();
        await endsOn(before);
        const next = await run(release.inputs);
        expect(next.log).toMatch(/upload botserver: done .*resumed at/);
        await endsOn(release);
      },
    );
  });

  describe('a cancelled run', () => {
    it('puts everything back when it had switched the files', async () => {
      const deploy = start(site.release().inputs);
      await reached(after('switch the files'), deploy);
      deploy.child.kill('SIGTERM');
      const finished = await inTime(deploy, 20_000);
      expect([finished.code, ...results(finished)]).toEqual([1, 'rolled-back']);
      expect(finished.log).toMatch(/Cancelled by SIGTERM\. Rolled back: .* runs again, proven/);
      await endsOn(before);
    });

    it('that is cancelled again while it puts things back leaves that to the target', async () => {
      const deploy = start({ ...site.release().inputs, soak: '20s' });
      await reached(at('watch it ...'), deploy);
      deploy.child.kill('SIGTERM');
      await reached({ name: 'putting back', isAt: (line) => line.includes(': putting back ') }, deploy);
      deploy.child.kill('SIGTERM');
      expect((await inTime(deploy, 20_000)).code).toBe(130);
      await endsOn(before);
    });
  });

  describe('the link and the servers on the way', () => {
    it('a second cut while the action puts things back is got over as well', async () => {
      const deploy = start(site.release().inputs);
      await reached(at('watch it ...'), deploy);
      await site.link.cut();
      await site.link.restore();
      await reached({ name: 'putting back', isAt: (line) => line.includes(': putting back ') }, deploy);
      await site.link.cut();
      await site.link.restore();
      const finished = await inTime(deploy, 30_000);
      expect([finished.code, ...results(finished)]).toEqual([1, 'rolled-back']);
      await endsOn(before);
    });

    it('a restart of sshd does not disturb a deploy', async () => {
      const release = site.release();
      const deploy = start(release.inputs);
      await meanwhile(deploy, at('activate ...'), () => site.tenant.host.exec('systemctl restart ssh'));
      expect(results(await inTime(deploy, 30_000))).toEqual(['deployed']);
      await endsOn(release);
    });

    it('an sshd that ends all sessions is called again, and everything is put back', async () => {
      const deploy = start(site.release().inputs);
      const end = 'for p in $(pgrep -P $(systemctl show -P MainPID ssh)); do kill -9 $p; done; systemctl restart ssh';
      await meanwhile(deploy, at('watch it ...'), () => site.tenant.host.exec(end));
      const finished = await inTime(deploy, 30_000);
      expect([finished.code, ...results(finished)]).toEqual([1, 'rolled-back']);
      await endsOn(before);
    });

    it('a jump host that goes down leaves the action in the dark, and the target undoes the switch', async () => {
      const jump = await startSshd();
      const { host } = site.tenant;
      const deploy = start({
        ...site.release().inputs,
        ...site.tenant.way,
        'jump-host': `${jump.user}@${jump.host}:${jump.port}`,
        'jump-private-key': jump.privateKey,
        'known-hosts': `${host.knownHosts}${jump.knownHosts}`,
      });
      await reached(at('watch it ...'), deploy);
      await jump.stop();
      const finished = await inTime(deploy, 30_000);
      expect([finished.code, ...results(finished)]).toEqual([1, 'unknown']);
      expect(finished.log).toMatch(/It could not be seen how the target stands\. It puts \S+ back by itself/);
      await endsOn(before);
    });
  });

  describe('another deploy that waits', () => {
    it('gets in when the holder of the lock is killed, and the first one does not disturb it', async () => {
      const [first, second] = [site.release(), site.release()];
      const one = start({ ...first.inputs, soak: '20s' });
      await reached(at('watch it ...'), one);
      const two = start(second.inputs);
      await reached({ name: 'waiting', isAt: (line) => line.includes(': waiting for the lock, held by ') }, two);
      await site.killHolder();
      const [ofOne, ofTwo] = await Promise.all([inTime(one, 60_000), inTime(two, 60_000)]);
      expect([ofTwo.code, ...results(ofTwo)]).toEqual([0, 'deployed']);
      expect(ofOne.code).toBe(1);
      expect(['rolled-back', 'unknown']).toContain(results(ofOne)[0]);
      await endsOn(second);
    });
  });

  describe('a disk that fills up', () => {
    const fill = () =>
      site.tenant.host.exec(
        'dd if=/dev/zero of=/opt/gbo/filler bs=64k 2>/dev/null; cat /dev/zero >> /opt/gbo/filler 2>/dev/null',
      );
    const free = () => site.tenant.host.exec('rm /opt/gbo/filler');

    it.each(['arm the dead-man', 'switch the files', 'activate'])(
      'after "%s" keeps nobody from going back, whole',
      async (step) => {
        const deploy = start(site.release().inputs);
        await meanwhile(deploy, after(step), fill);
        const finished = await inTime(deploy, 30_000);
        const seen = await site.rest();
        await free();
        expect([finished.code, ...results(finished)]).toEqual([1, 'rolled-back']);
        site.judge(seen, [before]);
      },
    );

    it('keeps the target from nothing either, when the action is killed as well', async () => {
      const deploy = start(site.release().inputs);
      await meanwhile(deploy, after('activate'), fill);
      deploy.child.kill('SIGKILL');
      const seen = await site.rest();
      await free();
      site.judge(seen, [before]);
    });

    it('does not spoil the record for the deploys that follow', async () => {
      const release = site.release();
      expect(results(await run(release.inputs))).toEqual(['deployed']);
      await endsOn(release);
    });
  });

  describe('somebody who edits a file that is being deployed', () => {
    const edit = () => site.tenant.host.exec(`echo theirs >> ${configPath}`);
    const config = async () => (await site.tenant.host.exec(`cat ${configPath}`)).stdout;
    /** Deploys over the edited file, which has to go as well as over any other. */
    const deployOver = async () => {
      const next = site.release();
      const { log, outputs } = await run(next.inputs);
      expect([outputs.result, log]).toEqual(['deployed', expect.any(String)]);
      await endsOn(next);
      const kept = `${configPath.replace('botserver.toml', '')}.gbo-deploy/releases/${outputs.previous}/botserver.toml`;
      return (await site.tenant.host.exec(`cat ${kept}`)).stdout;
    };

    it('before the switch keeps it, and no other file is switched', async () => {
      const touched = async () => (await site.tenant.host.exec('stat -c %z /etc/systemd/system/system.service')).stdout;
      const was = await touched();
      const deploy = start(site.release().inputs);
      await meanwhile(deploy, at('upload botserver ...'), edit);
      const finished = await inTime(deploy, 30_000);
      expect([finished.code, ...results(finished)]).toEqual([1, 'rolled-back']);
      expect(finished.log).toContain(`${configPath} was changed by somebody else and was left as it is.`);
      const seen = await site.rest();
      expect(await config()).toBe(`release = ${before.number}\ntheirs\n`);
      expect(seen.sha256[botserver.path]).toBe(before.sha256[botserver.path]);
      // Put there and taken back, it would be another copy, with a change time of its own.
      expect(await touched()).toBe(was);
      expect(await deployOver()).toBe(`release = ${before.number}\ntheirs\n`);
    });

    it('after the switch keeps it, and status does not pass it for what was deployed', async () => {
      const release = site.release();
      const deploy = start(release.inputs);
      await meanwhile(deploy, at('watch it ...'), edit);
      expect(results(await inTime(deploy, 30_000))).toEqual(['deployed']);
      const status = await run({ ...release.inputs, mode: 'status' });
      expect([status.code, status.log]).toEqual([1, expect.stringContaining(`${configPath} was changed after`)]);
      expect(await deployOver()).toBe(`release = ${release.number}\ntheirs\n`);
    });

    it('after the switch keeps it also when the release is taken back, and the next deploy is not held up', async () => {
      const release = site.release();
      const deploy = start(release.inputs);
      await meanwhile(deploy, at('watch it ...'), edit);
      deploy.child.kill('SIGKILL');
      const seen = await site.rest();
      expect(seen.sha256[botserver.path]).toBe(before.sha256[botserver.path]);
      expect(await config()).toBe(`release = ${release.number}\ntheirs\n`);
      await deployOver();
    });
  });

  describe('a unit', () => {
    it('that systemd cannot read is refused before anything is switched', async () => {
      const finished = await run(site.release({ service: ['[Service', 'ExecStart='] }).inputs);
      expect([finished.code, ...results(finished)]).toEqual([1, 'failed']);
      expect(finished.log).toMatch(/systemd-analyze verify refused .*system\.service.*Nothing that runs was touched/);
      await endsOn(before);
    });

    it('that does not end by SIGTERM is waited for, on the way there and back', async () => {
      const service = ['TimeoutStopSec=2s'];
      const stubborn = site.release({ program: await programOf({ behaviour: 'ignores-sigterm' }), service });
      expect(results(await run(stubborn.inputs))).toEqual(['deployed']);
      const entry = { 'health-timeout': '1s' };
      const ill = site.release({ program: await programOf({ behaviour: 'unhealthy' }), service, entry });
      expect(results(await run(ill.inputs))).toEqual(['rolled-back']);
      await endsOn(stubborn);
      const next = site.release({ service });
      const there = await run(next.inputs);
      expect(results(there)).toEqual(['deployed']);
      expect(Number(there.outputs['downtime-ms'])).toBeGreaterThan(1900);
      await endsOn(next);
    });
  });

  it('an activation that leaves a process behind holds up no undo', async () => {
    const left = `command nohup sleep 60 >/dev/null 2>&1 & systemctl restart ${botserver.unit}`;
    const deploy = start(site.release({ entry: { activate: left } }).inputs);
    await reached(at('watch it ...'), deploy);
    await site.link.cut();
    await site.link.restore();
    const finished = await inTime(deploy, 30_000);
    expect([finished.code, ...results(finished)]).toEqual([1, 'rolled-back']);
    await endsOn(before);
  });

  it('an undo that begins between two moves of the switch waits for the last of them', async () => {
    const folder = '/opt/gbo/many';
    const many = (text: string) => ({
      ...site.way,
      'state-dir': `${folder}/.gbo-deploy`,
      ...artifacts(
        ...Array.from({ length: 20 }, (_, index) => ({
          artifact: site.tenant.file(`${text}-${index}`, `${text}\n`),
          path: `${folder}/file-${index}`,
        })),
      ),
    });
    expect(results(await run(many('old')))).toEqual(['deployed']);
    const deploy = start(many('new'));
    await reached(at('arm the dead-man ...'), deploy);
    // The script of the switch is halted with some files moved and others not, as a slow disk would hold it up.
    const scripts = `$(pgrep -f 'ev[a]l "..cat.')`;
    const halt = `until grep -q new ${folder}/file-2; do :; done; pids=${scripts}; kill -STOP $pids; echo $pids`;
    const { stdout: pids } = await site.tenant.host.exec(halt);
    const halted = await site.tenant.host.exec(`sort ${folder}/file-* | uniq`);
    deploy.child.kill('SIGKILL');
    await sleep(1000);
    await site.tenant.host.exec(`kill -CONT ${pids}`);
    const undone = `cd ${folder}/.gbo-deploy/undo; until ls *.undone >/dev/null 2>&1 && [ -z "${scripts}" ]; do sleep 0.1; done`;
    await site.tenant.host.exec(undone, { timeoutMs: 20_000 });
    const { stdout } = await site.tenant.host.exec(`sort ${folder}/file-* | uniq`);
    expect([halted.stdout, stdout]).toEqual(['new\nold\n', 'old\n']);
  });

  it('a change of the file mode alone is carried out, and taken back with the release', async () => {
    const mode = async () => (await site.tenant.host.exec(`stat -c %a ${configPath}`)).stdout.trim();
    const only = (change: Record<string, string>) => ({
      ...site.way,
      soak: '300ms',
      ...artifacts({
        artifact: site.tenant.file('botserver.toml', `release = ${before.number}\n`),
        path: configPath,
        'file-mode': '0600',
        ...change,
      }),
    });
    const was = await mode();
    const ill = await run(
      only({ 'health-command': `[ "$(stat -c %a ${configPath})" != 600 ]`, 'health-timeout': '1s' }),
    );
    expect([results(ill), await mode()]).toEqual([['rolled-back'], was]);
    expect(results(await run(only({})))).toEqual(['deployed']);
    expect(await mode()).toBe('600');
    expect(results(await run(only({})))).toEqual(['unchanged']);
  });

  describe('a user other than root', () => {
    let way: Record<string, string>;
    const only = (release: Release) => {
      const entry = (release.inputs.artifacts ?? '').split('\n- ')[0];
      return { ...release.inputs, ...way, artifacts: `${entry}\n` };
    };

    beforeAll(async () => {
      way = { user: 'deploy', 'private-key': site.tenant.host.deployUserKey };
      await site.tenant.host.exec('chown -R deploy /opt/gbo/bin');
      const { log } = await run({ ...only(site.release()), mode: 'check' });
      const lines = log.split('\n').filter((line) => line.startsWith('deploy ALL=(root) NOPASSWD: '));
      await site.tenant.host.exec(`cat > /etc/sudoers.d/gbo-deploy << 'EOF'\n${[...new Set(lines)].join('\n')}\nEOF`);
    });

    /** Only the binary travels here, so that only the binary can tell. */
    async function runs(): Promise<string | undefined> {
      const seen = await site.rest();
      expect(seen.sha256.exe).toBe(seen.sha256[botserver.path]);
      return seen.sha256.exe;
    }

    it('has the same undo by the printed sudoers lines: of the lock, when the action is killed', async () => {
      const was = await runs();
      const deploy = start(only(site.release()));
      await reached(at('watch it ...'), deploy);
      deploy.child.kill('SIGKILL');
      expect(await runs()).toBe(was);
    });

    it('and of the timer, when who holds the lock is killed as well', async () => {
      const was = await runs();
      const deploy = start({ ...only(site.release()), 'confirm-timeout': '4s' });
      await reached(at('watch it ...'), deploy);
      deploy.child.kill('SIGSTOP');
      await site.killHolder();
      deploy.child.kill('SIGKILL');
      expect(await runs()).toBe(was);
      const { stdout } = await site.tenant.host.exec(`tail -n 1 ${state}/record.jsonl`);
      expect(JSON.parse(stdout)).toMatchObject({ result: 'rolled-back', by: 'dead-man' });
    });
  });
});
