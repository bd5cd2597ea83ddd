import type { DnsAnswer, DnsAnswers } from '../../formats/answers.js';
import { isLocalHost } from '../../formats/caddy-address.js';
import type { CaddyBlock, CaddyConfig, CaddySite } from '../../formats/caddy-config.js';
import { askZone, readZone, type Zone, zoneOf } from '../../formats/zone-file.js';
import type { Finding, Look, Rule } from '../../rule.js';
import type { Tree } from '../../tree.js';
import { type CaddyRuleOptions, configsOf, readsOf } from './options.js';
import { zoneOf as zone } from './samples.js';

function check(look: Look<CaddyRuleOptions>): Finding[] {
  const zones = zonesOf(look.head, look.options);
  const answers = look.tools.get('resolve') as DnsAnswers | undefined;
  return configsOf(look.head, look.options).flatMap((config) => {
    const notAsked: CaddySite[] = [];
    const findings = publicSites(config, look.options).flatMap((site): Finding[] => {
      if (site.variable)
        return [
          {
            status: 'unknown',
            severity: 'info',
            at: site.at,
            message: `${site.address} is a variable, so whether the domain lives was not looked up.`,
          },
        ];
      const covering = zoneOf(zones, site.host);
      const said = covering && askZone(covering, site.host);
      if (said === 'found') return [];
      if (said === 'none' && covering)
        return [
          dead(site, `${covering.path} gives it no address`, `Add it to ${covering.path}, or take the site out.`),
        ];
      const answer = answers?.[site.host];
      if (!answer) notAsked.push(site);
      return answer ? judge(site, answer) : [];
    });
    return [...findings, ...unasked(notAsked)];
  });
}

function judge(site: CaddySite, answer: DnsAnswer): Finding[] {
  if (answer.status === 'found') return [];
  if (answer.status === 'none')
    return [dead(site, `DNS says ${answer.why}`, 'Give it an address first, or take the site out.')];
  return [
    {
      status: 'unknown',
      at: site.at,
      message: `Whether ${site.host} has an address could not be told: its name servers said ${answer.why}.`,
    },
  ];
}

function dead(site: CaddySite, why: string, todo: string): Finding {
  return {
    status: 'fail',
    at: site.at,
    message: `${site.host} is a dead domain: ${why}, so Caddy would try for a certificate without end.`,
    todo,
  };
}

/** One finding for all: nobody wants 25 of them. */
function unasked(sites: readonly CaddySite[]): Finding[] {
  const [first] = sites;
  if (!first) return [];
  const who = sites.length === 1 ? first.host : `${first.host} and ${sites.length - 1} more`;
  return [
    {
      status: 'unknown',
      at: first.at,
      message: `Whether ${who} have an address was not looked up: no zone file covers them and DNS was not asked about them.`,
      todo: 'Let the guard ask DNS by its input `tools` (about 100 domains at most), or name the zone files in the policy.',
    },
  ];
}

/** The zones of a tree. */
export function zonesOf(tree: Tree, { zones }: Pick<CaddyRuleOptions, 'zones'>): Zone[] {
  return tree.matching(zones).flatMap(({ path, text, kind }) => {
    const read = kind === 'link' || kind === 'submodule' ? undefined : readZone(path, text);
    return read ? [read] : [];
  });
}

/** Sites that Caddy gets a public certificate for, by a challenge that needs an address. */
export function publicSites(config: CaddyConfig, { localZones }: Pick<CaddyRuleOptions, 'localZones'>): CaddySite[] {
  const { autoHttps, localCerts, httpPort } = config;
  if (autoHttps === 'off' || autoHttps === 'disable_certs' || localCerts) return [];
  return config.blocks
    .filter(asksForCertificates)
    .flatMap(({ sites }) =>
      sites.filter(
        ({ host, scheme, port, variable, address }) =>
          scheme !== 'http' &&
          port !== httpPort &&
          (variable ? !address.startsWith('http://') : host !== '' && !host.includes('*') && !host.includes('{')) &&
          (variable || !isLocalHost(host)) &&
          !localZones.some((local) => host === local || host.endsWith(`.${local}`)),
      ),
    );
}

function asksForCertificates({ tls }: CaddyBlock): boolean {
  return !tls.internal && !tls.files && !tls.dns && !tls.onDemand;
}

/** The domains that no zone file of the tree answers for: what to ask DNS about. */
export function domainsToResolve(tree: Tree, options: CaddyRuleOptions): string[] {
  const zones = zonesOf(tree, options);
  const domains = configsOf(tree, options)
    .flatMap((config) => publicSites(config, options))
    .filter(({ variable }) => !variable)
    .map(({ host }) => host)
    .filter((host) => {
      const covering = zoneOf(zones, host);
      return !covering || askZone(covering, host) === 'unknown';
    });
  return [...new Set(domains)];
}

const proxy = (...hosts: string[]) => hosts.map((host) => `${host} {\n\treverse_proxy localhost:5858\n}\n`).join('');
const answered = (answers: DnsAnswers) => ({ resolve: answers });

export const deadDomain: Rule<CaddyRuleOptions> = {
  id: 'caddy/dead-domain',
  severity: 'error',
  title: 'Every domain of the Caddyfile has an address.',
  reason: `Caddy asks for a certificate of a domain again and again when DNS has no address for it. That pollutes its TLS state,
shows as ERR_SSL_PROTOCOL_ERROR, and has been seen to hurt other sites (caddyserver/caddy#1622, #4682). Zone files of the
repository are asked first, then DNS, when the guard may. A server that fails or is silent proves nothing
(caddyserver/caddy#2823). After a domain is taken out, restart Caddy: a reload keeps what it had in memory.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: (options) => [...readsOf(options), ...options.zones],
  check,
  samples: {
    good: [
      {
        name: 'an A record in a zone file',
        files: { Caddyfile: proxy('a.example.com'), 'dns/example.com.zone': zone('a') },
      },
      {
        name: 'AAAA only, CNAME to an address, a wildcard, the name of the zone itself',
        files: {
          Caddyfile: proxy('six.example.com', 'alias.example.com', 'x.wild.example.com', 'example.com'),
          'dns/example.com.zone': `${zone('a')}@ IN A 192.0.2.1\nsix 60 IN AAAA 2001:db8::1\nalias CNAME a\n*.wild IN A 192.0.2.9\n`,
        },
      },
      {
        name: 'upper case on either side',
        files: { Caddyfile: proxy('A.Example.com'), 'dns/example.com.zone': zone('a').toUpperCase() },
      },
      {
        name: 'an address in DNS',
        files: { Caddyfile: proxy('a.example.com') },
        tools: answered({ 'a.example.com': { status: 'found' } }),
      },
      {
        name: 'a CNAME out of the zone, which DNS follows',
        files: { Caddyfile: proxy('a.example.com'), 'dns/example.com.zone': `${zone()}a CNAME host.example.net.\n` },
        tools: answered({ 'a.example.com': { status: 'found' } }),
      },
      {
        name: 'what needs no public certificate: tls internal, http://, a port alone, localhost, IP addresses, wildcards',
        files: {
          Caddyfile: `a.example.com {
	tls internal
}
http://b.example.com {
}
:8080 {
}
localhost, 127.0.0.1, [::1], box.internal {
}
*.example.com {
	tls {
		dns acmedns
	}
}
c.example.com {
	tls /etc/cert.pem /etc/key.pem
}
d.example.com:80 {
}
`,
          'dns/example.com.zone': zone(),
        },
        options: { plugins: ['acmedns'] },
      },
      {
        name: 'a Caddy that gets no certificates',
        files: { Caddyfile: `{\n\tauto_https off\n}\n${proxy('a.example.com')}`, 'dns/example.com.zone': zone() },
      },
      {
        name: 'a domain that only inner name servers know',
        files: { Caddyfile: proxy('a.corp.example') },
        options: { localZones: ['corp.example'] },
      },
    ],
    bad: [
      {
        name: 'not in its zone file',
        files: { Caddyfile: proxy('a.example.com', 'b.example.com'), 'dns/example.com.zone': zone('a') },
        finds: [{ at: 'Caddyfile:4:1', says: /dns\/example.com.zone gives it no address/ }],
      },
      {
        name: 'only a TXT record',
        files: { Caddyfile: proxy('a.example.com'), 'dns/example.com.zone': `${zone()}a IN TXT "v=spf1 -all"\n` },
        finds: [{ at: 'Caddyfile:1:1', says: /dead domain/ }],
      },
      {
        name: 'an A record in a comment',
        files: { Caddyfile: proxy('a.example.com'), 'dns/example.com.zone': `${zone()};a IN A 192.0.2.1\n` },
        finds: [{ at: 'Caddyfile:1:1', says: /dead domain/ }],
      },
      {
        name: 'a CNAME to a name that is not there',
        files: { Caddyfile: proxy('a.example.com'), 'dns/example.com.zone': `${zone()}a CNAME b\n` },
        finds: [{ at: 'Caddyfile:1:1', says: /dead domain/ }],
      },
      {
        name: 'a name that a wildcard does not cover, since a nearer name exists',
        files: {
          Caddyfile: proxy('a.b.example.com'),
          'dns/example.com.zone': `${zone()}* IN A 192.0.2.1\nb IN TXT x\n`,
        },
        finds: [{ at: 'Caddyfile:1:1', says: /dead domain/ }],
      },
      {
        name: 'NXDOMAIN',
        files: { Caddyfile: proxy('a.example.com') },
        tools: answered({ 'a.example.com': { status: 'none', why: 'NXDOMAIN' } }),
        finds: [{ at: 'Caddyfile:1:1', says: /DNS says NXDOMAIN/ }],
      },
      {
        name: 'no address',
        files: { Caddyfile: proxy('a.example.com') },
        tools: answered({ 'a.example.com': { status: 'none', why: 'no address' } }),
        finds: [{ at: 'Caddyfile:1:1', says: /DNS says no address/ }],
      },
      {
        name: 'a name server that fails',
        files: { Caddyfile: proxy('a.example.com') },
        tools: answered({ 'a.example.com': { status: 'unknown', why: 'ESERVFAIL' } }),
        finds: [{ at: 'Caddyfile:1:1', says: /could not be told/, status: 'unknown' }],
      },
      {
        name: 'a part of the zone that other servers answer for',
        files: {
          Caddyfile: proxy('a.sub.example.com'),
          'dns/example.com.zone': `${zone()}sub IN NS ns.example.net.\n`,
        },
        finds: [{ at: 'Caddyfile:1:1', says: /was not looked up/, status: 'unknown' }],
      },
      {
        name: 'nobody to ask',
        files: { Caddyfile: proxy('a.example.com', 'b.example.com') },
        finds: [{ at: 'Caddyfile:1:1', says: /a.example.com and 1 more/, status: 'unknown' }],
      },
      {
        name: 'a domain that is a variable',
        files: { Caddyfile: proxy('{$DOMAIN}') },
        finds: [{ at: 'Caddyfile:1:1', says: /is a variable/, status: 'unknown' }],
      },
    ],
  },
};
