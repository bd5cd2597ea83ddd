import { basename, dirname } from 'node:path';
import type { SourceFile, Tree } from '../../tree.js';
import { matcher } from '../../tree.js';
import { keeper, leaveOut } from '../../unread.js';
import { type BotOptions, outputs as outputGlobs, scripts } from './options.js';

/** A script that the bot compiler takes for a tool. */
export interface Tool {
  /** Its file's name without `.bas`; `FOO.BAS` keeps it. */
  name: string;
  path: string;
  file: SourceFile;
  bot: Bot;
  /** `excluded`: no tool. `entry`: may do without an output. */
  kind: 'tool' | 'entry' | 'excluded';
  /** Where its `.mcp.json` belongs. */
  output: string;
}

/** A bot with its scripts. */
export interface Bot {
  name: string;
  /** Its `.gbai` folder, or its `.gbdialog` where there is no `.gbai`. */
  folder: string;
  tools: Tool[];
  /** Where its `.mcp.json` files belong; the only folder where USE TOOL looks. */
  outputs: string;
  /** How many there are. */
  found: number;
  /** Paths of those that lie elsewhere in the bot. */
  misplaced: Set<string>;
}

/** A `.mcp.json`, or a folder of that name with the first path in it. */
export type Output = { kind: 'file' } | { kind: 'folder'; first: string };

/** All bots of a tree. */
export interface Layout {
  bots: Bot[];
  /** Scripts in a `.gbai` and in none of its dialogs. */
  outside: SourceFile[];
  /** Every `.mcp.json` where a bot looks for it, by path. */
  outputs: Map<string, Output>;
  tool(path: string): Tool | undefined;
}

const kept = keeper<Tree, Layout>();

/** Finds bots, their tools and where the outputs of those belong. Worked out once for all rules. */
export function layoutOf(tree: Tree, options: BotOptions): Layout {
  return kept(tree, JSON.stringify(options), () => survey(tree, options));
}

function survey(tree: Tree, options: BotOptions): Layout {
  const isRead = matcher(outputGlobs);
  const outputs = new Map<string, Output>();
  const counts = new Map<string, number>();
  const misplaced = new Map<string, Set<string>>();
  for (const path of tree.paths) {
    const output = outputOf(path);
    if (!output || outputs.has(output.path) || (output.kind === 'file' && !isRead(path))) continue;
    const folder = dirname(output.path);
    if (isOutputFolder(folder)) {
      outputs.set(output.path, output.kind === 'file' ? { kind: 'file' } : { kind: 'folder', first: path });
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    } else {
      const bot = placeOf(output.path)?.folder ?? '';
      const others = misplaced.get(bot);
      if (others) others.add(output.path);
      else misplaced.set(bot, new Set([output.path]));
    }
  }

  const bots = new Map<string, Bot>();
  const outside: SourceFile[] = [];
  const [isExcluded, isEntry] = [matcher(options.excluded), matcher(options.entryPoints)];
  for (const file of tree.matching(scripts)) {
    if (file.kind === 'link')
      leaveOut({
        at: { path: file.path, line: 1, column: 1 },
        message: 'This script is a symbolic link, and links are not followed.',
        todo: 'Commit the file itself.',
        whole: false,
      });
    const place = placeOf(file.path);
    if (!place?.dialog) {
      if (place) outside.push(file);
      continue;
    }
    let bot = bots.get(place.folder);
    if (!bot) {
      bot = {
        name: place.name,
        folder: place.folder,
        tools: [],
        outputs: '',
        found: 0,
        misplaced: misplaced.get(place.folder) ?? new Set(),
      };
      bots.set(place.folder, bot);
    }
    const name = nameOf(file.path);
    const kind = isExcluded(name) ? 'excluded' : isEntry(name) ? 'entry' : 'tool';
    bot.tools.push({ name, path: file.path, file, bot, kind, output: '' });
  }

  const sources = withoutCopies([...bots.values()], options);
  const usual = usualRoot(sources, options, counts);
  const tools = new Map<string, Tool>();
  for (const bot of sources) {
    const folders = options.outputs.map((root) => folderOf(bot, root));
    bot.outputs = folderOf(bot, usual);
    for (const folder of folders) if ((counts.get(folder) ?? 0) > (counts.get(bot.outputs) ?? 0)) bot.outputs = folder;
    bot.found = counts.get(bot.outputs) ?? 0;
    for (const tool of bot.tools) {
      tool.output = join(bot.outputs, `${tool.name}.mcp.json`);
      tools.set(tool.path, tool);
    }
  }
  return { bots: sources, outside, outputs, tool: (path) => tools.get(path) };
}

/** What of a path is a bot. Undefined for files of no bot. */
function placeOf(path: string): { name: string; folder: string; dialog: boolean } | undefined {
  const segments = path.split('/');
  segments.pop();
  const at = (ending: string) => segments.findIndex((segment) => segment.endsWith(ending) && segment !== ending);
  const [gbai, gbdialog] = [at('.gbai'), segments.findIndex((segment) => segment.endsWith('.gbdialog'))];
  const first = gbai >= 0 ? gbai : gbdialog;
  if (first < 0) return undefined;
  return {
    name: (segments[first] as string).replace(/\.(gbai|gbdialog)$/, ''),
    folder: segments.slice(0, first + 1).join('/'),
    // As the compiler asks its database: any folder of the path.
    dialog: gbdialog >= 0,
  };
}

/** The `.mcp.json` that a path is, or is in. */
function outputOf(path: string): { path: string; kind: 'file' | 'folder' } | undefined {
  const ending = '.mcp.json';
  for (let at = path.indexOf(ending); at >= 0; at = path.indexOf(ending, at + 1)) {
    const end = at + ending.length;
    if (at === 0 || path[at - 1] === '/') continue;
    if (end === path.length) return { path, kind: 'file' };
    if (path[end] === '/') return { path: path.slice(0, end), kind: 'folder' };
  }
  return undefined;
}

/** Whether it is `{bot}.gbai/{bot}.gbdialog`, or a `.gbdialog` in no `.gbai`. */
function isOutputFolder(folder: string): boolean {
  const [dialog, bot] = folder.split('/').reverse();
  if (!dialog?.endsWith('.gbdialog')) return false;
  const name = dialog.slice(0, -'.gbdialog'.length);
  return bot === `${name}.gbai` || !`/${folder}`.includes('.gbai/');
}

function folderOf(bot: Bot, root: string): string {
  if (root === '{bots}') return bot.folder.endsWith('.gbai') ? join(bot.folder, `${bot.name}.gbdialog`) : bot.folder;
  return join(root.replace(/^\.\//, ''), `${bot.name}.gbai/${bot.name}.gbdialog`);
}

/** Where the repository keeps its outputs: what a bot that has none is told. */
function usualRoot(bots: Bot[], { outputs }: BotOptions, counts: Map<string, number>): string {
  let [best, most] = [outputs[0] as string, 0];
  for (const root of outputs) {
    const count = bots.reduce((sum, bot) => sum + (counts.get(folderOf(bot, root)) ?? 0), 0);
    if (count > most) [best, most] = [root, count];
  }
  return best;
}

/** The server copies scripts into its work folder: those are no second bot. */
function withoutCopies(bots: Bot[], { outputs }: BotOptions): Bot[] {
  const isCopy = ({ folder }: Bot) => outputs.some((root) => dirname(folder) === root.replace(/^\.\//, ''));
  const originals = new Set(bots.filter((bot) => !isCopy(bot)).map(({ name }) => name));
  return bots.filter((bot) => !isCopy(bot) || !originals.has(bot.name));
}

function nameOf(path: string): string {
  const name = basename(path);
  return name.endsWith('.bas') && name !== '.bas' ? name.slice(0, -'.bas'.length) : name;
}

function join(folder: string, name: string): string {
  return folder === '.' || folder === '' ? name : `${folder.replace(/\/$/, '')}/${name}`;
}
