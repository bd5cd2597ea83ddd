import fc from 'fast-check';
import { expect } from 'vitest';
import type { Family, Sample } from '../../src/rule.js';
import { treeOf } from '../../src/tree.js';

/** What turns up in files that are broken, and what breaks parsers. */
const pieces = [
  '"',
  "'",
  '\\',
  '\n',
  '\r\n',
  '\0',
  '\ufeff',
  '$(',
  '${',
  '`',
  '#',
  ';',
  '[',
  ']',
  '=',
  '%',
  '<<EOF\n',
  '(',
  '{',
  '}',
  '!',
  ' -j ',
  'COMMIT\n',
  '*filter\n',
  ':',
  '-A INPUT ',
  '\t',
  '😀',
  '\u2028',
  'if ',
  'case x in ',
  'for i in a b; do ',
  '-',
  '--',
  ',',
];

/** A text with up to five pieces cut out, doubled, or put in. */
export const mutationOf = (text: string): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(fc.nat(Math.max(1, text.length)), fc.nat(3), fc.nat(20), fc.constantFrom(...pieces)), {
      minLength: 1,
      maxLength: 5,
    })
    .map((changes) => {
      let mutated = text;
      for (const [at, kind, length, piece] of changes) {
        const [head, middle, tail] = [mutated.slice(0, at), mutated.slice(at, at + length), mutated.slice(at + length)];
        mutated = head + (kind === 0 ? '' : kind === 1 ? middle + middle : kind === 2 ? piece + middle : piece) + tail;
      }
      return mutated;
    });

/** All rules over broken files of all samples: none throws, and each finding stands within a file. */
export function survivesAnything<Options>(family: Family<Options>, paths: string[], runs: number): void {
  const samples = family.rules.flatMap(({ samples: { good, bad } }) => [...good, ...bad]) as Sample<Options>[];
  const mutated = fc.constantFrom(...samples).chain(({ files, base }) => {
    const entries = Object.entries(files);
    return fc.tuple(...entries.map(([, text]) => mutationOf(text))).map((texts) => ({
      files: Object.fromEntries(entries.map(([path], index) => [path, texts[index] as string])),
      base,
    }));
  });
  const random = fc
    .tuple(
      fc.constantFrom(...paths),
      fc.oneof(
        fc.string({ maxLength: 200, unit: 'binary' }),
        fc
          .array(fc.constantFrom(...pieces, 'iptables ', 'lo', 'INPUT', 'DROP', 'Environment', 'A=b'), {
            maxLength: 60,
          })
          .map((all) => all.join('')),
      ),
    )
    .map(([path, text]) => ({ files: { [path]: text }, base: undefined }));
  const options = family.schema.parse(family.presets['guide-lxd']);
  fc.assert(
    fc.property(fc.oneof(mutated, random), ({ files, base }) => {
      const look = { head: treeOf(files), base: base && treeOf(base), options, tools: new Map() };
      for (const rule of family.rules) {
        for (const { at, message, fix } of rule.check(look)) {
          const text = { ...base, ...files }[at.path];
          expect(text, at.path).toBeDefined();
          const lines = (text as string).split('\n');
          expect(at.line).toBeGreaterThanOrEqual(1);
          expect(at.line).toBeLessThanOrEqual(lines.length);
          expect(at.column).toBeGreaterThanOrEqual(1);
          expect(at.column).toBeLessThanOrEqual((lines[at.line - 1] as string).length + 1);
          expect(message).toMatch(/\.$/);
          for (const path of Object.keys(fix ?? {})) expect(files).toHaveProperty([path]);
        }
      }
    }),
    { numRuns: runs },
  );
}
