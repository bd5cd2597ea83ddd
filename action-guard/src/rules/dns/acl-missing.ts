import { brief } from '../../formats/caddy-tokens.js';
import type { Finding, Look, Rule } from '../../rule.js';
import { corefilesOf, type DnsRuleOptions, eachServer, readsOf } from './options.js';

/** Without a connection before it, a query's source can be forged. */
const forgeable = new Set(['dns']);

function check(look: Look<DnsRuleOptions>): Finding[] {
  const missing = eachServer(look.head, look.options, (server, { incomplete }): Finding[] => {
    if (server.acls.length > 0) return [];
    const names = brief(
      server.keys
        .slice(0, 3)
        .map(({ text }) => text)
        .join(', '),
      100,
    );
    if (incomplete)
      return [
        {
          status: 'unknown',
          at: server.at,
          message: `The file could not be read whole, so whether ${names} has an acl is not known.`,
        },
      ];
    const open = server.keys.some(({ transport }) => forgeable.has(transport));
    return [
      {
        status: 'fail',
        ...(open ? {} : { severity: 'warning' as const }),
        at: server.at,
        message: `The server of ${names} has no acl, so anybody can have it answer whomever they name as the source.`,
        todo: 'Add an `acl` that ends with `block` or `drop`.',
      },
    ];
  });
  return [...missing, ...deleted(look)];
}

/** A Corefile with an acl that is gone, its zones served nowhere else. */
function deleted({ head, base, options }: Look<DnsRuleOptions>): Finding[] {
  if (!base) return [];
  const served = new Set(corefilesOf(head, options).flatMap(({ servers }) => servers.flatMap(zones)));
  return corefilesOf(base, options)
    .filter(({ path }) => !head.paths.includes(path))
    .filter(({ servers }) =>
      servers.some((server) => server.acls.length > 0 && !zones(server).every((zone) => served.has(zone))),
    )
    .map(({ path }) => ({
      status: 'fail',
      at: { path, line: 1, column: 1 },
      message: 'This Corefile is deleted with its acl, and no other serves its zones.',
      todo: 'Bring it back.',
    }));
}

function zones({ keys }: { keys: { zone: string }[] }): string[] {
  return keys.map(({ zone }) => zone);
}

const acl = '\tacl {\n\t\tallow net 10.0.0.0/8\n\t\tblock\n\t}\n';
export const guideCorefile = `zone.example.com:53 {
    file /opt/gbo/data/zone.example.com.zone
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

export const aclMissing: Rule<DnsRuleOptions> = {
  id: 'dns/acl-missing',
  severity: 'error',
  title: 'Every CoreDNS server has an acl.',
  reason: `Queries over UDP can name anybody as their source. A server that answers everybody everything sends large answers to
the victim of whoever asks: DNS amplification.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      { name: "the guide's own sample", files: { Corefile: guideCorefile } },
      {
        name: 'an acl by a snippet',
        files: { Corefile: `(acl) {\n${acl}}\nexample.com {\n\timport acl\n\terrors\n}\n` },
      },
      {
        name: 'an acl by an imported file',
        files: { Corefile: 'example.com {\n\timport coredns/acl\n}\n', 'coredns/acl': acl },
      },
      { name: 'an acl in every server', files: { Corefile: `example.com {\n${acl}}\nexample.org {\n${acl}}\n` } },
      { name: 'an acl behind the other plugins', files: { Corefile: `example.com {\n\tfile db\n\tcache\n${acl}}\n` } },
      {
        name: 'a server of its own machine alone',
        files: { Corefile: '. {\n\tbind 127.0.0.1 ::1\n\tforward . 192.0.2.1\n}\n' },
      },
    ],
    bad: [
      {
        name: 'no acl',
        files: { Corefile: 'example.com:53 {\n\tfile db\n}\n' },
        finds: [{ at: 'Corefile:1:1', says: /no acl/ }],
      },
      {
        name: 'an acl in a comment',
        files: { Corefile: 'example.com:53 {\n\t# acl {\n\t#\tblock\n\t# }\n\terrors\n}\n' },
        finds: [{ at: 'Corefile:1:1', says: /no acl/ }],
      },
      {
        name: 'one server of several without',
        files: { Corefile: `example.com {\n${acl}}\nexample.org, example.net {\n\terrors\n}\n` },
        finds: [{ at: 'Corefile:7:1', says: /example.org, example.net has no acl/ }],
      },
      {
        name: 'a snippet that nobody imports',
        files: { Corefile: `(acl) {\n${acl}}\nexample.com {\n\terrors\n}\n` },
        finds: [{ at: 'Corefile:7:1', says: /no acl/ }],
      },
      {
        name: 'DNS over TLS alone, as a warning: its sources cannot be forged',
        files: { Corefile: 'tls://example.com {\n\terrors\n}\n' },
        finds: [{ at: 'Corefile:1:1', says: /no acl/ }],
      },
      {
        name: 'an import that could not be seen',
        files: { Corefile: 'example.com {\n\timport /etc/coredns/acl\n}\n' },
        finds: [{ at: 'Corefile:1:1', says: /not known/, status: 'unknown' }],
      },
      {
        name: 'the acl taken out',
        base: { Corefile: `example.com {\n${acl}}\n` },
        files: { Corefile: 'example.com {\n\terrors\n}\n' },
        finds: [{ at: 'Corefile:1:1', says: /no acl/ }],
      },
      {
        name: 'the Corefile deleted',
        base: { Corefile: `example.com {\n${acl}}\n` },
        files: { 'README.md': '' },
        finds: [{ at: 'Corefile:1:1', says: /is deleted/ }],
      },
    ],
  },
};
