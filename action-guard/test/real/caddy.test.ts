import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { installMissing } from '../../../testbed/systemd.js';
import type { CaddyAnswers } from '../../src/formats/answers.js';
import { type CaddyConfig, readCaddy } from '../../src/formats/caddy-config.js';
import { askCaddy } from '../../src/tools/caddy.js';
import { type Tree, treeOf } from '../../src/tree.js';

// The real Caddy is the judge here: whether it takes a file, its hosts and its storage.
const files = 500;

const pick = <T>(...of: T[]) => fc.constantFrom(...of);
const word = fc.constantFrom('app', 'api', 'mail', 'chat', 'docs', 'Portal', 'drive', 'xn--bcher-kva', 'a.b', 'www');

const address = fc
  .record({
    scheme: pick('', '', '', '', 'http://', 'https://'),
    name: word,
    number: fc.nat(60),
    wild: fc.boolean(),
    port: pick('', '', '', '', '', '', '', '', ':8443', ':443', ':80', ':9000', ':99999', ':x'),
    path: pick('', '', '', '', '', '/sub'),
    special: fc.nat(90),
  })
  .map(({ scheme, name, number, wild, port, path, special }) => {
    if (special === 0) return 'localhost';
    if (special === 1) return ':8080';
    if (special === 2) return '127.0.0.1:8081';
    if (special === 3) return '{$DOMAIN:fallback.example.com}';
    if (special === 4) return '{$NOPE}';
    if (special === 5) return '"quoted.example.com"';
    if (special === 6) return '`ticked.example.com`';
    if (special === 7) return '.example.com';
    if (special === 8) return 'a.*.example.com';
    if (special === 9) return '[::1]:8082';
    if (special === 10) return 'http://';
    return `${scheme}${wild && number % 7 === 0 ? '*.' : ''}${name}${number}.example.com${number % 3 ? '' : port}${number % 5 ? '' : path}`;
  });

const keys = fc
  .tuple(fc.array(address, { minLength: 1, maxLength: 3 }), pick(', ', ',\n', ' ', ', '), fc.nat(60))
  .map(([list, between, odd]) => list.join(odd === 0 ? ',' : between));

const line = fc.oneof(
  {
    weight: 40,
    arbitrary: pick(
      'reverse_proxy localhost:5858',
      'reverse_proxy 10.0.0.2:80 10.0.0.3:80',
      'reverse_proxy /api/* localhost:5859',
      'reverse_proxy http://10.0.0.5:9000 {\n\t\theader_up Host {host}\n\t\theader_up X-Real-IP {remote}\n\t}',
      'respond "it } is { fine" 200',
      'respond `back "tick" #1`',
      'respond a#b # a comment with { and "',
      '# import nothing.caddy',
      'redir https://www.example.com{uri} permanent',
      'root * /var/www',
      'file_server browse',
      'encode gzip zstd',
      'header {\n\t\tX-Frame-Options "DENY"\n\t\t-Server\n\t}',
      'tls internal',
      'tls admin@example.com',
      'tls /etc/cert.pem /etc/key.pem',
      'log',
      'log {\n\t\toutput file /opt/gbo/logs/access.log {\n\t\t\troll_size 10MiB\n\t\t}\n\t\tformat json\n\t}',
      'log {\n\t\toutput file /opt/gbo/logs/other.log\n\t\tformat console\n\t\tlevel ERROR\n\t}',
      'skip_log /health',
      '@post {\n\t\tmethod POST\n\t\tpath /x /y\n\t}\n\treverse_proxy @post localhost:1',
      '@get `{method} == "GET"`\n\treverse_proxy @get localhost:2',
      'handle /a/* {\n\t\treverse_proxy localhost:3\n\t}\n\thandle {\n\t\trespond "none" 404\n\t}',
      'handle_path /strip/* {\n\t\tfile_server\n\t}',
      'route {\n\t\t@in path /in\n\t\trespond @in in\n\t}',
      'import common',
      'import proxy localhost:77',
      'import "sites/*.inc"',
      'import nothing/*.caddy',
      'respond \\\n\t\tcontinued',
      'bind 127.0.0.1',
      'php_fastcgi unix//run/php.sock',
      'handle_errors {\n\t\trespond "sorry" 500\n\t}',
    ),
  },
  {
    weight: 1,
    arbitrary: pick(
      'reverse_proxy https://10.0.0.2/path',
      'reverse_proxy https://10.0.0.2:80',
      'reverse_proxy localhost:1 {\n\t\tnonsense\n\t}',
      'reverse_proxy @undefined localhost:1',
      'reverse_proxy localhost:1 }',
      'reverse_proxy {\n\t\tto localhost:1',
      'nonsense',
      'storage file_system /x',
      'import missing.caddy',
      'import *x*',
      'import',
      'import self',
      'respond',
      'respond a b c',
      'redir',
      'redir /x 500',
      'root * /a /b',
      'file_server nonsense',
      'encode nonsense',
      'tls',
      'tls nonsense',
      'tls a b c',
      'tls {\n\t\tnonsense\n\t}',
      'log {\n\t\tnonsense\n\t}',
      'log {\n\t\toutput file\n\t}',
      'log {\n\t\toutput nonsense\n\t}',
      'log {\n\t\tformat nonsense\n\t}',
      'log a b',
      '@m path /a\n\t@m path /b',
      '@m nonsense /a',
      'handle /a /b {\n\t\trespond ok\n\t}',
      'handle {\n\t\tnonsense\n\t}',
      'handle_path {\n\t\trespond ok\n\t}',
      'handle_path a {\n\t\trespond ok\n\t}',
      '}',
      '{',
      'respond "never closed',
      'respond { x }',
    ),
  },
);

const goodGlobal = pick(
  '',
  '',
  '{\n\tstorage file_system {\n\t\troot /opt/gbo/data/caddy\n\t}\n}\n',
  '{\n\tstorage file_system /opt/gbo/data/caddy\n\temail admin@example.com\n}\n',
  '{\n\temail admin@example.com\n\tstorage file_system "/opt/gbo/with space"\n\tadmin off\n}\n',
  '{\n\tdebug\n\tlog {\n\t\toutput file /opt/gbo/logs/caddy.log\n\t}\n\tstorage file_system {$ROOT:/srv/caddy}\n}\n',
  '# a comment\n\n{\n\thttp_port 8080\n\thttps_port 8443\n\tstorage file_system relative/root\n}\n',
  '{\n\tlocal_certs\n\tauto_https disable_redirects\n}\n',
  '{\n\tservers {\n\t\tprotocols h1 h2\n\t}\n\tlog default {\n\t\tformat console\n\t}\n\tlog other {\n\t\tinclude http.log.access\n\t}\n}\n',
  '{\n}\n',
);

const badGlobal = pick(
  '{\n\tstorage file_system\n}\n',
  '{\n\tstorage file_system {\n\t\troot {$NOPE}\n\t}\n}\n',
  '{\n\tstorage file_system /a {\n\t\troot /b\n\t}\n}\n',
  '{\n\tstorage\n}\n',
  '{\n\temail\n}\n',
  '{\n\tauto_https nonsense\n}\n',
  '{\n\thttp_port nonsense\n}\n',
  '{\n\tnonsense\n}\n',
  '{\n\tlog a\n\tlog a\n}\n',
);

const global = fc.oneof({ weight: 9, arbitrary: goodGlobal }, { weight: 1, arbitrary: badGlobal });

const site = fc
  .record({ keys, lines: fc.array(line, { maxLength: 4 }), end: fc.nat(50) })
  .map(({ keys: names, lines, end }) => {
    const open = end === 0 ? `${names}{` : end === 1 ? `${names}, {` : `${names} {`;
    return `${open}\n${lines.map((each) => `\t${each}\n`).join('')}${end === 2 ? '' : '}'}\n`;
  });

const snippets =
  '(common) {\n\theader X-Common 1\n\tlog\n}\n(proxy) {\n\treverse_proxy {args.0}\n}\n(self) {\n\timport self\n}\n';

const caddyfile = fc
  .record({ global, sites: fc.array(site, { minLength: 1, maxLength: 4 }), kind: fc.nat(60), crlf: fc.nat(10) })
  .map(({ global: options, sites, kind, crlf }) => {
    const [first] = sites;
    let text = `${options}${snippets}${sites.join('\n')}`;
    if (kind === 0) text = `${snippets}${sites.join('\n')}${options}`;
    if (kind === 1) text = `${options}${snippets}${sites.join('\n')}${first}`;
    if (kind === 2) text = 'only.example.com\nrespond ok\n';
    if (kind === 3)
      text = 'one.example.com, two.example.com\nreverse_proxy localhost:1\n\nthree.example.com\nrespond ok\n';
    if (kind === 4) text = text.slice(0, text.length - 3);
    if (kind === 5) text = text.replace('}', '');
    if (kind === 6) text = `${text}${snippets}`;
    if (kind === 7) text = `\uFEFF${text}`;
    if (kind === 8) text = text.slice(0, text.length >> 1);
    return crlf === 0 ? text.replaceAll('\n', '\r\n') : text;
  })
  // One host under two policies of certificates: how Caddy joins such policies differs by version, so it is not modelled.
  .filter((text) => !hasTwoPolicies(readCaddy(treeOf({ Caddyfile: text }), 'Caddyfile', { environment: {} })));

function hasTwoPolicies({ blocks }: CaddyConfig): boolean {
  const policies = new Map<string, string>();
  return blocks.some(({ sites, tls }) =>
    sites.some(({ host }) => {
      const own = JSON.stringify(tls);
      const other = policies.get(host) ?? own;
      policies.set(host, own);
      return other !== own;
    }),
  );
}

/** Addresses by listener, as Caddy makes routes of them. */
function hostsOf(config: CaddyConfig): string[] {
  const hosts = config.blocks.flatMap(({ sites, bind }) => {
    const listeners = new Map<string, string[]>();
    for (const { host, port, scheme } of sites) {
      const listener = port || (scheme === 'http' ? config.httpPort : config.httpsPort);
      for (const address_ of bind.length > 0 ? bind : [''])
        listeners.set(`${address_} ${listener}`, [...(listeners.get(`${address_} ${listener}`) ?? []), host]);
    }
    return [...listeners.values()].filter((group) => !group.includes('')).flat();
  });
  return [...new Set(hosts)].sort();
}

describe('the own reader of Caddyfiles says what caddy adapt says', () => {
  let tree: Tree;
  let paths: string[];
  let answers: CaddyAnswers | undefined;

  beforeAll(async () => {
    await installMissing(['caddy']);
    const texts = fc.sample(caddyfile, { numRuns: files, seed: Number(process.env.CADDY_SEED ?? 20_250) });
    const written = Object.fromEntries(
      texts.flatMap((text, index) => [
        [`${index}/Caddyfile`, text],
        [`${index}/sites/x.inc`, 'header X-Included 1\n'],
      ]),
    );
    tree = treeOf(written);
    paths = texts.map((_, index) => `${index}/Caddyfile`);
    answers = await askCaddy(tree, paths);
  });

  it(`on ${files} generated files: accepted or refused, hosts, storage`, () => {
    if (!answers) throw new Error('caddy is not installed');
    const counts = { accepted: 0, refused: 0, notAsked: 0, dependsOnVersion: 0 };
    const differing: string[] = [];
    for (const path of paths) {
      const answer = answers[path];
      const config = readCaddy(tree, path, { environment: {} });
      const refused = config.problems.filter(({ status }) => status === 'fail');
      if (!answer?.asked) {
        counts.notAsked++;
        continue;
      }
      if (config.problems.some(({ status, kind }) => status === 'unknown' && kind === 'syntax')) {
        counts.dependsOnVersion++;
        continue;
      }
      counts[answer.accepted ? 'accepted' : 'refused']++;
      const told = {
        accepted: refused.length === 0,
        ...(answer.accepted && refused.length === 0
          ? {
              hosts: hostsOf(config),
              storage: config.storage && { module: config.storage.module, root: config.storage.root },
            }
          : {}),
      };
      const real = {
        accepted: answer.accepted,
        ...(answer.accepted && refused.length === 0 ? { hosts: answer.hosts, storage: answer.storage } : {}),
      };
      if (JSON.stringify(told) !== JSON.stringify(real))
        differing.push(
          `${path}: own ${JSON.stringify(told)} ${JSON.stringify(refused)}, caddy ${JSON.stringify(answer)}\n${tree.file(path)?.text}`,
        );
    }
    console.log('caddy adapt:', counts);
    expect(differing.slice(0, 3).join('\n---\n')).toBe('');
    expect(counts.accepted).toBeGreaterThanOrEqual(100);
    expect(counts.refused).toBeGreaterThanOrEqual(50);
  });
});

describe('asking caddy adapt', () => {
  it('does not show it what would have it read files of this machine', async () => {
    const shy = {
      absolute: 'import /etc/hostname\na.example.com {\n}\n',
      outside: 'import ../../../etc/hostname\na.example.com {\n}\n',
      argument: '(s) {\n\timport {args.0}\n}\na.example.com {\n\timport s /etc/hostname\n}\n',
      directive: '(s) {\n\t{args.0} /etc/hostname\n}\na.example.com {\n\timport s import\n}\n',
      default: '{$X:import} /etc/hostname\n',
      quoted: 'a.example.com {\n\t"import" `/etc/hostname`\n}\n',
      certificate:
        'a.example.com {\n\ttls {\n\t\tclient_auth {\n\t\t\ttrusted_ca_cert_file /etc/ssl/x.pem\n\t\t}\n\t}\n}\n',
      bomb: `(s0) {\n\trespond ok\n}\n${Array.from({ length: 30 }, (_, index) => `(s${index + 1}) {\n\timport s${index}\n\timport s${index}\n}\n`).join('')}a.example.com {\n\timport s30\n}\n`,
    };
    const answers = await askCaddy(treeOf(shy), Object.keys(shy));
    for (const path of Object.keys(shy)) expect([path, answers?.[path]?.asked]).toEqual([path, false]);
  });

  it('says where it found what, and what it cannot read', async () => {
    const answers = await askCaddy(
      treeOf({
        'conf/config': 'import sites/*\n',
        'conf/sites/a': 'a.example.com {\n\tlog {\n\t\toutput file /x.log\n\t}\n}\nb.example.com {\n}\n',
        bad: '\na.example.com {\n\tnonsense\n}\n',
        'in/bad': 'import deep/bad\n',
        'in/deep/bad': 'a.example.com {\n\n\tnonsense\n}\n',
      }),
      ['conf/config', 'bad', 'in/bad'],
    );
    expect(answers?.['conf/config']).toMatchObject({
      accepted: true,
      hosts: ['a.example.com', 'b.example.com'],
      skipped: ['b.example.com'],
      noLog: false,
      writers: [{ filename: '/x.log' }],
    });
    expect(answers?.bad).toMatchObject({ accepted: false, path: 'bad', line: 3 });
    expect(answers?.['in/bad']).toMatchObject({ accepted: false, path: 'in/deep/bad', line: 3 });
  });

  it('is undefined without a caddy', async () => {
    expect(await askCaddy(treeOf({ a: 'a\n' }), ['a'], { binary: 'no-such-caddy' })).toBeUndefined();
  });
});
