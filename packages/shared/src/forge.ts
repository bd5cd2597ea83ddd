import { z } from 'zod';
import { ExpectedError, messageOf } from './errors.js';

/** What a pull request is told: one review with comments at lines, or one comment that every run writes anew. */
export interface Forge {
  /**
   * Writes the one comment that carries `marker`: makes it, or changes it. An empty body takes an old one back, and
   * makes none. @throws ExpectedError
   */
  sticky(pullRequest: number, marker: string, body: string): Promise<void>;
  /**
   * One review with comments at file lines; those of earlier runs (by `marker`) go first. No comments: only that.
   * @throws ExpectedError; a failure half-way can leave comments of an unfinished review
   */
  review(pullRequest: number, marker: string, review: Review): Promise<void>;
  /** Sets a status of a commit; needs a token that may write, which that of a fork is not. @throws ExpectedError */
  status(commit: string, status: Status): Promise<void>;
}

export interface Status {
  /** Whose status it is; a later one of the same context takes its place. */
  context: string;
  state: 'pending' | 'success' | 'failure' | 'error' | 'warning';
  description: string;
}

export interface Review {
  /** The commit that was looked at. */
  commit: string;
  body: string;
  /** `line` counts from 1 in the file as the commit has it. Only lines of the diff: Forgejo checks neither path nor line. */
  comments: { path: string; line: number; body: string }[];
}

export interface ForgeOptions {
  /** `$GITHUB_API_URL`, such as `https://forge.example.com/api/v1`. */
  apiUrl: string;
  /** `owner/name`. */
  repository: string;
  token: string;
}

const ANSWER_MS = 15_000;
const PAGE = 50;
/** Pages that are looked through for an old comment. */
const MOST_PAGES = 40;

const user = z.object({ id: z.number() });
const comments = z.array(z.object({ id: z.number(), body: z.string().nullish(), user: user.nullish() }));
type Comment = z.output<typeof comments>[number];

/**
 * Forgejo's REST API, as far as actions speak to pull requests (Forgejo API docs: issue comments, pull reviews). Paging is
 * by `limit`; positions are file lines; an inline comment is only removed by way of its review.
 */
export function openForge({ apiUrl, repository, token }: ForgeOptions): Forge {
  const api = apiUrl.replace(/\/$/, '');
  const base = `${api}/repos/${repository.split('/').map(encodeURIComponent).join('/')}`;
  const ask = (method: string, path: string, body?: unknown) => request(method, `${base}${path}`, token, body);

  async function list(path: string): Promise<Comment[]> {
    const all = new Map<number, Comment>();
    for (let page = 1; page <= MOST_PAGES; page++) {
      const read = comments.safeParse(await ask('GET', `${path}?page=${page}&limit=${PAGE}`));
      const fresh = read.success ? read.data.filter(({ id }) => !all.has(id)) : [];
      // Reviews come in pages; comments of an issue or of a review do not: each page is all of them
      // (ListIssueComments, GetPullReviewComments).
      if (fresh.length === 0) break;
      for (const each of fresh) all.set(each.id, each);
    }
    return [...all.values()];
  }

  let asked: Promise<number | undefined> | undefined;
  /** Whose token it is; one that may not ask that leaves the marker alone to tell. */
  function self(): Promise<number | undefined> {
    asked ??= request('GET', `${api}/user`, token, undefined).then(
      (answer) => user.safeParse(answer).data?.id,
      () => undefined,
    );
    return asked;
  }

  /** What carries `hidden` and was written with this token. People quote a comment, or copy it from its beginning. */
  async function ownOf(all: Comment[], hidden: string): Promise<Comment[]> {
    const marked = all.filter(({ body }) => body?.startsWith(hidden));
    if (marked.length === 0) return [];
    const id = await self();
    return marked.filter((each) => id === undefined || !each.user || each.user.id === id);
  }

  return {
    async sticky(pullRequest, marker, body) {
      const hidden = `<!-- ${marker} -->`;
      const [old] = await ownOf(await list(`/issues/${pullRequest}/comments`), hidden);
      const text = `${hidden}\n${body}`;
      if (old && body === '') await ask('DELETE', `/issues/comments/${old.id}`);
      else if (old && old.body !== text) await ask('PATCH', `/issues/comments/${old.id}`, { body: text });
      else if (!old && body !== '') await ask('POST', `/issues/${pullRequest}/comments`, { body: text });
    },
    async review(pullRequest, marker, { commit, body, comments: lines }) {
      const hidden = `<!-- ${marker} -->`;
      const reviews = `/pulls/${pullRequest}/reviews`;
      for (const each of await list(reviews)) {
        const { id } = each;
        const old = await list(`${reviews}/${id}/comments`);
        // A review that failed half-way has no text yet: only its comments tell whose it is.
        const ours = await ownOf(old, hidden);
        // Not by /issues/comments: that answers 204 and does nothing to a comment at a line.
        for (const comment of ours) await ask('DELETE', `${reviews}/${id}/comments/${comment.id}`);
        const hasOurText = (await ownOf([each], hidden)).length > 0;
        const isEmpty = ours.length === old.length && (hasOurText || (ours.length > 0 && !each.body));
        // Left there, it is an empty box in the conversation; not every token may take it away.
        if (isEmpty) await ask('DELETE', `${reviews}/${id}`).catch(() => {});
      }
      if (lines.length === 0) return;
      await ask('POST', reviews, {
        event: 'COMMENT',
        commit_id: commit,
        body: `${hidden}\n${body}`,
        comments: lines.map(({ path, line, body: text }) => ({ path, new_position: line, body: `${hidden}\n${text}` })),
      });
    },
    async status(commit, status) {
      await ask('POST', `/statuses/${commit}`, status);
    },
  };
}

async function request(method: string, url: string, token: string, body: unknown): Promise<unknown> {
  const what = `${method} ${new URL(url).pathname}`;
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      redirect: 'error', // a redirect would take the token along
      signal: AbortSignal.timeout(ANSWER_MS),
      headers: {
        Authorization: `token ${token}`,
        Accept: 'application/json',
        ...(body ? { 'Content-Type': 'application/json' } : {}),
      },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch (error) {
    throw failed(`${what} got no answer (${messageOf(error)}).`);
  }
  const text = await response.text();
  // Another run, or somebody, was faster: it is gone.
  if (method === 'DELETE' && response.status === 404) return undefined;
  if (!response.ok)
    throw failed(`${what} was answered with ${response.status}: ${text.slice(0, 200).replaceAll(/\s+/g, ' ')}.`);
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    throw failed(`${what} was answered with something that is no JSON.`);
  }
}

function failed(what: string): ExpectedError {
  return new ExpectedError(
    what,
    'The result stands; only the comment is missing.',
    'See whether the token of the run may write comments.',
  );
}
