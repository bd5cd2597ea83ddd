import { basename } from 'node:path';
import type { Rule } from '../../rule.js';
import { compile } from './compile.js';
import { list } from './consumer.js';
import { type Bot, layoutOf, type Tool } from './layout.js';
import { type BotOptions, outputs, scripts } from './options.js';
import { hasOutput, isBare, isReadable, type Use, usesByName } from './uses.js';

/** Every tool has its `.mcp.json`, parameters or not. */
export const mcpMissing: Rule<BotOptions> = {
  id: 'bot/mcp-missing',
  severity: 'error',
  title: 'Every tool of a bot has its .mcp.json where USE TOOL looks for it, tools without parameters too.',
  reason: `The compiler once wrote \`.mcp.json\` only for scripts with a \`PARAM\`: tools that do no more than \`USE KB\` got none, and
\`USE TOOL\` skipped them silently. Outputs are looked up by the **bot's** name, whatever its dialog is called
(\`sales-deals.gbai/crm.gbdialog/x.bas\` belongs to \`sales-deals.gbai/sales-deals.gbdialog/x.mcp.json\`), in the case of the script's name.

\`tables\` is no tool (option \`excluded\`); for \`start\` it is a warning (option \`entryPoints\`).`,
  suppressible: true,
  files: () => scripts,
  reads: () => outputs,
  check: ({ head, options }) => {
    const layout = layoutOf(head, options);
    const paths = new Map([...layout.outputs.keys()].map((path) => [path.toLowerCase(), path]));
    // By the last part of their path, in lower case.
    const byName = (bot: Bot) => new Map([...bot.misplaced].map((path) => [basename(path).toLowerCase(), path]));
    return layout.bots
      .filter((bot) => !isBare(bot))
      .flatMap((bot) => {
        const missing = bot.tools.filter(({ kind, name }) => kind !== 'excluded' && !hasOutput(layout, bot, name));
        if (missing.length === 0) return [];
        const [uses, misplaced] = [usesByName(bot), byName(bot)];
        return missing.map((tool) => ({
          status: 'fail' as const,
          severity: tool.kind === 'entry' ? ('warning' as const) : undefined,
          at: { path: tool.path, line: 1, column: 1 },
          message: `Tool ${tool.name} has no ${basename(tool.output)}: ${consequence(uses.get(tool.name))}.`,
          todo:
            elsewhere(tool, paths, misplaced) ??
            `Compile it and commit ${tool.output}, or write it with mode: generate.`,
          fix: isReadable(tool.file)
            ? { [tool.output]: compile(tool.name, tool.file.text, options.format) }
            : undefined,
        }));
      });
  },
  samples: {
    good: [
      {
        name: 'a tool with parameters has its output',
        files: tools({ 'get-price.bas': 'PARAM sku AS STRING DESCRIPTION "Article"\n', 'get-price.mcp.json': '{}' }),
      },
      {
        name: 'a tool of USE KB only has its output',
        files: tools({ 'faq.bas': 'USE KB "faq"\n', 'faq.mcp.json': compile('faq', 'USE KB "faq"\n') }),
      },
      { name: 'tables.bas is no tool', files: tools({ 'tables.bas': '', 'a.bas': '', 'a.mcp.json': '{}' }) },
      {
        name: 'the folder of the output has the name of the bot, not of the dialog',
        files: {
          'sales-deals.gbai/crm.gbdialog/close-deal.bas': '',
          'sales-deals.gbai/sales-deals.gbdialog/close-deal.mcp.json': '{}',
        },
      },
      {
        name: 'a dialog outside of any .gbai gives its own name',
        files: { 'acme.gbdialog/a.bas': '', 'acme.gbdialog/a.mcp.json': '{}' },
      },
      {
        name: 'a tool in a folder of the dialog has its output at the top',
        files: tools({ 'campaigns/spring.bas': '', 'spring.mcp.json': '{}' }),
      },
      {
        name: 'a name with dots loses its last ending only',
        files: tools({ 'a.b.bas': '', 'a.b.mcp.json': '{}' }),
      },
      {
        name: 'the work folder of the server has a copy of the script beside the output',
        files: {
          'bots/acme.gbai/acme.gbdialog/a.bas': '',
          'work/acme.gbai/acme.gbdialog/a.bas': '',
          'work/acme.gbai/acme.gbdialog/a.mcp.json': '{}',
        },
      },
      {
        name: 'a script that the options exclude',
        files: tools({ 'crm-jobs.bas': '', 'a.bas': '', 'a.mcp.json': '{}' }),
        options: { excluded: ['*-jobs'] },
      },
    ],
    bad: [
      ...Object.entries({
        'with parameters': 'PARAM sku AS STRING DESCRIPTION "Article"\n',
        'of USE KB only': 'USE KB "faq"\n',
        'that is empty': '',
        'of comments only': "' Price list\nREM nothing yet\n// later\n",
        'with PARAM in lower case': 'param sku as string like "A-1" description "Article"\n',
        'with a DESCRIPTION and no PARAM': 'DESCRIPTION "Answers questions"\nUSE KB "faq"\n',
      }).map(([name, text]) => ({
        name: `a tool ${name} has no output`,
        files: tools({ 'faq.bas': text, 'a.bas': '', 'a.mcp.json': '{}' }),
        finds: [{ at: 'acme.gbai/acme.gbdialog/faq.bas:1:1', says: /faq\.mcp\.json/ }],
      })),
      {
        name: 'the output lies in the folder of the dialog, not of the bot',
        files: {
          'sales-deals.gbai/crm.gbdialog/x.bas': '',
          'sales-deals.gbai/crm.gbdialog/x.mcp.json': compile('x', ''),
        },
        finds: [{ at: 'sales-deals.gbai/crm.gbdialog/x.bas:1:1', says: /x\.mcp\.json/ }],
      },
      {
        name: 'the name of the output has another case',
        files: tools({ 'x.bas': '', 'X.mcp.json': '{}' }),
        finds: [{ at: 'acme.gbai/acme.gbdialog/x.bas:1:1', says: /x\.mcp\.json/ }],
      },
      {
        name: 'a script with its ending in capitals keeps it in its name',
        files: tools({ 'FOO.BAS': '', 'FOO.mcp.json': '{}' }),
        finds: [{ at: 'acme.gbai/acme.gbdialog/FOO.BAS:1:1', says: /FOO\.BAS\.mcp\.json/ }],
      },
      {
        name: 'the output of a nested script lies beside it and not at the top of the dialog',
        files: tools({ 'campaigns/spring.bas': '', 'campaigns/spring.mcp.json': '{}' }),
        finds: [{ at: 'acme.gbai/acme.gbdialog/campaigns/spring.bas:1:1', says: /spring\.mcp\.json/ }],
      },
      {
        name: 'start.bas lacks its output: a warning',
        files: tools({ 'start.bas': '', 'a.bas': '', 'a.mcp.json': '{}' }),
        finds: [{ at: 'acme.gbai/acme.gbdialog/start.bas:1:1', says: /start\.mcp\.json/ }],
      },
      {
        name: 'another tool uses the one that is missing',
        files: tools({
          'start.bas': 'TALK "hi"\nUSE TOOL "faq"\n',
          'start.mcp.json': '{}',
          'faq.bas': 'USE KB "faq"\n',
        }),
        finds: [{ at: 'acme.gbai/acme.gbdialog/faq.bas:1:1', says: /start\.bas:2 skips it without a word/ }],
      },
      {
        name: 'only the .tool.json is there',
        files: tools({ 'a.bas': '', 'a.mcp.json': '{}', 'b.bas': '', 'b.tool.json': '{}' }),
        finds: [{ at: 'acme.gbai/acme.gbdialog/b.bas:1:1', says: /b\.mcp\.json/ }],
      },
    ],
  },
};

function tools(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [`acme.gbai/acme.gbdialog/${name}`, text]));
}

function consequence(uses: Use[] = []): string {
  if (uses.length === 0) return 'USE TOOL would skip it without a word';
  const places = uses.slice(0, 3).map(({ tool, line }) => `${basename(tool.path)}:${line + 1}`);
  if (uses.length > 3) places.push(`${uses.length - 3} more`);
  return `USE TOOL in ${list(places)} ${uses.length === 1 ? 'skips' : 'skip'} it without a word`;
}

/** A file that was meant to be it. */
function elsewhere({ output }: Tool, paths: Map<string, string>, misplaced: Map<string, string>): string | undefined {
  const near = paths.get(output.toLowerCase()) ?? misplaced.get(basename(output).toLowerCase());
  return near && `There is ${near}, where nobody looks: move it to ${output}.`;
}
