/*
 * PARAM and DESCRIPTION as the bot compiler reads them, which is not how its documentation has them. It looks for texts in
 * trimmed lines and knows neither statements nor strings; whatever is odd here is odd there.
 */

/** What one PARAM line comes to. */
export interface Param {
  name: string;
  /** JSON Schema's. */
  type: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object';
  /** What stood after AS, in lower case; `string` where there was no AS. */
  written: string;
  example?: string;
  description: string;
  enum?: string[];
  /** From 0. */
  line: number;
}

/** What a script says of itself as a tool. */
export interface Definition {
  params: Param[];
  description: string;
  /** The line that gives it, from 0. */
  described?: number;
}

/** A line with the place of its trimmed text. */
export interface Line {
  /** Trimmed. */
  text: string;
  /** Offset of the trimmed text in its line. */
  indent: number;
}

/** White space as Rust has it: with U+0085, and without the byte order mark that JavaScript counts in. */
function isSpace(code: number): boolean {
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  return (
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

/** Without white space at both ends. In loops, as `\s+$` takes quadratic time. */
export function trim(text: string): Line {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return { text: text.slice(start, end), indent: start };
}

/** Its words. */
export function words(text: string): string[] {
  const found: string[] = [];
  let start = -1;
  for (let at = 0; at <= text.length; at++) {
    const isWord = at < text.length && !isSpace(text.charCodeAt(at));
    if (isWord && start < 0) start = at;
    if (!isWord && start >= 0) {
      found.push(text.slice(start, at));
      start = -1;
    }
  }
  return found;
}

/** Its lines, trimmed. A lone carriage return ends none. */
export function linesOf(text: string): Line[] {
  return text.split('\n').map(trim);
}

/** What the compiler finds in a script. */
export function definitionOf(text: string): Definition {
  const params: Param[] = [];
  let description = '';
  let described: number | undefined;
  if (!declares(text)) return { params, description };
  for (const [line, { text: trimmed }] of linesOf(text).entries()) {
    const param = paramOf(trimmed, line);
    if (param) params.push(param);
    const found = descriptionOf(trimmed);
    if (found !== undefined) [description, described] = [found, line];
  }
  return { params, description, described };
}

/** Whether there can be anything in it; most scripts are long, and this is quick. */
export function declares(text: string): boolean {
  return text.includes('PARAM ') || text.includes('DESCRIPTION ');
}

/** The tool's description that a trimmed line gives, if it gives one. */
export function descriptionOf(line: string): string | undefined {
  if (!line.startsWith('DESCRIPTION ')) return undefined;
  const start = Math.max(line.indexOf('"'), 0);
  const last = line.lastIndexOf('"');
  const end = last < 0 ? line.length : last;
  return start < end ? line.slice(start + 1, end) : undefined;
}

/** The parameter that a trimmed line declares, if it declares one. */
export function paramOf(line: string, number = 0): Param | undefined {
  if (!line.startsWith('PARAM ')) return undefined;
  const tokens = words(line);
  const name = tokens[1];
  if (tokens.length < 4 || name === undefined) return undefined;
  const as = tokens.indexOf('AS');
  const written = ((as < 0 ? undefined : tokens[as + 1]) ?? 'string').toLowerCase();
  const example = quotedAfter(line, 'LIKE', 'first');
  const values = enumOf(line);
  return {
    name,
    type: typeOf(written),
    written,
    ...(example === undefined ? {} : { example }),
    description: quotedAfter(line, 'DESCRIPTION', 'last') ?? '',
    ...(values ? { enum: values } : {}),
    line: number,
  };
}

/** JSON Schema's name of a BASIC type. Whatever is unknown is a string. */
export function typeOf(written: string): Param['type'] {
  switch (written) {
    case 'integer':
    case 'int':
    case 'number':
      return 'integer';
    case 'float':
    case 'double':
    case 'decimal':
      return 'number';
    case 'boolean':
    case 'bool':
      return 'boolean';
    case 'array':
    case 'list':
      return 'array';
    case 'object':
    case 'map':
      return 'object';
    default:
      return 'string';
  }
}

/** What is between the first quotation mark after a word and the next, or the last one. */
function quotedAfter(line: string, word: string, until: 'first' | 'last'): string | undefined {
  const at = line.indexOf(word);
  if (at < 0) return undefined;
  const start = line.indexOf('"', at + word.length);
  if (start < 0) return undefined;
  const end = until === 'first' ? line.indexOf('"', start + 1) : line.lastIndexOf('"');
  return end > start ? line.slice(start + 1, end) : undefined;
}

/** The values of `ENUM [a, b]`. */
function enumOf(line: string): string[] | undefined {
  const at = line.indexOf('ENUM');
  const start = at < 0 ? -1 : line.indexOf('[', at + 4);
  const end = start < 0 ? -1 : line.indexOf(']', start);
  if (end < 0) return undefined;
  return line
    .slice(start + 1, end)
    .split(',')
    .map((value) => strip(strip(trim(value).text, '"'), "'"))
    .filter((value) => value !== '');
}

/** Without any of a character at both ends. */
function strip(text: string, char: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text[start] === char) start++;
  while (end > start && text[end - 1] === char) end--;
  return text.slice(start, end);
}
