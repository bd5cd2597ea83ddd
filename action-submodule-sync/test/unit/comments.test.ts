import { describe, expect, it } from 'vitest';
import { commentsOf } from '../../src/comments.js';
import type { Facts } from '../../src/facts.js';
import { makePlan } from '../../src/plan.js';
import { factsOf, inputsOf, laggingOf, probeOf, rowOf, SHA } from './facts-of.js';

describe('what a pull request is told', () => {
  const event = { kind: 'pull_request' as const, commit: SHA, pullRequest: 7, before: SHA };
  const rows = ['lib', 'lib/core', 'ui'].map((path) => rowOf(path, [probeOf(), laggingOf()]));
  const said = (more: Partial<Facts>) => {
    const facts = factsOf(rows, { event, ...more });
    return commentsOf(facts, makePlan(inputsOf(), facts));
  };

  it.each<[string, Partial<Facts>, string[]]>([
    ['the gitlinks it changes', { changed: ['lib'] }, ['lib']],
    ['nothing, where its base was not read, so that its diff is not known', {}, []],
  ])('stands at %s, and all of it in the sum', (_title, more, paths) => {
    const comments = said(more);
    expect(comments?.review.comments.map(({ path }) => path)).toEqual(paths);
    for (const { path } of rows) expect(comments?.sticky).toContain(`${path} at 111111111111`);
  });

  it('is nothing outside pull requests', () => {
    expect(said({ event: factsOf([]).event, changed: ['lib'] })).toBeUndefined();
  });
});
