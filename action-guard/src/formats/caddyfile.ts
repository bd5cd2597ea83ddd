import { posix } from 'node:path';
import { Lines } from '../lines.js';
import type { Position } from '../rule.js';
import type { Tree } from '../tree.js';
import { leaveOut } from '../unread.js';
import {
  at,
  brief,
  countOf,
  type Dialect,
  type Lexed,
  type LexOptions,
  mostTokens,
  type Token,
  tokenize,
} from './caddy-tokens.js';

/** One line of a block, with the block that it opens. */
export interface Directive {
  name: Token;
  args: Token[];
  body?: Directive[];
  open?: Token;
  close?: Token;
}

export interface Block {
  keys: Token[];
  directives: Directive[];
  /** Braces; none around the only site of a file. */
  open?: Token;
  close?: Token;
  /** `&(name)`. */
  namedRoute: boolean;
}

export interface Problem {
  status: 'fail' | 'unknown';
  at: Position;
  message: string;
  todo?: string;
  /** What kind, for rules that care. */
  kind: 'syntax' | 'import' | 'meaning' | 'plugin' | 'limit' | 'link';
  /** For imports: whether sites or servers may have come from it. */
  outermost?: boolean;
}

export interface Parsed {
  blocks: Block[];
  problems: Problem[];
  /** Files that it was read from, itself first. */
  files: string[];
  /** Whether a variable of the environment stands in it, without a default. */
  variables: boolean;
  /** What only some versions take. */
  features: Set<'heredoc' | 'named-route' | 'import-block'>;
  /** An import whose files could not be seen, so that more may belong to it. */
  incomplete: boolean;
}

export interface ParseOptions extends LexOptions {
  /** Where the file lies on the server: files beside it, imported by an absolute path, are beside it here as well. */
  served?: string;
}

/** A few lines of imports can ask for more than any machine holds. */
const mostText = 5_000_000;
const mostImports = 2_000;
const mostGlobs = 200;

/** Tells that something may belong to a file that was not read: of what is read of it, absence proves nothing. */
export function leaveOutRest({ path, files, problems }: Pick<Parsed, 'files' | 'problems'> & { path: string }): void {
  const first = (fits: (problem: Problem) => boolean) => problems.find(fits);
  const limit = first(({ kind }) => kind === 'limit' || kind === 'link');
  const stop =
    limit ??
    first(({ kind, status }) => kind === 'syntax' && status === 'fail') ??
    first(({ kind }) => kind === 'import');
  leaveOut({
    at: stop?.at ?? { path, line: 1, column: 1 },
    message: limit
      ? limit.message
      : `From here on ${path} could not be judged: ${stop?.message ?? 'it was not read whole.'}`,
    because: stop?.message,
    todo: limit?.todo,
    whole: limit !== undefined,
    // Over the limit by its imports, any of them may have grown.
    files: files.length > 1 ? undefined : [path],
  });
}

/** Reads a file of the tree with all that it imports. Never throws. */
export function parse(tree: Tree, path: string, options: ParseOptions): Parsed {
  return new Parser(tree, path, options).run();
}

function breaksOf(token: Token): number {
  return countOf(token.text, '\n') + (token.quote === '<' ? 2 : 0);
}

function onNewLine(before: Token, after: Token): boolean {
  if (before.source !== after.source || before.way !== after.way) return true;
  return before.line + (before.quote ? breaksOf(before) : 0) < after.line;
}

class Stop extends Error {}

class Parser {
  readonly #tree: Tree;
  readonly #options: ParseOptions;
  readonly #path: string;
  /** Tokens to come, the next one last; those behind, the current one last. Imports are laid on top. */
  readonly #rest: Token[] = [];
  readonly #done: Token[] = [];
  readonly #result: Parsed = {
    blocks: [],
    problems: [],
    files: [],
    variables: false,
    features: new Set(),
    incomplete: false,
  };
  readonly #snippets = new Map<string, Token[]>();
  readonly #lexed = new Map<string, Lexed>();
  readonly #globbed = new Map<string, string[]>();
  readonly #edges = new Map<string, Set<string>>();
  /** An import was not read, so that a snippet that is missing may be defined in it. */
  #unread = false;
  #imports = 0;
  #imported = 0;
  #text = 0;
  #unclosed: Position | undefined;

  constructor(tree: Tree, path: string, options: ParseOptions) {
    this.#tree = tree;
    this.#path = path;
    this.#options = options;
  }

  get #v2(): boolean {
    return this.#options.dialect === 'caddyfile';
  }

  run(): Parsed {
    try {
      const file = this.#tree.file(this.#path);
      if (!file || file.kind === 'link' || file.kind === 'submodule' || file.unread) {
        this.#result.incomplete = true;
        const why = file?.unread
          ? `This file was not judged, as ${file.unread}.`
          : 'This is no file, so it could not be read; links are not followed.';
        this.#problem({ path: this.#path, line: 1, column: 1 }, 'unknown', 'link', why);
      } else {
        const { tokens } = this.#lex(this.#path, file.text);
        // CoreDNS and Caddy differ: without a byte Caddy refuses, with a comment alone it does not.
        if (this.#v2 && file.text === '')
          this.#fail({ path: this.#path, line: 1, column: 1 }, 'The file is empty, which Caddy refuses.');
        for (let index = tokens.length - 1; index >= 0; index--) this.#rest.push(tokens[index] as Token);
        while (this.#next()) this.#one();
      }
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
    }
    return this.#result;
  }

  #problem(
    position: Position,
    status: Problem['status'],
    kind: Problem['kind'],
    message: string,
    more: { todo?: string; outermost?: boolean } = {},
  ): void {
    this.#result.problems.push({ status, kind, at: position, message: brief(message), ...more });
  }

  /** What stops Caddy; what follows has no meaning any more. */
  #fail(position: Position, message: string, todo?: string): never {
    if (this.#unclosed) this.#problem(this.#unclosed, 'fail', 'syntax', 'This quote is never closed.');
    else this.#problem(position, 'fail', 'syntax', message, { todo });
    throw new Stop();
  }

  #lex(path: string, text: string): Lexed {
    const known = this.#lexed.get(path);
    if (known) return known;
    const lexed = tokenize(text, path, this.#options);
    this.#lexed.set(path, lexed);
    this.#result.files.push(path);
    this.#result.variables ||= lexed.variables;
    if (lexed.tokens.some(({ quote }) => quote === '<')) this.#result.features.add('heredoc');
    const place = (offset: number) => ({ path, ...new Lines(text).at(offset) });
    if (lexed.tooMany) this.#tooMuch({ path, line: 1, column: 1 });
    if (lexed.problem) this.#fail(place(lexed.problem.start), lexed.problem.message);
    if (lexed.unclosed !== undefined) this.#unclosed = place(lexed.unclosed);
    return lexed;
  }

  get #current(): Token | undefined {
    return this.#done[this.#done.length - 1];
  }

  #next(): boolean {
    const token = this.#rest.pop();
    if (!token) return false;
    this.#done.push(token);
    return true;
  }

  #back(): void {
    const token = this.#done.pop();
    if (token) this.#rest.push(token);
  }

  #isNewLine(): boolean {
    const [before, current] = [this.#done[this.#done.length - 2], this.#current];
    return !before || !current || onNewLine(before, current);
  }

  #isNextOnNewLine(): boolean {
    const [current, after] = [this.#current, this.#rest[this.#rest.length - 1]];
    return !current || !after || onNewLine(current, after);
  }

  #nextArg(): boolean {
    if (this.#isNextOnNewLine()) return false;
    const after = this.#rest[this.#rest.length - 1];
    if (!after || this.#opens(after)) return false;
    return this.#next();
  }

  #opens(token: Token | undefined): boolean {
    return token?.text === '{' && (!this.#v2 || token.quote === '');
  }

  #closes(token: Token | undefined): boolean {
    return token?.text === '}' && (!this.#v2 || token.quote === '');
  }

  #end(): Position {
    const token = this.#current ?? this.#done[this.#done.length - 1];
    if (!token) return { path: this.#path, line: 1, column: 1 };
    return at(token);
  }

  #one(): void {
    const block: Block = { keys: [], directives: [], namedRoute: false };
    const ended = this.#addresses(block);
    if (ended) {
      if (block.keys.length > 0) this.#result.blocks.push(block);
      return;
    }
    const [key] = block.keys;
    if (block.keys.length === 1 && key && key.text.endsWith(')')) {
      if (key.text.startsWith('(')) {
        const name = key.text.slice(1, -1);
        if (this.#snippets.has(name))
          this.#fail(at(key), `The snippet ${name} is defined twice.`, 'Keep one of the two.');
        const tokens = this.#blockTokens(key);
        for (const token of tokens) token.snippet = name;
        this.#snippets.set(name, tokens);
        return;
      }
      if (this.#v2 && key.text.startsWith('&(')) {
        this.#result.features.add('named-route');
        block.namedRoute = true;
        block.open = this.#current;
        block.directives = directivesOf(this.#blockTokens(key), this.#options.dialect);
        block.close = this.#current;
        this.#result.blocks.push(block);
        return;
      }
    }
    this.#contents(block);
    // Without a key Caddy has global options in it, and CoreDNS skips it.
    if (block.keys.length > 0 || (this.#v2 && block.directives.length > 0)) this.#result.blocks.push(block);
  }

  /** The keys of a block. True at the end of the file. */
  #addresses(block: Block): boolean {
    let expecting = false;
    for (;;) {
      const token = this.#current;
      const value = token?.text ?? '';
      if (token && value === 'import' && this.#isNewLine()) {
        this.#import(0);
        if (this.#next()) continue;
        if (expecting) this.#fail(at(token), 'The file ends after a comma that promises another address.');
        return true;
      }
      if (token && this.#opens(token)) {
        if (expecting)
          this.#fail(at(token), 'A comma promises another address, but the block opens.', 'Take the comma out.');
        block.open = token;
        return false;
      }
      if (token && this.#v2) {
        if (value.startsWith('@'))
          this.#fail(at(token), `The matcher ${value} stands outside any site.`, 'Move it into its site.');
        if (value.endsWith('{') && token.quote === '')
          this.#fail(
            at(token),
            `No space stands between ${value.slice(0, -1)} and its brace.`,
            'Put a space before {.',
          );
      }
      if (token && value !== '') {
        let name = value;
        expecting = name.endsWith(',');
        if (expecting) name = name.slice(0, -1);
        if (this.#v2 && name.includes(','))
          this.#fail(
            at(token),
            `${name} holds a comma without a space, so it is no address.`,
            'Write ", " between two.',
          );
        if (name !== '' || !this.#v2) block.keys.push({ ...token, text: name });
        else if (!token.quote)
          this.#problem(
            at(token),
            'unknown',
            'syntax',
            'Caddy 2.6 reads a comma alone as an address for all hosts; newer versions skip it.',
            { todo: 'Put the comma right behind the address.' },
          );
      }
      const more = token ? this.#next() : false;
      if (expecting && !more) this.#fail(this.#end(), 'The file ends after a comma that promises another address.');
      if (!more) return true;
      if (!expecting && this.#isNewLine()) return false;
    }
  }

  #contents(block: Block): void {
    const braced = this.#opens(this.#current);
    if (!braced) this.#back();
    else block.open = this.#current;
    this.#directives(block);
    if (!braced) return;
    if (!this.#closes(this.#current)) {
      const key = block.keys[0] ?? (block.open as Token);
      this.#fail(
        at(block.open as Token),
        `This block${block.keys.length > 0 ? ` of ${key.text}` : ''} is never closed.`,
        'Add the } that is missing.',
      );
    }
    block.close = this.#current;
  }

  #directives(block: Block): void {
    const tokens: Token[][] = [];
    while (this.#next()) {
      if (this.#closes(this.#current)) break;
      if (this.#current?.text === 'import') {
        this.#import(1);
        continue;
      }
      tokens.push(this.#directive());
    }
    block.directives = tokens.flatMap((each) => directivesOf(each, this.#options.dialect));
  }

  #directive(): Token[] {
    const segment = [this.#current as Token];
    const opened: Token[] = [];
    while (this.#next()) {
      const token = this.#current as Token;
      if (this.#opens(token)) {
        opened.push(token);
        if (this.#v2 && !this.#isNextOnNewLine())
          this.#fail(at(token), 'Something follows { on the same line.', 'Put it on a line of its own.');
        if (this.#v2 && this.#isNewLine())
          this.#problem(at(token), 'unknown', 'syntax', 'Newer versions of Caddy refuse a { on a new line.', {
            todo: 'Put it at the end of the line before.',
          });
      } else if (this.#v2 && token.text === '{}' && token.quote === '') {
        if (this.#isNextOnNewLine()) this.#fail(at(token), '{} stands at the end of a line.', 'Leave it out.');
      } else if (opened.length === 0 && this.#isNewLine()) {
        this.#back();
        break;
      } else if (this.#closes(token)) {
        if (opened.length === 0)
          this.#fail(at(token), 'This } closes nothing that was opened on a line before.', 'Put it on its own line.');
        opened.pop();
      } else if (token.text === 'import' && this.#isNewLine()) {
        this.#import(1);
        continue;
      }
      segment.push(token);
    }
    const open = opened.pop();
    if (open) this.#fail(at(open), 'This block is never closed.', 'Add the } that is missing.');
    return segment;
  }

  #blockTokens(key: Token): Token[] {
    if (!this.#opens(this.#current)) this.#fail(at(key), `A block in braces must follow ${key.text}.`);
    const tokens: Token[] = [];
    let nesting = 1;
    while (this.#next()) {
      const token = this.#current as Token;
      if (this.#closes(token) && --nesting === 0) return tokens;
      if (this.#opens(token)) nesting++;
      tokens.push({ ...token });
    }
    return this.#fail(at(key), `The block of ${key.text} is never closed.`, 'Add the } that is missing.');
  }

  // -------------------------------------------------------------------------------------------------------------- imports

  #import(nesting: number): void {
    const word = this.#current as Token;
    const outermost = nesting === 0;
    if (!this.#nextArg()) this.#fail(at(word), 'This import names nothing.', 'Name a snippet or a file.');
    const pattern = this.#current as Token;
    if (pattern.text === '') this.#fail(at(pattern), 'This import names nothing.', 'Name a snippet or a file.');
    const args: Token[] = [];
    while (this.#nextArg()) args.push(this.#current as Token);
    if (!this.#v2 && args.length > 0)
      this.#fail(at(args[0] as Token), 'An import of a Corefile takes one name only.', 'Take the rest out.');
    const given = this.#v2 ? this.#importBlock() : undefined;
    for (let count = 2 + args.length + (given?.taken ?? 0); count > 0; count--) this.#done.pop();

    if (++this.#imports > mostImports) this.#tooMuch(at(word));
    const { tokens, nodes, name } = this.#imports_(pattern, outermost);
    this.#connect(word, `${word.source.path}:${word.snippet}`, nodes);
    this.#imported += tokens.length;
    if (this.#imported > mostTokens) this.#tooMuch(at(word));

    const step = `${word.source.path}:${word.line}:${name}`;
    const ways = new Map<string, string>();
    const copies: Token[] = [];
    const anyVariable = args.some((arg) => arg.variable);
    let [depth, inSnippet, maybe, index] = [nesting, false, false, 0];
    for (const [position, token] of tokens.entries()) {
      let way = ways.get(token.way);
      if (way === undefined) {
        way = `${token.way}|${step}`;
        ways.set(token.way, way);
      }
      // Definitions of snippets keep their placeholders for those who import them.
      if (!inSnippet && nesting === 0) {
        const before = tokens[position - 1];
        index = !before || onNewLine(before, token) ? 0 : index + 1;
        if (index === 0) maybe = token.text.startsWith('(') && token.text.endsWith(')') && token.text.length >= 3;
      }
      if (this.#opens(token)) {
        depth++;
        if (index === 1 && maybe && depth === 1) inSnippet = true;
      } else if (this.#closes(token)) {
        depth--;
        if (depth === 0 && inSnippet) {
          inSnippet = false;
          maybe = false;
          copies.push({ ...token, way });
          continue;
        }
      }
      if (!inSnippet && given && token.text === '{block}') {
        for (const each of given.all) copies.push(each);
        if (copies.length > mostTokens) this.#tooMuch(at(word));
        continue;
      }
      if (!inSnippet && given && token.text.startsWith('{blocks.') && token.text.endsWith('}')) {
        for (const each of given.named.get(token.text.slice(8, -1)) ?? []) copies.push(each);
        if (copies.length > mostTokens) this.#tooMuch(at(word));
        continue;
      }
      const range = inSnippet || !this.#v2 ? undefined : variadic(token.text, args.length);
      if (range) {
        for (const arg of args.slice(...range)) copies.push({ ...token, way, text: arg.text, variable: arg.variable });
        if (copies.length > mostTokens) this.#tooMuch(at(word));
      } else if (inSnippet || !this.#v2 || !token.text.includes('{args')) copies.push({ ...token, way });
      else {
        this.#text += token.text.length;
        const longest = args.reduce((most, arg) => Math.max(most, arg.text.length), 0);
        if (longest * token.text.length > mostText) this.#tooMuch(at(word));
        const text = token.text.replace(/\{args(?:\.(\d+)|\[(\d+)\])\}/g, (whole, old, current) => {
          const arg = args[Number(old ?? current)];
          return arg ? arg.text : whole;
        });
        this.#text += text.length;
        if (this.#text > mostText) this.#tooMuch(at(word));
        copies.push({ ...token, way, text, variable: token.variable || anyVariable });
      }
    }
    for (let position = copies.length - 1; position >= 0; position--) this.#rest.push(copies[position] as Token);
  }

  /** Since Caddy 2.9 an import may bring a block that fills `{block}`. */
  #importBlock(): { taken: number; all: Token[]; named: Map<string, Token[]> } | undefined {
    const after = this.#rest[this.#rest.length - 1];
    if (this.#isNextOnNewLine() || !this.#opens(after)) return undefined;
    this.#result.features.add('import-block');
    this.#next();
    const open = this.#current as Token;
    const all: Token[] = [];
    const named = new Map<string, Token[]>();
    let nesting = 1;
    let taken = 1;
    let inside: Token[] = [];
    while (this.#next()) {
      taken++;
      const token = this.#current as Token;
      if (this.#closes(token) && --nesting === 0) return { taken, all, named };
      if (this.#opens(token)) nesting++;
      const before = all[all.length - 1];
      if (nesting === 1 && !this.#closes(token) && (!before || onNewLine(before, token))) {
        inside = [];
        named.set(token.text, inside);
      } else if (!(nesting === 2 && this.#opens(token)) && !(nesting === 1 && this.#closes(token))) inside.push(token);
      all.push(token);
    }
    return this.#fail(at(open), 'The block of this import is never closed.', 'Add the } that is missing.');
  }

  #tooMuch(position: Position): never {
    this.#problem(
      position,
      'unknown',
      'limit',
      'This file with its imports is more than the guard reads, so it was not judged.',
      { todo: 'Split it, or import less at once.' },
    );
    this.#result.incomplete = true;
    throw new Stop();
  }

  /** What is imported: a snippet, or files. */
  #imports_(pattern: Token, outermost: boolean): { tokens: Token[]; nodes: string[]; name: string } {
    const name = pattern.text;
    const snippet = this.#snippets.get(name);
    if (snippet) {
      const [first] = snippet;
      return { tokens: snippet, nodes: first ? [`${first.source.path}:${first.snippet}`] : [], name };
    }
    const nothing = { tokens: [], nodes: [], name: '' };
    const unknown = (why: string, todo?: string) => {
      this.#result.incomplete = true;
      this.#unread = true;
      this.#problem(at(pattern), 'unknown', 'import', why, { todo, outermost });
      return nothing;
    };
    if (pattern.variable && !this.#options.environment)
      return unknown(`What ${name} stands for is only known on the server, so this import was not read.`);
    const wanted = this.#place(pattern);
    if (wanted === undefined)
      return unknown(
        `${name} lies outside the repository, so this import was not read.`,
        'Keep it beside the file that imports it, or in the same folders as on the server.',
      );
    if (countOf(wanted, '*') > 1 || countOf(wanted, '?') > 1 || (wanted.includes('[') && wanted.includes(']')))
      this.#fail(at(pattern), `${name} has more than the one wildcard that is allowed.`, 'Use one * only.');
    const wild = wanted.includes('*') || wanted.includes('?');
    if (this.#globbed.size > mostGlobs) this.#tooMuch(at(pattern));
    const paths = this.#glob(wanted);
    if (paths.length === 0 && !wild) {
      const dir = this.#tree.paths.some((path) => path.startsWith(`${wanted}/`));
      if (!dir && this.#unread && !name.includes('/'))
        return unknown(
          `${name} is imported, and may be a snippet of an import before it that was not read.`,
          'Keep the file that defines it in the repository.',
        );
      this.#problem(
        at(pattern),
        'fail',
        'import',
        dir
          ? `${name} is a folder, which cannot be imported.`
          : `${name} is imported, but there is no such file or snippet.`,
        {
          todo: dir ? `Import ${name}/*.` : 'Add the file, or take the import out.',
          outermost,
        },
      );
      this.#result.incomplete = true;
      return nothing;
    }
    const tokens: Token[] = [];
    for (const path of paths) {
      let file: ReturnType<Tree['file']>;
      try {
        file = this.#tree.file(path);
      } catch {
        file = undefined;
      }
      if (!file)
        unknown(
          `${path} was not read, so this import is missing here.`,
          'Name it in the option `imports` of the policy.',
        );
      else if (file.kind === 'link' || file.kind === 'submodule')
        unknown(`${path} is a link, which is not followed, so this import was not read.`, 'Put the file there itself.');
      else for (const token of this.#lex(path, file.text).tokens) tokens.push(token);
      if (tokens.length > mostTokens) this.#tooMuch(at(pattern));
    }
    return { tokens, nodes: paths.map((path) => `${path}:`), name: '' };
  }

  /** The path in the tree that an import means; undefined when it is outside. */
  #place(pattern: Token): string | undefined {
    let wanted: string;
    if (posix.isAbsolute(pattern.text)) {
      const there = posix.normalize(pattern.text);
      const home = this.#options.served && posix.dirname(this.#options.served);
      if (!home || !there.startsWith(`${home}/`)) return this.#placeBelowRoot(there);
      wanted = posix.join(posix.dirname(this.#path), there.slice(home.length + 1));
    } else wanted = posix.join(posix.dirname(pattern.source.path), pattern.text);
    return wanted === '..' || wanted.startsWith('../') ? undefined : wanted;
  }

  /**
   * Where a folder holds a server's files as they lie there, `proxy/etc/caddy/Caddyfile` means `proxy` by `/`. Only a file
   * that is there proves that it is such a folder.
   */
  #placeBelowRoot(there: string): string | undefined {
    const [, top = ''] = there.split('/');
    const folders = posix.dirname(this.#path).split('/');
    for (let index = folders.length - 1; index >= 0; index--) {
      if (folders[index] !== top) continue;
      const wanted = posix.join(...folders.slice(0, index), there.slice(1));
      if (this.#globbed.size <= mostGlobs && this.#glob(wanted).length > 0) return wanted;
    }
    return undefined;
  }

  #glob(pattern: string): string[] {
    const known = this.#globbed.get(pattern);
    if (known) return known;
    const wanted = pattern.split('/');
    const last = wanted[wanted.length - 1] as string;
    const found =
      pattern.includes('*') || pattern.includes('?')
        ? this.#tree.paths.filter((path) => {
            const parts = path.split('/');
            if (parts.length !== wanted.length) return false;
            if (this.#v2 && last.startsWith('*') && parts[parts.length - 1]?.startsWith('.')) return false;
            return wanted.every((part, index) => matches(part, parts[index] as string));
          })
        : this.#tree.paths.includes(pattern)
          ? [pattern]
          : [];
    this.#globbed.set(pattern, found);
    return found;
  }

  /** Refuses imports in a circle, as Caddy does. */
  #connect(word: Token, from: string, tos: string[]): void {
    for (const to of tos) {
      const known = this.#edges.get(from) ?? new Set();
      if (known.has(to)) continue;
      const seen = new Set([to]);
      const open = [to];
      for (let node = open.pop(); node !== undefined; node = open.pop()) {
        if (node === from)
          this.#fail(at(word), 'This import leads back to itself in a circle.', 'Take one of its imports out.');
        for (const other of this.#edges.get(node) ?? []) {
          if (seen.has(other)) continue;
          seen.add(other);
          open.push(other);
        }
      }
      this.#edges.set(from, known.add(to));
    }
  }
}

/** Go's filepath.Match for at most one `*` and one `?`. */
function matches(pattern: string, name: string): boolean {
  const star = pattern.indexOf('*');
  const same = (part: string, text: string) =>
    part.length === text.length && [...part].every((ch, index) => ch === '?' || ch === text[index]);
  if (star < 0) return same(pattern, name);
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  if (name.length < head.length + tail.length) return false;
  return same(head, name.slice(0, head.length)) && same(tail, name.slice(name.length - tail.length));
}

/** `{args[1:3]}` as a range of arguments. */
function variadic(text: string, count: number): [number, number] | undefined {
  if (!text.startsWith('{args[') || !text.endsWith(']}')) return undefined;
  const range = text.slice(6, -2);
  const colon = range.indexOf(':');
  if (colon < 0) return undefined;
  const number = (part: string, otherwise: number) =>
    part === '' ? otherwise : /^\d{1,9}$/.test(part) ? Number(part) : -1;
  const [start, end] = [number(range.slice(0, colon), 0), number(range.slice(colon + 1), count)];
  return start < 0 || start > end || end > count ? undefined : [start, end];
}

/** The lines of a list of tokens, each with the block it opens. */
function directivesOf(tokens: Token[], dialect: Dialect): Directive[] {
  const structural = (token: Token, text: string) => token.text === text && (dialect === 'corefile' || !token.quote);
  const top: Directive[] = [];
  const stack: Directive[] = [];
  let fresh = true;
  let before: Token | undefined;
  for (const token of tokens) {
    const parent = stack[stack.length - 1];
    const list = parent?.body ?? top;
    if (structural(token, '}') && parent) {
      parent.close = token;
      stack.pop();
      fresh = true;
    } else if (structural(token, '{')) {
      const owner = list[list.length - 1];
      if (owner && !owner.body) {
        owner.body = [];
        owner.open = token;
        stack.push(owner);
      }
      fresh = true;
    } else if (fresh || !before || onNewLine(before, token)) {
      list.push({ name: token, args: [] });
      fresh = false;
    } else list[list.length - 1]?.args.push(token);
    before = token;
  }
  return top;
}

/** All directives below, in the order of the text, with what they stand in. */
export function* walk(
  directives: readonly Directive[],
): Generator<{ directive: Directive; within: readonly Directive[] }> {
  const stack: { list: readonly Directive[]; next: number }[] = [{ list: directives, next: 0 }];
  const within: Directive[] = [];
  for (let top = stack[stack.length - 1]; top; top = stack[stack.length - 1]) {
    const directive = top.list[top.next++];
    if (!directive) {
      stack.pop();
      within.pop();
      continue;
    }
    yield { directive, within };
    if (directive.body) {
      stack.push({ list: directive.body, next: 0 });
      within.push(directive);
    }
  }
}
