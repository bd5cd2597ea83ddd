/**
 * Splits a shell script into commands and their words, to read what it would tell another program. No shell runs: what a
 * variable or a command substitution gives is not known, and said so.
 */

export interface Word {
  text: string;
  /** Offset in the script. */
  start: number;
  /** A part of it is a variable or the output of a command; its text has it as it is written. */
  variable: boolean;
  quoted: boolean;
}

export interface Command {
  words: Word[];
  /** What `<<WORD` feeds to it, with the offset where it begins. */
  heredoc?: { text: string; start: number };
}

/** Linear in the length of the text; never throws. */
export function commandsOf(text: string): Command[] {
  const commands: Command[] = [];
  let words: Word[] = [];
  let word: Word | undefined;
  let waiting: { command: Command; end: string; tabs: boolean }[] = [];
  let command: Command = { words };
  const endWord = () => {
    if (word) words.push(word);
    word = undefined;
  };
  const endCommand = () => {
    endWord();
    if (words.length > 0) commands.push(command);
    words = [];
    command = { words };
  };
  const put = (start: number, part: string, more: Partial<Word> = {}) => {
    word ??= { text: '', start, variable: false, quoted: false };
    word.text += part;
    word.variable ||= more.variable ?? false;
    word.quoted ||= more.quoted ?? false;
  };
  for (let at = 0; at < text.length; ) {
    const char = text.charAt(at);
    if (char === '\\') {
      if (text[at + 1] === '\n') endWord();
      else if (text[at + 1] === '\r' && text[at + 2] === '\n') {
        endWord();
        at++;
      } else put(at, text.charAt(at + 1), { quoted: true });
      at += 2;
    } else if (char === '#' && !word) {
      while (at < text.length && text[at] !== '\n') at++;
    } else if (char === "'") {
      const end = text.indexOf("'", at + 1);
      const stop = end < 0 ? text.length : end;
      put(at, text.slice(at + 1, stop), { quoted: true });
      at = stop + 1;
    } else if (char === '"') {
      at = doubleQuoted(text, at, put);
    } else if (char === '$' || char === '`') {
      const end = expansionEnd(text, at);
      put(at, text.slice(at, end), { variable: end > at + 1 });
      at = end;
    } else if (char === '<' && text[at + 1] === '<' && text[at + 2] !== '<') {
      endWord();
      const heredoc = /^<<(-?)[ \t]{0,10}(?:'([^'\n]{1,100})'|"([^"\n]{1,100})"|\\?([\w.!-]{1,100}))/.exec(
        text.slice(at, at + 130),
      );
      if (heredoc) {
        waiting.push({ command, end: heredoc[2] ?? heredoc[3] ?? heredoc[4] ?? '', tabs: heredoc[1] === '-' });
        at += heredoc[0].length;
      } else at += 2;
    } else if (char === '\n') {
      endCommand();
      at++;
      for (const { command: fed, end, tabs } of waiting) {
        const body = heredocEnd(text, at, end, tabs);
        fed.heredoc = { text: text.slice(at, body.end), start: at };
        at = body.after;
      }
      waiting = [];
    } else if (';&|()'.includes(char)) {
      endCommand();
      at++;
    } else if (char === ' ' || char === '\t' || char === '\r') {
      endWord();
      at++;
    } else {
      put(at, char);
      at++;
    }
  }
  endCommand();
  return commands;
}

function doubleQuoted(
  text: string,
  start: number,
  put: (start: number, part: string, more?: Partial<Word>) => void,
): number {
  put(start, '', { quoted: true });
  let at = start + 1;
  while (at < text.length && text[at] !== '"') {
    if (text[at] === '\\' && at + 1 < text.length) {
      if (text[at + 1] !== '\n') put(start, text.charAt(at + 1));
      at += 2;
    } else if (text[at] === '$' || text[at] === '`') {
      const end = expansionEnd(text, at);
      put(start, text.slice(at, end), { variable: end > at + 1 });
      at = end;
    } else put(start, text.charAt(at++));
  }
  return at + 1;
}

/** Behind `$name`, `${...}`, `$(...)` or `` `...` ``. */
function expansionEnd(text: string, start: number): number {
  const next = text.charAt(start + 1);
  if (text[start] === '`') {
    const end = text.indexOf('`', start + 1);
    return end < 0 ? text.length : end + 1;
  }
  if (next === '{' || next === '(') {
    const [open, close] = next === '{' ? ['{', '}'] : ['(', ')'];
    let depth = 0;
    for (let at = start + 1; at < text.length; at++) {
      if (text[at] === '\\') at++;
      else if (text[at] === open) depth++;
      else if (text[at] === close && --depth === 0) return at + 1;
    }
    return text.length;
  }
  let at = start + 1;
  while (at < text.length && /\w/.test(text.charAt(at))) at++;
  return at === start + 1 && '?#@*!$-'.includes(next) && next !== '' ? at + 1 : at;
}

function heredocEnd(text: string, start: number, end: string, tabs: boolean): { end: number; after: number } {
  for (let at = start; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const stop = newline < 0 ? text.length : newline;
    let line = text.slice(at, Math.min(stop, at + 1000)).replace(/\r$/, '');
    if (tabs) line = line.replace(/^\t+/, '');
    if (line === end) return { end: at, after: stop + 1 };
    at = stop + 1;
  }
  return { end: text.length, after: text.length };
}

const prefixes = [
  'sudo',
  'if',
  'then',
  'else',
  'elif',
  'while',
  'until',
  'do',
  '!',
  '{',
  'time',
  'nohup',
  'exec',
  'command',
];
const wrappers = ['ssh', 'sh', 'bash', 'dash', 'su', 'eval', 'sudo'];

/**
 * The command without what stands before it: `sudo -n`, `if`, `A=b`. Commands that are given to another shell as one text, as in
 * `ssh host "..."`, are taken out of it.
 */
export function plain(command: Command, depth = 0): Command[] {
  let index = 0;
  const { words } = command;
  for (; index < words.length; index++) {
    const text = words[index]?.text ?? '';
    if (/^\w+=/.test(text.slice(0, 100)) && !words[index]?.quoted) continue;
    if (!prefixes.includes(text)) break;
    if (text === 'sudo')
      while (words[index + 1]?.text.startsWith('-'))
        index += ['-u', '-g'].includes(words[index + 1]?.text ?? '') ? 2 : 1;
  }
  const rest = words.slice(index);
  const name = baseName(rest[0]?.text ?? '');
  const nested =
    depth < 2 && wrappers.includes(name)
      ? rest
          .slice(1)
          .filter(({ text, quoted }) => quoted && text.includes(' '))
          .flatMap(({ text, start }) =>
            // Nothing in it has a place of its own: quotes may be gone from it.
            commandsOf(text).flatMap((inner) =>
              plain({ words: inner.words.map((each) => ({ ...each, start })) }, depth + 1),
            ),
          )
      : [];
  return rest.length > 0 ? [{ ...command, words: rest }, ...nested] : nested;
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
