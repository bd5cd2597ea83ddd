import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import { Unhealthy } from './soak.js';
import type { Proof } from './steps.js';
import { shellLibrary } from './survey-script.js';
import { illness, type Restarts, unitStates } from './unit-state.js';

const POLL_MS = 150;

/**
 * Waits until the main process of each unit is an execution of the very file at the path, and hashes what it runs.
 * /proc/PID/exe is the running image itself, whatever the path holds by now. @returns the invocations it met, for their
 * journal should they end soon after. @throws Unhealthy
 */
export async function prove(
  connection: Connection,
  proofs: Proof[],
  timeoutMs: number,
  before: Restarts,
  signal: AbortSignal,
): Promise<string[]> {
  const deadline = Date.now() + timeoutMs;
  const invocations = new Set<string>();
  const units = [...new Set(proofs.map(({ unit }) => unit))];
  for (;;) {
    signal.throwIfAborted();
    const states = await unitStates(connection, units);
    const ill = states.map((state) => illness(state, undefined, before)).find(Boolean);
    for (const { invocation } of states) if (invocation) invocations.add(invocation);
    if (ill) throw new Unhealthy(ill, [...invocations]);
    const { code, stdout } = await connection.script(proofScript(proofs), { timeoutMs: 60_000 });
    if (code === 0) return [...invocations];
    if (Date.now() > deadline) {
      throw new Unhealthy(`Not proven that the new bytes run: ${stdout.trim()}`, [...invocations]);
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

function proofScript(proofs: Proof[]): string {
  return [
    shellLibrary,
    ...proofs.map(
      ({ unit, path, sha256 }) => `
pid=$(systemctl show --value -p MainPID -- ${q(unit)}); exe=/proc/$pid/exe
[ "\${pid:-0}" -gt 0 ] || { echo ${q(`${unit} has no main process`)}; exit 1; }
if [ -r "$exe" ] && [ -e "$exe" ]; then
  [ "$exe" -ef ${q(path)} ] || { echo ${q(`${unit} runs`)} "$(readlink "$exe")"; exit 1; }
  got=$(sum "$exe")
else
  got=$(sudo -n sha256sum "$exe" 2>/dev/null | cut -c1-64)
fi
[ "$got" = ${sha256} ] || { echo ${q(`${unit} runs bytes with sha256`)} "\${got:-unknown}" ${q(`in place of ${sha256}`)}; exit 1; }`,
    ),
  ].join('\n');
}
