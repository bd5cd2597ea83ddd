import type { Rule } from '../../rule.js';
import { files } from './files.js';
import { fatalOf, isOn, placeOf, proxySetups, textOf, trouble } from './jails.js';
import type { F2bOptions } from './options.js';
import { sshdSamples } from './samples.js';

export const sshdEnabled: Rule<F2bOptions> = {
  id: 'f2b/sshd-enabled',
  severity: 'error',
  title: 'The sshd jail is off in the proxy container, where there is no sshd.',
  reason: `Debian's package switches the sshd jail on. In a container without sshd it has no log to read, and fail2ban refuses to start:
then the flood jail is gone too. The guide switches it off in \`jail.d/defaults-debian.conf\`, which \`jail.local\` and
\`jail.d/*.local\` overrule, since they are read later.`,
  suppressible: true,
  files,
  check: (look) =>
    proxySetups(look).flatMap((setup) => {
      if (fatalOf(setup).some(({ status }) => status === 'fail')) return fatalOf(setup).slice(0, 1);
      const value = setup.jails.get('sshd', 'enabled');
      if (!setup.jails.sections.has('sshd')) return [];
      const at = placeOf(setup, 'sshd', value);
      const stop = trouble(value, at, 'Whether sshd is on');
      if (stop) return [stop];
      if (!isOn(textOf(value) ?? 'false')) return [];
      const packaged = value.kind === 'value' && value.option.at === undefined;
      return [
        {
          status: 'fail' as const,
          at: packaged ? (setup.jails.places.get('sshd') ?? setup.first) : at,
          message: packaged
            ? 'The sshd jail is on, because the package switches it on and nothing here switches it off.'
            : 'The sshd jail is on after all files are merged.',
          todo: 'Write `enabled = false` below [sshd] in the file that has the last word, such as jail.local.',
        },
      ];
    }),
  samples: sshdSamples,
};
