/**
 * Python's regular expressions, as far as log filters use them, run in time linear in pattern and text (a Pike machine): the
 * pattern comes with the pull request, so no engine that backtracks may see it.
 */

export type Compiled =
  | {
      kind: 'program';
      search(text: string): Map<string, string> | undefined;
      groups: ReadonlySet<string>;
      size: number;
    }
  /** Python refuses it. */
  | { kind: 'invalid'; what: string }
  /** Python may take it; this reader cannot tell. */
  | { kind: 'unsupported'; what: string };

type Test = (code: number) => boolean;
type Node =
  | { type: 'test'; test: Test }
  | { type: 'assert'; at: 'start' | 'end' | 'word' | 'no word' }
  | { type: 'group'; name?: string; inner: Node }
  | { type: 'each'; nodes: Node[] }
  | { type: 'any'; nodes: Node[] }
  | { type: 'repeat'; inner: Node; min: number; max: number; greedy: boolean };
type Instruction =
  | { op: 'test'; test: Test }
  | { op: 'assert'; at: 'start' | 'end' | 'word' | 'no word' }
  | { op: 'save'; slot: number }
  | { op: 'split'; first: number; second: number }
  | { op: 'jump'; to: number }
  | { op: 'match' };

const MOST_INSTRUCTIONS = 4000;
const LONGEST_PATTERN = 5000;
const DEEPEST = 200;

class Refused extends Error {
  constructor(
    readonly kind: 'invalid' | 'unsupported',
    readonly what: string,
  ) {
    super(what);
  }
}

const isDigit: Test = (code) => code >= 48 && code <= 57;
const isWord: Test = (code) =>
  isDigit(code) ||
  (code >= 65 && code <= 90) ||
  (code >= 97 && code <= 122) ||
  code === 95 ||
  (code > 127 && !isBlank(code));
const isBlank: Test = (code) =>
  code === 32 || (code >= 9 && code <= 13) || (code >= 28 && code <= 31) || code === 0x85 || code === 0xa0;
const classes: Record<string, Test> = {
  d: isDigit,
  w: isWord,
  s: isBlank,
  D: (code) => !isDigit(code),
  W: (code) => !isWord(code),
  S: (code) => !isBlank(code),
};
const controls: Record<string, number> = { n: 10, t: 9, r: 13, f: 12, v: 11, a: 7 };

class Parser {
  #at = 0;
  #depth = 0;
  #ignoreCase = false;
  readonly names = new Set<string>();

  constructor(readonly text: string) {}

  pattern(): Node {
    const node = this.#alternatives();
    if (this.#at < this.text.length) throw new Refused('invalid', 'it has a ) without its (');
    return node;
  }

  #peek(ahead = ''): boolean {
    return this.text.startsWith(ahead, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#peek(text)) return false;
    this.#at += text.length;
    return true;
  }

  #alternatives(): Node {
    if (++this.#depth > DEEPEST) throw new Refused('unsupported', 'its groups are nested too deeply');
    const nodes = [this.#sequence()];
    while (this.#take('|')) nodes.push(this.#sequence());
    this.#depth--;
    return nodes.length === 1 ? (nodes[0] as Node) : { type: 'any', nodes };
  }

  #sequence(): Node {
    const nodes: Node[] = [];
    while (this.#at < this.text.length && !this.#peek('|') && !this.#peek(')')) {
      const atom = this.#atom();
      if (atom) nodes.push(this.#repeats(atom));
    }
    return { type: 'each', nodes };
  }

  #repeats(inner: Node): Node {
    const range = this.#quantifier();
    if (!range) return inner;
    if (inner.type === 'assert') throw new Refused('invalid', 'it repeats a position');
    const greedy = !this.#take('?');
    if (greedy && this.#peek('+')) throw new Refused('unsupported', 'it uses a possessive quantifier');
    if (this.#quantifier()) throw new Refused('invalid', 'it repeats a repetition');
    return { type: 'repeat', inner, ...range, greedy };
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take('+')) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take('?')) return { min: 0, max: 1 };
    const braces = /^\{(\d{0,6})(,?)(\d{0,6})\}/.exec(this.text.slice(this.#at, this.#at + 20));
    if (!braces || braces[0] === '{}' || (braces[1] === '' && braces[2] === '')) return undefined;
    this.#at += braces[0].length;
    const min = Number(braces[1]);
    const max = braces[2] === '' ? min : braces[3] === '' ? Number.POSITIVE_INFINITY : Number(braces[3]);
    if (max < min) throw new Refused('invalid', 'it has a repetition whose most is below its least');
    return { min, max };
  }

  #atom(): Node | undefined {
    const char = this.text.charAt(this.#at);
    if ('*+?'.includes(char)) throw new Refused('invalid', `its ${char} has nothing to repeat`);
    if (char === '{' && this.#quantifierAhead()) throw new Refused('invalid', 'its {} has nothing to repeat');
    this.#at++;
    if (char === '(') return this.#group();
    if (char === '[') return { type: 'test', test: this.#set() };
    if (char === '.') return { type: 'test', test: (code) => code !== 10 };
    if (char === '^') return { type: 'assert', at: 'start' };
    if (char === '$') return { type: 'assert', at: 'end' };
    if (char === '\\') return this.#escape();
    return this.#literal(char.charCodeAt(0));
  }

  #quantifierAhead(): boolean {
    const before = this.#at;
    const found = this.#quantifier() !== undefined;
    this.#at = before;
    return found;
  }

  #literal(code: number): Node {
    return { type: 'test', test: this.#caseless((other) => other === code) };
  }

  #caseless(test: Test): Test {
    if (!this.#ignoreCase) return test;
    return (code) => {
      if (test(code)) return true;
      const char = String.fromCharCode(code);
      return test(char.toLowerCase().charCodeAt(0)) || test(char.toUpperCase().charCodeAt(0));
    };
  }

  #group(): Node | undefined {
    if (!this.#take('?')) return this.#closed({});
    if (this.#take(':')) return this.#closed({});
    if (this.#take('#')) {
      const end = this.text.indexOf(')', this.#at);
      if (end < 0) throw new Refused('invalid', 'a comment in it is not closed');
      this.#at = end + 1;
      return undefined;
    }
    if (this.#take('P<')) {
      const end = this.text.indexOf('>', this.#at);
      const name = this.text.slice(this.#at, Math.max(end, this.#at));
      if (end < 0 || !/^[A-Za-z_]\w{0,99}$/.test(name)) throw new Refused('invalid', 'it has a group with a bad name');
      if (this.names.has(name))
        throw new Refused('invalid', `its group ${name} comes twice, such as by two <HOST> in one line`);
      this.names.add(name);
      this.#at = end + 1;
      return this.#closed({ name });
    }
    const flags = /^([iu]{1,4})([:)])/.exec(this.text.slice(this.#at, this.#at + 10));
    if (flags) {
      const start = this.text.slice(Math.max(this.#at - 5, 0), this.#at - 2);
      this.#at += flags[0].length;
      const ignoreCase = flags[1]?.includes('i') || this.#ignoreCase;
      if (flags[2] === ':') return this.#closed({ ignoreCase });
      // One at the start holds for all; fail2ban makes one that begins a group local to that group.
      if (start !== '' && !start.endsWith('(') && start !== '(?:') {
        throw new Refused('invalid', 'its flags do not stand at its start');
      }
      this.#ignoreCase = ignoreCase;
      return undefined;
    }
    throw new Refused('unsupported', 'it looks ahead or behind, or uses another extension');
  }

  #closed({ name, ignoreCase }: { name?: string; ignoreCase?: boolean }): Node {
    const before = this.#ignoreCase;
    this.#ignoreCase = ignoreCase ?? before;
    const inner = this.#alternatives();
    this.#ignoreCase = before;
    if (!this.#take(')')) throw new Refused('invalid', 'it has a ( without its )');
    return { type: 'group', name, inner };
  }

  #escape(): Node {
    const char = this.text.charAt(this.#at++);
    if (char === '') throw new Refused('invalid', 'it ends with a backslash');
    const test = classes[char];
    if (test) return { type: 'test', test };
    if (char === 'b' || char === 'B') return { type: 'assert', at: char === 'b' ? 'word' : 'no word' };
    if (char === 'A') return { type: 'assert', at: 'start' };
    if (char === 'Z') return { type: 'assert', at: 'end' };
    if (/[1-9]/.test(char)) throw new Refused('unsupported', 'it refers back to a group');
    return this.#literal(this.#escapedCode(char));
  }

  #escapedCode(char: string): number {
    const control = controls[char];
    if (control !== undefined) return control;
    const digits = { x: 2, u: 4 }[char];
    if (digits) {
      const hex = this.text.slice(this.#at, this.#at + digits);
      if (hex.length !== digits || !/^[0-9a-fA-F]+$/.test(hex))
        throw new Refused('invalid', `its \\${char} is incomplete`);
      this.#at += digits;
      return Number.parseInt(hex, 16);
    }
    if (char === '0') return 0;
    if (/[A-Za-z]/.test(char)) throw new Refused('invalid', `it has the unknown escape \\${char}`);
    return char.charCodeAt(0);
  }

  #set(): Test {
    const negated = this.#take('^');
    const tests: Test[] = [];
    for (let first = true; first || !this.#peek(']'); first = false) {
      if (this.#at >= this.text.length) throw new Refused('invalid', 'it has a [ without its ]');
      const low = this.#member();
      if (this.#peek('-') && this.#at + 1 < this.text.length && this.text[this.#at + 1] !== ']') {
        this.#at++;
        const high = this.#member();
        if (typeof low !== 'number' || typeof high !== 'number' || high < low) {
          throw new Refused('invalid', 'it has a bad range in [ ]');
        }
        tests.push((code) => code >= low && code <= high);
      } else tests.push(typeof low === 'number' ? (code) => code === low : low);
    }
    this.#at++;
    const any = this.#caseless((code) => tests.some((test) => test(code)));
    return negated ? (code) => !any(code) : any;
  }

  #member(): number | Test {
    const char = this.text.charAt(this.#at++);
    if (char !== '\\') return char.charCodeAt(0);
    const escaped = this.text.charAt(this.#at++);
    if (escaped === '') throw new Refused('invalid', 'it ends with a backslash');
    const test = classes[escaped];
    if (test) return test;
    if (escaped === 'b') return 8;
    if (/[1-9]/.test(escaped)) throw new Refused('unsupported', 'it has an octal escape');
    return this.#escapedCode(escaped);
  }
}

class Program {
  readonly code: Instruction[] = [];
  readonly slots: string[] = [];

  constructor(
    node: Node,
    readonly keep: (name: string) => boolean,
  ) {
    this.#emit(node);
    this.#add({ op: 'match' });
  }

  #add(instruction: Instruction): number {
    if (this.code.length >= MOST_INSTRUCTIONS) throw new Refused('unsupported', 'its repetitions are too large');
    return this.code.push(instruction) - 1;
  }

  #emit(node: Node): void {
    switch (node.type) {
      case 'test':
        this.#add({ op: 'test', test: node.test });
        return;
      case 'assert':
        this.#add({ op: 'assert', at: node.at });
        return;
      case 'each':
        for (const each of node.nodes) this.#emit(each);
        return;
      case 'group': {
        const slot = node.name !== undefined && this.keep(node.name) ? this.#slot(node.name) : -1;
        if (slot >= 0) this.#add({ op: 'save', slot: slot * 2 });
        this.#emit(node.inner);
        if (slot >= 0) this.#add({ op: 'save', slot: slot * 2 + 1 });
        return;
      }
      case 'any': {
        const ends: number[] = [];
        for (const [index, each] of node.nodes.entries()) {
          const last = index === node.nodes.length - 1;
          const split = last ? -1 : this.#add({ op: 'split', first: this.code.length + 1, second: 0 });
          this.#emit(each);
          if (last) break;
          ends.push(this.#add({ op: 'jump', to: 0 }));
          this.code[split] = { op: 'split', first: split + 1, second: this.code.length };
        }
        for (const end of ends) this.code[end] = { op: 'jump', to: this.code.length };
        return;
      }
      case 'repeat':
        this.#repeat(node.inner, node.min, node.max, node.greedy);
    }
  }

  #slot(name: string): number {
    const known = this.slots.indexOf(name);
    return known >= 0 ? known : this.slots.push(name) - 1;
  }

  #repeat(inner: Node, min: number, max: number, greedy: boolean): void {
    if (max !== Number.POSITIVE_INFINITY && max > MOST_INSTRUCTIONS)
      throw new Refused('unsupported', 'its repetitions are too large');
    if (min > MOST_INSTRUCTIONS) throw new Refused('unsupported', 'its repetitions are too large');
    for (let index = 0; index < min; index++) this.#emit(inner);
    const splits: number[] = [];
    const split = () => this.#add({ op: 'split', first: 0, second: 0 });
    const fix = (at: number, after: number) => {
      this.code[at] = greedy
        ? { op: 'split', first: at + 1, second: after }
        : { op: 'split', first: after, second: at + 1 };
    };
    if (max === Number.POSITIVE_INFINITY) {
      const at = split();
      this.#emit(inner);
      this.#add({ op: 'jump', to: at });
      fix(at, this.code.length);
      return;
    }
    for (let index = min; index < max; index++) {
      splits.push(split());
      this.#emit(inner);
    }
    for (const at of splits) fix(at, this.code.length);
  }
}

interface Thread {
  at: number;
  saved: number[];
}

function search({ code, slots }: Program, text: string): Map<string, string> | undefined {
  let threads: Thread[] = [];
  let found: number[] | undefined;
  const seen = new Int32Array(code.length).fill(-1);
  const add = (list: Thread[], start: number, saved: number[], position: number): void => {
    const stack: Thread[] = [{ at: start, saved }];
    for (let top = stack.pop(); top; top = stack.pop()) {
      if (seen[top.at] === position) continue;
      seen[top.at] = position;
      const instruction = code[top.at] as Instruction;
      if (instruction.op === 'jump') stack.push({ at: instruction.to, saved: top.saved });
      else if (instruction.op === 'split') {
        stack.push({ at: instruction.second, saved: top.saved }, { at: instruction.first, saved: top.saved });
      } else if (instruction.op === 'save') {
        const copy = [...top.saved];
        copy[instruction.slot] = position;
        stack.push({ at: top.at + 1, saved: copy });
      } else if (instruction.op === 'assert') {
        if (holds(instruction.at, text, position)) stack.push({ at: top.at + 1, saved: top.saved });
      } else list.push(top);
    }
  };
  for (let position = 0; position <= text.length; position++) {
    if (!found) add(threads, 0, [], position);
    const next: Thread[] = [];
    const char = text.charCodeAt(position);
    for (const thread of threads) {
      const instruction = code[thread.at] as Instruction;
      if (instruction.op === 'match') {
        found = thread.saved;
        break;
      }
      if (position < text.length && instruction.op === 'test' && instruction.test(char)) {
        add(next, thread.at + 1, thread.saved, position + 1);
      }
    }
    threads = next;
    if (found && threads.length === 0) break;
  }
  if (!found) return undefined;
  const groups = new Map<string, string>();
  for (const [index, name] of slots.entries()) {
    const [from, to] = [found[index * 2], found[index * 2 + 1]];
    if (from !== undefined && to !== undefined) groups.set(name, text.slice(from, to));
  }
  return groups;
}

function holds(at: 'start' | 'end' | 'word' | 'no word', text: string, position: number): boolean {
  if (at === 'start') return position === 0;
  if (at === 'end') return position === text.length || (position === text.length - 1 && text[position] === '\n');
  const before = position > 0 && isWord(text.charCodeAt(position - 1));
  const after = position < text.length && isWord(text.charCodeAt(position));
  return (before !== after) === (at === 'word');
}

/** @param keep the named groups whose text is wanted */
export function compile(pattern: string, keep: (name: string) => boolean = () => true): Compiled {
  if (pattern.length > LONGEST_PATTERN) return { kind: 'unsupported', what: 'it is too long' };
  try {
    const parser = new Parser(pattern);
    const program = new Program(parser.pattern(), keep);
    return {
      kind: 'program',
      search: (text) => search(program, text),
      groups: parser.names,
      size: program.code.length,
    };
  } catch (error) {
    if (error instanceof Refused) return { kind: error.kind, what: error.what };
    throw error;
  }
}
