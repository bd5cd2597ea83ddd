import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { type ArtifactEntry, artifacts, startTenant, type Tenant } from '../../action-deploy/test/tenant.js';
import { type StandInOptions, standIn, unitFile } from '../../testbed/stand-in.js';
import { output } from '../measure.js';

/** A program under systemd on the target; each way of deploying has one of its own, so that none finds what another left. */
export interface Program {
  unit: string;
  path: string;
  port: number;
}

export const ours: Program = { unit: 'system', path: '/opt/gbo/bin/botserver', port: 5858 };
export const byHand: Program = { unit: 'byhand', path: '/opt/byhand/botserver', port: 5868 };

export interface Target extends Tenant {
  /** Options with which OpenSSH's programs log in, and otherwise do what they do by default. */
  ssh: string[];
  /** `root@address` */
  login: string;
  /** What rsync has to call on the target, which has none of its own. */
  rsyncPath: string;
  /** For an sshd behind a proxy on this machine: the same options, with its port. */
  sshThrough(port: number): string[];
  /** Local path of upload-process.ts as users run it: in one file, without what compiles TypeScript. */
  uploader: string;
  /** Local path of a botserver of that version and size. */
  botserver(version: string, sizeMiB: number): Promise<string>;
  /** Inputs of the action that deploy this botserver as `ours`, as a tenant's workflow would. */
  inputs(version: string, sizeMiB: number): Promise<Record<string, string>>;
  /** Has a local file read, so that no contender has to fetch it from the disk of this machine. */
  warm(file: string): Promise<void>;
  /** Empties a folder on the target and lets its disk come to rest. */
  clean(folder?: string): Promise<void>;
}

function bundled(file: string): string {
  const entry = fileURLToPath(new URL(file, import.meta.url));
  return buildSync({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    external: ['cpu-features', '*.node'],
  })
    .outputFiles.map(({ text }) => text)
    .join('');
}

/** A tenant's system container with sshd and systemd, and what the peers need. */
export async function startTarget(): Promise<Target> {
  const tenant = await startTenant();
  try {
    const { host } = tenant;
    const key = tenant.file('key', host.privateKey);
    chmodSync(key, 0o600);
    const common = ['-F', 'none', '-o', 'IdentitiesOnly=yes', '-i', key];
    const knownHosts = tenant.file('known_hosts', host.knownHosts);
    const botserver = (version: string, sizeMiB: number, more: StandInOptions = {}) =>
      standIn({ ...more, name: 'botserver', version, sizeMiB });
    for (const { unit, path, port } of [ours, byHand]) {
      writeFileSync(join(host.rootDir, 'etc/systemd/system', `${unit}.service`), unitFile({ name: unit, path, port }));
    }
    // Every target that fetches over HTTPS has openssl, since Debian's ca-certificates needs it.
    await bring('openssl', host.rootDir);
    await host.exec('mkdir -p /opt/peer /opt/byhand && systemctl daemon-reload');
    return {
      ...tenant,
      ssh: [...common, '-o', `UserKnownHostsFile=${knownHosts}`],
      login: `root@${host.host}`,
      uploader: tenant.file('upload.cjs', bundled('./upload-process.ts')),
      sshThrough(port) {
        const known = tenant.file(`known_hosts.${port}`, `[127.0.0.1]:${port} ${host.hostKey}\n`);
        return [...common, '-o', `UserKnownHostsFile=${known}`, '-o', `Port=${port}`];
      },
      rsyncPath: await bring('rsync', host.rootDir),
      botserver,
      async inputs(version, sizeMiB) {
        const entry: ArtifactEntry = {
          artifact: await botserver(version, sizeMiB),
          path: ours.path,
          unit: ours.unit,
          'health-url': `http://localhost:${ours.port}/health`,
          'health-contains': version,
        };
        return { ...tenant.way, ...artifacts(entry) };
      },
      warm: async (file) => void (await output('sh', ['-c', 'cat "$1" > /dev/null', 'sh', file])),
      async clean(folder = '/opt/peer') {
        const { code, stderr } = await host.exec(`rm -rf ${folder}/* && sync`);
        if (code !== 0) throw new Error(stderr);
      },
    };
  } catch (error) {
    await tenant.stop();
    throw error;
  }
}

/**
 * Gives the target a program of this machine, with its own loader and libraries, since it has no way to a package mirror.
 * Returns the path that runs it there.
 */
async function bring(program: string, rootDir: string): Promise<string> {
  const local = join('/usr/bin', program);
  if (!existsSync(local)) {
    await output('apt-get', ['install', '-y', '--no-install-recommends', program], {
      DEBIAN_FRONTEND: 'noninteractive',
    });
  }
  const folder = `/opt/${program}`;
  mkdirSync(join(rootDir, folder), { recursive: true });
  const libraries = [...(await output('ldd', [local])).matchAll(/(\/\S+\/([^/\s]+)) \(0x/g)];
  for (const [, path = '', name = ''] of [...libraries, ['', local, program]])
    copyFileSync(path, join(rootDir, folder, name));
  const loader = libraries.map(([, , name = '']) => name).find((name) => name.startsWith('ld-'));
  const command = `/usr/local/bin/${program}`;
  const script = `#!/bin/sh\nexec ${folder}/${loader} --library-path ${folder} ${folder}/${program} "$@"\n`;
  writeFileSync(join(rootDir, command), script, { mode: 0o755 });
  return command;
}
