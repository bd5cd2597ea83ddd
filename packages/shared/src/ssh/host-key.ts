import { HostKeyRefused } from './connection-errors.js';
import { type Endpoint, hostAndPort } from './endpoint.js';
import { checkHostKey, fingerprint, type KnownHosts, knownHostsLine, pinnedKeyTypes } from './known-hosts.js';

/** A host key as the server showed it. */
export interface HostKeySeen {
  host: string;
  port: number;
  /** `ssh-ed25519`, `ssh-rsa`, ... */
  type: string;
  /** `SHA256:...`, as ssh-keygen -l prints it. */
  fingerprint: string;
  /** Ready to be pasted into known_hosts. */
  knownHostsLine: string;
}

/**
 * What ssh2 1.17 can verify, best first, without ssh-rsa: that name means a SHA-1 signature, which OpenSSH refuses by
 * default since 8.8. An RSA key itself is fine and signs with rsa-sha2.
 */
const verifiable = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;

/**
 * The order in which to ask for host keys: pinned types first, or the server would choose a key nobody pinned. The
 * others stay at the end, so that a server without a pinned type can be named as changed instead of "no match".
 */
export function hostKeyAlgorithms(known: KnownHosts, host: string, port: number) {
  const pinned = pinnedKeyTypes(known, host, port);
  return [...verifiable].sort((a, b) => Number(pinned.includes(b)) - Number(pinned.includes(a)));
}

/** Reads a key blob (RFC 4253 section 6.6). Gives what the log and the errors say about it. */
export function describeHostKey(host: string, port: number, key: Buffer): HostKeySeen {
  const type = key.toString('latin1', 4, 4 + key.readUInt32BE(0));
  return { host, port, type, fingerprint: fingerprint(key), knownHostsLine: knownHostsLine(host, port, key) };
}

/**
 * Decides whether `key` may be trusted for `endpoint`.
 *
 * @returns why not, or undefined when it is pinned. With `insecureHostKey` only a revoked key is refused; what would
 * have been refused otherwise is told to `warn`.
 */
export function refuseHostKey(
  endpoint: Endpoint,
  known: KnownHosts,
  key: Buffer,
  warn: (line: string) => void,
): HostKeyRefused | undefined {
  const { host, port, insecureHostKey } = endpoint;
  const name = hostAndPort(host, port);
  const seen = describeHostKey(host, port, key);
  const offered = `${seen.type} ${seen.fingerprint}`;
  const found = checkHostKey(known, host, port, key);
  if (found.verdict === 'match') return undefined;
  if (found.verdict === 'revoked') {
    return new HostKeyRefused(
      `${name} offered the host key ${offered}, which known_hosts line ${found.line} marks as revoked.`,
      'Nothing was sent to the host.',
      'Find out who answers at this address before anything else; a revoked key is never accepted.',
    );
  }
  if (insecureHostKey) {
    warn(
      `The host key of ${name} was not checked (insecure): ${offered}. To pin it, add to known_hosts: ${seen.knownHostsLine}`,
    );
    return undefined;
  }
  if (found.verdict === 'changed') {
    const pins = found.lines.map((line) => `${pinnedKey(endpoint.knownHosts, line)} on line ${line}`).join(', ');
    return new HostKeyRefused(
      `The host key of ${name} has changed: it offered ${offered}, and known_hosts has ${pins}.`,
      'Nothing was sent to the host.',
      `If the host was reinstalled, compare the fingerprint on the host itself, then replace ${
        found.lines.length > 1 ? 'those lines' : `line ${found.lines[0]}`
      } with: ${seen.knownHostsLine}`,
    );
  }
  const authority = found.unsupportedAuthority;
  return new HostKeyRefused(
    authority === undefined
      ? `The host key of ${name} is not in known_hosts: it offered ${offered}.`
      : `Line ${authority} of known_hosts vouches for ${name} by @cert-authority, which is not supported, and no line pins its key: it offered ${offered}.`,
    'Nothing was sent to the host.',
    `If the fingerprint is the one on the host itself (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), add to known_hosts: ${seen.knownHostsLine}`,
  );
}

/** Type and fingerprint of the key on a line (from 1) of known_hosts. */
function pinnedKey(text: string, line: number): string {
  const words = (text.split('\n')[line - 1] ?? '').trim().split(/\s+/);
  // A key blob begins with a length below 2^16, so its base64 begins with AAAA; names and markers are before it.
  const at = words.findIndex((word) => word.startsWith('AAAA'));
  return at < 1 ? 'another key' : `${words[at - 1]} ${fingerprint(Buffer.from(words[at] as string, 'base64'))}`;
}
