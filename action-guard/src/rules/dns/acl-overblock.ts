import { at } from '../../formats/caddy-tokens.js';
import type { Finding, Look, Rule } from '../../rule.js';
import { guideCorefile } from './acl-missing.js';
import type { DnsServer, Policy } from './corefile.js';
import { everywhere, inner, isOpen, shares, type Verdict, type Work } from './evaluate.js';
import { type DnsRuleOptions, eachServer, internalNets, readsOf } from './options.js';

function check(look: Look<DnsRuleOptions>): Finding[] {
  return eachServer(look.head, look.options, (server, _, work) => {
    const [name] = server.names;
    if (name === undefined || server.acls.length === 0) return [];
    return [
      ...onlyAny(work, server, name, look.options),
      ...noSix(work, server, name),
      ...zoneParts(work, server, name, look.options),
    ];
  });
}

/** `type ANY` is the query ANY, not any type: inner hosts that it lets in are refused the rest. */
function onlyAny(work: Work, server: DnsServer, name: string, options: DnsRuleOptions): Finding[] {
  const nets = internalNets(options);
  const refused = ['TXT', 'SRV', 'NS', 'SOA', 'PTR', 'CAA'].filter(
    (type) => !isOpen(mostly(work, server, name, type, nets)),
  );
  const any = mostly(work, server, name, 'ANY', nets);
  if (refused.length === 0 || any.action !== 'allow' || !any.policy?.types?.has('ANY') || any.policy.types.size > 1)
    return [];
  const token = any.policy.typeTokens[0];
  return [
    {
      status: 'fail',
      at: token ? at(token) : any.policy.at,
      message: `\`type ANY\` is the query ANY, not every type, so inner hosts are refused ${refused.join(', ')}.`,
      todo: 'Leave `type ANY` out: without it a line is for all types.',
    },
  ];
}

/** 0.0.0.0/0 is IPv4 alone. */
function noSix(work: Work, server: DnsServer, name: string): Finding[] {
  const refused = new Map<Policy, string[]>();
  for (const type of typesOf(server)) {
    const four = mostly(work, server, name, type, everywhere[4], inner);
    const all = four.policy?.nets?.some((net) => net.family === 4 && net.low === 0n && net.high === 0xffffffffn);
    if (
      four.action !== 'allow' ||
      !four.policy ||
      !all ||
      isOpen(mostly(work, server, name, type, everywhere[6], inner))
    )
      continue;
    refused.set(four.policy, [...(refused.get(four.policy) ?? []), type]);
  }
  const [first] = refused.keys();
  const token = first?.netTokens.find(({ text }) => text.endsWith('/0'));
  if (!first || !token) return [];
  return [
    {
      status: 'fail',
      at: at(token),
      message: `${token.text} is IPv4 alone: who asks over IPv6 is refused ${[...refused.values()].flat().join(', ')}.`,
      todo: 'Write `net *`, or leave `net` out.',
    },
  ];
}

/** What everybody must be able to ask of a zone, or delegation, mail and certificates break. */
function zoneParts(work: Work, server: DnsServer, name: string, options: DnsRuleOptions): Finding[] {
  if (!server.authoritative) return [];
  const asked = (type: string) => mostly(work, server, name, type, everywhere[4], inner);
  // A zone that nobody outside may ask for addresses is an inner one.
  if (!['A', 'AAAA', 'MX'].some((type) => isOpen(asked(type)))) return [];
  const refused = options.publicTypes
    .map((type) => ({ type, verdict: asked(type) }))
    .filter(({ verdict }) => !isOpen(verdict));
  const [first] = refused;
  if (!first?.verdict.policy) return [];
  return [
    {
      status: 'fail',
      at: first.verdict.policy.at,
      message: `This line refuses everybody outside ${refused.map(({ type }) => type).join(', ')} of a zone that this server answers for: SPF, DKIM, delegation and certificate challenges need them.`,
      todo: `Add \`allow type ${refused.map(({ type }) => type).join(' ')}\` before it.`,
    },
  ];
}

/** How most sources are treated. */
function mostly(...args: Parameters<typeof shares>): Verdict {
  return shares(...args)[0]?.verdict ?? { action: 'none' };
}

function typesOf({ acls }: DnsServer): string[] {
  const types = acls.flatMap(({ policies }) => policies.flatMap(({ types: each }) => [...(each ?? [])]));
  return [...new Set([...types, 'A', 'AAAA', 'MX'])].slice(0, 90);
}

const server = (...lines: string[]) =>
  `example.com {\n\tfile db\n\tacl {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n}\n`;
const types = 'allow type A AAAA MX NS SOA TXT CNAME CAA SRV DS DNSKEY';

export const aclOverblock: Rule<DnsRuleOptions> = {
  id: 'dns/acl-overblock',
  severity: 'warning',
  title: 'The acl of a CoreDNS server refuses no more than it means to.',
  reason: `\`type ANY\` is the query ANY (255) and not "any type" (the same mistake is in coredns/coredns#3103). \`0.0.0.0/0\` never
matches IPv6. A final \`block\` behind A, AAAA and MX refuses the world the NS, SOA, TXT, CAA and SRV records of its own zone:
SPF, DKIM, DMARC, DNS-01 challenges and delegation checks fail, each somewhere else. The guide's sample does all three.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      {
        name: 'inner hosts all types, everybody the types of a zone',
        files: { Corefile: server('allow net 10.0.0.0/8 127.0.0.0/8', types, 'block') },
      },
      {
        name: 'an inner zone, for inner hosts alone',
        files: { Corefile: server('allow net 10.0.0.0/8 127.0.0.0/8', 'block') },
      },
      {
        name: 'both families spelled out',
        files: {
          Corefile: server('allow net 10.0.0.0/8 127.0.0.0/8', `${types} net 0.0.0.0/0 ::/0`, 'drop'),
        },
      },
      {
        name: 'a resolver, which has no zone of its own',
        files: {
          Corefile: '. {\n\tforward . 192.0.2.1\n\tacl {\n\t\tallow net 10.0.0.0/8 127.0.0.0/8\n\t\tblock\n\t}\n}\n',
        },
      },
    ],
    bad: [
      {
        name: "the guide's own sample: three times",
        files: { Corefile: guideCorefile },
        finds: [
          { at: 'Corefile:4:20', says: /inner hosts are refused TXT, SRV, NS, SOA, PTR, CAA/ },
          { at: 'Corefile:5:26', says: /IPv4 alone: who asks over IPv6 is refused A, AAAA, MX/ },
          { at: 'Corefile:8:9', says: /NS, SOA, TXT, CNAME, CAA, SRV, DS, DNSKEY of a zone/ },
        ],
      },
      {
        name: 'inner hosts let in with ANY',
        files: { Corefile: server('allow type ANY net 10.0.0.0/8 127.0.0.0/8', 'block') },
        finds: [{ at: 'Corefile:4:14', says: /not every type/ }],
      },
      {
        name: 'everybody over IPv4',
        files: { Corefile: server('allow net 10.0.0.0/8 127.0.0.0/8', `${types} net 0.0.0.0/0`, 'block') },
        finds: [{ at: 'Corefile:5:63', says: /IPv4 alone/ }],
      },
      {
        name: 'TXT forgotten',
        files: {
          Corefile: server(
            'allow net 10.0.0.0/8 127.0.0.0/8',
            'allow type A AAAA MX NS SOA CNAME CAA SRV DS DNSKEY',
            'block',
          ),
        },
        finds: [{ at: 'Corefile:6:3', says: /refuses everybody outside TXT of a zone/ }],
      },
    ],
  },
};
