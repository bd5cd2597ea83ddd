import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type StandInOptions, standIn, unitFile } from '../../testbed/stand-in.js';
import { type SystemdHost, startSystemdHost } from '../../testbed/systemd.js';

/** One entry of the `artifacts` input. */
export type ArtifactEntry = Record<string, string | number>;

/** A tenant's system container, empty at first, and what a workflow needs to deploy to it. */
export interface Tenant {
  readonly host: SystemdHost;
  /** Inputs that reach the host, to be completed by artifacts. */
  readonly way: Record<string, string>;
  /** A folder on this machine for files to deploy. */
  readonly folder: string;
  /** Writes a file of `folder` and gives its path. */
  file(name: string, text: string): string;
  /** The sha256 of what the unit's main process runs, '' when it runs nothing. */
  runs(unit: string): Promise<string>;
  /** What HTTP on a port of the target's loopback answers to `GET /`, head and body; '' when nobody listens. */
  answer(port: number): Promise<string>;
  stop(): Promise<void>;
}

export async function startTenant(name = 'acme-system'): Promise<Tenant> {
  const host = await startSystemdHost({ name });
  const folder = mkdtempSync(join(tmpdir(), 'gbo-tenant-'));
  return {
    host,
    folder,
    way: {
      host: host.host,
      port: String(host.port),
      user: host.user,
      'private-key': host.privateKey,
      'known-hosts': host.knownHosts,
    },
    file(file, text) {
      const path = join(folder, file);
      writeFileSync(path, text);
      return path;
    },
    async runs(unit) {
      const { stdout } = await host.exec(
        `pid=$(systemctl show -P MainPID ${unit}); [ "$pid" -gt 0 ] && sha256sum < /proc/$pid/exe | cut -c1-64`,
      );
      return stdout.trim();
    },
    async answer(port) {
      const ask = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; timeout 5 cat <&3`;
      return (await host.exec(`bash -c '${ask}' 2>/dev/null`)).stdout;
    },
    async stop() {
      await host.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** botserver as system.service on 5858 and botui as ui.service on 5859, as the platform has them. */
export const botserver = { unit: 'system', path: '/opt/gbo/bin/botserver', port: 5858 };
export const botui = { unit: 'ui', path: '/opt/gbo/bin/botui', port: 5859 };

/** An `artifacts` entry for a stand-in, health-checked over HTTP by the version it answers. */
export async function binaryEntry(
  program: typeof botserver,
  options: StandInOptions & { version: string },
): Promise<ArtifactEntry> {
  const name = program.path.slice(program.path.lastIndexOf('/') + 1);
  return {
    artifact: await standIn({ ...options, name }),
    path: program.path,
    unit: program.unit,
    'health-url': `http://localhost:${program.port}/health`,
    'health-contains': options.version,
    'health-timeout': '10s',
  };
}

/** An `artifacts` entry for the unit file of a program. */
export function unitEntry(tenant: Tenant, program: typeof botserver, extra: string[] = []): ArtifactEntry {
  const name = `${program.unit}.service`;
  const text = unitFile({ name: program.unit, path: program.path, port: program.port, extra });
  return { artifact: tenant.file(name, text), path: `/etc/systemd/system/${name}`, unit: program.unit };
}

/** The `artifacts` input. */
export function artifacts(...entries: ArtifactEntry[]): { artifacts: string } {
  return { artifacts: stringify(entries) };
}
