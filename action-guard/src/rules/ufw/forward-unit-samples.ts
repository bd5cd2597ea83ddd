import type { Sample } from '../../rule.js';
import type { UfwOptions } from './index.js';

const both = ['/usr/sbin/iptables -I FORWARD -i lxdbr0 -j ACCEPT', '/usr/sbin/iptables -I FORWARD -o lxdbr0 -j ACCEPT'];
interface Parts {
  after?: string[];
  type?: string[];
  starts?: string[];
  install?: string[];
}
/** [Unit] is line 1, [Service] line 4. */
const unit = ({
  after = ['After=ufw.service snap.lxd.daemon.service'],
  type = ['Type=oneshot', 'RemainAfterExit=yes'],
  starts = both,
  install = ['[Install]', 'WantedBy=multi-user.target'],
}: Parts = {}) => ({
  'lxd-forward.service': [
    '[Unit]',
    'Description=Forward packets of containers',
    ...after,
    '[Service]',
    ...type,
    ...starts.map((each) => `ExecStart=${each}`),
    ...install,
    '',
  ].join('\n'),
});
const at = (line: number, column: number, says: RegExp) => [{ at: `lxd-forward.service:${line}:${column}`, says }];

export const good: Sample<UfwOptions>[] = [
  { name: 'a oneshot unit that is wanted, behind ufw and LXD', files: unit() },
  {
    name: "LXD's own recipe with ufw",
    files: unit({ starts: ['/usr/sbin/ufw route allow in on lxdbr0', '/usr/sbin/ufw route allow out on lxdbr0'] }),
  },
  {
    name: 'by sh -c',
    files: unit({
      starts: [
        "/bin/sh -c 'iptables -C FORWARD -i lxdbr0 -j ACCEPT || iptables -I FORWARD -i lxdbr0 -j ACCEPT; iptables -I FORWARD -o lxdbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'",
      ],
    }),
  },
  {
    name: 'by a script of the repository',
    files: {
      ...unit({ starts: ['/usr/local/sbin/lxd-forward'] }),
      'host/usr/local/sbin/lxd-forward':
        '#!/bin/sh\nfor way in -i -o; do iptables -I FORWARD $way lxdbr0 -j ACCEPT; done\n',
    },
  },
  {
    name: 'by nft',
    files: unit({
      starts: [
        '/usr/sbin/nft add rule inet filter forward iifname "lxdbr0" accept',
        '/usr/sbin/nft add rule inet filter forward oifname "lxdbr0" accept',
      ],
    }),
  },
  {
    name: 'an order that a drop-in gives',
    files: {
      ...unit({ after: ['Wants=network.target'] }),
      'lxd-forward.service.d/order.conf': '[Unit]\nAfter=ufw.service snap.lxd.daemon.service\n',
    },
  },
  {
    name: 'the rule is in a file that ufw loads',
    files: {
      'etc/ufw/before.rules':
        '*filter\n:ufw-before-forward - [0:0]\n-A ufw-before-forward -i lxdbr0 -j ACCEPT\n-A ufw-before-forward -o lxdbr0 -j ACCEPT\nCOMMIT\n',
      'setup.sh': 'iptables -I FORWARD -i lxdbr0 -j ACCEPT\n',
    },
  },
  {
    name: 'rules for other chains',
    files: { 'firewall.sh': 'iptables -A INPUT -i lxdbr0 -j ACCEPT\niptables -A FORWARD -i docker0 -j ACCEPT\n' },
  },
  { name: 'a unit of something else', files: { 'ui.service': '[Service]\nExecStart=/opt/gbo/bin/botui\n' } },
  { name: 'a script that takes it away', files: { 'reset.sh': 'iptables -D FORWARD -i lxdbr0 -j ACCEPT\n' } },
];

export const bad: Sample<UfwOptions>[] = [
  { name: 'no [Install]', files: unit({ install: [] }), finds: at(1, 1, /cannot be enabled/) },
  {
    name: 'an empty WantedBy',
    files: unit({ install: ['[Install]', 'WantedBy='] }),
    finds: at(9, 1, /cannot be enabled/),
  },
  {
    name: 'one way only',
    files: unit({ starts: both.slice(0, 1) }),
    finds: at(7, 1, /to the containers are not forwarded/),
  },
  {
    name: 'the other way only',
    files: unit({ starts: both.slice(1) }),
    finds: at(7, 1, /from the containers are not forwarded/),
  },
  {
    name: 'in a script only',
    files: { 'setup-host.sh': '#!/bin/sh\napt-get install -y ufw\nsudo iptables -I FORWARD -i lxdbr0 -j ACCEPT\n' },
    finds: [{ at: 'setup-host.sh:3:1', says: /no unit of the repository starts/ }],
  },
  {
    name: 'in a document only',
    files: { 'docs/host.md': '# Host\n\n```sh\nsudo ufw route allow in on lxdbr0\n```\n' },
    finds: [{ at: 'docs/host.md:4:1', says: /stands in a document only/ }],
  },
  {
    name: 'it does not wait for ufw and LXD',
    files: unit({ after: ['After=network.target'] }),
    finds: at(3, 1, /does not wait for ufw.service and snap.lxd.daemon.service/),
  },
  {
    name: 'it waits for ufw only',
    files: unit({ after: ['After=ufw.service'] }),
    finds: at(3, 1, /does not wait for snap.lxd.daemon.service/),
  },
  {
    name: 'another bridge',
    files: unit({ starts: both.map((each) => each.replace('lxdbr0', 'lxcbr1')) }),
    finds: at(7, 1, /the containers' bridge is lxdbr0/),
  },
  {
    name: 'several commands, and not oneshot',
    files: unit({ type: ['RemainAfterExit=yes', 'Restart=no'] }),
    finds: at(4, 1, /systemd refuses/),
  },
  { name: 'no RemainAfterExit', files: unit({ type: ['Type=oneshot', 'User=root'] }), finds: at(4, 1, /is over once/) },
  {
    name: 'the unit is gone',
    files: { 'README.md': 'nothing\n' },
    base: unit(),
    finds: [{ at: 'lxd-forward.service:1:1', says: /The unit is gone/ }],
  },
  {
    name: 'the unit does something else now',
    files: { 'lxd-forward.service': '[Service]\nExecStart=/bin/true\n' },
    base: unit(),
    finds: at(1, 1, /No longer/),
  },
  {
    name: 'the bridge of Incus, where it is another one',
    files: unit(),
    options: { bridges: ['incusbr0'] },
    finds: at(7, 1, /bridge is incusbr0/),
  },
];
