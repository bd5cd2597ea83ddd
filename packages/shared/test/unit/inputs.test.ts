import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { inputsFromCommandLine } from '../../src/command-line.js';
import { defineInputs, inputsFromEnvironment } from '../../src/inputs.js';
import { cell, markdownTable, textTable } from '../../src/report.js';
import { shellQuote } from '../../src/ssh/quote.js';

const definition = defineInputs(
  z.object({
    host: z.string().meta({ description: 'The target.', required: true }),
    port: z
      .string()
      .regex(/^\d+$/, { error: (issue) => `${JSON.stringify(issue.input)} is not a port` })
      .transform(Number)
      .meta({ description: 'SSH port.', default: '22' }),
    'known-hosts': z.string().optional().meta({ description: 'Pins.' }),
    token: z.string().optional().meta({ description: 'A token.', secret: true }),
  }),
  (values, problem) => {
    if (values.port > 65535) problem(`port ${values.port} is too large`);
    return values;
  },
);
const parse = (raw: Record<string, string>) => definition.parse(new Map(Object.entries(raw)));

describe('inputs', () => {
  it('come with their defaults, and empty ones count as not given', () => {
    expect(parse({ host: 'acme', port: '', 'known-hosts': ' ' })).toEqual({ host: 'acme', port: 22 });
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'a required input that is empty',
      { host: ' ' },
      /^Bad input: input host is required and empty\. Nothing was touched\./,
    ],
    ['a wrong value', { host: 'a', port: 'x' }, /input port: "x" is not a port/],
    ['values that do not go together', { host: 'a', port: '70000' }, /port 70000 is too large/],
    [
      'a mistyped name',
      { host: 'a', 'known-host': 'x' },
      /there is no input known-host \(did you mean known-hosts\?\)/,
    ],
    ['a name like no other', { host: 'a', flavour: 'x' }, /there is no input flavour\./],
    ['several mistakes at once', { port: 'x', flavour: 'y' }, /^3 bad inputs: .*flavour.*host.*port/],
  ])('%s gets one clear sentence', (_, raw, says) => {
    expect(() => parse(raw)).toThrow(says);
  });

  it('keep the spaces of a secret, but not the newline its form added', () => {
    expect(parse({ host: 'acme', token: ' pass phrase \r\n' })).toMatchObject({ token: ' pass phrase ' });
    expect(parse({ host: 'acme', token: ' \n' }).token).toBeUndefined();
  });

  it('are read from INPUT_ variables only, with their dashes', () => {
    const env = { 'INPUT_KNOWN-HOSTS': 'k', INPUT_HOST: 'acme', HOST: 'other', SSH_HOST: 'other' };
    expect(Object.fromEntries(inputsFromEnvironment(env))).toEqual({ 'known-hosts': 'k', host: 'acme' });
  });
});

describe('inputs on the command line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-inputs-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'token');
  writeFileSync(file, 'hunter22\n');
  const read = (...args: string[]) => Object.fromEntries(inputsFromCommandLine(args, definition.declared));

  it('are --input value, and @file reads a file', () => {
    expect(read('--host', 'acme', `--token=@${file}`)).toEqual({ host: 'acme', token: 'hunter22\n' });
  });

  it.each<[string, string[], RegExp]>([
    ['a secret in clear', ['--token', 'hunter22'], /--token holds a secret in clear .* @file/s],
    ['a file that is not there', ['--token', '@/nowhere'], /the file \/nowhere cannot be read/],
    ['an unknown option', ['--hots', 'x'], /Unknown option '--hots'/],
    ['an option without value', ['--host'], /--host/],
    ['a word too many', ['deploy'], /deploy/],
  ])('%s is refused without touching anything, and without the secret', (_, args, says) => {
    expect(() => read(...args)).toThrow(says);
    expect(() => read(...args)).toThrow(/Nothing was touched/);
    expect(() => read(...args)).not.toThrow(/hunter22/);
  });
});

describe('tables', () => {
  it('a cell cannot break its table', () => {
    expect(cell('a|b\nc <script>')).toBe('a\\|b c &lt;script>');
  });
  it.each([
    ['a\\|b', 'a\\\\\\|b'],
    ['![x](y)', '!\\[x\\](y)'],
    ['**a** `b` ~c~', '\\*\\*a\\*\\* \\`b\\` \\~c\\~'],
    ['_a_ b_c', '\\_a\\_ b_c'],
    ['&lt;', '&amp;lt;'],
    ['# a', '\\# a'],
    ['- a', '\\- a'],
    ['-', '-'],
    ['@all', '@\u200ball'],
    ['bots/acme-1.2_3 größe', 'bots/acme-1.2_3 größe'],
  ])('a cell shows %j as it is', (text, markdown) => {
    expect(cell(text)).toBe(markdown);
  });
  it('are Markdown in the summary', () => {
    expect(markdownTable(['a', 'b'], [['1', '2']])).toBe('| a | b |\n| --- | --- |\n| 1 | 2 |');
  });
  it('are padded columns in the log', () => {
    expect(textTable(['host', 'result'], [['acme-system', 'ok']])).toEqual(['host         result', 'acme-system  ok']);
  });
});

describe('a shell word', () => {
  it.each(['', 'plain', "it's", '$HOME `id` "x"', 'a\nb', '-n', "'''"])('%j is literal', (word) => {
    expect(shellQuote(word).replaceAll("'\\''", '\u0000').replaceAll("'", '').replaceAll('\u0000', "'")).toBe(word);
  });
});
