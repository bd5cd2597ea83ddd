import { z } from 'zod';
import type { CaddyAnswer } from '../../formats/answers.js';
import { type CaddyConfig, caddyConfigs } from '../../formats/caddy-config.js';
import { at } from '../../formats/caddy-tokens.js';
import type { Look, Preset } from '../../rule.js';
import type { Tree } from '../../tree.js';
import { leaveOut, listen } from '../../unread.js';

export const schema = z.strictObject({
  files: z.array(z.string()).describe('Globs of the Caddyfiles of the proxy.'),
  imports: z.array(z.string()).describe('Globs of files that they import.'),
  served: z.string().describe('Where the Caddyfile lies on the server; imports by an absolute path are found by it.'),
  plugins: z.array(z.string()).describe('Directives, matchers and modules that plugins of the server bring.'),
  minVhosts: z.number().int().min(0).describe('Fewer addresses than this are a partial file.'),
  maxRemoved: z.number().min(0).max(1).describe('Share of the addresses that one pull request may take out.'),
  storageRoot: z.string().startsWith('/').describe('The folder that certificates are kept in.'),
  zones: z.array(z.string()).describe('Globs of zone files.'),
  localZones: z.array(z.string()).describe('Domains that public name servers do not know.'),
});

export type CaddyRuleOptions = z.infer<typeof schema>;

const guide: CaddyRuleOptions = {
  files: ['**/conf/config', '**/Caddyfile', '**/*.Caddyfile'],
  imports: [
    '**/*.caddy',
    '**/*.caddyfile',
    '**/conf/sites/**',
    '**/conf/snippets/**',
    '**/sites-enabled/**',
    '**/caddy/**',
  ],
  served: '/opt/gbo/conf/config',
  plugins: [],
  minVhosts: 20,
  maxRemoved: 0.2,
  storageRoot: '/opt/gbo/data/caddy',
  zones: ['**/*.zone', '**/zones/*'],
  localZones: [],
};

export const presets: Record<Preset, CaddyRuleOptions> = { 'guide-lxd': guide, 'infra-incus': guide };

/** Globs of all that is read of Caddy's own files. */
export function readsOf({ files, imports }: CaddyRuleOptions): string[] {
  return [...files, ...imports];
}

/** The Caddyfiles of a tree, without those that others import. */
export function configsOf(tree: Tree, { files, served, plugins }: CaddyRuleOptions): CaddyConfig[] {
  return caddyConfigs(tree, files, { served, plugins });
}

/** The same for rules about global options: an import behind them that was not read has none, as they come first. */
export function globalsOf(tree: Tree, options: CaddyRuleOptions): CaddyConfig[] {
  const { result, unread } = listen(() => configsOf(tree, options));
  const known = result.every((config) => !config.incomplete || hasAllGlobals(config));
  for (const each of unread) if (each.whole || !known) leaveOut(each);
  return result;
}

function hasAllGlobals({ path, global, blocks, problems }: CaddyConfig): boolean {
  const end = global?.close ? at(global.close) : blocks[0]?.at;
  const holes = problems.filter(({ kind, status }) => kind === 'import' || (kind === 'syntax' && status === 'fail'));
  return holes.every(
    ({ kind, at: hole }) => kind === 'import' && hole.path === path && end?.path === path && end.line < hole.line,
  );
}

type Asked = Extract<CaddyAnswer, { asked: true }>;

/** What a real Caddy said of a file, where it was asked. */
export function answerOf(look: Look<CaddyRuleOptions>, path: string): Asked | undefined {
  const answers = look.tools.get('caddy') as Record<string, CaddyAnswer> | undefined;
  const answer = answers?.[path];
  return answer?.asked ? answer : undefined;
}

/** What the file means to a real Caddy; only where that cannot differ on the server, as it may with a variable. */
export function meaningOf(
  look: Look<CaddyRuleOptions>,
  config: CaddyConfig,
): Extract<Asked, { accepted: true }> | undefined {
  const answer = answerOf(look, config.path);
  return answer?.accepted && !config.variables && !config.incomplete ? answer : undefined;
}
