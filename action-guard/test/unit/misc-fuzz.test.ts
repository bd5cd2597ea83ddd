import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readIni } from '../../src/formats/config-parser.js';
import { compile } from '../../src/formats/linear-regex.js';
import { commandsOf } from '../../src/formats/shell-words.js';
import type { Family, Finding, Sample } from '../../src/rule.js';
import { ci } from '../../src/rules/ci/index.js';
import { seconds } from '../../src/rules/f2b/duration.js';
import { f2b } from '../../src/rules/f2b/index.js';
import { lxd } from '../../src/rules/lxd/index.js';
import { vault } from '../../src/rules/vault/index.js';
import { check } from './samples.js';

const RUNS = 150;
/** Of a hostile text; what takes time by the square of its length shows at less than the megabyte that a file may have. */
const LENGTH = 40_000;
const families = [f2b, lxd, ci, vault] as unknown as Family<unknown>[];

/** A sample of the family with one of its files cut, doubled, mixed up with noise or with another one. */
function mutated(family: Family<unknown>): fc.Arbitrary<{ id: string; sample: Sample<unknown> }> {
  const all = family.rules.flatMap(({ id, samples }) =>
    [...samples.good, ...samples.bad].map((sample) => ({ id, sample })),
  );
  const texts = all.flatMap(({ sample }) => Object.values(sample.files)).filter(Boolean);
  const noise = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      '\n',
      '\r',
      '\t',
      '\uFEFF',
      '\u0000',
      '{',
      '}',
      '[',
      '- ',
      ': ',
      '"',
      "'",
      '%(',
      '%',
      '<HOST>',
      '&a ',
      '*a',
      '|',
      '${',
      '$(',
      '<<',
      '\\',
      '#',
      '---\n',
      '(?P<a>',
      '\uD800',
    ),
  );
  return fc
    .tuple(fc.constantFrom(...all), fc.constantFrom(...texts), fc.nat(), fc.nat(), fc.nat(), noise, fc.nat(5))
    .map(([{ id, sample }, other, a, b, c, extra, way]) => {
      const paths = Object.keys(sample.files);
      const path = paths[c % Math.max(paths.length, 1)] ?? 'x';
      const text = sample.files[path] ?? '';
      const [from, to] = [a % (text.length + 1), b % (text.length + 1)].sort((one, two) => one - two) as [
        number,
        number,
      ];
      const cut = a % (other.length + 1);
      const changed = [
        text.slice(0, from) + text.slice(to),
        text.slice(0, to) + text.slice(from),
        text.slice(0, from) + extra + text.slice(from),
        text.slice(0, from) + extra + text.slice(to),
        text.slice(0, from) + other.slice(cut),
        extra.repeat(30) + text,
      ][way] as string;
      return { id, sample: { ...sample, files: { ...sample.files, [path]: changed } } };
    });
}

function sound(findings: Finding[], { files, base }: Sample<unknown>): void {
  for (const { at, message, fix } of findings) {
    const texts = [files[at.path], base?.[at.path]].filter((text) => text !== undefined);
    expect(texts.length, JSON.stringify(at)).toBeGreaterThan(0);
    const inside = texts.some((text) => {
      const line = text.split('\n')[at.line - 1];
      return line !== undefined && at.column >= 1 && at.column <= line.length + 1;
    });
    expect([inside, at, message]).toEqual([true, at, message]);
    expect(message).toMatch(/[.]$/);
    for (const path of Object.keys(fix ?? {})) expect(files).toHaveProperty([path]);
  }
}

describe.each(families.map((family) => [family.name, family] as const))('%s, whatever it is given', (_, family) => {
  it('never throws, and every finding has a place in its file', () => {
    fc.assert(
      fc.property(mutated(family), ({ id, sample }) =>
        sound(check(family, id, { ...sample, tools: undefined }), sample),
      ),
      { numRuns: RUNS },
    );
  });

  it.each([
    [
      'one line',
      (text: string) =>
        text
          .replaceAll('\n', ' ')
          .repeat(1 + LENGTH / Math.max(text.length, 1))
          .slice(0, LENGTH),
    ],
    ['many lines', (text: string) => text.repeat(1 + LENGTH / Math.max(text.length, 1)).slice(0, LENGTH)],
    ['brackets', () => '['.repeat(LENGTH)],
    ['indentation', () => Array.from({ length: 500 }, (_, index) => `${' '.repeat(index)}a:\n`).join('')],
    ['dashes', () => '- '.repeat(LENGTH / 2)],
    ['percents', () => `[a]\nb = ${'%('.repeat(LENGTH / 2)}`],
    ['many keys', () => Array.from({ length: 10_000 }, (_, index) => `k${index}: ${index}\n`).join('')],
    [
      'anchors',
      () =>
        Array.from({ length: 5_000 }, (_, index) => `k${index}: &a${index} [*a${Math.max(index - 1, 0)}]\n`).join(''),
    ],
    ['words of secrets', () => 'unseal_key root_token '.repeat(7_000)],
    ['sections', () => Array.from({ length: 10_000 }, (_, index) => `[s${index}]\na=1\n`).join('')],
    [
      'enabled jails',
      () => Array.from({ length: 4_000 }, (_, index) => `[s${index}]\nenabled = true\nbackend = systemd\n`).join(''),
    ],
  ])('comes to an end with a large file of %s', (_name, make) => {
    for (const rule of family.rules) {
      const [sample] = rule.samples.bad;
      const path = Object.keys(sample?.files ?? {})[0] ?? 'x';
      const hostile = { name: '', files: { [path]: make(sample?.files[path] ?? '') } };
      sound(check(family, rule.id, hostile), hostile);
    }
  });
});

describe('parsers, whatever they are given', () => {
  it.each([
    ['INI', (text: string) => readIni(text)],
    ['shell', (text: string) => commandsOf(text)],
    ['durations', (text: string) => seconds(text)],
    ['regular expressions', (text: string) => compile(text)],
  ])('%s: never throw', (_, parse) => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void parse(text)),
      { numRuns: 1500 },
    );
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'[](){}=:;#%$<>\'"\\ \n\t|?*+.^-a1'.split('')), maxLength: 60 }),
        (text) => void parse(text),
      ),
      { numRuns: 1000 },
    );
  });

  it('regular expressions find what JavaScript finds', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d', '\\w', '(?:ab|a)', '(?:a|b)', 'c{1,2}', '1');
    const pattern = fc
      .array(fc.tuple(atom, fc.constantFrom('', '', '*', '+', '?', '*?', '+?', '{2}', '{0,2}')), {
        minLength: 1,
        maxLength: 5,
      })
      .map((parts) => parts.map((part) => part.join('')).join(''));
    const ends = fc.tuple(fc.constantFrom('', '^', '\\b'), fc.constantFrom('', '$', '\\b'));
    const text = fc.string({ unit: fc.constantFrom(...'abc1 '.split('')), maxLength: 12 });
    fc.assert(
      fc.property(pattern, ends, text, (middle, [start, end], line) => {
        // A repetition of a repetition is refused by both.
        const compiled = compile(`${start}(?P<x>${middle})${end}`);
        let own: RegExp;
        try {
          own = new RegExp(`${start}(?<x>${middle})${end}`);
        } catch {
          return;
        }
        if (compiled.kind !== 'program') return;
        expect(compiled.search(line)?.get('x')).toEqual(own.exec(line)?.groups?.x);
      }),
      { numRuns: 1500 },
    );
  });
});
