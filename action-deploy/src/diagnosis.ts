import type { Connection } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import { unitStates } from './unit-state.js';

const JOURNAL_LINES = 60;

/** The invocations of units that are not well right now: to be asked before an undo starts new ones. */
export async function failedInvocations(connection: Connection, units: string[]): Promise<string[]> {
  const states = await unitStates(connection, units);
  return states.map(({ invocation }) => invocation).filter(Boolean);
}

/** What helps to see why it failed: the journal of exactly those invocations, what listens, what is full. Never rejects. */
export async function diagnose(
  connection: Connection,
  invocations: string[],
  units: string[],
): Promise<{ title: string; lines: string[] }[]> {
  const read = async (title: string, script: string) => {
    const { stdout } = await connection
      .script(script, { timeoutMs: 20_000, maxBytes: 64 * 1024 })
      .catch(() => ({ stdout: '' }));
    return { title, lines: stdout.trim().split('\n').filter(Boolean) };
  };
  const wanted = [...new Set(invocations)].filter((id) => /^[0-9a-f]{32}$/.test(id));
  const match = wanted.map((id) => `_SYSTEMD_INVOCATION_ID=${id} + INVOCATION_ID=${id}`).join(' + ');
  const journal = match
    ? `journalctl --no-pager -q -o short-iso -n ${JOURNAL_LINES} ${match} 2>&1 || echo 'The journal cannot be read by this user.'`
    : ':';
  const groups = await Promise.all([
    read('Journal of the failed invocation', journal),
    read('Units', units.map((unit) => `systemctl status --no-pager -n 0 -- ${q(unit)} 2>&1`).join('; ') || ':'),
    read('Listening sockets', 'ss -Hltn 2>/dev/null | head -n 40'),
    read('File systems', 'df -h / /opt /var /tmp 2>/dev/null | sort -u'),
  ]);
  return groups.filter(({ lines }) => lines.length > 0);
}
