import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A row of git's protocol: its length in four hexadecimal digits, then the text. */
export function pkt(text: string | Buffer): Buffer {
  const data = Buffer.from(text);
  return Buffer.concat([Buffer.from((data.length + 4).toString(16).padStart(4, '0')), data]);
}

export const flush = Buffer.from('0000');

/** A piece of the answer to fetch: 1 pack, 2 progress, 3 error. */
export const band = (number: 1 | 2 | 3, data: string | Buffer) =>
  pkt(Buffer.concat([Buffer.from([number]), Buffer.from(data)]));

const advertisement = Buffer.concat([
  pkt('# service=git-upload-pack\n'),
  flush,
  ...['version 2\n', 'agent=acme\n', 'ls-refs=unborn\n', 'fetch=shallow filter\n', 'object-format=sha1\n'].map(pkt),
  flush,
]);

/** A server of protocol version 2 that says what it is told to say. */
export function version2({ refs, fetch }: { refs: [name: string, sha: string][]; fetch: Buffer[] | Handler }): Handler {
  return async (req, res) => {
    if (req.method === 'GET') return void reply(res, 'application/x-git-upload-pack-advertisement', advertisement);
    const question = await bodyOf(req);
    const result = 'application/x-git-upload-pack-result';
    if (question.includes('command=ls-refs'))
      return void reply(res, result, Buffer.concat([...refs.map(([name, sha]) => pkt(`${sha} ${name}\n`)), flush]));
    if (typeof fetch === 'function') return void fetch(req, res);
    reply(res, result, Buffer.concat(fetch));
  };
}

export function reply(response: ServerResponse, type: string, body: string | Buffer, status = 200): void {
  response.writeHead(status, { 'Content-Type': type }).end(body);
}

export async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return (req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString('latin1');
}

/** Passes a request on to the real repository `to` of the same server. */
export function forward(from: string, to: string): Handler {
  return (req, res) => {
    const [host, port] = (req.headers.host ?? '').split(':');
    const path = req.url?.replace(`/${from}`, `/${to}`);
    const onward = request({ host, port, path, method: req.method, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(res);
    });
    onward.on('error', () => res.destroy());
    req.pipe(onward);
  };
}

/** Another host (by its name, and by its port), which writes down what it is asked, and offers a repository. */
export interface Stranger {
  readonly port: number;
  /** Requests whose path holds this word: `METHOD path` and headers. */
  asked(word: string): string[];
  /** Everything that was ever sent to it. */
  everything(): string;
  answer(word: string, handler: Handler): void;
  stop(): void;
}

export async function startStranger(): Promise<Stranger> {
  const requests: { path: string; text: string }[] = [];
  const special = new Map<string, Handler>();
  const server = createServer(async (req, res) => {
    const path = req.url ?? '';
    const record = { path, text: `${req.method} ${path} ${JSON.stringify(req.rawHeaders)}` };
    requests.push(record);
    const handler = [...special].find(([word]) => path.includes(word))?.[1];
    if (handler) return handler(req, res);
    record.text += ` ${await bodyOf(req).catch(() => '')}`;
    res.writeHead(401, { 'WWW-Authenticate': 'Basic realm="acme"' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    asked: (word) => requests.filter(({ path }) => path.includes(word)).map(({ text }) => text),
    everything: () => requests.map(({ text }) => text).join('\n'),
    answer: (word, handler) => void special.set(word, handler),
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Sends the same piece again and again, `count` times or for ever. */
export function endless(piece: string | Buffer, pauseMs: number, count = Number.POSITIVE_INFINITY): Handler {
  return async (_, response) => {
    let open = true;
    response.on('close', () => {
      open = false;
    });
    response.on('error', () => {});
    if (!response.headersSent)
      response.writeHead(200, { 'Content-Type': 'application/x-git-upload-pack-advertisement' });
    for (let number = 0; open && number < count; number++) {
      if (!response.write(piece))
        await Promise.race([
          new Promise((done) => response.once('drain', done)),
          new Promise((done) => response.once('close', done)),
        ]);
      if (pauseMs > 0) await sleep(pauseMs);
    }
    response.end();
  };
}
