import type { Inputs } from './inputs.js';
import { deadManUnit } from './layout.js';

/** A release id that stands for all of them when sudo is asked whether it would allow a command. */
const sampleRelease = '20260131T120000Z-0123456789ab';

/** Needed for unit files, and when somebody has edited a unit without it: the one rule that a host may well do without. */
export const daemonReload = 'systemctl daemon-reload';

interface Privileged {
  /** An example of the command, as it would be run. */
  sample: string;
  /** The same as a sudoers command; sudo 1.9.10 and later take `^...$` as a regular expression. */
  rule: string;
}

/** What of a deploy's inputs decides which commands root has to run. */
export type Deployed = Pick<Inputs, 'artifacts' | 'stateDir'>;

/** The commands of a deploy that only root may run, so that `user` needs a sudo rule for each. */
export function privilegedCommands(inputs: Deployed, user: string): Privileged[] {
  const units = [...new Set(inputs.artifacts.flatMap((artifact) => artifact.units))];
  const all: Privileged[] = [];
  const exactly = (command: string, path: string) =>
    all.push({ sample: command, rule: command.replace(/^\S+/, path).replaceAll(/[,:=\\]/g, '\\$&') });
  for (const unit of units)
    for (const verb of ['restart', 'start', 'stop', 'reset-failed']) {
      exactly(`systemctl ${verb} ${unit}`, '/usr/bin/systemctl');
    }
  for (const { activate, units: own } of inputs.artifacts) {
    for (const unit of own) {
      if (activate.how === 'reload' || activate.how === 'caddy')
        exactly(`systemctl reload ${unit}`, '/usr/bin/systemctl');
      if (activate.how === 'signal')
        exactly(`systemctl kill --kill-who=main -s ${activate.signal} ${unit}`, '/usr/bin/systemctl');
    }
  }
  if (units.length > 0 || inputs.artifacts.some(({ type }) => type === 'unit'))
    exactly(daemonReload, '/usr/bin/systemctl');
  // The dead-man, which every deploy arms.
  const undo = `${inputs.stateDir}/undo`;
  all.push({
    sample: `systemd-run ${deadManArguments(user, sampleRelease, 60)} /bin/sh ${undo}/${sampleRelease}.sh dead-man`,
    rule: `/usr/bin/systemd-run ^--uid=${escapeRegex(user)} --quiet --collect --on-active=[0-9]+ --timer-property=AccuracySec=100ms --unit=gbo-undo-[0-9a-z-]+ /bin/sh ${escapeRegex(undo)}/[0-9A-Za-z-]+\\.sh dead-man$`,
  });
  all.push({
    sample: `systemctl stop ${deadManUnit(sampleRelease)}.timer`,
    rule: '/usr/bin/systemctl ^stop gbo-undo-[0-9a-z-]+\\.timer$',
  });
  if (units.length > 0) all.push({ sample: 'sha256sum /proc/1/exe', rule: '/usr/bin/sha256sum ^/proc/[0-9]+/exe$' });
  return [...new Map(all.map((command) => [command.sample, command])).values()];
}

/**
 * Options of systemd-run for the dead-man's timer. `user` is empty for root.
 *
 * The user comes first: sudo judges the arguments joined by spaces, so that after `--unit=` it could be made a part of the
 * unit's name (`'--unit=gbo-undo-x --uid=deploy'`, one argument), and the undo script would run as root.
 */
export function deadManArguments(user: string, release: string, seconds: number): string {
  const asUser = user ? `--uid=${user} ` : '';
  return `${asUser}--quiet --collect --on-active=${seconds} --timer-property=AccuracySec=100ms --unit=${deadManUnit(release)}`;
}

/** The lines of a sudoers file that let `user` deploy, and nothing else. The undo runs as `user`, not as root. */
export function sudoersLines(inputs: Deployed, user: string): string[] {
  return privilegedCommands(inputs, user).map(({ rule }) => `${user} ALL=(root) NOPASSWD: ${rule}`);
}

/** Every character that means something to sudoers or to a POSIX extended regular expression, made plain. */
function escapeRegex(text: string): string {
  return text.replaceAll(/[.[\]*^$+?(){}|\\]/g, '\\$&').replaceAll(/[,:=]/g, '\\$&');
}
