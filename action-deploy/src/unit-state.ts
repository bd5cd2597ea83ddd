import type { Connection } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';

/** One look at a unit. */
export interface UnitState {
  unit: string;
  active: string;
  sub: string;
  result: string;
  restarts: number;
  mainPid: number;
  invocation: string;
  type: string;
  exitStatus: number;
}

const PROPERTIES = 'Id,ActiveState,SubState,Result,NRestarts,MainPID,InvocationID,Type,ExecMainStatus';

/** The state of each unit, in the order asked for. */
export async function unitStates(connection: Connection, units: string[]): Promise<UnitState[]> {
  if (units.length === 0) return [];
  // One call for each unit: with several, systemctl merges aliases and the blocks no longer match.
  const { stdout } = await connection.script(
    units.map((unit) => `systemctl show -p ${PROPERTIES} -- ${q(unit)}; echo`).join('\n'),
    { timeoutMs: 15_000 },
  );
  const blocks = stdout.trim().split(/\n\s*\n/);
  return units.map((unit, index) => {
    const properties = new Map(
      (blocks[index] ?? '').split('\n').map((line): [string, string] => {
        const at = line.indexOf('=');
        return [line.slice(0, at), line.slice(at + 1)];
      }),
    );
    return {
      unit,
      active: properties.get('ActiveState') ?? 'unknown',
      sub: properties.get('SubState') ?? '',
      result: properties.get('Result') ?? '',
      restarts: Number(properties.get('NRestarts') ?? 0),
      mainPid: Number(properties.get('MainPID') ?? 0),
      invocation: properties.get('InvocationID') ?? '',
      type: properties.get('Type') ?? '',
      exitStatus: Number(properties.get('ExecMainStatus') ?? 0),
    };
  });
}

/**
 * How often systemd had restarted each unit by itself when the watch over it began. A unit that is not in it was started
 * afresh, so that its counter began at nothing; systemd sets no other counter back (systemd.service(5), NRestarts).
 */
export type Restarts = ReadonlyMap<string, number>;

/** The counters of units as they stand now. */
export async function restartsOf(connection: Connection, units: string[]): Promise<Restarts> {
  const states = await unitStates(connection, units);
  return new Map(states.map(({ unit, restarts }) => [unit, restarts]));
}

/**
 * Why this unit is not well, judged against the first look after its activation; undefined when it is.
 * `auto-restart` counts as ill: with RestartSec=100ms a crashing service is "active" most of the times one looks.
 */
export function illness(now: UnitState, first: UnitState | undefined, before: Restarts): string | undefined {
  if (now.active === 'failed') return `${now.unit} failed (${now.result}, exit status ${now.exitStatus})`;
  const restarts = first?.restarts ?? before.get(now.unit) ?? 0;
  if (now.sub === 'auto-restart' || now.restarts > restarts) {
    const again = now.restarts <= restarts ? 'is about to restart it' : `restarted it (${now.restarts}. restart)`;
    return `${now.unit} crashed with exit status ${now.exitStatus}, and systemd ${again}`;
  }
  if (!first || now.type === 'oneshot' || !now.unit.endsWith('.service')) return undefined;
  const replaced = first.active === 'active' && (now.invocation !== first.invocation || now.mainPid !== first.mainPid);
  return replaced
    ? `${now.unit} was started anew by somebody (process ${first.mainPid} became ${now.mainPid})`
    : undefined;
}

/** Whether a unit is where it shall be: running, or done for the kind that ends. */
export function isUp(state: UnitState): boolean {
  return (
    state.active === 'active' || (state.type === 'oneshot' && state.active === 'inactive' && state.result === 'success')
  );
}
