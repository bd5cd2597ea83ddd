import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { constants, deflateRawSync, gzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { band, endless, flush, forward, type Handler, pkt, reply, version2 } from './fake-git.js';
import { ABSENT, bareOnAlm, entry, forge, ground, REFUSED, type Row, remotes } from './ground.js';

const exec = promisify(execFile);

/** What a server may answer to any question at once. */
export const answers: [title: string, handler: Handler][] = [
  ['a login page with 200', (_, response) => reply(response, 'text/html', '<html><form>Sign in</form></html>')],
  ['an empty answer with 200', (_, response) => reply(response, 'application/x-git-upload-pack-advertisement', '')],
  ['401 without a challenge', (_, response) => void response.writeHead(401).end()],
  [
    '401 with a challenge',
    (_, response) => void response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end(),
  ],
  [
    '401 with a challenge for tickets',
    (_, response) => void response.writeHead(401, { 'WWW-Authenticate': 'Negotiate' }).end(),
  ],
  ['403', (_, response) => void response.writeHead(403).end('no')],
  ['404', (_, response) => void response.writeHead(404).end('no')],
  ['429', (_, response) => void response.writeHead(429, { 'Retry-After': '1' }).end('no')],
  ['500', (_, response) => void response.writeHead(500).end('no')],
  ['503', (_, response) => void response.writeHead(503).end('no')],
  ['599', (_, response) => void response.writeHead(599).end('no')],
  [
    'garbage',
    (_, response) => reply(response, 'application/x-git-upload-pack-advertisement', Buffer.alloc(5000, 0x8f)),
  ],
  ['garbage instead of HTTP', ({ socket }) => void socket.end('\x16\x03\x01 this is no HTTP\r\n\r\n')],
  [
    'half an answer',
    (_, response) => {
      response.writeHead(200, {
        'Content-Type': 'application/x-git-upload-pack-advertisement',
        'Content-Length': 5000,
      });
      response.write(pkt('# service=git-upload-pack\n'), () => setTimeout(() => response.destroy(), 50));
    },
  ],
  ['a reset', ({ socket }) => void socket.resetAndDestroy()],
  [
    'a header without end',
    (_, response) => {
      const more = () => response.socket?.write(`X-Row: ${'x'.repeat(8000)}\r\n`);
      response.socket?.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => more() === undefined && clearInterval(timer), 1);
      response.socket?.on('error', () => {}).on('close', () => clearInterval(timer));
    },
  ],
  [
    'a branch that points at nothing',
    version2({ refs: [['refs/heads/main', ABSENT]], fetch: [band(3, 'not our ref'), flush] }),
  ],
  ['a branch whose name is an option', version2({ refs: [['--upload-pack=x', ABSENT]], fetch: [flush] })],
  ['a hash that is none', version2({ refs: [['refs/heads/main', '$(touch x)']], fetch: [flush] })],
  [
    'a pack that is corrupt',
    version2({
      refs: [['refs/heads/main', ABSENT]],
      fetch: [
        pkt('packfile\n'),
        band(1, Buffer.concat([Buffer.from('PACK\0\0\0\x02\0\0\0\x01'), Buffer.alloc(2000, 7)])),
        flush,
      ],
    }),
  ],
  [
    'a pack without objects',
    version2({
      refs: [['refs/heads/main', ABSENT]],
      fetch: [
        pkt('packfile\n'),
        band(
          1,
          Buffer.from(
            'PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e',
            'latin1',
          ),
        ),
        flush,
      ],
    }),
  ],
  [
    'addresses of packs elsewhere',
    version2({
      refs: [['refs/heads/main', ABSENT]],
      fetch: [pkt('packfile-uris\n'), pkt(`${ABSENT} http://localhost:1/pack\n`), pkt('0001'), flush],
    }),
  ],
  [
    'an error message full of escapes',
    version2({
      refs: [['refs/heads/main', ABSENT]],
      fetch: [pkt('ERR \u001b[2K\r\n::set-output name=result::pushed\nResult: pushed')],
    }),
  ],
  [
    'progress messages that look like rows',
    version2({
      refs: [['refs/heads/main', ABSENT]],
      fetch: [
        pkt('packfile\n'),
        band(2, '\u001b[2K\rResult: pushed\n::add-mask::x\n##[add-path]/tmp\n'),
        band(3, 'no'),
      ],
    }),
  ],
];

/** Of what a push asks, that which is sent elsewhere. */
const pushes: [title: string, isMeant: (url?: string) => boolean][] = [
  ['the question before a push', (url = '') => url.includes('service=git-receive-pack')],
  ['the POST of a push', (url = '') => url.endsWith('/git-receive-pack')],
];

/** What a server may answer. */
export const replies: Row[] = [
  [
    'silence',
    ({ answers }) => ({ url: answers(() => {}), inputs: { 'max-time': '2s' }, told: REFUSED, within: 15_000 }),
  ],
  [
    'silence, until the run is cancelled: then at once nothing is left',
    ({ answers }) => {
      let begun = () => {};
      const stopWhen = new Promise<void>((done) => {
        begun = done;
      });
      const url = answers(() => void setTimeout(begun, 300));
      return {
        gitmodules: ['x', 'y', 'z'].map((path) => entry(path, url)).join(''),
        pins: { x: ground.lib, y: ground.lib, z: ground.lib },
        inputs: { parallel: '1', 'max-time': '60s', grace: '10m' },
        stopWhen,
        says: /Error: Cancelled by SIGTERM/,
        within: 8000,
      };
    },
  ],
  [
    'an answer of one byte in 0.2 s',
    ({ answers }) => ({ url: answers(endless('0', 200)), inputs: { 'max-time': '2s' }, told: REFUSED, within: 15_000 }),
  ],
  [
    '1 GB',
    ({ answers }) => ({
      url: answers(endless(Buffer.alloc(1024 * 1024, 'x'), 0, 1024)),
      inputs: { 'max-megabytes': '1', 'max-time': '20s' },
      told: REFUSED,
      says: /too large|took too long/,
      within: 40_000,
    }),
  ],
  [
    '1 GB of pack',
    ({ answers }) => ({
      url: answers(
        version2({
          refs: [['refs/heads/main', ABSENT]],
          fetch: (_, response) => {
            response.writeHead(200, { 'Content-Type': 'application/x-git-upload-pack-result' });
            // A blob of 60 GB that cannot be compressed, stored as it is.
            const header = Buffer.from([
              ...Buffer.from('PACK\0\0\0\x02\0\0\0\x01'),
              0xb0,
              0x80,
              0x80,
              0x80,
              0x80,
              0x7f,
              0x78,
              0x01,
            ]);
            response.write(Buffer.concat([pkt('packfile\n'), band(1, header)]));
            const stored = Buffer.concat([Buffer.from([0, 0xff, 0x7f, 0, 0x80]), Buffer.alloc(0x7fff, 0x5a)]);
            endless(band(1, stored), 0, 32 * 1024)(_, response);
          },
        }),
      ),
      inputs: { 'max-megabytes': '2', 'max-time': '20s' },
      told: REFUSED,
      says: /too large/,
      within: 30_000,
    }),
  ],
  [
    'progress messages without end',
    ({ answers }) => ({
      url: answers(
        version2({
          refs: [['refs/heads/main', ABSENT]],
          fetch: (_, response) => {
            response.writeHead(200, { 'Content-Type': 'application/x-git-upload-pack-result' });
            response.write(pkt('packfile\n'));
            endless(band(2, `${'Counting '.repeat(1000)}\n`), 5)(_, response);
          },
        }),
      ),
      inputs: { 'max-time': '2s' },
      told: REFUSED,
      within: 15_000,
    }),
  ],
  [
    'a gzip bomb',
    ({ answers }) => ({
      url: answers((request, response) => {
        response.writeHead(200, {
          'Content-Type': 'application/x-git-upload-pack-advertisement',
          'Content-Encoding': 'gzip',
        });
        response.write(gzipSync('').subarray(0, 10));
        // A megabyte of nothing in a kilobyte, which needs nothing of what came before.
        const piece = deflateRawSync(Buffer.alloc(1024 * 1024), { finishFlush: constants.Z_SYNC_FLUSH });
        endless(piece, 0)(request, response);
      }),
      inputs: { 'max-megabytes': '1', 'max-time': '20s' },
      told: REFUSED,
      says: /too large|took too long/,
      within: 40_000,
    }),
  ],
  [
    'a gzip that is none',
    ({ answers }) => ({
      url: answers((_, response) => {
        response.writeHead(200, {
          'Content-Type': 'application/x-git-upload-pack-advertisement',
          'Content-Encoding': 'gzip',
        });
        response.end(gzipSync('0000').subarray(0, 12));
      }),
      told: REFUSED,
    }),
  ],
  [
    '200,000 branches, none of them with the commit',
    async () => {
      const dangling = await ground.world.git('many', 'commit-tree', '-m', 'dangling', 'HEAD^{tree}');
      const bare = bareOnAlm('many');
      await ground.world.git('many', 'push', '--quiet', bare, `${dangling}:refs/heads/gone`);
      await exec('git', ['-C', bare, 'update-ref', '-d', 'refs/heads/gone'], { env: ground.world.env });
      return {
        url: '../many.git',
        pins: { x: dangling },
        inputs: { 'max-time': '3s' },
        told: [],
        within: 30_000,
        also: ({ report }) => expect(report?.findings[0]?.state).toMatch(/COULD-NOT-CHECK|DANGLING/),
      };
    },
  ],
  [
    'the token, in an error page',
    ({ answers }) => ({
      url: answers((request, response) => {
        const header = request.headers.authorization ?? '';
        const login = Buffer.from(header.split(' ')[1] ?? '', 'base64').toString();
        reply(response, 'text/plain', `Bad login ${header} ${login} ${login.split(':')[1]}\n`, 403);
      }),
      told: REFUSED,
      says: /forbidden/,
    }),
  ],
  [
    'the token, in its own error message',
    ({ answers }) => ({
      url: answers((request, response) => {
        const header = request.headers.authorization ?? '';
        const login = Buffer.from(header.split(' ')[1] ?? '', 'base64').toString();
        reply(
          response,
          'application/x-git-upload-pack-advertisement',
          Buffer.concat([
            pkt('# service=git-upload-pack\n'),
            flush,
            pkt(`ERR ${header} ${login} ${login.split(':')[1]}`),
          ]),
        );
      }),
      told: REFUSED,
      says: /\*\*\*/,
    }),
  ],
  [
    'a list of files at another host, as an old server gives',
    ({ answers, otherHost }) => ({
      url: answers((request, response) => {
        if (request.url?.includes('info/refs')) return reply(response, 'text/plain', `${ABSENT}\trefs/heads/main\n`);
        if (request.url?.endsWith('/HEAD')) return reply(response, 'text/plain', 'ref: refs/heads/main\n');
        if (request.url?.endsWith('http-alternates')) return reply(response, 'text/plain', `${otherHost}\n`);
        response.writeHead(404).end();
      }),
      told: REFUSED,
    }),
  ],
  ...[301, 302, 303, 307, 308].map(
    (status): Row => [
      `${status} to another host`,
      ({ answers, otherHost }) => ({
        url: answers(
          (request, response) => void response.writeHead(status, { Location: `${otherHost}${request.url}` }).end(),
        ),
        told: REFUSED,
        says: /moved/,
      }),
    ],
  ),
  ...[301, 302, 307, 308].map(
    (status): Row => [
      `${status} to another host on the POST`,
      ({ answers, otherHost, word }) => ({
        url: answers((request, response) => {
          if (request.method === 'GET') return forward(word, 'botlib')(request, response);
          response.writeHead(status, { Location: `${otherHost}${request.url}` }).end();
        }),
        told: REFUSED,
        says: /moved/,
      }),
    ],
  ),
  [
    '302 to itself without end',
    ({ answers }) => ({
      url: answers((request, response) => void response.writeHead(302, { Location: `${request.url}&again` }).end()),
      told: REFUSED,
      says: /moved/,
    }),
  ],
  ...pushes.map(
    ([title, isMeant]): Row => [
      `307 to another host on ${title}`,
      (trap) => {
        const { word, otherHost } = trap;
        const url = trap.answers((request, response) => {
          const away = request.headers.host?.endsWith(`:${ground.world.homes.alm?.http?.port}`) && isMeant(request.url);
          if (!away) return forward(word, 'lag')(request, response);
          response.writeHead(307, { Location: `${otherHost}${request.url}` }).end();
        });
        return {
          url,
          pins: { x: ground.leading },
          inputs: { remotes: remotes('alm', 'origin'), push: 'alm' },
          told: ['x alm: LAGGING'],
          also: async ({ report }) => {
            expect(report?.pushed.map(({ result }) => result)).toEqual(['refused']);
            expect(await ground.world.holds('alm', 'lag', ground.leading)).toBe(false);
          },
        };
      },
    ],
  ),
  [
    'an API of the forge that sends comments to another host',
    ({ word, otherHost }) => {
      const { env } = forge(
        word,
        (request, response) => void response.writeHead(307, { Location: `${otherHost}${request.url}` }).end(),
      );
      return {
        url: '../botlib.git',
        pins: { x: ABSENT },
        inputs: { comment: 'true' },
        env,
        told: ['x alm: MISSING'],
        says: /was not written/,
      };
    },
  ],
];
