import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { activationScript } from '../../src/activation-script.js';
import type { Activation } from '../../src/steps.js';

const folder = mkdtempSync(join(tmpdir(), 'gbo-activation-'));
afterAll(() => rmSync(folder, { recursive: true }));
const calls = join(folder, 'calls');

const nothing: Activation = {
  daemonReload: false,
  restart: [],
  reload: [],
  signals: [],
  commands: [],
  stop: [],
  start: [],
  restartOnUndo: [],
};

/** What the script asks of systemd, where a unit has been restarted `restarts` times by itself; and its verdict. */
function asks(activation: Partial<Activation>, onUndo: boolean, restarts = 0, failing = ''): string[] {
  const systemctl = `systemctl() {
    case "$*" in *NRestarts*) echo ${restarts}; return;; esac
    echo "$*" >> ${calls}
    [ "$1" != ${failing || 'none'} ]
  }`;
  writeFileSync(calls, '');
  const script = `${systemctl}\nS=\n${activationScript({ ...nothing, ...activation }, onUndo)}\necho "failed=$activation_failed"`;
  const verdict = execFileSync('sh', ['-c', script]).toString().trim().split('\n').at(-1) ?? '';
  return [...readFileSync(calls, 'utf8').trim().split('\n'), verdict];
}

describe('what a unit is told', () => {
  it.each<[string, Partial<Activation>, boolean, number, string[]]>([
    [
      'a healthy unit gets one restart, the shortest down-time',
      { restart: ['a.service'] },
      false,
      0,
      ['reset-failed a.service', 'restart a.service'],
    ],
    [
      'a crashing one is stopped, forgiven and started, so that its counter does not accuse the release that follows',
      { restart: ['a.service'] },
      false,
      3,
      ['reset-failed a.service', 'stop a.service', 'reset-failed a.service', 'start a.service'],
    ],
    [
      'as is one that is put back',
      { restart: ['a.service'] },
      true,
      0,
      ['reset-failed a.service', 'stop a.service', 'reset-failed a.service', 'start a.service'],
    ],
    [
      'new unit files are read first',
      { restart: ['a.service'], daemonReload: true },
      false,
      0,
      ['daemon-reload', 'reset-failed a.service', 'restart a.service'],
    ],
    ['a reload is a reload', { reload: ['a.service'] }, false, 0, ['reload a.service']],
    [
      'a signal goes to the main process only',
      { signals: [{ unit: 'a.service', signal: 'HUP' }] },
      false,
      0,
      ['kill --kill-who=main -s HUP a.service'],
    ],
    [
      'a unit that did not run before is stopped again',
      { stop: ['a.service'] },
      true,
      0,
      ['reset-failed a.service', 'stop a.service'],
    ],
  ])('%s', (_, activation, onUndo, restarts, expected) => {
    expect(asks(activation, onUndo, restarts)).toEqual([...expected, 'failed=0']);
  });

  it('what will not reload is restarted when it has to be put back, and only then', () => {
    expect(asks({ reload: ['a.service'] }, true, 0, 'reload')).toEqual([
      'reload a.service',
      'restart a.service',
      'failed=0',
    ]);
    expect(asks({ reload: ['a.service'] }, false, 0, 'reload')).toEqual(['reload a.service', 'failed=1']);
  });

  it('a unit that was about to start is started again when it is put back, and may fail as it did', () => {
    const expected = [
      'reset-failed a.service',
      'stop a.service',
      'reset-failed a.service',
      'start a.service',
      'failed=0',
    ];
    expect(asks({ start: ['a.service'] }, true, 0, 'start')).toEqual(expected);
  });

  it('a failing command fails the activation; put back, the units are restarted in its place', () => {
    const commands = [{ command: 'exit 3', units: ['a.service'] }];
    expect(asks({ commands }, false).at(-1)).toBe('failed=1');
    const afresh = ['stop a.service', 'reset-failed a.service', 'start a.service'];
    expect(asks({ commands }, true)).toEqual([...afresh, 'failed=0']);
    expect(asks({ commands }, true, 0, 'start')).toEqual([...afresh, 'failed=1']);
    expect(asks({ commands: [{ command: 'exit 3', units: [] }] }, true).at(-1)).toBe('failed=1');
  });
});
