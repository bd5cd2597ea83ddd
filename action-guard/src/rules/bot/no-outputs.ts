import { dirname } from 'node:path';
import type { Finding, Rule } from '../../rule.js';
import { compile } from './compile.js';
import { type Bot, layoutOf, type Tool } from './layout.js';
import { type BotOptions, outputs, scripts } from './options.js';
import { isBare, isReadable } from './uses.js';

/** One finding for a bot without any output, and one for a repository without any: not one for each tool. */
export const noOutputs: Rule<BotOptions> = {
  id: 'bot/no-outputs',
  severity: 'error',
  title: 'The tools of a bot have their .mcp.json files.',
  reason: `\`USE TOOL\` looks for \`{bot}.gbai/{bot}.gbdialog/{tool}.mcp.json\` in the work folder, and skips the tool when the file is not there.
The answer "ERROR: Tool ... is not available" goes to nobody. A compiler that returns after it has written \`.ast\` writes none of
these files and still logs "Registered tool", which is how all tools of all bots went missing at once.

Keep the compiled files in the repository (or let \`mode: generate\` write them) in one of the folders of the option \`outputs\`.`,
  suppressible: true,
  files: () => scripts,
  reads: () => outputs,
  check: ({ head, options }) => {
    const { bots } = layoutOf(head, options);
    const withTools = bots.filter(({ tools }) => tools.some(({ kind }) => kind !== 'excluded'));
    const bare = withTools.filter(isBare);
    if (bare.length === 0) return [];
    const withAst = new Set(head.paths.filter((path) => path.endsWith('.ast')).map(dirname));
    const compiled = bare.some(({ outputs }) => withAst.has(outputs));
    const why = compiled ? ', though its .ast files are there' : '';
    if (bare.length === withTools.length) {
      const count = bare.length === 1 ? `bot ${bare[0]?.name}` : `${bare.length} bots`;
      return [
        finding(
          bare,
          `None of the ${countOf(bare)} of ${count} has its .mcp.json${why}: USE TOOL skips all of them without a word.`,
          options,
        ),
      ];
    }
    return bare.map((bot) =>
      finding(
        [bot],
        `None of the ${countOf([bot])} of bot ${bot.name} has its .mcp.json${why}: USE TOOL skips all of them without a word.`,
        options,
      ),
    );
  },
  samples: {
    good: [
      {
        name: 'the output lies beside its script',
        files: {
          'acme.gbai/acme.gbdialog/get-price.bas': 'DESCRIPTION "Price"\n',
          'acme.gbai/acme.gbdialog/get-price.mcp.json': compile('get-price', 'DESCRIPTION "Price"\n'),
        },
      },
      {
        name: 'the outputs lie in the work folder of the server',
        files: {
          'bots/acme.gbai/acme.gbdialog/get-price.bas': '',
          'botserver-stack/data/system/work/acme.gbai/acme.gbdialog/get-price.mcp.json': compile('get-price', ''),
        },
      },
      {
        name: 'one tool lacks its output where others have theirs, which another rule tells',
        files: {
          'acme.gbai/acme.gbdialog/a.bas': '',
          'acme.gbai/acme.gbdialog/b.bas': '',
          'acme.gbai/acme.gbdialog/a.mcp.json': compile('a', ''),
        },
      },
      {
        name: 'a bot of tables has no tools',
        files: { 'acme.gbai/acme.gbdialog/tables.bas': 'TABLE orders\nEND TABLE\n' },
      },
      { name: 'there are no bots', files: { 'README.md': '# acme\n' } },
    ],
    bad: [
      {
        name: 'no bot of the repository has any output: one finding',
        files: {
          'bots/acme.gbai/acme.gbdialog/a.bas': '',
          'bots/acme.gbai/acme.gbdialog/b.bas': '',
          'bots/crm.gbai/crm.gbdialog/c.bas': '',
        },
        finds: [{ at: 'bots/acme.gbai/acme.gbdialog/a.bas:1:1', says: /3 tools of 2 bots/ }],
      },
      {
        name: 'one bot of several has none: one finding for it',
        files: {
          'bots/acme.gbai/acme.gbdialog/a.bas': '',
          'bots/acme.gbai/acme.gbdialog/a.mcp.json': compile('a', ''),
          'bots/crm.gbai/crm.gbdialog/b.bas': '',
          'bots/crm.gbai/crm.gbdialog/c.bas': '',
        },
        finds: [{ at: 'bots/crm.gbai/crm.gbdialog/b.bas:1:1', says: /2 tools of bot crm/ }],
      },
      {
        name: 'the compiler wrote .ast files and stopped',
        files: {
          'work/acme.gbai/acme.gbdialog/a.bas': '',
          'work/acme.gbai/acme.gbdialog/a.ast': '',
          'work/acme.gbai/acme.gbdialog/b.bas': '',
          'work/acme.gbai/acme.gbdialog/b.ast': '',
        },
        finds: [{ at: 'work/acme.gbai/acme.gbdialog/a.bas:1:1', says: /though its .ast files are there/ }],
      },
      {
        name: 'the outputs are in a folder where nobody looks',
        files: { 'bots/acme.gbai/acme.gbdialog/a.bas': '', 'build/a.mcp.json': compile('a', '') },
        finds: [{ at: 'bots/acme.gbai/acme.gbdialog/a.bas:1:1', says: /1 tool of bot acme/ }],
      },
    ],
  },
};

function finding(bots: Bot[], message: string, { format }: BotOptions): Finding {
  const tools = bots.flatMap((bot) => bot.tools).filter(({ kind }) => kind !== 'excluded');
  const first = tools.find(({ kind }) => kind === 'tool') ?? (tools[0] as Tool);
  const todo = `Compile ${bots.length === 1 ? 'it' : 'them'} and commit the outputs, or write them with mode: generate; they belong in ${dirname(first.output)}.`;
  const fix = tools
    .filter(({ file }) => isReadable(file))
    .map(({ name, file, output }) => [output, compile(name, file.text, format)]);
  return {
    status: 'fail',
    severity: tools.every(({ kind }) => kind === 'entry') ? 'warning' : undefined,
    at: { path: first.path, line: 1, column: 1 },
    message,
    todo,
    fix: Object.fromEntries(fix),
  };
}

function countOf(bots: Bot[]): string {
  const count = bots.flatMap(({ tools }) => tools).filter(({ kind }) => kind !== 'excluded').length;
  return count === 1 ? '1 tool' : `${count} tools`;
}
