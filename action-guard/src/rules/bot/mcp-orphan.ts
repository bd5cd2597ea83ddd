import { basename, dirname } from 'node:path';
import type { Rule } from '../../rule.js';
import { compile } from './compile.js';
import { type Bot, layoutOf } from './layout.js';
import { type BotOptions, outputs, scripts } from './options.js';
import { nearest } from './uses.js';

/** A `.mcp.json` whose script is gone. */
export const mcpOrphan: Rule<BotOptions> = {
  id: 'bot/mcp-orphan',
  severity: 'warning',
  title: 'Every .mcp.json has its script.',
  reason: `\`USE TOOL\` asks only whether the \`.mcp.json\` is there. When a script was renamed or taken out and its output stayed, the model is
still offered the tool, calls it, and nothing can run. The rule speaks of bots that have scripts in the repository.`,
  suppressible: true,
  files: () => outputs,
  reads: () => scripts,
  check: ({ head, options }) => {
    const { bots, outputs } = layoutOf(head, options);
    const byFolder = new Map<string, Bot>(bots.map((bot) => [bot.outputs, bot]));
    const expected = new Set(bots.flatMap(({ tools }) => tools.map(({ output }) => output)));
    return [...outputs].flatMap(([path, { kind }]) => {
      const name = basename(path).slice(0, -'.mcp.json'.length);
      const bot = byFolder.get(dirname(path));
      if (kind === 'folder' || !bot || expected.has(path)) return [];
      const near = nearest(
        name,
        bot.tools.map((tool) => tool.name),
      );
      return [
        {
          status: 'fail' as const,
          at: { path, line: 1, column: 1 },
          message: `There is no ${name}.bas in bot ${bot.name} for this output: the model is offered a tool that nothing runs.`,
          todo: near ? `Take it out, or rename it if it is that of ${near}.bas.` : 'Take it out.',
        },
      ];
    });
  },
  samples: {
    good: [
      { name: 'the script is there', files: files({ 'a.bas': '', 'a.mcp.json': compile('a', '') }) },
      {
        name: 'the script is in a folder of the dialog',
        files: files({ 'sub/a.bas': '', 'a.mcp.json': compile('a', '') }),
      },
      { name: 'the repository has no scripts of the bot', files: files({ 'a.mcp.json': compile('a', '') }) },
      {
        name: 'an output of an excluded script',
        files: files({ 'tables.bas': '', 'tables.mcp.json': compile('tables', '') }),
      },
    ],
    bad: [
      {
        name: 'the script was renamed',
        files: files({ 'get-prices.bas': '', 'get-prices.mcp.json': '{}', 'get-price.mcp.json': '{}' }),
        finds: [{ at: 'acme.gbai/acme.gbdialog/get-price.mcp.json:1:1', says: /no get-price\.bas/ }],
      },
      {
        name: 'the case of the name differs',
        files: files({ 'faq.bas': '', 'FAQ.mcp.json': '{}' }),
        finds: [{ at: 'acme.gbai/acme.gbdialog/FAQ.mcp.json:1:1', says: /no FAQ\.bas/ }],
      },
    ],
  },
};

function files(all: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(all).map(([name, text]) => [`acme.gbai/acme.gbdialog/${name}`, text]));
}
