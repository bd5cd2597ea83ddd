import { describe, expect, it } from 'vitest';
import { isPassing, troubleOf, words } from '../../src/git-trouble.js';
import type { Reason } from '../../src/states.js';

const failed = (stderr: string, more = {}) => troubleOf({ code: 128, stdout: '', stderr, ...more });

/** What git 2.39 (C locale) says, and what it means. */
const table: [stderr: string, reason: Reason][] = [
  ["fatal: could not read Username for 'https://alm.example.com': terminal prompts disabled", 'unauthorised'],
  [
    "error: unable to read askpass response from '/bin/false'\nfatal: could not read Username for 'http://127.0.0.1:3000': terminal prompts disabled",
    'unauthorised',
  ],
  ["fatal: could not read Password for 'https://x@alm.example.com': No such device or address", 'unauthorised'],
  ["fatal: Authentication failed for 'https://alm.example.com/acme/x.git/'", 'unauthorised'],
  [
    'git@alm.example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.',
    'unauthorised',
  ],
  [
    "fatal: unable to access 'https://alm.example.com/acme/x.git/': The requested URL returned error: 401",
    'unauthorised',
  ],
  [
    "remote: User permission denied\nfatal: unable to access 'https://alm.example.com/acme/x.git/': The requested URL returned error: 403",
    'forbidden',
  ],
  ["fatal: repository 'https://alm.example.com/acme/x.git/' not found", 'not found or no access'],
  ["remote: Not found.\nfatal: repository 'https://alm.example.com/acme/x.git/' not found", 'not found or no access'],
  [
    "fatal: '/srv/git/x.git' does not appear to be a git repository\nfatal: Could not read from remote repository.",
    'not found or no access',
  ],
  ['ERROR: Repository not found.\nfatal: Could not read from remote repository.', 'not found or no access'],
  ["fatal: unable to access 'https://alm.example.com/acme/x.git/': The requested URL returned error: 301", 'moved'],
  ["fatal: unable to access 'https://alm.example.com/acme/x.git/': The requested URL returned error: 302", 'moved'],
  ["fatal: unable to access 'https://alm.example.com/acme/x.git/': The requested URL returned error: 307", 'moved'],
  ["fatal: unable to access 'https://alm.example.com/acme/x.git/': The requested URL returned error: 308", 'moved'],
  [
    'error: RPC failed; HTTP 307 curl 22 The requested URL returned error: 307\nfatal: expected flush after ref listing',
    'moved',
  ],
  [
    "fatal: unable to access 'https://alm.example.com/acme/x.git/': The requested URL returned error: 429",
    'rate limited',
  ],
  [
    "fatal: unable to access 'https://alm.example.com/acme/x.git/': The requested URL returned error: 500",
    'unreachable',
  ],
  [
    "fatal: unable to access 'https://alm.example.com/acme/x.git/': The requested URL returned error: 503",
    'unreachable',
  ],
  [
    "fatal: unable to access 'https://alm.example.com/acme/x.git/': Could not resolve host: alm.example.com",
    'unreachable',
  ],
  [
    "fatal: unable to access 'http://127.0.0.1:1/x/': Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server",
    'unreachable',
  ],
  [
    "fatal: unable to access 'https://alm.example.com/acme/x.git/': Operation too slow. Less than 1000 bytes/sec transferred the last 4 seconds",
    'unreachable',
  ],
  [
    "fatal: unable to access 'https://alm.example.com/acme/x.git/': SSL certificate problem: unable to get local issuer certificate",
    'certificate',
  ],
  ["fatal: unable to access 'https://h/x/': SSL certificate problem: certificate has expired", 'certificate'],
  [
    "fatal: unable to access 'https://h/x/': server certificate verification failed. CAfile: none CRLfile: none",
    'certificate',
  ],
  [
    "fatal: unable to access 'https://h/x/': SSL: no alternative certificate subject name matches target host name 'h'",
    'certificate',
  ],
  [
    "fatal: unable to access 'https://127.0.0.1:3000/x/': error:0A00010B:SSL routines::wrong version number",
    'unreachable',
  ],
  ["fatal: unable to access 'http://127.0.0.1:3000/x/': Recv failure: Connection reset by peer", 'unreachable'],
  ["fatal: unable to access 'http://127.0.0.1:3000/x/': Empty reply from server", 'unreachable'],
  [
    'ssh: connect to host 127.0.0.1 port 1: Connection refused\nfatal: Could not read from remote repository.',
    'unreachable',
  ],
  [
    'ssh: connect to host alm.example.com port 22: Connection timed out\nfatal: Could not read from remote repository.',
    'unreachable',
  ],
  ['Host key verification failed.\nfatal: Could not read from remote repository.', 'unknown host key'],
  [
    'error: RPC failed; curl 56 Recv failure: Connection reset by peer\nfatal: expected flush after ref listing',
    'unreachable',
  ],
  ['error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nfatal: early EOF', 'unreachable'],
  ['fatal: the remote end hung up unexpectedly', 'unreachable'],
  ["fatal: transport 'ext' not allowed", 'invalid address'],
  ["fatal: transport 'file' not allowed", 'invalid address'],
  ["fatal: strange hostname '-oProxyCommand=x' blocked", 'invalid address'],
  ["fatal: strange pathname '--upload-pack=x' blocked", 'invalid address'],
  [
    'warning: url contains a newline in its path component: https://h/x%0ay\nfatal: credential url cannot be parsed: https://h/x%0ay',
    'invalid address',
  ],
  ['fatal: http://127.0.0.1:3000/x.git/info/refs not valid: is this a git repository?', 'not a git server'],
  ['fatal: protocol error: bad line length character: <htm', 'not a git server'],
  ["fatal: invalid server response; got 'version 9'", 'not a git server'],
  ['fatal: something nobody has seen yet', 'other'],
  ['', 'other'],
];

describe('what git says', () => {
  it.each(table)('%j is why there was no answer', (stderr, reason) => {
    expect(failed(`${stderr}\n`)?.reason).toBe(reason);
  });

  it('is no trouble when it exits with 0, whatever it warns of', () => {
    expect(
      troubleOf({ code: 0, stdout: '', stderr: 'warning: filtering not recognized by server, ignoring\n' }),
    ).toBeUndefined();
  });

  it.each(['too large', 'took too long'] as const)('counts less than that we ended it: %s', (cut) => {
    expect(failed('fatal: early EOF', { cut })?.reason).toBe(cut);
    expect(troubleOf({ code: 0, stdout: '', stderr: '', cut })?.reason).toBe(cut);
  });

  it('is trouble when it was killed by somebody', () => {
    expect(troubleOf({ code: null, stdout: '', stderr: '' })?.reason).toBe('other');
  });

  it('becomes one short line without hints', () => {
    const stderr = `hint: do this\nremote: \nremote: No.\r\n\n  fatal:\tnot \u00a0 this\n${'x'.repeat(1000)}`;
    const said = words(stderr);
    expect(said).toMatch(/^remote: No\. \/ fatal: not this \/ x+$/);
    expect(said).toHaveLength(300);
  });

  it('is worth another try only where that may help', () => {
    const all: Reason[] = [
      'unauthorised',
      'forbidden',
      'not found or no access',
      'moved',
      'rate limited',
      'unreachable',
      'not a git server',
      'certificate',
      'too large',
      'took too long',
      'invalid address',
      'other',
    ];
    expect(all.filter(isPassing)).toEqual(['rate limited', 'unreachable']);
  });

  it('by a server cannot make a refusal look like another one', () => {
    // The server chooses what stands behind `remote:`; git's own line comes last.
    expect(failed("remote: returned error: 503\nfatal: Authentication failed for 'https://h/'")?.reason).toBe(
      'unauthorised',
    );
    expect(
      failed(
        "remote: Permission denied (x)\nfatal: unable to access 'https://h/': The requested URL returned error: 503",
      )?.reason,
    ).toBe('unreachable');
  });
});
