/**
 * Reads INI the way Python's ConfigParser does for fail2ban, and keeps where everything stands. Own code: the packages for INI
 * merge sections that come twice, lose continuation lines and comments, and keep no positions.
 */

/** A place in a file, from 1. */
export interface Place {
  line: number;
  column: number;
}

export interface IniEntry extends Place {
  key: string;
  /** Continuation lines joined by `\n`, comments gone. */
  value: string;
  /** Where each line of the value stands. */
  lines: (Place & { text: string })[];
}

export interface IniSection extends Place {
  name: string;
  entries: Map<string, IniEntry>;
}

export interface IniFile {
  /** Without DEFAULT. */
  sections: Map<string, IniSection>;
  defaults: Map<string, IniEntry>;
  /** Why Python refuses the whole file. */
  error?: Place & { what: string };
}

/** What Python calls a space; String.trim also takes a byte order mark, which Python keeps. */
const spaces = new Set(
  [9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000].concat(
    Array.from({ length: 11 }, (_, index) => 0x2000 + index),
  ),
);
const isSpace = (text: string, at: number) => spaces.has(text.charCodeAt(at));

/** Python's str.strip. */
export function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text, start)) start++;
  while (end > start && isSpace(text, end - 1)) end--;
  return text.slice(start, end);
}

function rstrip(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text, end - 1)) end--;
  return text.slice(0, end);
}

/** Where `;` begins a comment within a line: at its start or after a space. -1: nowhere. */
function inlineComment(line: string): number {
  for (let at = line.indexOf(';'); at >= 0; at = line.indexOf(';', at + 1)) {
    if (at === 0 || isSpace(line, at - 1)) return at;
  }
  return -1;
}

/** The lines as Python sees them, which also ends them at a lone carriage return, with where they begin. */
function* linesOf(text: string): Generator<Place & { text: string }> {
  let line = 1;
  let column = 1;
  let start = 0;
  for (let at = 0; at <= text.length; at++) {
    const char = text.charCodeAt(at);
    if (at < text.length && char !== 10 && char !== 13) continue;
    if (at === text.length && start === at) return;
    yield { text: text.slice(start, at), line, column };
    if (char === 13 && text.charCodeAt(at + 1) === 10) at++;
    if (text.charCodeAt(at) === 10) [line, column] = [line + 1, 1];
    else column += at + 1 - start;
    start = at + 1;
  }
}

/** Never throws; a file that Python refuses has `error`. */
export function readIni(text: string): IniFile {
  const file: IniFile = { sections: new Map(), defaults: new Map() };
  let section: { name: string; entries: Map<string, IniEntry> } | undefined;
  let entry: IniEntry | undefined;
  /** Lines of its value. */
  let values: string[] = [];
  const finish = () => {
    if (entry && values.length > 1) entry.value = rstrip(values.join('\n'));
    entry = undefined;
    values = [];
  };
  let indent = 0;
  for (const { text: line, line: number, column: start } of linesOf(text)) {
    const comment = wholeLineComment(line) ? 0 : inlineComment(line);
    const value = strip(comment < 0 ? line : line.slice(0, comment));
    if (value === '') {
      if (comment < 0 && entry) values.push('');
      continue;
    }
    let first = 0;
    while (isSpace(line, first)) first++;
    const column = start + first;
    if (section && entry && first > indent) {
      values.push(value);
      entry.lines.push({ line: number, column, text: value });
      continue;
    }
    indent = first;
    const close = value.lastIndexOf(']');
    if (value.startsWith('[') && close >= 2) {
      finish();
      const name = value.slice(1, close);
      if (name === 'DEFAULT') section = { name, entries: file.defaults };
      else if (file.sections.has(name)) {
        file.error = { line: number, column, what: `the section [${name}] comes twice in one file` };
        break;
      } else {
        const made: IniSection = { line: number, column, name, entries: new Map() };
        file.sections.set(name, made);
        section = made;
      }
      continue;
    }
    if (!section) {
      file.error = { line: number, column, what: 'something stands before the first [section]' };
      break;
    }
    const delimiter = firstOf(value, '=', ':');
    const key = rstrip(value.slice(0, Math.max(delimiter, 0))).toLowerCase();
    if (delimiter < 0 || key === '') {
      file.error ??= { line: number, column, what: 'this line is neither a section nor `name = value`' };
      // As in Python, what follows still belongs to the option before.
      if (delimiter < 0) continue;
    }
    if (section.entries.has(key)) {
      file.error = { line: number, column, what: `${key} comes twice in [${section.name}] of one file` };
      break;
    }
    const rest = value.slice(delimiter + 1);
    const own = strip(rest);
    const offset = first + delimiter + 1 + (own === '' ? 0 : rest.indexOf(own));
    finish();
    entry = { line: number, column, key, value: own, lines: [{ line: number, column: start + offset, text: own }] };
    section.entries.set(key, entry);
    values.push(own);
  }
  finish();
  return file;
}

function wholeLineComment(line: string): boolean {
  let at = 0;
  while (isSpace(line, at)) at++;
  return line[at] === '#' || line[at] === ';';
}

function firstOf(text: string, a: string, b: string): number {
  const [one, two] = [text.indexOf(a), text.indexOf(b)];
  return one < 0 ? two : two < 0 ? one : Math.min(one, two);
}
