import type { Finding, Look, Position, Rule } from '../../rule.js';
import { guideCorefile } from './acl-missing.js';
import type { DnsServer } from './corefile.js';
import { everywhere, inner, isOpen, type Share, shares, somebody, type Work } from './evaluate.js';
import { type DnsRuleOptions, eachServer, internalNets, readsOf } from './options.js';

/** Stands for all types that no line names. */
const unnamed = 'UNSPEC';

function check(look: Look<DnsRuleOptions>): Finding[] {
  return eachServer(look.head, look.options, (server, { incomplete }, work) => {
    const [first] = server.acls;
    if (!first) return [];
    const worst = worstOf(work, server, look.options);
    if (!worst) return [];
    const { share, type } = worst;
    const at = share.verdict.policy?.at ?? first.at;
    if (incomplete && share.verdict.action === 'none')
      return [
        {
          status: 'unknown',
          at,
          message: 'The file could not be read whole, so whether more lines close this acl is not known.',
        },
      ];
    return [sentence(look, work, server, share, type, at)];
  });
}

/** What leaves most open: everything, then what no line matches, then an answer that only looks like a refusal. */
function worstOf(work: Work, server: DnsServer, options: DnsRuleOptions): { share: Share; type: string } | undefined {
  const without = [...inner, ...internalNets(options)];
  const all = server.names.flatMap((name) =>
    [...(server.plugins.has('any') ? [] : ['ANY']), unnamed].flatMap((type) =>
      ([4, 6] as const).flatMap((family) =>
        shares(work, server, name, type, everywhere[family], without)
          .filter(({ part }) => part >= somebody)
          .map((share) => ({ share, type })),
      ),
    ),
  );
  const action = (wanted: string, type?: string) =>
    all.find(({ share, type: each }) => share.verdict.action === wanted && (!type || each === type));
  return action('allow', 'ANY') ?? action('none', 'ANY') ?? action('none') ?? action('filter');
}

function sentence(
  look: Look<DnsRuleOptions>,
  work: Work,
  server: DnsServer,
  { verdict }: Share,
  type: string,
  at: Position,
): Finding {
  if (verdict.action === 'allow')
    return {
      status: 'fail',
      at,
      message: 'This line lets the whole Internet ask for ANY, the query whose answer is largest.',
      todo: 'Allow the types that the zone needs, or the networks that need all types.',
    };
  if (verdict.action === 'filter')
    return {
      status: 'fail',
      severity: 'warning',
      at,
      message: 'A filter answers forged sources too, and says that the name has no such record.',
      todo: 'Write `drop`, which answers nothing, or `block`.',
    };
  const some = type === unnamed && !isOpen({ action: anyOf(work, server, look.options) });
  return {
    status: 'fail',
    ...(some ? { severity: 'warning' as const } : {}),
    at,
    message: some
      ? 'Only ANY is refused here: all other queries that no line of this acl matches are let through.'
      : 'Queries that no line of this acl matches are let through, from everywhere.',
    todo: 'End it with a line `block` or `drop`.',
    fix: withBlock(look, server),
  };
}

function anyOf(work: Work, server: DnsServer, options: DnsRuleOptions): Share['verdict']['action'] {
  const [name] = server.names;
  const without = [...inner, ...internalNets(options)];
  const [largest] = name === undefined ? [] : shares(work, server, name, 'ANY', everywhere[4], without);
  return largest?.verdict.action ?? 'none';
}

/** A `block` as the last line, where the only acl of a server lacks just that. */
function withBlock({ head }: Look<DnsRuleOptions>, { acls }: DnsServer): Record<string, string> | undefined {
  const [acl, other] = acls;
  const { body, close } = acl?.directive ?? {};
  const last = body?.[body.length - 1]?.name;
  if (!acl || other || acl.zones.length > 0 || !last || !close || last.way !== '' || last.snippet !== '')
    return undefined;
  const { path, lines } = last.source;
  const text = head.file(path)?.text;
  if (text === undefined || close.source !== last.source) return undefined;
  const lineStart = (offset: number) => text.lastIndexOf('\n', offset - 1) + 1;
  const [own, end] = [lineStart(last.start), lineStart(close.start)];
  const indent = text.slice(own, last.start);
  if (indent.trim() !== '' || lines.at(close.start).line === lines.at(last.start).line) return undefined;
  return { [path]: `${text.slice(0, end)}${indent}block\n${text.slice(end)}` };
}

const server = (...lines: string[]) =>
  `example.com {\n\tacl {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n\tfile db\n}\n`;

export const aclOpen: Rule<DnsRuleOptions> = {
  id: 'dns/acl-open',
  severity: 'error',
  title: 'The acl of a CoreDNS server closes it.',
  reason: `A query that no line of an acl matches is allowed. An acl that only allows, or blocks a network or two, leaves the
server as open as it was. The last line decides: \`block\` refuses, \`drop\` stays silent, which also spares forged sources
the refusals (coredns/coredns#5722).`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      { name: "the guide's own sample", files: { Corefile: guideCorefile } },
      { name: 'a block at the end', files: { Corefile: server('allow net 10.0.0.0/8', 'block') } },
      { name: 'a drop at the end', files: { Corefile: server('allow net 10.0.0.0/8', 'drop') } },
      {
        name: 'a block of everything, spelled out',
        files: { Corefile: server('allow net 10.0.0.0/8', 'block type * net *') },
      },
      {
        name: 'both halves of the Internet and IPv6',
        files: { Corefile: server('block net 0.0.0.0/1 128.0.0.0/1 ::/0') },
      },
      { name: 'a partner let in on purpose', files: { Corefile: server('allow net 203.0.113.0/24', 'block') } },
      {
        name: 'two acls, of which the second closes',
        files: { Corefile: 'example.com {\n\tacl {\n\t\tallow net 10.0.0.0/8\n\t}\n\tacl {\n\t\tdrop\n\t}\n}\n' },
      },
      {
        name: 'types for everybody, the rest refused',
        files: { Corefile: server('allow net 10.0.0.0/8', 'allow type A AAAA MX TXT NS SOA', 'block') },
      },
    ],
    bad: [
      {
        name: 'only allow',
        files: { Corefile: server('allow net 10.0.0.0/8') },
        finds: [{ at: 'Corefile:2:2', says: /no line of this acl matches/ }],
      },
      {
        name: 'only a network blocked',
        files: { Corefile: server('block net 192.0.2.0/24') },
        finds: [{ at: 'Corefile:2:2', says: /no line of this acl matches/ }],
      },
      {
        name: 'only a part of the zone closed',
        files: { Corefile: 'example.com {\n\tacl sub.example.com {\n\t\tblock\n\t}\n}\n' },
        finds: [{ at: 'Corefile:2:2', says: /no line of this acl matches/ }],
      },
      {
        name: 'IPv4 alone blocked: 0.0.0.0/0 matches no IPv6',
        files: { Corefile: server('allow net 10.0.0.0/8', 'block net 0.0.0.0/0') },
        finds: [{ at: 'Corefile:2:2', says: /no line of this acl matches/ }],
      },
      {
        name: 'the block in a comment',
        files: { Corefile: server('allow net 10.0.0.0/8', '# block') },
        finds: [{ at: 'Corefile:2:2', says: /no line of this acl matches/ }],
      },
      {
        name: 'everybody allowed everything',
        files: { Corefile: server('allow', 'block') },
        finds: [{ at: 'Corefile:3:3', says: /ask for ANY/ }],
      },
      {
        name: 'everybody allowed ANY',
        files: { Corefile: server('allow type A ANY net *', 'block') },
        finds: [{ at: 'Corefile:3:3', says: /ask for ANY/ }],
      },
      {
        name: 'ANY alone blocked, as a warning',
        files: { Corefile: server('block type ANY') },
        finds: [{ at: 'Corefile:2:2', says: /Only ANY is refused/ }],
      },
      {
        name: 'a filter at the end, as a warning',
        files: { Corefile: server('allow net 10.0.0.0/8', 'filter') },
        finds: [{ at: 'Corefile:4:3', says: /answers forged sources/ }],
      },
      {
        name: 'an acl without lines',
        files: { Corefile: 'example.com {\n\tacl\n}\n' },
        finds: [{ at: 'Corefile:2:2', says: /no line of this acl matches/ }],
      },
    ],
  },
};
