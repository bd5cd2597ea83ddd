import type { Finding, Look, Rule } from '../../rule.js';
import { guideCorefile } from './acl-missing.js';
import type { DnsServer } from './corefile.js';
import { unreachable, type Work } from './evaluate.js';
import { type DnsRuleOptions, eachServer, readsOf } from './options.js';

function check(look: Look<DnsRuleOptions>): Finding[] {
  return eachServer(look.head, look.options, (server, _, work) => judge(server, work));
}

function judge(server: DnsServer, work: Work): Finding[] {
  const dead = unreachable(work, server);
  // One line that takes everything makes all behind it dead: that is one mistake.
  const all = dead.find(({ by }) => !by.types && !by.nets);
  if (all) {
    const count = dead.filter(({ by }) => by === all.by || (!by.types && !by.nets)).length;
    const lines = count === 1 ? 'the line' : `the ${count} lines`;
    const refuses = all.by.action !== 'allow';
    return [
      {
        status: 'fail',
        at: all.by.at,
        message: `This line decides every query, so ${lines} behind it are never asked${refuses ? ', and everybody is refused' : ''}.`,
        todo: 'Put it last.',
      },
    ];
  }
  return dead.map(({ policy, by }) => ({
    status: 'fail',
    at: policy.at,
    message: `No query reaches this line: the one in ${by.at.path}, line ${by.at.line}, takes them all.`,
    todo: 'Put it before that one, or take it out.',
  }));
}

const server = (...lines: string[]) =>
  `example.com {\n\tacl {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n}\n`;

export const aclUnreachable: Rule<DnsRuleOptions> = {
  id: 'dns/acl-unreachable',
  severity: 'error',
  title: 'Every line of an acl can be reached.',
  reason: `The first line that matches decides. A \`block\` before the allows refuses everybody, inner hosts as well; an allow behind
a wider one is there for nothing, and whoever wrote it meant something else.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      { name: "the guide's own sample", files: { Corefile: guideCorefile } },
      {
        name: 'a narrow block before a wide allow',
        files: { Corefile: server('block net 10.9.0.0/16', 'allow net 10.0.0.0/8', 'block') },
      },
      { name: 'IPv6 behind all of IPv4', files: { Corefile: server('allow net 0.0.0.0/0', 'block') } },
      { name: 'other types behind one', files: { Corefile: server('block type ANY', 'allow type A', 'block') } },
    ],
    bad: [
      {
        name: 'block first: everybody is refused',
        files: { Corefile: server('block', 'allow net 10.0.0.0/8', 'allow type A') },
        finds: [{ at: 'Corefile:3:3', says: /the 2 lines behind it are never asked, and everybody is refused/ }],
      },
      {
        name: 'allow first: nobody is',
        files: { Corefile: server('allow', 'block') },
        finds: [{ at: 'Corefile:3:3', says: /the line behind it/ }],
      },
      {
        name: 'block * first',
        files: { Corefile: server('drop type * net *', 'allow net 10.0.0.0/8') },
        finds: [{ at: 'Corefile:3:3', says: /everybody is refused/ }],
      },
      {
        name: 'a network within one before',
        files: { Corefile: server('allow net 10.0.0.0/8', 'block type ANY net 10.1.0.0/16', 'block') },
        finds: [{ at: 'Corefile:4:3', says: /line 3, takes them all/ }],
      },
      {
        name: 'a network covered by two before',
        files: { Corefile: server('allow net 10.0.0.0/9', 'allow net 10.128.0.0/9', 'block net 10.0.0.0/8', 'block') },
        finds: [{ at: 'Corefile:5:3', says: /No query reaches this line/ }],
      },
      {
        name: 'in a second acl behind a first that closes',
        files: {
          Corefile:
            'example.com {\n\tacl {\n\t\tblock\n\t}\n\tacl sub.example.com {\n\t\tallow net 10.0.0.0/8\n\t}\n}\n',
        },
        finds: [{ at: 'Corefile:3:3', says: /everybody is refused/ }],
      },
    ],
  },
};
