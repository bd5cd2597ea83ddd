import { z } from 'zod';
import { presets as caddyPresets } from '../caddy/options.js';
import { packages } from './package.js';

export const schema = z.strictObject({
  /** Globs of the fail2ban folders of reverse proxies, matched against `FOLDER/jail.local`. */
  proxy: z.array(z.string()),
  /** Name of the jail against floods. */
  jail: z.string(),
  maxretry: z.number().int().positive(),
  findtime: z.number().positive(),
  bantime: z.number().positive(),
  /** Ports that a ban must close. */
  ports: z.array(z.number().int()),
  /** Whose package lies below the files of the repository. */
  package: z.enum(packages),
  /** Globs of Caddy's configuration, to compare its access log with. */
  caddy: z.array(z.string()),
  /** Globs of what that imports. */
  caddyImports: z.array(z.string()),
});

export type F2bOptions = z.output<typeof schema>;

const guide: F2bOptions = {
  proxy: ['**/*proxy*/**'],
  jail: 'caddy-http-flood',
  maxretry: 100,
  findtime: 60,
  bantime: 3600,
  ports: [80, 443],
  package: 'ubuntu-24.04',
  caddy: ['**/Caddyfile', '**/*.Caddyfile', '**/opt/gbo/conf/config', '**/*proxy*/**/conf/config'],
  caddyImports: caddyPresets['guide-lxd'].imports,
};

export const presets = { 'guide-lxd': guide, 'infra-incus': guide };
