import { ExpectedError } from '@gbo/shared/errors';
import { z } from 'zod';
import { type Severity, severities } from './rule.js';

/** An entry of a baseline: a finding that is accepted as it is. */
export interface Accepted {
  fingerprint: string;
  severity: Severity;
  count: number;
}

const schema = z.strictObject({
  version: z.literal(1),
  accepted: z.array(
    z.strictObject({
      rule: z.string(),
      path: z.string(),
      status: z.enum(['fail', 'unknown']),
      severity: z.enum(severities),
      // Of the text, which stands nowhere: it may be a secret.
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      count: z.int().min(1),
    }),
  ),
});

/** Accepted findings. @throws ExpectedError */
export function readBaseline(text: string | undefined, path: string): Accepted[] {
  if (text === undefined) return [];
  try {
    return schema.parse(JSON.parse(text)).accepted.map(({ rule, path: file, status, severity, sha256, count }) => ({
      fingerprint: JSON.stringify([rule, file, status, sha256]),
      severity,
      count,
    }));
  } catch {
    throw new ExpectedError(
      `The baseline ${path} cannot be read.`,
      'Nothing was judged.',
      'Write it anew with mode: baseline.',
    );
  }
}

/** The file that accepts these findings; an entry lapses by itself when its line changes. */
export function writeBaseline(findings: readonly { fingerprint: string; severity: Severity }[]): string {
  const counts = new Map<string, number>();
  for (const { fingerprint, severity } of findings) {
    const key = JSON.stringify([...JSON.parse(fingerprint), severity]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const accepted = [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, count]) => {
      const [rule, path, status, sha256, severity] = JSON.parse(key) as string[];
      return { rule, path, status, severity, sha256, count };
    });
  return `${JSON.stringify({ version: 1, accepted }, undefined, 2)}\n`;
}
