import type { CaddyConfig } from '../../formats/caddy-config.js';
import type { Finding, Look, Position, Rule } from '../../rule.js';
import { type CaddyRuleOptions, configsOf, meaningOf, readsOf } from './options.js';

function check(look: Look<CaddyRuleOptions>): Finding[] {
  return configsOf(look.head, look.options).flatMap((config) => judge(look, config));
}

function judge(look: Look<CaddyRuleOptions>, config: CaddyConfig): Finding[] {
  const real = meaningOf(look, config);
  const holes = config.problems.filter(({ kind }) => kind === 'import');
  return config.blocks.flatMap(({ log, unlogged, sites, at, end }): Finding[] => {
    const [first] = sites;
    if (!first) return [];
    const skipped = real && (real.noLog || sites.some(({ host }) => real.skipped.includes(host)));
    if (log && !skipped) return [];
    // Its log may come with what it imports and could not be read; of that the reader tells.
    if (
      !unlogged &&
      holes.some((hole) => hole.at.path === at.path && hole.at.line >= at.line && isBefore(hole.at, end))
    )
      return [];
    const who = sites.length === 1 ? first.address : `${first.address} and ${sites.length - 1} more`;
    return [
      {
        status: 'fail',
        at: unlogged?.at ?? at,
        message: unlogged
          ? `Requests to ${who} are not logged, since ${unlogged.why}.`
          : `Requests to ${who} are not logged, so the flood jail cannot see them.`,
        todo: 'Give the site a `log` that writes the file which the jail reads.',
      },
    ];
  });
}

const isBefore = ({ path, line }: Position, end: Position | undefined): boolean =>
  !end || (end.path === path && line <= end.line);

const log = '(access) {\n\tlog {\n\t\toutput file /opt/gbo/logs/access.log\n\t\tformat json\n\t}\n}\n';
const site = (host: string, ...lines: string[]) => `${host} {\n${lines.map((line) => `\t${line}\n`).join('')}}\n`;

export const noAccessLog: Rule<CaddyRuleOptions> = {
  id: 'caddy/no-access-log',
  severity: 'warning',
  title: 'Every site has an access log.',
  reason: `The flood jail of fail2ban reads Caddy's access log. As soon as one site of a server has a \`log\`, Caddy takes all sites
without one out of it (\`skip_hosts\`): they can be flooded and nobody is banned.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      {
        name: 'a log in the site',
        files: { Caddyfile: site('a.example.com', 'log {', '\toutput file /opt/gbo/logs/access.log', '}') },
      },
      {
        name: 'a log by a snippet',
        files: {
          Caddyfile: `${log}${site('a.example.com', 'import access')}${site('b.example.com', 'import access')}`,
        },
      },
      { name: 'a log that says nothing goes to the default log', files: { Caddyfile: site('a.example.com', 'log') } },
      {
        name: 'a log that may come with what could not be read',
        files: { Caddyfile: `import /srv/common\n${site('a.example.com', 'import logged')}` },
      },
      {
        name: 'health checks alone left out',
        files: { Caddyfile: `${log}${site('a.example.com', 'import access', 'skip_log /health')}` },
      },
    ],
    bad: [
      {
        name: 'one site of two without a log',
        files: { Caddyfile: `${log}${site('a.example.com', 'import access')}${site('b.example.com', 'respond ok')}` },
        finds: [{ at: 'Caddyfile:10:1', says: /b.example.com are not logged/ }],
      },
      {
        name: 'a snippet that nobody imports',
        files: { Caddyfile: `${log}${site('a.example.com', 'respond ok')}` },
        finds: [{ at: 'Caddyfile:7:1', says: /not logged/ }],
      },
      {
        name: 'a log in a comment',
        files: { Caddyfile: site('a.example.com', '# log') },
        finds: [{ at: 'Caddyfile:1:1', says: /not logged/ }],
      },
      {
        name: 'a log that is discarded',
        files: { Caddyfile: site('a.example.com', 'log {', '\toutput discard', '}') },
        finds: [{ at: 'Caddyfile:2:2', says: /discarded/ }],
      },
      {
        name: 'a log of errors only: 4xx are logged at INFO',
        files: { Caddyfile: site('a.example.com', 'log {', '\tlevel ERROR', '}') },
        finds: [{ at: 'Caddyfile:2:2', says: /level ERROR/ }],
      },
      {
        name: 'all requests taken out',
        files: { Caddyfile: `${log}${site('a.example.com', 'import access', 'log_skip')}` },
        finds: [{ at: 'Caddyfile:9:2', says: /log_skip takes all/ }],
      },
      {
        name: 'a host that the real Caddy skips',
        files: { Caddyfile: `${log}${site('a.example.com', 'import access')}` },
        tools: {
          caddy: {
            Caddyfile: {
              asked: true,
              accepted: true,
              version: 'v2.6.2',
              hosts: ['a.example.com'],
              skipped: ['a.example.com'],
              noLog: false,
              writers: [],
            },
          },
        },
        finds: [{ at: 'Caddyfile:7:1', says: /not logged/ }],
      },
    ],
  },
};
