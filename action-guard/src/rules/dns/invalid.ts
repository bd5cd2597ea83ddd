import type { Finding, Look, Rule } from '../../rule.js';
import { corefilesOf, type DnsRuleOptions, readsOf } from './options.js';

function check({ head, options }: Look<DnsRuleOptions>): Finding[] {
  return corefilesOf(head, options).flatMap(({ problems }) =>
    problems.slice(0, 100).map(({ status, at, message, todo }) => ({ status, at, message, todo })),
  );
}

const server = (...lines: string[]) => `example.com:53 {\n${lines.map((line) => `\t${line}\n`).join('')}}\n`;

export const invalid: Rule<DnsRuleOptions> = {
  id: 'dns/invalid',
  severity: 'error',
  title: 'CoreDNS can read its Corefile.',
  reason: `CoreDNS keeps the old config when a reload fails, silently but for one line in its log; the next start has none at
all, and every domain is gone. Query types of an acl are upper case, its actions allow, block, filter and drop.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      {
        name: 'the server of the guide',
        files: {
          Corefile: server(
            'file /opt/gbo/data/example.com.zone',
            'acl {',
            '\tallow type A net 10.0.0.0/8',
            '\tblock',
            '}',
            'cache',
            'errors',
          ),
        },
      },
      {
        name: 'actions in any case, single addresses, IPv6, *, several types',
        files: {
          Corefile: server(
            'acl {',
            '\tALLOW type A AAAA net 10.1.2.3 ::1 2001:db8::/32',
            '\tFilter type * net *',
            '\tdrop',
            '}',
          ),
        },
      },
      {
        name: 'a snippet, an import, a variable',
        files: {
          Corefile: '(acl) {\n\tacl {\n\t\tblock\n\t}\n}\n{$ZONE}:53 {\n\timport acl\n\timport coredns/*.conf\n}\n',
          'coredns/a.conf': 'errors\n',
        },
      },
      {
        name: 'one zone on two ports and transports',
        files: {
          Corefile:
            'example.com:53, tls://example.com {\n\tacl {\n\t\tblock\n\t}\n}\nexample.com:5353 {\n\terrors\n}\n',
        },
      },
      {
        name: 'a plugin that the server was built with',
        files: { Corefile: server('blocklist /x') },
        options: { plugins: ['blocklist'] },
      },
    ],
    bad: [
      {
        name: 'deny instead of block',
        files: { Corefile: server('acl {', '\tdeny net *', '}') },
        finds: [{ at: 'Corefile:3:3', says: /no action deny/ }],
      },
      {
        name: 'a query type in lower case',
        files: { Corefile: server('acl {', '\tblock type any', '}') },
        finds: [{ at: 'Corefile:3:14', says: /any is no query type/ }],
      },
      {
        name: 'a network that is none',
        files: { Corefile: server('acl {', '\tblock net 10.0.0.0/33', '}') },
        finds: [{ at: 'Corefile:3:13', says: /is no network/ }],
      },
      {
        name: 'a type section with nothing in it',
        files: { Corefile: server('acl {', '\tblock type net 10.0.0.0/8', '}') },
        finds: [{ at: 'Corefile:3:9', says: /Nothing stands behind type/ }],
      },
      {
        name: 'a network without the word net',
        files: { Corefile: server('acl {', '\tallow 10.0.0.0/8', '}') },
        finds: [{ at: 'Corefile:3:9', says: /stands type or net/ }],
      },
      {
        name: 'a mistyped plugin',
        files: { Corefile: server('forwrad . 192.0.2.1') },
        finds: [{ at: 'Corefile:2:2', says: /no plugin forwrad/ }],
      },
      {
        name: 'a block that never closes',
        files: { Corefile: 'example.com:53 {\n\tacl {\n\t\tblock\n\t}\n\nexample.org:53 {\n\terrors\n' },
        finds: [{ at: 'Corefile:6:16', says: /never closed/ }],
      },
      {
        name: 'one zone served twice',
        files: { Corefile: 'example.com {\n\terrors\n}\nExample.com.:53 {\n\terrors\n}\n' },
        finds: [{ at: 'Corefile:4:1', says: /a second time/ }],
      },
      {
        name: 'an import of a file that is missing',
        files: { Corefile: server('import acl.conf') },
        finds: [{ at: 'Corefile:2:9', says: /no such file or snippet/ }],
      },
      {
        name: 'an import from outside the repository',
        files: { Corefile: server('import /etc/coredns/acl.conf') },
        finds: [{ at: 'Corefile:2:9', says: /outside the repository/, status: 'unknown' }],
      },
    ],
  },
};
