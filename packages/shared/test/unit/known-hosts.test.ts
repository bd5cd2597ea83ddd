import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ExpectedError } from '../../src/errors.js';
import {
  checkHostKey,
  fingerprint,
  type HostKeyVerdict,
  knownHostsLine,
  parseKnownHosts,
  pinnedKeyTypes,
} from '../../src/ssh/known-hosts.js';

const folder = mkdtempSync(join(tmpdir(), 'gbo-known-hosts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A key blob of the given type with a body that differs by number. */
function keyOf(number: number, type = 'ssh-ed25519'): Buffer {
  const field = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  return Buffer.concat([field(Buffer.from(type)), field(Buffer.alloc(32, number))]);
}
const written = (number: number, type = 'ssh-ed25519') => `${type} ${keyOf(number, type).toString('base64')}`;

const ours = keyOf(1);
const pin = written(1);
const other = written(2);
const third = written(3);
const hashed = (name: string) => {
  const file = join(folder, 'to-hash');
  writeFileSync(file, `${name} ${pin}\n`);
  execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'ignore' });
  return readFileSync(file, 'utf8').trim();
};

const match = (line: number): HostKeyVerdict => ({ verdict: 'match', line });
const revoked = (line: number): HostKeyVerdict => ({ verdict: 'revoked', line });
const changed = (...lines: number[]): HostKeyVerdict => ({ verdict: 'changed', lines });
const unknown: HostKeyVerdict = { verdict: 'unknown' };

/** The key is always `ours`. A host is `name` or `name port`. */
const cases: [sentence: string, text: string, host: string, verdict: HostKeyVerdict][] = [
  ['an empty file knows nobody', '', 'example.com', unknown],
  ['a pinned key is accepted', `example.com ${pin}`, 'example.com', match(1)],
  ['a trailing comment is no part of the key', `example.com ${pin} root@acme  #1`, 'example.com', match(1)],
  ['a short comment is not taken for a key', `example.com ${pin} root acme`, 'example.com', match(1)],
  ['comments and blank lines count as lines', `# acme\n\n  \t\nexample.com ${pin}\n`, 'example.com', match(4)],
  ['Windows line ends do not matter', `# acme\r\nexample.com ${pin}\r\n`, 'example.com', match(2)],
  ['a byte order mark does not matter', `\uFEFFexample.com ${pin}`, 'example.com', match(1)],
  ['tabs and indentation do not matter', `  \texample.com\t \t${pin.replace(' ', '\t')}`, 'example.com', match(1)],
  ['a missing last line end does not matter', `a.example.com ${other}\nexample.com ${pin}`, 'example.com', match(2)],
  ['the host as the user writes it may be in capitals', `example.com ${pin}`, 'EXAMPLE.com', match(1)],
  ['the host in the file may be in capitals', `Example.COM ${pin}`, 'example.com', match(1)],
  ['the Kelvin sign is not a k', `kube ${pin}`, '\u212Aube', unknown],
  ['another host is not known', `example.com ${pin}`, 'example.org', unknown],
  ['a host is not known by a part of its name', `example.com ${pin}`, 'example.com.acme', unknown],
  ['a dot stands for a dot only', `example.com ${pin}`, 'examplexcom', unknown],
  ['brackets are no character class', `[ab] ${pin}`, 'a', unknown],

  ['any of several names matches', `acme,example.com,192.0.2.7 ${pin}`, '192.0.2.7', match(1)],
  ['any of several keys is accepted', `example.com ${other}\nexample.com ${pin}`, 'example.com', match(2)],
  ['a star stands for any text', `*.example.com ${pin}`, 'a.b.example.com', match(1)],
  ['a star also stands for nothing', `acme*.example.com ${pin}`, 'acme.example.com', match(1)],
  ['several stars find their places', `*a*b*ab ${pin}`, 'xaxbxaab', match(1)],
  ['a question mark stands for one character', `acme-? ${pin}`, 'acme-1', match(1)],
  ['a question mark does not stand for nothing', `acme-? ${pin}`, 'acme-', unknown],
  ['an excluded name is not matched', `*.example.com,!db.example.com ${pin}`, 'db.example.com', unknown],
  ['an exclusion counts wherever it is', `!db.example.com,*.example.com ${pin}`, 'db.example.com', unknown],
  ['an exclusion alone matches nobody', `!db.example.com ${pin}`, 'acme.example.com', unknown],
  ['an excluded name may match on another line', `!a,* ${other}\na ${pin}`, 'a', match(2)],

  ['a port other than 22 has a line of its own', `[example.com]:2222 ${pin}`, 'example.com 2222', match(1)],
  ['a line for a port is not for port 22', `[example.com]:2222 ${pin}`, 'example.com', unknown],
  ['a line for a port is not for another port', `[example.com]:2222 ${pin}`, 'example.com 2223', unknown],
  ['a plain line is not for another port', `example.com ${pin}`, 'example.com 2222', unknown],
  ['a line for [host]:22 is not what ssh looks up', `[example.com]:22 ${pin}`, 'example.com', unknown],
  ['a pattern may be inside the brackets', `[*.example.com]:2222 ${pin}`, 'a.example.com 2222', match(1)],
  ['an IPv6 address is written plain for port 22', `2001:db8::7 ${pin}`, '2001:DB8::7', match(1)],
  ['an IPv6 address has brackets for another port', `[2001:db8::7]:2222 ${pin}`, '2001:db8::7 2222', match(1)],

  ['a hashed name is recognised', hashed('example.com'), 'Example.com', match(1)],
  ['a hashed name with a port is recognised', hashed('[example.com]:2222'), 'example.com 2222', match(1)],
  ['a hashed name is not any name', hashed('example.com'), 'example.org', unknown],

  ['a different key has changed', `example.com ${other}`, 'example.com', changed(1)],
  ['a key of another type has changed too', `example.com ${written(1, 'ssh-rsa')}`, 'example.com', changed(1)],
  [
    'every pin of the host is named when none matches, and no other',
    `acme ${pin}\n* ${other}\n\nexample.com ${third}\n[example.com]:2222 ${pin}`,
    'example.com',
    changed(2, 4),
  ],

  ['a revoked key is refused', `@revoked example.com ${pin}`, 'example.com', revoked(1)],
  ['a revoked key is refused although it is pinned', `a ${pin}\n@revoked a ${pin}`, 'a', revoked(2)],
  ['a key revoked for every host is refused', `a ${pin}\n@revoked * ${pin}`, 'a', revoked(2)],
  [
    'a key revoked for the plain name is refused at every port',
    `[a]:2222 ${pin}\n@revoked a ${pin}`,
    'a 2222',
    revoked(2),
  ],
  ['a key revoked at one port is refused there', `[a]:2222 ${pin}\n@revoked [a]:2222 ${pin}`, 'a 2222', revoked(2)],
  ['a tab after the marker does not take its effect', `a ${pin}\n@revoked\ta ${pin} c`, 'a', revoked(2)],
  ['a key revoked for another host stays good', `@revoked b ${pin}\na ${pin}`, 'a', match(2)],
  ['a revoked key is no pin', `@revoked a ${other}`, 'a', unknown],
  ['revoking one key leaves the other', `@revoked a ${other}\na ${pin}`, 'a', match(2)],

  [
    'an authority is named as not supported',
    `\n@cert-authority *.a ${other}`,
    'x.a',
    { verdict: 'unknown', unsupportedAuthority: 2 },
  ],
  [
    'an authority does not vouch for its own key',
    `@cert-authority a ${pin}`,
    'a',
    { verdict: 'unknown', unsupportedAuthority: 1 },
  ],
  ['an authority for others is not mentioned', `@cert-authority b ${other}`, 'a', unknown],
  ['a pin counts beside an authority', `@cert-authority a ${other}\na ${pin}`, 'a', match(2)],
  ['a changed pin counts beside an authority', `@cert-authority a ${other}\na ${third}`, 'a', changed(2)],
];

describe('checkHostKey', () => {
  it.each(cases)('%s', (_sentence, text, host, verdict) => {
    const [name = '', port = '22'] = host.split(' ');
    expect(checkHostKey(parseKnownHosts(text), name, Number(port), ours)).toEqual(verdict);
  });

  it('does not accept a key that is cut off or has something after it', () => {
    const known = parseKnownHosts(`example.com ${pin}`);
    for (const key of [ours.subarray(0, -1), Buffer.concat([ours, Buffer.of(0)]), Buffer.alloc(0)]) {
      expect(checkHostKey(known, 'example.com', 22, key)).toEqual(changed(1));
    }
  });

  it('takes no time to speak of for a pattern made to take long', () => {
    const known = parseKnownHosts(`${`${'a*'.repeat(500)}b,`.repeat(20)}x ${pin}`);
    const start = performance.now();
    expect(checkHostKey(known, 'a'.repeat(255), 22, ours)).toEqual(unknown);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

const readable = 'key'.repeat(400);
const unreadable: [sentence: string, line: string, why: RegExp][] = [
  ['a host alone', 'example.com', /not made of host, key type and key/],
  ['a host and a comment', 'example.com # no key yet', /damaged/],
  ['a key type without its key', 'example.com ssh-ed25519', /not made of/],
  ['a public key without its host', `${pin} root@acme`, /begins with the key/],
  ['a revoked public key without its host', `@revoked ${pin}`, /begins with the key/],
  ['a fingerprint in place of the key', 'example.com ssh-ed25519 SHA256:uNiReEalSfT7', /damaged/],
  ['a key that lost its end', `example.com ${pin.slice(0, -4)}`, /damaged, cut off/],
  ['a key that lost its padding', `example.com ${written(1, 'ssh-rsa').replace(/=+$/, '')}`, /cut off/],
  ['a key with a strange character', `example.com ${pin.slice(0, 30)}\u2026${pin.slice(31)}`, /damaged/],
  ['a key of another type than it says', `example.com ssh-rsa ${pin.split(' ')[1]}`, /not of the type/],
  ['a key of the first protocol', 'example.com 1024 35 1234567890', /damaged/],
  ['a certificate', `example.com ${written(1, 'ssh-ed25519-cert-v01@openssh.com')}`, /certificate/],
  ['a marker that does not exist', `@trusted example.com ${pin}`, /marker/],
  ['a misspelt revocation', `@Revoked example.com ${pin}`, /marker/],
  ['two markers', `@revoked @cert-authority example.com ${pin}`, /two markers/],
  ['a marker alone', '@revoked', /not made of/],
  ['two entries whose line break got lost', `a ${pin} @revoked a ${pin}`, /line break/],
  ['literal line breaks', `a ${pin}\\n@revoked a ${pin}`, /damaged/],
  ['old Macintosh line ends', `# acme\r@revoked a ${pin}`, /control character/],
  ['a hash of a version that does not exist', `|2|${'A'.repeat(27)}=|${'A'.repeat(27)}= ${pin}`, /hashed/],
  ['a hash without its salt', `|1|${'A'.repeat(27)}= ${pin}`, /hashed/],
  ['a hash that is cut off', `|1|${'A'.repeat(27)}=|${'A'.repeat(24)} ${pin}`, /hashed/],
  ['a hash with a second name', `|1|${'A'.repeat(27)}=|${'A'.repeat(27)}=,example.com ${pin}`, /hashed/],
  ['a no-break space after the host', `example.com\u00A0 ${pin}`, /host name/],
  ['a host name that OpenSSH finds too long', `${readable} ${pin}`, /too long/],
  ['a part of a private key', '-----BEGIN OPENSSH PRIVATE KEY-----', /damaged/],
];

describe('parseKnownHosts refuses, and says on which line,', () => {
  it.each(unreadable)('%s', (_sentence, line, why) => {
    const error = errorOf(() => parseKnownHosts(`# acme\n${line}\nexample.com ${pin}\n`));
    expect(error.what).toMatch(/^Line 2 of known_hosts cannot be read: .*\.$/);
    expect(error.what).toMatch(why);
    expect(error.left).toBe('Nothing was touched.');
    for (const word of line.split(/\s+/)) if (word.length >= 20) expect(error.message).not.toContain(word);
  });

  it('any text it cannot read, without another kind of error', () => {
    const text = fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\n', ' ', '@revoked', '|1|', pin)));
    fc.assert(
      fc.property(text, (parts) => {
        try {
          checkHostKey(parseKnownHosts(parts.join('')), 'example.com', 22, ours);
        } catch (error) {
          expect(error).toBeInstanceOf(ExpectedError);
        }
      }),
    );
  });
});

function errorOf(act: () => unknown): ExpectedError {
  try {
    act();
  } catch (error) {
    if (error instanceof ExpectedError) return error;
    throw error;
  }
  throw new Error('it did not throw');
}

describe('pinnedKeyTypes', () => {
  it('asks for the pinned types of this host and port only, in the order of the file, each once', () => {
    const text = [
      `acme ${written(1, 'ecdsa-sha2-nistp384')}`,
      `@revoked example.com ${written(2, 'ecdsa-sha2-nistp521')}`,
      `@cert-authority example.com ${written(3, 'ecdsa-sha2-nistp521')}`,
      `[example.com]:2222 ${written(4, 'ecdsa-sha2-nistp521')}`,
      `example.com ${written(5, 'ecdsa-sha2-nistp256')}`,
      `*.com ${written(6, 'ssh-ed25519')}`,
      `example.com ${written(7, 'ecdsa-sha2-nistp256')}`,
    ].join('\n');
    expect(pinnedKeyTypes(parseKnownHosts(text), 'example.com', 22)).toEqual(['ecdsa-sha2-nistp256', 'ssh-ed25519']);
  });

  it('never asks an RSA key for a SHA-1 signature', () => {
    const known = parseKnownHosts(`example.com ${written(1, 'ssh-rsa')}`);
    expect(pinnedKeyTypes(known, 'example.com', 22)).toEqual(['rsa-sha2-512', 'rsa-sha2-256']);
  });
});

describe('knownHostsLine', () => {
  it.each([
    ['example.com', 22, 'example.com'],
    ['EXAMPLE.com', 2222, '[example.com]:2222'],
    ['2001:db8::7', 22, '2001:db8::7'],
    ['2001:db8::7', 2222, '[2001:db8::7]:2222'],
  ])('writes %s port %i as %s, which then pins the key', (host, port, name) => {
    const line = knownHostsLine(host, port, ours);
    expect(line).toBe(`${name} ${pin}`);
    expect(checkHostKey(parseKnownHosts(line), host, port, ours)).toEqual(match(1));
  });

  it('writes no line for what is not a key', () => {
    for (const key of [Buffer.alloc(0), Buffer.alloc(3), Buffer.from('junk'), ours.subarray(0, -1)]) {
      expect(() => knownHostsLine('example.com', 22, key)).toThrow(ExpectedError);
    }
  });
});

describe('beside ssh-keygen', () => {
  const run = promisify(execFile);
  const file = join(folder, 'known_hosts');
  const lookedUp = (host: string, port: number) => (port === 22 ? host : `[${host}]:${port}`);

  /** The lines that ssh-keygen finds for a name, by their marker. */
  async function found(name: string, path: string) {
    // It exits with 1 when it finds nothing.
    const { stdout } = await run('ssh-keygen', ['-F', name, '-f', path]).catch((error) => {
      if (error.code !== 1) throw error;
      return error as { stdout: string };
    });
    const lines = [...stdout.matchAll(/^# Host .* found: line (\d+) (CA|REVOKED)?/gm)];
    const of = (marker?: string) => lines.filter(([, , is]) => is === marker).map(([, line]) => Number(line));
    return { pins: of(undefined), authorities: of('CA'), revocations: of('REVOKED') };
  }

  /** Compares everything that can be asked about a host. Line n of the file must have keyOf(n). */
  async function compare(path: string, host: string, port: number) {
    const known = parseKnownHosts(readFileSync(path, 'utf8'));
    const theirs = await found(lookedUp(host, port), path);
    // Ours is stricter in this alone.
    const plain = port === 22 ? theirs : await found(host, path);
    const [authority] = theirs.authorities;
    const otherwise: HostKeyVerdict =
      theirs.pins.length > 0
        ? { verdict: 'changed', lines: theirs.pins }
        : { verdict: 'unknown', ...(authority && { unsupportedAuthority: authority }) };
    expect(checkHostKey(known, host, port, keyOf(255))).toEqual(otherwise);
    for (const { line } of known.entries) {
      const isRevoked = theirs.revocations.includes(line) || plain.revocations.includes(line);
      const verdict = isRevoked ? revoked(line) : theirs.pins.includes(line) ? match(line) : otherwise;
      expect(checkHostKey(known, host, port, keyOf(line)), `line ${line}`).toEqual(verdict);
    }
  }

  const letter = fc.constantFrom(...'aabbA.-?*');
  const word = fc.string({ unit: letter, minLength: 1, maxLength: 5 });
  const pattern = fc
    .tuple(fc.constantFrom('', '', '!'), word, fc.constantFrom('', '', '2222', '22', '*'))
    .map(([not, text, port]) => (port ? `${not}[${text}]:${port}` : `${not}${text}`));
  const line = fc.record({
    marker: fc.constantFrom('', '', '', '@revoked ', '@cert-authority '),
    names: fc.array(pattern, { minLength: 1, maxLength: 4 }).map((names) => names.join(',')),
    space: fc.constantFrom(' ', '\t', '  '),
    end: fc.constantFrom('', ' acme', '\r'),
  });
  const lines = fc.array(line, { minLength: 1, maxLength: 12 });
  const hosts = fc.array(
    fc.tuple(
      fc.string({ unit: fc.constantFrom(...'aabb.-'), minLength: 1, maxLength: 4 }),
      fc.constantFrom(22, 22, 2222),
    ),
    { minLength: 1, maxLength: 4 },
  );

  it('random patterns match random hosts as ssh-keygen -F finds them', async () => {
    await fc.assert(
      fc.asyncProperty(lines, hosts, async (entries, asked) => {
        const text = entries.map(
          ({ marker, names, space, end }, index) => `${marker}${names}${space}${written(index + 1)}${end}\n`,
        );
        writeFileSync(file, text.join(''));
        for (const [host, port] of asked) await compare(file, host, port);
      }),
      { numRuns: 40 },
    );
  });

  it('names that ssh-keygen -H has hashed match the same hosts', async () => {
    const name = fc.tuple(
      fc.string({ unit: fc.constantFrom(...'abA.'), minLength: 1, maxLength: 2 }),
      fc.constantFrom(22, 2222),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(name, { minLength: 1, maxLength: 8 }), hosts, async (names, asked) => {
        const text = names.map(([host, port], index) => `${lookedUp(host, port)} ${written(index + 1)}\n`);
        writeFileSync(file, text.join(''));
        await run('ssh-keygen', ['-H', '-f', file]);
        expect(readFileSync(file, 'utf8').split('\n').length).toBe(text.length + 1);
        for (const [host, port] of asked) await compare(file, host, port);
      }),
      { numRuns: 15 },
    );
  });

  it('a fingerprint is the one that ssh-keygen -l prints', () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    const [, base64 = ''] = readFileSync(join(folder, 'key.pub'), 'utf8').split(' ');
    const printed = execFileSync('ssh-keygen', ['-l', '-f', join(folder, 'key.pub')], { encoding: 'utf8' });
    expect(printed.split(' ')[1]).toBe(fingerprint(Buffer.from(base64, 'base64')));
  });
});
