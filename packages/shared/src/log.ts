import type { Secrets } from './secrets.js';

/** A titled block of lines, folded in the runner's log. */
export interface LogGroup {
  title: string;
  lines: string[];
}

/** Where an action speaks to people. Every line is one row, and secrets are taken out of it. */
export interface Log {
  line(text: string): void;
  warning(text: string): void;
  error(text: string): void;
  group(group: LogGroup): void;
}

/** The runner cuts a row at 64 KiB (facts of Forgejo's reporter); a row this long helps nobody, so it is cut visibly earlier. */
const LONGEST_ROW = 16 * 1024;

/**
 * A log on `write` (the process's stdout). In a runner, groups fold. Warnings and errors are plain words, because
 * Forgejo prints `::error::` as typed.
 */
export function createLog(write: (text: string) => void, secrets: Secrets, inRunner: boolean): Log {
  const rows = (text: string) => {
    for (const row of secrets.redact(text).split(/\r\n|\r|\n/)) {
      // A row from elsewhere must not be able to speak to the runner in workflow commands, in neither of their two spellings.
      const harmless = inRunner ? row.replace(/^\s*(:(?=:)|#(?=#\[))/, '$& ') : row;
      write(`${harmless.length > LONGEST_ROW ? `${harmless.slice(0, LONGEST_ROW)} [cut]` : harmless}\n`);
    }
  };
  return {
    line: rows,
    warning: (text) => rows(`Warning: ${text}`),
    error: (text) => rows(`Error: ${text}`),
    group: ({ title, lines }) => {
      const safeTitle = secrets.redact(title).replaceAll(/[\r\n]/g, ' ');
      write(inRunner ? `::group::${safeTitle}\n` : `${safeTitle}\n`);
      for (const line of lines) rows(inRunner ? line : `  ${line}`);
      if (inRunner) write('::endgroup::\n');
    },
  };
}
