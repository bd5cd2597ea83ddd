const SIZE = 1024 * 1024;

/** A text of a megabyte, made of one piece; `before` and `after` are what makes a reader go in, or never find the end. */
function megabyte(piece: string, before = '', after = ''): string {
  return before + piece.repeat(Math.ceil(SIZE / piece.length)) + after;
}

const nested = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels);

/** Pieces that are hostile to every reader: no line ends, no word ends, openers that nobody closes. */
const everywhere = [
  'a',
  ' ',
  '\n',
  '\r',
  '\r\n',
  '\0',
  '\t',
  '"',
  "'",
  '\\',
  '\\\n',
  '#',
  ';',
  '{',
  '}',
  '[',
  '(',
  '$(',
  '${',
  '`',
  '=',
  '-',
  ': ',
  '😀',
  '\ufffd',
  'İ',
  '<<E\n',
  '"a" ',
  'a=b\n',
  'a b c\n',
  '# gbo-guard: allow a/b -- why\n',
  '# gbo-guard: allow vault/secret -- why\nhvs.CAESIJ1aB2cD3eF4gH5iJ6kL7mN8oP9\n',
];

export interface Kind {
  path: string;
  /** What has to lie beside it to be read. */
  beside?: Record<string, string>;
  texts: string[];
}

const kind = (path: string, texts: string[], beside?: Record<string, string>): Kind => ({
  path,
  beside,
  texts: [...texts, ...everywhere.map((piece) => megabyte(piece))],
});

const workflow = 'on: [push]\njobs:\n  a:\n    runs-on: gbo\n    steps:\n';

/** Files of a megabyte that somebody could put into a pull request, by what they pretend to be. */
export const kinds: Record<string, Kind> = {
  Caddyfile: kind('Caddyfile', [
    megabyte('a.example.com {\nreverse_proxy 10.0.0.1:80\n}\n'),
    megabyte('a {\n'),
    megabyte('a.example.com, '),
    megabyte('(a) {\nimport a\nimport a\n}\n', 'import a\n'),
    megabyte('@a host b\n', 'a.example.com {\n', '}\n'),
    megabyte('handle {\n', 'a.example.com {\n'),
    megabyte('log {\noutput file /a\n}\n', 'a.example.com {\n', '}\n'),
    megabyte('reverse_proxy 10.0.0.1:80 {\nto a\n}\n', 'a.example.com {\n', '}\n'),
    megabyte('{$A:{$A:', 'a.example.com {\n'),
    megabyte('a <<E\n', 'a.example.com {\n'),
    megabyte('a.example.com, ', '', 'b.example.com {\nrespond a\n}\n'),
    `${Array.from({ length: 50_000 }, (_, index) => `a${index}.example.com`).join(', ')} {\nreverse_proxy 1.2.3.4\n}\n`,
    `${Array.from({ length: 100_000 }, (_, index) => `:${index}`).join(' ')} {\nreverse_proxy 1.2.3.4\n}\n`,
    Array.from({ length: 30_000 }, (_, index) => `a${index}.example.com {\nreverse_proxy 1.2.3.4\n}\n`).join(''),
    `${Array.from({ length: 20 }, (_, index) => `(s${index}) {\nimport s${index + 1}\nimport s${index + 1}\n}\n`).join(
      '',
    )}(s20) {\nrespond a\n}\na.example.com {\nimport s0\n}\n`,
  ]),
  Corefile: kind('Corefile', [
    megabyte('. {\nforward . 1.1.1.1\n}\n'),
    megabyte('acl {\nallow net 10.0.0.0/8\nblock\n}\n', '. {\n', '}\n'),
    megabyte('allow net 10.0.0.0/8\n', '. {\nacl {\n', '}\n}\n'),
    megabyte(' 10.0.0.0/8', '. {\nacl {\nallow net', '\nblock\n}\n}\n'),
    megabyte('import Corefile\n'),
    megabyte('a.example.com ', '', ' {\n}\n'),
    `${Array.from({ length: 50_000 }, (_, index) => `a${index}.example.com`).join(' ')} {\nforward . 1.1.1.1\n}\n`,
    Array.from({ length: 30_000 }, (_, index) => `a${index}.example.com {\nfile a\n}\n`).join(''),
    `${Array.from({ length: 30_000 }, (_, index) => `allow type A net 10.${index >> 8}.${index & 255}.0/24\n`).reduce(
      (all, line) => all + line,
      '. {\nacl {\n',
    )}block\n}\n}\n`,
  ]),
  'zone file': kind(
    'zones/example.com.zone',
    [
      megabyte('a IN A 10.0.0.1\n', '$ORIGIN example.com.\n'),
      megabyte('(', '@ IN SOA a b '),
      megabyte('"a', '@ IN TXT '),
      megabyte('a.', '', ' IN A 10.0.0.1\n'),
      megabyte('$ORIGIN a\n'),
      megabyte('$INCLUDE a\n'),
      Array.from({ length: 40_000 }, (_, index) => `a${index} IN A 10.0.0.1\n`).join(''),
    ],
    { Caddyfile: Array.from({ length: 200 }, (_, index) => `x${index}.example.com {\nrespond a\n}\n`).join('') },
  ),
  'fail2ban jail': kind('proxy/etc/fail2ban/jail.local', [
    megabyte('[a]\n'),
    megabyte('a = %(a)s\n', '[DEFAULT]\n'),
    megabyte('%(a)s', '[DEFAULT]\nb = 1\na = '),
    megabyte(' continued\n', '[a]\nb = c\n'),
    megabyte('%(b)s', '[http-flood]\nenabled = true\nb = c\nlogpath = ', '\n'),
    `${Array.from({ length: 24 }, (_, index) => `a${index} = %(a${index + 1})s%(a${index + 1})s\n`).reduce(
      (all, line) => all + line,
      '[http-flood]\nenabled = true\nlogpath = %(a0)s\n',
    )}a24 = b\n`,
    Array.from({ length: 30_000 }, (_, index) => `[j${index}]\nenabled = true\nlogpath = /a\n`).join(''),
  ]),
  'fail2ban filter': kind(
    'proxy/etc/fail2ban/filter.d/http-flood.conf',
    [
      megabyte('(a*)*', '[Definition]\nfailregex = ^<HOST>', '$\n'),
      megabyte('(?:', '[Definition]\nfailregex = <HOST>'),
      megabyte('<HOST>', '[Definition]\nfailregex = '),
      megabyte(' ^<HOST> a\n', '[Definition]\nfailregex = ^<HOST>\n'),
      megabyte('[a-z]{1,999}', '[Definition]\nfailregex = ^<HOST>'),
      megabyte('a|', '[Definition]\nfailregex = ^<HOST>('),
      megabyte('.*', '[Definition]\nfailregex = ^<HOST>'),
    ],
    {
      'proxy/etc/fail2ban/jail.local':
        '[http-flood]\nenabled = true\nfilter = http-flood\nlogpath = /var/log/caddy/access.log\nbackend = polling\n',
      'proxy/Caddyfile': 'a.example.com {\nlog {\noutput file /var/log/caddy/access.log\n}\nrespond a\n}\n',
    },
  ),
  'systemd unit': kind('botserver.service', [
    megabyte('[Service]\n'),
    megabyte('Environment=BOTSERVER_URL=a\n', '[Service]\nExecStart=/opt/gbo/bin/botserver\n'),
    megabyte('A=b ', '[Service]\nEnvironment=', '\n'),
    megabyte('Environment=\n', '[Service]\nExecStart=/opt/gbo/bin/botui\n'),
    megabyte('Environment=A=b\n', '[Service]\nExecStart=/opt/gbo/bin/botui\n'),
    megabyte('Environment='),
    megabyte('"A=b', '[Service]\nEnvironment=', '\n'),
    megabyte('%n', '[Service]\nExecStart=/opt/gbo/bin/botserver ', '\n'),
    megabyte('a \\\n', '[Service]\nExecStart=/opt/gbo/bin/botserver '),
    megabyte('# a\n', '[Service]\nExecStart=/a \\\n'),
    megabyte('EnvironmentFile=/a\n', '[Service]\n'),
    megabyte('ExecStartPre=/usr/sbin/iptables -A INPUT -j DROP\n', '[Service]\n'),
  ]),
  'iptables-save': kind('etc/iptables/rules.v4', [
    megabyte('-A INPUT -s 10.0.0.1 -j DROP\n', '*filter\n:INPUT DROP\n', 'COMMIT\n'),
    megabyte('-A INPUT -i lo -p tcp --dport 6379 -j ACCEPT\n', '*filter\n:INPUT DROP\n', 'COMMIT\n'),
    megabyte('*filter\nCOMMIT\n'),
    megabyte('-A INPUT -s '),
    megabyte('-A INPUT -s 10.0.0.1\n', '*filter\n', 'COMMIT\n'),
    megabyte(' -m comment --comment a', '*filter\n-A INPUT', '\nCOMMIT\n'),
    megabyte(',1', '*filter\n-A INPUT -p tcp -m multiport --dports 1', ' -j ACCEPT\nCOMMIT\n'),
    `*filter\n${Array.from({ length: 20_000 }, (_, index) => `:c${index} -\n`).join('')}${Array.from({ length: 20_000 }, (_, index) => `-A c${index} -j c${index + 1}\n`).join('')}-A INPUT -j c0\nCOMMIT\n`,
    `*filter\n${Array.from({ length: 25 }, (_, index) => `:c${index} -\n`).join('')}${Array.from({ length: 24 }, (_, index) => `-A c${index} -j c${index + 1}\n-A c${index} -j c${index + 1}\n`).join('')}-A INPUT -j c0\nCOMMIT\n`,
  ]),
  'shell script': kind('firewall.sh', [
    megabyte('iptables -A INPUT -j DROP\n'),
    megabyte('iptables -A INPUT -i lo -j ACCEPT\n', 'iptables -P INPUT DROP\n'),
    megabyte('if x; then\n'),
    megabyte('if x; then iptables -F; fi\n'),
    megabyte('for i in a b; do\n'),
    megabyte('case x in a) '),
    megabyte('f() {\n'),
    megabyte('f() { f; f; }\n', '', 'f\n'),
    megabyte('a=$a$a\n', 'a=b\n', 'iptables $a\n'),
    megabyte('"$(', 'iptables '),
    megabyte('cat <<E\n'),
    megabyte('cat <<E\nE\n'),
    megabyte('lxc config device add a b proxy listen=tcp:0.0.0.0:80 connect=tcp:127.0.0.1:80\n'),
    megabyte('lxc profile device remove a b\n'),
    megabyte('eval "', 'iptables '),
    megabyte('sh -c "sh -c '),
    megabyte('iptables -A INPUT -p tcp -m multiport --dports 1,2,3 -j ACCEPT; '),
    `${Array.from({ length: 24 }, (_, index) => `for a${index} in 1 2; do\n`).join('')}iptables -F\n${'done\n'.repeat(24)}`,
    `${Array.from({ length: 40 }, (_, index) => `f${index}() { f${index + 1}; f${index + 1}; }\n`).join('')}f40() { iptables -F; }\nf0\n`,
  ]),
  workflow: kind('.forgejo/workflows/a.yml', [
    megabyte('      - run: make\n', workflow),
    megabyte('      - run: |\n          curl -k https://a || true\n', workflow),
    megabyte('      - uses: actions/checkout@v4\n', workflow),
    megabyte('[', 'a: '),
    megabyte('{a: ', 'a: '),
    megabyte('- ', 'a:\n'),
    megabyte('? '),
    megabyte('---\n'),
    megabyte('!!a '),
    megabyte('a: *a\n'),
    megabyte('  <<: *a\n', 'x: &a {b: c}\na:\n'),
    megabyte(`\${{ github.head_ref }}`, `${workflow}      - run: `),
    megabyte('${{ ', `${workflow}      - run: `),
    megabyte('a\\\n', `${workflow}      - run: |\n          `),
    megabyte(' || true', `${workflow}      - run: a`),
    megabyte('          ssh -o StrictHostKeyChecking=no a\n', `${workflow}      - run: |\n`),
    Array.from({ length: 30_000 }, (_, index) => `  j${index}:\n    needs: j${index + 1}\n`).reduce(
      (all, job) => all + job,
      'jobs:\n',
    ),
    Array.from({ length: 26 }, (_, index) => `a${index + 1}: &a${index + 1} [*a${index}, *a${index}]\n`).reduce(
      (all, line) => all + line,
      'a0: &a0 [b]\n',
    ),
    `a: ${nested('[', ']', 5_000)}\n`,
    `a: ${nested('[', ']', 100_000)}\n`,
    Array.from({ length: 1_000 }, (_, index) => `${' '.repeat(index)}a:\n`).join(''),
    Array.from({ length: 60_000 }, (_, index) => `key${index}: b\n`).join(''),
  ]),
  'LXD profile': kind('lxd/profile-default.yaml', [
    Array.from(
      { length: 10_000 },
      (_, index) =>
        `  p${index}:\n    type: proxy\n    listen: tcp:0.0.0.0:${index}\n    connect: tcp:127.0.0.1:${index}\n`,
    ).reduce((all, device) => all + device, 'name: default\nconfig: {}\ndevices:\n'),
    megabyte('- name: a\n  config: {}\n  devices: {}\n'),
    megabyte('---\nname: a\nconfig: {}\ndevices: {}\n'),
    megabyte(',80', 'name: a\ndevices:\n  p:\n    type: proxy\n    listen: tcp:0.0.0.0:80', '\n'),
    'name: a\ndevices:\n  p:\n    type: proxy\n    listen: tcp:0.0.0.0:0-99999999999\n    connect: tcp:127.0.0.1:1-65535\n',
    megabyte('[', 'name: a\ndevices: '),
  ]),
  '.mcp.json': kind(
    'a.gbai/a.gbdialog/x.mcp.json',
    [
      megabyte('[', '{"name":'),
      megabyte('{"a":'),
      megabyte('{"name":"a","name":"b"},', '['),
      megabyte('"a":1,', '{', '"b":1}'),
      megabyte('"\\u0041', '{"name":"'),
      `{"name":${nested('[', ']', 300_000)}}`,
      `{"name":"x","input_schema":{"type":"object","properties":{${Array.from({ length: 20_000 }, (_, index) => `"p${index}":{"type":"string"}`).join()}},"required":[${Array.from({ length: 20_000 }, (_, index) => `"p${index}"`).join()}]}}`,
    ],
    { 'a.gbai/a.gbdialog/x.bas': 'PARAM a AS STRING LIKE "b" DESCRIPTION "c"\nDESCRIPTION "d"\nTALK "e"\n' },
  ),
  '.bas': kind(
    'a.gbai/a.gbdialog/x.bas',
    [
      Array.from({ length: 20_000 }, (_, index) => `PARAM p${index} AS STRING LIKE "a" DESCRIPTION "b"\n`).join(''),
      megabyte('PARAM a AS STRING LIKE "a" DESCRIPTION "b"\n'),
      megabyte('PARAM '),
      megabyte('PARAM a AS '),
      megabyte('param a as string\n'),
      megabyte('USE TOOL "y"\n'),
      Array.from({ length: 40_000 }, (_, index) => `USE TOOL "tool-${index}"\n`).join(''),
      megabyte('USE TOOL "', '', '"\n'),
      megabyte('ADD TOOL "y"\n'),
      megabyte('DESCRIPTION "a\n'),
      megabyte('BEGIN TALK\n'),
      megabyte('REM '),
      megabyte('LIKE "a" ', 'PARAM a AS STRING '),
      megabyte('ENUM ["a",', 'PARAM a AS STRING '),
    ],
    { 'a.gbai/a.gbdialog/y.bas': 'TALK "a"\n', 'a.gbai/a.gbdialog/y.mcp.json': '{}' },
  ),
  'file with secrets': kind('vault/init.json', [
    megabyte('"keys": ["'),
    megabyte('unseal_key='),
    megabyte('unseal_key'),
    megabyte('hvs.'),
    megabyte('hvs.CAESIJ1aB2cD3eF4gH5iJ6kL7mN8oP9 '),
    megabyte('PRIVATE KEY-----'),
    megabyte('-----BEGIN PRIVATE KEY-----'),
    megabyte('root_token: '),
    megabyte('a1B2c3D4', 'unseal key '),
    megabyte('Unseal Key 1: aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7bC9dE=\n'),
  ]),
};
