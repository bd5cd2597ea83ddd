import type { Tree } from '../../tree.js';
import { compile } from './compile.js';
import { layoutOf } from './layout.js';
import type { BotOptions } from './options.js';
import { isReadable } from './uses.js';

/**
 * Every `.mcp.json` that the tools of a tree should have, by path, as the compiler would write them: for `mode: generate`.
 * Of two scripts of one output (a finding of bot/basename-clash) the later by path wins, as on the server.
 */
export function generate(tree: Tree, options: BotOptions): Map<string, string> {
  const tools = layoutOf(tree, options).bots.flatMap((bot) => bot.tools);
  return new Map(
    tools
      .filter(({ kind, file }) => kind !== 'excluded' && isReadable(file))
      .map(({ name, file, output }) => [output, compile(name, file.text, options.format)]),
  );
}
