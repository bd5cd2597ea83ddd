import { ExpectedError } from '@gbo/shared/errors';
import { z } from 'zod';
import { countAll } from './fingerprint.js';

const schema = z.strictObject({
  version: z.literal(1),
  accepted: z.array(
    z.strictObject({
      rule: z.string(),
      path: z.string(),
      status: z.enum(['fail', 'unknown']),
      line: z.string(),
      count: z.int().min(1),
    }),
  ),
});

/** Accepted fingerprints and how often each. @throws ExpectedError */
export function readBaseline(text: string | undefined, path: string): Map<string, number> {
  if (text === undefined) return new Map();
  try {
    const { accepted } = schema.parse(JSON.parse(text));
    return new Map(
      accepted.map(({ rule, path: file, status, line, count }) => [JSON.stringify([rule, file, status, line]), count]),
    );
  } catch {
    throw new ExpectedError(
      `The baseline ${path} cannot be read.`,
      'Nothing was judged.',
      'Write it anew with mode: baseline.',
    );
  }
}

/** The file that accepts these fingerprints; an entry lapses by itself when its line changes. */
export function writeBaseline(fingerprints: string[]): string {
  const accepted = [...countAll(fingerprints)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([each, count]) => {
      const [rule, path, status, line] = JSON.parse(each) as [string, string, string, string];
      return { rule, path, status, line, count };
    });
  return `${JSON.stringify({ version: 1, accepted }, undefined, 2)}\n`;
}
