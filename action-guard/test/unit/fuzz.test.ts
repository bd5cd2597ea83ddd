import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { families } from '../../src/families.js';
import type { Family, Position, Sample } from '../../src/rule.js';
import { treeOf } from '../../src/tree.js';
import { type Change, changes, mutated } from './mutations.js';

/** Over all families; `FUZZ_RUNS=100000 npx vitest run --project unit action-guard/test/unit/fuzz.test.ts` for a long one. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 2000);

interface CommitBlob {
  commit: string;
  path: string;
  text: string;
}

describe('whatever a file holds', () => {
  it.each(families.map((family) => [family.name, family] as const))(
    'the rules of %s do not fail, and what they find stands in the file',
    (_, family) => {
      const numRuns = Math.ceil(RUNS / families.length);
      const samples = family.rules.flatMap(({ samples: { good, bad } }) => [...good, ...bad]);
      const paths = [...new Set(samples.flatMap(({ files }) => Object.keys(files)))];
      const mutant = fc.record({
        sample: fc.constantFrom(...samples),
        head: fc.array(changes, { minLength: 1, maxLength: 3 }),
        // Mostly, what was there before is sound.
        base: fc.option(changes, { freq: 3, nil: undefined }),
        // Another kind of file under this name.
        stranger: fc.option(fc.record({ path: fc.constantFrom(...paths), of: fc.constantFrom(...samples) }), {
          freq: 8,
          nil: undefined,
        }),
      });
      fc.assert(
        fc.property(mutant, ({ sample, head, base, stranger }) => {
          const files = each(sample.files, (text, index) => mutated(text, head[index % head.length] as Change[]));
          if (stranger) files[stranger.path] = Object.values(stranger.of.files)[0] ?? '';
          const before = sample.base && each(sample.base, (text) => (base ? mutated(text, base) : text));
          judge(family, { ...sample, files, base: before }, head[0] as Change[]);
        }),
        { numRuns, ...seeded() },
      );
    },
    60_000 + 100 * RUNS,
  );
});

/** The same inputs every time, unless it is a long run: a test that is red by chance helps nobody. */
function seeded(): { seed?: number } {
  const { FUZZ_SEED, FUZZ_RUNS } = process.env;
  if (FUZZ_SEED) return { seed: Number(FUZZ_SEED) };
  return FUZZ_RUNS ? {} : { seed: 6 };
}

function each(files: Record<string, string>, change: (text: string, index: number) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([path, text], index) => [path, change(text, index)]));
}

/** Real programs are not asked: they would have said something else of this file. */
function judge(family: Family, { files, base, options, tools }: Sample, toCommits: Change[]): void {
  const commits = (tools?.commits as CommitBlob[] | undefined)?.map((blob) => ({
    ...blob,
    text: mutated(blob.text, toCommits),
  }));
  const look = {
    head: treeOf(files),
    base: base && treeOf(base),
    options: family.schema.parse({ ...(family.presets['guide-lxd'] as object), ...(options as object) }),
    tools: new Map<string, unknown>(commits ? [['commits', commits]] : []),
  };
  for (const rule of family.rules) {
    for (const { at, message, fix } of rule.check(look)) {
      const texts = [
        files[at.path] ?? base?.[at.path],
        ...(commits ?? []).filter(({ path }) => path === at.path).map(({ text }) => text),
      ];
      const known = texts.filter((text) => text !== undefined);
      if (!known.some((text) => stands(at, text)))
        expect.fail(`${rule.id} found ${JSON.stringify(message)} at ${JSON.stringify(at)}, which is not in the file`);
      expect(message).not.toBe('');
      for (const path of Object.keys(fix ?? {})) expect(path).not.toBe('');
    }
  }
}

/** Within the text; the end of a line, where something is missing, belongs to it. */
function stands({ line, column, endLine = line }: Position, text: string): boolean {
  const lines = text.split('\n');
  const length = lines[line - 1]?.length;
  return (
    [line, column, endLine].every(Number.isInteger) &&
    length !== undefined &&
    column >= 1 &&
    column <= length + 1 &&
    endLine >= line &&
    endLine <= lines.length
  );
}
