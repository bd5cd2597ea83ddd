import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { ExpectedError } from '../errors.js';

/** A known_hosts file, read. Made by parseKnownHosts only. */
export interface KnownHosts {
  /** In the order of the file, without comments and blank lines. */
  readonly entries: readonly Entry[];
}

interface Entry {
  /** From 1. */
  readonly line: number;
  readonly marker?: Marker;
  readonly names: Names;
  /** `ssh-ed25519`, `ssh-rsa`, ... */
  readonly type: string;
  /** The blob of RFC 4253 section 6.6. */
  readonly key: Buffer;
}

type Marker = (typeof markers)[number];
const markers = ['@revoked', '@cert-authority'] as const;

/** Whom a line is about: one name that only its hash is known of, or patterns in lower case. */
type Names = { salt: Buffer; hash: Buffer } | { patterns: { negated: boolean; pattern: string }[] };

/**
 * - `match`: the key is pinned for the host, on that line.
 * - `revoked`: the key must not be accepted, whatever else is said of it.
 * - `changed`: the host has pins, on those lines, and the key is none of them.
 * - `unknown`: nothing pins a key of this host. `unsupportedAuthority` is the first @cert-authority line about it.
 *
 * Lines count from 1. Only `match` is a reason to go on.
 */
export type HostKeyVerdict =
  | { verdict: 'match'; line: number }
  | { verdict: 'revoked'; line: number }
  | { verdict: 'changed'; lines: number[] }
  | { verdict: 'unknown'; unsupportedAuthority?: number };

/**
 * Reads the text of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
 *
 * Where OpenSSH skips a line it cannot read, this throws: the line may have been the one that revokes a key.
 *
 * @throws ExpectedError with the number of the line. It never quotes the line, which may be a secret pasted by mistake.
 */
export function parseKnownHosts(text: string): KnownHosts {
  const entries = text.split('\n').flatMap((content, index): Entry[] => {
    const trimmed = content.trim(); // takes a carriage return and a byte order mark along
    // A bare carriage return would make the rest of the file a part of this line.
    if (/\p{Cc}/u.test(trimmed.replaceAll('\t', ' '))) throw unreadable(index + 1, 'it has a control character in it');
    return trimmed === '' || trimmed.startsWith('#') ? [] : [readLine(trimmed, index + 1)];
  });
  return { entries };
}

/**
 * What the file says about `key`, a host key blob (RFC 4253 section 6.6), at `host` (a name or an address, IPv6 without
 * brackets).
 *
 * As for ssh, a port other than 22 is looked up as `[host]:port`. Two things are stricter here: ssh then tries the plain
 * name too, but where a host forwards ports to its containers that is another machine's key; and a key revoked for the
 * plain name is refused at every port, since the port does not make a stolen key any better.
 */
export function checkHostKey(known: KnownHosts, host: string, port: number, key: Buffer): HostKeyVerdict {
  const revoked = known.entries.find(
    (entry) =>
      entry.marker === '@revoked' &&
      entry.key.equals(key) &&
      (isAbout(entry.names, nameOf(host, port)) || isAbout(entry.names, lowerCase(host))),
  );
  if (revoked) return { verdict: 'revoked', line: revoked.line };
  const pins = pinsOf(known, host, port);
  const match = pins.find((entry) => entry.key.equals(key));
  if (match) return { verdict: 'match', line: match.line };
  if (pins.length > 0) return { verdict: 'changed', lines: pins.map(({ line }) => line) };
  const authority = known.entries.find(
    (entry) => entry.marker === '@cert-authority' && isAbout(entry.names, nameOf(host, port)),
  );
  return authority ? { verdict: 'unknown', unsupportedAuthority: authority.line } : { verdict: 'unknown' };
}

/**
 * The host key algorithms with which a server can show a pinned key, in the order of the file, each once. An RSA key has
 * two: its own name, ssh-rsa, means a SHA-1 signature.
 */
export function pinnedKeyTypes(known: KnownHosts, host: string, port: number): string[] {
  const types = pinsOf(known, host, port).flatMap(({ type }) =>
    type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type],
  );
  return [...new Set(types)];
}

/**
 * The line that pins `key`: `example.com ssh-ed25519 AAAA...`, or `[example.com]:2222 ...` for a port other than 22.
 *
 * @throws ExpectedError when `key` is not a host key blob
 */
export function knownHostsLine(host: string, port: number, key: Buffer): string {
  const type = keyType(key);
  if (!type) throw new ExpectedError(`What ${nameOf(host, port)} showed is not a host key.`, '', '');
  return `${nameOf(host, port)} ${type} ${key.toString('base64')}`;
}

/** `SHA256:...`, as ssh-keygen -l prints it, of a key blob. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace('=', '')}`;
}

function pinsOf(known: KnownHosts, host: string, port: number): Entry[] {
  return known.entries.filter(({ marker, names }) => !marker && isAbout(names, nameOf(host, port)));
}

/** The name under which ssh looks a host up. */
function nameOf(host: string, port: number): string {
  return port === 22 ? lowerCase(host) : `[${lowerCase(host)}]:${port}`;
}

/** ASCII only, like OpenSSH: toLowerCase also turns the Kelvin sign into a k. */
function lowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function isAbout(names: Names, name: string): boolean {
  if ('hash' in names) return timingSafeEqual(createHmac('sha1', names.salt).update(name).digest(), names.hash);
  const hits = names.patterns.filter(({ pattern }) => matches(pattern, name));
  return hits.length > 0 && !hits.some(({ negated }) => negated);
}

/** Wildcards without a regular expression: at most pattern times name steps, whatever the pattern. */
function matches(pattern: string, name: string): boolean {
  let at = 0;
  let next = 0;
  let star = -1; // the last * met, and how far into the name it reaches
  let reach = 0;
  while (next < name.length) {
    if (pattern[at] === '*') {
      star = at++;
      reach = next;
    } else if (pattern[at] === '?' || pattern[at] === name[next]) {
      at++;
      next++;
    } else if (star >= 0) {
      at = star + 1;
      next = ++reach;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

function readLine(text: string, line: number): Entry {
  const words = text.split(/[ \t]+/);
  const marker = markers.find((known) => known === words[0]);
  if (marker) words.shift();
  const [hosts = '', type = '', base64 = '', ...comment] = words;
  if (hosts.startsWith('@')) {
    throw unreadable(line, marker ? 'it has two markers' : 'its marker is neither @revoked nor @cert-authority');
  }
  if (isKey(hosts, type)) throw unreadable(line, 'it begins with the key, without the host that has it');
  if (base64 === '') throw unreadable(line, 'it is not made of host, key type and key');
  const key = decode(base64);
  if (!key || keyType(key) !== type) {
    throw unreadable(line, 'what should be the key is damaged, cut off, or not of the type before it');
  }
  if (type.includes('-cert-v')) throw unreadable(line, 'it has a certificate in place of a key');
  // A lost line break would make a comment of the next line, and that may revoke this key.
  if (comment.some((word, index) => isKey(comment[index - 1] ?? '', word))) {
    throw unreadable(line, 'two entries are on it, as if a line break got lost');
  }
  return { line, marker, names: readNames(hosts, line), type, key };
}

function readNames(hosts: string, line: number): Names {
  if (hosts.startsWith('|')) {
    const [, version, salt, hash, ...rest] = hosts.split('|').map((part) => ({ part, bytes: decode(part) }));
    if (version?.part !== '1' || salt?.bytes?.length !== 20 || hash?.bytes?.length !== 20 || rest.length > 0) {
      throw unreadable(line, 'its hashed host name is damaged');
    }
    return { salt: salt.bytes, hash: hash.bytes };
  }
  // A no-break space would be a part of the name, and the line about no host at all.
  if (!/^[!-~]+$/.test(hosts)) throw unreadable(line, 'its host name has a character that no host name has');
  const patterns = lowerCase(hosts)
    .split(',')
    .map((text) => ({ negated: text.startsWith('!'), pattern: text.startsWith('!') ? text.slice(1) : text }));
  // OpenSSH lets such a line match nothing.
  if (patterns.some(({ pattern }) => pattern.length > 1022)) throw unreadable(line, 'its host name is too long');
  return { patterns };
}

/** Are these two words a key type and a key of that type? */
function isKey(type: string, base64: string): boolean {
  const key = decode(base64);
  return key !== undefined && keyType(key) === type;
}

/** Only what encodes to the same text again: Buffer.from passes over anything that is not base64. */
function decode(base64: string): Buffer | undefined {
  const bytes = Buffer.from(base64, 'base64');
  return bytes.toString('base64') === base64 ? bytes : undefined;
}

/** The type in a key blob, which is its first field. Undefined unless the blob is made of two or more whole fields. */
function keyType(key: Buffer): string | undefined {
  const fields: Buffer[] = [];
  for (let at = 0; at < key.length; ) {
    const start = at + 4;
    const end = start <= key.length ? start + key.readUInt32BE(at) : Number.POSITIVE_INFINITY;
    if (end > key.length) return undefined;
    fields.push(key.subarray(start, end));
    at = end;
  }
  return fields.length < 2 ? undefined : fields[0]?.toString('latin1');
}

function unreadable(line: number, why: string): ExpectedError {
  return new ExpectedError(
    `Line ${line} of known_hosts cannot be read: ${why}.`,
    'Nothing was touched.',
    'Put lines there as `ssh-keyscan -p PORT HOST` prints them, after comparing the fingerprints on the host itself.',
  );
}
