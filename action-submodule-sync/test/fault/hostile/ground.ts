import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createWorld, type World } from '../../world.js';
import { bodyOf, type Handler, reply, type Stranger, startStranger } from './fake-git.js';
import type { Place, Watched } from './watched.js';

/** Of the remote, and of the run itself. Neither may be anywhere but at its own host. */
export const TOKEN = 'tok+en/for=alm-5f2c9d';
export const RUN_TOKEN = 'run-token-77aa41';

export const ABSENT = 'a'.repeat(40);
/** What is told of the one submodule of most rows. */
export const REFUSED = ['x alm: COULD-NOT-CHECK'];

/** What a row may need to lay its trap. */
export interface Trap {
  /** Part of every address of this row, and of nothing else. */
  word: string;
  place: Place;
  /** Base of alm, where the token belongs. */
  alm: string;
  /** The stranger, by a host that is no remote, and by the host of alm with another port. */
  otherHost: string;
  otherPort: string;
  /** An address of this row on alm, and one on origin, answered by `handler`. */
  answers(handler: Handler): string;
}

export interface Case {
  /** Default: one submodule at `x` with this url. */
  url?: string;
  gitmodules?: string | Buffer | { link: string };
  pins?: Record<string, string>;
  /** Instead of all that. */
  commit?: string;
  inputs?: Record<string, string>;
  env?: Record<string, string>;
  /** What was found, in any order. */
  told?: string[];
  /** What the log must have said. */
  says?: RegExp;
  code?: number;
  /** Milliseconds. */
  within?: number;
  /** When the run is cancelled. */
  stopWhen?: Promise<void>;
  /** Whether the stranger is a host that may be asked. */
  welcome?: boolean;
  also?(run: Watched): void | Promise<void>;
}

export type Row = [title: string, lay: (trap: Trap) => Case | Promise<Case>];

/** One submodule among others of one run, which must end as COULD-NOT-CHECK by itself. */
export type Part = [title: string, url: (trap: Trap) => string, more?: (trap: Trap) => string];

/** An entry of .gitmodules. */
export const entry = (path: string, url: string, { name = path, more = '' } = {}) =>
  `[submodule ${quoted(name)}]\n\tpath = ${quoted(path)}\n\turl = ${quoted(url)}\n${more}`;

export function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\t', '\\t')}"`;
}

/** What all rows stand on: two forges with a root and submodules, and somebody else. */
export interface Ground {
  world: World;
  stranger: Stranger;
  /** The API of the forge. */
  api: Stranger;
  /** A commit that is on main of every remote of `botlib`. */
  lib: string;
  /** One behind the tip of `signed`, with a signature. */
  signed: string;
  /** On main of `lag` of origin; alm is behind it. */
  leading: string;
}

export const ground = {} as Ground;

export async function startGround(): Promise<void> {
  const world = await createWorld({ homes: { alm: { token: TOKEN }, origin: {} } });
  Object.assign(ground, { world, stranger: await startStranger(), api: await startStranger() });
  await world.submodule('botlib');
  for (const name of ['signed', 'lag', 'many']) await world.repository(name);
  ground.lib = await world.git('botlib', 'rev-parse', 'HEAD');
  ground.signed = await signedCommit(world);
  ground.leading = await world.commit('lag');
  await world.push('lag', 'origin');
  await manyRefs(world);
  await world.pin('botlib');
  await world.pushRoot();
}

export async function stopGround(): Promise<void> {
  ground.stranger?.stop();
  ground.api?.stop();
  await ground.world?.stop();
}

/** What of the checkout an action could have changed; objects are added by the rows. */
export async function checkoutState(): Promise<string> {
  const { checkout, git } = ground.world;
  const files = ['config', 'HEAD', 'index', 'refs/heads/main'].map((name) =>
    readFileSync(join(checkout, '.git', name), 'base64'),
  );
  return [...files, await git('.', 'for-each-ref'), await git('.', 'status', '--porcelain')].join('\n');
}

/** The bare repository of a submodule on alm. */
export const bareOnAlm = (name: string) => join(ground.world.homes.alm?.dir ?? '', `${name}.git`);

/** The input `remotes`. */
export function remotes(...names: string[]): string {
  return names.map((name) => `${name} = ${ground.world.homes[name]?.base}`).join('\n');
}

/** A commit of the root that no checkout would make. */
export async function rootCommit({ gitmodules, pins = {} }: Pick<Case, 'gitmodules' | 'pins'>): Promise<string> {
  const { world } = ground;
  const index = join(world.checkout, '..', `index-${Math.random()}`);
  const git = ['-C', world.checkout];
  if (typeof gitmodules === 'object' && 'link' in gitmodules) {
    // By mktree, since the index takes no such thing.
    const blob = await piped([...git, 'hash-object', '-w', '--stdin'], gitmodules.link);
    const links = Object.entries(pins).map(([path, sha]) => `160000 commit ${sha}\t${path}\n`);
    const tree = await piped([...git, 'mktree', '--missing'], `120000 blob ${blob}\t.gitmodules\n${links.join('')}`);
    return world.git('.', 'commit-tree', '-m', 'Hostile', '-p', 'HEAD', tree);
  }
  const rows = Object.entries(pins).map(([path, sha]) => `160000 ${sha}\t${path}\0`);
  if (gitmodules !== undefined) {
    const blob = await piped([...git, 'hash-object', '-w', '--stdin'], gitmodules);
    rows.push(`100644 ${blob}\t.gitmodules\0`);
  }
  await piped([...git, 'update-index', '-z', '--index-info'], rows.join(''), { GIT_INDEX_FILE: index });
  const tree = await piped([...git, 'write-tree', '--missing-ok'], '', { GIT_INDEX_FILE: index });
  return world.git('.', 'commit-tree', '-m', 'Hostile', '-p', 'HEAD', tree);
}

/** Twelve folders, each of which holds the next one ten times. */
export async function treeBomb(): Promise<string> {
  const { world } = ground;
  let [mode, oid] = ['100644 blob', await piped(['-C', world.checkout, 'hash-object', '-w', '--stdin'], '')];
  for (let level = 0; level < 12; level++) {
    const rows = Array.from({ length: 10 }, (_, number) => `${mode} ${oid}\tfolder-with-a-name-${number}\n`);
    oid = await piped(['-C', world.checkout, 'mktree'], rows.join(''));
    mode = '040000 tree';
  }
  return world.git('.', 'commit-tree', '-m', 'Bomb', oid);
}

async function signedCommit(world: World): Promise<string> {
  const text = await world.git('signed', 'cat-file', 'commit', 'HEAD');
  const signature = 'gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----';
  const object = text.replace(/^(committer .*)$/m, `$1\n${signature}`);
  const sha = await piped(
    ['-C', join(world.checkout, 'signed'), 'hash-object', '-t', 'commit', '-w', '--stdin'],
    `${object}\n`,
  );
  const tip = await world.git('signed', 'commit-tree', '-m', 'Later', '-p', sha, 'HEAD^{tree}');
  for (const remote of Object.keys(world.homes)) await world.push('signed', remote, `+${tip}:refs/heads/main`);
  return sha;
}

/** 200,000 branches of `many` on alm. */
async function manyRefs(world: World): Promise<void> {
  const sha = await world.git('many', 'rev-parse', 'HEAD');
  const names = Array.from({ length: 200_000 }, (_, number) => `refs/heads/b${String(number).padStart(6, '0')}`);
  const rows = [...names, 'refs/heads/main'].map((name) => `${sha} ${name}\n`);
  writeFileSync(
    join(bareOnAlm('many'), 'packed-refs'),
    `# pack-refs with: peeled fully-peeled sorted \n${rows.join('')}`,
  );
}

/** Runs git on an input of any kind. */
export function piped(args: string[], input: string | Buffer, env: NodeJS.ProcessEnv = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { env: { ...ground.world.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.on('error', reject);
    child.stdin.on('error', () => {}); // one that does not read
    child.on('close', (code) =>
      code === 0 ? resolve(out.trim()) : reject(new Error(`git ${args.join(' ')} ended with ${code}`)),
    );
    child.stdin.end(input);
  });
}

/** The event of a pull request whose base is the commit that lies on main. */
export function pullRequest(): Record<string, string> {
  const { checkout } = ground.world;
  const path = join(checkout, '..', `event-${Math.random()}.json`);
  const base = readFileSync(join(checkout, '.git', 'refs', 'heads', 'main'), 'utf8').trim();
  writeFileSync(
    path,
    JSON.stringify({ number: 7, pull_request: { number: 7, merge_base: base, base: { ref: 'main', sha: base } } }),
  );
  return { GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: path };
}

/** A pull request on a forge that writes down what it is told. */
export function forge(word: string, handler?: Handler): { env: Record<string, string>; comments(): string[] } {
  const bodies: string[] = [];
  ground.api.answer(
    `/${word}/`,
    handler ??
      (async (request, response) => {
        const text = await bodyOf(request);
        if (request.method === 'GET') return reply(response, 'application/json', '[]');
        const sent = JSON.parse(Buffer.from(text, 'latin1').toString()) as {
          body: string;
          comments?: { body: string }[];
        };
        bodies.push(sent.body, ...(sent.comments ?? []).map(({ body }) => body));
        reply(response, 'application/json', '{}');
      }),
  );
  return {
    env: { ...pullRequest(), GITHUB_API_URL: `http://127.0.0.1:${ground.api.port}/${word}/api/v1` },
    comments: () => bodies,
  };
}
