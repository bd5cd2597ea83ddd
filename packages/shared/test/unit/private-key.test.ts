import { execFileSync } from 'node:child_process';
import { type createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import ssh2 from 'ssh2';
import { afterAll, describe, expect, it } from 'vitest';
import { ExpectedError } from '../../src/errors.js';
import { normalisePrivateKey } from '../../src/ssh/private-key.js';

const folder = mkdtempSync(join(tmpdir(), 'gbo-private-key-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const passphrase = 'open sesame, 7 times';
const sshKeygen = (...args: string[]) =>
  execFileSync('ssh-keygen', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

interface Key {
  text: string;
  /** Base64 of its public half. */
  publicKey: string;
  passphrase?: string;
}

const read = (name: string): Key => ({
  text: readFileSync(join(folder, name), 'utf8'),
  publicKey: readFileSync(join(folder, `${name}.pub`), 'utf8').split(' ')[1] as string,
});

/** A new key. One round of key derivation: the tests open each of them many times. */
function make(name: string, ...args: string[]): Key {
  sshKeygen('-q', '-a', '1', '-N', '', '-C', 'deploy@acme', '-f', join(folder, name), ...args);
  return read(name);
}

/** The same key in another format. */
function remake(from: string, name: string, newPassphrase: string, ...args: string[]): Key {
  copyFileSync(join(folder, from), join(folder, name));
  copyFileSync(join(folder, `${from}.pub`), join(folder, `${name}.pub`));
  sshKeygen('-q', '-p', '-a', '1', '-P', '', '-N', newPassphrase, '-f', join(folder, name), ...args);
  return { ...read(name), passphrase: newPassphrase || undefined };
}

/** OpenSSH writes PKCS#8 of Ed25519 only since 9.6. */
function ed25519Pkcs8(encrypted: boolean): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const head = Buffer.from('0000000b7373682d6564323535313900000020', 'hex');
  return {
    text: privateKey
      .export({ type: 'pkcs8', format: 'pem', ...(encrypted && { cipher: 'aes-256-cbc', passphrase }) })
      .toString(),
    publicKey: Buffer.concat([head, Buffer.from(x, 'base64url')]).toString('base64'),
    passphrase: encrypted ? passphrase : undefined,
  };
}

const keys: Record<string, Key> = {
  Ed25519: make('ed25519', '-t', 'ed25519'),
  RSA: make('rsa', '-t', 'rsa', '-b', '2048'),
  'ECDSA nistp256': make('p256', '-t', 'ecdsa', '-b', '256'),
  'ECDSA nistp384': make('p384', '-t', 'ecdsa', '-b', '384'),
  'ECDSA nistp521': make('p521', '-t', 'ecdsa', '-b', '521'),
  'encrypted Ed25519': remake('ed25519', 'ed25519-locked', passphrase),
  'encrypted RSA': remake('rsa', 'rsa-locked', passphrase),
  'encrypted ECDSA': remake('p256', 'p256-locked', passphrase),
  'PEM RSA': remake('rsa', 'rsa-pem', '', '-m', 'PEM'),
  'encrypted PEM RSA': remake('rsa', 'rsa-pem-locked', passphrase, '-m', 'PEM'),
  'PEM ECDSA': remake('p384', 'p384-pem', '', '-m', 'PEM'),
  'encrypted PEM ECDSA': remake('p521', 'p521-pem-locked', passphrase, '-m', 'PEM'),
  'PKCS#8 RSA': remake('rsa', 'rsa-p8', '', '-m', 'PKCS8'),
  'encrypted PKCS#8 RSA': remake('rsa', 'rsa-p8-locked', passphrase, '-m', 'PKCS8'),
  'PKCS#8 ECDSA': remake('p256', 'p256-p8', '', '-m', 'PKCS8'),
  'encrypted PKCS#8 ECDSA': remake('p521', 'p521-p8-locked', passphrase, '-m', 'PKCS8'),
  'PKCS#8 Ed25519': ed25519Pkcs8(false),
  'encrypted PKCS#8 Ed25519': ed25519Pkcs8(true),
};
const openKeys = Object.entries(keys).filter(([, key]) => !key.passphrase);
const lockedKeys = Object.entries(keys).filter(([, key]) => key.passphrase);
const publicLine = readFileSync(join(folder, 'ed25519.pub'), 'utf8');

const base64 = (text: string) => Buffer.from(text).toString('base64');
const wrapped = (text: string, columns: number) => text.replace(new RegExp(`.{${columns}}`, 'g'), '$&\n');

const manglings: Record<string, (text: string) => string> = {
  'with Windows line ends': (text) => text.replaceAll('\n', '\r\n'),
  'with old Macintosh line ends': (text) => text.replaceAll('\n', '\r'),
  'with a byte order mark': (text) => `\uFEFF${text}`,
  'without its last line end': (text) => text.trimEnd(),
  'with blank lines around it': (text) => `\n\n  \n${text}\n\t\n`,
  'with blank lines within it': (text) => text.replaceAll('\n', '\n\n'),
  'with spaces at the ends of its lines': (text) => text.replaceAll('\n', '  \n'),
  'with spaces for line breaks': (text) => text.replaceAll('\n', ' '),
  'without any line break': (text) => text.replaceAll(/\n/g, ''),
  'with all white space lost': (text) => text.replaceAll(/\s/g, ''),
  'with literal \\n': (text) => text.replaceAll('\n', '\\n'),
  'with literal \\r\\n': (text) => text.replaceAll('\n', '\\r\\n'),
  'with literal \\\\n': (text) => text.replaceAll('\n', '\\\\n'),
  'with a backslash at the end of each line': (text) => text.replaceAll('\n', '\\\n'),
  'as a JSON string': (text) => JSON.stringify(text),
  'in double quotes': (text) => `"${text}"`,
  'in single quotes': (text) => `'${text.trim()}'`,
  'indented by YAML': (text) => text.replaceAll(/^/gm, '      '),
  'indented by tabs': (text) => text.replaceAll(/^/gm, '\t'),
  'with its YAML key': (text) => `private-key: |\n${text.replaceAll(/^/gm, '  ')}`,
  'with its public half after it': (text) => `${text}${publicLine}`,
  'in base64': base64,
  'in base64 of 76 columns': (text) => wrapped(base64(text), 76),
  'in base64 with spaces for line breaks': (text) => wrapped(base64(text), 64).replaceAll('\n', ' '),
  'in base64 in quotes': (text) => `"${base64(text)}"\n`,
  'in base64 with literal \\n': (text) => wrapped(base64(text), 76).replaceAll('\n', '\\n'),
  'in base64 twice': (text) => base64(base64(text)),
  'in base64 with Windows line ends and a byte order mark inside': (text) =>
    base64(`\uFEFF${text.replaceAll('\n', '\r\n')}`),
};

const results = new Map<string, string>();

/** What becomes of a sound key, by its name. Worked out once. */
function normalised(name: string): string {
  const key = keys[name] as Key;
  const result = results.get(name) ?? normalisePrivateKey(key.text, key.passphrase);
  results.set(name, result);
  return result;
}

/** Base64 of the public half, as ssh2 sees it. */
function publicHalf(text: string, opens?: string): string {
  const key = ssh2.utils.parseKey(text, opens);
  if (key instanceof Error) throw key;
  expect(key.isPrivateKey()).toBe(true);
  return key.getPublicSSH().toString('base64');
}

describe.each(Object.entries(keys))('a key (%s) can be used', (name, key) => {
  it('as it is', () => {
    expect(publicHalf(normalisePrivateKey(key.text, key.passphrase), key.passphrase)).toBe(key.publicKey);
  });

  // The same text parses to the same key; parsing it each time again takes seconds for the encrypted ones.
  it.each(Object.entries(manglings))('%s', (_how, mangle) => {
    expect(normalisePrivateKey(mangle(key.text), key.passphrase)).toBe(normalised(name));
  });

  it('and OpenSSH reads the result as the same key', () => {
    const file = join(folder, `result ${name.replaceAll(/\W/g, '')}`);
    writeFileSync(file, normalised(name), { mode: 0o600 });
    expect(
      sshKeygen('-y', '-P', key.passphrase ?? '', '-f', file)
        .split(' ')[1]
        ?.trim(),
    ).toBe(key.publicKey);
  });

  it('and going through it twice changes nothing', () => {
    expect(normalisePrivateKey(normalised(name), key.passphrase)).toBe(normalised(name));
  });
});

describe('a key can be used', () => {
  it('letter for letter when nothing is wrong with it, so that the masks of the runner still fit', () => {
    for (const [name, key] of Object.entries(keys)) {
      const isConverted = name.includes('PKCS#8') || name.includes('encrypted PEM');
      if (!isConverted) expect(normalised(name)).toBe(key.text);
    }
  });

  const ciphers = ['3des-cbc', 'aes128-cbc', 'aes192-cbc', 'aes256-cbc', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'];
  it.each([...ciphers, 'aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'])('encrypted with %s', (cipher) => {
    const key = remake('ed25519', `ed25519-${cipher}`, passphrase, '-Z', cipher);
    const result = normalisePrivateKey(key.text, passphrase);
    expect(publicHalf(result, passphrase)).toBe(key.publicKey);
    expectRefusal(key.text, 'not that', /^The passphrase does not open the private key/);
  });

  it('with a passphrase that it does not need', () => {
    for (const [, key] of openKeys) {
      expect(publicHalf(normalisePrivateKey(key.text, passphrase), passphrase)).toBe(key.publicKey);
    }
  });

  it('with a passphrase that is not ASCII', () => {
    const key = remake('ed25519', 'ed25519-umlaut', 'S\u00e9same, \u00f6ffne dich', '-m', 'RFC4716');
    expect(publicHalf(normalisePrivateKey(key.text, key.passphrase), key.passphrase)).toBe(key.publicKey);
  });

  it('after the parameters that openssl ecparam writes before it', () => {
    const key = keys['PEM ECDSA'] as Key;
    const text = `-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n${key.text}`;
    expect(publicHalf(normalisePrivateKey(text))).toBe(key.publicKey);
  });
});

/** The texts of 8 characters or more that a message about this input must not hold. */
function secretsOf(text: string, opens = ''): string[] {
  const layers = [text, Buffer.from(text, 'base64').toString(), opens];
  return layers.flatMap((layer) => layer.split(/[\n\r]+|\\n/)).filter((line) => line.trim().length >= 8);
}

function expectRefusal(text: string, opens: string | undefined, says: RegExp): void {
  let error: unknown;
  try {
    normalisePrivateKey(text, opens);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(ExpectedError);
  if (!(error instanceof ExpectedError)) return;
  expect(error.what).toMatch(says);
  expect(error.what).toMatch(/^[A-Z][^\n]*[^.]\.$/);
  // Everything that a log could show of it, its stack and cause included.
  const shown = inspect(error, { depth: 9, showHidden: true, maxStringLength: null });
  for (const secret of secretsOf(text, opens)) {
    expect(shown).not.toContain(secret);
    expect(shown).not.toContain(secret.trim());
  }
}

const ed25519 = keys.Ed25519 as Key;
const rsaPem = keys['PEM RSA'] as Key;
const lines = (text: string) => text.trimEnd().split('\n');
const pkcs8 = (key: ReturnType<typeof createPrivateKey>) => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** The outside of a key in OpenSSH's format, with a public half of the given type and nothing to decrypt. */
function openssh(type: string, cipher = 'none'): string {
  const field = (bytes: Buffer | string) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, Buffer.from(bytes.toString('latin1' as never), 'latin1')]);
  };
  const data = [Buffer.from('openssh-key-v1\0'), field(cipher), field('none'), field(''), Buffer.from([0, 0, 0, 1])];
  const publicKey = Buffer.concat([field(type), field('x'.repeat(32))]);
  const all = Buffer.concat([...data, field(publicKey), field('y'.repeat(64))]).toString('base64');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${wrapped(all, 70)}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

const refusals: [sentence: string, text: () => string, says: RegExp][] = [
  ['nothing', () => '', /is empty/],
  ['white space', () => ' \r\n\t', /is empty/],
  ['an empty text in base64', () => base64('\n'), /not a private key/],
  ['a public key', () => publicLine, /This is a public key/],
  ['a public key in base64', () => base64(publicLine), /This is a public key/],
  ['a line of known_hosts', () => `example.com ${publicLine}`, /This is a public key/],
  ['a PEM public key', () => sshKeygen('-e', '-m', 'PKCS8', '-f', join(folder, 'rsa.pub')), /This is a public key/],
  ['a PKCS#1 public key', () => sshKeygen('-e', '-m', 'PEM', '-f', join(folder, 'rsa.pub')), /This is a public key/],
  ['an RFC 4716 public key', () => sshKeygen('-e', '-f', join(folder, 'ed25519.pub')), /This is a public key/],
  [
    'a certificate',
    () => {
      sshKeygen('-q', '-s', join(folder, 'rsa'), '-I', 'acme', '-n', 'root', join(folder, 'ed25519.pub'));
      return readFileSync(join(folder, 'ed25519-cert.pub'), 'utf8');
    },
    /This is a certificate/,
  ],
  ['an X.509 certificate', () => '-----BEGIN CERTIFICATE-----\nMIIBszCCAVmg\n-----END CERTIFICATE-----', /certificate/],
  [
    'a PuTTY key',
    () => 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: acme\nPublic-Lines: 2\nAAAAC3NzaC1lZDI1',
    /PuTTY.*puttygen/,
  ],
  ['a variable that was not expanded', () => '$DEPLOY_KEY', /name of a variable/],
  ['a variable in braces', () => `"\${DEPLOY_KEY}"`, /name of a variable/],
  ['an expression that was not expanded', () => `\${{ secrets.DEPLOY_KEY }}`, /name of a variable/],
  [
    'an expression between BEGIN and END',
    () => `${lines(ed25519.text)[0]}\n\${{ secrets.DEPLOY_KEY }}\n${lines(ed25519.text).at(-1)}`,
    /name of a variable/,
  ],
  ['a command that was not run', () => '$(cat ~/.ssh/id_ed25519)', /name of a variable/],
  ['the name of a file', () => '~/.ssh/id_ed25519', /name of a file/],
  ['the full name of a file', () => '/home/acme/.ssh/id_ed25519', /name of a file/],
  ['a password', () => 'correct horse battery staple', /neither a BEGIN nor an END/],
  ['a masked secret', () => '***', /neither a BEGIN nor an END/],
  ['the key without BEGIN and END', () => lines(ed25519.text).slice(1, -1).join('\n'), /neither a BEGIN nor an END/],
  ['a key without its BEGIN line', () => lines(ed25519.text).slice(1).join('\n'), /BEGIN line is missing/],
  ['a key whose BEGIN line lost a dash', () => ed25519.text.slice(1), /BEGIN line is missing/],
  ['a key without its END line', () => lines(ed25519.text).slice(0, -1).join('\n'), /END line is missing/],
  ['a key whose END line lost a dash', () => ed25519.text.trimEnd().slice(0, -1), /END line is missing/],
  ['half a key', () => ed25519.text.slice(0, ed25519.text.length / 2), /END line is missing/],
  ['half a key in base64', () => base64(ed25519.text.slice(0, 200)), /END line is missing/],
  [
    'a key whose second half comes first',
    () => {
      const at = ed25519.text.length / 2;
      return `${ed25519.text.slice(at)}${ed25519.text.slice(0, at)}`;
    },
    /do not belong together/,
  ],
  [
    'the BEGIN of one key and the END of another',
    () => `${lines(rsaPem.text)[0]}\n${lines(ed25519.text).slice(1).join('\n')}`,
    /do not belong together/,
  ],
  ['one key under the label of another', () => ed25519.text.replaceAll('OPENSSH', 'RSA'), /damaged/],
  ['a PEM key under the label of OpenSSH', () => rsaPem.text.replaceAll('RSA', 'OPENSSH'), /damaged/],
  ['a key with nothing in it', () => `${lines(ed25519.text)[0]}\n${lines(ed25519.text).at(-1)}`, /cut off/],
  [
    'a key with dots in its middle',
    () => [...lines(ed25519.text).slice(0, 2), '...', ...lines(ed25519.text).slice(3)].join('\n'),
    /characters in it/,
  ],
  ['two keys', () => `${ed25519.text}\n${rsaPem.text}`, /several private keys/],
  ['the same key twice', () => ed25519.text + ed25519.text, /several private keys/],
  ['two keys of which one is cut off', () => ed25519.text + rsaPem.text.slice(0, 400), /several private keys/],
  [
    'a DSA key',
    () => pkcs8(generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).privateKey),
    /DSA key/,
  ],
  ['a DSA key in PEM', () => rsaPem.text.replaceAll('RSA', 'DSA'), /DSA key/],
  ["a DSA key in OpenSSH's format", () => openssh('ssh-dss'), /DSA key/],
  ['a key that is in a hardware token', () => openssh('sk-ssh-ed25519@openssh.com'), /hardware token/],
  ['a key of a type that is not known', () => openssh('ssh-xmss@openssh.com'), /of a type that cannot be used/],
  ['an Ed448 key', () => pkcs8(generateKeyPairSync('ed448').privateKey), /of a type that cannot be used/],
  ['an RSA-PSS key', () => pkcs8(generateKeyPairSync('rsa-pss', { modulusLength: 1024 }).privateKey), /of a type that/],
  [
    'a key of another curve',
    () => pkcs8(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey),
    /of a type/,
  ],
  [
    'a PGP key',
    () => '-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF2\n-----END PGP PRIVATE KEY BLOCK-----',
    /not a private key/,
  ],
  ['a key encrypted with an unknown cipher', () => openssh('ssh-ed25519', 'rot13'), /a cipher, which cannot be read/],
];

describe('a text is refused that holds', () => {
  it.each(refusals)('%s', (_sentence, text, says) => {
    expectRefusal(text(), undefined, says);
    expectRefusal(text(), passphrase, says);
  });

  it.each(openKeys)('a key (%s) that lost a line', (_name, key) => {
    const all = lines(key.text);
    for (let lost = 1; lost < all.length - 1; lost++) {
      expectRefusal(all.filter((_, index) => index !== lost).join('\n'), undefined, /is (damaged|cut off)/);
    }
  });

  it.each(Object.entries(keys))('a key (%s) that lost its second half', (_name, key) => {
    const all = lines(key.text);
    const text = [...all.slice(0, all.length / 2), all.at(-1)].join('\n');
    expectRefusal(text, key.passphrase, key.text.includes('Proc-Type') ? /wrong, or the key is damaged/ : /is cut off/);
  });

  it.each(lockedKeys)('a key (%s) and no passphrase', (_name, { text }) => {
    expectRefusal(text, undefined, /is encrypted, and no passphrase was given/);
    expectRefusal(text, '', /is encrypted, and no passphrase was given/);
  });

  it.each(lockedKeys)('a key (%s) and the wrong passphrase', (_name, { text }) => {
    expectRefusal(text, 'not that one', /^The passphrase does not open the private key: it is wrong/);
    expectRefusal(text, `${passphrase} `, /^The passphrase does not open the private key: it is wrong/);
  });

  it('a key encrypted with chacha20-poly1305, saying how to change that', () => {
    const { text } = remake('ed25519', 'ed25519-chacha', passphrase, '-Z', 'chacha20-poly1305@openssh.com');
    expectRefusal(text, passphrase, /chacha20-poly1305.*ssh-keygen -p -Z aes256-ctr/);
    expectRefusal(text, undefined, /chacha20-poly1305.*ssh-keygen -p -Z aes256-ctr/);
  });
});

describe('a damaged key', () => {
  const anyOpenKey = fc.constantFrom(...openKeys.map(([, key]) => key));

  it('that is cut off anywhere is refused', () => {
    fc.assert(
      fc.property(anyOpenKey, fc.nat(), fc.boolean(), (key, cut, fromTheEnd) => {
        const text = key.text.trimEnd();
        const length = cut % text.length;
        expectRefusal(fromTheEnd ? text.slice(0, length) : text.slice(text.length - length), undefined, /./);
      }),
      { numRuns: 200 },
    );
  });

  it('that has one wrong character is refused, or still is the same key', () => {
    // Of Ed25519, PKCS#8 holds the private half alone, so that any other is as good a key.
    const checkable = anyOpenKey.filter((key) => key !== keys['PKCS#8 Ed25519']);
    const character = fc.constantFrom(...'ABab09+/= -\n$:');
    fc.assert(
      fc.property(checkable, fc.nat(), character, (key, position, wrong) => {
        const at = position % key.text.length;
        const text = key.text.slice(0, at) + wrong + key.text.slice(at + 1);
        let result: string;
        try {
          result = normalisePrivateKey(text);
        } catch {
          expectRefusal(text, undefined, /./);
          return;
        }
        expect(publicHalf(result)).toBe(key.publicKey);
      }),
      { numRuns: 300 },
    );
  });

  it('never causes another kind of error, whatever the text', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom(
        '-----BEGIN ',
        '-----END ',
        'OPENSSH PRIVATE KEY',
        'PRIVATE KEY',
        '-----',
        '\\n',
        '\n',
        '=',
        'MIIB',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        expect(() => normalisePrivateKey(pieces.join(''), passphrase)).toThrow(ExpectedError);
      }),
    );
  });
});
