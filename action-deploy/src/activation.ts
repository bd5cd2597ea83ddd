import type { FileFacts, HostFacts, LocalArtifact } from './facts.js';
import type { Activation } from './steps.js';

interface Activated {
  artifact: LocalArtifact;
  file: FileFacts;
  changed: boolean;
}

/** What has to be told what, each with its reason. `stale` are units that run other bytes than lie at their path. */
export function activationOf(parts: Activated[], stale: string[], host: HostFacts): Activation & { reasons: string[] } {
  const changed = parts.filter((part) => part.changed);
  const told = new Map<string, Telling[]>();
  const tell = (unit: string, telling: Telling) => told.set(unit, [...(told.get(unit) ?? []), telling]);
  for (const { artifact } of changed) for (const unit of artifact.units) tell(unit, tellingOf(artifact, unit, host));
  for (const unit of stale) if (!told.has(unit)) tell(unit, { how: 'restart', why: staleReason(unit, host) });
  const choices = [...told].map(([unit, tellings]) => ({ unit, ...strongest(tellings) }));
  const units = (how: Telling['how']) => choices.filter((choice) => choice.how === how).map(({ unit }) => unit);
  return {
    daemonReload:
      changed.some(({ artifact }) => artifact.type === 'unit') || host.units.some((unit) => unit.needsReload),
    restart: units('restart'),
    reload: units('reload'),
    signals: choices.flatMap(({ unit, how, signal }) => (how === 'signal' && signal ? [{ unit, signal }] : [])),
    commands: changed.flatMap(({ artifact: { activate, units } }) =>
      activate.how === 'command' ? [{ command: activate.command, units }] : [],
    ),
    stop: [],
    start: [],
    restartOnUndo: changed
      .filter(({ artifact }) => forgetsOnUndo(artifact, host))
      .flatMap(({ artifact }) => artifact.units),
    reasons: choices
      .filter(({ how }) => how !== 'nothing')
      .map(({ unit, how, why, signal }) => reason(unit, how, why, signal)),
  };
}

/** What one unit is told, and why. */
interface Telling {
  how: 'restart' | 'reload' | 'signal' | 'nothing';
  why: string;
  signal?: string;
}

const strength = ['nothing', 'signal', 'reload', 'restart'];

/** A unit that is to be reloaded for one file and restarted for another is restarted. */
function strongest(tellings: Telling[]): Telling {
  const rank = ({ how }: Telling) => strength.indexOf(how);
  const first = tellings.reduce((a, b) => (rank(b) > rank(a) ? b : a));
  const same = tellings.filter(({ how }) => how === first.how);
  return { ...first, why: [...new Set(same.map(({ why }) => why))].join(', ') };
}

function reason(unit: string, how: Telling['how'], why: string, signal?: string): string {
  return `${unit} ${how === 'signal' ? `gets SIG${signal}` : `is ${how}ed`}: ${why}.`;
}

function staleReason(unit: string, host: HostFacts): string {
  return stoodAs(unit, host) === 'up' ? 'it does not run what lies at its path' : 'it does not run';
}

function tellingOf({ activate, path, name }: LocalArtifact, unit: string, host: HostFacts): Telling {
  if (activate.how === 'none' || activate.how === 'command') return { how: 'nothing', why: '' };
  if (stoodAs(unit, host) !== 'up') return { how: 'restart', why: `${name} changed, and it does not run` };
  if (activate.how === 'signal') return { how: 'signal', signal: activate.signal, why: `${name} changed` };
  if (activate.how !== 'caddy') return { how: activate.how, why: `${name} changed` };
  const { old: before, new: after } = host.caddyHosts[path] ?? {};
  const vanished = missing(before, after);
  if (!vanished) return { how: 'restart', why: 'caddy could not tell whether a host name went away' };
  if (vanished.length === 0) return { how: 'reload', why: `${name} changed` };
  const names = vanished.join(', ');
  return { how: 'restart', why: `${names} went away, and after a reload Caddy would go on asking for certificates` };
}

/** Whether names came that an undo has to take out of Caddy's memory again, which only a restart does. */
function forgetsOnUndo({ activate, path }: LocalArtifact, host: HostFacts): boolean {
  const { old: before, new: after } = host.caddyHosts[path] ?? {};
  return activate.how === 'caddy' && missing(after, before)?.length !== 0;
}

/**
 * How a unit stood before: up; down, which is stopped or given up by systemd; or between the two, such as one that waits for
 * its next try after a crash (`activating (auto-restart)`). States: systemctl(1), unit states.
 */
export function stoodAs(unit: string, host: HostFacts): 'up' | 'between' | 'down' {
  const state = host.units.find(({ name }) => name === unit)?.activeState || 'inactive';
  if (['active', 'reloading', 'refreshing'].includes(state)) return 'up';
  return ['inactive', 'failed'].includes(state) ? 'down' : 'between';
}

/** Names of `before` that `after` lacks; undefined when caddy could not read one of them. */
function missing(before: string[] | undefined, after: string[] | undefined): string[] | undefined {
  return before && after ? before.filter((name) => !after.includes(name)) : undefined;
}

/** The way back: the same units are told, but one that did not run before is stopped, and one between the two started again. */
export function inverse(activation: Activation, host: HostFacts): Activation {
  const stood = (how: ReturnType<typeof stoodAs>) => (unit: string) => stoodAs(unit, host) === how;
  return {
    ...activation,
    restart: [...new Set([...activation.restart.filter(stood('up')), ...activation.restartOnUndo.filter(stood('up'))])],
    reload: activation.reload.filter((unit) => !activation.restartOnUndo.includes(unit)),
    commands: activation.commands.map(({ command, units }) => ({ command, units: units.filter(stood('up')) })),
    stop: activation.restart.filter(stood('down')),
    start: activation.restart.filter(stood('between')),
  };
}
