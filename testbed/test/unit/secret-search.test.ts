import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { literal } from '../../../packages/shared/src/report.js';
import { secretSearch } from '../../secret-search.js';

const LINE = 'b3BlbnNzaC1rZXktdjEAAAAABG5vbmU';
const KEY = `-----BEGIN OPENSSH PRIVATE KEY-----\n${LINE}\nQyNTUxOQAAACB7+/x9ü%y"z\\\n-----END OPENSSH PRIVATE KEY-----\n`;
const TOKEN = 'gho/p%ss wörd+"quoted"';
const search = secretSearch({ key: KEY, token: TOKEN, tokens: 'alm = alm-secret\norigin = origin-secret' });
const found = (text: string | Buffer) => search.inText('here', text).map(({ secret, form }) => `${secret}: ${form}`);
const base64 = (text: string, kind: BufferEncoding = 'base64') => Buffer.from(text).toString(kind);
const lower = (text: string) => text.replaceAll(/%../g, (code) => code.toLowerCase());
const second = 'QyNTUxOQAAACB7+/x9ü%y"z\\';

describe('a secret is found', () => {
  it.each([
    { name: 'raw', text: `x${TOKEN}y`, form: 'token: raw' },
    { name: 'as the whole of a key', text: KEY, form: 'key: raw' },
    { name: 'as one line of a key', text: `  ${LINE} `, form: 'key: a line' },
    { name: 'as another line of a key', text: `"${second}"`, form: 'key: a line' },
    { name: 'as a token without the name beside it', text: 'https://x:alm-secret@example.com', form: 'tokens: a line' },
    { name: 'read as Latin-1', text: 'gho/p%ss wÃ¶rd+"quoted"', form: 'token: Latin-1' },
    { name: 'in Markdown', text: literal(`no ${second}.`), form: 'key: Markdown of a line' },
    {
      name: 'as base64 in lines in a runner command',
      text: base64(KEY).replaceAll(/.{19}/g, '$&%0A'),
      form: 'key: base64',
    },
    { name: 'as the base64 of the whole', text: base64(KEY.trim()), form: 'key: base64' },
    { name: 'as the base64 of a line', text: base64(LINE), form: 'key: base64 of a line' },
    { name: 'as base64 one byte after its beginning', text: base64(`:${TOKEN}:`), form: 'token: base64' },
    { name: 'as base64 two bytes after it', text: base64(`::${TOKEN}`), form: 'token: base64' },
    { name: 'as base64 three bytes after it', text: base64(`:::${TOKEN} and more`), form: 'token: base64' },
    { name: 'as what HTTP Basic sends', text: base64('x-access-token:alm-secret'), form: 'tokens: base64 of a line' },
    { name: 'as base64 for addresses', text: base64(TOKEN, 'base64url'), form: 'token: base64' },
    { name: 'as base64 in lines', text: base64(KEY).replaceAll(/.{19}/g, '$&\n'), form: 'key: base64' },
    {
      name: 'as base64 in lines in JSON',
      text: JSON.stringify(base64(KEY).replaceAll(/.{19}/g, '$&\n')),
      form: 'key: base64',
    },
    { name: 'as base64 of a key in a text with other things', text: base64(`key=${KEY}`), form: 'key: base64' },
    { name: 'URL-encoded', text: `?t=${encodeURIComponent(TOKEN)}`, form: 'token: URL-encoded' },
    { name: 'URL-encoded in lower case', text: lower(encodeURIComponent(TOKEN)), form: 'token: URL-encoded' },
    {
      name: 'URL-encoded as by a form',
      text: new URLSearchParams({ t: TOKEN }).toString(),
      form: 'token: URL-encoded',
    },
    { name: 'URL-encoded, a line of it', text: encodeURIComponent(second), form: 'key: URL-encoded of a line' },
    { name: 'in JSON', text: JSON.stringify({ TOKEN }), form: 'token: JSON' },
    { name: 'in JSON, over several lines', text: JSON.stringify({ KEY }), form: 'key: JSON' },
    { name: 'in JSON of ASCII alone', text: JSON.stringify({ TOKEN }).replace('ö', '\\u00f6'), form: 'token: JSON' },
    { name: 'in a runner command', text: '::x::gho/p%25ss wörd+"quoted"', form: 'token: runner command' },
    {
      name: 'among bytes that are no text',
      text: Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(LINE)]),
      form: 'key: a line',
    },
  ])('$name', ({ text, form }) => expect(found(text)).toContain(form));

  it.each(['alm = my to ken', 'alm\t=\tmy to ken', 'a=t0ken'])('by its value alone in %j', (line) => {
    const [, token = ''] = line.split(/\s*=\s*/);
    expect(secretSearch({ tokens: line }).inText('log', `it is ${token}.`)).toHaveLength(1);
  });

  it('in a mangled key, whose line breaks are written out', () => {
    const one = secretSearch({ key: KEY.replaceAll('\n', '\\n') });
    expect(one.inText('log', `unreadable: ${LINE}`)).toEqual([{ secret: 'key', form: 'a line', place: 'log' }]);
  });

  it('with CRLF between its lines', () => {
    expect(secretSearch({ key: KEY.replaceAll('\n', '\r\n') }).inText('log', LINE)).toHaveLength(1);
  });
});

describe('nothing is found', () => {
  it.each([
    { name: 'of a short secret', secret: 'abc', text: 'abc YWJj' },
    { name: 'of no secret', secret: '', text: 'anything' },
    { name: 'of white space', secret: ' \n \n', text: ' \n \n' },
    {
      name: 'of what all keys begin and end with',
      secret: KEY,
      text: '-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----',
    },
    { name: 'of a short line of a secret', secret: 'first line\nend\nlast line', text: 'the end' },
    { name: 'of part of a word', secret: 'alm-secret', text: 'alm-secre t' },
    { name: 'of half of a secret', secret: TOKEN, text: TOKEN.slice(0, 8) },
  ])('$name', ({ secret, text }) => expect(secretSearch({ secret }).inText('log', text)).toEqual([]));
});

describe('in a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-search-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'a/b'), { recursive: true });
  mkdirSync(join(folder, 'alm-secret'));
  writeFileSync(join(folder, 'a/b/config'), `key ${LINE}`);
  writeFileSync(join(folder, 'a/harmless'), 'nothing');
  symlinkSync('origin-secret', join(folder, 'link'));
  symlinkSync('/', join(folder, 'everything'));

  it('contents, names, and where links lead are looked at, and no link is followed', () => {
    expect(search.inFiles(folder).map(({ place }) => place.replace(folder, ''))).toEqual([
      '/a/b/config',
      'the name /alm-secret',
      'the link /link',
    ]);
  });

  it('that is not there nothing is found', () => expect(search.inFiles(join(folder, 'gone'))).toEqual([]));
});
