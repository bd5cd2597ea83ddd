import { at, brief, type Token } from '../../formats/caddy-tokens.js';
import { type Directive, leaveOutRest, type Problem, parse } from '../../formats/caddyfile.js';
import { type Net, parseNet } from '../../formats/cidr.js';
import type { Position } from '../../rule.js';
import type { Tree } from '../../tree.js';
import { keeper } from '../../unread.js';
import { aclTypes, plugins as known } from './names.js';

/** A Corefile as far as the rules about it need: who may ask which server what. */
export interface Corefile {
  path: string;
  files: string[];
  servers: DnsServer[];
  problems: Problem[];
  /** Whether servers or plugins may be missing here. */
  incomplete: boolean;
}

export interface DnsServer {
  at: Position;
  keys: DnsKey[];
  directives: Directive[];
  plugins: Set<string>;
  acls: Acl[];
  /** Where else queries are sent; zones as written. */
  forwards: { zone: string; at: Position; plugin: string }[];
  /** Whether it answers from zones of its own. */
  authoritative: boolean;
  /** Whether only its own machine reaches it. */
  loopback: boolean;
  /** Names to ask it about: where its acls may differ. */
  names: string[];
}

export interface DnsKey {
  text: string;
  /** Without the last dot, in lower case; empty is the root. */
  zone: string;
  port: string;
  transport: string;
  at: Position;
  variable: boolean;
}

export interface Acl {
  at: Position;
  directive: Directive;
  /** Empty: those of the server. */
  zones: string[];
  policies: Policy[];
}

export type Action = 'allow' | 'block' | 'filter' | 'drop';

export interface Policy {
  action: Action;
  /** Undefined: all. */
  types?: Set<string>;
  /** Undefined: all. */
  nets?: Net[];
  at: Position;
  typeTokens: Token[];
  netTokens: Token[];
}

export interface CorefileOptions {
  served?: string;
  plugins?: readonly string[];
  environment?: Record<string, string>;
}

const kept = keeper<Tree, Corefile>();

/** Reads a Corefile of the tree with all that it imports. Never throws. */
export function readCorefile(tree: Tree, path: string, options: CorefileOptions = {}): Corefile {
  return kept(tree, JSON.stringify([path, options]), () => {
    const corefile = read(tree, path, options);
    if (corefile.incomplete) leaveOutRest(corefile);
    return corefile;
  });
}

const transports = ['tls', 'dns', 'quic', 'grpc', 'https3', 'https', 'unix'];
const ports: Record<string, string> = { dns: '53', tls: '853', quic: '853', grpc: '443', https: '443', https3: '443' };

function read(tree: Tree, path: string, options: CorefileOptions): Corefile {
  const { blocks, problems, files, incomplete } = parse(tree, path, { dialect: 'corefile', ...options });
  const fail = (token: Token, message: string, todo?: string) => {
    if (!token.variable)
      problems.push({ status: 'fail', kind: 'meaning', at: at(token), message: brief(message), todo });
  };
  const servers = blocks.map((block): DnsServer => {
    const server: DnsServer = {
      at: at(block.keys[0] as Token),
      keys: block.keys.map(keyOf),
      directives: block.directives,
      plugins: new Set(block.directives.map(({ name }) => name.text)),
      acls: [],
      forwards: [],
      authoritative: block.directives.some(({ name }) => ['file', 'auto', 'secondary', 'sign'].includes(name.text)),
      loopback: isLoopback(block.directives),
      names: [],
    };
    for (const directive of block.directives) {
      const { name, args } = directive;
      if (!known.has(name.text) && !options.plugins?.includes(name.text)) unknownPlugin(directive, problems);
      if (name.text === 'acl') server.acls.push(readAcl(directive, fail));
      if ((name.text === 'forward' || name.text === 'grpc') && args[0])
        server.forwards.push({ zone: zoneName(args[0].text), at: at(name), plugin: name.text });
    }
    server.names = namesOf(server);
    return server;
  });
  twice(servers, problems);
  const stopped = problems.some(({ kind, status }) => kind === 'syntax' && status === 'fail');
  return { path, files, servers, problems, incomplete: incomplete || stopped };
}

/** Each of its zones, and something below; one will do where no acl is for a part. */
function namesOf({ keys, acls }: DnsServer): string[] {
  const zones = [...new Set(keys.filter(({ variable }) => !variable).map(({ zone }) => zone))];
  const parts = acls.some(({ zones: each }) => each.length > 0);
  return (parts ? zones : zones.slice(0, 1)).flatMap((zone) =>
    zone === '' ? ['', 'guard-probe.test'] : [zone, `guard-probe.${zone}`],
  );
}

function unknownPlugin({ name }: Directive, problems: Problem[]): void {
  problems.push({
    status: name.variable ? 'unknown' : 'fail',
    kind: 'plugin',
    at: at(name),
    message: brief(`CoreDNS has no plugin ${name.text}, and does not start with one that it lacks.`),
    todo: 'Mend its name, or name it in the option `plugins` of the policy when the server was built with it.',
  });
}

/** Two servers for one zone on one port and address: CoreDNS does not start. */
function twice(servers: readonly DnsServer[], problems: Problem[]): void {
  const seen = new Map<string, DnsKey>();
  const bound = new Map<string, DnsKey>();
  for (const { keys, plugins, directives } of servers) {
    if (plugins.has('view')) continue;
    const hosts = directives
      .filter(({ name }) => name.text === 'bind')
      .flatMap(({ args }) => args.map(({ text }) => text));
    for (const key of keys) {
      if (key.variable) continue;
      const name = `${key.transport}://${key.zone}:${key.port}`;
      // More than these nobody has.
      for (const host of hosts.length > 0 ? new Set(hosts.slice(0, 20)) : ['']) {
        const other = seen.get(`${name} ${host}`) ?? (host === '' ? bound.get(name) : seen.get(`${name} `));
        if (!other) {
          seen.set(`${name} ${host}`, key);
          if (host !== '') bound.set(name, key);
          continue;
        }
        problems.push({
          status: 'fail',
          kind: 'meaning',
          at: key.at,
          message: `${brief(key.text, 80)} is served a second time; the first is in ${other.at.path}, line ${other.at.line}.`,
          todo: 'Join the two.',
        });
        break;
      }
    }
  }
}

function keyOf(token: Token): DnsKey {
  let text = token.text;
  const transport = transports.find((each) => text.startsWith(`${each}://`)) ?? 'dns';
  if (text.startsWith(`${transport}://`)) text = text.slice(transport.length + 3);
  const colon = text.lastIndexOf(':');
  let port = ports[transport] ?? '';
  if (colon >= 0 && /^\d{1,5}$/.test(text.slice(colon + 1))) {
    port = text.slice(colon + 1);
    text = text.slice(0, colon);
  }
  return { text: token.text, zone: zoneName(text), port, transport, at: at(token), variable: token.variable };
}

function zoneName(text: string): string {
  const lower = text.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

function isLoopback(directives: readonly Directive[]): boolean {
  const addresses = directives.filter(({ name }) => name.text === 'bind').flatMap(({ args }) => args);
  return (
    addresses.length > 0 &&
    addresses.every(({ text }) => text === 'lo' || text === '::1' || text === 'localhost' || /^127\.[\d.]+$/.test(text))
  );
}

function readAcl(directive: Directive, fail: (token: Token, message: string, todo?: string) => void): Acl {
  const { name, args, body, open } = directive;
  const acl: Acl = {
    at: at(name),
    directive,
    zones: args.map(({ text }) => keyOf(tokenOf(text, name)).zone),
    policies: [],
  };
  if (open && open.line !== (args[args.length - 1] ?? name).line)
    fail(open, 'The { of an acl must stand on its line.', 'Put it at the end of the line before.');
  for (const line of body ?? []) {
    const policy = readPolicy(line, fail);
    if (policy) acl.policies.push(policy);
  }
  return acl;
}

function tokenOf(text: string, like: Token): Token {
  return { ...like, text };
}

function readPolicy(
  { name, args, body }: Directive,
  fail: (token: Token, message: string, todo?: string) => void,
): Policy | undefined {
  const action = name.text.toLowerCase();
  if (action !== 'allow' && action !== 'block' && action !== 'filter' && action !== 'drop') {
    fail(name, `An acl has no action ${name.text}, so CoreDNS does not start.`, 'Write allow, block, filter or drop.');
    return undefined;
  }
  if (body) fail(name, 'A line of an acl has no block.');
  const policy: Policy = { action, at: at(name), typeTokens: [], netTokens: [] };
  let [types, nets]: [Set<string> | undefined, Net[] | undefined] = [undefined, undefined];
  let [allTypes, allNets] = [false, false];
  let section: Token | undefined;
  let count = 0;
  const close = () => {
    if (section && count === 0) fail(section, `Nothing stands behind ${section.text}, so CoreDNS does not start.`);
  };
  for (const token of args) {
    const word = token.text.toLowerCase();
    if (word === 'type' || word === 'net') {
      close();
      section = token;
      count = 0;
      if (word === 'type') types ??= new Set();
      else nets ??= [];
      continue;
    }
    count++;
    if (!section) {
      fail(token, `In this place stands type or net, and not ${token.text}.`);
      return undefined;
    }
    if (section.text.toLowerCase() === 'type') {
      policy.typeTokens.push(token);
      // What follows a * in its section is not even read.
      if (token.text === '*' || token.text === 'None') allTypes = true;
      else if (aclTypes.has(token.text)) types?.add(token.text);
      else if (!allTypes)
        fail(
          token,
          `${token.text} is no query type, so CoreDNS does not start.`,
          aclTypes.has(token.text.toUpperCase()) ? `Write ${token.text.toUpperCase()}.` : undefined,
        );
    } else {
      policy.netTokens.push(token);
      const net = token.text === '*' ? undefined : parseNet(token.text);
      if (token.text === '*') allNets = true;
      else if (net) nets?.push(net);
      else if (!allNets) fail(token, `${token.text} is no network, so CoreDNS does not start.`);
    }
  }
  close();
  if (types && !allTypes) policy.types = types;
  if (nets && !allNets) policy.nets = nets;
  return policy;
}
