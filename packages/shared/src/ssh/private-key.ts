import { createPrivateKey, createPublicKey, type KeyLike, type KeyObject, sign, verify } from 'node:crypto';
import ssh2 from 'ssh2';
import { ExpectedError } from '../errors.js';

/** The kinds of private key that can be used, as their BEGIN line names them. */
const labels = [
  'OPENSSH PRIVATE KEY',
  'RSA PRIVATE KEY',
  'EC PRIVATE KEY',
  'PRIVATE KEY',
  'ENCRYPTED PRIVATE KEY',
] as const;

/** The ciphers of an OpenSSH key that ssh2 1.17 reads (not all that it knows: chacha20-poly1305 fails in it). */
const ciphers = /^(aes(128|192|256)-(ctr|cbc)|aes(128|256)-gcm@openssh\.com|3des-cbc)$/;

const damaged = 'The private key is damaged: what is between its BEGIN and END lines cannot be read.';
const cutOff = 'The private key is cut off: a part of it is missing.';
const noPassphrase = 'The private key is encrypted, and no passphrase was given.';
const dsa = 'This is a DSA key, which OpenSSH no longer accepts; make a new one with `ssh-keygen -t ed25519`.';
const otherType = 'This key is of a type that cannot be used here; RSA, ECDSA (nistp256, 384, 521) and Ed25519 can.';

/**
 * The private key in `text` in a form that ssh2 reads, with the ways undone in which keys get mangled on their way
 * through a secret: lost, literal or foreign line breaks, indentation, quotes, a byte order mark, base64 around the whole.
 * PEM and PKCS#8 keys are converted. The result has been tried: it signs, and its public half verifies.
 *
 * A key in OpenSSH's own format stays encrypted; any other comes back without its passphrase. What was sound comes back
 * letter for letter; what had to be converted has lines that the runner does not mask yet.
 *
 * @throws ExpectedError saying in one sentence (`what`) what is wrong with the key, never quoting any of it
 */
export function normalisePrivateKey(text: string, passphrase?: string): string {
  const { label, body } = findKey(unwrap(text));
  const key = label === 'OPENSSH PRIVATE KEY' ? readOpenssh(body, passphrase) : convert(label, body, passphrase);
  if (!works(key.text, passphrase)) throw wrong(key.encrypted ? notOpened('') : damaged);
  return key.text;
}

/** Takes off what was put around the key: literal line breaks, quotes, base64. */
function unwrap(text: string): string {
  let plain = text;
  // Each layer of base64 makes the text shorter; nobody wraps a key more often than this on purpose.
  for (let layer = 0; layer < 4; layer++) {
    plain = plain
      .replaceAll('\\r', '\n')
      .replaceAll('\\n', '\n')
      .replaceAll(/[\\\uFEFF]/g, '')
      .trim();
    const compact = plain.replaceAll(/["'`\s]/g, '');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) break;
    const decoded = Buffer.from(compact, 'base64').toString();
    if (!/-----|^PuTTY-|^(ssh|ecdsa)-|^LS0tLS1CRUdJ/.test(decoded)) break;
    plain = decoded;
  }
  return plain;
}

/** The one private key in the text. Anything around it is no part of it: quotes, `key: |`, its public half. */
function findKey(text: string): { label: (typeof labels)[number]; body: string } {
  if (text === '') throw wrong('The private key is empty: the secret is not set, or not available to this run.');
  if (/^["'`]?\$|\$\{\{/.test(text)) {
    throw wrong(
      'This is the name of a variable or a secret instead of a private key: nothing put its value in its place.',
    );
  }
  // Without white space, since that is what gets lost.
  const edges = [...text.matchAll(/-----(BEGIN|END)([A-Z0-9\s]*)-----/g)].map((found) => ({
    edge: found[1],
    label: (found[2] as string).replaceAll(/\s/g, ''),
    from: found.index,
    to: found.index + found[0].length,
  }));
  const ofKeys = edges.filter(({ label }) => label.endsWith('PRIVATEKEY'));
  const [begin, ...otherBegins] = ofKeys.filter(({ edge }) => edge === 'BEGIN');
  const [end, ...otherEnds] = ofKeys.filter(({ edge }) => edge === 'END');
  if (!begin && !end) throw wrong(somethingElse(text));
  if (otherBegins.length > 0 || otherEnds.length > 0) {
    throw wrong('There are several private keys in this text; give the one that is meant.');
  }
  if (!begin) throw wrong('The private key is incomplete: its BEGIN line is missing or not whole.');
  if (!end) throw wrong('The private key is cut off: its END line is missing or not whole.');
  if (begin.label !== end.label || begin.from > end.from) {
    throw wrong('The BEGIN and END lines of the private key do not belong together.');
  }
  if (begin.label === 'DSAPRIVATEKEY') throw wrong(dsa);
  const label = labels.find((known) => known.replaceAll(' ', '') === begin.label);
  if (!label) throw wrong(otherType);
  return { label, body: text.slice(begin.to, end.from) };
}

/** What a text without a private key in it is. */
function somethingElse(text: string): string {
  const publicKey = /(?:^|\s)((?:ssh|ecdsa|sk)-[\w@.-]+)\s+AAAA/.exec(text);
  if (publicKey?.[1]?.includes('-cert-v') || text.includes('BEGIN CERTIFICATE')) {
    return 'This is a certificate instead of a private key; certificates are not supported, give the plain key.';
  }
  if (publicKey || /-BEGIN (RSA )?PUBLIC KEY|BEGIN SSH2 PUBLIC KEY/.test(text)) {
    return 'This is a public key; the private one is in the file of the same name without .pub.';
  }
  if (text.includes('PuTTY-User-Key-File-')) {
    return 'This is a PuTTY key (.ppk); convert it with `puttygen key.ppk -O private-openssh -o key`.';
  }
  if (/^(~|\.{0,2}\/)\S*$/.test(text)) return 'This is the name of a file; give what is in the file.';
  return 'This is not a private key: it has neither a BEGIN nor an END line.';
}

/** `encrypted`: the text as it was given, whether or not `text` still is. */
interface Readable {
  text: string;
  encrypted: boolean;
}

/**
 * Checks a key in OpenSSH's format from the outside (PROTOCOL.key in its sources), so that what is wrong can be told
 * apart: ssh2 says "malformed" to most of it, and quotes bytes of the key.
 */
function readOpenssh(body: string, passphrase: string | undefined): Readable {
  const data = decode(body);
  const magic = 'openssh-key-v1\0';
  if (!magic.startsWith(data.toString('latin1', 0, magic.length))) throw wrong(damaged);
  let at = magic.length;
  const number = () => {
    if (at + 4 > data.length) throw wrong(cutOff);
    at += 4;
    return data.readUInt32BE(at - 4);
  };
  const field = () => {
    const length = number();
    if (at + length > data.length) throw wrong(cutOff);
    at += length;
    return data.subarray(at - length, at);
  };
  const cipher = field().toString('latin1');
  field(); // name of the key derivation
  field(); // its salt and rounds
  if (number() !== 1) throw wrong(damaged);
  const publicKey = field();
  const type = publicKey.toString('latin1', 4, 4 + (publicKey.length < 4 ? 0 : publicKey.readUInt32BE(0)));
  field(); // the private half
  const tag = /gcm|poly1305/.test(cipher) ? 16 : 0;
  if (data.length < at + tag) throw wrong(cutOff);
  if (data.length > at + tag) throw wrong(damaged);

  if (type === 'ssh-dss') throw wrong(dsa);
  if (type.startsWith('sk-')) throw wrong('This key needs its hardware token to sign, so it cannot be used here.');
  if (!/^(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(256|384|521))$/.test(type)) throw wrong(otherType);
  const encrypted = cipher !== 'none';
  if (encrypted && !ciphers.test(cipher)) {
    const name = cipher === 'chacha20-poly1305@openssh.com' ? 'chacha20-poly1305' : 'a cipher';
    throw wrong(
      `The private key is encrypted with ${name}, which cannot be read here; change that with \`ssh-keygen -p -Z aes256-ctr -f FILE\`.`,
    );
  }
  if (encrypted && !passphrase) throw wrong(noPassphrase);
  return { text: pem('OPENSSH PRIVATE KEY', data), encrypted };
}

/** Reads PEM (PKCS#1, SEC1) and PKCS#8, encrypted or not. ssh2 reads no PKCS#8, and of a PEM key only the first half. */
function convert(label: string, body: string, passphrase: string | undefined): Readable {
  // The length of the vector is known, so it can be told from the base64 even where the line breaks are gone.
  const header = /^\s*Proc-Type:\s*4,\s*ENCRYPTED\s*DEK-Info:\s*([A-Z0-9-]+),([0-9A-F]{32}|[0-9A-F]{16})/i.exec(body);
  const data = decode(header ? body.slice(header[0].length) : body);
  const encrypted = header !== null || label === 'ENCRYPTED PRIVATE KEY';
  if (encrypted && !passphrase) throw wrong(noPassphrase);
  if (!header) checkLength(data);
  const headers = header ? `Proc-Type: 4,ENCRYPTED\nDEK-Info: ${header[1]},${header[2]}\n\n` : '';
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem(label, data, headers), format: 'pem', passphrase });
  } catch {
    throw wrong(encrypted ? notOpened(' or encrypted with an outdated cipher') : damaged);
  }
  let text: string;
  try {
    text = exported(key);
  } catch (error) {
    throw error instanceof ExpectedError ? error : wrong(damaged);
  }
  // Here already: ssh2 passes over the public half in an ECDSA key and works out one that suits the damaged private half.
  if (!isPair(key, createPublicKey(key), key.asymmetricKeyType === 'ed25519')) throw wrong(damaged);
  return { text, encrypted };
}

/** DER says at its beginning how long it is. */
function checkLength(der: Buffer): void {
  const short = der[1] ?? 0;
  const lengthBytes = short < 0x80 ? 0 : short - 0x80;
  if (der[0] !== 0x30 || lengthBytes > 4) throw wrong(damaged);
  if (der.length < 2 + lengthBytes) throw wrong(cutOff);
  const length = 2 + lengthBytes + (lengthBytes === 0 ? short : der.readUIntBE(2, lengthBytes));
  if (der.length < length) throw wrong(cutOff);
  if (der.length > length) throw wrong(damaged);
}

function exported(key: KeyObject): string {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return key.export({ type: 'pkcs1', format: 'pem' }).toString();
    case 'ec':
      if (!/^(prime256v1|secp384r1|secp521r1)$/.test(key.asymmetricKeyDetails?.namedCurve ?? ''))
        throw wrong(otherType);
      return key.export({ type: 'sec1', format: 'pem' }).toString();
    case 'ed25519': {
      const { d = '', x = '' } = key.export({ format: 'jwk' });
      return opensshEd25519(Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url'));
    }
    case 'dsa':
      throw wrong(dsa);
    default:
      throw wrong(otherType);
  }
}

/** An Ed25519 key in OpenSSH's format, the only one in which ssh2 reads it. Without a passphrase. */
function opensshEd25519(seed: Buffer, publicKey: Buffer): string {
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const field = (bytes: Buffer) => Buffer.concat([number(bytes.length), bytes]);
  const word = (text: string) => field(Buffer.from(text));
  const keyPair = Buffer.concat([
    number(0), // twice the same, by which a reader knows that it has decrypted the rest
    number(0),
    word('ssh-ed25519'),
    field(publicKey),
    field(Buffer.concat([seed, publicKey])),
    word(''), // comment
  ]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, (8 - (keyPair.length % 8)) % 8);
  const data = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    word('none'), // cipher
    word('none'), // key derivation
    word(''), // its options
    number(1), // keys
    field(Buffer.concat([word('ssh-ed25519'), field(publicKey)])),
    field(Buffer.concat([keyPair, padding])),
  ]);
  return pem('OPENSSH PRIVATE KEY', data);
}

/** Does ssh2 read it, and can it log in with it? */
function works(text: string, passphrase: string | undefined): boolean {
  try {
    const key = ssh2.utils.parseKey(text, passphrase);
    return !(key instanceof Error) && isPair(key.getPrivatePEM(), key.getPublicPEM(), key.type === 'ssh-ed25519');
  } catch {
    return false;
  }
}

/** Do the halves belong together? A key with one wrong letter reads well, and fails at login. */
function isPair(privateKey: KeyLike, publicKey: KeyLike, isEd25519: boolean): boolean {
  const hash = isEd25519 ? null : 'sha256';
  const message = Buffer.from('proof');
  try {
    return verify(hash, message, publicKey, sign(hash, message, privateKey));
  } catch {
    return false; // numbers that OpenSSL reads and cannot reckon with
  }
}

/** Base64 with any white space in it, and with or without its padding. */
function decode(body: string): Buffer {
  const base64 = body.replaceAll(/\s/g, '').replace(/={1,2}$/, '');
  if (base64 === '') throw wrong(cutOff);
  if (!/^[A-Za-z0-9+/]+$/.test(base64)) {
    throw wrong('The private key is damaged: it has characters in it that do not belong in a key.');
  }
  if (base64.length % 4 === 1) throw wrong(cutOff);
  return Buffer.from(base64, 'base64');
}

/** As wide as ssh-keygen writes it: the runner masks a secret line by line, so a sound key must keep its lines. */
function pem(label: string, data: Buffer, headers = ''): string {
  const width = label === 'OPENSSH PRIVATE KEY' ? 70 : 64;
  const lines = data.toString('base64').match(new RegExp(`.{1,${width}}`, 'g')) ?? [];
  return `-----BEGIN ${label}-----\n${headers}${lines.join('\n')}\n-----END ${label}-----\n`;
}

function notOpened(more: string): string {
  return `The passphrase does not open the private key: it is wrong, or the key is damaged${more}.`;
}

/** Without `left` and `todo`: the caller reports it among other inputs and says both for all of them. */
function wrong(what: string): ExpectedError {
  return new ExpectedError(what, '', '');
}
