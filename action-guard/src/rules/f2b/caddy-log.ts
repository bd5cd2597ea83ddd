import type { Position } from '../../rule.js';
import type { Tree } from '../../tree.js';

/** A file that Caddy writes its access log to. */
export interface AccessLog {
  path: string;
  format: string;
  at: Position;
}

/** Files that the Caddyfiles write logs to. Enough of their grammar for `log { output file PATH; format NAME }`. */
export function accessLogs(tree: Tree, globs: string[]): { logs: AccessLog[]; variable: boolean } {
  const logs: AccessLog[] = [];
  let variable = false;
  for (const file of tree.matching(globs)) {
    if (file.kind === 'link' || file.kind === 'submodule') continue;
    const stack: { name: string; output?: AccessLog; format: string }[] = [];
    for (const [index, line] of file.text.split('\n').entries()) {
      const words = wordsOf(line);
      const opens = words.at(-1)?.text === '{';
      const block = stack.at(-1);
      if (block?.name === 'log') {
        if (words[0]?.text === 'output' && words[1]?.text === 'file' && words[2]) {
          const at = { path: file.path, line: index + 1, column: words[2].column };
          block.output = { path: words[2].text, format: '', at };
          if (words[2].text.includes('{')) variable = true;
        }
        if (words[0]?.text === 'format') block.format = words[1]?.text ?? '';
      }
      if (opens) stack.push({ name: words[0]?.text ?? '', format: '' });
      else if (words[0]?.text === '}') {
        const closed = stack.pop();
        if (closed?.output) logs.push({ ...closed.output, format: closed.format });
      }
    }
  }
  return { logs, variable };
}

function wordsOf(line: string): { text: string; column: number }[] {
  const words: { text: string; column: number }[] = [];
  for (let at = 0; at < line.length; ) {
    const char = line.charAt(at);
    if (char === ' ' || char === '\t' || char === '\r') {
      at++;
      continue;
    }
    if (char === '#') break;
    const quoted = char === '"' || char === '`';
    let end = quoted ? line.indexOf(char, at + 1) : at;
    if (!quoted) while (end < line.length && !' \t\r'.includes(line.charAt(end))) end++;
    if (end < 0) end = line.length;
    words.push({ text: line.slice(quoted ? at + 1 : at, end), column: at + 1 });
    at = quoted ? end + 1 : end;
  }
  return words;
}
