import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJson } from '../../src/formats/json.js';
import type { Sample } from '../../src/rule.js';
import { bot } from '../../src/rules/bot/index.js';
import { treeOf } from '../../src/tree.js';
import { check, testSamples } from './samples.js';

testSamples(bot);

const options = bot.presets['guide-lxd'];

describe('fixes', () => {
  const fixable = bot.rules.flatMap((rule) =>
    rule.samples.bad
      .filter((sample) => check(bot, rule.id, sample).some(({ fix }) => fix))
      .map((sample) => [rule.id, sample.name, sample] as [string, string, Sample<typeof options>]),
  );

  it.each(fixable)('of %s mend: %s', (id, _, sample) => {
    const before = check(bot, id, sample);
    const fix = Object.assign({}, ...before.map((finding) => finding.fix ?? {}));
    const after = check(bot, id, { ...sample, files: { ...sample.files, ...fix } });
    const left = before.filter((finding) => !finding.fix);
    // Warnings, such as of an empty description, may stand in what is written anew.
    const graver = after.filter(({ severity }) => severity === undefined);
    expect(graver.length).toBeLessThanOrEqual(left.length);
    for (const { fix, message } of before)
      if (fix) expect(after.map((finding) => finding.message)).not.toContain(message);
  });

  it('there are some for every rule that has one answer', () => {
    expect(new Set(fixable.map(([id]) => id))).toEqual(
      new Set([
        'bot/no-outputs',
        'bot/mcp-missing',
        'bot/mcp-stale',
        'bot/use-tool-unresolved',
        'bot/add-tool',
        'bot/param-ignored',
      ]),
    );
  });
});

describe('a tool that USE TOOL does not find', () => {
  it.each([
    ['pirce', 'price'],
    ['Price', 'price'],
    ['get_faq', 'get-faq'],
    ['acme.gbdialog/price', 'price'],
    ['sub/price.bas', 'price'],
    ['price.mcp.json', 'price'],
    ['weather', undefined],
  ])('%s: did you mean %s', (written, meant) => {
    const dialog = 'acme.gbai/acme.gbdialog';
    const files = {
      [`${dialog}/start.bas`]: `USE TOOL "${written}"\n`,
      [`${dialog}/price.bas`]: '',
      [`${dialog}/price.mcp.json`]: '{}',
      [`${dialog}/get-faq.bas`]: '',
      [`${dialog}/get-faq.mcp.json`]: '{}',
    };
    const [found] = check(bot, 'bot/use-tool-unresolved', { name: '', files });
    expect(found?.todo).toContain(meant ? `"${meant}"` : 'It has get-faq, price and start');
  });

  it('the path that hides it is taken out by the fix, and nothing else', () => {
    const files = {
      'a.gbai/a.gbdialog/start.bas':
        'TALK "a.gbdialog/price"\r\n  USE TOOL "a.gbdialog/price"\r\nUSE TOOL "a.gbdialog/nope"\n',
      'a.gbai/a.gbdialog/price.bas': '',
      'a.gbai/a.gbdialog/price.mcp.json': '{}',
    };
    const [found] = check(bot, 'bot/use-tool-unresolved', { name: '', files });
    expect(found?.fix).toEqual({
      'a.gbai/a.gbdialog/start.bas': 'TALK "a.gbdialog/price"\r\n  USE TOOL "price"\r\nUSE TOOL "a.gbdialog/nope"\n',
    });
  });

  it('PARAMs in lower case are put in capitals by the fix, and nothing else', () => {
    const files = {
      'a.gbai/a.gbdialog/a.bas':
        '\uFEFFPARAM x AS STRING\n  param y as integer like "as like" description "a param as"\r\nPARAM\tz AS DATE\nparam = 5\n',
    };
    const [found] = check(bot, 'bot/param-ignored', { name: '', files });
    expect(found?.fix).toEqual({
      'a.gbai/a.gbdialog/a.bas':
        'PARAM x AS STRING\n  PARAM y AS integer LIKE "as like" DESCRIPTION "a param as"\r\nPARAM z AS DATE\nparam = 5\n',
    });
  });
});

describe('any input', () => {
  const all = bot.rules.flatMap(({ samples }) => [...samples.good, ...samples.bad]);
  const pieces = [
    'PARAM ',
    'param ',
    'AS ',
    'DESCRIPTION ',
    'USE TOOL ',
    'ADD TOOL ',
    'USE_TOOL(',
    'BEGIN TALK\n',
    'END TALK\n',
    'BEGIN MAIL x\n',
    'REM',
    "'",
    '"',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '\\',
    '\\ud800',
    '\0',
    '\r',
    '\n',
    '\t',
    '\uFEFF',
    '\u0085',
    '\uFFFD',
    '.gbdialog/',
    '.bas',
    '"input_schema"',
    '"required"',
  ];
  const edit = fc.record({
    at: fc.nat(),
    cut: fc.nat(12),
    put: fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 4, unit: 'binary' })),
    which: fc.nat(),
  });
  const mutated = fc
    .tuple(fc.constantFrom(...all), fc.array(edit, { minLength: 1, maxLength: 5 }))
    .map(([sample, edits]) => {
      const files = { ...sample.files };
      for (const { at, cut, put, which } of edits) {
        const path = Object.keys(files)[which % Object.keys(files).length] as string;
        const text = files[path] ?? '';
        const start = at % (text.length + 1);
        files[path] = text.slice(0, start) + put + text.slice(start + cut);
      }
      return { files, options: { ...options, ...sample.options } };
    });
  const random = fc
    .dictionary(
      fc.constantFrom(
        'acme.gbai/acme.gbdialog/a.bas',
        'acme.gbai/acme.gbdialog/a.mcp.json',
        'acme.gbai/crm.gbdialog/b.BAS',
        '.gbai/.gbdialog/.bas',
        'x.gbdialog/.mcp.json',
        'acme.gbai/acme.gbdialog/b.mcp.json/c',
      ),
      fc.string({ unit: 'binary', maxLength: 200 }),
    )
    .map((files) => ({ files: { ...files }, options }));

  it('is judged without an error, and every finding lies in its file', () => {
    fc.assert(
      fc.property(fc.oneof({ weight: 9, arbitrary: mutated }, random), ({ files, options }) => {
        const head = treeOf(files);
        for (const rule of bot.rules)
          for (const { at, message, status } of rule.check({ head, options, tools: new Map() })) {
            const lines = files[at.path]?.split('\n');
            expect(status).toMatch(/^(fail|unknown)$/);
            expect(message).toMatch(/\.$/);
            expect(message).not.toMatch(/[\n\r]/);
            expect(at.line).toBeGreaterThanOrEqual(1);
            expect(at.line).toBeLessThanOrEqual(lines?.length ?? 0);
            expect(at.column).toBeGreaterThanOrEqual(1);
            expect(at.column).toBeLessThanOrEqual((lines?.[at.line - 1]?.length ?? 0) + 1);
          }
      }),
      { numRuns: 300 },
    );
  });

  it('JSON is JSON exactly where both JSON.parse and a strict reader of UTF-8 say so', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          mutated.map(({ files }) => Object.values(files).join('')),
          fc.json(),
        ),
        (text) => {
          const json = readJson(text);
          let value: unknown;
          try {
            value = JSON.parse(text);
          } catch {
            expect(json).toHaveProperty('error');
            return;
          }
          if ('error' in json) expect(json.error.message).toMatch(/surrogate|range|deeper/);
          else expect(json.value).toEqual(value);
        },
      ),
      { numRuns: 300 },
    );
  });
});
