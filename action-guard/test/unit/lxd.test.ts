import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lxd } from '../../src/rules/lxd/index.js';
import { check, testSamples } from './samples.js';

testSamples(lxd);

/** What a real LXD 5.0.2 printed of three containers, two profiles and a forward. */
const dir = join(__dirname, 'lxd-printed');
const printed = new Map(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), 'utf8')]));
const files = (...names: string[]) => Object.fromEntries(names.map((name) => [`lxd/${name}`, printed.get(name) ?? '']));
const says = (id: string, head: Record<string, string>, base?: Record<string, string>) =>
  check(lxd, id, { name: '', files: head, base }).map(
    ({ status, at, message }) => `${status} ${at.path}:${at.line} ${message}`,
  );

describe('what a real LXD prints', () => {
  it.each(['list.json', 'list.yaml'])('%s: the system container is privileged by its profile', (name) => {
    expect(says('lxd/system-privileged', files(name))).toEqual([]);
  });

  it('config show without the profile beside it: it cannot be told', () => {
    expect(says('lxd/system-privileged', files('acme-system.yaml'))).toEqual([
      expect.stringMatching(/^unknown .*profile gbo/),
    ]);
    expect(says('lxd/system-privileged', files('acme-system.yaml', 'profile-gbo.yaml'))).toEqual([]);
    expect(says('lxd/system-privileged', files('acme-system.expanded.yaml'))).toEqual([]);
  });

  it('expanded, without the setting: it is not privileged', () => {
    const text = (printed.get('acme-system.expanded.yaml') ?? '').replace(/.*security.privileged.*\n/, '');
    expect(says('lxd/system-privileged', { 'lxd/acme-system.expanded.yaml': text })).toHaveLength(1);
  });

  it.each(['acme-alm-ci.yaml', 'acme-alm-ci.expanded.yaml', 'acme-alm-ci.devices.yaml', 'list.json', 'list.yaml'])(
    '%s: the CI container has a disk too many',
    (name) => {
      expect(says('lxd/ci-disk', files(name))).toEqual([expect.stringMatching(/^fail .*shared/)]);
    },
  );

  it.each(['acme-proxy.yaml', 'acme-proxy.expanded.yaml', 'acme-proxy.devices.yaml', 'list.json', 'list.yaml'])(
    '%s: every port that it opens is missed when the file is deleted',
    (name) => {
      expect(says('lxd/port-removed', files(name), files(name))).toEqual([]);
      const lost = says('lxd/port-removed', {}, files(name)).join('\n');
      for (const port of ['80', '443', '25', '465', '587', '993', '995', '143', '110', '4190', '53/udp'])
        expect(lost).toMatch(new RegExp(`\\b${port}\\b`));
    },
  );

  it('a network forward is found', () => {
    expect(says('lxd/network-forward', files('forward.yaml'))).toHaveLength(1);
    expect(says('lxd/network-forward', files('list.json', 'acme-proxy.yaml', 'profile-default.yaml'))).toEqual([]);
  });
});

describe('the preset for Incus', () => {
  const show = 'architecture: x86_64\nconfig: {}\ndevices: {}\nephemeral: false\nprofiles: [default]\n';
  it('knows instances by their bare roles', () => {
    const sample = { name: '', files: { 'incus/system.yaml': show, 'incus/alm.yaml': show } };
    expect(check(lxd, 'lxd/system-privileged', sample, 'infra-incus')).toHaveLength(1);
    expect(check(lxd, 'lxd/system-privileged', sample, 'guide-lxd')).toHaveLength(0);
  });
});
