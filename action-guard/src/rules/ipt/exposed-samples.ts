import type { Sample } from '../../rule.js';
import type { IptOptions } from './index.js';

const rules = (...lines: string[]) => ({
  'rules.v4': ['*filter', ':INPUT ACCEPT [0:0]', ...lines, 'COMMIT', ''].join('\n'),
});
const lo = '-A INPUT -i lo -j ACCEPT';
const drop = '-A INPUT -p tcp --dport 6379 -j DROP';

export const good: Sample<IptOptions>[] = [
  { name: 'the rule is the same', files: rules(lo, drop), base: rules(lo, drop) },
  { name: 'another rule closes it', files: rules(lo, '-P INPUT DROP'), base: rules(lo, drop) },
  {
    name: 'it moved to another file',
    files: { 'etc/firewall.sh': 'iptables -A INPUT -p tcp --dport 6379 -j DROP\n' },
    base: rules(lo, drop),
  },
  { name: 'it never was closed', files: rules(lo), base: rules(lo) },
  {
    name: 'friends are let in by address',
    files: rules(lo, '-A INPUT -s 10.0.0.0/8 -p tcp --dport 6379 -j ACCEPT', drop),
  },
  {
    name: 'the guide',
    files: {
      'fw.sh': 'iptables -I INPUT -i lo -j ACCEPT\niptables -A INPUT -p tcp --dport 6379 -j DROP # external only\n',
    },
  },
  {
    name: 'known connections are let through first',
    files: rules('-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT', drop),
  },
];

export const bad: Sample<IptOptions>[] = [
  {
    name: 'the DROP is gone',
    files: rules(lo),
    base: rules(lo, drop),
    finds: [{ at: 'rules.v4:2:1', says: /Valkey \(6379\) was closed/ }],
  },
  {
    name: 'it became an ACCEPT',
    files: rules(lo, '-A INPUT -p tcp --dport 6379 -j ACCEPT'),
    base: rules(lo, drop),
    finds: [{ at: 'rules.v4:4:1', says: /would be open/ }],
  },
  {
    name: 'the policy is ACCEPT now',
    files: { 'rules.v4': '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n' },
    base: { 'rules.v4': '*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n' },
    finds: [{ at: 'rules.v4:2:1', says: /Valkey \(6379\), MinIO/ }],
  },
  {
    name: 'all are let in before the DROP',
    files: rules('-A INPUT -p tcp -j ACCEPT', drop),
    finds: [{ at: 'rules.v4:3:1', says: /before the rule that drops/ }],
  },
  {
    name: 'the DROP hangs on a variable now',
    files: { 'fw.sh': 'iptables -A INPUT -p tcp --dport "$1" -j DROP\n' },
    base: { 'fw.sh': 'iptables -A INPUT -p tcp --dport 6379 -j DROP\n' },
    finds: [{ at: 'fw.sh:1:1', says: /Valkey \(6379\) was closed .* not known/, status: 'unknown' }],
  },
  { name: 'the file is gone', files: {}, base: rules(lo, drop), finds: [{ at: 'rules.v4:1:1', says: /is gone/ }] },
];
