import { closest, distance } from 'fastest-levenshtein';
import type { SourceFile } from '../../tree.js';
import type { Bot, Layout, Tool } from './layout.js';
import { type Statement, statementsOf } from './statements.js';

/** A USE TOOL or ADD TOOL with the script it stands in. */
export interface Use extends Statement {
  tool: Tool;
}

const known = new WeakMap<Bot, Use[]>();

/** All of a bot's. Worked out once for all rules. */
export function usesOf(bot: Bot): Use[] {
  const uses =
    known.get(bot) ??
    bot.tools
      .filter(({ file }) => isText(file.kind))
      .flatMap((tool) => statementsOf(tool.file.text).map((statement) => ({ ...statement, tool })));
  known.set(bot, uses);
  return uses;
}

/** Those that name a tool, by the name that is looked for. */
export function usesByName(bot: Bot): Map<string, Use[]> {
  const byName = new Map<string, Use[]>();
  for (const use of usesOf(bot)) {
    if (use.keyword !== 'USE TOOL' || use.argument.kind !== 'name') continue;
    const name = nameIn(use.argument.text);
    const others = byName.get(name);
    if (others) others.push(use);
    else byName.set(name, [use]);
  }
  return byName;
}

/** Whether it is a file with a text of its own. */
export function isText(kind: string): boolean {
  return kind === 'file' || kind === 'executable';
}

/** Whether it is UTF-8, as all readers want it. */
export function isUtf8({ text, bytes }: SourceFile): boolean {
  // A true U+FFFD in the file is possible, if odd.
  return !text.includes('\uFFFD') || Buffer.from(text).equals(bytes);
}

/** Whether the compiler can read it. */
export function isReadable(file: SourceFile): boolean {
  return isText(file.kind) && isUtf8(file);
}

/** The name that USE TOOL makes of its argument: without a path only where the ending is there. */
export function nameIn(argument: string): string {
  const at = argument.indexOf('.gbdialog/');
  const rest = at < 0 ? argument : argument.slice(at + '.gbdialog/'.length);
  return rest.endsWith('.bas') ? rest.slice(0, -'.bas'.length) : argument;
}

/** The name that was meant, whatever stands around it. */
export function nameMeant(argument: string): string {
  const file = argument.slice(argument.lastIndexOf('/') + 1);
  return file.replace(/(\.bas|\.mcp\.json)$/i, '');
}

/** Whether USE TOOL finds the file. */
export function hasOutput({ outputs }: Layout, bot: Bot, name: string): boolean {
  const path = `${bot.outputs}/${name}.mcp.json`;
  return outputs.has(path) || (name.includes('/') && bot.misplaced.has(path));
}

/** Whether the repository has no output of the bot at all, which is one finding of its own. */
export function isBare(bot: Bot): boolean {
  return bot.found === 0 && bot.misplaced.size === 0;
}

/** The name that is nearest to a wrong one, if any is near. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  if (name.length > 100 || names.length === 0) return undefined;
  const plain = (text: string) => text.toLowerCase().replace(/[-_ .]/g, '');
  const same = names.find((each) => plain(each) === plain(name));
  if (same) return same;
  const best = closest(name, names);
  return distance(name, best) <= Math.max(1, Math.floor(name.length * 0.4)) ? best : undefined;
}
