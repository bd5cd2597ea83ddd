import { leaveOutFile } from '../unread.js';
import { type Address, contains, type Network } from './addresses.js';
import { builtIn, type IpFamily, isTarget, type Match, type Operation, passesOn, type RuleSpec } from './iptables.js';

/** A rule where it was put, from a file. */
interface Placed {
  spec: RuleSpec;
  path: string;
  /** Whether it is there depends on what else is on the machine. */
  perhaps?: boolean;
}

interface Chain {
  name: string;
  policy?: { verdict: string; at: number; path: string };
  rules: Placed[];
  /** How often a rule is in it, by signature. */
  counts?: Map<string, number>;
}

/** Who decided about a packet. */
export interface Decision {
  verdict: 'accept' | 'drop' | 'other';
  table: string;
  chain: string;
  kind: 'rule' | 'policy' | 'default';
  path: string;
  at: number;
  /** Why it is not known whether it decides. */
  why?: string;
}

export interface Verdict {
  verdict: 'accept' | 'drop' | 'unknown';
  by: Decision;
}

/** `own`: an address of this machine that is not a loopback address. `stranger`: anybody's on the Internet. */
type Place = Address | 'own' | 'stranger';

/** A port that the kernel chose: within 32768-60999. */
const ephemeral = -1;

interface Packet {
  /** Name; `''`: none; undefined: any but lo. */
  in: string | undefined;
  out: string | undefined;
  source: Place;
  destination: Place;
  protocol: 'tcp';
  sourcePort: number;
  destinationPort: number;
  /** Undefined: not known. */
  state: string | undefined;
  flags: readonly string[];
  mark: number | undefined;
}

/** More rules than anybody has; above it, nothing is claimed. */
const mostRules = 20_000;
/** Steps in long lists; above it, nothing is claimed, either. */
const mostWork = 1e7;
const loopbacks: Readonly<Record<IpFamily, Address>> = { 4: [127, 0, 0, 1], 6: [...new Array<number>(15).fill(0), 1] };

/** The tables of one machine for one IP version, as a sequence of commands makes them. */
export class Firewall {
  readonly family: IpFamily;
  readonly #tables = new Map<string, Map<string, Chain>>();
  #work = 0;
  #rules = 0;
  /** Set: too large to follow. */
  overflown: { path: string; at: number } | undefined;

  constructor(family: IpFamily) {
    this.family = family;
    for (const table of Object.keys(builtIn)) this.#reset(table);
  }

  #reset(table: string): void {
    const chains = new Map<string, Chain>();
    for (const name of builtIn[table] ?? []) chains.set(name, { name, rules: [] });
    this.#tables.set(table, chains);
  }

  has(table: string, chain: string): boolean {
    return this.#tables.get(table)?.has(chain) === true;
  }

  length(table: string, chain: string): number {
    return this.#tables.get(table)?.get(chain)?.rules.length ?? 0;
  }

  /** What `*table` of a restore file does before its lines. */
  clear(table: string): void {
    if (Object.hasOwn(builtIn, table)) this.#reset(table);
  }

  /** What a command does. Whether it succeeds; undefined: only known on the machine. */
  apply(operation: Operation, path: string): boolean | undefined {
    if (operation.family && operation.family !== this.family) return true;
    const chains = this.#tables.get(operation.table);
    if (!chains || this.overflown) return undefined;
    if (operation.unknown || operation.chain === undefined) return this.#applyToAll(operation, chains, path);
    const name = operation.chain;
    let chain = chains.get(name);
    // Chains that others made, such as Docker's, are taken to be there.
    const make = () => {
      chain ??= { name, rules: [] };
      chains.set(name, chain);
      return chain;
    };
    const find = (spec: RuleSpec | undefined): number => {
      const rules = chain?.rules ?? [];
      if (!spec || !chain) return -1;
      // Most of what is asked for is not there, and the list may be long.
      if (rules.length > 64) {
        if (!chain.counts) {
          chain.counts = new Map();
          this.#work += rules.length;
          for (const each of rules)
            chain.counts.set(each.spec.signature, (chain.counts.get(each.spec.signature) ?? 0) + 1);
        }
        if (!chain.counts.get(spec.signature)) return -1;
      }
      this.#work += rules.length;
      if (this.#work > mostWork) this.overflown = { path, at: operation.at };
      return spec ? rules.findIndex((each) => each.spec.signature === spec.signature) : -1;
    };
    switch (operation.kind) {
      case 'append':
      case 'insert': {
        const rules = make().rules;
        if (chain?.counts)
          for (const { signature } of operation.rules)
            chain.counts.set(signature, (chain.counts.get(signature) ?? 0) + 1);
        // Behind the end: refused on a machine without other rules, and somewhere among them on one that has some.
        const beyond = operation.kind === 'insert' && (operation.number ?? 1) > rules.length + 1;
        const perhaps: Match = { kind: 'unknown', name: 'whether there are so many rules', negate: false };
        const added = operation.rules.map((spec) => ({
          spec: beyond ? { ...spec, matches: [...spec.matches, perhaps] } : spec,
          path,
          perhaps: beyond,
        }));
        this.#rules += added.length;
        this.#work += added.length;
        if (operation.kind === 'append') rules.push(...added);
        else {
          this.#work += rules.length >> 4;
          rules.splice((operation.number ?? 1) - 1, 0, ...(operation.number ? added : added.reverse()));
        }
        if (this.#rules > mostRules || this.#work > mostWork) this.overflown = { path, at: operation.at };
        return !beyond;
      }
      case 'replace': {
        const index = (operation.number ?? 0) - 1;
        const [spec] = operation.rules;
        if (!chain?.rules[index] || !spec) return false;
        chain.rules[index] = { spec, path };
        chain.counts = undefined;
        return true;
      }
      case 'delete': {
        const index = operation.number !== undefined ? operation.number - 1 : find(operation.rules[0]);
        if (!chain || index < 0 || index >= chain.rules.length) return false;
        this.#work += chain.rules.length >> 4;
        const taken = chain.rules.splice(
          index,
          operation.number !== undefined ? 1 : Math.max(1, operation.rules.length),
        );
        for (const { spec } of taken) chain.counts?.set(spec.signature, (chain.counts.get(spec.signature) ?? 1) - 1);
        if (this.#work > mostWork) this.overflown = { path, at: operation.at };
        return true;
      }
      case 'check': {
        const found = chain?.rules[find(operation.rules[0])];
        return found?.perhaps ? undefined : found !== undefined;
      }
      case 'declare':
      case 'policy':
        make();
        if (chain && operation.policy && operation.policy !== '-' && builtIn[operation.table]?.includes(name))
          chain.policy = { verdict: operation.policy, at: operation.at, path };
        return true;
      case 'flush':
        if (chain) {
          chain.rules = [];
          chain.counts = undefined;
        }
        return true;
      case 'new':
        if (chain) return false;
        make();
        return true;
      case 'remove':
        if (!builtIn[operation.table]?.includes(name)) chains.delete(name);
        return true;
      case 'rename':
        if (chain && operation.to && !chains.has(operation.to)) {
          chains.delete(name);
          chains.set(operation.to, { ...chain, name: operation.to });
        }
        return true;
      default:
        return undefined;
    }
  }

  /** Of a command that names no chain, or one that is not known. */
  #applyToAll(operation: Operation, chains: Map<string, Chain>, path: string): boolean | undefined {
    switch (operation.kind) {
      case 'flush':
        if (operation.unknown) return undefined;
        for (const chain of chains.values()) {
          chain.rules = [];
          chain.counts = undefined;
        }
        return true;
      case 'remove':
        if (operation.unknown) return undefined;
        for (const name of chains.keys()) if (!builtIn[operation.table]?.includes(name)) chains.delete(name);
        return true;
      case 'append':
      case 'insert': {
        // It may be in any chain, or in none.
        for (const spec of operation.rules) {
          const perhaps: RuleSpec = {
            ...spec,
            matches: [...spec.matches, { kind: 'unknown', name: 'a variable', negate: false }],
          };
          for (const chain of chains.values()) {
            chain.counts = undefined;
            if (++this.#rules > mostRules) this.overflown = { path, at: operation.at };
            else if (operation.kind === 'append') chain.rules.push({ spec: perhaps, path });
            else chain.rules.unshift({ spec: perhaps, path });
          }
        }
        return undefined;
      }
      default:
        return undefined;
    }
  }

  /** Jumps from rules that a packet can reach: to chains that do not exist, and in circles. */
  loops(): Placed[] {
    const found: Placed[] = [];
    for (const [table, chains] of this.#tables) {
      const done = new Set<string>();
      // Depth first, without recursion: the chains of a hostile file can be nested as deep as it is long.
      for (const start of builtIn[table] ?? []) {
        const path: { chain: Chain; next: number }[] = [];
        const open = new Set<string>();
        const enter = (name: string) => {
          const chain = chains.get(name);
          if (!chain || done.has(name)) return;
          open.add(name);
          path.push({ chain, next: 0 });
        };
        enter(start);
        while (path.length > 0) {
          const frame = path.at(-1) as { chain: Chain; next: number };
          const placed = frame.chain.rules[frame.next++];
          if (!placed) {
            open.delete(frame.chain.name);
            done.add(frame.chain.name);
            path.pop();
            continue;
          }
          const target = placed.spec.target?.name;
          if (target === undefined || isTarget(target)) continue;
          if (open.has(target)) found.push(placed);
          else enter(target);
        }
      }
    }
    return found;
  }

  /**
   * Whether a tcp connection on lo to a port comes about: its first packet, the answer, and what follows, through every
   * table on the way out and in again. The first of them that is not accepted decides.
   */
  loopback(port: number, from: 'loopback' | 'own' = 'loopback'): Verdict {
    const address: Place = from === 'own' ? 'own' : loopbacks[this.family];
    const ends = { source: address, destination: address, protocol: 'tcp' as const, mark: 0 };
    const there = { ...ends, sourcePort: ephemeral, destinationPort: port };
    const packets: Omit<Packet, 'in' | 'out'>[] = [
      { ...there, state: 'NEW', flags: ['SYN'] },
      { ...ends, sourcePort: port, destinationPort: ephemeral, state: 'ESTABLISHED', flags: ['SYN', 'ACK'] },
      { ...there, state: 'ESTABLISHED', flags: ['ACK'] },
    ];
    let untracked = false;
    let unknown: Verdict | undefined;
    let last: Verdict | undefined;
    for (const each of packets) {
      const packet: Packet = { ...each, in: '', out: 'lo' };
      if (untracked) packet.state = undefined;
      const outgoing = this.#through(
        [
          ['raw', 'OUTPUT'],
          ['mangle', 'OUTPUT'],
          ['nat', 'OUTPUT'],
          ['filter', 'OUTPUT'],
          ['security', 'OUTPUT'],
          ['mangle', 'POSTROUTING'],
          ['nat', 'POSTROUTING'],
        ],
        packet,
        each.state === 'NEW',
      );
      if (outgoing.verdict === 'drop') return outgoing;
      if (outgoing.verdict === 'unknown') unknown ??= outgoing;
      if (each.state === 'NEW' && packet.state !== 'NEW') untracked = true;
      const arriving: Packet = { ...packet, in: 'lo', out: '' };
      const incoming = this.#through(
        [
          ['raw', 'PREROUTING'],
          ['mangle', 'PREROUTING'],
          ['mangle', 'INPUT'],
          ['filter', 'INPUT'],
          ['security', 'INPUT'],
        ],
        arriving,
        false,
      );
      if (incoming.verdict === 'drop') return incoming;
      if (incoming.verdict === 'unknown') unknown ??= incoming;
      last ??= incoming;
    }
    return unknown ?? (last as Verdict);
  }

  /** Whether a stranger's first tcp packet to a port of this machine is accepted. */
  outside(port: number): Verdict {
    return this.#through(
      [
        ['raw', 'PREROUTING'],
        ['mangle', 'PREROUTING'],
        ['nat', 'PREROUTING'],
        ['mangle', 'INPUT'],
        ['filter', 'INPUT'],
        ['security', 'INPUT'],
      ],
      {
        in: undefined,
        out: '',
        source: 'stranger',
        destination: 'own',
        protocol: 'tcp',
        sourcePort: ephemeral,
        destinationPort: port,
        state: 'NEW',
        flags: ['SYN'],
        mark: 0,
      },
      true,
    );
  }

  /** Whether a rule of INPUT, or of a chain for it, is there to close this very port: no port, no wish. */
  wantsClosed(port: number): boolean {
    for (const { rules } of this.#tables.get('filter')?.values() ?? []) {
      for (const { spec } of rules) {
        if (spec.target?.name !== 'DROP' && spec.target?.name !== 'REJECT') continue;
        const ports = spec.matches.find((match) => match.kind === 'ports' && match.of !== 'source');
        if (ports?.kind !== 'ports' || ports.negate) continue;
        if (!ports.ports.some(([from, to]) => from <= port && port <= to && to - from < 10_000)) continue;
        if (spec.matches.every((match) => ['ports', 'protocol', 'in', 'state', 'flags'].includes(match.kind)))
          return true;
      }
    }
    return false;
  }

  /** Whether a packet that comes in on one interface may leave by another one. `''` stands for any but those named. */
  forward(from: string | undefined, to: string | undefined, state: 'NEW' | 'ESTABLISHED' = 'NEW'): Verdict {
    return this.#through([['filter', 'FORWARD']], {
      in: from,
      out: to,
      source: 'stranger',
      destination: 'stranger',
      protocol: 'tcp',
      sourcePort: ephemeral,
      destinationPort: 443,
      state,
      flags: state === 'NEW' ? ['SYN'] : ['ACK'],
      mark: 0,
    });
  }

  #through(hooks: [table: string, chain: string][], packet: Packet, translated = false): Verdict {
    let last: Decision | undefined;
    let unknown: Decision | undefined;
    if (this.overflown) {
      const { path, at } = this.overflown;
      leaveOutFile(path, 'it has more rules than the guard follows', 'Make fewer of them.');
      const by = { table: 'filter', chain: 'INPUT', kind: 'rule', path, at, verdict: 'other' } as const;
      return { verdict: 'unknown', by: { ...by, why: 'there are more rules than it follows' } };
    }
    for (const [table, name] of hooks) {
      if (table === 'nat' && !translated) continue;
      const chains = this.#tables.get(table);
      const chain = chains?.get(name);
      if (!chains || !chain) continue;
      const walk = new Walk(table, name, chains, 20_000 + 2 * this.#rules);
      const result = walk.run(chain, packet);
      if (result.verdict === 'drop' && table !== 'nat') {
        const otherwise = walk.perhaps.find(({ verdict }) => verdict !== 'drop');
        if (!otherwise) return { verdict: 'drop', by: result };
        unknown ??= otherwise.verdict === 'accept' ? { ...result, why: otherwise.why ?? result.why } : otherwise;
      } else {
        unknown ??= walk.perhaps.find(({ verdict }) => verdict !== 'accept');
        if (result.verdict === 'other') unknown ??= result;
      }
      if (table === 'filter' || !last) last = result;
    }
    if (unknown) return { verdict: 'unknown', by: unknown };
    return { verdict: 'accept', by: last as Decision };
  }
}

/** What became of a packet in a chain: decided; ended in a decision that is not sure; out at its end; or perhaps that. */
type Fate = { sure: Decision } | 'ended' | 'fell';

const yes = 1;
const no = 0;
const maybe = -1;
type Answer = typeof yes | typeof no | typeof maybe;

class Walk {
  /** Decisions that may come before the sure one; the first of each kind. */
  readonly perhaps: Decision[] = [];
  readonly #table: string;
  readonly #base: string;
  readonly #chains: Map<string, Chain>;
  /** Rules it looks at: each one once or twice in tables that people write. */
  #steps: number;

  constructor(table: string, base: string, chains: Map<string, Chain>, steps: number) {
    this.#steps = steps;
    this.#table = table;
    this.#base = base;
    this.#chains = chains;
  }

  run(chain: Chain, packet: Packet): Decision {
    const fate = this.#chain(chain, packet, false, 0);
    if (typeof fate === 'object') return fate.sure;
    const { policy } = chain;
    const verdict =
      policy?.verdict === 'DROP'
        ? 'drop'
        : policy?.verdict === undefined || policy.verdict === 'ACCEPT'
          ? 'accept'
          : 'other';
    return {
      verdict,
      table: this.#table,
      chain: chain.name,
      kind: policy ? 'policy' : 'default',
      path: policy?.path ?? '',
      at: policy?.at ?? 0,
      why: verdict === 'other' ? 'the policy is not known' : undefined,
    };
  }

  #note(decision: Decision): void {
    if (!this.perhaps.some(({ verdict }) => verdict === decision.verdict)) this.perhaps.push(decision);
  }

  #chain(chain: Chain, packet: Packet, inherited: boolean, depth: number): Fate {
    // Whether it is sure that the packet gets here, and whether it may have returned before.
    let unsure = inherited;
    let mayReturn = false;
    const ended = (): Fate => (mayReturn ? 'fell' : 'ended');
    for (const { spec, path } of chain.rules) {
      const decision = (verdict: Decision['verdict'], why?: string): Decision => ({
        verdict,
        table: this.#table,
        chain: this.#base,
        kind: 'rule',
        path,
        at: spec.at,
        why,
      });
      if (this.#steps-- <= 0) {
        leaveOutFile(path, 'its chains are too tangled to follow');
        this.#note(decision('other', 'the chains are too tangled to follow'));
        return 'fell';
      }
      const [answer, doubt] = matches(spec, packet);
      if (answer === no) continue;
      const { target } = spec;
      if (!target) continue;
      const name = target.name;
      if (target.unknown) {
        this.#note(decision('other', 'its target is a variable'));
        mayReturn = unsure = true;
        continue;
      }
      const verdict = name === 'ACCEPT' ? 'accept' : name === 'DROP' || name === 'REJECT' ? 'drop' : undefined;
      if (verdict) {
        if (answer === yes && !unsure) return { sure: decision(verdict) };
        this.#note(decision(verdict, doubt));
        if (answer === yes) return ended();
        continue;
      }
      if (name === 'RETURN') {
        if (answer === yes) return 'fell';
        mayReturn = unsure = true;
        continue;
      }
      if (passesOn(name)) {
        const certain = answer === yes && !unsure;
        if (name === 'MARK') {
          packet.mark =
            certain && packet.mark !== undefined && spec.mark
              ? ((packet.mark & ~spec.mark.mask) ^ spec.mark.value) >>> 0
              : undefined;
        } else if (name === 'CONNMARK') packet.mark = undefined;
        else if (name === 'NOTRACK' || (name === 'CT' && spec.notrack)) {
          // On the way in a packet on lo is known already, and stays so.
          if (this.#base === 'OUTPUT') packet.state = certain ? 'UNTRACKED' : undefined;
          else if (packet.in === undefined) packet.state = certain ? 'UNTRACKED' : undefined;
        }
        continue;
      }
      const called = this.#chains.get(name);
      if (!called || isTarget(name) || depth >= 100) {
        const why = isTarget(name)
          ? `${name} sends it elsewhere`
          : called
            ? 'the chains are nested too deep to follow'
            : `chain ${name} is made elsewhere`;
        if (called && !isTarget(name)) leaveOutFile(path, 'its chains are nested too deep to follow');
        this.#note(decision('other', why));
        if (answer === yes && isTarget(name)) return unsure ? ended() : { sure: decision('other', why) };
        continue;
      }
      const fate = this.#chain(called, packet, unsure || answer === maybe, depth + 1);
      if (answer === yes) {
        if (typeof fate === 'object') return fate;
        if (fate === 'ended') return ended();
        if (target.goto) return 'fell';
      } else if (target.goto) mayReturn = unsure = true;
    }
    return 'fell';
  }
}

/** Whether a rule matches, and which of its conditions is in doubt. */
function matches(spec: RuleSpec, packet: Packet): [Answer, string | undefined] {
  let doubt: string | undefined;
  for (const match of spec.matches) {
    const answer = one(match, packet);
    const negated = match.negate && answer !== maybe ? ((1 - answer) as Answer) : answer;
    if (negated === no) return [no, undefined];
    if (negated === maybe) doubt ??= `${describe(match)} can only be told on the machine`;
  }
  return doubt === undefined ? [yes, undefined] : [maybe, doubt];
}

function describe(match: Match): string {
  switch (match.kind) {
    case 'unknown':
      return match.name;
    case 'in':
    case 'out':
      return `interface ${match.name}`;
    case 'source':
    case 'destination':
    case 'range':
      return 'the address';
    case 'ports':
      return 'the port';
    case 'state':
      return 'the connection state';
    default:
      return `its ${match.kind}`;
  }
}

const answer = (is: boolean): Answer => (is ? yes : no);

function one(match: Match, packet: Packet): Answer {
  switch (match.kind) {
    case 'in':
      return onInterface(match.name, packet.in);
    case 'out':
      return onInterface(match.name, packet.out);
    case 'protocol':
      return answer(match.name === packet.protocol);
    case 'source':
    case 'destination': {
      const place = packet[match.kind];
      let best: Answer = match.unknown ? maybe : no;
      for (const network of match.networks) {
        const here = within(network, place);
        if (here === yes) return yes;
        if (here === maybe) best = maybe;
      }
      return best;
    }
    case 'range': {
      const place = packet[match.of];
      if (typeof place === 'string') return maybe;
      return answer(compare(match.from, place) <= 0 && compare(place, match.to) <= 0);
    }
    case 'ports': {
      const sides =
        match.of === 'either'
          ? [packet.sourcePort, packet.destinationPort]
          : [match.of === 'source' ? packet.sourcePort : packet.destinationPort];
      let best: Answer = match.unknown ? maybe : no;
      for (const port of sides) {
        for (const [from, to] of match.ports) {
          if (port !== ephemeral) {
            if (from <= port && port <= to) return yes;
          } else if (from <= 32768 && to >= 60999) return yes;
          else if (from <= 60999 && to >= 32768) best = maybe;
        }
      }
      return best;
    }
    case 'state':
      if (packet.state === undefined) return maybe;
      return answer(match.states.includes(packet.state));
    case 'flags':
      // A flag that has to be set, and that the mask hides: never.
      if (match.set.some((flag) => !match.mask.includes(flag))) return no;
      return answer(match.mask.every((flag) => packet.flags.includes(flag) === match.set.includes(flag)));
    case 'mark':
      if (packet.mark === undefined) return maybe;
      return answer((packet.mark & match.mask) >>> 0 === match.value);
    case 'local': {
      if (packet[match.of] === 'stranger') {
        return match.types.includes('UNICAST') ? yes : no;
      }
      return answer(match.types.includes('LOCAL'));
    }
    case 'fragment':
      return no;
    case 'unknown':
      return maybe;
  }
}

function onInterface(pattern: string, name: string | undefined): Answer {
  const prefix = pattern.endsWith('+') ? pattern.slice(0, -1) : undefined;
  if (name === undefined) {
    if (prefix === '') return yes;
    return pattern === 'lo' ? no : maybe;
  }
  return answer(prefix !== undefined ? name.startsWith(prefix) : pattern === name);
}

const privateNetworks: readonly [Address, number][] = [
  [[10], 8],
  [[127], 8],
  [[169, 254], 16],
  [[172, 16], 12],
  [[192, 168], 16],
  [[100, 64], 10],
];

function within(network: Network, place: Place): Answer {
  if (network.mask.every((byte) => byte === 0)) return yes;
  if (typeof place !== 'string') return answer(contains(network, place));
  const { address, mask } = network;
  const narrow = (mask[0] as number) === 255;
  if (address.length === 4) {
    if (narrow && address[0] === 127) return no;
    if (place === 'own') return maybe;
    const inside = privateNetworks.some(([start, bits]) => {
      const first = bits <= 8 ? 0xff : 0xff;
      const second = bits <= 8 ? 0 : (0xff << (16 - bits)) & 0xff;
      if ((mask[0] as number) !== first || ((mask[1] as number) & second) !== second) return false;
      return address[0] === start[0] && ((address[1] as number) & second) === ((start[1] ?? 0) & second);
    });
    return inside ? no : maybe;
  }
  const loopback = address.slice(0, 15).every((byte) => byte === 0) && mask.every((byte) => byte === 255);
  if (loopback) return no;
  if (place === 'own') return maybe;
  // fc00::/7 and fe80::/10.
  return narrow && (address[0] as number) >= 0xfc ? no : maybe;
}

function compare(a: Address, b: Address): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] as number) - (b[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
