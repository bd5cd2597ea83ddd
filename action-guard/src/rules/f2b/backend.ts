import type { Finding, Rule } from '../../rule.js';
import { files } from './files.js';
import { fatalOf, isOn, nameBefore, placeOf, proxySetups, type Setup, setupsOf, textOf, trouble } from './jails.js';
import type { F2bOptions } from './options.js';
import { backendSamples } from './samples.js';

/** Of a file; nobody reads more. */
const MOST = 100;

const backends = ['auto', 'pyinotify', 'gamin', 'polling', 'systemd'];

export const backend: Rule<F2bOptions> = {
  id: 'f2b/backend',
  severity: 'error',
  title: 'A jail that reads a log file has a backend that reads files.',
  reason: `With \`backend = systemd\` fail2ban drops \`logpath\` without a word and reads the journal, where Caddy's access log never was:
the jail runs, and is deaf. Debian and Ubuntu ship exactly that as the default of all jails, in \`jail.d/defaults-debian.conf\`, since
1.0.2-3 (fail2ban#4232, #2871: not to be mended). Switching sshd off there leaves the flood jail deaf all the same, so the jail itself must
say \`backend = auto\` (or \`polling\`, or \`pyinotify\`).`,
  suppressible: true,
  files,
  check: (look) => {
    const proxies = new Set(proxySetups(look).map(({ root }) => root));
    return setupsOf(look.head, look.options.package).flatMap((setup) => {
      if (fatalOf(setup).some(({ status }) => status === 'fail')) return fatalOf(setup).slice(0, 1);
      return [...setup.jails.sections.keys()]
        .flatMap((jail) => judge(setup, jail, look.options, proxies.has(setup.root) && jail === look.options.jail))
        .slice(0, MOST);
    });
  },
  samples: backendSamples,
};

function judge(setup: Setup, jail: string, { jail: flood }: F2bOptions, isFlood: boolean): Finding[] {
  const { jails, folder } = setup;
  if (jail === 'INCLUDES' || !jails.places.has(jail) || !isOn(textOf(jails.get(jail, 'enabled')) ?? '')) return [];
  const value = jails.get(jail, 'backend');
  const at = placeOf(setup, jail, value);
  const stop = trouble(value, at, `backend of ${jail}`);
  if (stop) return [stop];
  const text = textOf(value) ?? 'auto';
  const name = nameBefore(text).toLowerCase();
  if (!backends.includes(name)) {
    return [
      {
        status: 'fail',
        at,
        message: `Fail2ban knows no backend ${JSON.stringify(name.slice(0, 40))}, so ${jail} does not start.`,
        todo: 'Write `backend = auto`.',
      },
    ];
  }
  // In capitals it still reads the journal, but its logpath is then an error.
  if (name !== 'systemd') return [];
  const logpath = jails.raw(jail, 'logpath');
  if (!logpath?.at || readsJournal(setup, jail)) return [];
  const filter = nameBefore(textOf(jails.get(jail, 'filter')) ?? '');
  const ours =
    isFlood || jail === flood || folder.owns(`filter.d/${filter}.conf`) || folder.owns(`filter.d/${filter}.local`);
  // The package's own filters know their place in the journal, and its variables name files it never reads then.
  if (!ours && logpath.value.includes('%(')) return [];
  const inherited = value.kind !== 'value' || value.option.at === undefined;
  return [
    {
      status: 'fail',
      severity: ours ? undefined : 'warning',
      at: inherited ? (jails.places.get(jail) ?? at) : at,
      message: inherited
        ? `${jail} never reads its logpath, because the package's default is \`backend = systemd\`.`
        : `${jail} never reads its logpath, because its backend is systemd.`,
      todo: `Write \`backend = auto\` in [${jail}].`,
      // For one jail: a whole text for each would be too much for a file of thousands.
      fix: isFlood ? fixOf(setup, jail) : undefined,
    },
  ];
}

function readsJournal(setup: Setup, jail: string): boolean {
  if (setup.jails.raw(jail, 'journalmatch')) return true;
  const name = nameBefore(textOf(setup.jails.get(jail, 'filter')) ?? '');
  return name !== '' && setup.folder.config(`filter.d/${name}`).raw('Definition', 'journalmatch') !== undefined;
}

/** Puts `backend = auto` where the jail says systemd, or below its first line. */
function fixOf({ jails, folder }: Setup, jail: string): Record<string, string> | undefined {
  const place = jails.sections.get(jail)?.get('backend')?.at ?? jails.places.get(jail);
  const file = place && folder.tree.file(place.path);
  if (!place || !file) return undefined;
  const lines = file.text.split('\n');
  const end = lines[place.line - 1]?.endsWith('\r') ? '\r' : '';
  const own = jails.sections.get(jail)?.has('backend') ?? false;
  lines.splice(own ? place.line - 1 : place.line, own ? 1 : 0, `backend = auto${end}`);
  return { [place.path]: lines.join('\n') };
}
