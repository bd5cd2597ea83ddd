import type { Sample } from '../../rule.js';
import type { IptOptions } from './index.js';

/** `lines` below *filter, as a file for iptables-restore; the first of them is line 5. */
const rules = (...lines: string[]) =>
  ['*filter', ':INPUT ACCEPT [0:0]', ':FORWARD ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', ...lines, 'COMMIT', ''].join(
    '\n',
  );
const v4 = (...lines: string[]) => ({ 'etc/iptables/rules.v4': rules(...lines) });
const script = (...lines: string[]) => ({ 'firewall.sh': ['#!/bin/sh', ...lines, ''].join('\n') });
const lo = '-A INPUT -i lo -j ACCEPT';
const drop = '-A INPUT -p tcp --dport 6379 -j DROP';
const all = /Valkey \(6379\), MinIO \(9000\).* and Vault \(8200\)/;

const ufw = (...input: string[]) =>
  [
    '*filter',
    ':ufw-before-input - [0:0]',
    ':ufw-before-output - [0:0]',
    ':ufw-before-forward - [0:0]',
    ':ufw-not-local - [0:0]',
    ...input,
    '-A ufw-before-output -o lo -j ACCEPT',
    '-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny',
    '-A ufw-before-input -m conntrack --ctstate INVALID -j DROP',
    '-A ufw-before-input -j ufw-not-local',
    '-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN',
    '-A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j ufw-logging-deny',
    '-A ufw-not-local -j DROP',
    'COMMIT',
    '',
  ].join('\n');

export const good: Sample<IptOptions>[] = [
  { name: 'loopback is accepted first', files: v4(lo, drop) },
  {
    name: 'the two lines of the guide',
    files: script(
      'iptables -I INPUT -i lo -j ACCEPT',
      'iptables -A INPUT -p tcp --dport 6379 -j DROP  # external only',
    ),
  },
  { name: '-I puts the accept in front, though it stands behind', files: v4(drop, '-I INPUT -i lo -j ACCEPT') },
  { name: 'the DROP is for other interfaces than lo', files: v4('-A INPUT ! -i lo -p tcp --dport 6379 -j DROP') },
  { name: 'the DROP is for eth0', files: v4('-A INPUT -i eth0 -p tcp --dport 6379 -j DROP') },
  {
    name: 'a user chain that is entered before accepts it',
    files: v4(':trusted - [0:0]', '-A INPUT -j trusted', '-A trusted -i lo -j ACCEPT', drop),
  },
  { name: 'only the port is accepted on loopback', files: v4('-A INPUT -i lo -p tcp --dport 6379 -j ACCEPT', drop) },
  { name: 'lo+ takes lo in', files: v4('-A INPUT -i lo+ -j ACCEPT', drop) },
  {
    name: "ufw's own before.rules",
    files: { 'host/etc/ufw/before.rules': ufw('-A ufw-before-input -i lo -j ACCEPT') },
  },
  {
    name: "ufw's own before6.rules",
    files: { 'host/etc/ufw/before6.rules': ufw('-A ufw-before-input -i lo -j ACCEPT').replaceAll('ufw-', 'ufw6-') },
  },
  {
    name: 'a list as iptables -S prints it',
    files: { 'iptables.txt': `-P INPUT DROP\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n${lo}\n${drop}\n` },
  },
  { name: 'the ports of a range that does not hold it', files: v4('-A INPUT -p tcp --dport 6380:6400 -j DROP') },
  { name: 'the packets of udp', files: v4('-A INPUT -p udp --dport 6379 -j DROP') },
  {
    name: 'a DROP for invalid packets, and for all that is not accepted',
    files: v4('-A INPUT -m state --state INVALID -j DROP', '-A INPUT -i lo -j ACCEPT', '-A INPUT -j DROP'),
  },
  {
    name: 'an address of the outside is dropped',
    files: v4('-A INPUT -s 10.0.0.0/8 -i eth0 -j DROP', lo, '-P INPUT DROP'),
  },
  {
    name: 'the rule is only added where it is not there yet',
    files: script(
      'iptables -C INPUT -i lo -j ACCEPT 2>/dev/null || iptables -I INPUT -i lo -j ACCEPT',
      'iptables -A INPUT -p tcp --dport 6379 -j DROP',
    ),
  },
  {
    name: 'the same with if',
    files: script(
      'if ! iptables -C INPUT -i lo -j ACCEPT; then',
      '  iptables -I INPUT 1 -i lo -j ACCEPT',
      'fi',
      'for port in 6379 9000; do',
      '  iptables -A INPUT -p tcp --dport "$port" -j DROP',
      'done',
    ),
  },
  {
    name: 'a function for both programs, and a variable for the command',
    files: script(
      'IPT=/usr/sbin/iptables',
      'both() { $IPT "$@"; ip6tables "$@"; }',
      'both -F INPUT',
      'both -P INPUT DROP',
      'both -A INPUT -i lo -j ACCEPT',
      'both -A INPUT -p tcp -m multiport --dports 6379,9000:9001 -j REJECT',
    ),
  },
  {
    name: 'the rules are in a container, in a string',
    files: script(
      'lxc exec acme-system -- bash -c "iptables -I INPUT -i lo -j ACCEPT; iptables -A INPUT -p tcp --dport 6379 -j DROP"',
    ),
  },
  { name: 'a rule for all is taken away again', files: v4('-A INPUT -j DROP', '-D INPUT -j DROP') },
  { name: 'a DROP of all is flushed', files: v4('-A INPUT -j DROP', '-F INPUT', lo) },
  {
    name: 'a chain is returned from',
    files: v4(':c - [0:0]', '-A INPUT -j c', '-A c -i lo -j RETURN', '-A c -p tcp --dport 6379 -j DROP'),
  },
  {
    name: 'all that is dropped is dropped behind, in the file for IPv6',
    files: {
      'rules.v6': rules(
        '-A INPUT -s ::1 -d ::1 -i lo -j ACCEPT',
        lo,
        '-A INPUT -p ipv6-icmp -j ACCEPT',
        '-P INPUT DROP',
      ),
    },
  },
  {
    name: 'an unknown match accepts, and nothing drops',
    files: v4('-A INPUT -p tcp --dport 6379 -m set --match-set friends src -j ACCEPT'),
  },
  { name: 'a script without rules', files: { 'deploy.sh': 'echo iptables\n' } },
  {
    name: 'both of one file, for IPv4 and IPv6',
    files: { 'both.rules': rules('-4 -A INPUT -i lo -j ACCEPT', '-6 -A INPUT -i lo -j ACCEPT', '-A INPUT -j DROP') },
  },
  { name: 'a table that is marked and checked', files: v4(lo, '-A INPUT -m mark --mark 0x1 -j DROP') },
];

export const bad: Sample<IptOptions>[] = [
  {
    name: 'the accept stands behind the DROP',
    files: v4(drop, lo),
    finds: [
      { at: 'etc/iptables/rules.v4:5:1', says: /^This rule drops connections to Valkey \(6379\) on loopback, as/ },
    ],
  },
  {
    name: 'the guide with -A in place of -I',
    files: script('iptables -A INPUT -p tcp --dport 6379 -j DROP', 'iptables -A INPUT -i lo -j ACCEPT'),
    finds: [{ at: 'firewall.sh:2:1', says: /Valkey/ }],
  },
  {
    name: '-o lo does not match what comes in',
    files: v4('-A INPUT -o lo -j ACCEPT', drop),
    finds: [{ at: 'etc/iptables/rules.v4:6:1', says: /Valkey/ }],
  },
  {
    name: 'lo0 is no interface of Linux',
    files: v4('-A INPUT -i lo0 -j ACCEPT', drop),
    finds: [{ at: 'etc/iptables/rules.v4:6:1', says: /Valkey/ }],
  },
  {
    name: 'loopback is accepted for established connections only',
    files: v4('-A INPUT -i lo -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT', drop),
    finds: [{ at: 'etc/iptables/rules.v4:6:1', says: /Valkey/ }],
  },
  {
    name: 'loopback is accepted for new connections only, and what follows is dropped',
    files: v4('-A INPUT -i lo -m state --state NEW -j ACCEPT', drop),
    finds: [{ at: 'etc/iptables/rules.v4:6:1', says: /Valkey/ }],
  },
  {
    name: 'loopback is accepted in FORWARD',
    files: v4('-A FORWARD -i lo -j ACCEPT', drop),
    finds: [{ at: 'etc/iptables/rules.v4:6:1', says: /Valkey/ }],
  },
  {
    name: 'the accept is commented',
    files: v4(`# ${lo}`, drop),
    finds: [{ at: 'etc/iptables/rules.v4:6:1', says: /Valkey/ }],
  },
  {
    name: 'the comment of the DROP says lo -j ACCEPT',
    files: v4('-A INPUT -p tcp --dport 6379 -m comment --comment "-i lo -j ACCEPT" -j DROP', lo),
    finds: [{ at: 'etc/iptables/rules.v4:5:1', says: /Valkey/ }],
  },
  {
    name: 'the policy drops, and nothing accepts loopback',
    files: v4('-P INPUT DROP', '-A INPUT -p tcp --dport 22 -j ACCEPT'),
    finds: [{ at: 'etc/iptables/rules.v4:5:1', says: new RegExp(`The policy of INPUT.*${all.source}`) }],
  },
  {
    name: 'the policy stands at the chain',
    files: { 'rules.v4': '*filter\n:INPUT DROP [0:0]\nCOMMIT\n' },
    finds: [{ at: 'rules.v4:2:1', says: all }],
  },
  {
    name: 'a later -D takes the accept away',
    files: v4(lo, drop, `-D ${lo.slice(3)}`),
    finds: [{ at: 'etc/iptables/rules.v4:6:1', says: /Valkey/ }],
  },
  {
    name: 'a later -F takes the accept away',
    files: v4(lo, '-F INPUT', drop),
    finds: [{ at: 'etc/iptables/rules.v4:7:1', says: /Valkey/ }],
  },
  {
    name: 'it is missing in the file for IPv6',
    files: { 'etc/rules.v4': rules(lo, drop), 'etc/rules.v6': rules(drop) },
    finds: [{ at: 'etc/rules.v6:5:1', says: /Valkey/ }],
  },
  {
    name: 'only loopback addresses are accepted, not the other ones of the machine',
    files: v4('-A INPUT -s 127.0.0.0/8 -j ACCEPT', drop),
    finds: [{ at: 'etc/iptables/rules.v4:6:1', says: /own address/ }],
  },
  {
    name: '-I with a number lands behind the DROP',
    files: v4(drop, '-I INPUT 2 -i lo -j ACCEPT'),
    finds: [{ at: 'etc/iptables/rules.v4:5:1', says: /Valkey/ }],
  },
  {
    name: 'a port by name',
    files: v4('-A INPUT -p tcp --dport redis -j DROP', lo),
    finds: [{ at: 'etc/iptables/rules.v4:5:1', says: /Valkey/ }],
  },
  {
    name: 'a list of ports and a range',
    files: v4('-A INPUT -p tcp -m multiport --dports 22,9000:9010 -j DROP', lo),
    finds: [{ at: 'etc/iptables/rules.v4:5:1', says: /MinIO \(9000\) and the MinIO console \(9001\)/ }],
  },
  {
    name: 'a range around the port',
    files: v4('-A INPUT -p tcp --dport 6379:6380 -j DROP'),
    finds: [{ at: 'etc/iptables/rules.v4:5:1', says: /Valkey/ }],
  },
  {
    name: 'REJECT counts as well',
    files: v4('-A INPUT -p tcp --dport 6379 -j REJECT --reject-with tcp-reset'),
    finds: [{ at: 'etc/iptables/rules.v4:5:1', says: /Valkey/ }],
  },
  {
    name: 'a user chain drops',
    files: v4(':closed - [0:0]', '-A INPUT -p tcp -j closed', lo, '-A closed -p tcp --dport 6379 -j DROP'),
    finds: [{ at: 'etc/iptables/rules.v4:8:1', says: /Valkey/ }],
  },
  {
    name: 'the raw table drops before',
    files: {
      'rules.v4': `*raw\n:PREROUTING ACCEPT [0:0]\n${drop.replace('INPUT', 'PREROUTING')}\nCOMMIT\n${rules(lo)}`,
    },
    finds: [{ at: 'rules.v4:3:1', says: /Valkey/ }],
  },
  {
    name: 'OUTPUT drops what goes to loopback',
    files: v4(lo, '-A OUTPUT -o lo -p tcp --dport 6379 -j REJECT'),
    finds: [{ at: 'etc/iptables/rules.v4:6:1', says: /Valkey/ }],
  },
  {
    name: 'only the port is accepted, and the policy drops the answer',
    files: v4('-A INPUT -i lo -p tcp --dport 6379 -j ACCEPT', '-A INPUT -p tcp --dport 6379 -j DROP', '-P INPUT DROP'),
    options: { ports: { Valkey: 6379 } },
    finds: [{ at: 'etc/iptables/rules.v4:7:1', says: /policy/ }],
  },
  {
    name: 'not negated: the DROP is for lo itself',
    files: v4('-A INPUT -i lo -p tcp --dport 6379 -j DROP', lo),
    finds: [{ at: 'etc/iptables/rules.v4:5:1', says: /Valkey/ }],
  },
  {
    name: 'the line of ufw is gone',
    files: { 'host/etc/ufw/before.rules': ufw() },
    finds: [{ at: 'host/etc/ufw/before.rules:2:1', says: /policy of INPUT/ }],
  },
  {
    name: 'a loop over ports drops',
    files: script(
      'for p in 22 6379; do',
      '  sudo iptables -A INPUT -p tcp --dport $p -j DROP',
      'done',
      'iptables -A INPUT -i lo -j ACCEPT',
    ),
    finds: [{ at: 'firewall.sh:3:3', says: /Valkey/ }],
  },
  {
    name: 'a container drops, in a string',
    files: script("incus exec acme-system -- sh -c 'iptables -A INPUT -p tcp --dport 6379 -j DROP'"),
    finds: [{ at: 'firewall.sh:2:33', says: /on loopback in acme-system/ }],
  },
  {
    name: 'rules that a script writes to a file',
    files: script("cat > /etc/iptables/rules.v4 << 'EOF'", '*filter', ':INPUT ACCEPT [0:0]', drop, lo, 'COMMIT', 'EOF'),
    finds: [{ at: 'firewall.sh:5:1', says: /Valkey/ }],
  },
  {
    name: 'rules that a script hands to iptables-restore',
    files: script('iptables-restore << EOF', '*filter', ':INPUT DROP [0:0]', 'COMMIT', 'EOF'),
    options: { ports: { Valkey: 6379 } },
    finds: [{ at: 'firewall.sh:4:1', says: /policy/ }],
  },
  {
    name: 'a set of addresses may drop: not known',
    files: v4('-A INPUT -m set --match-set blocked src -j DROP', lo),
    options: { ports: { Valkey: 6379 } },
    finds: [{ at: 'etc/iptables/rules.v4:5:1', says: /-m set|match-set/, status: 'unknown' }],
  },
  {
    name: 'whether loopback is accepted depends on a condition',
    files: script(
      'if [ "$1" = open ]; then iptables -I INPUT -i lo -j ACCEPT; fi',
      'iptables -A INPUT -p tcp --dport 6379 -j DROP',
    ),
    finds: [{ at: 'firewall.sh:3:1', says: /depends on a condition/, status: 'unknown' }],
  },
  {
    name: 'an interface in a variable',
    files: script('iptables -A INPUT -i "$IF" -p tcp --dport 6379 -j DROP'),
    finds: [{ at: 'firewall.sh:2:1', says: /interface/, status: 'unknown' }],
  },
  {
    name: 'a chain that others made',
    files: script('iptables -A INPUT -j f2b-all', 'iptables -A INPUT -i lo -j ACCEPT', 'iptables -A INPUT -j DROP'),
    options: { ports: { Valkey: 6379 } },
    finds: [{ at: 'firewall.sh:2:1', says: /f2b-all is made elsewhere/, status: 'unknown' }],
  },
  {
    name: 'the connection is sent elsewhere',
    files: {
      'rules.v4': '*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp --dport 6379 -j REDIRECT --to-ports 6380\nCOMMIT\n',
    },
    finds: [{ at: 'rules.v4:3:1', says: /REDIRECT sends it elsewhere/, status: 'unknown' }],
  },
  {
    name: 'a number behind what the script itself has put there',
    files: script('iptables -I INPUT 4 -p tcp --dport 6379 -j DROP'),
    finds: [{ at: 'firewall.sh:2:1', says: /whether there are so many rules/, status: 'unknown' }],
  },
];
