import type { RunContext } from '@gbo/shared/run';
import { type Connection, connect } from '@gbo/shared/ssh/connection';
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
  reconnect(signal?: AbortSignal): Promise<void>;
}

/** How long a lost target is called again before the run ends without knowing how it stands. */
const RECONNECT_MS = 8000;

/** Connects to every host at once. @throws the first error, with every connection closed again */
export async function openTargets({ hosts }: Inputs, { log, signal }: RunContext): Promise<Target[]> {
  const opened = await Promise.allSettled(
    hosts.map(async (spec) => {
      const say = (line: string) => log.line(`${spec.name}: ${line}`);
      return target(spec, await connect(spec.endpoint, { jumps: spec.jumps, log: say, signal }));
    }),
  );
  const targets = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = opened.find((result) => result.status === 'rejected');
  if (!failed) return targets;
  closeTargets(targets);
  throw failed.reason;
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
