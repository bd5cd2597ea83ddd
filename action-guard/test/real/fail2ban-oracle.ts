import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Debian's own Python, since fail2ban is a package of it. */
const python = '/usr/bin/python3';
const packageDir = '/usr/lib/python3/dist-packages/fail2ban';

/** Installs fail2ban, without starting it. */
export function installFail2ban(): void {
  if (existsSync(packageDir)) return;
  if (process.getuid?.() !== 0) throw new Error('fail2ban is missing, and only root can install it');
  // RUNLEVEL=1 keeps the package from starting a server of its own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const options = ['-o', 'DPkg::Lock::Timeout=300', 'install', '-y', '--no-install-recommends', 'fail2ban'];
  execFileSync('apt-get', options, { env, stdio: 'pipe' });
}

/** What `fail2ban-client -c FOLDER -d` prints, by folder; a string is why it refuses everything. */
export type Dump = { stream: unknown[][]; seconds: Record<string, number | null> } | string;

// The same calls as fail2ban-client makes for -d, in one process: a start takes 0.2 s, and there are hundreds of folders.
const dumper = `
import json, logging, sys
sys.path.insert(0, '/usr/lib/python3/dist-packages')
logging.disable(logging.CRITICAL)
from fail2ban.client.configurator import Configurator
from fail2ban.server.mytime import MyTime
def seconds(text):
    try:
        value = MyTime.str2seconds(text)
        return value if isinstance(value, (int, float)) else None
    except Exception:
        return None
def dump(folder):
    try:
        c = Configurator()
        c.setBaseDir(folder)
        c.Reload()
        c.readAll()
        c.getOptions(None, {})
        c.convertToProtocol(allow_no_files=True)
        stream = c.getConfigStream()
        times = [str(x[3]) for x in stream if len(x) == 4 and x[2] in ('findtime', 'bantime')]
        return {'stream': stream, 'seconds': {t: seconds(t) for t in times}}
    except Exception as e:
        return '%s: %s' % (type(e).__name__, e)
asked = json.load(sys.stdin)
json.dump({'dumps': [dump(f) for f in asked['folders']], 'seconds': [seconds(t) for t in asked['times']]}, sys.stdout, default=str)
`;

export function ask(folders: string[], times: string[] = []): { dumps: Dump[]; seconds: (number | null)[] } {
  const run = spawnSync(python, ['-W', 'ignore', '-c', dumper], {
    input: JSON.stringify({ folders, times }),
    maxBuffer: 1 << 28,
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout);
}
