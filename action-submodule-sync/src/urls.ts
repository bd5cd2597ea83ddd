/**
 * The address of a submodule, as git's own relative_url() (remote.c) resolves it against the root's address; an absolute
 * one comes back as it is. Ours, because git resolves against one remote only, and prints what it resolves.
 *
 * @returns undefined when there are more `../` than folders
 */
export function resolveUrl(root: string, url: string): string | undefined {
  if (!url.startsWith('./') && !url.startsWith('../')) return url;
  let base = root.replace(/\/$/, '');
  let rest = url;
  for (;;) {
    if (rest.startsWith('../')) {
      const parent = withoutLast(base);
      if (parent === undefined) return undefined;
      base = parent;
      rest = rest.slice(3);
    } else if (rest.startsWith('./')) rest = rest.slice(2);
    else break;
  }
  const separator = base.endsWith(':') ? '' : '/';
  return `${base}${separator}${rest}`.replace(/\/$/, '');
}

/** Takes off the last part of a path; of `git@host:repo` the part behind the colon. The host itself is never taken off. */
function withoutLast(base: string): string | undefined {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\/[^/]*/i.exec(base)?.[0];
  if (scheme !== undefined) {
    const at = base.lastIndexOf('/');
    return at >= scheme.length ? base.slice(0, at) : undefined;
  }
  const colon = base.indexOf(':');
  const at = base.lastIndexOf('/');
  if (at > colon) return base.slice(0, at);
  return colon >= 0 && colon < base.length - 1 ? base.slice(0, colon + 1) : undefined;
}

/** Where an address leads; undefined when it is none that may be asked. */
export interface Address {
  protocol: 'https' | 'http' | 'ssh';
  host: string;
  port: string;
}

/** URL takes more than this, and git reads some of it otherwise: `http:host/x` is an SSH host called http to it. */
const spelled = /^(?:https?|ssh):\/\/(?:\w[\w.-]*@)?(?:\w[\w.-]*|\[[\da-fA-F:.]+\])(?::\d+)?(?:\/|$)/;

/** Takes an address apart, strictly: no user other than an SSH one, no password, no control or option characters. */
export function addressOf(url: string): Address | undefined {
  if (/[\p{Cc}\s\\]/u.test(url) || url.length > 2048) return undefined;
  const scp = /^(?:\w[\w.-]*@)?(\w[\w.-]*):(?!\/\/|-)[^:]+$/.exec(url);
  if (scp?.[1] && !/^[a-z]$/i.test(scp[1])) return { protocol: 'ssh', host: scp[1].toLowerCase(), port: '' };
  if (!spelled.test(url) || !URL.canParse(url)) return undefined;
  const { protocol, hostname, port, username, password, hash, search } = new URL(url);
  if (password || hash || search || (username && protocol !== 'ssh:') || !hostname) return undefined;
  if (protocol !== 'https:' && protocol !== 'http:' && protocol !== 'ssh:') return undefined;
  return { protocol: protocol.slice(0, -1) as Address['protocol'], host: hostname.toLowerCase(), port };
}

/**
 * Why an address that a pull request may have written must not be asked; undefined when it may.
 * Allowed are the very protocol, host and port of a configured remote, and hosts named in `allow-hosts` by https or ssh.
 */
export function refusedUrl(url: string, bases: string[], allowHosts: string[]): string | undefined {
  const address = addressOf(url);
  if (!address) return 'it is not a plain https or ssh address';
  const own = bases
    .map(addressOf)
    .some(
      (base) => base && base.protocol === address.protocol && base.host === address.host && base.port === address.port,
    );
  if (own) return undefined;
  if (!allowHosts.includes(address.host))
    return `its host ${address.host} is neither that of a remote nor in allow-hosts`;
  return address.protocol === 'http' ? 'it is plain http' : undefined;
}
