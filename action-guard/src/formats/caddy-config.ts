import type { Position } from '../rule.js';
import type { Tree } from '../tree.js';
import { keeper } from '../unread.js';
import { parseAddress, upstreamProblem } from './caddy-address.js';
import {
  argumentsOf,
  handlers,
  logSettings,
  quietLevels,
  singleOptions,
  storageRoot,
  tlsSettings,
  withoutMatcher,
} from './caddy-arguments.js';
import {
  globalOptions,
  httpDirectives,
  logEncoders,
  logWriters,
  matcherModules,
  pluginDirectives,
} from './caddy-names.js';
import { at, brief, type Token } from './caddy-tokens.js';
import { type Block, type Directive, leaveOutRest, type Parsed, type Problem, parse, walk } from './caddyfile.js';

/** What a Caddyfile means, with positions: what the rules about Caddy judge, and what other families compare with. */
export interface CaddyConfig {
  path: string;
  /** All files that it was read from, itself first. */
  files: string[];
  /** Its site blocks, in the order of the text. */
  blocks: CaddyBlock[];
  storage?: CaddyStorage;
  /** The block of global options. */
  global?: Block;
  /** Writers of logs: of sites (access logs) and global ones. */
  logs: CaddyLog[];
  /** What Caddy would refuse, and what could not be told. */
  problems: Problem[];
  /** Whether sites may be missing here: an import that could not be seen, or a file that Caddy refuses to read. */
  incomplete: boolean;
  variables: boolean;
  features: Parsed['features'];
  httpPort: string;
  httpsPort: string;
  /** `on` when not set. */
  autoHttps: string;
  /** Whether certificates come from Caddy's own CA by default. */
  localCerts: boolean;
}

export interface CaddyBlock {
  sites: CaddySite[];
  directives: Directive[];
  at: Position;
  /** Its closing brace; undefined when it has none. */
  end?: Position;
  /** How requests to it are logged; undefined when they are not. */
  log?: CaddyLog;
  /** Where and why it is not logged although it has a `log`. */
  unlogged?: { at: Position; why: string };
  tls: { internal: boolean; files: boolean; dns: boolean; onDemand: boolean; policy: boolean; issuer: boolean };
  bind: string[];
}

/** One address of a site block. */
export interface CaddySite {
  /** As written. */
  address: string;
  /** Lower case; empty for all hosts. */
  host: string;
  scheme: string;
  /** As written; empty for the default. */
  port: string;
  path: string;
  at: Position;
  /** Whether a part of it is an environment variable. */
  variable: boolean;
}

export interface CaddyStorage {
  module: string;
  root?: string;
  at: Position;
  /** The token of the root. */
  rootToken?: Token;
  variable: boolean;
  directive: Directive;
}

export interface CaddyLog {
  scope: 'global' | 'site';
  at: Position;
  /** Name of the logger, where it has one. */
  name: string;
  /** Addresses of the block that it is in. */
  sites: string[];
  /** Caddy's name of the writer: file, stdout, stderr, net, discard, or another. */
  output: string;
  /** Of a file. */
  filename?: string;
  /** json, console, filter... */
  format: string;
  level: string;
  /** Whether the file's name has an environment variable in it. */
  variable: boolean;
}

export interface CaddyOptions {
  /** Where the file lies on the server. */
  served?: string;
  /** Directives, matchers, modules and global options that plugins of the server bring. */
  plugins?: readonly string[];
  environment?: Record<string, string>;
}

const kept = keeper<Tree, CaddyConfig>();

/** Reads a Caddyfile of the tree with all that it imports. Never throws. */
export function readCaddy(tree: Tree, path: string, options: CaddyOptions = {}): CaddyConfig {
  return kept(tree, JSON.stringify([path, options]), () => {
    const config = new Reader(tree, path, options).read();
    if (config.incomplete) leaveOutRest(config);
    return config;
  });
}

/** The Caddyfiles that match, without those that another one imports. */
export function caddyConfigs(tree: Tree, globs: readonly string[], options: CaddyOptions = {}): CaddyConfig[] {
  const configs = tree.matching(globs).map(({ path }) => readCaddy(tree, path, options));
  const imported = new Set(configs.flatMap(({ files }) => files.slice(1)));
  return configs.filter(({ path }) => !imported.has(path));
}

/** All addresses. */
export function sitesOf(config: CaddyConfig): CaddySite[] {
  return config.blocks.flatMap(({ sites }) => sites);
}

/** Directives whose blocks hold directives. */
const containers = new Set(['handle', 'handle_path', 'handle_errors', 'route']);

class Reader {
  readonly #parsed: Parsed;
  readonly #config: CaddyConfig;
  readonly #plugins: Set<string>;
  #failed = false;
  readonly #said = new Set<string>();
  /** Addresses with a variable as they stand in the file: the same twice is the same on every server. */
  readonly #raw = new Map<CaddySite, string>();

  constructor(tree: Tree, path: string, options: CaddyOptions) {
    this.#plugins = new Set(options.plugins);
    this.#parsed = parse(tree, path, { dialect: 'caddyfile', ...options });
    this.#config = {
      path,
      files: this.#parsed.files,
      blocks: [],
      logs: [],
      problems: this.#parsed.problems,
      incomplete:
        this.#parsed.incomplete ||
        this.#parsed.problems.some(({ kind, status }) => kind === 'syntax' && status === 'fail'),
      variables: this.#parsed.variables,
      features: this.#parsed.features,
      httpPort: '80',
      httpsPort: '443',
      autoHttps: 'on',
      localCerts: false,
    };
  }

  read(): CaddyConfig {
    const [first, ...others] = this.#parsed.blocks;
    const sites = [...(first ? [first] : []), ...others];
    if (first && first.keys.length === 0 && !first.namedRoute) {
      sites.shift();
      this.#global(first);
    }
    for (const block of sites) {
      if (block.namedRoute) this.#checkDirectives(block.directives, block);
      else if (block.keys.length > 0) this.#site(block);
      else
        this.#fail(
          block.open,
          'This block without an address is one of global options, which must be the first of the file.',
          'Move it to the top of the file.',
        );
    }
    this.#listeners();
    this.#defaultLogs();
    return this.#config;
  }

  #fail(token: Token | undefined, message: string, todo?: string, kind: Problem['kind'] = 'meaning'): void {
    if (token) this.#config.problems.push({ status: 'fail', kind, at: at(token), message: brief(message), todo });
  }

  /** Something that this Caddy does not have by itself. */
  #stranger(token: Token, what: string, message: string): void {
    if (token.variable || this.#plugins.has(token.text)) return;
    if (pluginDirectives.has(token.text))
      this.#config.problems.push({
        status: 'unknown',
        kind: 'plugin',
        at: at(token),
        message: `${token.text} is a ${what} of a plugin, and whether the server's Caddy has it was not said.`,
        todo: 'Name it in the option `plugins` of the policy when it has.',
      });
    else this.#fail(token, message);
  }

  // ------------------------------------------------------------------------------------------------------------- global

  #global(block: Block): void {
    const config = this.#config;
    config.global = block;
    const names = new Set<string>();
    for (const option of block.directives) {
      const { name, args } = option;
      const [first] = args;
      if (!globalOptions.has(name.text)) {
        this.#stranger(name, 'global option', `Caddy has no global option ${name.text}.`);
        continue;
      }
      const oneArg = singleOptions.has(name.text);
      if (oneArg && !args.some(({ variable }) => variable) && (args.length !== 1 || option.body)) {
        this.#fail(name, `The global option ${name.text} takes exactly one value.`);
        continue;
      }
      if (name.text === 'http_port' || name.text === 'https_port') {
        if (first && !first.variable && !/^[+-]?\d+$/.test(first.text)) this.#fail(first, `${first.text} is no port.`);
        else if (first && name.text === 'http_port') config.httpPort = String(Number(first.text));
        else if (first) config.httpsPort = String(Number(first.text));
      } else if (name.text === 'auto_https' && first) {
        config.autoHttps = first.text;
        const values = ['off', 'disable_redirects', 'disable_certs', 'ignore_loaded_certs', 'prefer_wildcard'];
        if (!first.variable && !values.includes(first.text)) this.#fail(first, `auto_https cannot be ${first.text}.`);
      } else if (name.text === 'local_certs') config.localCerts = true;
      else if (name.text === 'cert_issuer' && first?.text === 'internal') config.localCerts = true;
      else if (name.text === 'storage') this.#storage(option);
      else if (name.text === 'log') {
        const called = first?.text ?? 'default';
        if (args[1]) this.#fail(args[1], 'A global log takes one name only.');
        if (names.has(called)) this.#fail(name, `The global log ${called} is set twice.`);
        if (option.body?.length) names.add(called);
        this.#log(option, 'global', [], called);
      }
    }
  }

  #storage(option: Directive): void {
    const [module] = option.args;
    if (!module) {
      this.#fail(option.name, 'The storage names no module.', 'Write `storage file_system { root ... }`.');
      return;
    }
    const storage: CaddyStorage = {
      module: module.text,
      at: at(option.name),
      variable: module.variable,
      directive: option,
    };
    this.#config.storage = storage;
    if (module.variable) return;
    if (module.text === 'file_system') {
      const { root, wrong } = storageRoot(option);
      storage.rootToken = root;
      storage.root = root?.text;
      storage.variable = root?.variable ?? false;
      if (wrong) this.#fail(wrong.token, wrong.message, wrong.todo);
    } else if (!this.#plugins.has(module.text))
      this.#config.problems.push({
        status: 'unknown',
        kind: 'plugin',
        at: at(module),
        message: `The storage ${module.text} is of a plugin, and whether the server's Caddy has it was not said.`,
        todo: 'Name it in the option `plugins` of the policy when it has.',
      });
  }

  #log(directive: Directive, scope: CaddyLog['scope'], sites: string[], name: string): CaddyLog {
    const log: CaddyLog = {
      scope,
      at: at(directive.name),
      name,
      sites,
      output: directive.body?.length ? 'stderr' : 'default',
      format: 'json',
      level: '',
      variable: false,
    };
    for (const { name: setting, args } of directive.body ?? []) {
      const [first, second] = args;
      if (!logSettings[scope].has(setting.text)) {
        this.#fail(setting, `A ${scope === 'site' ? 'log' : 'global log'} has no setting ${setting.text}.`);
        continue;
      }
      if (['output', 'format', 'level'].includes(setting.text) && !first) {
        this.#fail(setting, `The setting ${setting.text} of this log has no value.`);
        continue;
      }
      if (setting.text === 'output' && first) {
        log.output = first.text;
        log.variable ||= first.variable;
        if (!logWriters.has(first.text)) this.#stranger(first, 'log writer', `Caddy has no log writer ${first.text}.`);
        if (first.text === 'file') {
          if (!second) this.#fail(first, 'The log names no file.', 'Say which file.');
          else {
            log.filename = second.text;
            log.variable ||= second.variable;
          }
        }
      } else if (setting.text === 'format' && first) {
        log.format = first.text;
        if (!logEncoders.has(first.text)) this.#stranger(first, 'log format', `Caddy has no log format ${first.text}.`);
      } else if (setting.text === 'level' && first) {
        log.level = first.text.toUpperCase();
        if (second && !first.variable) this.#fail(second, 'A log has one level only.');
      }
    }
    this.#config.logs.push(log);
    return log;
  }

  /** A `log` that says nothing goes to the default log, which a global `log` may have set. */
  #defaultLogs(): void {
    const found = this.#config.logs.find(({ scope, name }) => scope === 'global' && name === 'default');
    for (const log of this.#config.logs)
      if (log.output === 'default') {
        const { output, filename, format, variable } = found && found !== log ? found : { ...log, output: 'stderr' };
        Object.assign(log, { output, filename, format, variable });
      }
  }

  // -------------------------------------------------------------------------------------------------------------- sites

  #site(block: Block): void {
    const sites = block.keys.flatMap((key): CaddySite[] => {
      const { error, ...site } = parseAddress(key.text);
      if (error && !key.variable) this.#fail(key, `${key.text} is no address: ${error}.`);
      const read: CaddySite = { ...site, at: at(key), variable: key.variable };
      if (key.variable) this.#raw.set(read, key.source.lines.text.slice(key.start, key.end));
      return [read];
    });
    const names = sites.map(({ address }) => address);
    const entry: CaddyBlock = {
      sites,
      directives: block.directives,
      at: at(block.keys[0] as Token),
      end: block.close && at(block.close),
      tls: { internal: false, files: false, dns: false, onDemand: false, policy: false, issuer: false },
      bind: [],
    };
    this.#config.blocks.push(entry);
    let skipped: CaddyBlock['unlogged'];
    for (const directive of block.directives) {
      const { name, args } = directive;
      if (name.text === 'tls') this.#tls(directive, entry);
      else if (name.text === 'bind') for (const { text } of args) entry.bind.push(text);
      else if (name.text === 'log') {
        const [first, extra] = args;
        if (extra) this.#fail(extra, 'A log takes one name at most.');
        const log = this.#log(directive, 'site', names, first?.text ?? '');
        if (log.output === 'discard') entry.unlogged ??= { at: log.at, why: 'its log is discarded' };
        else if (quietLevels.has(log.level))
          entry.unlogged ??= {
            at: log.at,
            why: `its log begins at level ${log.level}, and requests are logged at INFO`,
          };
        else entry.log ??= log;
      } else if (name.text === 'skip_log' || name.text === 'log_skip') {
        const [first] = args;
        if (!first || first.text === '*' || first.text === '/*')
          skipped ??= { at: at(name), why: `${name.text} takes all its requests out` };
      }
    }
    if (skipped) {
      entry.log = undefined;
      entry.unlogged = skipped;
    } else if (entry.log) entry.unlogged = undefined;
    this.#checkDirectives(block.directives, block);
    for (const { directive } of walk(block.directives)) this.#checkUpstreams(directive);
  }

  #tls({ name, args, body }: Directive, block: CaddyBlock): void {
    const [first] = args;
    if (args.some(({ variable }) => variable)) block.tls.issuer = true;
    else if (args.length === 0 && !body?.length) this.#fail(name, 'This tls says nothing.', 'Take it out.');
    else if (args.length === 1 && first) {
      if (first.text === 'internal') block.tls.internal = true;
      else if (!first.text.includes('@') && first.text !== 'force_automate')
        this.#fail(
          first,
          `After tls stands internal, an email address, or two files, and ${first.text} is none of them.`,
        );
    } else if (args.length === 2) block.tls.files = true;
    else if (args.length > 2) this.#fail(args[2], 'A tls takes two files at most.');
    block.tls.issuer ||= args.length === 1;
    for (const { name: setting, args: values } of body ?? []) {
      if (!tlsSettings.has(setting.text)) this.#stranger(setting, 'tls setting', `tls has no setting ${setting.text}.`);
      if (setting.text === 'dns') block.tls.dns = true;
      if (setting.text === 'on_demand') block.tls.onDemand = true;
      if (setting.text === 'load') block.tls.files = true;
      if (setting.text === 'get_certificate') block.tls.files = true;
      if (setting.text === 'issuer' && values[0]?.text === 'internal') block.tls.internal = true;
      if (['issuer', 'ca', 'dns', 'eab', 'ca_root', 'resolvers'].includes(setting.text)) block.tls.issuer = true;
      if (['protocols', 'ciphers', 'curves', 'client_auth', 'alpn', 'insecure_secrets_log'].includes(setting.text))
        block.tls.policy = true;
    }
    block.tls.policy ||= block.tls.files && args.length === 2;
  }

  #checkUpstreams({ name, args, body }: Directive): void {
    const proxies = ['reverse_proxy', 'php_fastcgi', 'forward_auth'];
    if (!proxies.includes(name.text)) return;
    const given = withoutMatcher(args);
    const more = (body ?? []).filter((line) => line.name.text === 'to').flatMap((line) => line.args);
    for (const token of [...given, ...more]) {
      if (name.text === 'forward_auth' && token !== given[0]) break;
      const problem = upstreamProblem(token.text);
      if (problem && !token.variable) this.#fail(token, `This is no upstream: ${problem}.`);
    }
  }

  /** Directives, their arguments and matchers, as far as that can be told without Caddy itself. */
  #checkDirectives(directives: readonly Directive[], block: Block): void {
    const defined = new Map<string, number>();
    const frames: { list: readonly Directive[]; next: number; names: string[] }[] = [];
    const enter = (list: readonly Directive[]) => {
      const names: string[] = [];
      for (const { name, args, body } of list) {
        if (!name.text.startsWith('@')) continue;
        if (defined.get(name.text))
          this.#fail(name, `The matcher ${name.text} is defined twice.`, 'Give one another name.');
        defined.set(name.text, (defined.get(name.text) ?? 0) + 1);
        names.push(name.text);
        const modules =
          args[0] && args[0].quote === '' ? [args[0]] : args[0] ? [] : (body ?? []).map((line) => line.name);
        for (const module of modules)
          if (!matcherModules.has(module.text) && module.quote === '')
            this.#stranger(module, 'matcher', `Caddy has no matcher ${module.text}.`);
      }
      frames.push({ list, next: 0, names });
    };
    enter(directives);
    for (let frame = frames[frames.length - 1]; frame; frame = frames[frames.length - 1]) {
      const directive = frame.list[frame.next++];
      if (!directive) {
        for (const name of frame.names) defined.set(name, (defined.get(name) ?? 1) - 1);
        frames.pop();
        continue;
      }
      const { name, args, body } = directive;
      if (name.text.startsWith('@')) continue;
      const [first] = args;
      if (first?.text.startsWith('@') && handlers.has(name.text) && !defined.get(first.text) && !first.variable)
        this.#fail(first, `The matcher ${first.text} is not defined in this site.`, 'Define it, or mend its name.');
      if (!httpDirectives.has(name.text)) this.#unknownDirective(directive, block);
      else if (!args.some(({ variable }) => variable)) {
        const wrong = argumentsOf[name.text]?.(withoutMatcher(args), directive);
        if (wrong) this.#fail(wrong.token ?? name, wrong.message, wrong.todo);
      }
      if (containers.has(name.text) && body) enter(body);
    }
  }

  #unknownDirective({ name, body }: Directive, block: Block): void {
    if (this.#failed && body) return;
    const key = block.keys[0];
    const looksLikeSite = name.text.includes('.') || name.text.includes(':');
    if (!looksLikeSite) {
      this.#stranger(name, 'directive', `Caddy has no directive ${name.text}.`);
      return;
    }
    // One missing brace swallows all the sites that follow; the first says it all.
    this.#failed = true;
    // What follows is in the wrong place, so that its absence elsewhere proves nothing.
    if (body) this.#config.incomplete = true;
    this.#fail(
      name,
      block.open
        ? `${name.text} stands inside the block of ${key?.text ?? 'a route'}: a } is missing before it.`
        : `${name.text} would be a second site, but the first has no braces.`,
      block.open ? 'Add the } before it.' : 'Put braces around each site.',
      body ? 'syntax' : 'meaning',
    );
  }

  // ---------------------------------------------------------------------------------------------------------- listeners

  #listeners(): void {
    const { httpPort, httpsPort, blocks } = this.#config;
    const keys = new Map<string, { block: CaddyBlock; site: CaddySite }>();
    const schemes = new Map<string, { http?: CaddySite; https?: CaddySite }>();
    const policies = new Set<string>();
    for (const block of blocks) {
      // More than these nobody has.
      const binds = block.bind.length > 0 ? block.bind.slice(0, 5) : [''];
      const plain = block.sites.every((site) => site.scheme === 'http');
      for (const site of block.sites) {
        if (site.variable) {
          this.#twice(keys, ` ${this.#raw.get(site)}`, block, site);
          continue;
        }
        const port = site.port || (site.scheme === 'http' ? httpPort : httpsPort);
        if ((site.scheme === 'http' && port === httpsPort) || (site.scheme === 'https' && port === httpPort))
          this.#failAt(
            site.at,
            `${site.address} asks for ${site.scheme} on the port of the other.`,
            'Mend one of them.',
          );
        for (const bind of binds) {
          const listener = `${bind}:${port}`;
          this.#twice(keys, `${listener} ${site.address}`, block, site);
          const seen = schemes.get(listener) ?? {};
          if (site.scheme === 'http' || site.port === httpPort) seen.http ??= site;
          else if (site.scheme === 'https' || site.port === httpsPort) seen.https ??= site;
          else if (block.tls.policy) seen.https ??= site;
          schemes.set(listener, seen);
          if (block.tls.policy) policies.add(listener);
        }
        if (!plain && !this.#qualifies(site, block.tls))
          this.#failAt(site.at, `No certificate can be had for ${site.host}, so Caddy refuses this address.`);
      }
    }
    for (const [listener, { http, https }] of schemes)
      if (http && (https || policies.has(listener)))
        this.#failAt(
          http.at,
          `${http.address} is plain HTTP on a port that also has HTTPS.`,
          'Give one of them another port.',
        );
  }

  #twice(
    keys: Map<string, { block: CaddyBlock; site: CaddySite }>,
    name: string,
    block: CaddyBlock,
    site: CaddySite,
  ): void {
    const other = keys.get(name);
    if (!other || other.block === block) {
      keys.set(name, { block, site });
      return;
    }
    const { line, path } = other.site.at;
    this.#failAt(
      site.at,
      `${site.address} is defined a second time; the first is in ${path}, line ${line}.`,
      'Join the two or take one out.',
    );
  }

  #failAt(position: Position, message: string, todo?: string): void {
    const known = `${position.path}:${position.line} ${message}`;
    if (this.#said.has(known)) return;
    this.#said.add(known);
    this.#config.problems.push({ status: 'fail', kind: 'meaning', at: position, message: brief(message), todo });
  }

  #qualifies({ host, scheme, port }: CaddySite, tls: CaddyBlock['tls']): boolean {
    const { httpPort, localCerts, global } = this.#config;
    if (host === '' || scheme === 'http' || port === httpPort || tls.issuer || tls.internal || localCerts) return true;
    if (global?.directives.some(({ name }) => name.text === 'cert_issuer')) return true;
    if (host.startsWith('.') || host.endsWith('.')) return false;
    if (host.includes('*') && !host.startsWith('*.') && host !== '*') return false;
    return ![...'()[]{}<> \t\n"\\!@#$%^&|;\'+='].some((ch) => host.includes(ch));
  }
}
