import { type CaddyConfig, sitesOf as sites } from '../../formats/caddy-config.js';
import { brief } from '../../formats/caddy-tokens.js';
import type { Finding, Look, Position, Rule } from '../../rule.js';
import { type CaddyRuleOptions, configsOf, meaningOf, readsOf } from './options.js';
import { proxyOf, sitesOf, storageBlock } from './samples.js';

function check(look: Look<CaddyRuleOptions>): Finding[] {
  const configs = configsOf(look.head, look.options);
  const before = look.base ? configsOf(look.base, look.options) : [];
  const findings = configs.flatMap((config) => [
    ...brokenImports(config),
    ...tooFew(look, config),
    ...removed(look, config, before, configs),
  ]);
  return [...findings, ...deleted(before, configs, look.options.maxRemoved)];
}

function brokenImports({ problems }: CaddyConfig): Finding[] {
  return problems
    .filter(({ kind, status, outermost }) => kind === 'import' && status === 'fail' && outermost)
    .map(({ at }) => ({
      status: 'fail',
      at,
      message: 'The sites of this import are missing, since nothing is there to import.',
      todo: 'Bring the imported file back, or take the import out with what it stood for.',
    }));
}

function tooFew(look: Look<CaddyRuleOptions>, config: CaddyConfig): Finding[] {
  const { minVhosts } = look.options;
  const count = addresses(config, meaningOf(look, config)?.hosts).size;
  if (count >= minVhosts) return [];
  // Where the rest may be, its reader tells.
  if (config.incomplete) return [];
  return [
    {
      status: 'fail',
      at: top(config.path),
      message: `The file has ${count === 1 ? 'one site' : `${count} sites`}; the whole one has at least ${minVhosts}.`,
      todo: 'Change the whole file; if it is whole, lower `minVhosts` in the policy.',
    },
  ];
}

function removed(
  look: Look<CaddyRuleOptions>,
  config: CaddyConfig,
  before: readonly CaddyConfig[],
  configs: readonly CaddyConfig[],
): Finding[] {
  const old = before.find(({ path }) => path === config.path);
  if (!old) return [];
  const had = addresses(old);
  const all = new Set(configs.flatMap((each) => [...addresses(each)]));
  const gone = [...had].filter((address) => !all.has(address));
  if (gone.length <= allowed(had.size, look.options.maxRemoved)) return [];
  // Nothing behind a mistake was read: that the sites there are gone, says nothing.
  if (config.problems.some(({ kind, status }) => kind === 'syntax' && status === 'fail')) return [];
  return [
    {
      status: config.incomplete ? 'unknown' : 'fail',
      at: top(config.path),
      message: `${gone.length} of ${had.size} sites are gone: ${named(gone)}.`,
      todo: 'Bring them back, or take them out in several pull requests of few sites each.',
    },
  ];
}

/** One site may always go. */
function allowed(count: number, maxRemoved: number): number {
  return Math.max(1, Math.floor(count * maxRemoved));
}

/** A file that is gone without another that has most of its sites. */
function deleted(before: readonly CaddyConfig[], configs: readonly CaddyConfig[], maxRemoved: number): Finding[] {
  const now = new Set(configs.flatMap((config) => [...addresses(config)]));
  return before.flatMap((old): Finding[] => {
    if (configs.some(({ path }) => path === old.path)) return [];
    const had = [...addresses(old)];
    const gone = had.filter((address) => !now.has(address));
    if (gone.length === 0 || (gone.length < had.length && gone.length <= allowed(had.length, maxRemoved))) return [];
    return [
      {
        status: 'fail',
        at: top(old.path),
        message: `The file is deleted, and ${gone.length} of its ${had.length} sites are nowhere else: ${named(gone)}.`,
        todo: 'Bring it back.',
      },
    ];
  });
}

function named(all: readonly string[]): string {
  const list = all.map((each) => brief(each, 80));
  return list.length > 5 ? `${list.slice(0, 5).join(', ')} and ${list.length - 5} more` : list.join(', ');
}

/** Hosts; of sites without one the address as written. */
function addresses(config: CaddyConfig, hosts: readonly string[] = []): Set<string> {
  return new Set([...sites(config).map(({ host, address }) => host || address), ...hosts]);
}

function top(path: string): Position {
  return { path, line: 1, column: 1 };
}

const base = { 'conf/config': proxyOf(25) };

export const partial: Rule<CaddyRuleOptions> = {
  id: 'caddy/partial',
  severity: 'error',
  title: 'The Caddyfile is the whole one.',
  reason: `The proxy has about 25 sites in one file. Replaced by a minimal or partial one, all others are offline after the next
reload, and their certificates are given up. A file with one or two sites is a broken file.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      { name: 'the whole file', files: { 'conf/config': proxyOf(25) } },
      {
        name: 'one site swapped for another',
        base,
        files: { 'conf/config': proxyOf(24, '\nnew.example.com {\n\trespond ok\n}\n') },
      },
      {
        name: 'split into imports that are there',
        base,
        files: {
          'conf/config': `${storageBlock}import sites/*.caddy\n`,
          'conf/sites/a.caddy': sitesOf(12),
          'conf/sites/b.caddy': sitesOf(13, 13),
        },
      },
      { name: 'renamed', base, files: { 'proxy/Caddyfile': proxyOf(25) } },
      {
        name: 'twenty addresses of one site block',
        files: {
          'conf/config': `${Array.from({ length: 20 }, (_, index) => `s${index}.example.com`).join(',\n')} {\n\trespond ok\n}\n`,
        },
      },
      { name: 'a few sites where the policy says so', files: { 'conf/config': proxyOf(3) }, options: { minVhosts: 2 } },
    ],
    bad: [
      {
        name: 'two sites left',
        base,
        files: { 'conf/config': proxyOf(2) },
        finds: [
          { at: 'conf/config:1:1', says: /has 2 sites; the whole one has at least 20/ },
          { at: 'conf/config:1:1', says: /23 of 25 sites are gone/ },
        ],
      },
      {
        name: 'one site, without anything to compare with',
        files: { 'conf/config': proxyOf(1) },
        finds: [{ at: 'conf/config:1:1', says: /has one site/ }],
      },
      {
        name: 'enough left, but far fewer than before',
        base: { 'conf/config': proxyOf(40) },
        files: { 'conf/config': proxyOf(22) },
        finds: [{ at: 'conf/config:1:1', says: /18 of 40 sites are gone/ }],
      },
      {
        name: 'the file deleted',
        base,
        files: { 'README.md': 'no proxy\n' },
        finds: [{ at: 'conf/config:1:1', says: /is deleted/ }],
      },
      {
        name: 'a file of one site deleted',
        base: { 'conf/config': proxyOf(1) },
        files: { 'README.md': 'no proxy\n' },
        finds: [{ at: 'conf/config:1:1', says: /is deleted, and 1 of its 1 sites/ }],
      },
      {
        name: 'split into an import that is not there',
        base,
        files: { 'conf/config': `${proxyOf(20)}\nimport sites.caddy\n` },
        finds: [{ at: 'conf/config:167:8', says: /sites of this import are missing/ }],
      },
      {
        name: 'sites in comments only',
        files: { 'conf/config': proxyOf(25).replaceAll(/^/gm, '# ') },
        finds: [{ at: 'conf/config:1:1', says: /has 0 sites/ }],
      },
    ],
  },
};
