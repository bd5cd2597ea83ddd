import { contains, type Net, parseNet } from '../../formats/cidr.js';
import type { Acl, Action, DnsServer, Policy } from './corefile.js';

/** `none`: no line matched, which lets the query through. */
export type Verdict = { action: Action | 'none'; policy?: Policy; acl?: Acl };

export interface Query {
  name: string;
  type: string;
  family: 4 | 6;
  source: bigint;
}

/** What the acl plugin does with a query, as CoreDNS does it: the first line that matches, block after block. */
export function evaluate(server: DnsServer, query: Query): Verdict {
  for (const acl of aclsFor(server, query.name)) {
    const policy = acl.policies.find(
      ({ types, nets }) =>
        (!types || types.has(query.type)) && (!nets || nets.some((net) => contains(net, query.family, query.source))),
    );
    // An allow ends it, as blocks do; only without a match the next acl is asked.
    if (policy) return { action: policy.action, policy, acl };
  }
  return { action: 'none' };
}

function aclsFor(server: DnsServer, name: string): Acl[] {
  // Without zones an acl is for those of its server, and the server is asked for no others.
  return server.acls.filter(({ zones }) => zones.length === 0 || zones.some((zone) => isWithin(name, zone)));
}

export function isWithin(name: string, zone: string): boolean {
  return zone === '' || name === zone || name.endsWith(`.${zone}`);
}

export function isOpen({ action }: Verdict): boolean {
  return action === 'allow' || action === 'none';
}

/** A part of the addresses that are all treated alike. */
export interface Share {
  verdict: Verdict;
  /** Of the addresses that were asked about, from 0 to 1. */
  part: number;
}

/** What may be spent on working out the acls of one file for one rule. Beyond that a rule says unknown. */
export class Work {
  #left = 3_000_000;

  /** @throws TooLarge when it is spent */
  spend(amount: number): void {
    this.#left -= amount;
    if (this.#left < 0) throw new TooLarge();
  }
}

export class TooLarge extends Error {}

interface Lines {
  acls: Acl[];
  /** How many lines and networks. */
  policies: number;
  nets: number;
  /** Where a network of them begins or ends. */
  cuts: Record<4 | 6, Set<bigint>>;
}

const known = new WeakMap<DnsServer, { types: Set<string>; lines: Map<string, Lines> }>();

/** The lines that are for a name and a type. Worked out once for all types that no line names: rules ask for a dozen. */
function linesFor(server: DnsServer, name: string, type: string): Lines {
  let cached = known.get(server);
  if (!cached) {
    const types = server.acls.flatMap(({ policies }) => policies).map(({ types: each }) => each);
    cached = { types: new Set(types.flatMap((each) => (each ? [...each] : []))), lines: new Map() };
    known.set(server, cached);
  }
  const key = `${cached.types.has(type) ? type : ''} ${name}`;
  let lines = cached.lines.get(key);
  if (lines) return lines;
  lines = { acls: aclsFor(server, name), policies: 0, nets: 0, cuts: { 4: new Set(), 6: new Set() } };
  for (const { policies } of lines.acls)
    for (const { types, nets } of policies) {
      if (types && !types.has(type)) continue;
      lines.policies++;
      lines.nets += nets?.length ?? 0;
      for (const { family, low, high } of nets ?? []) lines.cuts[family].add(low).add(high + 1n);
    }
  cached.lines.set(key, lines);
  return lines;
}

/**
 * How queries of a type are treated for all sources of some networks, largest share first. Exact: addresses are cut where
 * a network of the acl begins or ends.
 */
export function shares(
  work: Work,
  server: DnsServer,
  name: string,
  type: string,
  sources: readonly Net[],
  without: readonly Net[] = [],
): Share[] {
  work.spend(server.acls.reduce((sum, { zones, policies: each }) => sum + 1 + zones.length + each.length, 0));
  const { acls, policies, nets, cuts: own } = linesFor(server, name, type);
  const found = new Map<Policy | undefined, { verdict: Verdict; size: bigint }>();
  let total = 0n;
  for (const family of [4, 6] as const) {
    const wanted = sources.filter((net) => net.family === family);
    if (wanted.length === 0) continue;
    const cuts = new Set(own[family]);
    for (const net of [...wanted, ...without])
      if (net.family === family) {
        cuts.add(net.low);
        cuts.add(net.high + 1n);
      }
    const sorted = [...cuts].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    work.spend(sorted.length * (nets + policies + wanted.length + without.length));
    for (const [index, low] of sorted.entries()) {
      const next = sorted[index + 1];
      if (next === undefined) break;
      if (!wanted.some((net) => contains(net, family, low)) || without.some((net) => contains(net, family, low)))
        continue;
      const verdict = evaluate({ ...server, acls }, { name, type, family, source: low });
      const size = next - low;
      total += size;
      const known = found.get(verdict.policy) ?? { verdict, size: 0n };
      known.size += size;
      found.set(verdict.policy, known);
    }
  }
  return [...found.values()]
    .map(({ verdict, size }) => ({ verdict, part: total === 0n ? 0 : Number((size * 1_000_000n) / total) / 1_000_000 }))
    .sort((a, b) => b.part - a.part);
}

const net = (text: string) => parseNet(text) as Net;

/** The Internet: what is not for inner use. */
export const everywhere: Record<4 | 6, Net[]> = { 4: [net('0.0.0.0/0')], 6: [net('2000::/3')] };
export const inner: Net[] = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'],
  ...['224.0.0.0/3', 'fc00::/7', 'fe80::/10', '::1'],
].map(net);

/** Smaller parts of the Internet are somebody in particular, whom a line lets in on purpose. */
export const somebody = 1 / 256;

/** Lines that no query reaches, with the line that takes their queries. */
export function unreachable(work: Work, server: DnsServer): { policy: Policy; by: Policy }[] {
  const zones = server.keys.length + server.acls.reduce((sum, acl) => sum + acl.zones.length, 0);
  if (server.acls.length > 1) work.spend(zones * zones + server.acls.length * server.acls.length);
  return server.acls.flatMap((acl, index) => {
    const before = server.acls.slice(0, index).filter((other) => covers(server, other, acl));
    const policies = [...before, acl].flatMap(({ policies: each }) => each);
    const own = new Set(acl.policies);
    return unreached(work, policies).filter(({ policy }) => own.has(policy));
  });
}

/** Whether an acl is asked for every name that another is asked for. */
function covers({ keys }: DnsServer, acl: Acl, other: Acl): boolean {
  const zones = (each: Acl) => (each.zones.length > 0 ? each.zones : keys.map(({ zone }) => zone));
  return zones(other).every((zone) => zones(acl).some((wider) => isWithin(zone, wider)));
}

function unreached(work: Work, policies: readonly Policy[]): { policy: Policy; by: Policy }[] {
  const others = ' ';
  const types = [...new Set([others, ...policies.flatMap(({ types: each }) => [...(each ?? [])])])];
  const reached = new Set<Policy>();
  const taken = new Map<Policy, Policy>();
  const cuts: Record<4 | 6, bigint[]> = { 4: [0n], 6: [0n] };
  for (const { nets } of policies) for (const each of nets ?? []) cuts[each.family].push(each.low, each.high + 1n);
  const count = policies.reduce((sum, { nets }) => sum + 1 + (nets?.length ?? 0), 0);
  work.spend(types.length * count * (new Set(cuts[4]).size + new Set(cuts[6]).size));
  for (const family of [4, 6] as const) {
    const end = family === 4 ? 1n << 32n : 1n << 128n;
    for (const low of new Set(cuts[family])) {
      if (low >= end) continue;
      for (const type of types) {
        let by: Policy | undefined;
        for (const policy of policies) {
          // What is told of it already stays; most lines of a long list are.
          if (by && (reached.has(policy) || taken.has(policy))) continue;
          if (policy.types && !policy.types.has(type)) continue;
          if (policy.nets && !policy.nets.some((each) => contains(each, family, low))) continue;
          if (by) taken.set(policy, by);
          else reached.add(policy);
          by ??= policy;
        }
      }
    }
  }
  return policies.flatMap((policy) => {
    const by = taken.get(policy);
    return !reached.has(policy) && by ? [{ policy, by }] : [];
  });
}
