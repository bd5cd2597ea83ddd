import { Lines } from '../lines.js';
import type { Position } from '../rule.js';

/**
 * Caddyfile (Caddy 2) and Corefile (CoreDNS, the grammar of Caddy 1) with a position for every token. Ours, since the one
 * library there is loses sites at a missing brace and keeps no positions.
 */
export type Dialect = 'caddyfile' | 'corefile';

export interface Source {
  path: string;
  lines: Lines;
}

export interface Token {
  text: string;
  /** How it was quoted; '<' is a heredoc. */
  quote: '' | '"' | '`' | '<';
  source: Source;
  /** Offset of its first character in the file. */
  start: number;
  end: number;
  /** As Caddy counts: a continued line is one. Only for telling what is on one line. */
  line: number;
  /** Imports it came through, as a name of that way. */
  way: string;
  snippet: string;
  /** Whether a part of it is an environment variable; then its text is a guess. */
  variable: boolean;
}

export interface LexOptions {
  dialect: Dialect;
  /** Values of the environment; all others are unset. Default: unknown, so what depends on one is marked. */
  environment?: Record<string, string>;
}

/** A whole proxy has some thousand tokens. A few lines of imports can ask for more than any machine holds. */
export const mostTokens = 60_000;

/** Position of a token. */
export function at(token: Token): Position {
  return { path: token.source.path, ...token.source.lines.at(token.start) };
}

/** What a message can hold: a word of a hostile file may have a megabyte. */
export function brief(message: string, most = 300): string {
  return message.length > most ? `${message.slice(0, most)}... .` : message;
}

/** Tokens of a text on its own. */
export function tokenize(text: string, path: string, options: LexOptions): Lexed {
  const source = { path, lines: new Lines(text) };
  return options.dialect === 'caddyfile' ? lexCaddyfile(source, options.environment) : lexCorefile(source, options);
}

export interface Lexed {
  tokens: Token[];
  variables: boolean;
  problem?: { start: number; message: string };
  /** Whether there were more than are read. */
  tooMany?: boolean;
  /** Where a quote opens that never closes. */
  unclosed?: number;
}

/** As Go's unicode.IsSpace. */
function isSpace(code: number): boolean {
  if (code < 0x80) return code === 32 || (code >= 9 && code <= 13);
  return (
    code === 0x85 ||
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

/** The text as Caddy lexes it, its `{$VARIABLES}` replaced, and the way back to the offsets of the file. */
interface Replaced {
  text: string;
  /** Pieces, by where they begin in `text`. `hides`: one character that stands for a variable of unknown value. */
  pieces: { start: number; from: number; verbatim: boolean; hides?: string }[];
  variables: boolean;
}

function replaceEnvironment(text: string, environment: Record<string, string> | undefined): Replaced {
  const parts: string[] = [];
  const pieces: Replaced['pieces'] = [];
  let length = 0;
  let from = 0;
  let variables = false;
  const add = (part: string, origin: number, verbatim: boolean, hides?: string) => {
    if (!part) return;
    pieces.push({ start: length, from: origin, verbatim, hides });
    parts.push(part);
    length += part.length;
  };
  for (let open = text.indexOf('{$'); open >= 0; ) {
    const close = text.indexOf('}', open + 2);
    if (close < 0) break;
    if (close === open + 2) {
      open = text.indexOf('{$', close + 1);
      continue;
    }
    add(text.slice(from, open), from, true);
    const inside = text.slice(open + 2, close);
    const colon = inside.indexOf(':');
    const name = colon < 0 ? inside : inside.slice(0, colon);
    const fallback = colon < 0 ? undefined : inside.slice(colon + 1);
    if (environment) add((Object.hasOwn(environment, name) ? environment[name] : fallback) ?? '', open, false);
    else if (fallback !== undefined) add(fallback, open, false);
    else {
      variables = true;
      add('\uFFFC', open, false, text.slice(open, close + 1));
    }
    from = close + 1;
    open = text.indexOf('{$', from);
  }
  add(text.slice(from), from, true);
  return { text: parts.join(''), pieces, variables };
}

function lexCaddyfile(source: Source, environment: Record<string, string> | undefined): Lexed {
  const replaced = replaceEnvironment(source.lines.text, environment);
  const { text, pieces } = replaced;
  const tokens: Token[] = [];
  let piece = 0;
  /** Back to the file. Only ever asked for growing offsets. */
  const original = (offset: number): number => {
    while (piece + 1 < pieces.length && (pieces[piece + 1]?.start ?? 0) <= offset) piece++;
    const here = pieces[piece];
    return here ? here.from + (here.verbatim ? offset - here.start : 0) : offset;
  };
  let line = 1;
  let skipped = 0;
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  let opened: number | undefined;

  next: while (at < text.length) {
    if (tokens.length > mostTokens) return { tokens, variables: replaced.variables, tooMany: true };
    const value: string[] = [];
    let [comment, quoted, ticked, noHeredoc, escaped, variable] = [false, false, false, false, false, false];
    let start = 0;
    let startLine = line;
    const make = (quote: Token['quote'], end: number, given?: string) => {
      const token = {
        text: given ?? value.join(''),
        quote,
        source,
        start,
        end: Math.max(start, original(Math.max(0, end - 1)) + 1),
        line: startLine,
        way: '',
        snippet: '',
        variable,
      };
      tokens.push(token);
    };
    while (at < text.length) {
      const offset = at++;
      const ch = text[offset] as string;
      const heredoc = !quoted && !ticked && !noHeredoc && value.length > 1 && value[0] === '<' && value[1] === '<';
      if (heredoc) {
        if (ch === ' ') {
          make('', offset);
          continue next;
        }
        if (ch === '\r') continue;
        if (ch !== '\n') {
          value.push(ch);
          continue;
        }
        const marker = value.slice(2).join('');
        if (marker.startsWith('<')) return fail('A heredoc begins with two <, not three.');
        if (!isMarker(marker)) return fail('The marker of this heredoc may hold letters, digits, - and _ only.');
        const found = text.indexOf(marker, at);
        if (found < 0) return fail(`This heredoc never ends: no line holds ${marker}.`);
        const body = text.slice(at, found + marker.length);
        const content = heredocText(body, marker);
        if (content === undefined) return fail(`A line of this heredoc is indented less than its end ${marker}.`);
        at = found + marker.length;
        original(offset);
        const before = piece;
        original(at - 1);
        variable ||= piece !== before;
        make('<', at, content);
        line += 1 + countOf(body, '\n');
        continue next;
      }
      if (!escaped && !ticked && ch === '\\') {
        escaped = true;
        continue;
      }
      if (quoted || ticked) {
        if (quoted && escaped) {
          if (ch !== '"') value.push('\\');
          escaped = false;
        } else if ((quoted && ch === '"') || (ticked && ch === '`')) {
          opened = undefined;
          make(ch as '"' | '`', at);
          continue next;
        }
        if (ch === '\n') {
          line += 1 + skipped;
          skipped = 0;
        }
        push(ch, offset);
        continue;
      }
      if (isSpace(ch.charCodeAt(0))) {
        if (ch === '\r') continue;
        if (ch === '\n') {
          if (escaped) {
            skipped++;
            escaped = false;
          } else {
            line += 1 + skipped;
            skipped = 0;
          }
          comment = false;
        }
        if (value.length > 0) {
          make('', offset);
          continue next;
        }
        continue;
      }
      if (ch === '#' && value.length === 0) comment = true;
      if (comment) continue;
      if (value.length === 0) {
        start = original(offset - (escaped ? 1 : 0));
        startLine = line;
        if (ch === '"' || ch === '`') {
          quoted = ch === '"';
          ticked = ch === '`';
          opened = start;
          continue;
        }
      }
      if (escaped) {
        if (ch === '<') noHeredoc = true;
        else value.push('\\');
        escaped = false;
      }
      push(ch, offset);
    }
    if (value.length > 0) make('', text.length);
    break;

    function push(ch: string, offset: number): void {
      original(offset);
      const here = pieces[piece];
      if (here && !here.verbatim) variable = true;
      value.push(here?.hides ?? ch);
    }
    function fail(message: string): Lexed {
      return { tokens, variables: replaced.variables, problem: { start, message } };
    }
  }
  return { tokens, variables: replaced.variables, unclosed: opened };
}

function isMarker(marker: string): boolean {
  return marker.length > 0 && [...marker].every((ch) => /[A-Za-z0-9_-]/.test(ch));
}

function heredocText(body: string, marker: string): string | undefined {
  const lastBreak = body.lastIndexOf('\n');
  const padding = body.slice(lastBreak + 1, body.length - marker.length);
  if (lastBreak < 0) return '';
  const lines = body.slice(0, lastBreak).split('\n');
  const out: string[] = [];
  for (const each of lines) {
    if (each === '' || each === '\r') out.push('');
    else if (!each.startsWith(padding)) return undefined;
    else out.push(each.slice(padding.length).replaceAll('\r', ''));
  }
  return out.join('\n');
}

export function countOf(text: string, ch: string): number {
  let count = 0;
  for (let at_ = text.indexOf(ch); at_ >= 0; at_ = text.indexOf(ch, at_ + 1)) count++;
  return count;
}

function lexCorefile(source: Source, options: LexOptions): Lexed {
  const text = source.lines.text;
  const tokens: Token[] = [];
  let variables = false;
  let line = 1;
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  let opened: number | undefined;
  next: while (at < text.length) {
    if (tokens.length > mostTokens) return { tokens, variables, tooMany: true };
    const value: string[] = [];
    let [comment, quoted, escaped] = [false, false, false];
    let start = 0;
    let startLine = line;
    const make = (quote: Token['quote'], end: number) => {
      const { value: said, variable, unknown } = corefileVariables(value.join(''), options.environment);
      variables ||= unknown;
      tokens.push({ text: said, quote, source, start, end, line: startLine, way: '', snippet: '', variable });
    };
    while (at < text.length) {
      const offset = at++;
      const ch = text[offset] as string;
      if (quoted) {
        if (!escaped) {
          if (ch === '\\') {
            escaped = true;
            continue;
          }
          if (ch === '"') {
            opened = undefined;
            make('"', at);
            continue next;
          }
        }
        if (ch === '\n') line++;
        if (escaped && ch !== '"') value.push('\\');
        value.push(ch);
        escaped = false;
        continue;
      }
      if (isSpace(ch.charCodeAt(0))) {
        if (ch === '\r') continue;
        if (ch === '\n') {
          line++;
          comment = false;
        }
        if (value.length > 0) {
          make('', offset);
          continue next;
        }
        continue;
      }
      // Unlike in Caddy 2, also in the middle of a word.
      if (ch === '#') comment = true;
      if (comment) continue;
      if (value.length === 0) {
        start = offset;
        startLine = line;
        if (ch === '"') {
          quoted = true;
          opened = offset;
          continue;
        }
      }
      value.push(ch);
    }
    if (value.length > 0) make('', text.length);
    break;
  }
  return { tokens, variables, unclosed: opened };
}

/** CoreDNS replaces variables token by token; an unset one is empty. */
function corefileVariables(
  text: string,
  environment: Record<string, string> | undefined,
): { value: string; variable: boolean; unknown: boolean } {
  let [value, variable, unknown] = [text, false, false];
  for (const [open, close] of [
    ['{%', '%}'],
    ['{$', '}'],
  ] as const) {
    const parts: string[] = [];
    let from = 0;
    for (let start = value.indexOf(open); start >= 0; start = value.indexOf(open, from)) {
      const end = value.indexOf(close, start + open.length);
      if (end <= start + open.length) break;
      variable = true;
      const name = value.slice(start + open.length, end);
      parts.push(value.slice(from, start));
      if (environment) parts.push(Object.hasOwn(environment, name) ? (environment[name] as string) : '');
      else {
        unknown = true;
        parts.push(value.slice(start, end + close.length));
      }
      from = end + close.length;
    }
    parts.push(value.slice(from));
    value = parts.join('');
  }
  return { value, variable, unknown };
}
