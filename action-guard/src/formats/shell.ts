import { leaveOutFile } from '../unread.js';

// Ours, because no library reads sh with positions, without running it, in linear time and in a bundle of this size.

/** A piece of a word: plain text, a variable, or what only a run would tell (`$(…)`, a glob, arithmetic). */
export type Part = { text: string; quoted: boolean } | { variable: string; quoted: boolean } | { run: true };

export interface ShellWord {
  parts: Part[];
  /** Offset of its first character, and behind its last. */
  at: number;
  end: number;
}

export interface HereDocument {
  /** Offset of its first character in the script. */
  at: number;
  text: string;
  /** The delimiter is quoted: nothing in it is expanded. */
  literal: boolean;
}

export interface SimpleCommand {
  kind: 'simple';
  at: number;
  /** `NAME=value` before the command, or alone. */
  assignments: { name: string; value: ShellWord; at: number }[];
  words: ShellWord[];
  hereDocument?: HereDocument;
  /** `< file`. */
  input?: ShellWord;
}

export type Command =
  | SimpleCommand
  | { kind: 'list'; at: number; items: { command: Command; operator: ';' | '&&' | '||' | '|'; negated: boolean }[] }
  | { kind: 'if'; at: number; branches: { condition?: Command; body: Command }[] }
  | { kind: 'for'; at: number; variable: string; words: ShellWord[] | undefined; body: Command }
  | { kind: 'while'; at: number; condition: Command; until: boolean; body: Command }
  | { kind: 'case'; at: number; word: ShellWord; branches: Command[] }
  | { kind: 'function'; at: number; name: string; body: Command };

export interface ShellScript {
  body: Command;
  /** Where the reader gave up; what stands before it was read. */
  problem?: { at: number; message: string; limit?: boolean };
  /** The file it stands in, for what is said of it. */
  path?: string;
}

interface Token {
  kind: 'word' | 'operator' | 'end';
  text: string;
  at: number;
  end: number;
  parts: Part[];
}

class Unreadable extends Error {
  readonly at: number;
  /** The reader's own doing: sh itself would go on. */
  readonly limit: boolean;
  constructor(at: number, message: string, limit = false) {
    super(message);
    this.at = at;
    this.limit = limit;
  }
}

const operators = ['<<<', '<<-', '&>>', ';;&', '&&', '||', ';;', ';&', '|&', '<<', '>>', '<&', '>&', '<>', '>|', '&>'];
const isName = (text: string) => text !== '' && !/[^A-Za-z0-9_]/.test(text) && !/[0-9]/.test(text[0] as string);
const isNameCharacter = (character: string | undefined) => character !== undefined && /[A-Za-z0-9_]/.test(character);

class Lexer {
  readonly text: string;
  at = 0;
  readonly #pending: { command: SimpleCommand; delimiter: string; literal: boolean; tabs: boolean }[] = [];

  constructor(text: string) {
    this.text = text;
  }

  /** Goes on behind the next `closes`: what stands before it is a language of its own. */
  skipTo(closes: string): void {
    const end = this.text.indexOf(closes, this.at);
    if (end < 0) throw new Unreadable(this.at, `\`${closes.trim()}\` is missing behind this`);
    this.at = end + closes.length;
  }

  awaits(command: SimpleCommand, delimiter: string, literal: boolean, tabs: boolean): void {
    this.#pending.push({ command, delimiter, literal, tabs });
  }

  next(): Token {
    const { text } = this;
    for (;;) {
      const character = text[this.at];
      if (character === ' ' || character === '\t' || character === '\r') this.at++;
      else if (character === '\\' && text[this.at + 1] === '\n') this.at += 2;
      else if (character === '\\' && text.startsWith('\r\n', this.at + 1)) this.at += 3;
      else if (character === '#') {
        const end = text.indexOf('\n', this.at);
        this.at = end < 0 ? text.length : end;
      } else break;
    }
    const at = this.at;
    const first = text[at];
    if (first === undefined) return { kind: 'end', text: '', at, end: at, parts: [] };
    if (first === '\n') {
      this.at++;
      this.#readHereDocuments();
      return { kind: 'operator', text: '\n', at, end: this.at, parts: [] };
    }
    // The number before a redirection belongs to it.
    let digit = at;
    while (text[digit] !== undefined && '0123456789'.includes(text[digit] as string)) digit++;
    if (digit > at && (text[digit] === '<' || text[digit] === '>')) this.at = digit;
    const operator =
      operators.find((each) => text.startsWith(each, this.at)) ??
      (';&|()<>'.includes(text[this.at] as string) ? (text[this.at] as string) : '');
    if (operator) {
      this.at += operator.length;
      return { kind: 'operator', text: operator, at, end: this.at, parts: [] };
    }
    const parts = this.#word();
    return { kind: 'word', text: text.slice(at, this.at), at, end: this.at, parts };
  }

  #readHereDocuments(): void {
    for (const { command, delimiter, literal, tabs } of this.#pending.splice(0)) {
      const start = this.at;
      let body = '';
      for (;;) {
        if (this.at >= this.text.length) break;
        const newline = this.text.indexOf('\n', this.at);
        const end = newline < 0 ? this.text.length : newline;
        const line = this.text.slice(this.at, end);
        this.at = newline < 0 ? end : end + 1;
        let bare = line.endsWith('\r') ? line.slice(0, -1) : line;
        if (tabs) while (bare.startsWith('\t')) bare = bare.slice(1);
        if (bare === delimiter) break;
        // Leading tabs become part of the text again, so that offsets in it are offsets in the script.
        body += newline < 0 ? line : `${line}\n`;
      }
      command.hereDocument = { at: start, text: body, literal };
    }
  }

  #word(): Part[] {
    const { text } = this;
    const parts: Part[] = [];
    let plain = '';
    let quotedPlain = false;
    const flush = (quoted: boolean, always = false) => {
      if (plain !== '' || always) parts.push({ text: plain, quoted });
      plain = '';
    };
    while (this.at < text.length) {
      const character = text[this.at] as string;
      if (' \t\n\r;&|()<>'.includes(character)) break;
      if (character === "'") {
        flush(false);
        const end = text.indexOf("'", this.at + 1);
        if (end < 0) throw new Unreadable(this.at, 'this quote is never closed');
        plain = text.slice(this.at + 1, end);
        flush(true, true);
        this.at = end + 1;
      } else if (character === '"') {
        flush(false);
        const open = this.at++;
        const before = parts.length;
        for (;;) {
          const inner = text[this.at];
          if (inner === undefined) throw new Unreadable(open, 'this quote is never closed');
          if (inner === '"') break;
          if (inner === '\\') {
            const escaped = text[this.at + 1] ?? '';
            if (escaped === '\n') plain += '';
            else plain += '$`"\\'.includes(escaped) ? escaped : `\\${escaped}`;
            this.at += 2;
          } else if (inner === '$' || inner === '`') {
            const part = this.#dollar(true);
            if (part) {
              flush(true);
              parts.push(part);
            } else {
              plain += inner;
              this.at++;
            }
          } else {
            plain += inner;
            this.at++;
          }
        }
        // Nothing in quotes is a word, too; a variable in quotes is one by itself.
        flush(true, parts.length === before);
        this.at++;
      } else if (character === '\\') {
        if (text[this.at + 1] === '\n') this.at += 2;
        else {
          flush(false);
          plain = text[this.at + 1] ?? '';
          flush(true, true);
          this.at += 2;
        }
      } else if (character === '$' || character === '`') {
        const part = this.#dollar(false);
        if (part) {
          flush(quotedPlain);
          parts.push(part);
        } else {
          plain += character;
          this.at++;
        }
      } else if ('*?['.includes(character)) {
        flush(false);
        parts.push({ run: true });
        this.at++;
      } else {
        plain += character;
        quotedPlain = false;
        this.at++;
      }
    }
    this.at = Math.min(this.at, text.length);
    flush(false);
    return parts;
  }

  /** At a `$` or a backtick. Undefined: it means itself. */
  #dollar(quoted: boolean): Part | undefined {
    const { text } = this;
    const start = this.at;
    if (text[start] === '`') {
      const end = text.indexOf('`', start + 1);
      if (end < 0) throw new Unreadable(start, 'this backtick is never closed');
      this.at = end + 1;
      return { run: true };
    }
    const next = text[start + 1];
    if (next === '(') {
      this.at = this.#closing(start + 1, '(', ')');
      return { run: true };
    }
    if (next === '{') {
      this.at = this.#closing(start + 1, '{', '}');
      const inner = text.slice(start + 2, this.at - 1);
      return isName(inner) ? { variable: inner, quoted } : { run: true };
    }
    if (isNameCharacter(next) && !/[0-9]/.test(next as string)) {
      let end = start + 1;
      while (isNameCharacter(text[end])) end++;
      this.at = end;
      return { variable: text.slice(start + 1, end), quoted };
    }
    if (next !== undefined && '@*123456789'.includes(next)) {
      this.at = start + 2;
      return { variable: next, quoted };
    }
    if (next !== undefined && '#?$!-0'.includes(next)) {
      this.at = start + 2;
      return { run: true };
    }
    return undefined;
  }

  /** Behind the bracket that closes the one at `open`. */
  #closing(open: number, opens: string, closes: string): number {
    const { text } = this;
    let depth = 0;
    for (let at = open; at < text.length; at++) {
      const character = text[at];
      if (character === '\\') at++;
      else if (character === "'") {
        const end = text.indexOf("'", at + 1);
        if (end < 0) break;
        at = end;
      } else if (character === opens) depth++;
      else if (character === closes && --depth === 0) return at + 1;
    }
    throw new Unreadable(open, `this ${opens} is never closed`);
  }
}

/** Of what variables hold, as far as it is followed. A word of the script itself may be longer. */
const longest = 1 << 16;

/** Commands of one script: more than anybody writes. */
const mostCommands = 50_000;

/** Nesting of commands that it follows; people need three or four. */
const deepest = 64;

class Parser {
  readonly #lexer: Lexer;
  #token: Token;
  #depth = 0;
  #commands = 0;

  constructor(text: string) {
    this.#lexer = new Lexer(text);
    this.#token = { kind: 'end', text: '', at: 0, end: 0, parts: [] };
  }

  script(): ShellScript {
    const items: Extract<Command, { kind: 'list' }>['items'] = [];
    try {
      this.#advance();
      for (;;) {
        this.#list([], items);
        if (this.#kind() === 'end') break;
        throw new Unreadable(this.#token.at, `\`${this.#token.text.trim() || 'end of line'}\` does not belong here`);
      }
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      const { at, message, limit } = error;
      return { body: { kind: 'list', at: 0, items }, problem: { at, message, ...(limit ? { limit } : {}) } };
    }
    return { body: { kind: 'list', at: 0, items } };
  }

  #advance(): void {
    this.#token = this.#lexer.next();
  }

  /** Read anew each time, as the compiler would not believe that it changes. */
  #kind(): Token['kind'] {
    return this.#token.kind;
  }

  #is(...texts: string[]): boolean {
    return this.#kind() !== 'end' && texts.includes(this.#token.text);
  }

  #expect(text: string): void {
    if (!this.#is(text)) throw new Unreadable(this.#token.at, `\`${text}\` is missing here`);
    this.#advance();
  }

  #skipNewlines(): void {
    while (this.#kind() === 'operator' && this.#is('\n')) this.#advance();
  }

  /** Commands up to one of the words that end them. Into `items`, so that those before a mistake are kept. */
  #list(ends: string[], items: Extract<Command, { kind: 'list' }>['items'] = []): Command {
    const at = this.#token.at;
    if (++this.#depth > deepest) throw new Unreadable(at, 'commands are nested too deep to follow', true);
    for (;;) {
      while (this.#kind() === 'operator' && this.#is('\n', ';', '&')) this.#advance();
      if (this.#kind() === 'end' || this.#is(...ends, ')', ';;', ';&', ';;&')) break;
      let negated = false;
      while (this.#is('!')) {
        negated = !negated;
        this.#advance();
      }
      const command = this.#command();
      const operator = this.#is('&&') ? '&&' : this.#is('||') ? '||' : this.#is('|', '|&') ? '|' : ';';
      items.push({ command, operator, negated });
      if (operator !== ';') {
        this.#advance();
        this.#skipNewlines();
      } else if (this.#kind() !== 'end' && !this.#is('\n', ';', '&', ...ends, ')', ';;', ';&', ';;&')) break;
    }
    this.#depth--;
    return { kind: 'list', at, items };
  }

  #command(): Command {
    const { at, kind, text } = this.#token;
    if (kind === 'word' && text === '[[') return this.#foreign(at, ' ]]');
    if (kind === 'operator' && text === '(') {
      if (this.#lexer.text[at + 1] === '(') return this.#foreign(at, '))');
      this.#advance();
      const body = this.#list([]);
      this.#expect(')');
      return this.#behind(body);
    }
    if (kind === 'word') {
      switch (text) {
        case '{': {
          this.#advance();
          const body = this.#list(['}']);
          this.#expect('}');
          return this.#behind(body);
        }
        case 'if':
          return this.#behind(this.#if(at));
        case 'while':
        case 'until': {
          this.#advance();
          const condition = this.#list(['do']);
          this.#expect('do');
          const body = this.#list(['done']);
          this.#expect('done');
          return this.#behind({ kind: 'while', at, condition, until: text === 'until', body });
        }
        case 'for':
          return this.#behind(this.#for(at));
        case 'case':
          return this.#behind(this.#case(at));
        case 'function': {
          this.#advance();
          const name = this.#token.text;
          this.#advance();
          if (this.#is('(')) {
            this.#advance();
            this.#expect(')');
          }
          return this.#function(at, name);
        }
      }
    }
    return this.#simple();
  }

  /** A condition or sum in bash's own notation: a command whose result is not known. */
  #foreign(at: number, closes: string): Command {
    this.#lexer.skipTo(closes);
    this.#advance();
    const words: ShellWord[] = [{ parts: [{ run: true }], at, end: at }];
    return this.#behind({ kind: 'simple', at, assignments: [], words });
  }

  #function(at: number, name: string): Command {
    this.#skipNewlines();
    if (++this.#depth > deepest) throw new Unreadable(at, 'commands are nested too deep to follow', true);
    const body = this.#command();
    this.#depth--;
    return { kind: 'function', at, name, body };
  }

  /** Redirections behind a compound command. */
  #behind(command: Command): Command {
    const carrier: SimpleCommand = { kind: 'simple', at: command.at, assignments: [], words: [] };
    while (this.#redirection(carrier));
    return command;
  }

  #if(at: number): Command {
    const branches: Extract<Command, { kind: 'if' }>['branches'] = [];
    this.#advance();
    for (;;) {
      const condition = this.#list(['then']);
      this.#expect('then');
      const body = this.#list(['elif', 'else', 'fi']);
      branches.push({ condition, body });
      if (this.#is('elif')) {
        this.#advance();
        continue;
      }
      if (this.#is('else')) {
        this.#advance();
        branches.push({ body: this.#list(['fi']) });
      }
      this.#expect('fi');
      return { kind: 'if', at, branches };
    }
  }

  #for(at: number): Command {
    this.#advance();
    const variable = this.#token.text;
    this.#advance();
    this.#skipNewlines();
    let words: ShellWord[] | undefined;
    if (this.#is('in')) {
      this.#advance();
      words = [];
      while (this.#kind() === 'word') words.push(this.#takeWord());
    } else if (!this.#is('do', ';')) {
      throw new Unreadable(this.#token.at, 'a loop of this kind is not followed', true);
    }
    while (this.#is('\n', ';')) this.#advance();
    this.#expect('do');
    const body = this.#list(['done']);
    this.#expect('done');
    return { kind: 'for', at, variable, words, body };
  }

  #case(at: number): Command {
    this.#advance();
    const word = this.#takeWord();
    this.#skipNewlines();
    this.#expect('in');
    const branches: Command[] = [];
    for (;;) {
      this.#skipNewlines();
      if (this.#is('esac')) break;
      if (this.#is('(')) this.#advance();
      while (!this.#is(')')) {
        if (this.#kind() === 'end' || this.#is('\n')) throw new Unreadable(this.#token.at, '`)` is missing here');
        this.#advance();
      }
      this.#advance();
      branches.push(this.#list(['esac']));
      if (this.#is(';;', ';&', ';;&')) this.#advance();
      else if (!this.#is('esac')) throw new Unreadable(this.#token.at, '`esac` is missing here');
    }
    this.#advance();
    return { kind: 'case', at, word, branches };
  }

  #takeWord(): ShellWord {
    const { parts, at, end, kind } = this.#token;
    if (kind !== 'word') throw new Unreadable(at, 'a word is missing here');
    this.#advance();
    return { parts, at, end };
  }

  #redirection(command: SimpleCommand): boolean {
    const { kind, text } = this.#token;
    if (kind !== 'operator' || !(text.includes('<') || text.includes('>'))) return false;
    this.#advance();
    const heredoc = text === '<<' || text === '<<-';
    const { parts, at, end, kind: targetKind } = this.#token;
    if (targetKind !== 'word') throw new Unreadable(at, 'a word is missing here');
    if (heredoc) {
      const delimiter = parts.map((part) => ('text' in part ? part.text : '')).join('');
      const literal = parts.some((part) => 'quoted' in part && part.quoted);
      this.#lexer.awaits(command, delimiter, literal, text === '<<-');
    } else if (text === '<') command.input = { parts, at, end };
    this.#advance();
    return true;
  }

  #simple(): Command {
    const command: SimpleCommand = { kind: 'simple', at: this.#token.at, assignments: [], words: [] };
    const start = this.#token.at;
    if (++this.#commands > mostCommands) throw new Unreadable(start, 'there are more commands than are followed', true);
    for (;;) {
      if (this.#redirection(command)) continue;
      if (this.#kind() !== 'word') break;
      const { text, at, end, parts } = this.#token;
      const equals = text.indexOf('=');
      if (command.words.length === 0 && equals > 0 && isName(text.slice(0, equals))) {
        command.assignments.push({ name: text.slice(0, equals), value: valueBehind(parts, equals + 1, at, end), at });
        this.#advance();
        continue;
      }
      command.words.push({ parts, at, end });
      this.#advance();
      if (command.words.length === 1 && this.#kind() === 'operator' && this.#is('(')) {
        this.#advance();
        this.#expect(')');
        return this.#function(start, text);
      }
    }
    if (this.#token.at === start) throw new Unreadable(start, `\`${this.#token.text.trim()}\` does not belong here`);
    return command;
  }
}

/** The parts of a word behind its first `skip` characters, which are plain. */
function valueBehind(parts: Part[], skip: number, at: number, end: number): ShellWord {
  const [first, ...rest] = parts;
  if (!first || !('text' in first)) return { parts, at, end };
  const text = first.text.slice(skip);
  return { parts: text === '' ? rest : [{ text, quoted: first.quoted }, ...rest], at: at + skip, end };
}

/** Reads POSIX sh, and what of bash looks like it. Never throws; linear in the length of the text. */
export function parseShell(text: string, path?: string): ShellScript {
  return { ...new Parser(text).script(), path };
}

/** A word as a command receives it. */
export interface Argument {
  text: string;
  at: number;
  /** Only a run would tell it. `text` is then what is known of it. */
  unknown?: boolean;
}

export interface Visitor {
  /** A command is run. What is its result: success, failure, or not known. */
  command(argv: Argument[], command: SimpleCommand): boolean | undefined;
  /** A variable is set, where that is of interest. */
  assignment?(name: string, value: Argument): void;
}

/**
 * Goes through a script as a run would, under one of several assumptions: condition that cannot be known takes its branch
 * number `world`, counted from 0 (the last one when it has fewer). Comparing worlds tells what depends on conditions.
 */
export function followShell(script: ShellScript, visitor: Visitor, world = 0, budget = 20_000): { complete: boolean } {
  const variables = new Map<string, Argument>();
  const functions = new Map<string, Command>();
  let left = budget;
  let complete = true;
  let depth = 0;

  /** Of the function that runs; undefined: those of the script, which nobody knows. */
  let positional: Argument[] | undefined;
  const lookUp = (name: string): Argument | undefined => {
    if (!/[0-9]/.test(name)) return variables.get(name);
    return positional && (positional[Number(name) - 1] ?? { text: '', at: 0 });
  };

  const expand = (word: ShellWord): Argument[] => {
    const [only] = word.parts;
    if (word.parts.length === 1 && only && 'variable' in only && '@*'.includes(only.variable) && positional) {
      return positional.map((argument) => ({ ...argument, at: word.at }));
    }
    let text = '';
    let unknown = false;
    let split = false;
    let grown = false;
    for (const part of word.parts) {
      if ('text' in part) text += part.text;
      else if ('run' in part) unknown = true;
      else {
        const value = lookUp(part.variable);
        if (!value || value.unknown) unknown = true;
        else if (text.length <= longest) {
          text += value.text;
          grown = true;
          if (!part.quoted) split = true;
        }
      }
    }
    // Variables that are made of themselves grow without end.
    if (grown && text.length > longest) return [{ text: '', at: word.at, unknown: true }];
    if (unknown) return [{ text, at: word.at, unknown: true }];
    if (split && /[ \t\n]/.test(text)) {
      return text.split(/[ \t\n]/).flatMap((piece) => (piece === '' ? [] : [{ text: piece, at: word.at }]));
    }
    if (split && text === '') return [];
    return [{ text, at: word.at }];
  };

  const single = (word: ShellWord): Argument => {
    const all = expand(word);
    return all.length === 1 ? (all[0] as Argument) : { text: all.map((each) => each.text).join(' '), at: word.at };
  };

  const run = (command: Command): boolean | undefined => {
    if (left-- <= 0 || depth > 2 * deepest) {
      complete = false;
      return undefined;
    }
    depth++;
    try {
      return step(command);
    } finally {
      depth--;
    }
  };

  const step = (command: Command): boolean | undefined => {
    switch (command.kind) {
      case 'simple': {
        const argv = command.words.flatMap(expand);
        left -= argv.length >> 3;
        const values = command.assignments.map(({ name, value }) => ({ name, value: single(value) }));
        const declares = ['export', 'readonly', 'local', 'declare', 'typeset'].includes(argv[0]?.text ?? '');
        if (declares) {
          for (const argument of argv.slice(1)) {
            const equals = argument.text.indexOf('=');
            if (equals > 0 && isName(argument.text.slice(0, equals)))
              values.push({
                name: argument.text.slice(0, equals),
                value: { ...argument, text: argument.text.slice(equals + 1) },
              });
          }
        }
        if (argv.length === 0 || declares) {
          for (const { name, value } of values) {
            variables.set(name, value);
            visitor.assignment?.(name, value);
          }
          if (argv.length === 0) return true;
        }
        const called = functions.get(argv[0]?.text ?? '');
        if (called && !argv[0]?.unknown) {
          const outer = positional;
          positional = argv.slice(1);
          const result = run(called);
          positional = outer;
          return result;
        }
        if (argv[0]?.text === 'shift') {
          positional = positional?.slice(1);
          return true;
        }
        if (argv[0]?.text === 'read') for (const { text } of argv.slice(1)) variables.delete(text);
        if (argv[0]?.text === 'true' || argv[0]?.text === ':') return true;
        if (argv[0]?.text === 'false') return false;
        return visitor.command(argv, command);
      }
      case 'list': {
        let result: boolean | undefined = true;
        let operator: string = ';';
        let skip = false;
        for (const item of command.items) {
          // What stands behind && or || of a result that is not known is taken: people write `iptables ... || true`.
          if (operator === '&&') skip = skip ? result !== true : result === false;
          else if (operator === '||') skip = skip ? result === true : result === true;
          else skip = false;
          if (operator === '||' && result === undefined && !skip) skip = false;
          if (!skip) {
            result = run(item.command);
            if (item.negated && result !== undefined) result = !result;
          }
          operator = item.operator;
        }
        return result;
      }
      case 'if': {
        let nth = 0;
        for (const [index, branch] of command.branches.entries()) {
          const known = branch.condition ? run(branch.condition) : true;
          if (known === true) return run(branch.body);
          if (known === false) continue;
          // Not known: this world takes its own branch; the last one is "none of them".
          if (nth++ === world) return run(branch.body);
          const last = index === command.branches.length - 1;
          if (last) return undefined;
        }
        return true;
      }
      case 'for': {
        const values = command.words ? command.words.flatMap(expand) : positional;
        if (!values) {
          variables.set(command.variable, { text: '', at: command.at, unknown: true });
          return run(command.body);
        }
        for (const value of values) {
          variables.set(command.variable, value);
          run(command.body);
          if (left <= 0) break;
        }
        return undefined;
      }
      case 'while': {
        // A loop whose condition is known runs as it would; another one once, or not at all, by world.
        for (let turn = 0; left > 0; turn++) {
          let known = run(command.condition);
          if (known !== undefined && command.until) known = !known;
          if (known === false) return true;
          if (known === undefined) {
            if (turn === 0 && world === 0) run(command.body);
            return undefined;
          }
          run(command.body);
        }
        complete = false;
        return undefined;
      }
      case 'case': {
        const branch = command.branches[world];
        return branch ? run(branch) : undefined;
      }
      case 'function':
        functions.set(command.name, command.body);
        return true;
    }
  };

  run(script.body);
  if (!complete && script.path !== undefined)
    leaveOutFile(script.path, 'its script goes on for longer than the guard follows it', 'Split it.');
  return { complete };
}

const MOST_WORLDS = 16;

/** How many worlds tell all branches of a script apart: one more than its widest condition has branches. */
export function worldsOf(script: ShellScript, most = MOST_WORLDS): number {
  let widest = 0;
  const visit = (command: Command): void => {
    if (command.kind === 'list') for (const { command: inner } of command.items) visit(inner);
    else if (command.kind === 'if') {
      widest = Math.max(widest, command.branches.length);
      for (const { condition, body } of command.branches) {
        if (condition) visit(condition);
        visit(body);
      }
    } else if (command.kind === 'case') {
      widest = Math.max(widest, command.branches.length);
      for (const branch of command.branches) visit(branch);
    } else if (command.kind === 'while') {
      widest = Math.max(widest, 1);
      visit(command.body);
    } else if (command.kind === 'for' || command.kind === 'function') visit(command.body);
  };
  visit(script.body);
  if (widest + 1 > most && script.path !== undefined)
    leaveOutFile(script.path, `a condition of it has more than ${most} branches`, 'Split it.');
  return Math.min(most, widest + 1);
}
