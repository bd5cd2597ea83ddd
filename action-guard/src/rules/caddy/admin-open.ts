import { at } from '../../formats/caddy-tokens.js';
import type { Finding, Look, Rule } from '../../rule.js';
import { type CaddyRuleOptions, globalsOf, readsOf } from './options.js';

function check(look: Look<CaddyRuleOptions>): Finding[] {
  return globalsOf(look.head, look.options).flatMap(({ global }) =>
    (global?.directives ?? []).flatMap(({ name, args }): Finding[] => {
      const [address] = args;
      if (name.text !== 'admin' || !address || address.text === 'off') return [];
      if (address.variable)
        return [{ status: 'unknown', at: at(address), message: 'Where the admin API listens is a variable.' }];
      if (isPrivate(address.text)) return [];
      return [
        {
          status: 'fail',
          at: at(address),
          message: `The admin API listens on ${address.text}: who reaches it can replace the whole config.`,
          todo: 'Let it listen on localhost:2019, on a unix socket, or not at all.',
        },
      ];
    }),
  );
}

function isPrivate(address: string): boolean {
  const bare = address.startsWith('tcp/') ? address.slice('tcp/'.length) : address;
  if (bare.startsWith('unix')) return true;
  const host = bare.slice(0, bare.lastIndexOf(':') < 0 ? bare.length : bare.lastIndexOf(':'));
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}

const site = 'a.example.com {\n\trespond ok\n}\n';

export const adminOpen: Rule<CaddyRuleOptions> = {
  id: 'caddy/admin-open',
  severity: 'error',
  title: "Caddy's admin API is reached from its own machine only.",
  reason: 'The admin API has no password. Who reaches it can read and replace the config, and with it every site.',
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      { name: 'the default', files: { Caddyfile: site } },
      { name: 'off', files: { Caddyfile: `{\n\tadmin off\n}\n${site}` } },
      { name: 'on localhost', files: { Caddyfile: `{\n\tadmin localhost:2020\n}\n${site}` } },
      { name: 'on a loopback address', files: { Caddyfile: `{\n\tadmin [::1]:2019\n}\n${site}` } },
      { name: 'on a socket', files: { Caddyfile: `{\n\tadmin unix//run/caddy.sock\n}\n${site}` } },
    ],
    bad: [
      {
        name: 'on all addresses',
        files: { Caddyfile: `{\n\tadmin 0.0.0.0:2019\n}\n${site}` },
        finds: [{ at: 'Caddyfile:2:8', says: /0.0.0.0:2019/ }],
      },
      {
        name: 'on a port alone',
        files: { Caddyfile: `{\n\tadmin :2019\n}\n${site}` },
        finds: [{ at: 'Caddyfile:2:8', says: /listens on :2019/ }],
      },
      {
        name: 'on a variable',
        files: { Caddyfile: `{\n\tadmin {$ADMIN}\n}\n${site}` },
        finds: [{ at: 'Caddyfile:2:8', says: /variable/, status: 'unknown' }],
      },
    ],
  },
};
