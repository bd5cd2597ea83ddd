import { linesOf, trim, words } from './grammar.js';

/** A USE TOOL or ADD TOOL of a script. */
export interface Statement {
  keyword: 'USE TOOL' | 'ADD TOOL';
  /** From 0, of what it names, or of the keyword where it names nothing. */
  line: number;
  column: number;
  /** What it names. */
  argument: Argument;
  /** A line of its own with nothing but one argument becomes a call whose error nobody reads. Others stop the script. */
  silent: boolean;
}

export type Argument =
  | { kind: 'name'; text: string }
  /** Single quotation marks, which make no text here. */
  | { kind: 'single'; text: string }
  /** Something that is known when it runs. */
  | { kind: 'expression'; text: string }
  | { kind: 'none' };

/** Lines of a script that are statements: without comments, TALK and MAIL blocks. From 0. */
function* code(text: string): Generator<{ line: number; text: string; indent: number }> {
  for (const line of lines(text)) if (line.kind === 'code') yield line;
}

/** All lines with what they are to the compiler. */
export function* lines(
  text: string,
): Generator<{ line: number; text: string; indent: number; kind: 'code' | 'comment' | 'text' }> {
  let block: 'TALK' | 'MAIL' | undefined;
  for (const [line, { text: trimmed, indent }] of linesOf(text).entries()) {
    const upper = trimmed.slice(0, 12).toUpperCase();
    if (isComment(trimmed)) yield { line, text: trimmed, indent, kind: 'comment' };
    else if (block) {
      if (upper === `END ${block}`) block = undefined;
      yield { line, text: trimmed, indent, kind: 'text' };
    } else {
      if (upper === 'BEGIN TALK') block = 'TALK';
      if (upper.startsWith('BEGIN MAIL ')) block = 'MAIL';
      yield { line, text: trimmed, indent, kind: block ? 'text' : 'code' };
    }
  }
}

/** More than any script has; who writes more to keep a reader busy is told of these. */
const MOST = 2000;

/** All of a script's USE TOOL and ADD TOOL. */
export function statementsOf(text: string): Statement[] {
  const found: Statement[] = [];
  if (!/tool/i.test(text)) return found;
  for (const { line, text: trimmed, indent } of code(text)) {
    // Most lines have none of it either; this is the cheap way to know.
    if (!/tool/i.test(trimmed)) continue;
    for (const keyword of keywordsOf(trimmed)) {
      if (found.length === MOST) return found;
      // A line may hold a hundred thousand of them: nobody names a tool in more than this.
      let rest = trim(trimmed.slice(keyword.end, keyword.end + 400));
      let start = keyword.end + rest.indent;
      const whole = rest.text;
      if (keyword.call) {
        rest = trim(whole.slice(1));
        start += 1 + rest.indent;
      }
      const argument = argumentOf(rest.text);
      found.push({
        keyword: keyword.keyword,
        line,
        column: indent + (argument.kind === 'none' ? keyword.start : start),
        argument,
        silent: keyword.call || (keyword.start === 0 && parametersOf(whole) === 1),
      });
    }
  }
  return found;
}

/** Comments are lines that begin so; REM needs no space after it. */
function isComment(trimmed: string): boolean {
  return trimmed.startsWith("'") || trimmed.startsWith('//') || trimmed.startsWith('REM');
}

interface Keyword {
  keyword: Statement['keyword'];
  start: number;
  end: number;
  call: boolean;
}

/** Where in a trimmed line they stand, outside of texts and comments. */
function* keywordsOf(line: string): Generator<Keyword> {
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (char === '"') quoted = !quoted;
    if (quoted) continue;
    if (char === "'" || (char === '/' && line[at + 1] === '/')) return;
    if (!/[uUaA]/.test(char) || /\w/.test(line[at - 1] ?? ' ')) continue;
    // Short: what follows is looked at once, and the pattern has one way to match.
    const head = /^(use|add)(_|[\s\u0085]{1,99})tool(?!\w)/i.exec(line.slice(at, at + 110));
    const [whole, verb, between] = head ?? [];
    if (whole === undefined || verb === undefined) continue;
    const end = at + whole.length;
    const call = between === '_';
    if (call && trim(line.slice(end, end + 99)).text[0] !== '(') continue;
    // Functions are `use_tool` and `USE_TOOL`. In the middle of a line the keyword is in capitals only.
    if (
      call
        ? !/^(use_tool|USE_TOOL)$/.test(whole)
        : at > 0 && words(whole).join(' ') !== words(whole.toUpperCase()).join(' ')
    )
      continue;
    yield { keyword: verb.toUpperCase() === 'USE' ? 'USE TOOL' : 'ADD TOOL', start: at, end, call };
    at = end - 1;
  }
}

function argumentOf(rest: string): Argument {
  const first = rest[0];
  if (first === undefined || first === ')') return { kind: 'none' };
  if (first !== '"' && first !== "'") return { kind: 'expression', text: firstWord(rest) };
  const end = rest.indexOf(first, 1);
  if (end < 0) return { kind: 'expression', text: firstWord(rest) };
  const text = rest.slice(1, end);
  if (first === "'") return { kind: 'single', text };
  const after = trim(rest.slice(end + 1, end + 99)).text[0];
  return after === '+' || after === '&' ? { kind: 'expression', text: rest.slice(0, end + 1) } : { kind: 'name', text };
}

function firstWord(text: string): string {
  return words(text.slice(0, 80))[0]?.replace(/[();].*$/, '') ?? '';
}

/** How many parameters the compiler sees: parted by spaces, tabs and commas outside of quotation marks of either kind. */
function parametersOf(text: string): number {
  let count = 0;
  let inside = false;
  let quote = '';
  for (const char of text) {
    if (quote) {
      if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    if (!quote && (char === ' ' || char === '\t' || char === ',')) inside = false;
    else if (!inside) {
      inside = true;
      count++;
    }
  }
  return count;
}
