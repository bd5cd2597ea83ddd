import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/rule.js';
import { compile } from '../../src/rules/bot/compile.js';
import { judge } from '../../src/rules/bot/consumer.js';
import { generate } from '../../src/rules/bot/generate.js';
import { definitionOf } from '../../src/rules/bot/grammar.js';
import { bot } from '../../src/rules/bot/index.js';
import { treeOf } from '../../src/tree.js';

const options = bot.presets['guide-lxd'];
const findings = (files: Record<string, string>, id?: string, more = {}): Finding[] =>
  bot.rules
    .filter((rule) => !id || rule.id === id)
    .flatMap((rule) => rule.check({ head: treeOf(files), options: { ...options, ...more }, tools: new Map() }));

/** What the compiler makes of one line of a script. Types by JSON Schema's names; `-` where it is no parameter. */
const lines: [line: string, made: Record<string, unknown> | '-'][] = [
  ['PARAM a AS STRING', { a: { type: 'string', description: '' } }],
  ['  PARAM a AS STRING  ', { a: { type: 'string', description: '' } }],
  ['PARAM a AS STRING\r', { a: { type: 'string', description: '' } }],
  ['\u00a0PARAM a AS STRING', { a: { type: 'string', description: '' } }],
  ['PARAM a AS STRING LIKE "b" DESCRIPTION "c"', { a: { type: 'string', description: 'c', example: 'b' } }],
  ['PARAM a AS STRING DESCRIPTION "c" LIKE "b"', { a: { type: 'string', description: 'c" LIKE "b', example: 'b' } }],
  ['PARAM a AS INTEGER', { a: { type: 'integer', description: '' } }],
  ['PARAM a AS int', { a: { type: 'integer', description: '' } }],
  ['PARAM a AS NUMBER', { a: { type: 'integer', description: '' } }],
  ['PARAM a AS FLOAT', { a: { type: 'number', description: '' } }],
  ['PARAM a AS double', { a: { type: 'number', description: '' } }],
  ['PARAM a AS Decimal', { a: { type: 'number', description: '' } }],
  ['PARAM a AS BOOLEAN', { a: { type: 'boolean', description: '' } }],
  ['PARAM a AS bool', { a: { type: 'boolean', description: '' } }],
  ['PARAM a AS ARRAY', { a: { type: 'array', description: '' } }],
  ['PARAM a AS list', { a: { type: 'array', description: '' } }],
  ['PARAM a AS OBJECT', { a: { type: 'object', description: '' } }],
  ['PARAM a AS map', { a: { type: 'object', description: '' } }],
  ['PARAM a AS DATE', { a: { type: 'string', description: '', format: 'date' } }],
  ['PARAM a AS DATETIME', { a: { type: 'string', description: '' } }],
  ...['TEXT', 'EMAIL', 'PHONE', 'MONEY', 'FILE'].map((type): [string, Record<string, unknown>] => [
    `PARAM a AS ${type}`,
    { a: { type: 'string', description: '' } },
  ]),
  ['PARAM a AS "the city, e.g. Rio"', { a: { type: 'string', description: '' } }],
  ['PARAM a as INTEGER', { a: { type: 'string', description: '' } }],
  ['PARAM a LIKE "b"', { a: { type: 'string', description: '', example: 'b' } }],
  ['PARAM a LIKE "x AS INTEGER"', { a: { type: 'string', description: '', example: 'x AS INTEGER' } }],
  ['PARAM a LIKE "x" AS INTEGER', { a: { type: 'integer', description: '', example: 'x' } }],
  ['PARAM a LIKE 5 AS', { a: { type: 'string', description: '' } }],
  [
    'PARAM a AS INTEGER LIKE 10 DESCRIPTION "Quantity"',
    { a: { type: 'integer', description: 'Quantity', example: 'Quantity' } },
  ],
  ['PARAM a AS STRING DESCRIPTION "c" d "e"', { a: { type: 'string', description: 'c" d "e' } }],
  ['PARAM a AS STRING DESCRIPTION "c', { a: { type: 'string', description: '' } }],
  ['PARAM a AS STRING DESCRIPTION c', { a: { type: 'string', description: '' } }],
  ['PARAM a AS STRING LIKE ""', { a: { type: 'string', description: '', example: '' } }],
  ['PARAM a AS STRING OPTIONAL', { a: { type: 'string', description: '' } }],
  ['PARAM a AS STRING ENUM ["b", c]', { a: { type: 'string', description: '' } }],
  ['PARAM nome:STRING LIKE "Ana"', { 'nome:STRING': { type: 'string', description: '', example: 'Ana' } }],
  ['PARAM  a\tAS\tINTEGER', { a: { type: 'integer', description: '' } }],
  ['PARAM __proto__ AS STRING', { ['__proto__']: { type: 'string', description: '' } }],
  ['param a as string', '-'],
  ['Param a AS STRING', '-'],
  ['PARAM\ta AS STRING', '-'],
  ['PARAM a', '-'],
  ['PARAM a STRING', '-'],
  ['PARAM', '-'],
  ['PARAMS a AS STRING', '-'],
  ["'PARAM a AS STRING", '-'],
  ['// PARAM a AS STRING', '-'],
  ['REM PARAM a AS STRING', '-'],
  ['\uFEFFPARAM a AS STRING', '-'],
  ['TALK "PARAM a AS STRING"', '-'],
];

const descriptions: [script: string, description: string][] = [
  ['DESCRIPTION "Price"', 'Price'],
  ['  DESCRIPTION "Price" \' comment', 'Price'],
  ['DESCRIPTION "a "quoted" word"', 'a "quoted" word'],
  ['DESCRIPTION Price', 'ESCRIPTION Price'],
  ['DESCRIPTION "Price', ''],
  ['DESCRIPTION ""', ''],
  ['DESCRIPTION "One"\nDESCRIPTION "Two"', 'Two'],
  ['DESCRIPTION "One"\nDESCRIPTION "Two', 'One'],
  ['description "Price"', ''],
  ['DESCRIPTION\t"Price"', ''],
  ['\' DESCRIPTION "Price"', ''],
  ['DESCRIPTION', ''],
  ['BEGIN TALK\nDESCRIPTION "Price"\nEND TALK', 'Price'],
];

describe('what the compiler makes of a script', () => {
  it.each(lines)('%j', (line, made) => {
    const { input_schema } = JSON.parse(compile('x', `TALK "hello"\n${line}\nTALK "bye"\n`));
    expect(Object.entries(input_schema.properties)).toEqual(made === '-' ? [] : Object.entries(made));
    // OPTIONAL or not.
    expect(input_schema.required).toEqual(made === '-' ? [] : Object.keys(made));
  });

  it.each(descriptions)('the description of %j', (script, description) => {
    expect(JSON.parse(compile('x', script)).description).toBe(description);
  });

  it('of two parameters of a name the later counts', () => {
    const { input_schema } = JSON.parse(compile('x', 'PARAM a AS STRING\nPARAM a AS INTEGER\n'));
    expect(input_schema).toEqual({
      type: 'object',
      properties: { a: { type: 'integer', description: '' } },
      required: ['a'],
    });
  });

  it('reads the values of ENUM as they are', () => {
    expect(definitionOf(`PARAM a AS STRING ENUM [ "S", 'M' , L, "", ]`).params[0]?.enum).toEqual(['S', 'M', 'L']);
  });

  it('writes it as serde_json does', () => {
    expect(compile('get-price', 'DESCRIPTION "Preço\u0001\\"\nPARAM sku AS STRING LIKE "A/1"\n')).toBe(`{
  "name": "get-price",
  "description": "Preço\\u0001\\\\",
  "input_schema": {
    "type": "object",
    "properties": {
      "sku": {
        "type": "string",
        "description": "",
        "example": "A/1"
      }
    },
    "required": [
      "sku"
    ]
  }
}
`);
  });
});

describe('tools without parameters', () => {
  const scripts: Record<string, string> = {
    'USE KB only': 'USE KB "faq"\n',
    'USE KB and a description': 'DESCRIPTION "Answers questions"\nUSE KB "faq"\n',
    'an empty file': '',
    'white space only': ' \n\t\r\n',
    'comments only': "' Price list\nREM later\n// later\n",
    'PARAM in lower case': 'param sku as string like "A-1" description "Article"\n',
    'PARAM in a comment': "' PARAM sku AS STRING\n",
    'a PARAM of too few words': 'PARAM sku\n',
    'a byte order mark and nothing': '\uFEFF',
  };

  describe.each(['generalbots', 'mcp', 'both'] as const)('in the format %s', (format) => {
    it.each(Object.entries(scripts))('%s: a file is written, and its reader takes it', (_, script) => {
      const text = compile('faq', script, format);
      const { verdict, problems } = judge('faq', text, format);
      expect([verdict, problems.filter(({ severity }) => severity === 'error')]).toEqual(['accepted', []]);
      const json = JSON.parse(text);
      expect(json.input_schema ?? json.inputSchema).toEqual({ type: 'object', properties: {}, required: [] });
    });
  });

  it.each(Object.entries(scripts))('%s: that it has no file is found, and mended', (_, script) => {
    const files = {
      'acme.gbai/acme.gbdialog/faq.bas': script,
      'acme.gbai/acme.gbdialog/a.bas': '',
      'acme.gbai/acme.gbdialog/a.mcp.json': compile('a', ''),
    };
    const [missing, ...others] = findings(files, 'bot/mcp-missing');
    expect(others).toEqual([]);
    expect(missing?.at).toEqual({ path: 'acme.gbai/acme.gbdialog/faq.bas', line: 1, column: 1 });
    const mended = { ...files, ...missing?.fix };
    expect(Object.keys(mended)).toContain('acme.gbai/acme.gbdialog/faq.mcp.json');
    for (const rule of ['bot/mcp-missing', 'bot/mcp-stale', 'bot/mcp-orphan', 'bot/no-outputs'])
      expect(findings(mended, rule)).toEqual([]);
  });
});

const word = fc.stringMatching(/^[a-z_][a-zA-Z0-9_]{0,12}$/);
const phrase = fc.string({ maxLength: 20 }).map((text) => text.replace(/["\n\r]/g, ''));
/** A PARAM as people write it. Arrays are a finding of their own. */
const param = fc
  .record(
    {
      name: word,
      type: fc.constantFrom('STRING', 'Integer', 'NUMBER', 'float', 'BOOL', 'OBJECT', 'DATE', 'EMAIL', 'whatever'),
      like: phrase,
      description: phrase,
      optional: fc.boolean(),
    },
    { requiredKeys: ['name', 'type'] },
  )
  .map(({ name, type, like, description, optional }) =>
    [
      `PARAM ${name} AS ${type}`,
      like === undefined ? '' : ` LIKE "${like}"`,
      description === undefined ? '' : ` DESCRIPTION "${description}"`,
      optional ? ' OPTIONAL' : '',
    ].join(''),
  );
const script = fc
  .tuple(fc.option(phrase), fc.array(fc.oneof({ weight: 5, arbitrary: param }, phrase), { maxLength: 8 }))
  .map(([description, lines]) =>
    [...(description === null ? [] : [`DESCRIPTION "${description}"`]), ...lines, ''].join('\n'),
  );

describe('what is generated', () => {
  it.each(['generalbots', 'mcp', 'both'] as const)('is valid and not stale, for any PARAMs (%s)', (format) => {
    fc.assert(
      fc.property(script, (text) => {
        const files = { 'acme.gbai/acme.gbdialog/x.bas': text, 'work/acme.gbai/acme.gbdialog/y.mcp.json': '{}' };
        const made = generate(treeOf(files), { ...options, format });
        expect([...made.keys()]).toEqual(['work/acme.gbai/acme.gbdialog/x.mcp.json']);
        const all = { ...files, ...Object.fromEntries(made) };
        expect(findings(all, 'bot/mcp-stale', { format })).toEqual([]);
        const { verdict, problems } = judge('x', [...made.values()][0] ?? '', format);
        expect([verdict, problems.filter(({ severity }) => severity === 'error')]).toEqual(['accepted', []]);
      }),
      { numRuns: 200 },
    );
  });

  it('is stale after any change of a name or a type', () => {
    fc.assert(
      fc.property(script, word, (text, name) => {
        const before = definitionOf(text).params;
        const changed = `${text}\nPARAM ${name} AS BOOLEAN DESCRIPTION "new"\n`;
        if (before.some((each) => each.name === name && each.type === 'boolean')) return;
        const files = {
          'acme.gbai/acme.gbdialog/x.bas': changed,
          'acme.gbai/acme.gbdialog/x.mcp.json': compile('x', text),
        };
        expect(findings(files, 'bot/mcp-stale').some(({ severity }) => severity === undefined)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('leaves tables.bas and links out', () => {
    const tree = treeOf({
      'acme.gbai/acme.gbdialog/tables.bas': '',
      'acme.gbai/acme.gbdialog/link.bas': { kind: 'link', text: '/etc/passwd' },
      'acme.gbai/acme.gbdialog/start.bas': '',
      'acme.gbai/crm.gbdialog/sub/deal.bas': '',
      'acme.gbai/outside.bas': '',
    });
    expect([...generate(tree, options).keys()].sort()).toEqual([
      'acme.gbai/acme.gbdialog/deal.mcp.json',
      'acme.gbai/acme.gbdialog/start.mcp.json',
    ]);
  });
});
