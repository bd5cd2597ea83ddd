import { shellQuote as q } from '@gbo/shared/ssh/quote';
import type { Activation } from './steps.js';

/**
 * Makes the units take the files that lie there now; expects `$S` to be empty or `sudo -n`. Sets `activation_failed`.
 * reset-failed goes first: after a crash loop systemd refuses even a wanted start (start-limit-hit, systemd.unit(5)).
 * Units are told at the same moment, since one after the other would add their down-times up.
 * An undo restarts what will not reload, and the units of a command that fails: it has to end on the old release.
 */
export function activationScript(activation: Activation, onUndo: boolean): string {
  const { daemonReload, restart, reload, signals, commands, stop, start } = activation;
  const orRestart = (unit: string) => (onUndo ? ` || $S systemctl restart ${q(unit)}` : '');
  const jobs = [
    ...restart.map((unit) => (onUndo ? afresh(unit) : restartJob(unit))),
    ...reload.map((unit) => `{ $S systemctl reload ${q(unit)}${orRestart(unit)}; }`),
    ...signals.map(({ unit, signal }) => `$S systemctl kill --kill-who=main -s ${signal} ${q(unit)}`),
    ...stop.map((unit) => `$S systemctl stop ${q(unit)}`),
    // It may fail as it did before.
    ...start.map((unit) => `{ ${afresh(unit)} || :; }`),
  ];
  return [
    'activation_failed=0; jobs=',
    daemonReload ? '$S systemctl daemon-reload || activation_failed=1' : '',
    ...[...restart, ...stop, ...start].map((unit) => `$S systemctl reset-failed ${q(unit)} 2>/dev/null`),
    ...jobs.map((job) => `${job} & jobs="$jobs $!"`),
    'for job in $jobs; do wait "$job" || activation_failed=1; done',
    ...commands.map(({ command, units }) => {
      const instead = onUndo && units.length > 0 ? `{ ${units.map(afresh).join(' && ')}; } || ` : '';
      return `( ${command}\n) 8<&- || ${instead}activation_failed=1`;
    }),
  ]
    .filter(Boolean)
    .join('\n');
}

/**
 * Stops, forgets and starts. A restart that meets a crashing unit while it waits for its automatic restart does not set
 * its counter back (systemd 252, service_stop() in SERVICE_AUTO_RESTART), and the good release that follows would seem to
 * have crashed.
 */
function afresh(unit: string): string {
  return `{ $S systemctl stop ${q(unit)}; $S systemctl reset-failed ${q(unit)} 2>/dev/null; $S systemctl start ${q(unit)}; }`;
}

/** One job, and so the shortest down-time, for a unit that does not crash. */
function restartJob(unit: string): string {
  const restarts = `"$(systemctl show --value -p NRestarts -- ${q(unit)})"`;
  return `if [ ${restarts} = 0 ]; then $S systemctl restart ${q(unit)}; else ${afresh(unit)}; fi`;
}
