import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Hit } from './secret-search.js';

export interface ProcessWatch {
  stop(): Promise<{
    /** How often all processes were looked at. */
    sweeps: number;
    /** Names of the programs that were seen: whether those were among them that matter. */
    programs: string[];
    hits: Hit[];
  }>;
}

/**
 * Looks at the command line and the environment of every process of this machine, as often as it can, for secrets. A process
 * of its own, so that neither holds up the other.
 *
 * @param own is in the command line of the action, whose own environment holds its inputs by contract
 */
export async function watchProcesses(secrets: Record<string, string>, own: string): Promise<ProcessWatch> {
  const script = fileURLToPath(new URL('./process-watcher.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  child.stdin.write(`${JSON.stringify({ secrets, own })}\n`);
  await lines.next();
  return {
    async stop() {
      const closed = once(child, 'close');
      child.stdin.end('\n');
      const { value } = await lines.next();
      await closed;
      return JSON.parse(value);
    },
  };
}
