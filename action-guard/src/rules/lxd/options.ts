import { z } from 'zod';

const port = z.string().regex(/^\d{1,5}\/(?:tcp|udp)$/, 'a port is written as 443/tcp');

export const schema = z.strictObject({
  /** Globs of what LXD or Incus printed, of preseeds, and of the scripts that call them. */
  files: z.array(z.string()).min(1),
  /** Whose configuration a file is, by glob, where its name does not say it. */
  names: z.record(z.string(), z.string()),
  /** Globs of instances that must be privileged. */
  privileged: z.array(z.string()),
  /** Globs of instances without disks of others. */
  isolated: z.array(z.string()),
  /** Ports of the host that must never be lost. */
  ports: z.array(port),
  /** What the instances of a glob must be reached on, where they are in the repository at all. */
  expected: z.record(z.string(), z.array(port)),
  /** Globs of instances whose services must see who calls. */
  clients: z.array(z.string()),
});

export type LxdOptions = z.output<typeof schema>;

const mail = ['25/tcp', '465/tcp', '587/tcp', '993/tcp', '995/tcp', '143/tcp', '110/tcp'];
const dns = ['53/tcp', '53/udp'];
const kinds = '{yml,yaml,json}';

const guide: LxdOptions = {
  files: [
    `**/{lxd,lxc,incus,containers,instances,profiles,networks}/**/*.${kinds}`,
    `**/*{lxd,lxc,incus,preseed,forward}*.${kinds}`,
    `**/*-{system,alm-ci,proxy,email,dns}*.${kinds}`,
    '**/*.sh',
    '**/{lxd,lxc,incus,containers}/**/*[!.]*',
    '!**/node_modules/**',
    '!**/.forgejo/**',
    '!**/.github/**',
  ],
  names: {},
  privileged: ['*-system'],
  isolated: ['*-alm-ci'],
  ports: ['80/tcp', '443/tcp', ...mail, '4190/tcp', ...dns],
  expected: { '*-proxy': ['80/tcp', '443/tcp'], '*-email': mail, '*-dns': dns },
  clients: ['*-proxy', '*-email'],
};

/** Its instances are called by their bare roles. */
const infra: LxdOptions = {
  ...guide,
  files: [...guide.files, `**/{system,alm-ci,proxy,email,dns}.${kinds}`],
  privileged: ['system', '*-system'],
  isolated: ['alm-ci', '*-alm-ci'],
  expected: { '{*-,}proxy': ['80/tcp', '443/tcp'], '{*-,}email': mail, '{*-,}dns': dns },
  clients: ['proxy', 'email', '*-proxy', '*-email'],
};

export const presets = { 'guide-lxd': guide, 'infra-incus': infra };
