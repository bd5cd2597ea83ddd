// Ours: `ini` keeps one `Environment=` of several, takes continued lines for keys, and no library keeps positions.

/** `Key=value` of a unit file, continued lines joined. */
export interface UnitEntry {
  section: string;
  key: string;
  value: string;
  /** Offset of the key. */
  at: number;
  /** Offset in the file of a character of the value. */
  offset(index: number): number;
}

export interface UnitProblem {
  at: number;
  message: string;
}

export interface UnitFile {
  entries: UnitEntry[];
  sections: { name: string; at: number }[];
  problems: UnitProblem[];
}

const isSpace = (character: string | undefined) =>
  character === ' ' || character === '\t' || character === '\n' || character === '\r';

/** Reads a unit file as systemd does (systemd.syntax(7)). Never throws. */
export function parseUnit(text: string): UnitFile {
  const file: UnitFile = { entries: [], sections: [], problems: [] };
  let section: string | undefined;
  /** Pieces of a logical line, with where they stand. */
  let pieces: { text: string; at: number }[] = [];
  const finish = () => {
    const joined = pieces.map((piece) => piece.text).join('');
    const parts = pieces;
    pieces = [];
    const lead = joined.length - joined.trimStart().length;
    const line = joined.trim();
    if (line === '') return;
    const starts: number[] = [];
    let length = 0;
    for (const part of parts) {
      starts.push(length);
      length += part.text.length;
    }
    const place = (index: number): number => {
      let low = 0;
      let high = starts.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if ((starts[middle] as number) <= index) low = middle;
        else high = middle - 1;
      }
      const part = parts[low] as { text: string; at: number };
      return part.at + Math.min(part.text.length, index - (starts[low] as number));
    };
    const at = place(lead);
    if (line.startsWith('[')) {
      if (!line.endsWith(']')) {
        file.problems.push({ at, message: 'This section is not closed by `]`, so that systemd refuses the file' });
        return;
      }
      section = line.slice(1, -1);
      file.sections.push({ name: section, at });
      return;
    }
    const equals = joined.indexOf('=');
    if (equals < 0) {
      file.problems.push({ at, message: 'This line has no `=`, so that systemd ignores it' });
      return;
    }
    const key = joined.slice(0, equals).trim();
    if (section === undefined) {
      file.problems.push({ at, message: `${show(key)} stands before any section, so that systemd ignores it` });
      return;
    }
    const raw = joined.slice(equals + 1);
    const skipped = equals + 1 + (raw.length - raw.trimStart().length);
    file.entries.push({ section, key, value: raw.trim(), at, offset: (index) => place(skipped + index) });
  };
  let continued = false;
  for (let start = 0; start <= text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    let begin = start;
    while (begin < end && isSpace(text[begin])) begin++;
    if (start === 0 && text.charCodeAt(0) === 0xfeff) begin = Math.max(begin, 1);
    const lineStart = start;
    start = end + 1;
    const first = text[begin];
    // Comments are skipped within continued lines, too.
    if (begin < end && (first === '#' || first === ';')) continue;
    // White space before a continued line stays; a carriage return is part of the line end.
    const from = text.charCodeAt(lineStart) === 0xfeff ? lineStart + 1 : lineStart;
    const line = text.slice(from, text[end - 1] === '\r' && end > from ? end - 1 : end);
    let backslashes = 0;
    while (line[line.length - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 1) {
      pieces.push({ text: `${line.slice(0, -1)} `, at: from });
      continued = true;
      continue;
    }
    pieces.push({ text: line, at: from });
    continued = false;
    finish();
  }
  if (continued) finish();
  return file;
}

export interface UnitWord {
  text: string;
  /** Index of its first character in the value. */
  index: number;
  /** A quote stands inside, not around it. */
  innerQuote: boolean;
}

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
  s: ' ',
};

/** The words of a value, or the first `most`, with systemd's quotes and escapes. `invalid`: from where on systemd ignores it. */
export function splitUnitValue(
  value: string,
  most = Number.POSITIVE_INFINITY,
): { words: UnitWord[]; invalid?: number } {
  const words: UnitWord[] = [];
  let at = 0;
  for (;;) {
    while (isSpace(value[at])) at++;
    if (at >= value.length || words.length >= most) return { words };
    const index = at;
    let text = '';
    let quote = '';
    let innerQuote = false;
    for (; at < value.length; ) {
      const character = value[at] as string;
      if (character === '\\') {
        const escaped = unescapeOne(value, at + 1);
        if (!escaped) return { words, invalid: index };
        text += escaped.text;
        at = escaped.end;
      } else if (quote !== '') {
        if (character === quote) quote = '';
        else text += character;
        at++;
      } else if (character === '"' || character === "'") {
        if (at > index) innerQuote = true;
        quote = character;
        at++;
      } else if (isSpace(character)) break;
      else {
        text += character;
        at++;
      }
    }
    if (quote !== '') return { words, invalid: index };
    words.push({ text, index, innerQuote });
  }
}

function unescapeOne(value: string, at: number): { text: string; end: number } | undefined {
  const character = value[at];
  if (character === undefined) return undefined;
  if (Object.hasOwn(escapes, character)) return { text: escapes[character] as string, end: at + 1 };
  const read = (length: number, base: 8 | 16, from: number) => {
    const digits = value.slice(from, from + length);
    if (digits.length < length || (base === 8 ? /[^0-7]/ : /[^0-9a-fA-F]/).test(digits)) return undefined;
    const code = Number.parseInt(digits, base);
    if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
    if (length <= 3 && code > 255) return undefined;
    return { text: String.fromCodePoint(code), end: from + length };
  };
  if (character === 'x') return read(2, 16, at + 1);
  if (character === 'u') return read(4, 16, at + 1);
  if (character === 'U') return read(8, 16, at + 1);
  return read(3, 8, at);
}

/** A value with `%`: `%%` means one; what others mean is only known on the machine. */
export function expandSpecifiers(text: string): { text: string; unknown: boolean } {
  let unknown = false;
  let result = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== '%' || at + 1 >= text.length) result += text[at];
    else if (text[at + 1] === '%') {
      result += '%';
      at++;
    } else if (/[A-Za-z]/.test(text[at + 1] as string)) {
      unknown = true;
      result += text[at];
    } else result += text[at];
  }
  return { text: result, unknown };
}

export const isVariable = (name: string): boolean =>
  name !== '' && !/[^A-Za-z0-9_]/.test(name) && !/[0-9]/.test(name[0] as string);

/** Whether systemd takes a value of a variable: no control characters but tab and line end. */
const isClean = (value: string) =>
  ![...value].some(
    (character) => (character < ' ' && character !== '\t' && character !== '\n') || character === '\x7f',
  );

export interface UnitAssignment {
  name: string;
  value: string;
  /** Offset of the assignment in the file. */
  at: number;
  /** It has specifiers. */
  unknown: boolean;
  innerQuote: boolean;
}

/** The assignments of one `Environment=` line, and what systemd ignores in it. */
export function readEnvironment(entry: UnitEntry): { assignments: UnitAssignment[]; problems: UnitProblem[] } {
  const { words, invalid } = splitUnitValue(entry.value);
  const assignments: UnitAssignment[] = [];
  const problems: UnitProblem[] = [];
  for (const { text, index, innerQuote } of words) {
    const at = entry.offset(index);
    const expanded = expandSpecifiers(text);
    const equals = expanded.text.indexOf('=');
    const name = equals < 0 ? expanded.text : expanded.text.slice(0, equals);
    if (equals < 0 || !isVariable(name) || !isClean(expanded.text)) {
      const message = `\`${show(equals < 0 ? expanded.text : name)}\` is no assignment, so that systemd ignores it`;
      problems.push({ at, message });
      continue;
    }
    assignments.push({ name, value: expanded.text.slice(equals + 1), at, unknown: expanded.unknown, innerQuote });
  }
  if (invalid !== undefined)
    problems.push({
      at: entry.offset(invalid),
      message: 'From here on its quotes or backslashes are wrong, so that systemd ignores it',
    });
  return { assignments, problems };
}

/** The assignments of a file for `EnvironmentFile=`, as systemd reads it: nearly sh, with its own quotes. Never throws. */
export function parseEnvironmentFile(text: string): {
  assignments: { name: string; value: string; at: number }[];
  problems: UnitProblem[];
} {
  const assignments: { name: string; value: string; at: number }[] = [];
  const problems: UnitProblem[] = [];
  type State =
    | 'before key'
    | 'key'
    | 'before value'
    | 'value'
    | 'value escape'
    | 'single'
    | 'double'
    | 'double escape'
    | 'comment'
    | 'comment escape';
  let state: State = 'before key';
  let key = '';
  let value = '';
  /** Length of the value without plain white space at its end. */
  let kept = 0;
  let keyAt = 0;
  const push = () => {
    const name = key.trimEnd();
    if (isVariable(name) && isClean(value))
      assignments.push({ name, value: state === 'value' ? value.slice(0, kept) : value, at: keyAt });
    else
      problems.push({ at: keyAt, message: `\`${show(name)}\` is no name of a variable, so that systemd ignores it` });
    key = value = '';
    kept = 0;
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string;
    const newline = character === '\n' || character === '\r';
    switch (state) {
      case 'before key':
        if (character === '#' || character === ';') state = 'comment';
        else if (!isSpace(character) && !(at === 0 && character === '\ufeff')) {
          state = 'key';
          key = character;
          keyAt = at;
        }
        break;
      case 'key':
        if (newline) {
          problems.push({ at: keyAt, message: 'This line has no `=`, so that systemd ignores it' });
          state = 'before key';
          key = '';
        } else if (character === '=') state = 'before value';
        else key += character;
        break;
      case 'before value':
        if (newline) {
          push();
          state = 'before key';
        } else if (character === "'") state = 'single';
        else if (character === '"') state = 'double';
        else if (character === '\\') state = 'value escape';
        else if (!isSpace(character)) {
          state = 'value';
          value += character;
          kept = value.length;
        }
        break;
      case 'value':
        if (newline) {
          push();
          state = 'before key';
        } else if (character === '\\') {
          state = 'value escape';
          kept = value.length;
        } else {
          value += character;
          if (!isSpace(character)) kept = value.length;
        }
        break;
      case 'value escape':
        state = 'value';
        if (!newline) value += character;
        kept = value.length;
        break;
      case 'single':
        if (character === "'") state = 'before value';
        else value += character;
        break;
      case 'double':
        if (character === '"') state = 'before value';
        else if (character === '\\') state = 'double escape';
        else value += character;
        break;
      case 'double escape':
        state = 'double';
        if ('"\\`$'.includes(character)) value += character;
        else if (character !== '\n') value += `\\${character}`;
        break;
      case 'comment':
        if (character === '\\') state = 'comment escape';
        else if (newline) state = 'before key';
        break;
      case 'comment escape':
        // Since systemd 254 the line behind such a comment counts.
        state = newline ? 'before key' : 'comment';
        break;
    }
  }
  if (state === 'key') problems.push({ at: keyAt, message: 'This line has no `=`, so that systemd ignores it' });
  else if (state !== 'before key' && state !== 'comment' && state !== 'comment escape') push();
  return { assignments, problems };
}

function show(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return printable.length > 40 ? `${printable.slice(0, 40)}...` : printable;
}
