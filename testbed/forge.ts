import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Whose token it is: that of a run on the repository itself, that of a run on a fork, or none that is known. */
export type Token = 'writes' | 'reads';

/** The automatic token of a run is that of the user forgejo-actions, whatever it may do. */
const ACTIONS_USER = -2;
/** Who wrote what a test put there. */
const SOMEBODY = 1;

export interface StandComment {
  id: number;
  body: string;
  /** Number of who wrote it. Default: a person. */
  by?: number;
}

export interface CodeComment extends StandComment {
  path: string;
  new_position: number;
}

export interface StandReview {
  id: number;
  body: string;
  state: 'COMMENT' | 'PENDING';
  comments: CodeComment[];
  by?: number;
}

const running = new Map<string, ForgeStandIn>();

/** Gives what the stand-in at this address was sent since now: address and body of each request, and no headers. */
export function receivedBy(apiUrl: string | undefined): () => string[] {
  const forge = running.get(apiUrl ?? '');
  const from = forge?.received.length ?? 0;
  return () => forge?.received.slice(from) ?? [];
}

/**
 * Stands in for Forgejo's REST API of one repository, since no Forgejo can run here: the calls an action makes on a pull
 * request, with what the real server does and refuses (read in its source): reviews in pages of at most 50, and all comments
 * whatever page is asked for (ListIssueComments and GetPullReviewComments read neither page nor limit), comments that only
 * who wrote them may change, file line numbers, code comments that only go by way of their review (the other call answers 204
 * and does nothing), comments of a review that are made before it is submitted and stay pending when that fails, statuses
 * that need a token that may write.
 */
export class ForgeStandIn {
  readonly calls: string[] = [];
  /** Address and body of each request. */
  readonly received: string[] = [];
  comments: StandComment[] = [];
  reviews: StandReview[] = [];
  statuses: { commit: string; context: string; state: string; description: string }[] = [];
  tokens: Record<string, Token> = { t0ken: 'writes' };
  /** Calls, as `METHOD /path`, that are refused. */
  readonly refuse = new Set<string>();
  /** What is to be taken away has just been taken away by another run. */
  vanish = false;
  /** The next review fails after this many of its comments. */
  failAfter: number | undefined;
  #id = 1000;
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  /** @param repository `owner/name` */
  constructor(readonly repository: string) {}

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#server.unref();
    running.set(this.apiUrl, this);
    return this;
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api/v1`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** What people see at lines: pending ones are seen by nobody else. */
  get shown(): CodeComment[] {
    return this.reviews.filter(({ state }) => state !== 'PENDING').flatMap(({ comments }) => comments);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    let text = '';
    for await (const chunk of request) text += chunk;
    this.received.push(`${request.url} ${text}`);
    const url = new URL(request.url ?? '', 'http://x');
    const path = url.pathname.replace(`/api/v1/repos/${this.repository}`, '');
    const call = `${request.method} ${path}`;
    this.calls.push(call);
    const send = (status: number, value?: unknown) =>
      void response.writeHead(status).end(value === undefined ? '' : JSON.stringify(value));
    const may = this.tokens[(request.headers.authorization ?? '').replace(/^token /, '')];
    if (!may) return send(401, { message: 'token is required' });
    if (this.refuse.has(call)) return send(403, { message: 'token may not' });
    const shown = ({ by = SOMEBODY, ...rest }: StandComment) => ({ ...rest, user: { id: by } });
    const page = (all: StandComment[]) => {
      const limit = Math.min(50, Number(url.searchParams.get('limit')) || 30);
      const at = (Number(url.searchParams.get('page')) || 1) - 1;
      return send(200, all.slice(at * limit, (at + 1) * limit).map(shown));
    };
    if (this.vanish && request.method === 'DELETE') return send(404, { message: 'not found' });
    const body = text ? JSON.parse(text) : {};
    const match = (pattern: RegExp) => pattern.exec(call);
    if (call === 'GET /api/v1/user') return send(200, { id: ACTIONS_USER });
    if (match(/^GET \/issues\/\d+\/comments$/)) return send(200, this.comments.map(shown));
    if (match(/^POST \/issues\/\d+\/comments$/)) {
      const comment = { id: this.#id++, body: body.body, by: ACTIONS_USER };
      this.comments.push(comment);
      return send(201, comment);
    }
    const comment = match(/^(PATCH|DELETE) \/issues\/comments\/(\d+)$/);
    if (comment) return this.#issueComment(comment[1] ?? '', Number(comment[2]), body, send);
    if (match(/^GET \/pulls\/\d+\/reviews$/)) return page(this.reviews.map(({ comments: _, ...review }) => review));
    if (match(/^POST \/pulls\/\d+\/reviews$/)) return this.#review(body, send);
    const one = match(/^(GET|DELETE) \/pulls\/\d+\/reviews\/(\d+)(\/comments(?:\/(\d+))?)?$/);
    const review = this.reviews.find(({ id }) => id === Number(one?.[2]));
    if (one && !review) return send(404, { message: 'no such review' });
    if (one && review) {
      if (one[1] === 'GET' && one[3]) return send(200, review.comments.map(shown));
      if (one[1] === 'GET') return send(200, review);
      const gone = one[3] ? review.comments.find(({ id }) => id === Number(one[4])) : review;
      if (!gone) return send(404, { message: 'no such comment' });
      if (gone.by !== ACTIONS_USER) return send(403, { message: 'only who wrote it, or an admin' });
      if (gone === review) this.reviews = this.reviews.filter((each) => each !== review);
      else review.comments = review.comments.filter((each) => each !== gone);
      return send(204);
    }
    const status = match(/^POST \/statuses\/([0-9a-f]+)$/);
    if (status && may !== 'writes')
      return send(403, { message: 'user should have permission to write to the repository' });
    if (status) {
      this.statuses.push({ commit: status[1] ?? '', ...body });
      return send(201, {});
    }
    return send(404, { message: 'not found' });
  }

  #issueComment(
    method: string,
    id: number,
    body: { body: string },
    send: (status: number, value?: unknown) => void,
  ): unknown {
    const all = [...this.comments, ...this.reviews.flatMap(({ comments }) => comments)];
    const comment = all.find((each) => each.id === id);
    if (!comment) return send(404, { message: 'no such comment' });
    if (comment.by !== ACTIONS_USER) return send(403, { message: 'only who wrote it, or an admin' });
    if (method === 'PATCH') comment.body = body.body;
    // For a code comment: 204, and nothing happens.
    else this.comments = this.comments.filter((each) => each !== comment);
    return send(method === 'PATCH' ? 200 : 204, method === 'PATCH' ? comment : undefined);
  }

  #review(
    body: { body?: string; event?: string; comments?: { path: string; new_position: number; body: string }[] },
    send: (status: number, value?: unknown) => void,
  ): unknown {
    if (body.event === 'COMMENT' && !body.body && !body.comments?.length)
      return send(422, { message: 'body is required' });
    // New comments join a review of the same user that is still pending.
    let pending = this.reviews.find(({ state, by }) => state === 'PENDING' && by === ACTIONS_USER);
    for (const [index, given] of (body.comments ?? []).entries()) {
      if (index === this.failAfter) {
        this.failAfter = undefined;
        return send(500, { message: 'database is locked' });
      }
      pending ??= this.#begin();
      pending.comments.push({ id: this.#id++, by: ACTIONS_USER, ...given });
    }
    pending ??= this.#begin();
    Object.assign(pending, { body: body.body ?? '', state: body.event ?? 'PENDING' });
    return send(200, { id: pending.id });
  }

  #begin(): StandReview {
    const review: StandReview = { id: this.#id++, body: '', state: 'PENDING', comments: [], by: ACTIONS_USER };
    this.reviews.push(review);
    return review;
  }
}
