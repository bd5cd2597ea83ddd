import type { SourceFile } from './tree.js';

/** What is said of a comment that is meant to be one and does not count; no rule of a family, and set by the policy like them. */
export const suppressionRule = { id: 'guard/suppression', severity: 'error' } as const;

/** A comment that lets a finding pass. */
export interface Suppression {
  path: string;
  /** Of the comment. */
  line: number;
  /** Ids or globs of rules. */
  rules: string[];
  /** Lines it is about; the whole file when absent. */
  covers?: number[];
  reason: string;
  until?: string;
}

export interface BadSuppression {
  path: string;
  line: number;
  problem: string;
}

const MARK = 'gbo-guard:';
/** What begins a comment, by the end of the file's name; in all other files it is `#`. */
const startersOf: [ends: RegExp, starters: string[]][] = [
  [/\.bas$/i, ["'", '//', 'REM']],
  [/\.json[c5]?$/i, ['//']],
  [/\.(?:md|markdown|html?|xml)$/i, ['<!--']],
  [/\.zone$/i, [';']],
  [/\.(?:service|socket|timer|mount|conf|local|ini|cfg)$/i, ['#', ';']],
];
const LONGEST_LINE = 10_000;

/**
 * The comments `gbo-guard: allow RULE[, RULE] -- reason [until YYYY-MM-DD]`, about their own line, or, when they stand alone,
 * about the next line that is no comment; `allow-file` is about the whole file. A file that can hold no comment has them in
 * one beside it, called like it with `.gbo-guard` at the end.
 */
export function suppressionsIn(file: SourceFile): { found: Suppression[]; bad: BadSuppression[] } {
  const found: Suppression[] = [];
  const bad: BadSuppression[] = [];
  if (!file.text.includes(MARK)) return { found, bad };
  const beside = file.path.endsWith('.gbo-guard');
  const path = beside ? file.path.slice(0, -'.gbo-guard'.length) : file.path;
  const lines = file.text.split('\n').map((line) => (line.length > LONGEST_LINE ? '' : line));
  const starters = startersOf.find(([ends]) => ends.test(path))?.[1] ?? ['#'];
  const next = nextLines(lines, starters);
  for (const [index, line] of lines.entries()) {
    const mark = line.indexOf(MARK);
    if (mark < 0) continue;
    const before = line.slice(0, mark).trimEnd();
    const starter = beside ? '' : starters.find((each) => before.endsWith(each));
    if (starter === undefined) continue; // part of a text
    const code = before.slice(0, before.length - starter.length);
    if (!beside && /\S$/.test(code)) continue; // part of a word, or of a text in quotes
    const alone = code.trim() === '';
    const text = line.slice(mark + MARK.length).trim();
    const read = parse(starter === '<!--' ? text.replace(/\s*-->.*$/, '') : text);
    if (typeof read === 'string') {
      bad.push({ path: file.path, line: index + 1, problem: read });
      continue;
    }
    const wholeFile = read.file || beside;
    const covers = wholeFile ? undefined : [index + 1, ...(alone ? [(next[index] ?? index + 1) + 1] : [])];
    found.push({
      path,
      line: index + 1,
      rules: read.rules,
      covers,
      reason: read.reason,
      until: read.until,
    });
  }
  return { found, bad };
}

/** For each line, the index of the one after it that is no comment; from the end, so that a file of comments takes no longer. */
function nextLines(lines: string[], starters: readonly string[]): number[] {
  const next: number[] = [];
  for (let index = lines.length - 1, after = lines.length; index >= 0; index--) {
    next[index] = after;
    const line = (lines[index] ?? '').trimStart();
    if (!starters.some((each) => line.startsWith(each))) after = index;
  }
  return next;
}

function parse(text: string): { rules: string[]; reason: string; until?: string; file: boolean } | string {
  const separator = text.indexOf('--');
  const [head = '', tail = ''] = separator < 0 ? [text, ''] : [text.slice(0, separator), text.slice(separator + 2)];
  const [verb, ...words] = head.split(/[\s,]+/).filter(Boolean);
  if (verb !== 'allow' && verb !== 'allow-file') return `it begins with neither allow nor allow-file`;
  if (words.length === 0) return 'it names no rule';
  const strange = words.find((word) => !/^[a-z0-9*-]+\/[a-z0-9*-]+$/.test(word));
  if (strange) return `${strange} is not the id of a rule`;
  const until = /^\s*(.*?)\s+until\s+(\d{4}-\d{2}-\d{2})\s*$/.exec(tail.slice(0, 2000));
  const reason = (until?.[1] ?? tail).trim();
  if (reason.length < 3) return 'it gives no reason; write `-- why` after the rule';
  return { rules: words, reason, until: until?.[2], file: verb === 'allow-file' };
}
