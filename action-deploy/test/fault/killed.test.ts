import { afterAll, describe, expect, it } from 'vitest';
import { startMatrix } from './matrix.js';

// As in link.test.ts, the target is started while the tests are collected.
const matrix = await startMatrix('acme-killed');
afterAll(() => matrix.site.stop());

const rows = [
  ...matrix.rows('the action is killed'),
  ...matrix.rows('who holds the lock on the target is killed', ['switch']),
  ...matrix.rows('the action is killed, and who holds the lock on the target as well', ['switch']),
];

describe('whoever is killed, at any moment, the target ends on one whole and healthy release, and log or status tell which', () => {
  it('at forty moments at least', () => expect(rows.length).toBeGreaterThanOrEqual(40));

  it.each(rows.map((row) => [row.name, row] as const))('%s', (_, row) => matrix.play(row));
});
