import type { GitAnswer } from './network-git.js';
import type { Reason, Trouble } from './states.js';

/**
 * git's messages of the C locale (2.39 to 2.55), and what each means. Its exit code is 128 for nearly everything, so the
 * message is all there is. The first that fits counts.
 */
const messages: [RegExp, Reason][] = [
  [
    /could not read (Username|Password)|Authentication failed|Permission denied \(|terminal prompts disabled|returned error: 401/i,
    'unauthorised',
  ],
  [/Host key verification failed|REMOTE HOST IDENTIFICATION/i, 'unknown host key'],
  [/returned error: 403/i, 'forbidden'],
  [/returned error: 30[1-8]|unable to update url base from redirection/i, 'moved'],
  [/returned error: 429/i, 'rate limited'],
  [
    /repository '[^']*' not found|returned error: 404|does not appear to be a git repository|Repository not found/i,
    'not found or no access',
  ],
  [
    /transport '[^']*' not allowed|strange (path|host)name|url contains a newline|credential url cannot be parsed|bad port/i,
    'invalid address',
  ],
  // OpenSSL's, GnuTLS's and curl's words; it stays so until somebody mends it.
  [
    /SSL certificate problem|certificate verif\w+ failed|no alternative certificate subject name|certificate subject name .* does not match|SSL CA cert/i,
    'certificate',
  ],
  [/Operation too slow|timed out|Timeout/i, 'unreachable'],
  [
    /returned error: 5\d\d|Could not resolve|Failed to connect|Connection (refused|reset|closed)|handshake|SSL|unable to access|early EOF|unexpected disconnect|hung up|RPC failed/i,
    'unreachable',
  ],
  [
    /not valid: is this a git repository|invalid server response|protocol error|bad line length|expected flush|unexpected content|bad object/i,
    'not a git server',
  ],
];

/** Why a git command over the network failed; undefined for one that did not. */
export function troubleOf({ code, stderr, cut }: GitAnswer): Trouble | undefined {
  if (code === 0 && !cut) return undefined;
  const said = words(stderr);
  if (cut) return { reason: cut, said };
  // What a server has said is shown, but it is git's own words that tell.
  const own = stderr.replaceAll(/^remote:.*$/gm, '');
  return { reason: messages.find(([pattern]) => pattern.test(own))?.[1] ?? 'other', said };
}

/** git's words in one line, without the hints and what is no matter here, and no longer than a row of a table. */
export function words(stderr: string): string {
  const rows = stderr
    .split('\n')
    .filter((row) => row.trim() && !/^(hint:|remote:\s*$|warning: filtering not recognized)/.test(row));
  return rows.join(' / ').replaceAll(/\s+/g, ' ').trim().slice(0, 300);
}

/** Whether asking once more may help. */
export function isPassing(reason: Reason): boolean {
  return reason === 'unreachable' || reason === 'rate limited';
}
