import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { startMatrix } from './matrix.js';

// Vitest wants to know its tests before it runs one, and the rows come from a plan of the bundle itself: so the target
// is started while they are collected.
const matrix = await startMatrix('acme-link');
afterAll(() => matrix.site.stop());

const rows = [
  ...matrix.rows('the link is cut and comes back'),
  ...matrix.rows('the link is cut and stays cut', ['switch', 'finish']),
  ...matrix.rows('the link swallows everything, until the target has lost patience', ['switch']),
];

describe('whatever happens to the link, the target ends on one whole and healthy release, and the log says which', () => {
  it('at forty moments at least', () => expect(rows.length).toBeGreaterThanOrEqual(40));

  it('and the plan that they come from has steps of every kind', () => {
    const text = readFileSync(new URL('../../src/steps.ts', import.meta.url), 'utf8');
    const kinds = [...text.matchAll(/^ {2}\| \{ kind: '([a-z-]+)'/gm)].map((match) => match[1]);
    const steps = [...matrix.usual, ...matrix.afterUnfinished].map(({ id }) => id.replace(/:.*/, ''));
    expect(kinds.length).toBeGreaterThan(10);
    expect([...new Set(steps)].sort()).toEqual(kinds.sort());
  });

  it.each(rows.map((row) => [row.name, row] as const))('%s', (_, row) => matrix.play(row));
});
