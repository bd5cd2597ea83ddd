import type { Finding, Rule, Severity } from '../../rule.js';
import { quote } from './consumer.js';
import { descriptionOf, paramOf, words } from './grammar.js';
import { layoutOf } from './layout.js';
import { type BotOptions, scripts } from './options.js';
import { lines } from './statements.js';
import { isText } from './uses.js';

/** Whether what is written is what the compiler reads. */
export const paramIgnored: Rule<BotOptions> = {
  id: 'bot/param-ignored',
  severity: 'error',
  title: 'The compiler reads every PARAM and DESCRIPTION as it was meant.',
  reason: `The compiler takes a trimmed line for a parameter that begins with \`PARAM\`, in capitals, and one space, and has four words or more. All
else it leaves without a word: \`param\` in lower case, a tab, \`PARAM name STRING\`, a byte order mark before the first line. It does
not read \`as\` (the parameter is a string), \`OPTIONAL\` or \`DEFAULT\` (every parameter is required), and looks into \`BEGIN TALK\` too.`,
  suppressible: true,
  files: () => scripts,
  check: ({ head, options }) =>
    layoutOf(head, options).bots.flatMap(({ tools }) =>
      tools
        .filter(({ file, kind }) => isText(file.kind) && kind !== 'excluded')
        .flatMap(({ path, file: { text } }) => {
          const notes = notesOf(text);
          const fix = notes.some(({ fixable }) => fixable) ? { [path]: mended(text) } : undefined;
          return notes.map(
            ({ line, column, severity, message, todo, fixable }): Finding => ({
              status: 'fail',
              severity: severity === 'error' ? undefined : severity,
              at: { path, line: line + 1, column: column + 1 },
              message,
              todo,
              fix: fixable ? fix : undefined,
            }),
          );
        }),
    ),
  samples: {
    good: [
      sample('all that a parameter may have', 'PARAM day AS DATE LIKE "2026-01-31" DESCRIPTION "Day"'),
      sample('a parameter without LIKE', 'PARAM name AS STRING'),
      sample('indented', '\tPARAM name AS STRING DESCRIPTION "Name"'),
      sample('a carriage return at the end', 'PARAM name AS STRING\r'),
      sample('in a comment', "' param name as string\n// PARAM a\nREM PARAM b"),
      sample('param as a variable', 'param = 5\nparam.x = 3\nparam(4)'),
      sample('description as a variable or a field', 'description = "x"\n    description TEXT\ndescription: "x"'),
      sample('a text of the bot', 'BEGIN TALK\nparam name as string\ndescription "x"\nEND TALK'),
      sample('LIKE with a number', 'PARAM count AS INTEGER LIKE 5'),
      { name: 'tables.bas is no tool', files: { 'acme.gbai/acme.gbdialog/tables.bas': 'PARAM a\n' } },
    ],
    bad: [
      found('PARAM in lower case', 'param name as string like "Ana"', 1, /is ignored: PARAM must be in capitals/),
      found('PARAM in mixed case', 'Param name AS STRING', 1, /is ignored: PARAM must be in capitals/),
      found('a tab after PARAM', 'PARAM\tname AS STRING', 1, /is ignored: .* one space/),
      found('no type', 'PARAM name', 1, /is ignored: .* fewer than four words/),
      found('a type without AS', 'PARAM name STRING', 1, /is ignored: .* fewer than four words/),
      found('as in lower case', 'PARAM count as INTEGER', 13, /"as" is not read: "count" is a string/),
      found('a type without AS and an example', 'PARAM count INTEGER LIKE 5', 13, /"INTEGER" is not read/),
      found('nothing after AS', 'PARAM count LIKE 5 AS', 20, /nothing after AS/),
      found('the old colon', 'PARAM name:STRING LIKE "Ana"', 7, /called "name:STRING"/),
      found('OPTIONAL', 'PARAM name AS STRING OPTIONAL', 22, /OPTIONAL is not read/),
      found('DEFAULT', 'PARAM name AS STRING DEFAULT "Ana"', 22, /DEFAULT is not read/),
      found('description in lower case', 'PARAM name AS STRING description "Name"', 22, /"description" is not read/),
      found('a quotation mark that is not closed', 'PARAM name AS STRING DESCRIPTION "Name', 22, /has no text/),
      found(
        'an example that is the description',
        'PARAM count AS INTEGER LIKE 10 DESCRIPTION "Quantity"',
        24,
        /takes "Quantity" for the example/,
      ),
      found('ENUM', 'PARAM size AS STRING ENUM ["S", "M"]', 22, /ENUM goes to nobody/),
      {
        ...sample('a parameter twice', 'PARAM a AS STRING\nPARAM a AS INTEGER'),
        finds: [{ at: 'acme.gbai/acme.gbdialog/a.bas:3:7', says: /"a" is declared in line 2 already/ }],
      },
      {
        ...sample('in a text of the bot', 'BEGIN TALK\nPARAM name AS STRING\nEND TALK'),
        finds: [{ at: 'acme.gbai/acme.gbdialog/a.bas:3:1', says: /looks into texts too/ }],
      },
      {
        name: 'a byte order mark before the first line',
        files: { 'acme.gbai/acme.gbdialog/a.bas': '\uFEFFPARAM name AS STRING\n' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/a.bas:1:1', says: /byte order mark/ }],
      },
      found('DESCRIPTION in lower case', 'description "Price of an article"', 1, /description is ignored/),
      found('a tab after DESCRIPTION', 'DESCRIPTION\t"Price"', 1, /description is ignored/),
      found('DESCRIPTION without quotation marks', 'DESCRIPTION Price', 1, /"ESCRIPTION Price"/, false),
      found('DESCRIPTION with one quotation mark', 'DESCRIPTION "Price', 13, /is ignored/),
      {
        name: 'the descriptions of three tools in one script',
        files: { 'acme.gbai/acme.gbdialog/a.bas': '\nDESCRIPTION "One"\nDESCRIPTION "Two"\nDESCRIPTION "Three"\n' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/a.bas:2:1', says: /and 1 more are ignored: line 4/ }],
      },
      {
        name: 'two descriptions of a tool',
        files: { 'acme.gbai/acme.gbdialog/a.bas': 'DESCRIPTION "One"\nDESCRIPTION "Two"\n' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/a.bas:1:1', says: /This description is ignored: line 2/ }],
      },
    ],
  },
};

interface Note {
  /** From 0. */
  line: number;
  column: number;
  severity: Severity;
  message: string;
  todo: string;
  fixable?: boolean;
}

/** More than a person reads of one script. */
const MOST = 1000;

function notesOf(text: string): Note[] {
  const notes: Note[] = [];
  if (!/param|description/i.test(text)) return notes;
  const declared = new Map<string, number>();
  const once = new Set<string>();
  const described: { line: number; column: number }[] = [];
  for (const { line, text: trimmed, indent, kind } of lines(text)) {
    if (notes.length >= MOST) break;
    const say = (column: number, severity: Severity, message: string, todo: string, fixable = false) =>
      notes.push({ line, column: indent + column, severity, message, todo, fixable });
    if (line === 0 && /^\uFEFF(PARAM|DESCRIPTION) /.test(trimmed))
      say(0, 'error', 'A byte order mark hides this line from the compiler.', 'Save the file without it.', true);
    else if (trimmed.startsWith('PARAM ')) {
      for (const note of paramNotes(trimmed)) {
        // They stand in every other line of some scripts, and say the same each time.
        if (note.once && once.has(note.once)) continue;
        if (note.once) once.add(note.once);
        say(note.column, note.severity, note.message, note.todo, note.fixable);
      }
      const param = paramOf(trimmed);
      const before = param && declared.get(param.name);
      if (param && before !== undefined)
        say(
          wordAt(trimmed, 1),
          'error',
          `${quote(param.name)} is declared in line ${before + 1} already: this one counts, and the compiler requires it twice.`,
          'Take one of them out.',
        );
      else if (param) declared.set(param.name, line);
      if (param && kind === 'text')
        say(
          0,
          'warning',
          'This is a text of the bot, but the compiler looks into texts too and takes it for a parameter.',
          'Begin the line with another word.',
        );
    } else if (trimmed.startsWith('DESCRIPTION ')) {
      const [first, last] = [trimmed.indexOf('"'), trimmed.lastIndexOf('"')];
      const found = descriptionOf(trimmed);
      if (first < 0)
        say(
          0,
          'warning',
          `The compiler takes ${quote(found ?? '')} for the description, as there are no quotation marks.`,
          'Put the text in quotation marks.',
        );
      else if (first === last)
        say(
          first,
          'warning',
          'The description is ignored, as its quotation mark is not closed.',
          'Close it in the same line.',
        );
      if (found !== undefined) described.push({ line, column: indent });
    } else if (kind === 'code') {
      const like = lookalike(trimmed);
      if (like) say(0, like.severity, like.message, like.todo, true);
    }
  }
  const [first, ...others] = described;
  const last = others.at(-1);
  if (first && last) {
    const which = others.length > 1 ? `This description and ${others.length - 1} more are` : 'This description is';
    notes.push({
      ...first,
      severity: 'warning',
      message: `${which} ignored: line ${last.line + 1} gives the last, and a script is one tool.`,
      todo: 'Keep one of them, or make a script of each tool.',
    });
  }
  return notes.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** What looks like a declaration and is none. */
function lookalike(line: string): Pick<Note, 'severity' | 'message' | 'todo'> | undefined {
  const head = /^(param|description)(?=\s)/i.exec(line)?.[0];
  if (head === undefined) return undefined;
  const [, name = '', as = ''] = words(line.slice(0, 400));
  if (head.toUpperCase() === 'DESCRIPTION')
    return name.startsWith('"')
      ? {
          severity: 'warning',
          message: `The description is ignored: DESCRIPTION must be in capitals with one space after it.`,
          todo: 'Write DESCRIPTION "...".',
        }
      : undefined;
  if (
    !/^[\p{L}_][\p{L}\p{N}_:-]*$/u.test(name) ||
    (head !== 'PARAM' && as.toUpperCase() !== 'AS' && as.toUpperCase() !== 'LIKE')
  )
    return undefined;
  return {
    severity: 'error',
    message:
      head === 'PARAM'
        ? `Parameter ${quote(name)} is ignored: PARAM must have one space after it, and no tab.`
        : `Parameter ${quote(name)} is ignored: PARAM must be in capitals.`,
    todo: `Write PARAM ${name.slice(0, 60)} AS ...`,
  };
}

type ParamNote = Omit<Note, 'line'> & { once?: string };

const TYPES =
  /^(string|text|integer|int|number|float|double|decimal|boolean|bool|array|list|object|map|date|datetime|email|phone|money)$/i;

function* paramNotes(line: string): Generator<ParamNote> {
  const tokens = words(line);
  const param = paramOf(line);
  const name = tokens[1] ?? '';
  if (!param) {
    yield {
      column: 0,
      severity: 'error',
      message: `Parameter ${quote(name)} is ignored: the line has fewer than four words.`,
      todo: `Write PARAM ${name.slice(0, 60) || 'name'} AS STRING.`,
    };
    return;
  }
  // Its texts blanked, so that columns stay.
  const plain = line.replace(/"[^"]*"/g, (text) => ' '.repeat(text.length));
  const wordOf = (word: RegExp) => word.exec(plain)?.index ?? -1;
  if (name.includes(':'))
    yield {
      column: wordAt(line, 1),
      severity: 'warning',
      message: `The parameter is called ${quote(name)}: the compiler reads no colon.`,
      todo: `Write PARAM ${name.replace(':', ' AS ').slice(0, 80)}.`,
    };
  const as = tokens.indexOf('AS');
  const third = tokens[2] ?? '';
  if (as < 0 && /^as$/i.test(third))
    yield {
      column: wordAt(line, 2),
      severity: 'warning',
      message: `${quote(third)} is not read: ${quote(name)} is a string.`,
      todo: `Write AS ${(tokens[3] ?? 'STRING').slice(0, 60)}.`,
      fixable: true,
    };
  else if (as < 0 && TYPES.test(third))
    yield {
      column: wordAt(line, 2),
      severity: 'warning',
      message: `${quote(third)} is not read, as there is no AS before it: ${quote(name)} is a string.`,
      todo: `Write AS ${third}.`,
    };
  else if (as >= 0 && as === tokens.length - 1)
    yield {
      column: wordAt(line, as),
      severity: 'warning',
      message: `There is nothing after AS: ${quote(name)} is a string.`,
      todo: 'Name its type.',
    };
  for (const word of ['OPTIONAL', 'DEFAULT']) {
    const column = wordOf(word === 'OPTIONAL' ? /\bOPTIONAL\b/ : /\bDEFAULT\b/);
    if (column >= 0)
      yield {
        column,
        severity: 'info',
        message: `${word} is not read: the model must give ${quote(name)}, as every parameter.`,
        todo: 'Say in its DESCRIPTION what to give when it is not known.',
        once: word,
      };
  }
  const lower = wordOf(/\bdescription\b|\bDescription\b/);
  const description = line.indexOf('DESCRIPTION');
  if (description < 0 && lower >= 0)
    yield {
      column: lower,
      severity: 'warning',
      message: `${quote(plain.slice(lower, lower + 11))} is not read: ${quote(name)} has no description.`,
      todo: 'Write DESCRIPTION in capitals.',
      fixable: true,
    };
  else if (description >= 0 && param.description === '')
    yield {
      column: description,
      severity: 'warning',
      message: `DESCRIPTION has no text between two quotation marks: ${quote(name)} has no description.`,
      todo: 'Put the text in quotation marks, in the same line.',
    };
  const like = wordOf(/\bLIKE\b/);
  if (like >= 0 && description > like && param.example !== undefined) {
    const between = line.slice(like + 4, description);
    if (!between.includes('"'))
      yield {
        column: like,
        severity: 'info',
        message: `The compiler takes ${quote(param.example)} for the example, as that of LIKE has no quotation marks.`,
        todo: 'Put the example in quotation marks.',
        once: 'LIKE',
      };
  }
  const values = wordOf(/\bENUM\b/);
  if (values >= 0 && param.enum)
    yield {
      column: values,
      severity: 'info',
      message: `ENUM goes to nobody: the model is not told the values of ${quote(name)}.`,
      todo: 'Name them in its DESCRIPTION.',
      once: 'ENUM',
    };
}

/** Where a word of a trimmed line begins. */
function wordAt(line: string, index: number): number {
  let at = 0;
  const all = words(line);
  for (let word = 0; word <= index; word++) {
    at = line.indexOf(all[word] ?? '', at);
    if (word < index) at += all[word]?.length ?? 0;
  }
  return at;
}

/** The script with its keywords as the compiler wants them. */
function mended(text: string): string {
  const kinds = [...lines(text.replace(/^\uFEFF/, ''))];
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line, index) => {
      const { text: trimmed = '', kind, indent = 0 } = kinds[index] ?? {};
      if (kind !== 'code') return line;
      const isParam = trimmed.startsWith('PARAM ');
      if (!isParam && !lookalike(trimmed)) return line;
      const rest = isParam ? trimmed.slice(6) : trimmed.slice(/^\w+/.exec(trimmed)?.[0].length ?? 0).replace(/^\s/, '');
      const keyword = isParam || /^param/i.test(trimmed) ? 'PARAM ' : 'DESCRIPTION ';
      const words_ = keyword === 'PARAM ' ? capitals(rest) : rest;
      return line.slice(0, indent) + keyword + words_ + line.slice(indent + trimmed.length);
    })
    .join('\n');
}

/** `as`, `like` and `description` in capitals, outside of texts; the name, which comes first, as it is. */
function capitals(rest: string): string {
  let first = true;
  return rest
    .split(/("[^"]*")/)
    .map((part) =>
      part.startsWith('"')
        ? part
        : part.replace(/[^\s]+/g, (word) => {
            if (first) {
              first = false;
              return word;
            }
            return /^(as|like|description|optional|default|enum)$/i.test(word) ? word.toUpperCase() : word;
          }),
    )
    .join('');
}

function sample(name: string, script: string) {
  return { name, files: { 'acme.gbai/acme.gbdialog/a.bas': `DESCRIPTION "A"\n${script}\n` } };
}

function found(name: string, script: string, column: number, says: RegExp, described = true) {
  const files = {
    'acme.gbai/acme.gbdialog/a.bas':
      described && !/^description/i.test(script) ? `DESCRIPTION "A"\n${script}\n` : `\n${script}\n`,
  };
  return { name, files, finds: [{ at: `acme.gbai/acme.gbdialog/a.bas:2:${column}`, says }] };
}
