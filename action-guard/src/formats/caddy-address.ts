import { brief } from './caddy-tokens.js';

export interface ParsedAddress {
  /** As written. */
  address: string;
  scheme: string;
  /** Lower case; empty for all hosts. */
  host: string;
  /** As written; empty for the default. */
  port: string;
  path: string;
  error?: string;
}

/** A host is local when no public name server knows it. */
export function isLocalHost(host: string): boolean {
  return (
    host === 'localhost' ||
    ['.localhost', '.local', '.internal', '.home.arpa', '.test', '.invalid', '.onion'].some((end) =>
      host.endsWith(end),
    ) ||
    isAddress(host) ||
    !host.includes('.')
  );
}

/** Whether it is an IP address. */
export function isAddress(host: string): boolean {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  if (bare.includes(':')) return true;
  const parts = bare.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
}

/** Reads `scheme://host:port/path` as Caddy does. */
export function parseAddress(text: string): ParsedAddress {
  let rest = text.trim().slice(0, 4096);
  const scheme = rest.indexOf('://');
  const site = { address: brief(text, 260), scheme: '', host: '', port: '', path: '' };
  if (scheme >= 0) {
    site.scheme = rest.slice(0, scheme).toLowerCase();
    rest = rest.slice(scheme + 3);
  }
  const slash = rest.indexOf('/');
  if (slash >= 0) {
    site.path = rest.slice(slash);
    rest = rest.slice(0, slash);
  }
  const split = splitHostPort(rest);
  site.host = lowerCase(split.host.trim());
  site.port = split.port;
  if (site.port !== '') {
    if (!/^[+-]?\d+$/.test(site.port)) return { ...site, error: `${site.port} is no port` };
    const port = Number(site.port);
    if (port < 0 || port > 65535) return { ...site, error: `There is no port ${site.port}` };
  }
  return site;
}

/** As Go's net.SplitHostPort, the whole as host when there is no port. */
function splitHostPort(text: string): { host: string; port: string } {
  const whole = { host: text, port: '' };
  const colon = text.lastIndexOf(':');
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close < 0) return whole;
    const host = text.slice(1, close);
    if (host.includes('[') || host.includes(']')) return whole;
    if (close + 1 === text.length) return { host, port: '' };
    if (close + 1 !== colon) return whole;
    return { host, port: text.slice(colon + 1) };
  }
  if (colon < 0) return text.includes('[') || text.includes(']') ? whole : { host: text, port: '' };
  const host = text.slice(0, colon);
  if (host.includes(':') || host.includes('[') || host.includes(']')) return whole;
  return { host, port: text.slice(colon + 1) };
}

/** Lower case, but not within {placeholders}. */
function lowerCase(text: string): string {
  if (!text.includes('{')) return text.toLowerCase();
  let inside = false;
  return [...text]
    .map((ch) => {
      if (ch === '{') inside = true;
      else if (ch === '}') inside = false;
      return inside ? ch : ch.toLowerCase();
    })
    .join('');
}

/** Why Caddy refuses to send requests to an address; undefined when it does not. */
export function upstreamProblem(text: string): string | undefined {
  const scheme = text.indexOf('://');
  if (scheme < 0) return undefined;
  const name = text.slice(0, scheme).toLowerCase();
  const rest = text.slice(scheme + 3);
  if (text.includes('{')) return 'a scheme and a placeholder cannot stand together';
  if (['/', '?', '#'].some((ch) => rest.includes(ch))) return 'it may have a scheme, a host and a port only';
  const { port } = splitHostPort(rest);
  const number = port === '' ? (name === 'https' ? 443 : 80) : Number(port);
  if (!Number.isInteger(number)) return `${port} is no port`;
  if ((name === 'http' && number === 443) || (name === 'https' && number === 80) || (name === 'h2c' && number === 443))
    return `${name} does not go with port ${number}`;
  return undefined;
}
