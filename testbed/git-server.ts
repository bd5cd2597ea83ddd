import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface GitServerOptions {
  /** What the password of HTTP Basic must be, for reading and writing; default: anybody may. */
  token?: string;
  /** Partial clone and fetching any object by its name, as Forgejo and GitHub allow. Default true. */
  partial?: boolean;
  /** 0 takes no notice of clients that speak protocol version 2. Default 2. */
  protocol?: 0 | 2;
}

export interface GitServer {
  /** `http://127.0.0.1:PORT/acme/` */
  readonly base: string;
  readonly port: number;
  /** Folder of the bare repositories. */
  readonly dir: string;
  /** What went over the wire since the start or the last `reset`: bodies only. */
  readonly counters: { requests: number; down: number; up: number; authorization: string[] };
  reset(): void;
  /** Makes an empty bare repository `acme/NAME.git`; gives its path on this disk. */
  create(name: string, format?: 'sha1' | 'sha256'): Promise<string>;
  /** Answers requests below `/acme/NAME` itself, whatever they ask; undefined: git answers them again. */
  answer(name: string, handler: ((request: IncomingMessage, response: ServerResponse) => void) | undefined): void;
  /** Waits for `handler` before it passes a request below `/acme/NAME` on to git; for what others do meanwhile. */
  before(name: string, handler: (request: IncomingMessage) => Promise<void>): void;
  stop(): Promise<void>;
}

/**
 * A real git server over HTTP on a free port of 127.0.0.1: git's own http-backend behind node's HTTP server. It ends with
 * `stop`, and with this process.
 */
export async function startGitServer({
  token,
  partial = true,
  protocol = 2,
}: GitServerOptions = {}): Promise<GitServer> {
  const dir = await mkdtemp(join(tmpdir(), 'testbed-git-'));
  await mkdir(join(dir, 'acme'));
  const counters: GitServer['counters'] = { requests: 0, down: 0, up: 0, authorization: [] };
  const special = new Map<string, ((request: IncomingMessage, response: ServerResponse) => void) | undefined>();
  const meanwhile = new Map<string, (request: IncomingMessage) => Promise<void>>();
  const execPath = (await run('git', ['--exec-path'])).stdout.trim();

  const server = createServer((request, response) => {
    counters.requests++;
    if (request.headers.authorization) counters.authorization.push(request.headers.authorization);
    const url = new URL(request.url ?? '/', 'http://localhost');
    const name = url.pathname.split('/')[2]?.replace(/\.git$/, '') ?? '';
    const handler = special.get(name);
    if (handler) return handler(request, response);
    const password = Buffer.from(request.headers.authorization?.split(' ')[1] ?? '', 'base64')
      .toString()
      .split(':')[1];
    if (token !== undefined && password !== token) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="acme"' }).end();
      return;
    }
    const first = meanwhile.get(name)?.(request) ?? Promise.resolve();
    void first.then(() => backend(request, response, url));
  });

  function backend(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const version = request.headers['git-protocol'];
    const child = spawn(join(execPath, 'git-http-backend'), {
      env: {
        PATH: process.env.PATH,
        GIT_PROJECT_ROOT: dir,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
        REMOTE_USER: 'acme',
        REMOTE_ADDR: '127.0.0.1',
        REQUEST_METHOD: request.method,
        PATH_INFO: decodeURIComponent(url.pathname),
        QUERY_STRING: url.search.slice(1),
        CONTENT_TYPE: request.headers['content-type'],
        CONTENT_LENGTH: request.headers['content-length'],
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
        ...(protocol === 2 && typeof version === 'string' ? { GIT_PROTOCOL: version } : {}),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    request.on('data', (chunk: Buffer) => {
      counters.up += chunk.length;
    });
    request.pipe(child.stdin);
    child.stdin.on('error', () => {});
    response.on('close', () => child.kill());
    let head: Buffer | undefined = Buffer.alloc(0);
    child.stdout.on('data', (chunk: Buffer) => {
      if (!head) return send(chunk);
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const rows = head.subarray(0, end).toString().split('\r\n');
      const rest = head.subarray(end + 4);
      head = undefined;
      let status = 200;
      for (const row of rows) {
        const at = row.indexOf(': ');
        if (row.startsWith('Status: ')) status = Number(row.slice(8, 11));
        else response.setHeader(row.slice(0, at), row.slice(at + 2));
      }
      response.writeHead(status);
      send(rest);
    });
    child.stdout.on('end', () => response.end());
    function send(chunk: Buffer): void {
      counters.down += chunk.length;
      response.write(chunk);
    }
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.unref();
  return {
    base: `http://127.0.0.1:${port}/acme/`,
    port,
    dir: join(dir, 'acme'),
    counters,
    reset: () => Object.assign(counters, { requests: 0, down: 0, up: 0, authorization: [] }),
    async create(name, format = 'sha1') {
      const path = join(dir, 'acme', `${name}.git`);
      await createRepository(path, { format, partial });
      return path;
    },
    answer: (name, handler) => void special.set(name, handler),
    before: (name, handler) => void meanwhile.set(name, handler),
    async stop() {
      server.closeAllConnections();
      server.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** An empty bare repository as a server keeps it, with `partial` as in GitServerOptions. */
export async function createRepository(
  path: string,
  { format = 'sha1', partial = true }: { format?: 'sha1' | 'sha256'; partial?: boolean },
): Promise<void> {
  const init = ['init', '--quiet', '--bare', '--template=', '--initial-branch=main', `--object-format=${format}`];
  await run('git', [...init, path]);
  const settings = [
    '[http]\n\treceivepack = true',
    '[receive]\n\tdenyDeleteCurrent = ignore', // a forge lets people choose another main branch first
    `[uploadpack]\n\tallowFilter = ${partial}\n\tallowAnySHA1InWant = ${partial}`,
    '',
  ];
  await appendFile(join(path, 'config'), settings.join('\n'));
}
