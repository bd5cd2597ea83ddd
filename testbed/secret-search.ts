import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { literal } from '../packages/shared/src/report.js';

/** Inputs that are secrets, of all actions; a contract test holds this list against the schemas. */
export const SECRET_INPUTS = [
  ...['private-key', 'passphrase', 'jump-private-key', 'jump-passphrase'],
  ...['tokens', 'ssh-key'],
  ...['zfs-private-key', 'zfs-passphrase'],
  'token',
];

/** A secret that is where it must not be. `secret` is its name, never itself. */
export interface Hit {
  secret: string;
  form: string;
  place: string;
}

export interface SecretSearch {
  /** What is found in a text or in bytes, which `place` is the name of. */
  inText(place: string, text: string | Buffer): Hit[];
  /** In the names and contents of everything below a folder, or in a file. */
  inFiles(path: string): Hit[];
}

/** Shorter ones are in every text by chance. */
const SHORTEST_SECRET = 4;
const SHORTEST_LINE = 8;
/** Of base64: what is left of a short word in one of the alignments is in every base64 by chance. */
const SHORTEST_BASE64 = 6;

/** What everybody knows of a key. */
const ARMOUR = /^-----(BEGIN|END) [A-Z0-9 ]+-----$/;

/**
 * Looks for secrets in the forms in which they get about: raw, each line, base64 (each alignment), URL-encoded, in JSON, as
 * Markdown that shows it, read as Latin-1 and in the encoding of runner commands. Ours: scanners for secrets look for what has
 * the shape of one, not for these.
 *
 * @param secrets by the name under which they are reported
 */
export function secretSearch(secrets: Record<string, string>): SecretSearch {
  const needles = Object.entries(secrets).flatMap(([secret, value]) =>
    [...formsOf(value)].map(([text, form]) => ({ secret, form, bytes: Buffer.from(text) })),
  );
  const [wrapped, plain] = [
    needles.filter(({ form }) => form.startsWith('base64')),
    needles.filter(({ form }) => !form.startsWith('base64')),
  ];
  const inText = (place: string, text: string | Buffer): Hit[] => {
    const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text);
    const found = plain.filter((needle) => bytes.includes(needle.bytes));
    if (wrapped.length > 0) {
      // Base64 is broken into lines of any length, in JSON and in runner commands too.
      const unbroken = Buffer.from(bytes.toString('latin1').replaceAll(/\\[nr]|%0[AD]|\s/g, ''), 'latin1');
      found.push(...wrapped.filter((needle) => unbroken.includes(needle.bytes)));
    }
    return unique(found.map(({ secret, form }) => ({ secret, form, place })));
  };
  const inFiles = (path: string): Hit[] => {
    if (needles.length === 0) return [];
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (!stat) return [];
    const here = inText(`the name ${path}`, path);
    if (stat.isDirectory()) return [...here, ...readdirSync(path).flatMap((name) => inFiles(join(path, name)))];
    if (stat.isSymbolicLink()) return [...here, ...inText(`the link ${path}`, readlinkSync(path))];
    return stat.isFile() ? [...here, ...inText(path, readFileSync(path))] : here;
  };
  return { inText, inFiles };
}

function unique(hits: Hit[]): Hit[] {
  return [...new Map(hits.map((hit) => [JSON.stringify(hit), hit])).values()];
}

/** Every text that gives a secret away -> what it is of it. */
function formsOf(secret: string): Map<string, string> {
  const forms = new Map<string, string>();
  const add = (text: string, form: string) => {
    if (!forms.has(text)) forms.set(text, form);
  };
  const whole = secret.trim();
  if (whole.length < SHORTEST_SECRET) return forms;
  const lines = whole
    .split(/\r\n|\r|\n|\\n/)
    .map((line) => line.trim())
    .flatMap((line) => [
      ...(line.length >= SHORTEST_LINE && !ARMOUR.test(line) ? [line] : []),
      // A token in `name = token` is a secret by itself, with spaces in it or short.
      ...(/^[\w.-]+\s*=\s*([^\s=].*)$/.exec(line)?.slice(1) ?? []).filter((token) => token.length >= SHORTEST_SECRET),
    ])
    .filter((line) => line !== whole);
  for (const [part, text] of [['', whole], ...lines.map((line) => [' of a line', line])] as const) {
    add(text, part ? 'a line' : 'raw');
    for (const encoded of [
      encodeURIComponent(wellFormed(text)),
      new URLSearchParams({ '': wellFormed(text) }).toString().slice(1),
    ]) {
      add(encoded, `URL-encoded${part}`);
      add(
        encoded.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
        `URL-encoded${part}`,
      );
    }
    const json = JSON.stringify(text).slice(1, -1);
    add(json, `JSON${part}`);
    add(json.replaceAll(/[^\0-\x7f]/g, escaped), `JSON${part}`);
    for (const markdown of [literal(text), literal(`x${text}x`).slice(1, -1)]) add(markdown, `Markdown${part}`);
    add(Buffer.from(text).toString('latin1'), `Latin-1${part}`);
    add(text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A'), `runner command${part}`);
    for (const base64 of alignments(text)) {
      add(base64, `base64${part}`);
      add(base64.replaceAll('+', '-').replaceAll('/', '_'), `base64${part}`);
    }
  }
  return forms;
}

/** encodeURIComponent throws on half of a pair, which cannot get into a byte stream anyway. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** What is in any base64 that contains these bytes, by where in a group of three they begin: without what neighbours share. */
function alignments(text: string): string[] {
  const bytes = Buffer.from(text);
  return [0, 1, 2].flatMap((before) => {
    const base64 = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const own = base64.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return own.length >= SHORTEST_BASE64 ? [own] : [];
  });
}
