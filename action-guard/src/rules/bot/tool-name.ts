import { basename } from 'node:path';
import type { Rule } from '../../rule.js';
import { FUNCTION_NAME, quote } from './consumer.js';
import { layoutOf } from './layout.js';
import { type BotOptions, outputs, scripts } from './options.js';

/** A tool's name is its file's, and goes to the model's API. */
export const toolName: Rule<BotOptions> = {
  id: 'bot/tool-name',
  severity: 'error',
  title: 'The name of a script is one that models take for a function.',
  reason: `The model sees a tool by the name of its file, whatever \`name\` says, and models' APIs take letters, digits, \`_\` and \`-\` only, 64 of
them at most: they refuse the whole call for one bad name. The ending counts in lower case only: \`FOO.BAS\` is a tool called \`FOO.BAS\`.`,
  suppressible: true,
  files: () => scripts,
  reads: () => outputs,
  check: ({ head, options }) => {
    const { bots, outputs } = layoutOf(head, options);
    const tools = bots.flatMap((bot) => bot.tools);
    const known = new Set(tools.map(({ output }) => output));
    const alone = [...outputs.keys()].filter((path) => !known.has(path));
    const named = [
      ...tools.filter(({ kind }) => kind !== 'excluded'),
      ...alone.map((path) => ({ path, name: basename(path).slice(0, -'.mcp.json'.length) })),
    ];
    return named
      .filter(({ path, name }) => outputs.get(path)?.kind !== 'folder' && !FUNCTION_NAME.test(name))
      .map(({ path, name }) => ({
        status: 'fail' as const,
        at: { path, line: 1, column: 1 },
        message: /\.bas$/i.test(name)
          ? `The ending of ${basename(path)} is not in lower case: the tool is called ${quote(name)}, which models' APIs refuse.`
          : `Models' APIs refuse a tool called ${quote(name)}.`,
        todo: `Call it ${quote(suggestion(name))}.`,
      }));
  },
  samples: {
    good: ['get-price', 'get_price', 'GetPrice2', 'a', 'x'.repeat(64)].map((name) => ({
      name: `a script called ${name}`,
      files: { [`acme.gbai/acme.gbdialog/${name}.bas`]: '' },
    })),
    bad: [
      ['FOO.BAS', /not in lower case.*"FOO\.BAS"/],
      ['get price.bas', /refuse a tool called "get price"/],
      ['preço.bas', /"preço"/],
      ['a.b.bas', /"a\.b"/],
      [`${'x'.repeat(65)}.bas`, /refuse/],
      ['a.b.mcp.json', /"a\.b"/],
    ].map(([file, says]) => ({
      name: `a file called ${file}`,
      files: { [`acme.gbai/acme.gbdialog/${file}`]: '' },
      finds: [{ at: `acme.gbai/acme.gbdialog/${file}:1:1`, says: says as RegExp }],
    })),
  },
};

function suggestion(name: string): string {
  const plain = name
    .replace(/\.bas$/i, '')
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9_-]/g, '-');
  return plain.slice(0, 64) || 'tool';
}
