import { type Address, contains, digits, type Network, parseIpv4, parseIpv6, parseNetwork } from './addresses.js';
import type { Argument } from './shell.js';

// Ours, because no library keeps positions, and `iptables-restore --test` accepts what the kernel then refuses.

export type IpFamily = 4 | 6;

/** What is wrong with a command. `unknown`: perhaps nothing is. */
export interface Problem {
  at: number;
  status: 'fail' | 'unknown';
  message: string;
  todo?: string;
}

export type Port = readonly [from: number, to: number];

/** One condition of a rule. `unknown`: it can only be told on the machine. */
export type Match = { negate: boolean } & (
  | { kind: 'in' | 'out'; name: string }
  | { kind: 'protocol'; name: string }
  | { kind: 'source' | 'destination'; networks: Network[]; unknown: boolean }
  | { kind: 'range'; of: 'source' | 'destination'; from: Address; to: Address }
  | { kind: 'ports'; of: 'source' | 'destination' | 'either'; ports: Port[]; unknown: boolean }
  | { kind: 'state'; states: string[] }
  | { kind: 'flags'; mask: string[]; set: string[] }
  | { kind: 'mark'; value: number; mask: number }
  | { kind: 'local'; of: 'source' | 'destination'; types: string[] }
  | { kind: 'fragment' }
  | { kind: 'unknown'; name: string }
);

export interface RuleSpec {
  at: number;
  matches: Match[];
  target?: { name: string; goto: boolean; at: number; unknown: boolean };
  /** MARK's own. */
  mark?: { value: number; mask: number };
  notrack: boolean;
  /** The same for two rules that `-D` and `-C` hold for the same. */
  signature: string;
}

export interface Operation {
  kind:
    | 'append'
    | 'insert'
    | 'delete'
    | 'replace'
    | 'check'
    | 'policy'
    | 'flush'
    | 'zero'
    | 'new'
    | 'remove'
    | 'rename'
    | 'list'
    | 'declare';
  at: number;
  table: string;
  /** Undefined: all of the table. */
  chain?: string;
  /** The name of the chain, table or policy is only known at run time. */
  unknown: boolean;
  number?: number;
  policy?: string;
  to?: string;
  /** Several, where the rule names several addresses. */
  rules: RuleSpec[];
  problems: Problem[];
  /** `-4` and `-6` of restore files. Undefined: both. */
  family?: IpFamily;
}

export const builtIn: Readonly<Record<string, readonly string[]>> = {
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/** Of /etc/services, what people protect. Others depend on the machine. */
const services: Readonly<Record<string, number>> = {
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  http: 80,
  www: 80,
  kerberos: 88,
  pop3: 110,
  sunrpc: 111,
  ntp: 123,
  imap2: 143,
  imap: 143,
  snmp: 161,
  ldap: 389,
  https: 443,
  submissions: 465,
  smtps: 465,
  ssmtp: 465,
  urd: 465,
  submission: 587,
  ldaps: 636,
  rsync: 873,
  imaps: 993,
  pop3s: 995,
  socks: 1080,
  mysql: 3306,
  sieve: 4190,
  postgresql: 5432,
  amqp: 5672,
  redis: 6379,
  'http-alt': 8080,
  webmin: 10000,
  memcached: 11211,
};

const protocols: Readonly<Record<string, string>> = {
  tcp: 'tcp',
  '6': 'tcp',
  udp: 'udp',
  '17': 'udp',
  udplite: 'udplite',
  '136': 'udplite',
  icmp: 'icmp',
  '1': 'icmp',
  icmpv6: 'icmpv6',
  'ipv6-icmp': 'icmpv6',
  '58': 'icmpv6',
  sctp: 'sctp',
  '132': 'sctp',
  dccp: 'dccp',
  '33': 'dccp',
  esp: 'esp',
  '50': 'esp',
  ah: 'ah',
  '51': 'ah',
  gre: 'gre',
  '47': 'gre',
  ipip: 'ipip',
  igmp: 'igmp',
  '2': 'igmp',
  ospf: 'ospf',
  vrrp: 'vrrp',
  all: 'all',
  '0': 'all',
  mh: 'mh',
  ipv6: 'ipv6',
  '41': 'ipv6',
};
const withPorts = ['tcp', 'udp', 'udplite', 'sctp', 'dccp'];

/** Names of options of an extension, with how many words follow. */
type Options = Readonly<Record<string, number>>;

const portOptions: Options = { 'source-port': 1, sport: 1, 'destination-port': 1, dport: 1 };

/** What is known whole: an option that is not here does not exist. */
const matchOptions: Readonly<Record<string, Options>> = {
  tcp: { ...portOptions, syn: 0, 'tcp-flags': 2, 'tcp-option': 1 },
  udp: portOptions,
  multiport: { 'source-ports': 1, sports: 1, 'destination-ports': 1, dports: 1, ports: 1 },
  conntrack: {
    ctstate: 1,
    ctproto: 1,
    ctorigsrc: 1,
    ctorigdst: 1,
    ctreplsrc: 1,
    ctrepldst: 1,
    ctorigsrcport: 1,
    ctorigdstport: 1,
    ctreplsrcport: 1,
    ctrepldstport: 1,
    ctstatus: 1,
    ctexpire: 1,
    ctdir: 1,
  },
  state: { state: 1 },
  comment: { comment: 1 },
  iprange: { 'src-range': 1, 'dst-range': 1 },
  mark: { mark: 1 },
  addrtype: { 'src-type': 1, 'dst-type': 1, 'limit-iface-in': 0, 'limit-iface-out': 0 },
  icmp: { 'icmp-type': 1 },
  icmp6: { 'icmpv6-type': 1 },
  icmpv6: { 'icmpv6-type': 1 },
  limit: { limit: 1, 'limit-burst': 1 },
  mac: { 'mac-source': 1 },
  owner: {
    'uid-owner': 1,
    'gid-owner': 1,
    'socket-exists': 0,
    'suppl-groups': 0,
  },
  pkttype: { 'pkt-type': 1 },
  physdev: {
    'physdev-in': 1,
    'physdev-out': 1,
    'physdev-is-in': 0,
    'physdev-is-out': 0,
    'physdev-is-bridged': 0,
  },
  set: {
    'match-set': 2,
    'return-nomatch': 0,
    'update-counters': 0,
    'update-subcounters': 0,
    'packets-eq': 1,
    'packets-lt': 1,
    'packets-gt': 1,
    'bytes-eq': 1,
    'bytes-lt': 1,
    'bytes-gt': 1,
  },
  recent: {
    set: 0,
    rcheck: 0,
    update: 0,
    remove: 0,
    seconds: 1,
    reap: 0,
    hitcount: 1,
    rttl: 0,
    name: 1,
    rsource: 0,
    rdest: 0,
    mask: 1,
  },
  connlimit: {
    'connlimit-upto': 1,
    'connlimit-above': 1,
    'connlimit-mask': 1,
    'connlimit-saddr': 0,
    'connlimit-daddr': 0,
  },
  statistic: { mode: 1, probability: 1, every: 1, packet: 1 },
  length: { length: 1 },
  rpfilter: { loose: 0, validmark: 0, 'accept-local': 0, invert: 0 },
  connmark: { mark: 1 },
  tos: { tos: 1 },
  ttl: { 'ttl-eq': 1, 'ttl-lt': 1, 'ttl-gt': 1 },
};

/** Extensions that exist, whose options are not listed here. */
const otherMatches = new Set(
  (
    'ah bpf cgroup cluster connbytes connlabel cpu dccp devgroup dscp dst ecn esp eui64 frag hashlimit hbh helper hl ipcomp ' +
    'ipv6header ipvs mh nfacct osf policy quota rateest realm rt sctp socket srh standard string tcpmss time u32 udplite'
  ).split(' '),
);

const targetOptions: Readonly<Record<string, Options>> = {
  ACCEPT: {},
  DROP: {},
  RETURN: {},
  QUEUE: {},
  REJECT: { 'reject-with': 1 },
  LOG: {
    'log-level': 1,
    'log-prefix': 1,
    'log-tcp-sequence': 0,
    'log-tcp-options': 0,
    'log-ip-options': 0,
    'log-uid': 0,
    'log-macdecode': 0,
  },
  NFLOG: { 'nflog-group': 1, 'nflog-prefix': 1, 'nflog-range': 1, 'nflog-size': 1, 'nflog-threshold': 1 },
  MARK: { 'set-mark': 1, 'set-xmark': 1, 'and-mark': 1, 'or-mark': 1, 'xor-mark': 1 },
  NOTRACK: {},
  CT: { notrack: 0, helper: 1, timeout: 1, ctevents: 1, expevents: 1, 'zone-orig': 1, 'zone-reply': 1, zone: 1 },
  DNAT: { 'to-destination': 1, random: 0, persistent: 0 },
  SNAT: { 'to-source': 1, random: 0, 'random-fully': 0, persistent: 0 },
  MASQUERADE: { 'to-ports': 1, random: 0, 'random-fully': 0 },
  REDIRECT: { 'to-ports': 1, random: 0 },
  NETMAP: { to: 1 },
  TRACE: {},
};

const otherTargets = new Set(
  (
    'AUDIT CHECKSUM CLASSIFY CLUSTERIP CONNMARK CONNSECMARK DNPT DSCP ECN HL HMARK IDLETIMER LED NFQUEUE RATEEST SECMARK ' +
    'SET SNPT SYNPROXY TCPMSS TCPOPTSTRIP TEE TOS TPROXY TTL ULOG'
  ).split(' '),
);

/** Targets after which a rule list goes on. */
const passing = new Set(
  (
    'LOG NFLOG ULOG MARK CONNMARK NOTRACK CT TRACE AUDIT CHECKSUM CLASSIFY CONNSECMARK DSCP ECN HL HMARK IDLETIMER LED ' +
    'RATEEST SECMARK SET TCPMSS TCPOPTSTRIP TEE TOS TTL'
  ).split(' '),
);

/** Whether a packet that a rule with this target took goes on to the next rule. */
export const passesOn = (target: string): boolean => passing.has(target);

/** Whether iptables knows a target of this name, apart from chains. */
export const isTarget = (name: string): boolean => Object.hasOwn(targetOptions, name) || otherTargets.has(name);

const commandOptions: Readonly<Record<string, [Operation['kind'], string]>> = {
  A: ['append', 'append'],
  I: ['insert', 'insert'],
  D: ['delete', 'delete'],
  R: ['replace', 'replace'],
  C: ['check', 'check'],
  P: ['policy', 'policy'],
  F: ['flush', 'flush'],
  Z: ['zero', 'zero'],
  N: ['new', 'new-chain'],
  X: ['remove', 'delete-chain'],
  E: ['rename', 'rename-chain'],
  L: ['list', 'list'],
  S: ['list', 'list-rules'],
};

/** Options of every rule; the value is the short name. */
const general: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(commandOptions).map(([short, [, long]]) => [long, short])),
  source: 's',
  src: 's',
  destination: 'd',
  dst: 'd',
  protocol: 'p',
  proto: 'p',
  'in-interface': 'i',
  'out-interface': 'o',
  jump: 'j',
  goto: 'g',
  match: 'm',
  table: 't',
  wait: 'w',
  'wait-interval': 'W',
  numeric: 'n',
  verbose: 'v',
  exact: 'x',
  'line-numbers': '#',
  'set-counters': 'c',
  fragments: 'f',
  fragment: 'f',
  modprobe: 'M',
  ipv4: '4',
  ipv6: '6',
};
const generalNames = Object.keys(general);

const interfaceLimit = 15;
/** More mistakes in one command tell nothing more. */
const mostProblems = 20;
const states = ['INVALID', 'NEW', 'ESTABLISHED', 'RELATED', 'UNTRACKED', 'SNAT', 'DNAT'];
const notOfIpv6 = ['BROADCAST', 'BLACKHOLE', 'PROHIBIT', 'THROW', 'NAT', 'XRESOLVE'];
const tcpFlags = ['SYN', 'ACK', 'FIN', 'RST', 'URG', 'PSH', 'ALL', 'NONE'];

export interface ReadOptions {
  family: IpFamily;
  /** Table of the line of a restore file; undefined on a command line, where `-t` says it. */
  table?: string;
}

/** Reads the arguments of one iptables command (without its name). Never throws. */
export function readCommand(argv: readonly Argument[], at: number, options: ReadOptions): Operation {
  return new Reader(argv, at, options).read();
}

class Reader {
  readonly #argv: readonly Argument[];
  readonly #options: ReadOptions;
  readonly #operation: Operation;
  readonly #matches: Match[] = [];
  readonly #loaded = new Set<string>();
  readonly #seen = new Set<string>();
  readonly #signature: string[] = [];
  #sources: {
    networks: Network[];
    unknown: boolean;
    negate: boolean;
    several: boolean;
    kind: 'source' | 'destination';
  }[] = [];
  #protocol: { name: string; negate: boolean } | undefined;
  #target: RuleSpec['target'];
  #targetOptions: Options | undefined;
  #loose = false;
  #mark: RuleSpec['mark'];
  #notrack = false;
  #wantsPorts: number | undefined;
  #at = 0;

  constructor(argv: readonly Argument[], at: number, options: ReadOptions) {
    this.#argv = argv;
    this.#options = options;
    this.#operation = {
      kind: 'list',
      at,
      table: options.table ?? 'filter',
      unknown: false,
      rules: [],
      problems: [],
    };
  }

  read(): Operation {
    const operation = this.#operation;
    let negate = false;
    let command: string | undefined;
    while (this.#at < this.#argv.length) {
      const argument = this.#argv[this.#at++] as Argument;
      const { text } = argument;
      if (argument.unknown) {
        // What a variable holds may be any option of the rule.
        this.#matches.push({ kind: 'unknown', name: text || 'a variable', negate: false });
        if (!command) operation.unknown = true;
        this.#signature.push('?');
        continue;
      }
      if (text === '!') {
        if (negate) this.#fail(argument, 'Two `!` stand in a row');
        negate = true;
        continue;
      }
      if (text.startsWith('--') && text.length > 2) {
        const equals = text.indexOf('=');
        const name = equals < 0 ? text.slice(2) : text.slice(2, equals);
        const inline = equals < 0 ? undefined : { text: text.slice(equals + 1), at: argument.at + equals + 1 };
        const short = this.#generalName(name);
        if (short) {
          if (inline && 'psdioj'.includes(short))
            this.#fail(
              argument,
              `iptables does not read \`${clip(text)}\` as it looks`,
              'Put a space in place of `=`.',
            );
          command = this.#general(short, argument, inline, negate, command);
        } else this.#extension(name, argument, inline, negate);
      } else if (text.startsWith('-') && text.length > 1) {
        const short = text[1] as string;
        let inline: Argument | undefined;
        if (text.length > 2) {
          if ('psdioj'.includes(short)) {
            this.#fail(
              argument,
              `iptables does not read \`${clip(text)}\` as it looks`,
              `Put a space behind \`-${short}\`.`,
            );
          }
          if ('nvxf'.includes(short)) {
            // Several at once, as in -nvL.
            for (const each of text.slice(1, -1)) if (!'nvxf'.includes(each)) this.#unknownOption(argument);
            command = this.#general(text.at(-1) as string, argument, undefined, negate, command);
            negate = false;
            continue;
          }
          inline = { text: text.slice(2), at: argument.at + 2 };
        }
        command = this.#general(short, argument, inline, negate, command);
      } else if (this.#loose) {
        this.#signature.push(text);
      } else {
        this.#fail(argument, `\`${clip(text)}\` does not belong here`);
      }
      negate = false;
    }
    if (!command && !operation.unknown) {
      operation.problems.push({
        at: operation.at,
        status: 'fail',
        message: 'This line has no command such as -A',
      });
    }
    this.#finish();
    return operation;
  }

  #finish(): void {
    const operation = this.#operation;
    if (
      this.#wantsPorts !== undefined &&
      !(this.#protocol && !this.#protocol.negate && withPorts.includes(this.#protocol.name))
    ) {
      const unknown = this.#argv.some((argument) => argument.unknown);
      operation.problems.push({
        at: this.#wantsPorts,
        status: unknown ? 'unknown' : 'fail',
        message: 'Ports need a protocol before them, and none that has ports is given',
        todo: 'Put `-p tcp` before it.',
      });
    }
    if (!['append', 'insert', 'delete', 'replace', 'check'].includes(operation.kind)) return;
    if (operation.kind === 'delete' && operation.number !== undefined) return;
    const { table, chain } = operation;
    const incoming = ['INPUT', 'PREROUTING'].includes(chain ?? '');
    const outgoing = ['OUTPUT', 'POSTROUTING'].includes(chain ?? '');
    for (const match of this.#matches) {
      if ((match.kind === 'out' && incoming) || (match.kind === 'in' && outgoing)) {
        const option = match.kind === 'out' ? '-o' : '-i';
        operation.problems.push({
          at: operation.at,
          status: 'fail',
          message: `${chain} has no ${match.kind === 'out' ? 'outgoing' : 'incoming'} interface, so that iptables refuses ${option}`,
          todo: `Write ${option === '-o' ? '-i' : '-o'}.`,
        });
      }
    }
    const target = this.#target;
    if (target && !target.unknown) {
      if (['DNAT', 'SNAT', 'MASQUERADE', 'REDIRECT', 'NETMAP'].includes(target.name) && table !== 'nat') {
        this.#fail(target, `${target.name} works in table nat only`);
      }
      if (target.name === 'REJECT' && table !== 'filter') {
        this.#fail(target, 'REJECT works in table filter only');
      }
    }
    // Also when the several are those of the other side.
    if (this.#sources.some(({ negate }) => negate) && this.#sources.some(({ several }) => several))
      this.#fail(operation, 'A rule with several addresses cannot have `!` before an address');
    const at = operation.at;
    const groups = ['source', 'destination'].map((kind) => this.#sources.filter((each) => each.kind === kind));
    const combinations: Match[][] = [[]];
    for (const group of groups) {
      for (const { networks, unknown, negate, kind } of group) {
        if (networks.length <= 1 || negate || combinations.length * networks.length > 64) {
          for (const each of combinations) each.push({ kind, networks, unknown, negate });
        } else {
          const before = combinations.splice(0);
          for (const each of before)
            for (const network of networks)
              combinations.push([...each, { kind, networks: [network], unknown, negate }]);
        }
      }
    }
    const signature = this.#signature.sort().join(' ');
    operation.rules = combinations.map((addresses, index) => ({
      at,
      matches: [...addresses, ...this.#matches],
      target,
      mark: this.#mark,
      notrack: this.#notrack,
      signature: `${signature} #${index}`,
    }));
  }

  #take(argument: Argument, inline: Argument | undefined, what: string): Argument | undefined {
    if (inline) return inline;
    const next = this.#argv[this.#at];
    if (!next) {
      this.#fail(argument, `${what} is missing behind \`${clip(argument.text)}\``);
      return undefined;
    }
    this.#at++;
    return next;
  }

  /** The next word, if it is no option: of options whose value may be left out. */
  #optional(inline?: Argument): Argument | undefined {
    if (inline) return inline;
    const next = this.#argv[this.#at];
    if (!next || next.text.startsWith('-') || next.text === '!') return undefined;
    this.#at++;
    return next;
  }

  #fail(argument: { at: number }, message: string, todo?: string): void {
    if (this.#operation.problems.length >= mostProblems) return;
    this.#operation.problems.push({ at: argument.at, status: 'fail', message, todo });
  }

  #unsure(argument: Argument, message: string, todo?: string): void {
    if (this.#operation.problems.length >= mostProblems) return;
    this.#operation.problems.push({ at: argument.at, status: 'unknown', message, todo });
  }

  #unknownOption(argument: Argument): void {
    this.#matches.push({ kind: 'unknown', name: argument.text, negate: false });
    this.#fail(argument, `iptables has no option \`${clip(argument.text)}\` here`);
  }

  #generalName(name: string): string | undefined {
    if (Object.hasOwn(general, name)) return general[name];
    // What an extension has by this name goes before an abbreviation.
    if (this.#extensionsOption(name)) return undefined;
    const matching = new Set(generalNames.filter((each) => each.startsWith(name)).map((each) => general[each]));
    return matching.size === 1 ? [...matching][0] : undefined;
  }

  #once(key: string, argument: Argument): void {
    if (this.#seen.has(key)) this.#fail(argument, `\`${clip(argument.text)}\` stands here a second time`);
    this.#seen.add(key);
  }

  #general(
    short: string,
    argument: Argument,
    inline: Argument | undefined,
    negate: boolean,
    command: string | undefined,
  ): string | undefined {
    const operation = this.#operation;
    const note = (key: string, value: Argument | undefined) =>
      this.#signature.push(`${negate ? '!' : ''}${key}=${value?.unknown ? '?' : (value?.text ?? '')}`);
    if (negate && !'sdpiof'.includes(short))
      this.#fail(argument, `\`!\` means nothing before \`${clip(argument.text)}\``);
    const kind = commandOptions[short]?.[0];
    if (kind) {
      if (command && command !== short && !(command === 'L' && short === 'Z') && !(command === 'Z' && short === 'L')) {
        this.#fail(argument, `\`${clip(argument.text)}\` is a second command in one line`);
        return command;
      }
      operation.kind = kind;
      const chain =
        'FZLSX'.includes(short) || short === 'N'
          ? this.#optional(inline)
          : this.#take(argument, inline, 'The name of a chain');
      if (short === 'N' && !chain) this.#fail(argument, 'The name of the new chain is missing');
      if (chain) {
        operation.chain = chain.text;
        if (chain.unknown) operation.unknown = true;
        if ((short === 'N' || short === 'E') && chain.text.length > 28)
          this.#fail(chain, 'Names of chains have at most 28 characters');
      }
      if ('IDR'.includes(short)) {
        const next = this.#argv[this.#at];
        const number = next && !next.unknown ? digits(next.text) : Number.NaN;
        if (next?.unknown) {
          operation.unknown = true;
          this.#at++;
        } else if (!Number.isNaN(number)) {
          this.#at++;
          operation.number = number;
          if (number < 1) this.#fail(next as Argument, 'Rules are numbered from 1');
        } else if (short === 'R') this.#fail(argument, 'The number of the rule to replace is missing');
      }
      if (short === 'P') {
        const policy = this.#take(argument, undefined, 'The policy');
        operation.policy = policy?.text;
        if (policy?.unknown) operation.unknown = true;
        else if (policy && !['ACCEPT', 'DROP'].includes(policy.text)) {
          this.#fail(policy, `\`${clip(policy.text)}\` is no policy`, 'Write ACCEPT or DROP.');
        }
      }
      if (short === 'E') operation.to = this.#take(argument, undefined, 'The new name')?.text;
      return short;
    }
    switch (short) {
      case 't': {
        const table = this.#take(argument, inline, 'A table');
        if (!table) break;
        if (this.#options.table !== undefined) {
          this.#fail(argument, 'A line of a restore file may not choose a table', 'Put it below `*table`.');
        } else if (table.unknown) operation.unknown = true;
        else if (!Object.hasOwn(builtIn, table.text)) this.#fail(table, `There is no table ${clip(table.text)}`);
        else operation.table = table.text;
        break;
      }
      case 's':
      case 'd': {
        this.#once(short, argument);
        const value = this.#take(argument, inline, 'An address');
        if (!value) break;
        note(short, value);
        this.#addresses(value, short === 's' ? 'source' : 'destination', negate);
        break;
      }
      case 'p': {
        this.#once(short, argument);
        const value = this.#take(argument, inline, 'A protocol');
        if (!value) break;
        if (value.unknown) {
          this.#matches.push({ kind: 'unknown', name: 'its protocol', negate: false });
          this.#loose = true;
          break;
        }
        const name = protocols[value.text.toLowerCase()] ?? '';
        if (!name) {
          const number = digits(value.text);
          if (number <= 255) this.#matches.push({ kind: 'protocol', name: value.text, negate });
          else if (/[^A-Za-z0-9.-]/.test(value.text) || value.text.length > 12)
            this.#fail(value, `There is no protocol ${clip(value.text)}`);
          else {
            this.#unsure(value, `Whether there is a protocol ${clip(value.text)} depends on the machine`);
            this.#matches.push({ kind: 'unknown', name: `protocol ${clip(value.text)}`, negate });
          }
          break;
        }
        this.#protocol = { name, negate };
        if (name === 'all') {
          if (negate) this.#fail(value, '`! -p all` can never match');
          break;
        }
        note('p', { text: name, at: 0 });
        this.#matches.push({ kind: 'protocol', name, negate });
        break;
      }
      case 'i':
      case 'o': {
        this.#once(short, argument);
        const value = this.#take(argument, inline, 'An interface');
        if (!value) break;
        note(short, value);
        if (value.unknown) this.#matches.push({ kind: 'unknown', name: 'its interface', negate });
        else {
          if (value.text.length > interfaceLimit)
            this.#fail(value, `Names of interfaces have at most ${interfaceLimit} characters`);
          if (value.text === '') this.#fail(value, 'The name of the interface is empty');
          if (value.text === '!') this.#fail(value, '`!` stands before `-i`, not behind it', `Write \`! -${short}\`.`);
          this.#matches.push({ kind: short === 'i' ? 'in' : 'out', name: value.text, negate });
        }
        break;
      }
      case 'j':
      case 'g': {
        if (this.#target) this.#fail(argument, 'The rule has two targets');
        const value = this.#take(argument, inline, 'A target');
        if (!value) break;
        note(short, value);
        this.#target = { name: value.text, goto: short === 'g', at: value.at, unknown: value.unknown === true };
        if (value.unknown || otherTargets.has(value.text)) this.#loose = true;
        else this.#targetOptions = targetOptions[value.text] ?? {};
        break;
      }
      case 'm': {
        const value = this.#take(argument, inline, 'The name of a match');
        if (!value) break;
        if (value.unknown) {
          this.#matches.push({ kind: 'unknown', name: 'a match', negate: false });
          this.#loose = true;
        } else if (Object.hasOwn(matchOptions, value.text)) {
          this.#loaded.add(value.text);
          if (value.text === 'multiport') {
            this.#wantsPorts ??= value.at;
            this.#seen.delete('multiport');
          }
          // A match of a protocol without the protocol: the kernel refuses it.
          if ((value.text === 'tcp' || value.text === 'udp') && !(this.#protocol?.name === value.text)) {
            this.#wantsPorts ??= value.at;
          }
        } else if (otherMatches.has(value.text)) {
          this.#matches.push({ kind: 'unknown', name: `-m ${value.text}`, negate: false });
          this.#signature.push(value.text);
          this.#loose = true;
        } else {
          this.#unsure(value, `Whether iptables has a match ${clip(value.text)} depends on the machine`);
          this.#matches.push({ kind: 'unknown', name: `-m ${clip(value.text)}`, negate: false });
          this.#loose = true;
        }
        break;
      }
      case 'c': {
        const first = this.#take(argument, inline, 'The number of packets');
        if (first && !first.text.includes(',')) this.#take(argument, undefined, 'The number of bytes');
        break;
      }
      case 'f':
        this.#matches.push({ kind: 'fragment', negate });
        note('f', undefined);
        break;
      case 'w':
      case 'W':
        if (this.#options.table !== undefined)
          this.#fail(argument, `A line of a restore file may not have \`${clip(argument.text)}\``, 'Take it out.');
        else if (!inline && !Number.isNaN(digits(this.#argv[this.#at]?.text ?? ''))) this.#at++;
        break;
      case 'M':
        this.#take(argument, inline, 'A command');
        break;
      case '4':
      case '6':
        operation.family = short === '4' ? 4 : 6;
        break;
      case 'n':
      case 'v':
      case 'x':
      case '#':
        break;
      default:
        this.#unknownOption(argument);
    }
    return command;
  }

  #addresses(value: Argument, kind: 'source' | 'destination', negate: boolean): void {
    const networks: Network[] = [];
    let unknown = value.unknown === true;
    const pieces = unknown ? [] : value.text.split(',');
    for (const piece of pieces) {
      const { family } = this.#options;
      const network = parseNetwork(piece === 'localhost' ? (family === 4 ? '127.0.0.1' : '::1') : piece, family);
      if (network) {
        networks.push(network);
        continue;
      }
      const slash = piece.indexOf('/');
      const host = slash < 0 ? piece : piece.slice(0, slash);
      if ((family === 4 ? parseIpv6 : parseIpv4)(host) && host !== '' && (family === 4 || host.includes('.'))) {
        if (this.#operation.family && this.#operation.family !== family) {
          unknown = true;
          continue; // `-6` before it: the line is for the other program.
        }
        this.#fail(
          value,
          `${clip(piece)} is no IPv${family} address`,
          `Put it into the rules for IPv${family === 4 ? 6 : 4}.`,
        );
      } else if ((family === 4 ? parseIpv4 : parseIpv6)(host)) this.#fail(value, `${clip(piece)} has no valid mask`);
      else if (host === '' || /[^A-Za-z0-9._-]/.test(host) || !/[A-Za-z]/.test(host))
        this.#fail(value, `${clip(piece)} is no address`);
      else this.#unsure(value, `Which address ${clip(host)} has is only known on the machine`, 'Write the address.');
      unknown = true;
    }
    this.#sources.push({ networks, unknown, negate, several: pieces.length > 1, kind });
  }

  /** The option of a loaded extension that a name or an unambiguous abbreviation means. */
  #extensionsOption(name: string): { name: string; words: number; of: string } | undefined {
    const found: { name: string; words: number; of: string }[] = [];
    const look = (options: Options | undefined, of: string) => {
      for (const [each, words] of Object.entries(options ?? {}))
        if (each === name) found.unshift({ name: each, words, of });
        else if (each.startsWith(name)) found.push({ name: each, words, of });
    };
    look(this.#targetOptions, 'target');
    const protocol = this.#protocol?.name ?? '';
    if (Object.hasOwn(matchOptions, protocol)) look(matchOptions[protocol], protocol);
    for (const each of this.#loaded) if (each !== protocol) look(matchOptions[each], each);
    if (found[0]?.name === name) return found[0];
    return found.length === 1 ? found[0] : undefined;
  }

  #extension(name: string, argument: Argument, inline: Argument | undefined, negate: boolean): void {
    const option = this.#extensionsOption(name);
    if (!option) {
      if (this.#loose) {
        this.#signature.push(`${negate ? '!' : ''}--${name}`);
        while (this.#optional()) this.#signature.push(this.#argv[this.#at - 1]?.text ?? '');
        return;
      }
      if ((name in portOptions || name === 'syn' || name === 'tcp-flags') && !this.#protocol) {
        this.#wantsPorts ??= argument.at;
        this.#matches.push({ kind: 'unknown', name: `--${clip(name)}`, negate });
        this.#optional(inline);
        return;
      }
      this.#unknownOption(argument);
      this.#optional(inline);
      return;
    }
    const values: Argument[] = [];
    for (let word = 0; word < option.words; word++) {
      const value = this.#take(argument, word === 0 ? inline : undefined, 'A value');
      if (value) values.push(value);
    }
    if (values.length < option.words) return;
    this.#signature.push(
      `${negate ? '!' : ''}${option.name}=${values.map((value) => (value.unknown ? '?' : value.text)).join(',')}`,
    );
    this.#evaluate(option, values, argument, negate);
  }

  #evaluate(option: { name: string; of: string }, values: Argument[], argument: Argument, negate: boolean): void {
    const [value, second] = values as [Argument, Argument | undefined];
    const unknown = (name = `--${option.name}`) => this.#matches.push({ kind: 'unknown', name, negate });
    if (values.some((each) => each.unknown) && option.of !== 'target' && option.of !== 'comment') {
      if (option.of === 'multiport') this.#wantsPorts ??= argument.at;
      return void unknown();
    }
    const side = (): 'source' | 'destination' | 'either' =>
      option.name === 'ports' ? 'either' : option.name.startsWith('s') ? 'source' : 'destination';
    switch (`${option.of} ${option.name}`) {
      case 'tcp source-port':
      case 'tcp sport':
      case 'tcp destination-port':
      case 'tcp dport':
      case 'udp source-port':
      case 'udp sport':
      case 'udp destination-port':
      case 'udp dport': {
        this.#once(`${side()} port`, argument);
        if (this.#protocol?.negate) this.#wantsPorts ??= argument.at;
        const port = this.#ports(value, ':');
        this.#matches.push({ kind: 'ports', of: side(), ports: port ? [port] : [], unknown: !port, negate });
        return;
      }
      case 'multiport source-ports':
      case 'multiport sports':
      case 'multiport destination-ports':
      case 'multiport dports':
      case 'multiport ports': {
        this.#once('multiport', argument);
        this.#wantsPorts ??= argument.at;
        const ports: Port[] = [];
        let unsure = false;
        for (const piece of value.text.split(',')) {
          const port = this.#ports({ text: piece, at: value.at }, ':');
          if (port) ports.push(port);
          else unsure = true;
        }
        // A range counts twice.
        if (ports.reduce((sum, [from, to]) => sum + (from === to ? 1 : 2), 0) > 15)
          this.#fail(value, 'A rule takes at most 15 ports', 'Make two rules of it.');
        this.#matches.push({ kind: 'ports', of: side(), ports, unknown: unsure, negate });
        return;
      }
      case 'conntrack ctstate':
      case 'state state': {
        const names = value.text.toUpperCase().split(',');
        const known = option.of === 'state' ? states.slice(0, 5) : states;
        for (const name of names)
          if (!known.includes(name))
            this.#fail(value, `There is no connection state ${clip(name) || 'without a name'}`);
        this.#matches.push({ kind: 'state', states: names, negate });
        return;
      }
      case 'comment comment':
        if (value.text.length > 255) this.#fail(value, 'A comment has at most 255 characters');
        return;
      case 'tcp syn':
        this.#matches.push({ kind: 'flags', mask: ['FIN', 'SYN', 'RST', 'ACK'], set: ['SYN'], negate });
        return;
      case 'tcp tcp-flags': {
        const read = (flags: Argument): string[] => {
          const names = flags.text.toUpperCase().split(',');
          for (const name of names)
            if (!tcpFlags.includes(name)) this.#fail(flags, `There is no TCP flag ${clip(name) || 'without a name'}`);
          return names.includes('ALL') ? tcpFlags.slice(0, 6) : names.filter((name) => name !== 'NONE');
        };
        this.#matches.push({ kind: 'flags', mask: read(value), set: read(second as Argument), negate });
        return;
      }
      case 'iprange src-range':
      case 'iprange dst-range': {
        const parse = this.#options.family === 4 ? parseIpv4 : parseIpv6;
        const [from, to, more] = value.text.split('-');
        const [low, high] = [parse(from ?? ''), parse(to ?? from ?? '')];
        if (!low || !high || more !== undefined) {
          this.#fail(value, `${clip(value.text)} is no range of IPv${this.#options.family} addresses`);
          return void unknown();
        }
        const of = option.name === 'src-range' ? 'source' : 'destination';
        this.#matches.push({ kind: 'range', of, from: low, to: high, negate });
        return;
      }
      case 'mark mark': {
        const mark = readMark(value.text);
        if (mark) this.#matches.push({ kind: 'mark', ...mark, negate });
        else {
          this.#fail(value, `${clip(value.text)} is no mark`);
          unknown();
        }
        return;
      }
      case 'addrtype src-type':
      case 'addrtype dst-type':
        if (this.#options.family === 6) {
          const type = value.text
            .toUpperCase()
            .split(',')
            .find((each) => notOfIpv6.includes(each));
          if (type) this.#fail(value, `IPv6 has no addresses of type ${type}`);
        }
        this.#matches.push({
          kind: 'local',
          of: option.name === 'src-type' ? 'source' : 'destination',
          types: value.text.toUpperCase().split(','),
          negate,
        });
        return;
      case 'target set-mark':
      case 'target set-xmark':
      case 'target and-mark':
      case 'target or-mark':
      case 'target xor-mark': {
        const mark = value.unknown ? undefined : readMark(value.text);
        if (!mark && !value.unknown) this.#fail(value, `${clip(value.text)} is no mark`);
        // (packet & ~mask) ^ value, as the kernel does it.
        if (mark && option.name === 'set-xmark') this.#mark = mark;
        else if (mark && option.name === 'set-mark')
          this.#mark = { value: mark.value, mask: (mark.mask | mark.value) >>> 0 };
        else if (mark && option.name === 'and-mark') this.#mark = { value: 0, mask: ~mark.value >>> 0 };
        else if (mark && option.name === 'or-mark') this.#mark = { value: mark.value, mask: mark.value };
        else if (mark) this.#mark = { value: mark.value, mask: 0 };
        return;
      }
      case 'target notrack':
        this.#notrack = true;
        return;
      case 'target reject-with':
        if (!value.unknown) this.#rejectWith(value);
        return;
      default:
        if (option.of !== 'target') unknown();
    }
  }

  #rejectWith(value: Argument): void {
    const { family } = this.#options;
    const kinds =
      family === 4
        ? 'icmp-net-unreachable net-unreach icmp-host-unreachable host-unreach icmp-proto-unreachable proto-unreach ' +
          'icmp-port-unreachable port-unreach icmp-net-prohibited net-prohib icmp-host-prohibited host-prohib tcp-reset ' +
          'tcp-rst icmp-admin-prohibited admin-prohib'
        : 'icmp6-no-route no-route icmp6-adm-prohibited adm-prohibited icmp6-addr-unreachable addr-unreach ' +
          'icmp6-port-unreachable port-unreach tcp-reset tcp-rst icmp6-policy-fail policy-fail icmp6-reject-route reject-route';
    const names = kinds.split(' ').filter((each) => each.startsWith(value.text));
    if (names.length === 0) this.#fail(value, `REJECT has no answer ${clip(value.text)} for IPv${family}`);
    else if (names[0]?.startsWith('tcp') && !(this.#protocol?.name === 'tcp' && !this.#protocol.negate))
      this.#fail(value, 'Only tcp can be answered by tcp-reset', 'Put `-p tcp` before it.');
  }

  #ports(value: Argument, separator: string): Port | undefined {
    const { text } = value;
    const at = text.indexOf(separator);
    const [low, high] = at < 0 ? [text, text] : [text.slice(0, at), text.slice(at + 1)];
    const read = (piece: string, missing: number): number | undefined => {
      if (piece === '') {
        if (at >= 0) return missing;
        this.#fail(value, 'A port is missing');
        return undefined;
      }
      const number = digits(piece);
      if (number <= 65535) return number;
      if (!Number.isNaN(number) || /[^A-Za-z0-9_-]/.test(piece) || piece.startsWith('-')) {
        this.#fail(value, `${clip(piece)} is no port`);
        return undefined;
      }
      const known = services[piece];
      if (known === undefined) {
        this.#unsure(value, `Which port ${clip(piece)} is depends on the machine's /etc/services`, 'Write the number.');
      }
      return known;
    };
    const [from, to] = [read(low, 0), at < 0 ? undefined : read(high, 65535)];
    if (from === undefined || (at >= 0 && to === undefined)) return undefined;
    if (to !== undefined && from > to) {
      this.#fail(value, `The range ${clip(text)} is the wrong way round`);
      return undefined;
    }
    return [from, to ?? from];
  }
}

function readMark(text: string): { value: number; mask: number } | undefined {
  const [value, mask, more] = text.split('/');
  const read = (piece: string): number => {
    if (piece.length > 10 || piece === '') return Number.NaN;
    return /^0x/i.test(piece) && !/[^0-9a-f]/i.test(piece.slice(2)) && piece.length > 2
      ? Number.parseInt(piece, 16)
      : /^0[0-7]/.test(piece)
        ? Number.parseInt(piece, 8)
        : digits(piece);
  };
  const [number, bits] = [read(value ?? ''), mask === undefined ? 0xffffffff : read(mask)];
  if (more !== undefined || !(number <= 0xffffffff) || !(bits <= 0xffffffff)) return undefined;
  return { value: number, mask: bits };
}

/** For messages: not a whole line of a hostile file. */
export function clip(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return printable.length > 40 ? `${printable.slice(0, 40)}...` : printable;
}

export { contains };
