import type { LogGroup } from './log.js';

/** What an action has to say at its end: everything in the log, a table in the summary, outputs for later steps. */
export interface Report {
  /** One sentence, when the step must be red. */
  failed?: string;
  outputs: Record<string, string>;
  log: LogGroup[];
  /** Markdown. */
  summary: string;
}

/** Characters that end a row, move the cursor, or turn the direction of what follows: with them a text can look like another. */
export const misleading = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** Text on one line, with what misleads spelt out: names come from strangers, and must not look like a row of their own. */
export function plain(text: string): string {
  return text.replaceAll(misleading, (character) => {
    const short = JSON.stringify(character).slice(1, -1);
    return short.startsWith('\\') ? short : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Text as Markdown that shows it as it is: no markup, link or picture, no HTML, and nobody is mentioned by it. */
export function literal(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll(/[\\`*~[\]|]|(?<!\w)_|_(?!\w)/g, '\\$&')
    .replace(/^(?=[#>]|[+-] )/, '\\')
    .replaceAll('@', '@\u200b');
}

/** Text that is safe inside one cell of a Markdown table. */
export function cell(text: string): string {
  return literal(text).replaceAll(/\s*[\r\n]+\s*/g, ' ');
}

/** A Markdown table. Ours, since each row is one join and the libraries for it align columns by the kilobyte. */
export function markdownTable(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** The same table for a log: columns padded to their longest cell, no borders. */
export function textTable(head: string[], rows: string[][]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
