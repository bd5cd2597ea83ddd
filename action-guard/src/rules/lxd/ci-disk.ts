import type { Finding, Rule } from '../../rule.js';
import type { LxdOptions } from './options.js';
import { diskSamples } from './samples.js';
import { type Device, type Holder, instances, profilesOf, type Setup, setupOf } from './setup.js';

export const ciDisk: Rule<LxdOptions> = {
  id: 'lxd/ci-disk',
  severity: 'error',
  title: 'The CI container has no disk but its root.',
  reason: `Whatever a pull request runs in CI, writes to what is mounted there: with the disk of another container that is production. And each
snapshot of it keeps the other's data: that filled the pool once. Deploys go over SSH. Mounts that a profile brings count; the guide's loop over
\`config device show\` does not see them.`,
  suppressible: true,
  files: ({ files }) => files,
  check: ({ head, options }) => {
    const setup = setupOf(head, options);
    const owners = ownersOf(setup);
    return instances(setup, options.isolated).flatMap((holder) => judge(setup, holder, owners));
  },
  samples: diskSamples,
};

/** Names of the instances that have a disk, by pool and source. */
type Owners = Map<string, Set<string>>;

const keyOf = ({ keys }: Device) => JSON.stringify([keys.get('pool')?.value, keys.get('source')?.value]);

function ownersOf({ holders }: Setup): Owners {
  const owners: Owners = new Map();
  for (const { kind, name, devices } of holders) {
    if (kind !== 'instance' || name === undefined) continue;
    for (const device of devices.values()) {
      if (!device.keys.has('source')) continue;
      const names = owners.get(keyOf(device)) ?? new Set();
      owners.set(keyOf(device), names.add(name));
    }
  }
  return owners;
}

function judge(setup: Setup, holder: Holder, owners: Owners): Finding[] {
  const { known, missing } = profilesOf(setup, holder);
  const devices = new Map<string, { device: Device; from: Holder }>();
  for (const from of [...known, holder])
    for (const device of from.devices.values()) devices.set(device.name, { device, from });
  const findings = [...devices.values()].flatMap(({ device, from }) => disk(owners, holder, device, from));
  if (!holder.complete || !missing[0]) return findings;
  return [
    ...findings,
    {
      status: 'unknown',
      at: missing[0].at,
      message: `Which disks ${holder.name} gets could not be told: its profile ${missing[0].value.slice(0, 60)} is not in the repository.`,
      todo: 'Add the profile, or what `config show --expanded` prints.',
    },
  ];
}

function disk(owners: Owners, holder: Holder, device: Device, from: Holder): Finding[] {
  const value = (key: string) => device.keys.get(key)?.value ?? '';
  if (value('type') !== 'disk') return [];
  const source = device.keys.get('source');
  if (value('path') === '/' && !source) return [];
  const shared = [...(owners.get(keyOf(device)) ?? [])].slice(0, 2).find((name) => name !== holder.name);
  const via = from === holder ? '' : ` through its profile ${from.name}`;
  const what = shared
    ? `the volume ${source?.value.slice(0, 80)} of ${shared}`
    : /(?:^|\/)containers\/|rootfs|storage-pools/.test(source?.value ?? '')
      ? `a part of another container (${source?.value.slice(0, 80)})`
      : `a disk besides its root (${(source?.value ?? value('path')).slice(0, 80)})`;
  return [
    {
      status: 'fail',
      at: source?.at ?? device.at,
      message: `${holder.name} mounts ${what}${via}, where anything that CI runs can write.`,
      todo: 'Remove the device, and deploy over SSH; then remove the snapshots that were made with it.',
    },
  ];
}
