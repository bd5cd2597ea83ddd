import { describe, expect, it } from 'vitest';
import type { ArtifactSpec } from '../../src/artifact-input.js';
import type { HostFacts, LostHost } from '../../src/facts.js';
import type { RecordEntry } from '../../src/record.js';
import { statusReport } from '../../src/status.js';
import { artifactOf, factsOf, fileOf, hostOf, inputsOf, sha, unitOf } from '../facts-of.js';

const wanted = artifactOf();
const release = '20260101T000000Z-000000000001';
const entry = (type: RecordEntry['artifacts'][number]['type'] = 'binary'): RecordEntry => ({
  release,
  result: 'deployed',
  time: '2026-01-01T00:00:00Z',
  artifacts: [{ path: wanted.path, type, sha256: sha('a'), size: 1, mode: '0755', owner: 'root:root' }],
});

/** Status of a host on which all is well but for what a case changes; where no file travels, only the record knows types. */
function status(host: Partial<HostFacts> = {}, artifact: Partial<ArtifactSpec> = {}, lost: LostHost[] = []) {
  const artifacts = [{ ...wanted, type: undefined, ...artifact }];
  const there = hostOf({ record: [entry()], files: [fileOf({ kept: [release] })], ...host });
  const report = statusReport(inputsOf(artifacts, { mode: 'status' }), { ...factsOf([], there), lost });
  const { result, release: told } = report.outputs;
  return { green: report.failed === undefined && result === 'unchanged', release: told, failed: report.failed, report };
}
const unit = (change: Parameters<typeof unitOf>[0]) => ({ units: [unitOf(change)] });
const deleted = `${wanted.path} (deleted)`;
const idle = { activeState: 'inactive', subState: 'dead', mainPid: 0, runs: [] };

describe('status is green', () => {
  it.each<[string, Partial<HostFacts>, Partial<ArtifactSpec>]>([
    ['when the units run the files that the record names', {}, {}],
    ['over a unit that ends by itself', unit({ ...idle, type: 'oneshot' }), {}],
    ['over an idle unit that a socket or timer starts', unit({ ...idle, triggeredBy: 'system.socket' }), {}],
    ['over an idle unit that is left to an operator', unit(idle), { activate: { how: 'none' } }],
    ['over a config file, whatever program reads it', { ...unit({ runs: [] }), record: [entry('config')] }, {}],
    [
      'over a config file whose program could not be seen',
      { ...unit({ runs: undefined }), record: [entry('config')] },
      {},
    ],
  ])('%s', (_, host, artifact) => {
    expect(status(host, artifact)).toMatchObject({ green: true, release });
  });
});

describe('status is red, names no release and says why, when', () => {
  it.each<[string, Partial<HostFacts>, RegExp]>([
    [
      'the process runs a file that was replaced',
      unit({ runs: [], exe: deleted }),
      /system\.service runs .*botserver \(deleted\) in place of/,
    ],
    [
      'the process runs another program',
      unit({ runs: [], exe: '/usr/bin/other' }),
      /system\.service runs \/usr\/bin\/other in place of/,
    ],
    ['the process runs other bytes, by their hash', unit({ runs: [] }), /system\.service runs other bytes/],
    [
      'it could not be told what the process runs',
      unit({ runs: undefined }),
      /could not be told what system\.service runs/,
    ],
    [
      'the unit has failed',
      unit({ ...idle, activeState: 'failed', subState: 'failed' }),
      /system\.service is failed \(failed\)/,
    ],
    ['the unit is stopped', unit(idle), /system\.service is inactive \(dead\)/],
    [
      'the unit is between two crashes',
      unit({ ...idle, activeState: 'activating', subState: 'auto-restart' }),
      /is activating \(auto-restart\)/,
    ],
    ['the unit is gone', unit({ ...idle, loadState: 'not-found' }), /system\.service is not-found/],
    [
      'a file was changed',
      { files: [fileOf({ sha256: sha('e') })] },
      /was changed after .* was deployed.*keeps what is there/,
    ],
    ['there is no record', { record: [] }, /is in no record/],
    ['an undo is pending', { pending: [{ release, state: 'undoing' }] }, /the undo of .* is undoing/],
  ])('%s', (_, host, says) => {
    const { green, failed, report } = status(host);
    expect([green, report.outputs.result]).toEqual([false, 'unknown']);
    expect(failed).toMatch(says);
    if (!host.pending) expect(report.outputs.release).toBe('');
  });

  it('a host was not reached; of those that answer it tells all the same', () => {
    const { green, release: told, failed, report } = status({}, {}, [{ host: 'acme-two', reason: 'It is off.' }]);
    expect([green, told, failed]).toEqual([false, release, 'acme-two: it could not be told what runs. It is off.']);
    expect(report.log.map(({ title }) => title)).toEqual([
      `acme-system: ${release} since 2026-01-01T00:00:00Z`,
      'acme-two: unknown',
    ]);
    expect(JSON.parse(report.outputs.report ?? '').hosts).toMatchObject([
      { release },
      { host: 'acme-two', unknown: 'It is off.' },
    ]);
  });
});
