import type { Rule } from '../../rule.js';
import type { LxdOptions } from './options.js';

type Samples = Rule<LxdOptions>['samples'];

interface Parts {
  config?: string[];
  devices?: string[];
  profiles?: string[];
}

/** As `lxc config show` prints it. */
const show = ({ config = [], devices = [], profiles = ['default'] }: Parts = {}) =>
  [
    'architecture: x86_64',
    config.length > 0 ? `config:\n${config.map((each) => `  ${each}`).join('\n')}` : 'config: {}',
    devices.length > 0 ? `devices:\n${devices.map((each) => `  ${each}`).join('\n')}` : 'devices: {}',
    'ephemeral: false',
    profiles.length > 0 ? `profiles:\n${profiles.map((each) => `- ${each}`).join('\n')}` : 'profiles: []',
    'stateful: false',
    'description: ""',
    '',
  ].join('\n');
const profile = (name: string, parts: Parts) =>
  [
    parts.config ? `config:\n${parts.config.map((each) => `  ${each}`).join('\n')}` : 'config: {}',
    'description: ""',
    parts.devices ? `devices:\n${parts.devices.map((each) => `  ${each}`).join('\n')}` : 'devices: {}',
    `name: ${name}`,
    'used_by: []',
    '',
  ].join('\n');

const yes = 'security.privileged: "true"';
const root = 'root: {path: /, pool: default, type: disk}';
const nic = 'eth0: {name: eth0, network: lxdbr0, type: nic}';
const proxy = (name: string, listen: string, more = '') =>
  `${name}: {connect: "tcp:127.0.0.1:1", listen: "${listen}", type: proxy${more}}`;
const http = proxy('http', 'tcp:0.0.0.0:80');
const https = proxy('https', 'tcp:0.0.0.0:443');
const dnsTcp = proxy('dns-tcp', 'tcp:0.0.0.0:53');
const dnsUdp = proxy('dns-udp', 'udp:0.0.0.0:53');

const system = 'lxd/acme-system.yaml';
const ci = 'lxd/acme-alm-ci.yaml';
const front = 'lxd/acme-proxy.yaml';
const script = 'scripts/containers.sh';

export const privilegedSamples: Samples = {
  good: [
    { name: 'its own setting', files: { [system]: show({ config: [yes] }) } },
    ...['true', '"1"', 'Yes', '"on"', 'TRUE'].map((value) => ({
      name: `${value} is a yes too`,
      files: { [system]: show({ config: [`security.privileged: ${value}`] }) },
    })),
    {
      name: 'a profile of the repository',
      files: {
        [system]: show({ profiles: ['default', 'gbo'] }),
        'lxd/profiles/gbo.yaml': profile('gbo', { config: [yes] }),
      },
    },
    {
      name: 'the last profile that says something',
      files: {
        [system]: show({ profiles: ['one', 'two'] }),
        'lxd/profiles/one.yaml': profile('one', { config: ['security.privileged: "false"'] }),
        'lxd/profiles/two.yaml': profile('two', { config: [yes] }),
      },
    },
    {
      name: 'a profile of a preseed',
      files: {
        [system]: show({ profiles: ['gbo'] }),
        'lxd/preseed.yaml': `profiles:\n- name: gbo\n  config:\n    ${yes}\n  devices: {}\n`,
      },
    },
    {
      name: 'what lxc list prints',
      files: {
        'lxd/list.json': JSON.stringify([
          {
            name: 'acme-system',
            status: 'Running',
            config: {},
            devices: {},
            expanded_config: { 'security.privileged': 'true' },
            expanded_devices: {},
            profiles: ['gbo'],
          },
        ]),
      },
    },
    {
      name: 'printed with --expanded',
      files: {
        'lxd/acme-system.expanded.yaml': show({ config: [yes], devices: [root, nic], profiles: ['default', 'gbo'] }),
      },
    },
    {
      name: 'other names that sound alike',
      files: { 'lxd/acme-system-old.yaml': show(), 'lxd/filesystem.yaml': show(), 'lxd/acme-systemd.yaml': show() },
    },
    {
      name: 'a launch that says so',
      files: { [script]: 'lxc launch ubuntu:24.04 acme-system -c security.privileged=true\n' },
    },
    {
      name: 'a launch with a variable in its name',
      files: { [script]: 'sudo incus launch images:debian/12 "$TENANT-system" --config=security.privileged=true\n' },
    },
    {
      name: 'a script that sets it after the launch',
      files: { [script]: 'lxc init ubuntu:24.04 acme-system\nlxc config set acme-system security.privileged true\n' },
    },
    {
      name: "a script's own profile",
      files: {
        [script]:
          'lxc profile create gbo\nlxc profile set gbo security.privileged=true\nlxc launch ubuntu:24.04 acme-system --profile gbo\n',
      },
    },
    {
      name: 'a script that has nothing to do with it',
      files: { [script]: 'lxc config device add acme-system data disk source=/opt path=/opt\n' },
    },
  ],
  bad: [
    {
      name: 'no setting',
      files: { [system]: show() },
      finds: [{ at: `${system}:1:1`, says: /not privileged, so botserver/ }],
    },
    {
      name: 'false',
      files: { [system]: show({ config: ['security.privileged: "false"'] }) },
      finds: [{ at: `${system}:3:3`, says: /is "false"/ }],
    },
    {
      name: 'a value that LXD takes for no',
      files: { [system]: show({ config: ['security.privileged: y'] }) },
      finds: [{ at: `${system}:3:3`, says: /is "y"/ }],
    },
    {
      name: 'its own false stands above the true of its profile',
      files: {
        [system]: show({ config: ['security.privileged: "false"'], profiles: ['gbo'] }),
        'lxd/profiles/gbo.yaml': profile('gbo', { config: [yes] }),
      },
      finds: [{ at: `${system}:3:3`, says: /stands above that of its profile/ }],
    },
    {
      name: 'a later profile takes it back',
      files: {
        [system]: show({ profiles: ['one', 'two'] }),
        'lxd/profiles/one.yaml': profile('one', { config: [yes] }),
        'lxd/profiles/two.yaml': profile('two', { config: ['security.privileged: "no"'] }),
      },
      finds: [{ at: 'lxd/profiles/two.yaml:2:3', says: /is "no"/ }],
    },
    {
      name: 'a profile that is not in the repository',
      files: { [system]: show({ profiles: ['default', 'gbo'] }) },
      finds: [{ at: `${system}:7:3`, says: /profile gbo is not in the repository/, status: 'unknown' }],
    },
    { name: 'commented out', files: { [system]: show({ config: [`# ${yes}`, 'limits.cpu: "2"'] }) } },
    {
      name: 'what lxc list prints',
      files: {
        'lxd/list.json': JSON.stringify([
          {
            name: 'acme-system',
            config: { 'security.privileged': 'true' },
            expanded_config: { 'security.privileged': 'false' },
            expanded_devices: {},
            profiles: [],
          },
        ]),
      },
    },
    {
      name: 'a launch without it',
      files: { [script]: 'lxc launch ubuntu:24.04 acme-system\n' },
      finds: [{ at: `${script}:1:25`, says: /not privileged/ }],
    },
    {
      name: 'a script that takes it back',
      files: { [script]: 'lxc config set acme-system security.privileged=false\n' },
      finds: [{ at: `${script}:1:28`, says: /is "false"/ }],
    },
    {
      name: 'a value that the script is given',
      files: { [script]: 'lxc launch x acme-system -c security.privileged=$PRIV\n' },
      finds: [{ at: `${script}:1:29`, says: /variable/, status: 'unknown' }],
    },
    { name: 'no YAML', files: { [system]: 'config: {security.privileged: "true"\n' } },
    {
      name: 'its folder says whose it is',
      files: { 'containers/acme-system/config.yaml': show() },
      finds: [{ at: 'containers/acme-system/config.yaml:1:1', says: /acme-system is not/ }],
    },
    {
      name: 'the policy says whose it is',
      files: { 'lxd/box7.yaml': show() },
      options: { names: { 'lxd/box7.yaml': 'acme-system' } },
    },
  ],
};

const mount = 'data: {path: /opt/data, source: /srv/data, type: disk}';

export const diskSamples: Samples = {
  good: [
    { name: 'its root disk', files: { [ci]: show({ devices: [root, nic] }) } },
    { name: 'no device of its own', files: { [ci]: show() } },
    {
      name: 'a profile with the root disk',
      files: { [ci]: show({ profiles: ['gbo'] }), 'lxd/profiles/gbo.yaml': profile('gbo', { devices: [root] }) },
    },
    {
      name: 'another container may have disks',
      files: { 'lxd/acme-alm.yaml': show({ devices: [mount] }), 'lxd/acme-drive.yaml': show({ devices: [mount] }) },
    },
    {
      name: 'a mount of a profile that the instance masks',
      files: {
        [ci]: show({ devices: ['data: {type: none}'], profiles: ['gbo'] }),
        'lxd/profiles/gbo.yaml': profile('gbo', { devices: [mount] }),
      },
    },
    {
      name: 'a mount that the script takes away again',
      files: {
        [script]:
          'lxc config device add acme-alm-ci data disk source=/srv path=/srv\nlxc config device remove acme-alm-ci data\n',
      },
    },
    { name: 'a proxy device', files: { [ci]: show({ devices: [root, http] }) } },
  ],
  bad: [
    {
      name: 'a folder of the host',
      files: { [ci]: show({ devices: [root, mount] }) },
      finds: [{ at: `${ci}:5:27`, says: /a disk besides its root \(\/srv\/data\)/ }],
    },
    {
      name: 'the root of another container',
      files: {
        [ci]: show({
          devices: [
            'sys: {path: /mnt, source: /var/snap/lxd/common/lxd/storage-pools/default/containers/acme-system/rootfs, type: disk}',
          ],
        }),
      },
      finds: [{ at: `${ci}:4:21`, says: /a part of another container/ }],
    },
    {
      name: 'a volume that another instance has too',
      files: {
        [ci]: show({ devices: ['vol: {path: /v, pool: default, source: shared, type: disk}'] }),
        'lxd/acme-drive.yaml': show({ devices: ['v: {path: /x, pool: default, source: shared, type: disk}'] }),
      },
      finds: [{ at: `${ci}:4:34`, says: /volume shared of acme-drive/ }],
    },
    {
      name: 'a mount of its profile, which config device show does not show',
      files: {
        [ci]: show({ devices: [], profiles: ['default', 'gbo'] }),
        'lxd/profiles/gbo.yaml': profile('gbo', { devices: [mount] }),
      },
      finds: [{ at: 'lxd/profiles/gbo.yaml:4:27', says: /through its profile gbo/ }],
    },
    {
      name: 'a profile that is not in the repository',
      files: { [ci]: show({ profiles: ['build'] }) },
      finds: [{ at: `${ci}:6:3`, says: /profile build is not in the repository/, status: 'unknown' }],
    },
    {
      name: 'a script that adds one',
      files: { [script]: 'set -e\nlxc config device add acme-alm-ci work disk source=/opt/gbo path=/opt/gbo\n' },
      finds: [{ at: `${script}:2:45`, says: /\/opt\/gbo/ }],
    },
    {
      name: 'what config device show prints',
      files: { 'lxd/acme-alm-ci.devices.yaml': 'data:\n  path: /opt\n  source: /opt\n  type: disk\n' },
      finds: [{ at: 'lxd/acme-alm-ci.devices.yaml:3:3', says: /\/opt/ }],
    },
    {
      name: 'a folder of the host as its root',
      files: { [ci]: show({ devices: ['root: {path: /, source: /srv/root, type: disk}'] }) },
      finds: [{ at: `${ci}:4:19`, says: /\/srv\/root/ }],
    },
    {
      name: 'what lxc list prints',
      files: {
        'lxd/list.json': JSON.stringify([
          {
            name: 'acme-alm-ci',
            expanded_devices: { d: { type: 'disk', path: '/x', source: '/x' } },
            expanded_config: {},
          },
        ]),
      },
    },
  ],
};

const mails = proxy('mail', 'tcp:0.0.0.0:25,465,587,993,995,143,110,4190');
const each = [25, 465, 587, 993, 995, 143, 110, 4190].map((port) => proxy(`m${port}`, `tcp:0.0.0.0:${port}`));

export const portSamples: Samples = {
  good: [
    {
      name: 'the same devices',
      files: { [front]: show({ devices: [http, https] }) },
      base: { [front]: show({ devices: [http, https] }) },
    },
    {
      name: 'a device with another name',
      files: { [front]: show({ devices: [http, proxy('tls', 'tcp:0.0.0.0:443')] }) },
      base: { [front]: show({ devices: [http, https] }) },
    },
    {
      name: 'devices that moved to another file',
      files: { 'lxd/edge.yaml': show({ devices: [http, https] }) },
      base: { [front]: show({ devices: [http, https] }) },
    },
    {
      name: 'many devices that became one',
      files: { 'lxd/acme-email.yaml': show({ devices: [mails] }) },
      base: { 'lxd/acme-email.yaml': show({ devices: each }) },
    },
    {
      name: 'a range that covers them',
      files: { [front]: show({ devices: [proxy('web', 'tcp:0.0.0.0:80-443')] }) },
      base: { [front]: show({ devices: [http, https] }) },
    },
    {
      name: 'over IPv6 too',
      files: { [front]: show({ devices: [proxy('http', 'tcp:[::]:80'), https] }) },
      base: { [front]: show({ devices: [http, https] }) },
    },
    {
      name: 'a port that is not on the list',
      files: { [front]: show({ devices: [http, https] }) },
      base: { [front]: show({ devices: [http, https, proxy('extra', 'tcp:0.0.0.0:9000')] }) },
    },
    {
      name: 'a script that makes them anew',
      files: {
        [script]:
          'lxc config device remove acme-proxy http || true\nlxc config device add acme-proxy http proxy \\\n  listen=tcp:0.0.0.0:80 connect=tcp:127.0.0.1:80\nlxc config device add acme-proxy https proxy listen=tcp:0.0.0.0:443 connect=tcp:127.0.0.1:443\n',
      },
      base: { [front]: show({ devices: [http, https] }) },
    },
    {
      name: 'devices of a profile',
      files: {
        [front]: show({ profiles: ['web'] }),
        'lxd/profiles/web.yaml': profile('web', { devices: [http, https] }),
      },
    },
    { name: 'a repository without any proxy device', files: { [front]: show() } },
  ],
  bad: [
    {
      name: 'a device was removed',
      files: { [front]: show({ devices: [http] }) },
      base: { [front]: show({ devices: [http, https] }) },
      finds: [
        { at: `${front}:4:64`, says: /Port 443 of acme-proxy is no longer open: its proxy device https was removed/ },
      ],
    },
    {
      name: 'a device was removed from the second of two files of an instance',
      files: { 'lxd/acme-proxy.a.yaml': show({ devices: [root] }), [front]: show({ devices: [http] }) },
      base: { 'lxd/acme-proxy.a.yaml': show({ devices: [root] }), [front]: show({ devices: [http, https] }) },
      finds: [{ at: `${front}:4:64`, says: /its proxy device https was removed/ }],
    },
    {
      name: 'the file was deleted',
      files: { 'README.md': '' },
      base: { [front]: show({ devices: [http, https] }) },
      finds: [
        { at: `${front}:4:3`, says: /Port 80.*file with its proxy device was deleted/ },
        { at: `${front}:5:3`, says: /Port 443/ },
      ],
    },
    {
      name: 'it listens on the host itself only',
      files: { [front]: show({ devices: [http, proxy('https', 'tcp:127.0.0.1:443')] }) },
      base: { [front]: show({ devices: [http, https] }) },
      finds: [{ at: `${front}:5:39`, says: /listens on 127.0.0.1 only/ }],
    },
    {
      name: 'it was turned round',
      files: { [front]: show({ devices: [http, proxy('https', 'tcp:0.0.0.0:443', ', bind: instance')] }) },
      base: { [front]: show({ devices: [http, https] }) },
      finds: [{ at: `${front}:5:79`, says: /bound to the instance/ }],
    },
    {
      name: 'it listens on another port',
      files: { [front]: show({ devices: [http, proxy('https', 'tcp:0.0.0.0:4430')] }) },
      base: { [front]: show({ devices: [http, https] }) },
      finds: [{ at: `${front}:5:39`, says: /listens elsewhere now/ }],
    },
    {
      name: '53/udp is gone while 53/tcp stays',
      files: { 'lxd/acme-dns.yaml': show({ devices: [dnsTcp] }) },
      base: { 'lxd/acme-dns.yaml': show({ devices: [dnsTcp, dnsUdp] }) },
      finds: [{ at: 'lxd/acme-dns.yaml:4:67', says: /Port 53\/udp/ }],
    },
    {
      name: 'a merged list that lost one',
      files: { 'lxd/acme-email.yaml': show({ devices: [proxy('mail', 'tcp:0.0.0.0:25,465,587,993,995,143,110')] }) },
      base: { 'lxd/acme-email.yaml': show({ devices: [mails] }) },
      finds: [{ at: 'lxd/acme-email.yaml:4:38', says: /Port 4190/ }],
    },
    {
      name: 'all mail ports are gone',
      files: { 'lxd/acme-email.yaml': show({ devices: [root] }) },
      base: { 'lxd/acme-email.yaml': show({ devices: each }) },
      finds: each.map((_, _index) => ({ at: 'lxd/acme-email.yaml:3:1', says: /Ports? \d+/ })).slice(0, 1),
    },
    {
      name: 'a script that removes it',
      files: { [script]: 'lxc config device remove acme-proxy https\n', [front]: show({ devices: [http, https] }) },
      finds: [{ at: `${script}:1:1`, says: /removes the proxy device of port 443/ }],
    },
    {
      name: 'the whole tree: it listens on the host itself only',
      files: { [front]: show({ devices: [http, proxy('https', 'tcp:127.0.0.1:443')] }) },
      finds: [{ at: `${front}:5:39`, says: /Nobody outside reaches port 443/ }],
    },
    {
      name: 'the whole tree: the mail container lacks IMAP',
      files: { 'lxd/acme-email.yaml': show({ devices: [proxy('mail', 'tcp:0.0.0.0:25,465,587,995,143,110,4190')] }) },
      finds: [{ at: 'lxd/acme-email.yaml:3:1', says: /Nothing here opens port 993 for acme-email/ }],
    },
    {
      name: 'a port that a variable holds',
      files: {
        [script]: 'lxc config device add acme-proxy web proxy listen=tcp:0.0.0.0:$PORT connect=tcp:127.0.0.1:80\n',
      },
      base: { [front]: show({ devices: [https] }) },
      finds: [{ at: `${script}:1:23`, says: /Port 443/, status: 'unknown' }],
    },
  ],
};

const forward =
  'listen_address: 203.0.113.4\nconfig:\n  target_address: 10.77.0.5\ndescription: ""\nports:\n- {protocol: tcp, listen_port: "443", target_port: "443", target_address: 10.77.0.5}\nlocation: ""\n';

export const forwardSamples: Samples = {
  good: [
    {
      name: 'the words in a comment',
      files: { [script]: '# never: lxc network forward create lxdbr0 203.0.113.4\ntrue\n' },
    },
    { name: 'the words in a text', files: { [script]: 'echo "lxc network forward create does not work here"\n' } },
    {
      name: 'a look at what there is',
      files: { [script]: 'lxc network forward list lxdbr0\nlxc network forward delete lxdbr0 203.0.113.4\n' },
    },
    {
      name: 'a network',
      files: {
        'lxd/networks/lxdbr0.yaml':
          'config:\n  ipv4.address: 10.77.0.1/24\ndescription: ""\nname: lxdbr0\ntype: bridge\nused_by: []\n',
      },
    },
    {
      name: 'a proxy device',
      files: {
        [script]: 'lxc config device add acme-proxy https proxy listen=tcp:0.0.0.0:443 connect=tcp:127.0.0.1:443\n',
      },
    },
  ],
  bad: [
    {
      name: 'a command',
      files: { [script]: 'lxc network forward create lxdbr0 203.0.113.4\n' },
      finds: [{ at: `${script}:1:1`, says: /forwards 203.0.113.4 by a network forward/ }],
    },
    {
      name: 'a command for one port',
      files: { [script]: 'set -e\nsudo incus network forward port add incusbr0 203.0.113.4 tcp 443 10.0.0.5\n' },
      finds: [{ at: `${script}:2:6`, says: /203.0.113.4/ }],
    },
    {
      name: 'a command over SSH',
      files: { [script]: 'ssh host "sudo lxc network forward create lxdbr0 203.0.113.4"\n' },
      finds: [{ at: `${script}:1:10`, says: /network forward/ }],
    },
    {
      name: 'a command by the API',
      files: { [script]: 'lxc query -X POST /1.0/networks/lxdbr0/forwards -d "{}"\n' },
      finds: [{ at: `${script}:1:1`, says: /network forward/ }],
    },
    {
      name: 'what network forward show prints',
      files: { 'lxd/forward.yaml': forward },
      finds: [{ at: 'lxd/forward.yaml:1:1', says: /203.0.113.4/ }],
    },
    {
      name: 'a command in a branch',
      files: { [script]: 'if true; then\n  lxc network forward create br 203.0.113.4 target_address=10.0.0.5\nfi\n' },
      finds: [{ at: `${script}:2:3`, says: /network forward/ }],
    },
  ],
};

const jail = { 'acme-proxy/etc/fail2ban/jail.local': '[caddy-http-flood]\nenabled = true\n' };

export const clientSamples: Samples = {
  good: [
    {
      name: 'the proxy protocol',
      files: { ...jail, [front]: show({ devices: [proxy('https', 'tcp:0.0.0.0:443', ', proxy_protocol: "true"')] }) },
    },
    {
      name: 'NAT',
      files: { ...jail, [front]: show({ devices: [proxy('https', 'tcp:203.0.113.4:443', ', nat: "true"')] }) },
    },
    {
      name: 'no fail2ban in that container',
      files: { 'host/fail2ban/jail.local': '', [front]: show({ devices: [http, https] }) },
    },
    {
      name: 'a port for the host itself',
      files: { ...jail, [front]: show({ devices: [proxy('admin', 'tcp:127.0.0.1:443')] }) },
    },
    { name: 'another container', files: { ...jail, 'lxd/acme-drive.yaml': show({ devices: [https] }) } },
  ],
  bad: [
    {
      name: 'a plain proxy device before a fail2ban',
      files: { ...jail, [front]: show({ devices: [https] }) },
      finds: [{ at: `${front}:4:3`, says: /sees the host as every client/ }],
    },
    {
      name: 'false is no yes',
      files: { ...jail, [front]: show({ devices: [proxy('https', 'tcp:0.0.0.0:443', ', proxy_protocol: "false"')] }) },
      finds: [{ at: `${front}:4:3`, says: /acme-proxy/ }],
    },
    {
      name: 'the mail container',
      files: { 'containers/email/fail2ban/jail.local': '', 'lxd/acme-email.yaml': show({ devices: [mails] }) },
      finds: [{ at: 'lxd/acme-email.yaml:4:3', says: /acme-email/ }],
    },
    {
      name: 'a script',
      files: {
        ...jail,
        [script]: 'lxc config device add acme-proxy https proxy listen=tcp:0.0.0.0:443 connect=tcp:127.0.0.1:443\n',
      },
      finds: [{ at: `${script}:1:1`, says: /acme-proxy/ }],
    },
  ],
};
