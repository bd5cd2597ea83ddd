import { z } from 'zod';
import { type Net, parseNet } from '../../formats/cidr.js';
import type { Finding, Preset } from '../../rule.js';
import type { Tree } from '../../tree.js';
import { type Corefile, type DnsServer, readCorefile } from './corefile.js';
import { TooLarge, Work } from './evaluate.js';

const network = z.string().refine((text) => parseNet(text), 'This is no network such as 10.0.0.0/8.');

export const schema = z.strictObject({
  files: z.array(z.string()).describe('Globs of Corefiles.'),
  imports: z.array(z.string()).describe('Globs of files that they import.'),
  served: z.string().describe('Where the Corefile lies on the server; imports by an absolute path are found by it.'),
  plugins: z
    .array(z.string())
    .describe('Plugins that the CoreDNS of the server was built with besides the stock ones.'),
  internal: z.array(network).describe('Networks of inner hosts.'),
  publicTypes: z.array(z.string()).describe('Query types that everybody must be able to ask of a zone of its own.'),
});

export type DnsRuleOptions = z.infer<typeof schema>;

const guide: DnsRuleOptions = {
  files: ['**/Corefile', '**/*.Corefile', '**/*.corefile'],
  imports: ['**/coredns/**', '**/Corefile.d/**'],
  served: '/opt/gbo/conf/Corefile',
  plugins: [],
  internal: ['10.0.0.0/8', '127.0.0.0/8'],
  publicTypes: ['NS', 'SOA', 'TXT', 'CNAME', 'CAA', 'SRV', 'DS', 'DNSKEY'],
};

export const presets: Record<Preset, DnsRuleOptions> = { 'guide-lxd': guide, 'infra-incus': guide };

export function readsOf({ files, imports }: DnsRuleOptions): string[] {
  return [...files, ...imports];
}

/** The Corefiles of a tree, without those that others import. */
export function corefilesOf(tree: Tree, { files, served, plugins }: DnsRuleOptions): Corefile[] {
  const all = tree.matching(files).map(({ path }) => readCorefile(tree, path, { served, plugins }));
  const imported = new Set(all.flatMap(({ files: each }) => each.slice(1)));
  return all.filter(({ path }) => !imported.has(path));
}

export function internalNets({ internal }: DnsRuleOptions): Net[] {
  return internal.flatMap((text) => parseNet(text) ?? []);
}

/** Servers that others than their own machine reach, each with what a rule says of it. */
export function eachServer(
  tree: Tree,
  options: DnsRuleOptions,
  judge: (server: DnsServer, corefile: Corefile, work: Work) => Finding[],
): Finding[] {
  return corefilesOf(tree, options).flatMap((corefile) => {
    const work = new Work();
    return corefile.servers.flatMap((server) => {
      if (server.loopback) return [];
      try {
        return judge(server, corefile, work);
      } catch (error) {
        if (!(error instanceof TooLarge)) throw error;
        return [
          {
            status: 'unknown' as const,
            at: server.at,
            message: 'The acl of this server is too large to be worked out.',
            todo: 'Join its networks.',
          },
        ];
      }
    });
  });
}
