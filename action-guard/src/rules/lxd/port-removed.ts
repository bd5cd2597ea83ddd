import type { Finding, Look, Position, Rule } from '../../rule.js';
import { matcher } from '../../tree.js';
import type { LxdOptions } from './options.js';
import { covers, exposureOf, type Opening, openings, showPorts } from './proxy.js';
import { portSamples } from './samples.js';
import { type Holder, instances, profilesOf, type Setup, setupOf } from './setup.js';

export const portRemoved: Rule<LxdOptions> = {
  id: 'lxd/port-removed',
  severity: 'error',
  title: 'No proxy device of a public port is ever lost.',
  reason: `The proxy devices are the only way in: without that of 443 every site is gone, without 25 mail bounces. They get lost when a file is
written anew, a device renamed by half, or a listen address narrowed to 127.0.0.1. What counts is the set of (protocol, port) that the whole
repository opens, before and after: devices may move, be renamed and be merged.`,
  suppressible: true,
  files: ({ files }) => files,
  check: (look) => {
    const setup = setupOf(look.head, look.options);
    const now = openings(setup, look.options.ports);
    const lost = new Set<string>();
    return [
      ...gone(look, setup, now, lost),
      ...removedByScript(now, lost),
      ...narrowed(look.options, setup, now, lost),
      ...absent(look.options, setup, now, lost),
    ];
  },
  samples: portSamples,
};

type Now = ReturnType<typeof openings>;

function gone({ head, base, options }: Look<LxdOptions>, setup: Setup, now: Now, lost: Set<string>): Finding[] {
  if (!base) return [];
  const before = openings(setupOf(base, options), options.ports);
  const groups = new Map<string, { at: Position; ports: string[]; why: string; opening: Opening }>();
  for (const port of options.ports) {
    const opening = before.byPort.get(port);
    if (!opening || now.byPort.has(port)) continue;
    lost.add(port);
    const { at, why } = placeOf(setup, head.paths.includes(opening.device.at.path), opening, now.removed.get(port));
    const key = JSON.stringify(at);
    const group = groups.get(key) ?? { at, why, ports: [], opening };
    group.ports.push(port);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ at, ports, why, opening }) => ({
    status: now.unknown ? 'unknown' : 'fail',
    at,
    message:
      `${showPorts(ports)} of ${opening.holder.name ?? 'the host'} ${ports.length === 1 ? 'is' : 'are'} no longer open: ${why}.`.replace(
        /^p/,
        'P',
      ),
    todo: 'Bring the proxy device back.',
  }));
}

/** Where the change is that lost it. */
function placeOf(
  setup: Setup,
  fileThere: boolean,
  { holder, device }: Opening,
  removedAt: Position | undefined,
): { at: Position; why: string } {
  if (removedAt) return { at: removedAt, why: 'this command removes its proxy device' };
  const after = setup.holders.filter(({ kind, name }) => kind === holder.kind && name === holder.name);
  for (const each of after) {
    const same = each.devices.get(device.name);
    if (!same) continue;
    const exposure = exposureOf(same);
    if (exposure.kind === 'inner') return { at: exposure.at, why: exposure.why };
    return { at: same.keys.get('listen')?.at ?? same.at, why: `${device.name.slice(0, 60)} listens elsewhere now` };
  }
  const one = after.find((each) => each.path === holder.path) ?? after[0];
  if (one)
    return { at: gapOf(holder, device.name, one), why: `its proxy device ${device.name.slice(0, 60)} was removed` };
  const { path } = device.at;
  return fileThere
    ? { at: { path, line: 1, column: 1 }, why: `its proxy device ${device.name.slice(0, 60)} was removed` }
    : { at: device.at, why: 'the file with its proxy device was deleted' };
}

/** Where a device is missing now: only what stands beside the change is in the diff, and can carry a comment. */
function gapOf(before: Opening['holder'], name: string, after: Opening['holder']): Position {
  const names = [...before.devices.keys()];
  const index = names.indexOf(name);
  const stillThere = (some: string[]) => some.map((each) => after.devices.get(each)).find((each) => each !== undefined);
  const next = stillThere(names.slice(index + 1));
  if (next) return next.at;
  const previous = stillThere(names.slice(0, index).reverse());
  return [...(previous?.keys.values() ?? [])].at(-1)?.at ?? previous?.at ?? after.devicesAt;
}

function removedByScript({ byPort, removed }: Now, lost: Set<string>): Finding[] {
  return [...removed].flatMap(([port, at]) => {
    if (byPort.has(port) || lost.has(port)) return [];
    lost.add(port);
    return [
      {
        status: 'fail' as const,
        at,
        message: `This command removes the proxy device of ${showPorts([port])}.`,
        todo: 'Leave it, or add the device again in the same script.',
      },
    ];
  });
}

/** Devices of a public port that only the host itself reaches. */
function narrowed({ ports }: LxdOptions, { holders }: Setup, { byPort }: Now, lost: Set<string>): Finding[] {
  return holders.flatMap(({ devices, name }) =>
    [...devices.values()].flatMap((device): Finding[] => {
      const exposure = exposureOf(device);
      if (exposure.kind !== 'inner') return [];
      const inner = ports.filter((port) => covers(exposure.listen, port) && !byPort.has(port) && !lost.has(port));
      if (inner.length === 0) return [];
      for (const port of inner) lost.add(port);
      return [
        {
          status: 'fail',
          at: exposure.at,
          message: `Nobody outside reaches ${showPorts(inner)} of ${name ?? 'this instance'}: ${exposure.why}.`,
          todo: 'Let it listen on the address of the host.',
        },
      ];
    }),
  );
}

/** What an instance is there for, and nobody opens. */
function absent({ expected }: LxdOptions, setup: Setup, { byPort, unknown }: Now, lost: Set<string>): Finding[] {
  // A repository without any proxy device keeps them elsewhere.
  const keepsProxies = setup.holders.some(({ devices }) =>
    [...devices.values()].some(({ keys }) => keys.get('type')?.value === 'proxy'),
  );
  if (!keepsProxies) return [];
  return Object.entries(expected).flatMap(([glob, ports]) => {
    const wanted = ports.filter((port) => !byPort.has(port) && !lost.has(port));
    const [holder] = instances(setup, [glob]).filter(({ complete }) => complete);
    if (wanted.length === 0 || !holder || !matcher([glob])(holder.name ?? '')) return [];
    const missing = profilesOf(setup, holder).missing[0];
    return [report(holder, wanted, unknown || missing !== undefined)];
  });
}

function report(holder: Holder, ports: string[], unknown: boolean): Finding {
  return {
    status: unknown ? 'unknown' : 'fail',
    at: holder.devicesAt,
    message: `Nothing here opens ${showPorts(ports)} for ${holder.name}.`,
    todo: 'Add a proxy device for each, or say in the option `lxd.expected` that it needs none.',
  };
}
