/** The files of a tenant whose operators keep their guide to the letter. */

export const CADDY = 'acme-proxy/opt/gbo/conf/config';
export const COREFILE = 'acme-dns/Corefile';
export const JAIL = 'acme-proxy/etc/fail2ban/jail.d/caddy.conf';
export const FILTER = 'acme-proxy/etc/fail2ban/filter.d/caddy-http-flood.conf';
export const DEBIAN = 'acme-proxy/etc/fail2ban/jail.d/defaults-debian.conf';
export const FIREWALL = 'acme-system/etc/iptables/rules.v4';
export const UI = 'acme-system/etc/systemd/system/ui.service';
export const SERVER = 'acme-system/etc/systemd/system/system.service';
export const UFW = 'host/etc/default/ufw';
export const FORWARD = 'host/etc/systemd/system/lxd-forward.service';
export const FORWARD_SCRIPT = 'host/usr/local/sbin/lxd-forward.sh';
export const TOOL = 'sales.gbai/sales.gbdialog/get-price.bas';
export const TOOL_OUTPUT = 'sales.gbai/sales.gbdialog/get-price.mcp.json';
export const TALK = 'sales.gbai/sales.gbdialog/start.bas';
export const TALK_OUTPUT = 'sales.gbai/sales.gbdialog/start.mcp.json';
export const instance = (name: string) => `lxd/instances/acme-${name}.yaml`;

export const hosts = Array.from({ length: 25 }, (_, index) => `site${index}.acme.example.com`);

const site = (host: string) => `${host} {
	import logged
	reverse_proxy 10.0.0.5:5859
}
`;

export const caddyfile = (names: string[] = hosts) => `{
	storage file_system {
		root /opt/gbo/data/caddy
	}
}
(logged) {
	log {
		output file /opt/gbo/logs/access.log
		format json
	}
}
${names.map(site).join('')}`;

/** As the guide has it. */
export const corefile = `acme.example.com:53 {
    file /opt/gbo/data/acme.example.com.zone
    acl {
        allow type ANY net 10.0.0.0/8 127.0.0.0/8
        allow type A net 0.0.0.0/0
        allow type AAAA net 0.0.0.0/0
        allow type MX net 0.0.0.0/0
        block
    }
    cache
    errors
}
`;

const zone = `$ORIGIN acme.example.com.
$TTL 3600
@ IN SOA ns.acme.example.com. admin.acme.example.com. 1 3600 600 86400 3600
@ IN NS ns
ns IN A 192.0.2.1
${hosts.map((host) => `${host}. IN A 192.0.2.10`).join('\n')}
`;

const proxies = (ports: [proto: string, port: number][]) =>
  ports
    .map(
      ([proto, port]) => `  ${proto}-${port}:
    type: proxy
    listen: ${proto}:0.0.0.0:${port}
    connect: ${proto}:127.0.0.1:${port}
    proxy_protocol: "${proto === 'tcp'}"
`,
    )
    .join('');

export const yaml = (config: string, devices: string) => `architecture: x86_64
config:
${config}devices:
  root:
    type: disk
    path: /
    pool: default
${devices}ephemeral: false
profiles:
- default
`;

const tcp = (...ports: number[]) => ports.map((port) => ['tcp', port] as [string, number]);
export const mail = [25, 465, 587, 993, 995, 143, 110, 4190];

/** New texts by path; undefined takes a file away, a function changes the text that is there. */
export type Change = Record<string, string | undefined | ((text: string) => string)>;

export const guide: Record<string, string> = {
  [CADDY]: caddyfile(),
  'acme-dns/acme.example.com.zone': zone,
  [COREFILE]: corefile,
  [JAIL]: `[caddy-http-flood]
enabled = true
backend = auto
filter = caddy-http-flood
logpath = /opt/gbo/logs/access.log
port = http,https
maxretry = 100
findtime = 60s
bantime = 1h
`,
  [FILTER]: `[Definition]
failregex = ^.*"remote_ip":"<HOST>",.*?"status":\\s?4\\d\\d,
datepattern = "ts":\\s?{EPOCH}(?:\\.\\d+)?
`,
  [DEBIAN]: `[DEFAULT]
banaction = nftables

[sshd]
enabled = false
`,
  [FIREWALL]: `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp --dport 6379 -j DROP
-A INPUT -p tcp --dport 9000 -j DROP
COMMIT
`,
  [SERVER]: `[Unit]
Description=botserver
[Service]
ExecStart=/opt/gbo/bin/botserver
Environment=PORT=5858
Restart=always
[Install]
WantedBy=multi-user.target
`,
  [UI]: `[Unit]
Description=botui
After=system.service
[Service]
ExecStart=/opt/gbo/bin/botui
Environment=BOTSERVER_URL=http://localhost:5858
Environment=BOTUI_PORT=5859
Restart=always
[Install]
WantedBy=multi-user.target
`,
  [UFW]: `IPV6=yes
DEFAULT_INPUT_POLICY="DROP"
DEFAULT_FORWARD_POLICY="ACCEPT"
`,
  [FORWARD]: `[Unit]
Description=Forward rules of the containers
After=ufw.service snap.lxd.daemon.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables -I FORWARD -i lxdbr0 -j ACCEPT
ExecStart=/usr/sbin/iptables -I FORWARD -o lxdbr0 -j ACCEPT
[Install]
WantedBy=multi-user.target
`,
  [instance('proxy')]: yaml('  limits.cpu: "2"\n', proxies(tcp(80, 443))),
  [instance('system')]: yaml('  security.privileged: "true"\n', ''),
  [instance('email')]: yaml('  limits.cpu: "2"\n', proxies(tcp(...mail))),
  [instance('dns')]: yaml('  limits.cpu: "1"\n', proxies([...tcp(53), ['udp', 53]])),
  [instance('alm-ci')]: yaml('  limits.cpu: "2"\n', ''),
  [TOOL]:
    'PARAM item AS string LIKE "shoes" DESCRIPTION "What is asked for"\nDESCRIPTION "Price of a thing"\nUSE KB "prices"\n',
  [TOOL_OUTPUT]: `{
  "name": "get-price",
  "description": "Price of a thing",
  "input_schema": {
    "type": "object",
    "properties": {
      "item": { "type": "string", "description": "What is asked for", "example": "shoes" }
    },
    "required": ["item"]
  }
}
`,
  [TALK]: 'DESCRIPTION "Greets"\nUSE TOOL "get-price"\n',
  [TALK_OUTPUT]:
    '{"name": "start", "description": "Greets", "input_schema": {"type": "object", "properties": {}, "required": []}}\n',
  '.forgejo/workflows/build.yml': `on:
  push:
    branches: [main]
jobs:
  build:
    runs-on: gbo
    steps:
      - uses: https://forge.example.com/actions/checkout@v4
      - run: cargo build --release
`,
};

/** Each critical rule of the guide, and how it is broken. */
export const broken: [rule: string, title: string, change: Change][] = [
  [
    'lxd/system-privileged',
    'the system container is not privileged',
    { [instance('system')]: yaml('  security.privileged: "false"\n', '') },
  ],
  [
    'lxd/ci-disk',
    'the CI container mounts the disk of another',
    {
      [instance('alm-ci')]: yaml(
        '  limits.cpu: "2"\n',
        '  other:\n    type: disk\n    source: /var/snap/lxd/common/lxd/storage-pools/default/containers/acme-system/rootfs/opt\n    path: /mnt/system\n',
      ),
    },
  ],
  [
    'lxd/port-removed',
    'the mail container loses its port 4190',
    { [instance('email')]: yaml('  limits.cpu: "2"\n', proxies(tcp(...mail.filter((port) => port !== 4190)))) },
  ],
  [
    'lxd/port-removed',
    'DNS answers over TCP only',
    { [instance('dns')]: yaml('  limits.cpu: "1"\n', proxies(tcp(53))) },
  ],
  [
    'lxd/network-forward',
    'a network forward takes the place of a proxy device',
    { 'host/setup.sh': '#!/bin/sh\nlxc network forward create lxdbr0 192.0.2.1 target_address=10.0.0.5\n' },
  ],
  ['caddy/partial', 'the Caddyfile has two sites left', { [CADDY]: caddyfile(hosts.slice(0, 2)) }],
  ['caddy/partial', 'the Caddyfile is gone', { [CADDY]: undefined }],
  [
    'caddy/storage',
    'Caddy is not told where to keep its certificates',
    { [CADDY]: caddyfile().replace(/^\{[\s\S]*?^\}\n/m, '{\n\tadmin off\n}\n') },
  ],
  ['caddy/dead-domain', 'a site has no address', { [CADDY]: caddyfile([...hosts, 'gone.acme.example.com']) }],
  [
    'unit/botserver-url',
    'botui talks to the public address',
    {
      [UI]: (text: string) => text.replace('http://localhost:5858', 'https://bot.acme.example.com'),
    },
  ],
  [
    'unit/ports',
    'botui listens elsewhere',
    { [UI]: (text: string) => text.replace('BOTUI_PORT=5859', 'BOTUI_PORT=3000') },
  ],
  [
    'ipt/loopback-order',
    'Valkey is dropped before loopback is let through',
    {
      [FIREWALL]: (text: string) =>
        text.replace('-A INPUT -i lo -j ACCEPT\n', '').replace('COMMIT', '-A INPUT -i lo -j ACCEPT\nCOMMIT'),
    },
  ],
  [
    'dns/acl-missing',
    'the DNS server answers everybody everything',
    { [COREFILE]: corefile.replace(/ {4}acl \{[\s\S]*?\n {4}\}\n/, '') },
  ],
  [
    'f2b/flood-jail',
    'the flood jail is off',
    { [JAIL]: (text: string) => text.replace('enabled = true', 'enabled = false') },
  ],
  [
    'f2b/backend',
    'the flood jail reads the journal instead of the log',
    { [JAIL]: (text: string) => text.replace('backend = auto', 'backend = systemd') },
  ],
  ['f2b/filter', 'the filter finds no address', { [FILTER]: (text: string) => text.replace('<HOST>', '.*') }],
  [
    'f2b/sshd-enabled',
    'the proxy container guards an SSH that it does not have',
    { [DEBIAN]: (text: string) => text.replace('enabled = false', 'enabled = true') },
  ],
  ['ufw/forward-policy', 'containers have no way out', { [UFW]: (text: string) => text.replace('"ACCEPT"', '"DROP"') }],
  [
    'ufw/forward-unit',
    'the forward rule is gone after the next boot',
    { [FORWARD]: (text: string) => text.replace(/\[Install\][\s\S]*/, '') },
  ],
  [
    'vault/secret',
    'the unseal keys are committed',
    {
      'conf/vault/init.json': JSON.stringify({
        unseal_keys_b64: ['q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k='],
        root_token: `hvs.${'Ab1'.repeat(8)}`,
      }),
    },
  ],
  [
    'bot/mcp-missing',
    'a tool without parameters has no .mcp.json',
    { 'sales.gbai/sales.gbdialog/ask.bas': 'DESCRIPTION "Asks"\nUSE KB "prices"\n' },
  ],
  [
    'bot/use-tool-unresolved',
    'a dialog uses a tool that is not there',
    { [TALK]: 'DESCRIPTION "Greets"\nUSE TOOL "get-prise"\n' },
  ],
  ['bot/mcp-invalid', 'a .mcp.json would cost the session all its tools', { [TOOL_OUTPUT]: '{"name": "get-price",' }],
  [
    'ci/swallowed-step',
    'the deploy step is text of the step before',
    {
      '.forgejo/workflows/build.yml':
        'on:\n  push:\njobs:\n  build:\n    runs-on: gbo\n    steps:\n      - name: Build\n        run: |\n          make\n          - name: Deploy\n            run: |\n              scp x y\n',
    },
  ],
];

/** What a change makes of the files it is about. */
export function changed(files: Record<string, string>, change: Change): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(change).map(([path, to]) => [path, typeof to === 'function' ? to(files[path] ?? '') : to]),
  );
}
