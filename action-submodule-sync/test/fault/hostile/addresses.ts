import { expect } from 'vitest';
import { type Part, REFUSED, type Row } from './ground.js';

/** Addresses that a pull request may write. None of them may be asked, and nothing of them may be executed. */
export const addresses: Part[] = [
  ['an option for git', ({ place }) => `--upload-pack=${place.trap}`],
  ['a short option for git', ({ place }) => `-u${place.trap}`],
  ['the ext:: transport', ({ place }) => `ext::${place.trap} %S`],
  ['the ext:: transport without spaces', ({ place }) => `ext::${place.trap}`],
  ['the fd:: transport', () => 'fd::0,1'],
  ['a remote helper named by ::', ({ otherHost }) => `http::${otherHost}`],
  ['a file address', ({ place }) => `file://${place.folder}`],
  ['a path', ({ place }) => place.folder],
  ['the git protocol', ({ otherHost }) => otherHost.replace('http:', 'git:')],
  ['an SSH host that is an option', ({ place }) => `ssh://-oProxyCommand=${place.trap}/x`],
  ['an SSH user that is an option', ({ place }) => `ssh://-oProxyCommand=${place.trap}@127.0.0.1/x`],
  ['a host:path whose host is an option', ({ place }) => `-oProxyCommand=${place.trap}:x`],
  ['a user@host:path whose host is an option', ({ place }) => `git@-oProxyCommand=${place.trap}:x`],
  ['a host:path whose path is an option', ({ place }) => `127.0.0.1:--upload-pack=${place.trap}`],
  ['a user and password', ({ alm, word }) => `${alm.replace('//', '//me:pass@')}${word}.git`],
  [
    'the host of alm as user of another one',
    ({ alm, otherHost }) => otherHost.replace('//', `//${new URL(alm).host}@`),
  ],
  ['the host of alm before a #', ({ alm, otherHost }) => `${alm}#@${otherHost.slice(7)}`],
  ['the host of alm before a ?', ({ alm, otherHost }) => `${alm}?@${otherHost.slice(7)}`],
  ['a newline', ({ alm, word }) => `${alm}${word}\nhost=localhost`],
  ['a newline, percent-encoded, in the host', ({ otherHost }) => otherHost.replace('localhost', 'local%0ahost')],
  ['a carriage return', ({ alm, word }) => `${alm}${word}\r`],
  ['a tab', ({ alm, word }) => `${alm}\t${word}`],
  ['a NUL-like escape in the host', ({ otherHost }) => otherHost.replace('localhost', 'localhost%00')],
  ['backslashes', ({ otherHost }) => otherHost.replaceAll('/', '\\')],
  ['a backslash before the host of alm', ({ alm, otherHost }) => `${otherHost.slice(0, -1)}\\@${alm.slice(7)}`],
  ['a percent-encoded host', ({ otherHost }) => otherHost.replace('localhost', '%6cocalhost')],
  ['another host', ({ otherHost }) => `${otherHost}x.git`],
  ['another port of the same host', ({ otherPort }) => `${otherPort}x.git`],
  ['the metadata service of a cloud', () => 'http://169.254.169.254/latest/meta-data/'],
  ['the metadata service in one number', () => 'http://2852039166/latest/meta-data/'],
  ['a loopback address in IPv6', ({ otherPort }) => otherPort.replace('127.0.0.1', '[::ffff:127.0.0.1]')],
  ['a loopback address in hexadecimal', ({ otherPort }) => otherPort.replace('127.0.0.1', '0x7f000001')],
  ['https where alm is http', ({ alm, word }) => `${alm.replace('http:', 'https:')}${word}.git`],
  [
    'the address of alm without //, which is an SSH host called http',
    ({ alm, word }) => `${alm.replace('//', '')}${word}.git`,
  ],
  ['an address without a scheme', ({ otherHost }) => otherHost.replace('http:', '')],
  ['more ../ than folders', ({ otherHost }) => `../../../${otherHost.slice(7)}`],
  ['.. by itself', () => '..'],
  ['3,000 characters', ({ alm }) => `${alm}${'x'.repeat(3000)}`],
  ['a letter that looks like another', ({ otherHost }) => otherHost.replace('localhost', 'loc\u0430lhost')],
];

/** Addresses that may be asked, but must not get the token. */
export const tokenless: Row[] = [
  [
    'another host, plain http, though the host is allowed',
    ({ otherHost }) => ({ url: `${otherHost}x.git`, inputs: { 'allow-hosts': 'localhost' }, told: REFUSED }),
  ],
  [
    'a host that is allowed, which gets no token',
    ({ otherHost }) => ({
      url: `${otherHost.replace('http:', 'https:')}x.git`,
      inputs: { 'allow-hosts': 'localhost' },
      told: REFUSED,
      welcome: true,
    }),
  ],
  ...['../other/', '%2e%2e/other/', './/../other/'].map(
    (way): Row => [
      `${way} out of the base, which takes no token along`,
      (trap) => {
        const asked: string[] = [];
        trap.answers((request, response) => {
          asked.push(`${request.url} ${request.headers.authorization}`);
          response.writeHead(404).end();
        });
        return {
          url: `${trap.alm}${way}${trap.word}.git`,
          told: REFUSED,
          also: () => {
            for (const each of asked.filter((one) => one.startsWith('/other/'))) expect(each).toContain('undefined');
          },
        };
      },
    ],
  ),
];
