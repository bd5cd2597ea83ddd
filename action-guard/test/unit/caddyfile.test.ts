import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { upstreamProblem } from '../../src/formats/caddy-address.js';
import { readCaddy, sitesOf } from '../../src/formats/caddy-config.js';
import { at, tokenize } from '../../src/formats/caddy-tokens.js';
import { parse } from '../../src/formats/caddyfile.js';
import { parseNet } from '../../src/formats/cidr.js';
import { askZone, readZone } from '../../src/formats/zone-file.js';
import type { Family, Rule } from '../../src/rule.js';
import { domainsToResolve } from '../../src/rules/caddy/dead-domain.js';
import { caddy } from '../../src/rules/caddy/index.js';
import { dns } from '../../src/rules/dns/index.js';
import { treeOf } from '../../src/tree.js';
import { check } from './samples.js';

const words = (text: string, dialect: 'caddyfile' | 'corefile' = 'caddyfile', environment?: Record<string, string>) =>
  tokenize(text, 'f', { dialect, environment }).tokens.map((token) => {
    const { line, column } = at(token);
    return `${token.text}@${line}:${column}`;
  });

describe('words of a Caddyfile', () => {
  it.each<[string, string, string[]]>([
    ['a hash within a word is no comment', 'a#b #c\nd', ['a#b@1:1', 'd@2:1']],
    ['quotes hold spaces, braces and line breaks', '"a {\n b" c', ['a {\n b@1:1', 'c@2:5']],
    ['a quote is escaped by a backslash, nothing else is', '"a\\"b\\n"', ['a"b\\n@1:1']],
    ['backticks hold quotes', '`a "b" c` d', ['a "b" c@1:1', 'd@1:11']],
    ['a heredoc loses its margin', 'x <<END\n  a\n   b\n  END\ny', ['x@1:1', 'a\n b@1:3', 'y@5:1']],
    ['a backslash joins lines', 'a \\\n  b', ['a@1:1', 'b@2:3']],
    ['carriage returns are nothing', 'a\r\nb\r\n', ['a@1:1', 'b@2:1']],
    ['a byte order mark is nothing', '\uFEFFa', ['a@1:2']],
    ['a default stands in for a variable', 'a {$X:b c} d', ['a@1:1', 'b@1:3', 'c@1:3', 'd@1:12']],
    ['a variable without one stays', 'a{$X}b {$Y}', ['a{$X}b@1:1', '{$Y}@1:8']],
  ])('%s', (_, text, expected) => expect(words(text)).toEqual(expected));

  it('a variable that is set is read as its value', () => {
    expect(words('{$X} y', 'caddyfile', { X: 'a b' })).toEqual(['a@1:1', 'b@1:1', 'y@1:6']);
  });
});

describe('words of a Corefile', () => {
  it.each<[string, string, string[]]>([
    ['a hash is a comment even within a word', 'a#b\nc', ['a@1:1', 'c@2:1']],
    ['backticks are nothing special', '`a b`', ['`a@1:1', 'b`@1:4']],
    ['a backslash does not join lines', 'a \\\nb', ['a@1:1', '\\@1:3', 'b@2:1']],
    ['both spellings of variables stay', '{$A} {%B%}', ['{$A}@1:1', '{%B%}@1:6']],
  ])('%s', (_, text, expected) => expect(words(text, 'corefile')).toEqual(expected));
});

describe('what other families compare with', () => {
  const config = readCaddy(
    treeOf({
      Caddyfile: `{
	log {
		output file /opt/gbo/logs/caddy.log
		format json
	}
}
(up) {
	reverse_proxy {args[0]}
}
a.example.com, http://b.example.com:8080 {
	log {
		output file /opt/gbo/logs/access.log
		format console
	}
	handle /api/* {
		import up localhost:5858
	}
	reverse_proxy {
		to http://10.0.0.5:5859 unix//run/x.sock 10.0.0.6:8000-8003
	}
}
c.example.com {
	log
	reverse_proxy {$UP}
}
`,
    }),
    'Caddyfile',
  );

  it('addresses with their parts and places', () => {
    expect(
      sitesOf(config).map(
        ({ scheme, host, port, at: { line, column } }) => `${scheme}|${host}|${port}@${line}:${column}`,
      ),
    ).toEqual(['|a.example.com|@10:1', 'http|b.example.com|8080@10:16', '|c.example.com|@22:1']);
  });

  it('writers of logs: a log that says nothing has the default one', () => {
    expect(
      config.logs.map(({ scope, output, filename, format }) => `${scope} ${output} ${filename} ${format}`),
    ).toEqual([
      'global file /opt/gbo/logs/caddy.log json',
      'site file /opt/gbo/logs/access.log console',
      'site file /opt/gbo/logs/caddy.log json',
    ]);
  });
});

it.each<[upstream: string, problem: RegExp | undefined]>([
  ['localhost:5858', undefined],
  ['http://10.0.0.5:5859', undefined],
  ['unix//run/x.sock', undefined],
  ['10.0.0.6:8000-8003', undefined],
  ['{$UP}', undefined],
  ['http://{$UP}:80', /a scheme and a placeholder/],
  ['http://10.0.0.5:5859/path', /may have a scheme, a host and a port only/],
  ['http://10.0.0.5:ui', /ui is no port/],
  ['https://10.0.0.5:80', /https does not go with port 80/],
  ['http://10.0.0.5:443', /http does not go with port 443/],
])('an upstream %s', (upstream, problem) => expect(upstreamProblem(upstream) ?? '').toMatch(problem ?? /^$/));

it('a symbolic link is not followed', () => {
  const tree = treeOf({
    Caddyfile: 'import a.caddy\n',
    'a.caddy': { kind: 'link', text: '/etc/passwd' },
    Corefile: { kind: 'link', text: 'other' },
  });
  expect(readCaddy(tree, 'Caddyfile').problems).toMatchObject([{ status: 'unknown' }]);
  expect(parse(tree, 'Corefile', { dialect: 'corefile' }).problems).toMatchObject([{ status: 'unknown' }]);
});

it('asks DNS only about what no zone file answers', () => {
  const tree = treeOf({
    Caddyfile: 'a.example.com, b.example.org, http://c.example.org, *.example.org, {$X}, localhost {\n}\n',
    'example.com.zone': '@ SOA ns admin 1 1 1 1 1\n',
  });
  expect(domainsToResolve(tree, caddy.presets['guide-lxd'])).toEqual(['b.example.org']);
});

describe('networks as Go reads them', () => {
  it.each([
    ['10.1.2.3/8', '4 167772160 184549375'],
    ['::1', '6 1 1'],
    ['::ffff:10.0.0.1', '6 281470849515521 281470849515521'],
    ['2001:db8::/127', '6 42540766411282592856903984951653826560 42540766411282592856903984951653826561'],
    ['10.0.0', ''],
    ['010.0.0.1', ''],
    ['10.0.0.0/33', ''],
    ['1::2::3', ''],
    ['1:2:3:4:5:6:7:8:9', ''],
    ['', ''],
  ])('%s', (text, expected) => {
    const net = parseNet(text);
    expect(net ? `${net.family} ${net.low} ${net.high}` : '').toBe(expected);
  });
});

describe('names of a zone', () => {
  const zone = readZone(
    'db.example.com',
    `$TTL 1h
@ IN SOA ns1 admin ( 1 ; serial
	7200 3600
	1209600 3600 )
  IN NS ns1
ns1 300 IN A 192.0.2.1
	IN AAAA 2001:db8::1
Mail A 192.0.2.2
loop CNAME loop2
loop2 CNAME loop
out CNAME host.example.net.
sub NS ns.example.net.
*.w A 192.0.2.3
deep.x.w TXT "a ; b ( c"
`,
  );
  it.each([
    ['ns1.example.com', 'found'],
    ['mail.example.com', 'found'],
    ['example.com', 'none'],
    ['loop.example.com', 'none'],
    ['out.example.com', 'unknown'],
    ['a.sub.example.com', 'unknown'],
    ['a.w.example.com', 'found'],
    ['a.b.w.example.com', 'found'],
    ['x.w.example.com', 'none'],
    ['a.x.w.example.com', 'none'],
    ['other.example.com', 'none'],
    ['example.net', 'unknown'],
  ])('%s is %s', (name, expected) => expect(zone && askZone(zone, name)).toBe(expected));
});

describe('fixes', () => {
  const families = [caddy, dns] as unknown as Family[];
  const cases = families.flatMap((family) =>
    family.rules.flatMap((rule) =>
      rule.samples.bad.flatMap((sample) =>
        check(family, rule.id, sample)
          .filter(({ fix }) => fix)
          .map(({ fix }) => [rule.id, sample.name, family, sample, fix] as const),
      ),
    ),
  );

  it('are there for a missing storage and for an acl without an end', () => {
    expect(new Set(cases.map(([id]) => id))).toEqual(new Set(['caddy/storage', 'dns/acl-open']));
  });

  it.each(cases)('of %s mends: %s', (id, _, family, sample, fix) => {
    // What a real Caddy said was of the file before.
    expect(check(family, id, { ...sample, tools: {}, files: { ...sample.files, ...fix } })).toEqual([]);
  });
});

describe('any text at all', () => {
  const texts = [caddy, dns].flatMap((family) =>
    (family.rules as Rule<never>[]).flatMap(({ samples }) =>
      [...samples.good, ...samples.bad].flatMap(({ files }) =>
        Object.values(files).filter((text) => text.length < 1000),
      ),
    ),
  );
  const piece = fc.constantFrom(
    ...[
      '{',
      '}',
      '\n',
      ' ',
      '"',
      '`',
      '\\',
      '#',
      '{$X}',
      '{$X:',
      '<<A\n',
      'A',
      'import ',
      'import s\n',
      '(s) ',
      'a.com',
      ', ',
      '\r',
      '{%X%}',
    ],
    ...[
      'acl {\n',
      'block',
      'allow',
      ' type ',
      ' net ',
      '0.0.0.0/0',
      '\t',
      '{args[0]}',
      '{block}',
      'log',
      'tls ',
      '@m ',
      'storage ',
      ':',
      '/',
      '*',
    ],
  );
  const mutated = fc
    .tuple(
      fc.constantFrom(...texts),
      fc.array(fc.tuple(fc.nat(600), fc.nat(3), fc.oneof(piece, fc.string({ maxLength: 3, unit: 'binary' })))),
    )
    .map(([text, edits]) =>
      edits.reduce((now, [where, cut, put]) => {
        const start = now.length === 0 ? 0 : where % now.length;
        return now.slice(0, start) + put + now.slice(start + cut);
      }, text),
    );
  const random = fc.oneof(
    mutated,
    fc.array(piece, { maxLength: 60 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary' }),
  );

  it.each([
    ['Caddyfile', caddy as unknown as Family],
    ['Corefile', dns as unknown as Family],
  ])('as a %s breaks nothing, and every finding has its place in it', (path, family) => {
    fc.assert(
      fc.property(random, random, (text, other) => {
        const files: Record<string, string> = { [path]: text, 's.caddy': other, 'example.com.zone': other };
        const [head, base] = [treeOf(files), treeOf({ [path]: other })];
        for (const rule of family.rules) {
          const findings = rule.check({
            head,
            base,
            options: family.presets['guide-lxd'],
            tools: new Map(),
          });
          for (const { at: place, message } of findings) {
            const lines = (files[place.path] ?? '').split('\n');
            expect(place.line).toBeGreaterThanOrEqual(1);
            expect(place.line).toBeLessThanOrEqual(lines.length);
            expect(place.column).toBeGreaterThanOrEqual(1);
            expect(place.column).toBeLessThanOrEqual((lines[place.line - 1] ?? '').length + 1);
            expect(message).toMatch(/[.]$/);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  const megabyte = (text: string) => text.repeat(Math.ceil(1_000_000 / text.length));
  const numbered = (text: (index: number) => string) => {
    const parts: string[] = [];
    for (let index = 0, length = 0; length < 1_000_000; index++) {
      const part = text(index);
      parts.push(part);
      length += part.length;
    }
    return parts.join('');
  };
  const bomb = Array.from({ length: 40 }, (_, index) =>
    index === 0 ? '(s0) {\n\trespond ok\n}\n' : `(s${index}) {\n\timport s${index - 1}\n\timport s${index - 1}\n}\n`,
  );
  // One that takes the square of its length would run into the time limit of the test.
  it.each([
    ['words', megabyte('a ')],
    ['braces', megabyte('{\n')],
    ['nested blocks', `a {\n${megabyte('handle {\n')}`],
    ['closing braces', megabyte('}\n')],
    ['variables', megabyte('{$A:b}{$C}\n')],
    ['variables that never end', megabyte('{$')],
    ['heredocs', megabyte('<<A\nx\nA\n')],
    ['backslashes', megabyte('\\\n')],
    ['imports', megabyte('import a\n')],
    ['imports of many names', numbered((index) => `import f${index}/*\n`)],
    ['snippets that import each other', numbered((index) => `(s${index}) {\nimport s${index + 1}\n}\n`)],
    ['snippets that double each other', `${bomb.join('')}a {\n\timport s39\n}\n`],
    ['an argument that grows', `(s) {\n${'{args[0]} '.repeat(50_000)}\n}\na {\nimport s ${'x'.repeat(400_000)}\n}\n`],
    ['sites', numbered((index) => `a${index}.example.com {\n}\n`)],
    ['the same site', megabyte('a.example.com {\n}\n')],
    [
      'lines of an acl',
      `a {\nacl {\n${numbered((index) => `block net 10.${(index >> 8) & 255}.${index & 255}.0/24\n`)}}\n}\n`,
    ],
    ['acls', `a {\n${megabyte('acl {\nblock\n}\n')}}\n`],
  ])('a megabyte of %s is read in no time', (_, text) => {
    for (const [path, family] of [
      ['Caddyfile', caddy as unknown as Family],
      ['Corefile', dns as unknown as Family],
    ] as const) {
      const head = treeOf({ [path]: text });
      for (const rule of family.rules) rule.check({ head, options: family.presets['guide-lxd'], tools: new Map() });
    }
  });
});
