import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { ForgeStandIn } from '../../../../testbed/forge.js';
import { openForge } from '../../src/forge.js';

describe('what a pull request is told', () => {
  let stand: ForgeStandIn;
  const open: ForgeStandIn[] = [];
  let forge: ReturnType<typeof openForge>;
  beforeEach(async () => {
    stand = await new ForgeStandIn('acme/gb').start();
    open.push(stand);
    forge = openForge({ apiUrl: stand.apiUrl, repository: 'acme/gb', token: 't0ken' });
  });
  afterAll(() => {
    for (const each of open) each.stop();
  });

  it('one comment stays one comment, however often it is said', async () => {
    for (const text of ['first', 'second', 'second']) await forge.sticky(7, 'gbo test', text);
    expect(stand.comments.map(({ body }) => body)).toEqual(['<!-- gbo test -->\nsecond']);
    expect(stand.calls.filter((call) => call.startsWith('PATCH'))).toHaveLength(1);
  });

  it('it is found among hundreds of others, and those of people and of other actions stay', async () => {
    stand.comments = Array.from({ length: 120 }, (_, id) => ({ id, body: `<!-- gbo other --> ${id}` }));
    await forge.sticky(7, 'gbo test', 'hello');
    await forge.sticky(7, 'gbo test', 'hello again');
    expect(stand.comments).toHaveLength(121);
    expect(stand.comments.at(-1)?.body).toContain('hello again');
  });

  it('it goes when there is nothing to say any more, and none is made for nothing', async () => {
    await forge.sticky(7, 'gbo test', '');
    expect(stand.comments).toEqual([]);
    await forge.sticky(7, 'gbo test', 'bad');
    await forge.sticky(7, 'gbo test', '');
    expect(stand.comments).toEqual([]);
  });

  it('comments at lines replace those of the run before, by way of their review', async () => {
    const at = (line: number) => ({
      commit: 'c0ffee',
      body: 'look',
      comments: [{ path: 'botlib', line, body: `at ${line}` }],
    });
    const lines = () => stand.shown.map(({ new_position }) => new_position);
    await forge.review(7, 'gbo test', at(1));
    await forge.review(7, 'gbo test', at(2));
    expect(lines()).toEqual([2]);
    await forge.review(7, 'gbo test', { ...at(3), comments: [] });
    expect(lines()).toEqual([]);
    expect(stand.reviews).toEqual([]); // no empty boxes either
  });

  it('what a failure half-way left pending is taken away, and never comes out with the next review', async () => {
    const comments = [1, 2, 3].map((line) => ({ path: 'a', line, body: `at ${line}` }));
    stand.failAfter = 2;
    await expect(forge.review(7, 'gbo test', { commit: 'c0ffee', body: 'look', comments })).rejects.toThrow(/500/);
    expect([stand.reviews.length, stand.shown.length]).toEqual([1, 0]);
    await forge.review(7, 'gbo test', { commit: 'c0ffee', body: 'look', comments: comments.slice(2) });
    expect(stand.shown.map(({ new_position }) => new_position)).toEqual([3]);
  });

  it('reviews of people, and comments they began, stay', async () => {
    const theirs = { id: 1, path: 'a', new_position: 5, body: 'why?' };
    stand.reviews.push({ id: 2, body: 'good work', state: 'COMMENT', comments: [theirs] });
    await forge.review(7, 'gbo test', {
      commit: 'c0ffee',
      body: 'look',
      comments: [{ path: 'a', line: 1, body: 'x' }],
    });
    await forge.review(7, 'gbo test', { commit: 'c0ffee', body: 'look', comments: [] });
    expect(stand.reviews).toEqual([{ id: 2, body: 'good work', state: 'COMMENT', comments: [theirs] }]);
  });

  const said = '<!-- gbo test -->\nbad';
  const quotes = {
    'quotes it': said.replaceAll(/^/gm, '> '),
    'quotes it below words of his own': `Is this right?\n\n${said.replaceAll(/^/gm, '> ')}`,
    'names its marker': 'What is `<!-- gbo test -->`?',
    'copied all of it': said,
  };

  it.each(Object.entries(quotes))('a comment of a person who %s is neither changed nor taken away', async (_, body) => {
    const theirs = { id: 1, body };
    stand.comments.push(theirs);
    await forge.sticky(7, 'gbo test', 'bad');
    await forge.sticky(7, 'gbo test', 'worse');
    expect(stand.comments.map((each) => each.body)).toEqual([body, '<!-- gbo test -->\nworse']);
    await forge.sticky(7, 'gbo test', '');
    expect(stand.comments).toEqual([theirs]);
  });

  it.each(Object.entries(quotes))('a review of a person who %s stays, with its comments', async (_, body) => {
    const theirs = { id: 2, body, state: 'COMMENT' as const, comments: [{ id: 1, path: 'a', new_position: 5, body }] };
    stand.reviews.push(structuredClone(theirs));
    const comments = [{ path: 'a', line: 1, body: 'x' }];
    await forge.review(7, 'gbo test', { commit: 'c0ffee', body: 'look', comments });
    expect(stand.shown).toHaveLength(2);
    await forge.review(7, 'gbo test', { commit: 'c0ffee', body: 'look', comments: [] });
    expect(stand.reviews).toEqual([theirs]);
  });

  it('an answer of a person to a comment at a line stays, and the review that holds it', async () => {
    await forge.review(7, 'gbo test', {
      commit: 'c0ffee',
      body: 'look',
      comments: [{ path: 'a', line: 1, body: 'x' }],
    });
    stand.reviews[0]?.comments.push({ id: 1, path: 'a', new_position: 1, body: 'why?' });
    await forge.review(7, 'gbo test', { commit: 'c0ffee', body: 'look', comments: [] });
    expect(stand.shown.map(({ body }) => body)).toEqual(['why?']);
  });

  it('a token that may not ask whose it is still finds its own comment by the marker', async () => {
    stand.refuse.add('GET /api/v1/user');
    for (const text of ['first', 'second']) await forge.sticky(7, 'gbo test', text);
    expect(stand.comments.map(({ body }) => body)).toEqual(['<!-- gbo test -->\nsecond']);
  });

  it('what is gone already, when it is to be taken away, is no failure', async () => {
    await forge.sticky(7, 'gbo test', 'bad');
    stand.vanish = true;
    await forge.sticky(7, 'gbo test', '');
    expect(stand.calls.at(-1)).toMatch(/^DELETE /);
  });

  it('a status needs a token that may write', async () => {
    const status = { context: 'gbo/test', state: 'success', description: 'fine' } as const;
    await forge.status('c0ffee', status);
    expect(stand.statuses).toEqual([{ commit: 'c0ffee', ...status }]);
    stand.tokens.t0ken = 'reads';
    await expect(forge.status('c0ffee', status)).rejects.toThrow(/403/);
  });

  it.each<[string, (stand: ForgeStandIn) => void, RegExp]>([
    [
      'what the token may not do',
      (each) => each.refuse.add('POST /issues/7/comments'),
      /POST .*\/issues\/7\/comments was answered with 403: .*token may not/,
    ],
    ['a server that is gone', (each) => each.stop(), /got no answer/],
  ])('%s is one clear sentence, without the token', async (_, break_, says) => {
    break_(stand);
    await expect(forge.sticky(7, 'gbo test', 'x')).rejects.toThrow(says);
    await expect(forge.sticky(7, 'gbo test', 'x')).rejects.not.toThrow(/t0ken/);
  });
});
