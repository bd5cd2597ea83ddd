import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { SystemdReport } from '../rules/unit/invalid.js';

/** Longest it may take, for all units together. */
const limit = 30_000;

/**
 * What `systemd-analyze verify` says of units and their drop-ins, by their paths in the tree. It reads them from a folder of
 * its own, starts nothing and writes nothing. Its exit code means little (0 for lines it ignores, 1 for programs that are not
 * on this machine), so only its words count. Undefined: it is not there, or does not answer.
 */
export async function askSystemd(files: readonly { path: string; text: string }[]): Promise<SystemdReport | undefined> {
  const units = files.filter(({ path }) => path.endsWith('.service'));
  if (units.length === 0) return { problems: [] };
  const folder = await mkdtemp(join(tmpdir(), 'gbo-guard-units-'));
  try {
    const problems: SystemdReport['problems'] = [];
    // Each unit in a folder of its own: two tenants' units have the same name.
    const places = new Map<string, string>();
    for (const [index, { path, text }] of units.entries()) {
      const name = basename(path);
      // Names come from a pull request; systemd's own rules for them keep others away.
      if (/[^A-Za-z0-9:_.@\\-]/.test(name) || name.startsWith('-')) continue;
      const own = join(folder, String(index));
      await mkdir(own);
      await writeFile(join(own, name), text);
      places.set(join(own, name), path);
      for (const dropIn of files) {
        if (dirname(dropIn.path) !== `${path}.d`) continue;
        const inside = basename(dropIn.path);
        if (/[^A-Za-z0-9:_.@-]/.test(inside) || inside.startsWith('-')) continue;
        await mkdir(join(own, `${name}.d`), { recursive: true });
        await writeFile(join(own, `${name}.d`, inside), dropIn.text);
        places.set(join(own, `${name}.d`, inside), dropIn.path);
      }
    }
    for (const [place, path] of places) {
      if (!path.endsWith('.service')) continue;
      const said = await run(place, folder);
      if (said === undefined) return undefined;
      for (const line of said.split('\n')) {
        const end = line.indexOf(': ');
        if (!line.startsWith(folder) || end < 0) continue;
        const colon = line.lastIndexOf(':', end - 1);
        const number = Number(line.slice(colon + 1, end));
        const known = places.get(line.slice(0, colon > 0 && number > 0 ? colon : end));
        if (known && number > 0) problems.push({ path: known, line: number, message: line.slice(end + 2) });
      }
    }
    return { problems };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(unit: string, home: string): Promise<string | undefined> {
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: home,
    XDG_CONFIG_HOME: home,
    LC_ALL: 'C',
    SYSTEMD_LOG_TARGET: 'console',
    SYSTEMD_COLORS: '0',
  };
  return new Promise((resolve) => {
    execFile(
      'systemd-analyze',
      ['verify', '--man=no', unit],
      { env, timeout: limit, maxBuffer: 8 << 20 },
      (error, _, stderr) => {
        const missing = error && 'code' in error && (error.code as unknown) === 'ENOENT';
        resolve(missing || error?.killed ? undefined : stderr);
      },
    );
  });
}
