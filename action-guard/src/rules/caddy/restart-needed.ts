import { sitesOf } from '../../formats/caddy-config.js';
import type { Finding, Look, Rule } from '../../rule.js';
import { publicSites } from './dead-domain.js';
import { type CaddyRuleOptions, configsOf, readsOf } from './options.js';

function check(look: Look<CaddyRuleOptions>): Finding[] {
  const configs = configsOf(look.head, look.options);
  const now = new Set(configs.flatMap((config) => sitesOf(config).map(({ host }) => host)));
  // What seems to be gone may stand where it was not read.
  const status = configs.some(({ incomplete }) => incomplete) ? 'unknown' : 'fail';
  if (!look.base) return [];
  return configsOf(look.base, look.options).flatMap((old): Finding[] => {
    const gone = publicSites(old, look.options)
      .filter(({ host, variable }) => !variable && !now.has(host))
      .map(({ host }) => host);
    // A file that is gone altogether is for caddy/partial.
    if (gone.length === 0 || !look.head.paths.includes(old.path)) return [];
    const some = gone.length > 5 ? `${gone.slice(0, 5).join(', ')} and ${gone.length - 5} more` : gone.join(', ');
    return [
      {
        status,
        at: { path: old.path, line: 1, column: 1 },
        message: `A reload is not enough after this change, since domains are taken out: ${some}.`,
        todo: 'Restart Caddy after the deploy; action-deploy does so by itself when hosts went away.',
      },
    ];
  });
}

const site = (host: string) => `${host} {\n\trespond ok\n}\n`;

export const restartNeeded: Rule<CaddyRuleOptions> = {
  id: 'caddy/restart-needed',
  severity: 'info',
  title: 'A change that takes domains out is followed by a restart.',
  reason: `A reload keeps the ACME state of old domains in memory, and Caddy goes on asking for their certificates. This is a
reminder for whoever deploys the change, not an error in it.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      {
        name: 'a domain added',
        base: { Caddyfile: site('a.example.com') },
        files: { Caddyfile: site('a.example.com') + site('b.example.com') },
      },
      {
        name: 'a domain moved into another block',
        base: { Caddyfile: site('a.example.com') + site('b.example.com') },
        files: { Caddyfile: site('a.example.com, b.example.com') },
      },
      {
        name: 'a site without a certificate taken out',
        base: { Caddyfile: site('a.example.com') + site('http://b.example.com') },
        files: { Caddyfile: site('a.example.com') },
      },
    ],
    bad: [
      {
        name: 'a domain taken out',
        base: { Caddyfile: site('a.example.com') + site('b.example.com') },
        files: { Caddyfile: site('a.example.com') },
        finds: [{ at: 'Caddyfile:1:1', says: /taken out: b.example.com/ }],
      },
    ],
  },
};
