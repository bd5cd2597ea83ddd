import { expect, it } from 'vitest';
import { families } from '../../src/families.js';
import { judge } from '../../src/judge.js';
import { readPolicy } from '../../src/policy.js';
import { suppressionsIn } from '../../src/suppressions.js';
import { treeOf } from '../../src/tree.js';
import * as g from '../guide.js';

const policy = readPolicy(undefined, 'policy', families);

/** What a pull request upon the guide's files, or upon others, is told: `rule path:line`, with `?` for what could not be told. */
function told(change: g.Change, guide: Record<string, string> = g.guide): string[] {
  const head = Object.fromEntries(
    Object.entries({ ...guide, ...g.changed(guide, change) }).filter(([, text]) => text !== undefined),
  ) as Record<string, string>;
  const tree = treeOf(head);
  const suppressions = tree.matching(['**']).map(suppressionsIn);
  const { findings } = judge({
    families,
    policy,
    head: tree,
    base: treeOf(guide),
    tools: new Map(),
    baseTools: new Map(),
    changed: new Set(Object.keys(change).filter((path) => head[path] !== guide[path])),
    suppressions: suppressions.flatMap(({ found }) => found),
    badSuppressions: suppressions.flatMap(({ bad }) => bad),
    baseline: [],
    today: '2026-11-24',
  });
  return findings
    .filter(({ old, excused }) => !old && !excused)
    .map(({ rule, at, status }) => `${rule}${status === 'unknown' ? '?' : ''} ${at.path}:${at.line}`)
    .sort();
}

const edit =
  (from: string | RegExp, to: string) =>
  (text: string): string => {
    if (!(typeof from === 'string' ? text.includes(from) : from.test(text))) throw new Error(`nothing has ${from}`);
    return text.replace(from, to);
  };
const WORKFLOW = '.forgejo/workflows/build.yml';

it.each<[title: string, change: g.Change, told: string[]]>([
  ['a comment in the Caddyfile', { [g.CADDY]: edit('(logged) {', '# who logs\n(logged) {') }, []],
  [
    'one site is moved into a file of its own that is imported',
    {
      [g.CADDY]: `${g.caddyfile(g.hosts.slice(1))}import sites/*.caddy\n`,
      'acme-proxy/opt/gbo/conf/sites/one.caddy': `${g.hosts[0]} {\n\timport logged\n\treverse_proxy 10.0.0.5:5859\n}\n`,
    },
    [],
  ],
  [
    'a site is renamed, and its zone with it',
    {
      [g.CADDY]: edit(g.hosts[3] as string, 'new.acme.example.com'),
      'acme-dns/acme.example.com.zone': (text) => `${text}new IN A 192.0.2.10\n`,
    },
    [`caddy/restart-needed ${g.CADDY}:1`],
  ],
  [
    'a site gets a log of its own that is discarded',
    { [g.CADDY]: edit('\timport logged\n\treverse_proxy', '\tlog {\n\t\toutput discard\n\t}\n\treverse_proxy') },
    [`caddy/no-access-log ${g.CADDY}:13`],
  ],
  [
    'the admin API is opened for a dashboard',
    { [g.CADDY]: edit('{\n\tstorage', '{\n\tadmin 0.0.0.0:2019\n\tstorage') },
    [`caddy/admin-open ${g.CADDY}:2`],
  ],
  [
    'the log moves, and the jail is forgotten',
    { [g.CADDY]: edit('/opt/gbo/logs/access.log', '/var/log/caddy/access.log') },
    [`f2b/flood-jail ${g.JAIL}:5`],
  ],
  [
    'the log moves, and the jail with it',
    {
      [g.CADDY]: edit('/opt/gbo/logs/access.log', '/var/log/caddy/access.log'),
      [g.JAIL]: edit('/opt/gbo/logs/access.log', '/var/log/caddy/access.log'),
    },
    [],
  ],
  [
    'a jail.local that switches sshd on again',
    { 'acme-proxy/etc/fail2ban/jail.local': '[sshd]\nenabled = true\n' },
    ['f2b/sshd-enabled acme-proxy/etc/fail2ban/jail.local:2'],
  ],
  ['the ban is written in seconds', { [g.JAIL]: edit('bantime = 1h', 'bantime = 3600') }, []],
  ['the ban is shortened', { [g.JAIL]: edit('bantime = 1h', 'bantime = 10m') }, [`f2b/flood-jail ${g.JAIL}:9`]],
  [
    'an accept for everybody is put before the drops',
    { [g.FIREWALL]: edit('-A INPUT -p tcp --dport 6379', '-A INPUT -p tcp -j ACCEPT\n-A INPUT -p tcp --dport 6379') },
    [`ipt/exposed ${g.FIREWALL}:6`],
  ],
  [
    'the drop of one port is taken out',
    { [g.FIREWALL]: edit('-A INPUT -p tcp --dport 9000 -j DROP\n', '') },
    [`ipt/exposed ${g.FIREWALL}:2`],
  ],
  [
    'the drops are joined',
    {
      [g.FIREWALL]: edit(
        '-A INPUT -p tcp --dport 6379 -j DROP\n-A INPUT -p tcp --dport 9000 -j DROP\n',
        '-A INPUT -p tcp -m multiport --dports 6379,9000 -j DROP\n',
      ),
    },
    [],
  ],
  [
    'loopback is let through by its address only',
    { [g.FIREWALL]: edit('-A INPUT -i lo -j ACCEPT', '-A INPUT -s 127.0.0.0/8 -j ACCEPT') },
    [`ipt/loopback-order ${g.FIREWALL}:6`, `ipt/loopback-order ${g.FIREWALL}:7`],
  ],
  [
    'a drop-in overrides the address of botserver',
    { [`${g.UI}.d/override.conf`]: '[Service]\nEnvironment=BOTSERVER_URL=https://bot.acme.example.com\n' },
    [`unit/botserver-url ${g.UI}.d/override.conf:2`],
  ],
  [
    'the address of botserver moves into an environment file',
    {
      [g.UI]: edit('Environment=BOTSERVER_URL=http://localhost:5858', 'EnvironmentFile=/opt/gbo/conf/ui.env'),
      'acme-system/opt/gbo/conf/ui.env': 'BOTSERVER_URL=http://localhost:5858\n',
    },
    [],
  ],
  [
    'an environment file that is not in the repository',
    { [g.UI]: edit('Environment=BOTUI_PORT', 'EnvironmentFile=/etc/ui.env\nEnvironment=BOTUI_PORT') },
    [`unit/botserver-url? ${g.UI}:7`, `unit/ports? ${g.UI}:7`],
  ],
  [
    'the mail ports become one device',
    {
      [g.instance('email')]: g.yaml(
        '  limits.cpu: "2"\n',
        '  mail:\n    type: proxy\n    listen: tcp:0.0.0.0:25,465,587,993,995,143,110,4190\n    connect: tcp:127.0.0.1:25,465,587,993,995,143,110,4190\n    proxy_protocol: "true"\n',
      ),
    },
    [],
  ],
  [
    'a proxy device listens on loopback only',
    { [g.instance('proxy')]: edit('tcp:0.0.0.0:443', 'tcp:127.0.0.1:443') },
    [`lxd/port-removed ${g.instance('proxy')}:16`],
  ],
  [
    'privileged is taken out of the instance',
    { [g.instance('system')]: edit('  security.privileged: "true"\n', '  limits.cpu: "2"\n') },
    [`lxd/system-privileged ${g.instance('system')}:1`],
  ],
  [
    'the acl is closed with drop',
    { [g.COREFILE]: edit('        block\n', '        drop\n') },
    [`dns/acl-overblock ${g.COREFILE}:8`],
  ],
  ['the last line of the acl is lost', { [g.COREFILE]: edit('        block\n', '') }, [`dns/acl-open ${g.COREFILE}:3`]],
  [
    'a second zone without an acl',
    { [g.COREFILE]: (text) => `${text}beta.example.com:53 {\n    file /opt/gbo/data/beta.zone\n}\n` },
    [`dns/acl-missing ${g.COREFILE}:13`],
  ],
  [
    'a parameter is added, and the .mcp.json is forgotten',
    { [g.TOOL]: (text) => `PARAM size AS integer LIKE 42 DESCRIPTION "Size"\n${text}` },
    // What stands behind LIKE without quotes is lost, and the description taken for the example.
    [`bot/mcp-stale ${g.TOOL}:1`, `bot/param-ignored ${g.TOOL}:1`],
  ],
  [
    'a tool is renamed, and its output is not',
    { [g.TOOL]: undefined, 'sales.gbai/sales.gbdialog/price-of.bas': g.guide[g.TOOL] as string },
    [`bot/mcp-missing sales.gbai/sales.gbdialog/price-of.bas:1`, `bot/mcp-orphan ${g.TOOL_OUTPUT}:1`],
  ],
  [
    'the health check of the deploy may fail',
    { [WORKFLOW]: (text) => `${text}      - run: curl -fsS http://localhost:5858/health || true\n` },
    [`ci/health-ignored ${WORKFLOW}:10`],
  ],
  [
    'the title of a pull request is printed',
    { [WORKFLOW]: (text) => `${text}      - run: echo "\${{ github.event.pull_request.title }}"\n` },
    [`ci/untrusted-run ${WORKFLOW}:10`],
  ],
  [
    'a token is put into a script',
    { 'host/backup.sh': `#!/bin/sh\nexport VAULT_TOKEN=hvs.${'CAESIJ1aB2cD3eF4gH5i'}${'J6kL7mN8oP9'}\n` },
    ['vault/secret host/backup.sh:2'],
  ],
  [
    'a token that has three x in a row',
    { 'host/backup.sh': `#!/bin/sh\nexport VAULT_TOKEN=hvs.${'CAESIJ1aB2xXxD3eF4gH5i'}${'J6kL7mN8oP9'}\n` },
    ['vault/secret host/backup.sh:2'],
  ],
  ['the Caddyfile moves as it is', { [g.CADDY]: undefined, 'acme-proxy/etc/caddy/Caddyfile': g.caddyfile() }, []],
  [
    'a brace is forgotten',
    { [g.CADDY]: edit('10.0.0.5:5859\n}\n', '10.0.0.5:5859\n') },
    [
      ...['admin-open?', 'dead-domain?', 'invalid', 'no-access-log?', 'partial?'].map(
        (rule) => `caddy/${rule} ${g.CADDY}:15`,
      ),
      `caddy/restart-needed? ${g.CADDY}:1`,
      `caddy/storage? ${g.CADDY}:15`,
    ],
  ],
  [
    'the sites go behind an import that is not in the repository',
    { [g.CADDY]: (text) => `${text}import /etc/caddy/more/*\n` },
    ['dead-domain', 'invalid', 'no-access-log', 'partial', 'restart-needed'].map(
      (rule) => `caddy/${rule}? ${g.CADDY}:112`,
    ),
  ],
  [
    'a site imports what is not in the repository',
    {
      [g.CADDY]: edit(
        '\timport logged\n\treverse_proxy',
        '\timport /etc/caddy/common\n\timport logged\n\treverse_proxy',
      ),
    },
    ['dead-domain', 'invalid', 'no-access-log', 'partial', 'restart-needed'].map(
      (rule) => `caddy/${rule}? ${g.CADDY}:13`,
    ),
  ],
  [
    'the global options import what is not in the repository',
    { [g.CADDY]: edit('{\n\tstorage', '{\n\timport /etc/caddy/global\n\tstorage') },
    ['admin-open', 'dead-domain', 'invalid', 'no-access-log', 'partial', 'restart-needed', 'storage'].map(
      (rule) => `caddy/${rule}? ${g.CADDY}:2`,
    ),
  ],
  ['all certificates become internal', { [g.CADDY]: edit('{\n\tstorage', '{\n\tlocal_certs\n\tstorage') }, []],
  [
    'the storage goes to another module',
    { [g.CADDY]: edit('storage file_system {\n\t\troot /opt/gbo/data/caddy\n\t}', 'storage redis') },
    [`caddy/invalid? ${g.CADDY}:2`, `caddy/storage ${g.CADDY}:2`],
  ],
  [
    'rules of IPv6 without loopback',
    {
      'acme-system/etc/iptables/rules.v6':
        '*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 443 -j ACCEPT\nCOMMIT\n',
    },
    ['ipt/loopback-order acme-system/etc/iptables/rules.v6:2'],
  ],
  [
    'the firewall becomes a script',
    {
      [g.FIREWALL]: undefined,
      'acme-system/firewall.sh':
        '#!/bin/sh\nset -e\niptables -F INPUT\niptables -A INPUT -i lo -j ACCEPT\nfor port in 6379 9000; do\n\tiptables -A INPUT -p tcp --dport $port -j DROP\ndone\n',
    },
    [],
  ],
  [
    'the firewall becomes a script that forgets a port',
    {
      [g.FIREWALL]: undefined,
      'acme-system/firewall.sh':
        '#!/bin/sh\niptables -A INPUT -i lo -j ACCEPT\niptables -A INPUT -p tcp --dport 6379 -j DROP\n',
    },
    [`ipt/exposed ${g.FIREWALL}:1`],
  ],
  [
    'a script removes a proxy device',
    { 'host/clean.sh': '#!/bin/sh\nlxc config device remove acme-proxy tcp-443\n' },
    ['lxd/port-removed host/clean.sh:2'],
  ],
  [
    'a script removes a proxy device and adds it again',
    {
      'host/clean.sh':
        '#!/bin/sh\nlxc config device remove acme-proxy tcp-443\nlxc config device add acme-proxy https proxy listen=tcp:0.0.0.0:443 connect=tcp:127.0.0.1:443 proxy_protocol=true\n',
    },
    [],
  ],
  [
    'the proxy loses its proxy protocol',
    { [g.instance('proxy')]: edit('    proxy_protocol: "true"\n', '') },
    [`lxd/client-ip-lost ${g.instance('proxy')}:9`],
  ],
  [
    'the mail container is renamed',
    { [g.instance('email')]: undefined, [g.instance('mail')]: g.guide[g.instance('email')] as string },
    [],
  ],
  [
    'the ufw defaults are quoted otherwise',
    { [g.UFW]: edit('"ACCEPT"', "'ACCEPT'") },
    [`ufw/forward-policy ${g.UFW}:3`],
  ],
  [
    'the forward rule moves into a script that the unit starts',
    {
      [g.FORWARD]: edit(/(ExecStart=.*\n)+/, 'ExecStart=/usr/local/sbin/lxd-forward.sh\n'),
      [g.FORWARD_SCRIPT]:
        '#!/bin/sh\niptables -I FORWARD -i lxdbr0 -j ACCEPT\niptables -I FORWARD -o lxdbr0 -j ACCEPT\n',
    },
    [],
  ],
  [
    'the forward rule is for one way only',
    { [g.FORWARD]: edit('ExecStart=/usr/sbin/iptables -I FORWARD -o lxdbr0 -j ACCEPT\n', '') },
    [`ufw/forward-unit ${g.FORWARD}:7`],
  ],
  ['the unit of botui is deleted', { [g.UI]: undefined }, [`unit/ports ${g.UI}:1`]],
  ['the unit of botserver is deleted', { [g.SERVER]: undefined }, [`unit/ports ${g.SERVER}:1`]],
  ['the defaults of ufw are deleted', { [g.UFW]: undefined }, [`ufw/forward-policy ${g.UFW}:1`]],
  ['the acl as it was meant', { [g.COREFILE]: edit('allow type ANY net', 'allow net') }, []],
  [
    'the acl forwards for the world',
    { [g.COREFILE]: (text) => `${text}.:53 {\n    forward . 9.9.9.9\n}\n` },
    [`dns/acl-missing ${g.COREFILE}:13`, `dns/open-resolver ${g.COREFILE}:14`],
  ],
  ['the filter is fitted to one status only', { [g.FILTER]: edit('4\\d\\d', '404') }, [`f2b/filter ${g.FILTER}:2`]],
  [
    'a workflow is deployed by hand over ssh',
    {
      [WORKFLOW]: (text) =>
        `${text}      - run: ssh -o StrictHostKeyChecking=no gbo@10.0.0.5 systemctl restart system\n`,
    },
    [`ci/host-key ${WORKFLOW}:10`],
  ],
  [
    'a workflow loses its steps by an indentation',
    { [WORKFLOW]: edit('    steps:', '  steps:') },
    [`ci/invalid ${WORKFLOW}:7`, `ci/no-steps ${WORKFLOW}:5`],
  ],
  ['a script is written on Windows', { [g.TALK]: (text) => text.replaceAll('\n', '\r\n') }, []],
  [
    'a tool moves to another bot',
    {
      [g.TOOL]: undefined,
      [g.TOOL_OUTPUT]: undefined,
      'shop.gbai/shop.gbdialog/get-price.bas': g.guide[g.TOOL] as string,
      'shop.gbai/shop.gbdialog/get-price.mcp.json': g.guide[g.TOOL_OUTPUT] as string,
    },
    [`bot/use-tool-unresolved ${g.TALK}:2`],
  ],
  ['documents only', { 'docs/notes.md': '# Notes\n\nRun `lxc list`.\n' }, []],
])('%s', (_, change, expected) => expect(told(change)).toEqual([...expected].sort()));

it.each<[title: string, base: Record<string, string>, change: g.Change, told: string[]]>([
  [
    'the only accept of loopback is taken out, where it was worth a warning',
    {
      [g.FIREWALL]:
        '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 127.0.0.0/8 -j ACCEPT\n-A INPUT -p tcp --dport 6379 -j DROP\nCOMMIT\n',
    },
    { [g.FIREWALL]: edit('-A INPUT -s 127.0.0.0/8 -j ACCEPT\n', '') },
    [`ipt/loopback-order ${g.FIREWALL}:3`],
  ],
  [
    'an acl that refused ANY alone refuses nothing',
    { [g.COREFILE]: 'acme.example.com:53 {\n    acl {\n        block type ANY\n    }\n    file db\n}\n' },
    { [g.COREFILE]: edit('block type ANY', 'allow net 10.0.0.0/8') },
    [`dns/acl-open ${g.COREFILE}:2`],
  ],
])('what was a little wrong gets worse: %s', (_, base, change, expected) =>
  expect(told(change, base)).toEqual(expected),
);
