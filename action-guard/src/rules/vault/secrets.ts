import type { SourceFile } from '../../tree.js';

/** A secret of Vault in a text. Its value is never kept. */
export interface Secret {
  /** Of the value in the text; 0 for a file that tells by its name. */
  offset: number;
  /** Such as "an unseal key". */
  what: string;
  /** Only its name speaks against it. */
  byName?: boolean;
}

/** Words after which an unseal key may stand, in lower case. */
const keyWords: [string, string][] = [
  ['unseal_keys_b64', 'an unseal key'],
  ['unseal_keys_hex', 'an unseal key'],
  ['recovery_keys_b64', 'a recovery key'],
  ['recovery_keys_hex', 'a recovery key'],
  ['recovery_keys_base64', 'a recovery key'],
  ['keys_base64', 'an unseal key'],
  ['unseal key', 'an unseal key'],
  ['recovery key', 'a recovery key'],
  ['unseal_key', 'an unseal key'],
  ['unsealkey', 'an unseal key'],
  ['operator unseal', 'an unseal key'],
];
const tokenWords: [string, string][] = [
  ['root_token', 'the root token'],
  ['root token', 'the root token'],
  ['vault_token', 'a token'],
  ['vault-token', 'a token'],
  ['vaulttoken', 'a token'],
];
const prefixes = ['hvs.', 'hvb.', 'hvr.'];

/** What a file must hold before it is looked at, byte for byte; a cheap first look at thousands of files. */
const hints = [
  'hvs.',
  'hvb.',
  'hvr.',
  'nseal',
  'NSEAL',
  'ecovery',
  'ECOVERY',
  'oot_token',
  'OOT_TOKEN',
  'oot Token',
  'oot token',
  'keys_b',
  'KEYS_B',
  'ault_tok',
  'AULT_TOK',
  'ault-tok',
  'ault-Tok',
  'aultTok',
  '"keys"',
  'PRIVATE KEY',
];

/** Text as people see it: also of UTF-16, which Windows writes. */
export function textOf({ bytes, text }: Pick<SourceFile, 'bytes' | 'text'>): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.toString('utf16le').slice(1);
  return text;
}

export function mayHold(file: Pick<SourceFile, 'bytes' | 'path'>): boolean {
  if (nameOf(file.path)) return true;
  if (file.bytes[0] === 0xff && file.bytes[1] === 0xfe) return true;
  return hints.some((hint) => file.bytes.includes(hint));
}

/** Secrets of a file, in the order of the text. Linear in its length. */
export function secretsOf(path: string, kind: SourceFile['kind'], text: string): Secret[] {
  const name = nameOf(path);
  if (kind === 'submodule') return [];
  if (kind === 'link')
    return name ? [{ offset: 0, what: `a link called ${name}, which leads to the keys`, byName: true }] : [];
  const found = [...tokens(text), ...keys(text, path), ...privateKeys(text, path)].sort((a, b) => a.offset - b.offset);
  // A token that also stands after its word is one finding.
  const once = found.filter(({ offset }, index) => index === 0 || found[index - 1]?.offset !== offset);
  if (once.length === 0 && name && telling(name, text))
    return [{ offset: 0, what: `a file called ${name}`, byName: true }];
  return once;
}

/** The name under which the platform's tools write secrets, if it is one. */
function nameOf(path: string): string | undefined {
  const base = path.slice(path.lastIndexOf('/') + 1);
  const lower = base.toLowerCase();
  if (/\.(?:example|sample|template|dist|md|age|sops|gpg|asc|enc)$/.test(lower)) return undefined;
  const inVault = path.toLowerCase().includes('vault');
  const names = [/^vault-unseal-keys?(?:$|[.~_-])/, /^\.vault-token$/, /^vault-token-/, /^start-and-unseal\.sh/];
  if (names.some((each) => each.test(lower)) || (inVault && /^init\.json(?:$|[.~_-])/.test(lower)))
    return base.slice(0, 60);
  return undefined;
}

/** Whether a file of such a name holds something that could be a secret. */
function telling(name: string, text: string): boolean {
  if (name.toLowerCase().startsWith('init.json')) return false; // by its keys only
  if (
    text.includes('BEGIN AGE ENCRYPTED FILE') ||
    text.startsWith('age-encryption.org/') ||
    text.includes('ENC[AES256_GCM')
  )
    return false;
  if (name.toLowerCase().startsWith('start-and-unseal')) return text.trim() !== '';
  for (let at = 0; at < text.length; ) {
    const end = runEnd(text, at, isKeyChar);
    if (end - at >= 16 && !placeholder(text.slice(at, Math.min(end, at + 200)))) return true;
    at = end + 1;
  }
  return false;
}

const isKeyChar = (code: number) =>
  (code >= 48 && code <= 57) ||
  (code >= 65 && code <= 90) ||
  (code >= 97 && code <= 122) ||
  code === 43 ||
  code === 47 ||
  code === 61;
const isTokenChar = (code: number) =>
  (code >= 48 && code <= 57) ||
  (code >= 65 && code <= 90) ||
  (code >= 97 && code <= 122) ||
  code === 45 ||
  code === 46 ||
  code === 95;

function runEnd(text: string, start: number, belongs: (code: number) => boolean, most = text.length): number {
  const last = Math.min(text.length, start + most);
  let at = start;
  while (at < last && belongs(text.charCodeAt(at))) at++;
  return at;
}

/** What is longer is no value; without a bound, one run after many words would be walked once for each of them. */
const LONGEST_VALUE = 300;

function tokens(text: string): Secret[] {
  const found: Secret[] = [];
  for (const prefix of prefixes) {
    let at = text.indexOf(prefix);
    while (at >= 0) {
      const end = runEnd(text, at + prefix.length, isTokenChar);
      const inWord = at > 0 && isTokenChar(text.charCodeAt(at - 1));
      const value = text.slice(at + prefix.length, Math.min(end, at + 300));
      if (!inWord && value.length >= 20 && mixed(value) && !placeholder(value))
        found.push({ offset: at, what: 'a token' });
      at = text.indexOf(prefix, Math.max(end, at + 1));
    }
  }
  return found;
}

function keys(text: string, path: string): Secret[] {
  // Not toLowerCase: some letters become two, and then nothing stands where it stood.
  const lower = text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  const found: Secret[] = [];
  const look = (words: [string, string][], fits: (value: string) => boolean) => {
    for (const [word, what] of words) {
      for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + word.length)) {
        const offset = valueAfter(text, at + word.length, fits);
        if (offset !== undefined) found.push({ offset, what });
      }
    }
  };
  look(keyWords, isKey);
  look(tokenWords, isToken);
  const isAnswer =
    lower.includes('"keys_base64"') || lower.includes('"root_token"') || path.toLowerCase().includes('vault');
  if (isAnswer) look([['"keys"', 'an unseal key']], isKey);
  return found;
}

/** Where the first value that fits stands, behind the name of a key: `_1=`, `": ["`, ` 1: `, or a list of YAML. */
function valueAfter(text: string, start: number, fits: (value: string) => boolean): number | undefined {
  let at = start;
  // The rest of the name: `s`, `_1`, ` 12`.
  const rest = /^(?:s|_b64|_hex|_base64)?(?:[_ ]?\d{1,3})?(?:[_ ]file)?/i.exec(text.slice(at, at + 30))?.[0] ?? '';
  if (/file$/i.test(rest)) return undefined;
  at += rest.length;
  let seen = 0;
  while (at < text.length && seen++ < 80) {
    const char = text.charAt(at);
    if (' \t\r\n"\'`:=[,<>(-|'.includes(char)) {
      at++;
      continue;
    }
    const end = runEnd(text, at, (code) => isKeyChar(code) || isTokenChar(code), LONGEST_VALUE);
    // What follows at once is the rest of a longer name.
    if (end === at || at === start + rest.length) return undefined;
    const value = text.slice(at, end);
    return fits(value.replace(/[.]$/, '')) && !placeholder(value) ? at : undefined;
  }
  return undefined;
}

function isKey(value: string): boolean {
  return /^(?:[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{44}|[0-9a-fA-F]{64}|[0-9a-fA-F]{66})$/.test(value);
}

function isToken(value: string): boolean {
  if (/^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(value)) return true; // as Vault's were at first
  return /^(?:(?:s|hv[sbr])\.[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{24,})$/.test(value) && mixed(value);
}

/** Digits, capitals and small letters, as in what a machine made up. */
function mixed(value: string): boolean {
  return /\d/.test(value) && /[A-Z]/.test(value) && /[a-z]/.test(value);
}

/** Whether people would see at once that it is none. */
function placeholder(value: string): boolean {
  const lower = value.toLowerCase();
  // Long enough that chance does not write them: three letters of one kind stand in one of three hundred tokens.
  if (
    ['xxxx', 'example', 'placeholder', 'redacted', 'changeme', 'your', 'dummy', 'sample', '...', '***'].some((word) =>
      lower.includes(word),
    )
  )
    return true;
  return new Set(lower.slice(0, 100)).size < 8;
}

/** A text that may quote a line of a file, without what would be a secret there. */
export function masked(text: string): string {
  return text
    .replace(/\bhv[sbr]\.[A-Za-z0-9_-]{8,}/g, '***')
    .replace(/[A-Za-z0-9+/]{43,}=?/g, (run) => (isKey(run) && (mixed(run) || /^[0-9a-f]+$/i.test(run)) ? '***' : run));
}

/** TLS keys of Vault itself; others are not its business. */
function privateKeys(text: string, path: string): Secret[] {
  if (!path.toLowerCase().includes('vault')) return [];
  const found: Secret[] = [];
  for (let at = text.indexOf('PRIVATE KEY-----'); at >= 0; at = text.indexOf('PRIVATE KEY-----', at + 16)) {
    const near = text.slice(Math.max(0, at - 40), at).lastIndexOf('-----BEGIN ');
    const begin = Math.max(0, at - 40) + near;
    const body = text.slice(at + 16, at + 216).replace(/[\s\\n]/g, '');
    if (near >= 0 && body.length >= 40 && !placeholder(body.slice(0, 60)))
      found.push({ offset: begin, what: 'a private key of Vault' });
  }
  return found;
}
