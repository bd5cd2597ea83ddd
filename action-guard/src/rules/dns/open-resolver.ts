import type { Finding, Look, Rule } from '../../rule.js';
import { everywhere, inner, isOpen, isWithin, shares, somebody } from './evaluate.js';
import { type DnsRuleOptions, eachServer, internalNets, readsOf } from './options.js';

function check(look: Look<DnsRuleOptions>): Finding[] {
  const without = [...inner, ...internalNets(look.options)];
  return eachServer(look.head, look.options, (server, { incomplete }, work) =>
    server.forwards.slice(0, 20).flatMap(({ zone, at, plugin }): Finding[] => {
      const open = server.keys.some((key) => {
        const wanted = isWithin(zone, key.zone) ? zone : isWithin(key.zone, zone) ? key.zone : undefined;
        // Below a zone of somebody it serves that zone; above it resolves for the world.
        if (wanted === undefined || wanted.includes('.') || key.variable) return false;
        const name = wanted === '' ? 'guard-probe.test' : `guard-probe.${wanted}`;
        return ([4, 6] as const).some((family) =>
          shares(work, server, name, 'A', everywhere[family], without).some(
            ({ verdict, part }) => isOpen(verdict) && part >= somebody,
          ),
        );
      });
      if (!open) return [];
      if (incomplete && server.acls.length === 0)
        return [
          {
            status: 'unknown',
            at,
            message: 'The file could not be read whole, so who may resolve names here is not known.',
          },
        ];
      return [
        {
          status: 'fail',
          at,
          message: `This ${plugin} resolves any name for the whole Internet: an open resolver.`,
          todo: 'Let inner networks alone in, by an `acl` that ends with `block` or `drop`, or by `bind`.',
        },
      ];
    }),
  );
}

const server = (zone: string, ...lines: string[]) => `${zone} {\n${lines.map((line) => `\t${line}\n`).join('')}}\n`;

export const openResolver: Rule<DnsRuleOptions> = {
  id: 'dns/open-resolver',
  severity: 'error',
  title: 'No CoreDNS server resolves names for the whole Internet.',
  reason: `An open resolver is found within hours and used for amplification, and its upstream sees all of it. Refusing ANY does not
help: any large record does.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      {
        name: 'for inner networks alone',
        files: { Corefile: server('.', 'acl {', '\tallow net 10.0.0.0/8', '\tblock', '}', 'forward . 192.0.2.53') },
      },
      { name: 'on its own machine alone', files: { Corefile: server('.', 'bind 127.0.0.1', 'forward . 192.0.2.53') } },
      { name: 'within a zone of its own', files: { Corefile: server('example.com', 'forward . 192.0.2.53') } },
      { name: 'one inner zone', files: { Corefile: server('.', 'forward corp.example.com 10.0.0.2') } },
    ],
    bad: [
      {
        name: 'a forward without an acl',
        files: { Corefile: server('.:53', 'forward . 8.8.8.8') },
        finds: [{ at: 'Corefile:2:2', says: /open resolver/ }],
      },
      {
        name: 'a forward behind an acl that lets everybody ask for A',
        files: {
          Corefile: server('.:53', 'acl {', '\tallow type A AAAA', '\tblock', '}', 'forward . /etc/resolv.conf'),
        },
        finds: [{ at: 'Corefile:6:2', says: /open resolver/ }],
      },
      {
        name: 'IPv6 forgotten',
        files: {
          Corefile: server(
            '.:53',
            'acl {',
            '\tallow net 10.0.0.0/8',
            '\tblock net 0.0.0.0/0',
            '}',
            'forward . 8.8.8.8',
          ),
        },
        finds: [{ at: 'Corefile:6:2', says: /open resolver/ }],
      },
      {
        name: 'over gRPC',
        files: { Corefile: server('.:53', 'grpc . 192.0.2.1:443') },
        finds: [{ at: 'Corefile:2:2', says: /This grpc resolves/ }],
      },
      {
        name: 'a whole top-level domain',
        files: { Corefile: server('.:53', 'forward com 192.0.2.53') },
        finds: [{ at: 'Corefile:2:2', says: /open resolver/ }],
      },
    ],
  },
};
