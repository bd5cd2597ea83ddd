import { setTimeout as sleep } from 'node:timers/promises';
import { ExpectedError } from '@gbo/shared/errors';
import type { Connection } from '@gbo/shared/ssh/connection';
import { ask, type Way } from './health.js';
import { slowestStartMs } from './start-limit.js';
import type { Soak } from './steps.js';
import { illness, isUp, type Restarts, type UnitState, unitStates } from './unit-state.js';

const POLL_MS = 100;

/** Something that was switched does not hold. `invocations` name the journal of exactly the failed runs. */
export class Unhealthy extends ExpectedError {
  override readonly name = 'Unhealthy';
  constructor(
    why: string,
    readonly invocations: string[] = [],
  ) {
    super(`${why}.`, '', '');
  }
}

/**
 * Waits for the first healthy answer of everything, of each health check within its own time, then watches for `soakMs` that it stays so: same process, same
 * invocation, no restart beyond those of `before`, and still healthy. Resolves with the time of the first healthy answer (epoch ms).
 * @throws Unhealthy
 */
export async function watch(
  connection: Connection,
  soak: Soak,
  way: Way,
  before: Restarts,
  signal: AbortSignal,
): Promise<number> {
  const began = Date.now();
  const first = new Map<string, UnitState>();
  // All that were met: by the time a crash is seen, systemd may have begun the next one, whose journal tells nothing.
  const invocations = new Set<string>();
  const limits = soak.health.map(({ timeoutMs }) => timeoutMs);
  const longest = slowestStartMs(limits);
  /** Health checks that have been answered well once: a later miss is no slow start. */
  const answered = new Set<number>();
  let healthySince: number | undefined;
  let misses = 0;
  for (;;) {
    signal.throwIfAborted();
    const [states, answers] = await Promise.all([
      unitStates(connection, soak.units),
      Promise.all(soak.health.map((check) => ask(connection, check, way))),
    ]);
    const now = Date.now();
    for (const { invocation } of states) if (invocation) invocations.add(invocation);
    for (const state of states) {
      const why = illness(state, first.get(state.unit), before);
      if (why) throw new Unhealthy(why, [...invocations]);
      if (isUp(state) && !first.has(state.unit)) first.set(state.unit, state);
    }
    const down = states.find((state) => !isUp(state));
    for (const [index, { healthy }] of answers.entries()) if (healthy) answered.add(index);
    const unanswered = answers.find((answer) => !answer.healthy);
    const late = answers.find(
      ({ healthy }, index) => !healthy && !answered.has(index) && now >= began + (limits[index] ?? longest),
    );
    const why = down
      ? `${down.unit} is ${down.active} (${down.sub})`
      : unanswered?.healthy === false
        ? unanswered.why
        : undefined;
    // After a miss always the whole of it: what is by chance may last a moment.
    let pause = POLL_MS;
    if (why === undefined) {
      healthySince ??= now;
      misses = 0;
      const left = healthySince + soak.soakMs - now;
      if (left <= 0) return healthySince;
      // The last look is at the end of the time, not up to a look after it.
      pause = Math.min(POLL_MS, left);
    } else if (healthySince !== undefined) {
      // One unanswered request may be chance; a second in a row is not.
      misses += 1;
      if (misses > 1) throw new Unhealthy(`It was healthy, and then no more: ${why}`, [...invocations]);
    } else if (late?.healthy === false) {
      const limit = limits[answers.indexOf(late)] ?? longest;
      throw tooLate(limit, down ? `${late.why}; ${why}` : late.why, [...invocations]);
    } else if (now >= began + longest) {
      throw tooLate(longest, why, [...invocations]);
    }
    await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

function tooLate(limitMs: number, why: string, invocations: string[]): Unhealthy {
  return new Unhealthy(`It did not become healthy within ${Math.round(limitMs / 1000)} s: ${why}`, invocations);
}
