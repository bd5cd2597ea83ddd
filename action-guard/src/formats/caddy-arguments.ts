import { reverseProxyDirectives } from './caddy-names.js';
import type { Token } from './caddy-tokens.js';
import type { Directive } from './caddyfile.js';

/** Global options that take one value. `email` became optional in newer versions, but an empty one does nothing there. */
export const singleOptions = new Set([
  ...['http_port', 'https_port', 'default_sni', 'fallback_sni', 'acme_ca', 'acme_ca_root', 'key_type', 'auto_https'],
  ...['email', 'ocsp_stapling'],
]);

/** Requests are logged at INFO, or ERROR for 5xx: what begins above misses the 4xx. */
export const quietLevels = new Set(['WARN', 'WARNING', 'ERROR', 'PANIC', 'FATAL']);

export const logSettings = {
  site: new Set(['output', 'format', 'level', 'hostnames', 'sampling', 'core', 'no_hostname']),
  global: new Set(['output', 'format', 'level', 'include', 'exclude', 'sampling', 'core']),
};

export const tlsSettings = new Set([
  ...['protocols', 'ciphers', 'curves', 'client_auth', 'alpn', 'load', 'ca', 'key_type', 'eab', 'issuer', 'dns'],
  ...['get_certificate', 'resolvers', 'dns_challenge_override_domain', 'propagation_delay', 'propagation_timeout'],
  ...['dns_ttl', 'ca_root', 'on_demand', 'reuse_private_keys', 'insecure_secrets_log', 'renewal_window_ratio'],
  ...['force_automate', 'ech'],
]);

/** Directives that begin with a matcher. */
export const handlers = new Set([
  ...['reverse_proxy', 'php_fastcgi', 'forward_auth', 'file_server', 'respond', 'redir', 'rewrite', 'uri', 'header'],
  ...['request_header', 'encode', 'handle', 'route', 'root', 'vars', 'basicauth', 'basic_auth', 'error', 'abort'],
  ...['templates', 'try_files', 'request_body', 'push', 'method', 'skip_log', 'log_skip', 'metrics', 'map'],
]);

export interface Wrong {
  token?: Token;
  message: string;
  todo?: string;
}

/** What is wrong with the arguments of a directive, without its matcher. */
export const argumentsOf: Record<string, (args: Token[], directive: Directive) => Wrong | undefined> = {
  respond: (args, { body }) =>
    args.length > 2
      ? { token: args[2], message: 'A respond takes a body and a status only.' }
      : args.length === 0 && !body
        ? { message: 'This respond says nothing to answer with.' }
        : undefined,
  root: (args, { args: all }) =>
    args.length > 1
      ? { token: args[1], message: 'A root is one folder only.' }
      : all.length === 0
        ? { message: 'This root names no folder.' }
        : undefined,
  redir: (args) => {
    const [to, code] = args;
    if (!to) return { message: 'This redir says not where to.' };
    if (!code || ['permanent', 'temporary', 'html'].includes(code.text) || code.text.startsWith('{')) return undefined;
    const number = Number(code.text);
    return Number.isInteger(number) && ((number >= 300 && number <= 399) || number === 401)
      ? undefined
      : { token: code, message: `A redirection cannot have the code ${code.text}.` };
  },
  file_server: (args) => {
    const [first, second] = args;
    if (first && first.text !== 'browse') return { token: first, message: `file_server does not know ${first.text}.` };
    return second ? { token: second, message: 'After browse stands nothing more.' } : undefined;
  },
  encode: (args) => {
    const other = args.find(({ text }) => !['gzip', 'zstd', 'br'].includes(text));
    return other && { token: other, message: `Caddy has no encoding ${other.text}.` };
  },
  handle: (args) => (args[0] ? { token: args[0], message: 'A handle takes one matcher only.' } : undefined),
  route: (args) => (args[0] ? { token: args[0], message: 'A route takes one matcher only.' } : undefined),
  handle_path: (_, { name, args }) => {
    const [path, more] = args;
    if (!path) return { token: name, message: 'This handle_path names no path.' };
    if (!path.text.startsWith('/')) return { token: path, message: 'The path of a handle_path begins with /.' };
    return more && { token: more, message: 'A handle_path takes one path only.' };
  },
  reverse_proxy: (_, { body }) => {
    const other = body?.find(({ name }) => !reverseProxyDirectives.has(name.text) && !name.text.startsWith('@'));
    return other && { token: other.name, message: `reverse_proxy has no setting ${other.name.text}.` };
  },
};

/** Both spellings: on the line, or as a setting of its block. */
export function storageRoot(option: Directive): { root?: Token; wrong?: Wrong & { token: Token } } {
  const [, first, more] = option.args;
  let root = first;
  const stop = (token: Token, message: string, todo?: string) => ({ root, wrong: { token, message, todo } });
  if (more && !first?.variable) return stop(more, 'The storage takes one root only.');
  for (const { name, args } of option.body ?? []) {
    const [value, extra] = args;
    if (name.text !== 'root') return stop(name, `The storage has no setting ${name.text}.`);
    if (!value) return stop(name, 'The root of the storage names no folder.');
    if (root && !root.variable) return stop(value, 'The root of the storage is set twice.');
    if (extra && !value.variable) return stop(extra, 'The root of the storage is one folder.');
    root = value;
  }
  if (!root || root.text === '') return stop(option.name, 'The storage has no root.', 'Say where it is.');
  return { root };
}

/** Arguments without the matcher that most directives may begin with. */
export function withoutMatcher(args: readonly Token[]): Token[] {
  const [first] = args;
  const has = first && (first.text === '*' || first.text.startsWith('/') || first.text.startsWith('@'));
  return args.slice(has ? 1 : 0);
}
