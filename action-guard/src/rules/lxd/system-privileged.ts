import type { Finding, Rule } from '../../rule.js';
import type { LxdOptions } from './options.js';
import { privilegedSamples } from './samples.js';
import { type Holder, instances, isTrue, profilesOf, type Setting, type Setup, setupOf } from './setup.js';

const KEY = 'security.privileged';

export const systemPrivileged: Rule<LxdOptions> = {
  id: 'lxd/system-privileged',
  severity: 'error',
  title: 'The system container is privileged.',
  reason: `botserver must own \`/opt/gbo\` mounts, which an unprivileged container maps to users of its own. What counts is what is left over:
the instance's own \`${KEY}\` stands above that of its profiles, and of those the last one wins.`,
  suppressible: true,
  files: ({ files }) => files,
  check: ({ head, options }) => {
    const setup = setupOf(head, options);
    return [...setup.unknowns, ...instances(setup, options.privileged).flatMap((holder) => judge(setup, holder))];
  },
  samples: privilegedSamples,
};

function judge(setup: Setup, holder: Holder): Finding[] {
  const { known, missing } = profilesOf(setup, holder);
  const inherited = known.map(({ config }) => config.get(KEY)).filter((each) => each !== undefined);
  // Taken back by `unset`, it is as if it had never been there.
  const own = holder.config.get(KEY);
  const setting: Setting | undefined = own && own.value !== '' ? own : inherited.at(-1);
  const name = holder.name ?? '';
  if (setting) {
    if (setting.variable) {
      return [{ status: 'unknown', at: setting.at, message: `Whether ${name} is privileged depends on a variable.` }];
    }
    if (isTrue(setting.value)) return [];
    return [
      {
        status: 'fail',
        at: setting.at,
        message: `${name} is not privileged: ${KEY} is ${JSON.stringify(setting.value.slice(0, 20))}${setting === own && inherited.some(({ value }) => isTrue(value)) ? ', which stands above that of its profile' : ''}.`,
        todo: `Write ${KEY}: "true".`,
      },
    ];
  }
  if (!holder.complete) return [];
  if (missing[0]) {
    return [
      {
        status: 'unknown',
        at: missing[0].at,
        message: `Whether ${name} is privileged could not be told: its profile ${missing[0].value.slice(0, 60)} is not in the repository.`,
        todo: `Add the profile, or ${KEY}: "true" to the instance.`,
      },
    ];
  }
  return [
    {
      status: 'fail',
      at: own?.at ?? holder.at,
      message: `${name} is not privileged, so botserver cannot own its mounts.`,
      todo: `Add ${KEY}: "true" to its config.`,
    },
  ];
}
