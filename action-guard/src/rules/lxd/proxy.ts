import type { Position } from '../../rule.js';
import { type Device, type Holder, isTrue, type Setup } from './setup.js';

/** Where a proxy device listens. */
export interface Listen {
  protocol: 'tcp' | 'udp';
  address: string;
  ranges: [number, number][];
}

/** `tcp:0.0.0.0:80,443,3000-3003`, `udp:[::]:53`; undefined for sockets, and for what is not known. */
export function parseListen(text: string): Listen | undefined {
  const protocol = text.startsWith('tcp:') ? 'tcp' : text.startsWith('udp:') ? 'udp' : undefined;
  if (!protocol || text.length > 2000) return undefined;
  const rest = text.slice(4);
  const colon = rest.lastIndexOf(':');
  if (colon < 0) return undefined;
  const ranges: [number, number][] = [];
  for (const part of rest.slice(colon + 1).split(',')) {
    const match = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part);
    if (!match) return undefined;
    ranges.push([Number(match[1]), Number(match[2] ?? match[1])]);
  }
  return { protocol, address: rest.slice(0, colon).replace(/^\[|\]$/g, ''), ranges };
}

export function covers({ protocol, ranges }: Listen, port: string): boolean {
  const [number = '', wanted] = port.split('/');
  return protocol === wanted && ranges.some(([low, high]) => low <= Number(number) && Number(number) <= high);
}

function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127\./.test(address);
}

export type Exposure =
  | { kind: 'host'; listen: Listen }
  /** Only the host itself gets there, or it points the other way. */
  | { kind: 'inner'; listen: Listen; why: string; at: Position }
  | { kind: 'unknown' }
  | { kind: 'none' };

/** What a device opens on the host. */
export function exposureOf(device: Device): Exposure {
  const { keys } = device;
  if (keys.get('type')?.value !== 'proxy') return keys.get('type')?.variable ? { kind: 'unknown' } : { kind: 'none' };
  const setting = keys.get('listen');
  if (!setting) return { kind: 'none' };
  const listen = parseListen(setting.value);
  if (!listen) return setting.value.startsWith('unix:') ? { kind: 'none' } : { kind: 'unknown' };
  const bind = keys.get('bind');
  if (bind && bind.value !== 'host')
    return { kind: 'inner', listen, why: `it is bound to the ${bind.value.slice(0, 20)}`, at: bind.at };
  if (isLoopback(listen.address))
    return { kind: 'inner', listen, why: `it listens on ${listen.address} only`, at: setting.at };
  return { kind: 'host', listen };
}

/** A device that opens one of the ports. */
export interface Opening {
  holder: Holder;
  device: Device;
}

/** Who opens which port, after what scripts remove. */
export function openings(
  setup: Setup,
  ports: string[],
): { byPort: Map<string, Opening>; unknown: boolean; removed: Map<string, Position> } {
  const byPort = new Map<string, Opening>();
  const removed = new Map<string, Position>();
  let unknown = setup.unknowns.length > 0;
  const removals = new Map(setup.removals.map((each) => [JSON.stringify([each.instance.value, each.device]), each]));
  for (const holder of setup.holders) {
    for (const device of holder.devices.values()) {
      const exposure = exposureOf(device);
      if (exposure.kind === 'unknown') unknown = true;
      if (exposure.kind !== 'host') continue;
      const removal = removals.get(JSON.stringify([holder.name, device.name]));
      for (const port of ports) {
        if (!covers(exposure.listen, port)) continue;
        // A script that removes it says so after whoever added it.
        if (removal && removal.at.path !== holder.path) removed.set(port, removal.at);
        else if (!byPort.has(port)) byPort.set(port, { holder, device });
      }
    }
  }
  return { byPort, unknown, removed };
}

/** Whether the service behind it sees who calls. */
export function keepsClient({ keys }: Device): boolean {
  return isTrue(keys.get('nat')?.value) || isTrue(keys.get('proxy_protocol')?.value);
}

/** `80, 443/udp`: tcp goes without saying. */
export function showPorts(ports: string[]): string {
  const texts = ports.map((port) => port.replace('/tcp', ''));
  return texts.length === 1 ? `port ${texts[0]}` : `ports ${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}`;
}
