import { basename } from 'node:path';
import type { Finding, Rule } from '../../rule.js';
import { list, quote } from './consumer.js';
import { type Bot, type Layout, layoutOf, type Tool } from './layout.js';
import { type BotOptions, outputs, scripts } from './options.js';
import { hasOutput, isBare, nameIn, nameMeant, nearest, type Use, usesOf } from './uses.js';

/** Who writes hundreds of wrong names needs no hint for each. */
const MOST_HINTS = 200;

/** USE TOOL names a tool that is there. */
export const useToolUnresolved: Rule<BotOptions> = {
  id: 'bot/use-tool-unresolved',
  severity: 'error',
  title: 'Every USE TOOL names a tool of its bot, in a spelling that is found.',
  reason: `\`USE TOOL "x"\` on a line of its own becomes a call that *returns* "ERROR: Tool 'x' is not available", and nobody reads that: the
conversation goes on without the tool. With a comment behind it the script stops instead. Names are looked up in the bot's own folder,
in their own case; a path is cut off only where \`.bas\` stands at the end, so \`"acme.gbdialog/x"\` never finds anything.`,
  suppressible: true,
  files: () => scripts,
  reads: () => outputs,
  check: ({ head, options }) => {
    const layout = layoutOf(head, options);
    return layout.bots.flatMap((bot) => {
      const names = bot.tools.map(({ name }) => name);
      const hints = new Map<string, string | undefined>();
      const hint = (name: string) => {
        if (!hints.has(name)) hints.set(name, hints.size < MOST_HINTS ? nearest(name, names) : undefined);
        return hints.get(name);
      };
      const known = new Set(names);
      const fixes = new Map<string, Record<string, string>>();
      return usesOf(bot)
        .filter(({ keyword }) => keyword === 'USE TOOL')
        .flatMap((use): Finding[] => {
          const trouble = troubleOf(use, bot, layout, known, hint);
          if (!trouble) return [];
          const { fixable, ...rest } = trouble;
          const at = { path: use.tool.path, line: use.line + 1, column: use.column + 1 };
          if (!fixable) return [{ at, ...rest }];
          const fix = fixes.get(use.tool.path) ?? { [use.tool.path]: withoutPaths(use.tool, layout) };
          fixes.set(use.tool.path, fix);
          return [{ at, ...rest, fix }];
        });
    });
  },
  samples: {
    good: [
      use('the name of a tool', '"get-price"'),
      use('with the ending', '"get-price.bas"'),
      use('with the dialog and the ending', '"acme.gbdialog/get-price.bas"'),
      script('in lower case at the beginning of a line', 'use tool "get-price"\n'),
      script('indented', '  USE   TOOL  "get-price"  \n'),
      script('as a call', 'x = USE_TOOL("get-price")\nuse_tool( "get-price" );\n'),
      script('in the middle of a line', 'IF a THEN USE TOOL "get-price"\n'),
      script('comments are not read', '\' USE TOOL "nope"\nREM USE TOOL "nope"\n// USE TOOL "nope"\n'),
      script('texts are not read', 'BEGIN TALK\nUSE TOOL "nope"\nEND TALK\nTALK "say USE TOOL x"\n'),
      script('a mail is not read', 'BEGIN MAIL who\nUSE TOOL "nope"\nEND MAIL\n'),
      script(
        'CLEAR TOOLS and suggestions are other statements',
        'CLEAR TOOLS\nADD SUGGESTION TOOL "nope" AS "No"\nUSE TOOLS "nope"\n',
      ),
      {
        name: 'the bot has no outputs, but a script of that name',
        files: { 'acme.gbai/acme.gbdialog/start.bas': 'USE TOOL "faq"\n', 'acme.gbai/acme.gbdialog/faq.bas': '' },
      },
      {
        name: 'the tool lies in a folder of the dialog',
        files: {
          ...files('USE TOOL "spring"\n'),
          'acme.gbai/acme.gbdialog/campaigns/spring.bas': '',
          'acme.gbai/acme.gbdialog/spring.mcp.json': '{}',
        },
      },
      {
        name: 'a tool whose output is missing, which another rule tells',
        files: { ...files('USE TOOL "faq"\n'), 'acme.gbai/acme.gbdialog/faq.bas': '' },
      },
    ],
    bad: [
      wrong('a tool that is not there', '"nope"', '2:10', /no tool "nope".*skipped without a word/),
      wrong('a slip of the pen', '"get-pirce"', '2:10', /no tool "get-pirce"/),
      wrong('another case', '"Get-Price"', '2:10', /no tool "Get-Price"/),
      wrong('the dialog without the ending', '"acme.gbdialog/get-price"', '2:10', /looked for with its path/),
      wrong('the tool of another bot', '"crm.gbdialog/close-deal.bas"', '2:10', /no tool "close-deal"/),
      wrong('a path into the dialog', '"campaigns/get-price"', '2:10', /no tool "campaigns\/get-price"/),
      wrong('the ending in capitals', '"get-price.BAS"', '2:10', /no tool "get-price\.BAS"/),
      wrong('a space in the name', '" get-price"', '2:10', /no tool " get-price"/),
      wrong('an empty name', '""', '2:10', /names no tool/),
      wrong('nothing', '', '2:1', /names no tool/),
      wrong('single quotation marks', "'get-price'", '2:10', /single quotation marks/),
      wrong('no quotation marks', 'get-price', '2:10', /needs quotation marks/),
      wrong('a comment behind it', '"nope" \' for prices', '2:10', /stops the script/),
      {
        name: 'a call',
        files: files('x = USE_TOOL("nope")\n'),
        finds: [{ at: 'acme.gbai/acme.gbdialog/start.bas:2:14', says: /without a word/ }],
      },
      {
        name: 'in the middle of a line',
        files: files('IF a THEN USE TOOL "nope"\n'),
        finds: [{ at: 'acme.gbai/acme.gbdialog/start.bas:2:20', says: /stops the script/ }],
      },
      {
        name: 'a variable: it cannot be told',
        files: files('USE TOOL which\nUSE TOOL "get-" + what\n'),
        finds: [
          { at: 'acme.gbai/acme.gbdialog/start.bas:2:10', says: /could not be told/, status: 'unknown' },
          { at: 'acme.gbai/acme.gbdialog/start.bas:3:10', says: /could not be told/, status: 'unknown' },
        ],
      },
      {
        name: 'a script that is no tool, as its output is excluded',
        files: { ...files('USE TOOL "tables"\n'), 'acme.gbai/acme.gbdialog/tables.bas': '' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/start.bas:2:10', says: /tables\.bas has no \.mcp\.json/ }],
      },
      {
        name: 'the bot has no outputs, and no script of that name either',
        files: { 'acme.gbai/acme.gbdialog/start.bas': 'USE TOOL "fap"\n', 'acme.gbai/acme.gbdialog/faq.bas': '' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/start.bas:1:10', says: /no tool "fap"/ }],
      },
    ],
  },
};

type Trouble = Pick<Finding, 'status' | 'message' | 'todo'> & { fixable?: boolean };

function troubleOf(
  { argument, silent }: Use,
  bot: Bot,
  layout: Layout,
  known: Set<string>,
  hint: (name: string) => string | undefined,
): Trouble | undefined {
  const then = silent ? 'it is skipped without a word' : 'it stops the script';
  const meant = (name: string) => {
    const near = hint(nameMeant(name));
    return near ? `Did you mean "${near}"?` : `It has ${someOf([...known])}.`;
  };
  switch (argument.kind) {
    case 'none':
      return { status: 'fail', message: 'USE TOOL names no tool.', todo: 'Name one, as in USE TOOL "get-price".' };
    case 'single':
      return {
        status: 'fail',
        message: `USE TOOL has ${quote(argument.text)} in single quotation marks, which make no text: the script stops.`,
        todo: `Write USE TOOL ${quote(argument.text)}.`,
      };
    case 'expression': {
      const { text } = argument;
      if (known.has(text) || (text.includes('-') && !text.startsWith('"')))
        return {
          status: 'fail',
          message: `USE TOOL needs quotation marks around ${quote(text)}: without them it is a variable.`,
          todo: `Write USE TOOL ${quote(text)}.`,
        };
      return { status: 'unknown', message: `Which tool USE TOOL means by ${quote(text)} could not be told.` };
    }
  }
  const name = nameIn(argument.text);
  if (name === '')
    return {
      status: 'fail',
      message: `USE TOOL names no tool: ${then}.`,
      todo: 'Name one, as in USE TOOL "get-price".',
    };
  const bare = isBare(bot);
  if (bare ? known.has(name) : hasOutput(layout, bot, name)) return undefined;
  if (known.has(name)) {
    const tool = bot.tools.find((each) => each.name === name);
    // Another rule tells of the missing output, and names this line.
    if (tool?.kind === 'tool') return undefined;
    return {
      status: 'fail',
      message: `${basename(tool?.path ?? name)} has no .mcp.json: ${then}.`,
      todo: `Compile it and commit ${tool?.output}.`,
    };
  }
  if (argument.text.includes('.gbdialog/') && !argument.text.endsWith('.bas')) {
    const short = nameMeant(argument.text);
    return {
      status: 'fail',
      message: `USE TOOL ${quote(argument.text)} is looked for with its path, as it does not end with .bas: ${then}.`,
      todo: known.has(short) ? `Write USE TOOL "${short}".` : meant(short),
      fixable: known.has(short),
    };
  }
  return { status: 'fail', message: `Bot ${bot.name} has no tool ${quote(name)}: ${then}.`, todo: meant(name) };
}

function someOf(names: string[]): string {
  return names.length > 8 ? `${names.slice(0, 7).join(', ')} and ${names.length - 7} others` : list(names);
}

/** A script whose USE TOOLs with a path and no ending have the bare name. */
function withoutPaths(script: Tool, layout: Layout): string {
  const { bot } = script;
  const lines = script.file.text.split('\n');
  const names = new Set(bot.tools.map(({ name }) => name));
  for (const { line, column, argument, keyword } of usesOf(bot)
    .filter(({ tool }) => tool === script)
    .reverse()) {
    if (keyword !== 'USE TOOL' || argument.kind !== 'name') continue;
    const short = nameMeant(argument.text);
    if (!argument.text.includes('.gbdialog/') || argument.text.endsWith('.bas') || !names.has(short)) continue;
    if (hasOutput(layout, bot, argument.text)) continue;
    const before = lines[line] as string;
    lines[line] = before.slice(0, column) + before.slice(column).replace(`"${argument.text}"`, () => `"${short}"`);
  }
  return lines.join('\n');
}

function files(more: string): Record<string, string> {
  return {
    'acme.gbai/acme.gbdialog/start.bas': `TALK "Hello"\n${more}`,
    'acme.gbai/acme.gbdialog/get-price.bas': 'PARAM sku AS STRING DESCRIPTION "Article"\n',
    'acme.gbai/acme.gbdialog/get-price.mcp.json': '{}',
    'crm.gbai/crm.gbdialog/close-deal.bas': '',
    'crm.gbai/crm.gbdialog/close-deal.mcp.json': '{}',
  };
}

function script(name: string, more: string) {
  return { name, files: files(more) };
}

function use(name: string, argument: string) {
  return script(name, `USE TOOL ${argument}\n`);
}

function wrong(name: string, argument: string, place: string, says: RegExp) {
  return { ...use(name, argument), finds: [{ at: `acme.gbai/acme.gbdialog/start.bas:${place}`, says }] };
}
