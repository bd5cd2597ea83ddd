import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { openForge } from '../../src/forge.js';

/** A server with the few calls of Forgejo's API that are used, as its documentation has them: no Forgejo can run here. */
class Stand {
  readonly calls: string[] = [];
  comments: { id: number; body: string }[] = [];
  reviews: {
    id: number;
    body: string;
    comments: { id: number; path: string; new_position: number; body: string }[];
  }[] = [];
  refuse = new Set<string>();
  token = '';
  #id = 100;
  readonly server: Server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const path = url.pathname.replace('/api/v1/repos/acme/gb', '');
    this.calls.push(`${request.method} ${path}`);
    this.token = request.headers.authorization ?? '';
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = text ? JSON.parse(text) : undefined;
    const send = (status: number, value?: unknown) =>
      response.writeHead(status).end(value === undefined ? '' : JSON.stringify(value));
    if (this.refuse.has(`${request.method} ${path}`)) return send(403, { message: 'token may not' });
    const paged = <T>(all: T[]) => {
      const [page, limit] = [Number(url.searchParams.get('page')), Number(url.searchParams.get('limit'))];
      return send(200, all.slice((page - 1) * limit, page * limit));
    };
    if (request.method === 'GET' && path === '/issues/7/comments') return paged(this.comments);
    if (request.method === 'POST' && path === '/issues/7/comments') {
      this.comments.push({ id: this.#id++, body: body.body });
      return send(201, {});
    }
    const comment = /^\/issues\/comments\/(\d+)$/.exec(path);
    if (comment && request.method === 'PATCH') {
      this.comments = this.comments.map((each) =>
        each.id === Number(comment[1]) ? { ...each, body: body.body } : each,
      );
      return send(200, {});
    }
    if (comment && request.method === 'DELETE') {
      this.comments = this.comments.filter((each) => each.id !== Number(comment[1]));
      return send(204);
    }
    if (request.method === 'GET' && path === '/pulls/7/reviews') return paged(this.reviews);
    if (request.method === 'POST' && path === '/pulls/7/reviews') {
      const comments = body.comments.map((each: object) => ({ id: this.#id++, ...each }));
      this.reviews.push({ id: this.#id++, body: body.body, comments });
      return send(200, {});
    }
    const one = /^\/pulls\/7\/reviews\/(\d+)\/comments(?:\/(\d+))?$/.exec(path);
    const review = this.reviews.find(({ id }) => id === Number(one?.[1]));
    if (review && request.method === 'GET') return paged(review.comments);
    if (review && request.method === 'DELETE') {
      review.comments = review.comments.filter(({ id }) => id !== Number(one?.[2]));
      return send(204);
    }
    return send(404, { message: 'not found' });
  });
}

describe('what a pull request is told', () => {
  let stand: Stand;
  const open: Server[] = [];
  let forge: ReturnType<typeof openForge>;
  beforeEach(async () => {
    stand = new Stand();
    stand.server.listen(0, '127.0.0.1');
    await once(stand.server, 'listening');
    open.push(stand.server);
    const { port } = stand.server.address() as AddressInfo;
    forge = openForge({ apiUrl: `http://127.0.0.1:${port}/api/v1`, repository: 'acme/gb', token: 't0ken' });
  });
  afterAll(() => {
    for (const server of open) {
      server.closeAllConnections();
      server.close();
    }
  });

  it('one comment stays one comment, however often it is said', async () => {
    for (const text of ['first', 'second', 'second']) await forge.sticky(7, 'gbo test', text);
    expect(stand.comments.map(({ body }) => body)).toEqual(['<!-- gbo test -->\nsecond']);
    expect(stand.calls.filter((call) => call.startsWith('PATCH'))).toHaveLength(1);
    expect(stand.token).toBe('token t0ken');
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
    await forge.review(7, 'gbo test', at(1));
    await forge.review(7, 'gbo test', at(2));
    expect(stand.reviews.flatMap(({ comments }) => comments.map(({ new_position }) => new_position))).toEqual([2]);
    await forge.review(7, 'gbo test', { ...at(3), comments: [] });
    expect(stand.reviews.flatMap(({ comments }) => comments)).toEqual([]);
  });

  it.each<[string, (stand: Stand) => void, RegExp]>([
    [
      'what the token may not do',
      (each) => each.refuse.add('POST /issues/7/comments'),
      /POST .*\/issues\/7\/comments was answered with 403: .*token may not/,
    ],
    ['a server that is gone', (each) => each.server.close(), /got no answer/],
  ])('%s is one clear sentence, without the token', async (_, break_, says) => {
    break_(stand);
    stand.server.closeAllConnections();
    await expect(forge.sticky(7, 'gbo test', 'x')).rejects.toThrow(says);
    await expect(forge.sticky(7, 'gbo test', 'x')).rejects.not.toThrow(/t0ken/);
  });
});
