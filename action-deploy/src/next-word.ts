import type { LiveCommand } from '@gbo/shared/ssh/connection';

/**
 * The next line of a command that begins with `mark`, without it; null when the command has ended. What a talking login
 * shell printed has no mark and is passed over.
 *
 * @throws ConnectionLost; ExpectedError when it says nothing for timeoutMs
 */
export async function nextWord(command: LiveCommand, mark: string, timeoutMs: number): Promise<string | null> {
  for (;;) {
    const line = await command.nextLine(timeoutMs);
    if (line === null) return null;
    if (line.startsWith(mark)) return line.slice(mark.length);
  }
}
