import { ExpectedError } from '@gbo/shared/errors';
import type { RunContext } from '@gbo/shared/run';
import { type Connection, connect } from '@gbo/shared/ssh/connection';
import type { LostHost } from './facts.js';
import type { Way } from './health.js';
import type { HostSpec, Inputs } from './inputs.js';
import type { Lock } from './lock.js';

/** A target during one run: its connection, which may be renewed once, and the lock held over it. */
export interface Target {
  spec: HostSpec;
  connection: Connection;
  user: { uid: number; name: string };
  way: Way;
  lock?: Lock;
  /** Opens a new connection in place of a lost one. @throws like `connect` */
  reconnect(): Promise<void>;
}

/** How long a lost target is called again before the run ends without knowing how it stands. */
const RECONNECT_MS = 8000;

/** The targets that answered, and the hosts that did not. */
export interface Opened {
  targets: Target[];
  lost: LostHost[];
}

/**
 * Connects to every host at once. A host that does not answer, shows another key or refuses the login is lost, and
 * nothing was sent to it; the others are none the worse. @throws when cancelled, with every connection closed again
 */
export async function openTargets({ hosts }: Inputs, { log, signal }: RunContext): Promise<Opened> {
  const opened = await Promise.allSettled(
    hosts.map(async (spec) => {
      const say = (line: string) => log.line(`${spec.name}: ${line}`);
      return target(spec, await connect(spec.endpoint, { jumps: spec.jumps, log: say, signal }));
    }),
  );
  const targets = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  try {
    const lost = opened.flatMap((result, index) => {
      if (result.status === 'fulfilled') return [];
      signal.throwIfAborted();
      return [lostHost(hosts[index] as HostSpec, result.reason)];
    });
    return { targets, lost };
  } catch (error) {
    closeTargets(targets);
    throw error;
  }
}

/** @throws what is no failure of the host but one of ours */
export function lostHost({ name }: HostSpec, error: unknown): LostHost {
  if (!(error instanceof ExpectedError)) throw error;
  return { host: name, reason: error.message };
}

function target(spec: HostSpec, connection: Connection): Target {
  return {
    spec,
    connection,
    user: { uid: 0, name: spec.endpoint.user },
    way: 'forward',
    async reconnect() {
      this.connection.close();
      this.lock = undefined;
      this.connection = await connect(spec.endpoint, {
        jumps: spec.jumps,
        attempts: 3,
        connectTimeoutMs: RECONNECT_MS,
      });
    },
  };
}

export function closeTargets(targets: Target[]): void {
  for (const { connection } of targets) connection.close();
}
