import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostFacts, LocalArtifact } from '../../src/facts.js';
import type { Inputs } from '../../src/inputs.js';
import { type HostPlan, makePlan } from '../../src/plan.js';
import type { RecordEntry } from '../../src/record.js';
import { artifactOf, factsOf, fileOf, hostOf, inputsOf, sha, unitOf } from '../facts-of.js';

function plan(artifacts: LocalArtifact[], host: Partial<HostFacts> = {}, inputs: Partial<Inputs> = {}): HostPlan {
  const [only] = makePlan(inputsOf(artifacts, inputs), factsOf(artifacts, hostOf(host))).hosts;
  return only as HostPlan;
}
const ids = ({ steps }: HostPlan) => steps.map(({ id }) => id);
const work = <Kind extends string>({ steps }: HostPlan, kind: Kind) =>
  steps.map((step) => step.work).find((each): each is Extract<typeof each, { kind: Kind }> => each.kind === kind);

const wanted = artifactOf();
const config = artifactOf({
  name: 'config',
  path: '/opt/gbo/conf/config',
  type: 'config',
  elf: undefined,
  units: ['caddy.service'],
  activate: { how: 'caddy' },
  check: 'caddy validate --config {file} --adapter caddyfile',
});
const caddy = unitOf({ name: 'caddy.service', execStart: ['/usr/bin/caddy'], runs: [] });
const caddyHosts = (old: string[] | undefined, now: string[] | undefined) => ({
  units: [caddy],
  caddyHosts: { [config.path]: { old, new: now } },
});

const both = { ...caddyHosts([], []), files: [fileOf(), fileOf()], units: [unitOf(), caddy] };

describe('a deploy is planned in this order', () => {
  it('prepare, arm, switch, activate, prove, watch, confirm, tidy', () => {
    expect(ids(plan([wanted]))).toEqual([
      'lock',
      'stage',
      'keep',
      'upload:botserver',
      'verify:botserver',
      'probe:botserver',
      'arm',
      'switch',
      'activate',
      'prove',
      'soak',
      'confirm',
      'prune',
      'unlock',
    ]);
  });

  it('every step says why, and what becomes of it when a later one fails', () => {
    for (const { why, undo, title } of plan([wanted, config], both).steps) {
      expect([why, undo, title].every((text) => text.length > 3)).toBe(true);
    }
  });

  it('nothing that runs is touched before the dead-man is armed, in any plan', () => {
    fc.assert(
      fc.property(
        fc.record({
          same: fc.boolean(),
          kind: fc.constantFrom('file' as const, 'none' as const),
          how: fc.constantFrom('restart' as const, 'reload' as const, 'none' as const),
          active: fc.constantFrom('active', 'inactive', 'failed'),
          type: fc.constantFrom('binary' as const, 'config' as const),
          pending: fc.boolean(),
        }),
        ({ same, kind, how, active, type, pending }) => {
          const artifact = artifactOf({ type, activate: { how } });
          const made = plan([artifact], {
            files: [
              kind === 'none'
                ? fileOf({ kind, sha256: undefined })
                : fileOf({ sha256: same ? wanted.sha256 : sha('a') }),
            ],
            units: [unitOf({ activeState: active })],
            pending: pending ? [{ release: '20250101T000000Z-000000000000', state: 'armed' }] : [],
          });
          if (made.verdict !== 'change') return;
          const order = made.steps.map(({ work: { kind: what } }) => what);
          const arm = order.indexOf('arm');
          for (const [index, what] of order.entries()) {
            if (['switch', 'activate', 'prove', 'soak', 'confirm'].includes(what)) expect(index).toBeGreaterThan(arm);
            if (['lock', 'upload', 'verify', 'keep', 'probe', 'check'].includes(what)) expect(index).toBeLessThan(arm);
          }
          expect(order.indexOf('confirm')).toBeGreaterThan(arm);
          expect(order[0]).toBe('lock');
        },
      ),
    );
  });
});

describe('what is planned depends on what is there', () => {
  it.each<[string, Partial<HostFacts>, HostPlan['verdict']]>([
    ['other bytes are there', {}, 'change'],
    ['nothing is there', { files: [fileOf({ kind: 'none', sha256: undefined })] }, 'change'],
    ['the wanted bytes are there and run', { files: [fileOf({ sha256: wanted.sha256 })] }, 'unchanged'],
    [
      'the wanted bytes are there, but the unit runs older ones',
      { files: [fileOf({ sha256: wanted.sha256 })], units: [unitOf({ runs: [] })] },
      'change',
    ],
    [
      'the wanted bytes are there, but the unit has failed',
      { files: [fileOf({ sha256: wanted.sha256 })], units: [unitOf({ activeState: 'failed' })] },
      'change',
    ],
    [
      'an old undo is unfinished',
      {
        files: [fileOf({ sha256: wanted.sha256 })],
        pending: [{ release: '20250101T000000Z-000000000000', state: 'undoing' }],
      },
      'change',
    ],
  ])('%s', (_, host, verdict) => {
    expect(plan([wanted], host).verdict).toBe(verdict);
  });

  it('what could not be told is no reason to restart, and not green either', () => {
    const untold = { units: [unitOf({ runs: undefined })], uid: 1000, user: 'deploy' };
    const same = plan([wanted], { ...untold, files: [fileOf({ sha256: wanted.sha256 })] });
    expect([same.verdict, same.refusals.join()]).toEqual([
      'refused',
      expect.stringMatching(
        /could not be told what system\.service runs; try `sudo -n sha256sum \/proc\/100\/exe` as deploy/,
      ),
    ]);
    // Restarted in any case, and the proof looks again.
    expect(plan([wanted], untold).verdict).toBe('change');
  });

  it.each<[string, Partial<HostFacts>, Partial<LocalArtifact>, HostPlan['verdict']]>([
    ['a unit was edited on disk', { units: [unitOf({ needsReload: true })] }, {}, 'refused'],
    ['no unit was edited', {}, {}, 'change'],
    [
      'a unit was edited, but nothing has to be done',
      { units: [unitOf({ needsReload: true })], files: [fileOf({ sha256: wanted.sha256 })] },
      {},
      'unchanged',
    ],
    ['a unit file comes', {}, { type: 'unit' }, 'refused'],
  ])('without a rule for daemon-reload, when %s', (_, host, artifact, verdict) => {
    const made = plan([artifactOf(artifact)], {
      uid: 1000,
      user: 'deploy',
      sudoMissing: ['systemctl daemon-reload'],
      ...host,
    });
    expect(made.verdict).toBe(verdict);
    if (verdict === 'refused')
      expect(made.refusals.join()).toContain('deploy ALL=(root) NOPASSWD: /usr/bin/systemctl daemon-reload');
  });

  it('only the changed one of two artifacts travels, and both belong to the release', () => {
    const ui = artifactOf({ name: 'botui', path: '/opt/gbo/bin/botui', units: ['ui.service'], sha256: sha('d') });
    const made = plan([wanted, ui], {
      files: [fileOf(), fileOf({ sha256: sha('d') })],
      units: [unitOf(), unitOf({ name: 'ui.service', execStart: [ui.path], runs: [ui.path] })],
    });
    expect(ids(made)).not.toContain('upload:botui');
    expect(work(made, 'activate')?.activation.restart).toEqual(['system.service']);
    expect(work(made, 'keep')?.links.map(({ to }) => to)).toContain(
      '/opt/gbo/bin/.gbo-deploy/releases/20260131T120000Z-0123456789ab/botui',
    );
  });

  it('a unit that did not run is started, and stopped again by the undo', () => {
    const made = plan([wanted], { units: [unitOf({ activeState: 'inactive', mainPid: 0, runs: [] })] });
    expect(work(made, 'activate')?.activation.restart).toEqual(['system.service']);
    expect(made.undo).toContain("systemctl stop 'system.service'");
  });
});

describe('what an undo does with a unit that was restarted', () => {
  it.each<[state: string, verb: 'restart' | 'stop' | 'start', isProven: boolean]>([
    ['active', 'restart', true],
    ['reloading', 'restart', true],
    ['activating', 'start', false],
    ['deactivating', 'start', false],
    ['inactive', 'stop', false],
    ['failed', 'stop', false],
  ])('%s before: %s', (activeState, verb, isProven) => {
    const { back } = plan([wanted], { units: [unitOf({ activeState })] });
    expect({ restart: back.restarted, stop: back.stopped, start: back.started }).toEqual({
      restart: [],
      stop: [],
      start: [],
      [verb]: ['system.service'],
    });
    expect([back.proofs.length > 0, back.soak.units.length > 0]).toEqual([isProven, isProven]);
  });
});

it('a Caddy that did not run is stopped by the undo and not restarted, although names came', () => {
  const host = { ...caddyHosts([], ['a.example.com']), units: [unitOf({ ...caddy, activeState: 'inactive' })] };
  const { back } = plan([config], host);
  expect([back.restarted, back.stopped]).toEqual([[], ['caddy.service']]);
});

describe('how a unit takes a config file', () => {
  it.each<[string, Partial<HostFacts>, { restart: string[]; reload: string[] }]>([
    [
      'Caddy is reloaded when no host name went away',
      caddyHosts(['a.example.com'], ['a.example.com', 'b.example.com']),
      { restart: [], reload: ['caddy.service'] },
    ],
    [
      'and restarted when one did',
      caddyHosts(['a.example.com', 'b.example.com'], ['a.example.com']),
      { restart: ['caddy.service'], reload: [] },
    ],
    [
      'and restarted when nobody could tell',
      caddyHosts(undefined, ['a.example.com']),
      { restart: ['caddy.service'], reload: [] },
    ],
    [
      'and started when it does not run',
      { ...caddyHosts([], []), units: [unitOf({ ...caddy, activeState: 'inactive' })] },
      { restart: ['caddy.service'], reload: [] },
    ],
  ])('%s', (_, host, expected) => {
    expect(work(plan([config], host), 'activate')?.activation).toMatchObject(expected);
  });

  it('its own program must accept it before anything is switched', () => {
    const order = ids(plan([config], caddyHosts([], [])));
    expect(order.indexOf('check:config')).toBeLessThan(order.indexOf('arm'));
  });

  it('a config file is copied, since people edit it in place', () => {
    expect(work(plan([config], caddyHosts([], [])), 'switch')?.moves[0]).toMatchObject({ copy: true });
    expect(work(plan([wanted]), 'switch')?.moves[0]).toMatchObject({ copy: false });
  });
});

describe('a host is refused, with what to do, when', () => {
  const elf = wanted.elf as NonNullable<LocalArtifact['elf']>;
  it.each<[string, Partial<LocalArtifact>, Partial<HostFacts>, RegExp]>([
    [
      'the processor is another',
      { elf: { ...elf, machine: 'aarch64' } },
      {},
      /built for aarch64, the target is x86_64/,
    ],
    ['its glibc is too old', { elf: { ...elf, glibc: '2.38' } }, {}, /needs GLIBC_2\.38, the target has 2\.36/],
    ['it has no glibc', {}, { glibc: undefined }, /needs glibc, and the target's C library is another/],
    ['the artifact is no ELF file', { elf: undefined }, {}, /not an ELF file/],
    [
      'the disk is nearly full',
      {},
      { files: [fileOf({ freeBytes: 120 * 1024 * 1024 })] },
      /120 MiB free .* 100 MiB are needed/,
    ],
    ['no inode is free', {}, { files: [fileOf({ freeInodes: 3 })] }, /3 inodes free/],
    ['the file system is read-only', {}, { files: [fileOf({ readOnly: true })] }, /read-only; remount/],
    [
      'the folder is not writable',
      {},
      { files: [fileOf({ writable: false })], user: 'deploy', uid: 1000 },
      /User deploy may not write in \/opt\/gbo\/bin/,
    ],
    [
      'the path is a link',
      {},
      { files: [fileOf({ kind: 'link', linkTarget: '/opt/x' })] },
      /symbolic link to \/opt\/x; give that path/,
    ],
    ['the path is a folder', {}, { files: [fileOf({ kind: 'folder' })] }, /is a folder/],
    [
      'something above is a file',
      {},
      { files: [fileOf({ kind: 'none', notFolder: '/opt/gbo' })] },
      /\/opt\/gbo is not a folder/,
    ],
    ['the file cannot be read', {}, { files: [fileOf({ sha256: undefined })] }, /may not read/],
    [
      'the unit is unknown',
      {},
      { units: [unitOf({ loadState: 'not-found' })] },
      /system\.service is not known on the target/,
    ],
    ['the unit is masked', {}, { units: [unitOf({ loadState: 'masked' })] }, /masked; run `systemctl unmask/],
    [
      'the unit starts something else',
      {},
      { units: [unitOf({ execStart: ['/usr/bin/other'] })] },
      /starts \/usr\/bin\/other, not/,
    ],
    ['a tool is missing', {}, { missingTools: ['flock'] }, /flock is not on the target; install it/],
    [
      'sudo lacks a rule',
      {},
      { uid: 1000, user: 'deploy', sudoMissing: ['systemctl restart system.service'] },
      /NOPASSWD: \/usr\/bin\/systemctl restart system\.service/,
    ],
    ['only root could give the file away', { owner: 'gbo:gbo' }, { uid: 1000, user: 'deploy' }, /Only root may give/],
    [
      'nobody could ask the health address',
      { health: [{ kind: 'http', url: 'http://localhost/', status: 200, timeoutMs: 1 }] },
      { forwarding: 'refused', hasCurl: false },
      /forbids forwarding and there is no curl/,
    ],
  ])('%s', (_, artifact, host, says) => {
    const made = plan([artifactOf(artifact)], host);
    expect(made.verdict).toBe('refused');
    expect(made.refusals.join('\n')).toMatch(says);
    expect(made.steps).toEqual([]);
  });

  it.each<[string, Partial<LocalArtifact>, Partial<HostFacts>]>([
    ['a static program needs no glibc', { elf: { ...elf, libc: 'static', glibc: undefined } }, { glibc: undefined }],
    ['i386 programs run on x86_64', { elf: { ...elf, machine: 'i386' } }, {}],
    ['file systems without a count of inodes', {}, { files: [fileOf({ freeInodes: 0 })] }],
    [
      'a refused forwarding where curl is there',
      { health: [{ kind: 'http', url: 'http://localhost/', status: 200, timeoutMs: 1 }] },
      { forwarding: 'refused', hasCurl: true },
    ],
  ])('but not for %s', (_, artifact, host) => {
    expect(plan([artifactOf(artifact)], host).refusals).toEqual([]);
  });
});

describe('releases', () => {
  const entry = (release: string, digit: string, change: Partial<RecordEntry> = {}): RecordEntry => ({
    release,
    result: 'deployed',
    time: '2026-01-01T00:00:00Z',
    artifacts: [{ path: wanted.path, type: 'binary', sha256: sha(digit), size: 1, mode: '0755', owner: 'root:root' }],
    ...change,
  });
  const id = (day: number) => `2026010${day}T000000Z-00000000000${day}`;
  const history = [1, 2, 3, 4, 5, 6].map((day) => entry(id(day), String(day)));
  const kept = history.map(({ release }) => release);
  const current = { record: history, files: [fileOf({ sha256: sha('6'), kept })] };

  it('the one before is the recorded one, when the file is what the record says', () => {
    expect(plan([wanted], current).previous).toBe(id(6));
  });

  it('a file changed by hand becomes a release of its own, so that there is a way back to it', () => {
    const made = plan([wanted], { ...current, files: [fileOf({ sha256: sha('e'), kept })] });
    expect(made.previous).toBe('20260101T000000Z-ffffffffffff');
    expect(work(made, 'confirm')?.record.join('\n')).toContain('"result":"adopted"');
  });

  it.each<[string, number, RecordEntry[], number[]]>([
    ['as many as asked for stay, counting the new one', 5, history, [1, 2]],
    ['keep 1 still leaves the one before', 1, history, [1, 2, 3, 4, 5]],
    ['keep 100 removes none', 100, history, []],
    [
      'a failed release goes, and uses up no place',
      5,
      history
        .map((each) => (each.release === id(5) ? { ...each, result: 'rolled-back' as const, previous: id(4) } : each))
        .concat(entry(id(6), '6')),
      [1, 5],
    ],
  ])('%s', (_, keep, record, gone) => {
    const made = plan([wanted], { ...current, record }, { keep });
    const removed = (work(made, 'prune')?.surplus.remove ?? [])
      .flat()
      .map((path) => Number(path.split('/').at(-2)?.at(-1)));
    expect(removed.sort()).toEqual(gone);
  });

  it.each<[string, Partial<Inputs>, RecordEntry[], string | RegExp]>([
    ['without a name: the one before', {}, history, id(5)],
    ['by name', { release: id(2) }, history, id(2)],
    [
      'never to one that failed',
      {},
      history
        .map((each) => (each.release === id(5) ? { ...each, result: 'rolled-back' as const, previous: id(4) } : each))
        .concat(entry(id(6), '6')),
      id(4),
    ],
    [
      'not to one that is gone',
      { release: '20250101T000000Z-999999999999' },
      history,
      /cannot be rolled back to here; possible: /,
    ],
    ['not without a record', {}, [], /no good release before the current one/],
    ['not to the one that runs', { release: id(6) }, history, /cannot be rolled back to here/],
  ])('a rollback goes %s', (_, inputs, record, expected) => {
    const made = plan([wanted], { ...current, record }, { mode: 'rollback', ...inputs });
    if (typeof expected === 'string') expect([made.verdict, made.release]).toEqual(['change', expected]);
    else expect(made.refusals.join()).toMatch(expected);
  });

  it('a rollback reports the sums of what it brings back', () => {
    const inputs = inputsOf([wanted], { mode: 'rollback' });
    const { sha256 } = makePlan(inputs, factsOf([], hostOf({ ...current, record: history })));
    expect(sha256).toEqual({ [wanted.path]: sha('5') });
  });

  it('a rollback uploads nothing, and looks whether the kept file is still what it was', () => {
    const order = ids(plan([wanted], current, { mode: 'rollback' }));
    expect(order.some((step) => step.startsWith('upload'))).toBe(false);
    expect(order).toContain('verify:botserver');
  });
});

describe('the dead-man waits for all that may lawfully take time', () => {
  it.each<[string, Partial<LocalArtifact>, Partial<HostFacts>, Partial<Inputs>, number]>([
    ['stopping, starting without a health check, soaking and a margin', {}, {}, {}, 90 + 60 + 3 + 30],
    [
      'the time of the slowest health check where there is one',
      { health: [5_000, 20_000].map((timeoutMs) => ({ kind: 'tcp', host: 'localhost', port: 1, timeoutMs })) },
      {},
      {},
      90 + 20 + 3 + 30,
    ],
    [
      'but not for ever on a unit that never stops',
      {},
      { units: [unitOf({ stopTimeoutMs: Number.POSITIVE_INFINITY })] },
      {},
      300 + 60 + 3 + 30,
    ],
    ['or as long as asked for', {}, {}, { confirmMs: 10_000 }, 10],
  ])('%s', (_, artifact, host, inputs, seconds) => {
    expect(work(plan([artifactOf(artifact)], host, inputs), 'arm')?.seconds).toBe(seconds);
  });
});
