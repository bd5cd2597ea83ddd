import { ToolSchema } from '@modelcontextprotocol/sdk/types.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge, type Verdict } from '../../src/rules/bot/consumer.js';
import { bot } from '../../src/rules/bot/index.js';
import { type SourceFile, treeOf } from '../../src/tree.js';

type Worst = 'nothing' | 'info' | 'warning' | 'error';

const schema = { type: 'object', properties: {}, required: [] };
const text = { type: 'string', description: 'A' };

/** A file as the compiler writes it, with something else in it. */
const file = (more: object = {}) => JSON.stringify({ name: 'x', description: 'Does x', input_schema: schema, ...more });
const input = (more: object) => file({ input_schema: { ...schema, ...more } });
const one = (property: unknown, more: object = {}) => input({ properties: { a: property }, required: ['a'], ...more });
const mcp = (more: object = {}) => file({ input_schema: undefined, inputSchema: { type: 'object' }, ...more });
const inputMcp = (more: object) => mcp({ inputSchema: { type: 'object', ...more } });

/** A text of x.mcp.json, what becomes of it in botserver, and the gravest that is said of it there. */
const table: [name: string, text: string, botserver: Verdict, said: Worst][] = [
  // Accepted.
  ['the least that is valid', file(), 'accepted', 'nothing'],
  ['one parameter', one(text), 'accepted', 'nothing'],
  ['a parameter with an example and a format', one({ ...text, example: '1', format: 'date' }), 'accepted', 'nothing'],
  [
    'laid out by hand, with tabs and carriage returns',
    `{\r\n\t"name" : "x",${file().slice(12)}\r\n`,
    'accepted',
    'nothing',
  ],
  ['no line break at the end', file().trimEnd(), 'accepted', 'nothing'],
  ['text with accents', file({ description: 'Preço à vista' }), 'accepted', 'nothing'],
  ['an emoji as an escaped pair', file().replace('Does', '\\ud83d\\ude00'), 'accepted', 'nothing'],
  ['keys that nobody knows', file({ version: 1, author: null }), 'accepted', 'nothing'],
  ['both spellings', file({ inputSchema: schema }), 'accepted', 'nothing'],
  [
    'every type that JSON Schema has but arrays',
    input({
      properties: {
        a: text,
        b: { ...text, type: 'integer' },
        c: { ...text, type: 'number' },
        d: { ...text, type: 'boolean' },
        e: { ...text, type: 'object' },
      },
    }),
    'accepted',
    'nothing',
  ],
  ['nothing is required', one(text, { required: [] }), 'accepted', 'nothing'],
  ['as deep as can be', file({ deep: JSON.parse('['.repeat(126) + ']'.repeat(126)) }), 'accepted', 'nothing'],
  // Accepted, but not what was meant, or refused by the model's API.
  ['an empty description', file({ description: '' }), 'accepted', 'warning'],
  ['a blank description', file({ description: ' \n' }), 'accepted', 'warning'],
  ['another name than the file', file({ name: 'y' }), 'accepted', 'warning'],
  ['an empty name', file({ name: '' }), 'accepted', 'warning'],
  ['a name in another case', file({ name: 'X' }), 'accepted', 'warning'],
  ['a key twice, of which the last counts', file().replace('{', '{"name":"y",'), 'accepted', 'warning'],
  [
    'required twice, of which the last counts',
    '{"name":"x","description":"d","input_schema":{"type":"object","properties":{},"required":1,"required":[]}}',
    'accepted',
    'warning',
  ],
  ['a type that is no text', one({ ...text, type: 5 }), 'accepted', 'warning'],
  ['a list of types', one({ ...text, type: ['string', 'null'] }), 'accepted', 'warning'],
  ['a null type', one({ ...text, type: null }), 'accepted', 'warning'],
  ['a description of a parameter that is no text', one({ ...text, description: ['A'] }), 'accepted', 'warning'],
  ['a parameter with a space in its name', input({ properties: { 'a b': text } }), 'accepted', 'warning'],
  ['a parameter that is declared with a colon', input({ properties: { 'nome:STRING': text } }), 'accepted', 'warning'],
  ['enum', one({ ...text, enum: ['S', 'M'] }), 'accepted', 'info'],
  ['a smallest value', one({ ...text, type: 'integer', minimum: 1 }), 'accepted', 'info'],
  ['a default', one({ ...text, default: 'A' }), 'accepted', 'info'],
  ['input_schema without type', file({ input_schema: { properties: {}, required: [] } }), 'accepted', 'error'],
  ['input_schema of another type', input({ type: 'array' }), 'accepted', 'error'],
  ['an array without items', one({ ...text, type: 'array' }), 'accepted', 'error'],
  [
    'an array with items, which are not passed on',
    one({ ...text, type: 'array', items: { type: 'string' } }),
    'accepted',
    'error',
  ],
  ["BASIC's type", one({ ...text, type: 'text' }), 'accepted', 'error'],
  ['a type in capitals', one({ ...text, type: 'STRING' }), 'accepted', 'error'],
  ['an empty type', one({ ...text, type: '' }), 'accepted', 'error'],
  ['required has what is no parameter', input({ required: ['b'] }), 'accepted', 'error'],
  ['required has one twice', one(text, { required: ['a', 'a'] }), 'accepted', 'error'],
  ['required has a number', one(text, { required: [1] }), 'accepted', 'error'],
  // Dropped.
  ['an empty object', '{}', 'dropped', 'error'],
  ['an empty list', '[]', 'dropped', 'error'],
  ['a list of tools', `[${file()}]`, 'dropped', 'error'],
  ['a text', '"x"', 'dropped', 'error'],
  ['a number', '1', 'dropped', 'error'],
  ['null', 'null', 'dropped', 'error'],
  ['no name', file({ name: undefined }), 'dropped', 'error'],
  ['a name that is null', file({ name: null }), 'dropped', 'error'],
  ['Name in capitals', file({ name: undefined, Name: 'x' }), 'dropped', 'error'],
  ['no description', file({ description: undefined }), 'dropped', 'error'],
  ['a description that is a list', file({ description: ['Does x'] }), 'dropped', 'error'],
  ['no input_schema', file({ input_schema: undefined }), 'dropped', 'error'],
  ["MCP's inputSchema only", mcp(), 'dropped', 'error'],
  ['parameters, as OpenAI has it', file({ input_schema: undefined, parameters: schema }), 'dropped', 'error'],
  [
    "OpenAI's whole form",
    JSON.stringify({ type: 'function', function: { name: 'x', description: 'd', parameters: schema } }),
    'dropped',
    'error',
  ],
  ['input_schema is null', file({ input_schema: null }), 'dropped', 'error'],
  ['input_schema is a list', file({ input_schema: [] }), 'dropped', 'error'],
  ['no properties', input({ properties: undefined }), 'dropped', 'error'],
  ['properties is null', input({ properties: null }), 'dropped', 'error'],
  ['properties is a list', input({ properties: [] }), 'dropped', 'error'],
  ['no required', input({ required: undefined }), 'dropped', 'error'],
  ['required is an object', input({ required: {} }), 'dropped', 'error'],
  ['required is a text', one(text, { required: 'a' }), 'dropped', 'error'],
  [
    'required is true in the parameter only',
    input({ properties: { a: { ...text, required: true } }, required: undefined }),
    'dropped',
    'error',
  ],
  ['a parameter without description', one({ type: 'string' }), 'dropped', 'error'],
  ['a parameter without type', one({ description: 'A' }), 'dropped', 'error'],
  [
    'the second of two parameters without description',
    input({ properties: { a: text, b: { type: 'string' } } }),
    'dropped',
    'error',
  ],
  ['a parameter that is a type', one('string'), 'dropped', 'error'],
  ['a parameter that is null', one(null), 'dropped', 'error'],
  ['a parameter that is empty', one({}), 'dropped', 'error'],
  // All tools of the session lost.
  ['an empty file', '', 'all lost', 'error'],
  ['white space', ' \n', 'all lost', 'error'],
  ['a file that was cut off', file().slice(0, -1), 'all lost', 'error'],
  ['a comma too many', file().replace(/}$/, ',}'), 'all lost', 'error'],
  ['a comma too many in a list', one(text).replace('["a"]', '["a",]'), 'all lost', 'error'],
  ['a comma missing', file().replace(',', ''), 'all lost', 'error'],
  ['a comment of a line', `// price\n${file()}`, 'all lost', 'error'],
  ['a comment in a block', `/* price */ ${file()}`, 'all lost', 'error'],
  ['single quotation marks', "{'name': 'x'}", 'all lost', 'error'],
  ['keys without quotation marks', '{name: "x"}', 'all lost', 'error'],
  ['a byte order mark', `\uFEFF${file()}`, 'all lost', 'error'],
  ['a line break in a text', file().replace('Does x', 'Does\nx'), 'all lost', 'error'],
  ['a tab in a text', file().replace('Does x', 'Does\tx'), 'all lost', 'error'],
  ['an unknown escape', file().replace('Does x', 'C:\\x'), 'all lost', 'error'],
  ['half of a character', file().replace('Does x', '\\ud83d'), 'all lost', 'error'],
  ['half of a character in a key', file().replace('{', '{"\\udc00":1,'), 'all lost', 'error'],
  ['NaN', file().replace('"x"', 'NaN'), 'all lost', 'error'],
  ['a number out of range', file().replace('{', '{"n":1e999,'), 'all lost', 'error'],
  ['a number with a zero in front', file().replace('{', '{"n":01,'), 'all lost', 'error'],
  ['two objects', `${file()}\n${file()}`, 'all lost', 'error'],
  ['what git leaves of a conflict', `<<<<<<< HEAD\n${file()}\n=======\n${file()}\n>>>>>>> main\n`, 'all lost', 'error'],
  ['one level too deep', `{"deep":${'['.repeat(127)}${']'.repeat(127)}}`, 'all lost', 'error'],
  ['a no-break space', file().replace(',', ',\u00a0'), 'all lost', 'error'],
  ['a page of HTML', '<!DOCTYPE html><title>502</title>', 'all lost', 'error'],
];

/** Further texts for MCP's own form. */
const tableMcp: [name: string, text: string, client: Verdict, said: Worst][] = [
  ['the least', mcp(), 'accepted', 'nothing'],
  ['without a description', mcp({ description: undefined }), 'accepted', 'nothing'],
  [
    'parameters of all types',
    inputMcp({ properties: { a: { type: 'string' }, b: {} }, required: ['a'] }),
    'accepted',
    'nothing',
  ],
  [
    'keywords of JSON Schema',
    inputMcp({ properties: { a: { enum: [1] } }, additionalProperties: false }),
    'accepted',
    'nothing',
  ],
  ['a title and hints', mcp({ title: 'X', annotations: { readOnlyHint: true, title: 'X' } }), 'accepted', 'nothing'],
  ['an output', mcp({ outputSchema: { type: 'object' }, _meta: { a: 1 } }), 'accepted', 'nothing'],
  ['icons', mcp({ icons: [{ src: 'https://example.com/x.png', sizes: ['48x48'] }] }), 'accepted', 'nothing'],
  ['a name with a space', mcp({ name: 'x y' }), 'accepted', 'warning'],
  ['required has one twice', inputMcp({ properties: { a: {} }, required: ['a', 'a'] }), 'accepted', 'warning'],
  ['required has what is no parameter', inputMcp({ required: ['a'] }), 'accepted', 'warning'],
  ['an array without items', inputMcp({ properties: { a: { type: 'array' } } }), 'accepted', 'error'],
  [
    'a parameter that is a list, which the official package lets pass',
    inputMcp({ properties: { a: [] } }),
    'accepted',
    'error',
  ],
  ["the platform's form only", file(), 'all lost', 'error'],
  ['no name', mcp({ name: undefined }), 'all lost', 'error'],
  ['no type', mcp({ inputSchema: { properties: {} } }), 'all lost', 'error'],
  ['another type', mcp({ inputSchema: { type: 'string' } }), 'all lost', 'error'],
  ['a parameter that is a text', inputMcp({ properties: { a: 'string' } }), 'all lost', 'error'],
  ['a parameter that is null', inputMcp({ properties: { a: null } }), 'all lost', 'error'],
  ['properties is a list', inputMcp({ properties: [] }), 'all lost', 'error'],
  ['required has a number', inputMcp({ required: [1] }), 'all lost', 'error'],
  ['required is a text', inputMcp({ required: 'a' }), 'all lost', 'error'],
  ['a hint that is a text', mcp({ annotations: { readOnlyHint: 'yes' } }), 'all lost', 'error'],
  ['an output of another type', mcp({ outputSchema: { type: 'array' } }), 'all lost', 'error'],
  ['a support of tasks that MCP does not know', mcp({ execution: { taskSupport: 'maybe' } }), 'all lost', 'error'],
  ['a title that is a number', mcp({ title: 1 }), 'all lost', 'error'],
];

function worst(severities: string[]): Worst {
  return (['error', 'warning', 'info'] as const).find((each) => severities.includes(each)) ?? 'nothing';
}

describe('what botserver does with a .mcp.json', () => {
  it.each(table)('%s', (_, given, verdict, said) => {
    const judged = judge('x', given, 'generalbots');
    expect({ verdict: judged.verdict, said: worst(judged.problems.map(({ severity }) => severity)) }).toEqual({
      verdict,
      said,
    });
    for (const { message } of judged.problems) expect(message).toMatch(/^[A-Z"].*\.$/);
  });

  it('the table has more than sixty files, and some for each verdict', () => {
    expect(table.length).toBeGreaterThan(60);
    for (const verdict of ['accepted', 'dropped', 'all lost'])
      expect(table.filter(([, , each]) => each === verdict).length).toBeGreaterThan(15);
  });
});

describe('what an MCP client does with it', () => {
  it.each(tableMcp)('%s', (_, given, verdict, said) => {
    const judged = judge('x', given, 'mcp');
    expect({ verdict: judged.verdict, said: worst(judged.problems.map(({ severity }) => severity)) }).toEqual({
      verdict,
      said,
    });
  });
});

describe('the official MCP package says the same', () => {
  const official = (given: string) => (ToolSchema.safeParse(JSON.parse(given)).success ? 'accepted' : 'all lost');
  const isJson = ([, given]: [string, string, Verdict, Worst]) => {
    try {
      JSON.parse(given);
      return !/\\u/.test(given) && !given.includes('1e999') && !given.includes('[[[');
    } catch {
      return false;
    }
  };

  it.each([...tableMcp, ...table].filter(isJson))('of: %s', (_, given) => {
    expect(judge('x', given, 'mcp').verdict).toBe(official(given));
  });

  it('of a tool in which anything is anything else', () => {
    const whole = {
      name: 'x',
      title: 'X',
      description: 'Does x',
      inputSchema: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], x: 1 },
      outputSchema: { type: 'object', properties: {}, required: [] },
      annotations: {
        title: 'X',
        readOnlyHint: true,
        openWorldHint: false,
        idempotentHint: true,
        destructiveHint: true,
      },
      icons: [{ src: 'x', mimeType: 'image/png', sizes: ['any'], theme: 'dark' }],
      execution: { taskSupport: 'optional' },
      _meta: { a: 1 },
      other: {},
    };
    const places = placesIn(whole);
    const values = [undefined, 'object', 'x', '', 1, true, null, [], {}, ['a'], [1], { a: {} }, { a: [] }, { a: 1 }];
    const change = fc.tuple(fc.constantFrom(...places), fc.constantFrom(...values));
    const seen = { accepted: 0, 'all lost': 0 };
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), (changes) => {
        const tool = structuredClone(whole);
        for (const [path, value] of changes) put(tool, path, value);
        const json = JSON.stringify(tool);
        const verdict = official(json);
        seen[verdict]++;
        expect(judge('x', json, 'mcp').verdict).toBe(verdict);
      }),
      { numRuns: 2000 },
    );
    expect(Math.min(seen.accepted, seen['all lost'])).toBeGreaterThan(300);
  });
});

/** The paths of all values in a value. */
function placesIn(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path];
  const inside = Object.entries(value).flatMap(([key, each]) => placesIn(each, [...path, key]));
  return path.length ? [path, ...inside] : inside;
}

function put(into: unknown, path: string[], value: unknown): void {
  const [key = '', ...rest] = path;
  if (typeof into !== 'object' || into === null) return;
  const there = into as Record<string, unknown>;
  if (rest.length) put(there[key], rest, value);
  else there[key] = structuredClone(value);
}

describe('a .mcp.json that is no file', () => {
  const path = 'acme.gbai/acme.gbdialog/x.mcp.json';
  const findings = (files: Record<string, string | Partial<SourceFile>>) => {
    const rule = bot.rules.find(({ id }) => id === 'bot/mcp-invalid');
    return rule?.check({ head: treeOf(files), options: bot.presets['guide-lxd'], tools: new Map() }) ?? [];
  };

  it.each<[string, Partial<SourceFile>, RegExp]>([
    ['a symbolic link is not followed', { kind: 'link', text: '../../good.json' }, /symbolic link/],
    ['a submodule', { kind: 'submodule', text: '' }, /submodule/],
    [
      'Latin-1',
      { text: file().replace('Does', 'Pre\uFFFDo'), bytes: Buffer.from(file().replace('Does', 'Preço'), 'latin1') },
      /no UTF-8/,
    ],
  ])('%s', (_, given, says) => {
    const [found, ...others] = findings({ [path]: given });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ status: 'fail', at: { path } });
    expect(found?.message).toMatch(says);
  });

  it('a folder of that name loses all tools of the session', () => {
    expect(findings({ [`${path}/a`]: '', [`${path}/b`]: '' }).map(({ at, message }) => [at.path, message])).toEqual([
      [`${path}/a`, expect.stringMatching(/all tools of the session are lost/)],
    ]);
  });

  it('a replacement character that is truly there is no broken byte', () => {
    expect(findings({ [path]: file({ description: 'A \uFFFD' }) })).toEqual([]);
  });

  it('of very many mistakes in a file a hundred are told', () => {
    const properties = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`a${index}`, {}]));
    expect(findings({ [path]: input({ properties }) })).toHaveLength(100);
  });
});
