import { z } from 'zod';
import type { Preset } from '../../rule.js';

/** What differs from one operator's bots to another's. */
export const botOptions = z.object({
  outputs: z
    .array(z.string().min(1))
    .min(1)
    .describe(
      'Work folders, as paths in the repository, that hold {bot}.gbai/{bot}.gbdialog/*.mcp.json. "{bots}" stands for the folder where the bot itself lies. Of several, the one with most outputs of a bot counts.',
    ),
  format: z
    .enum(['generalbots', 'mcp', 'both'])
    .describe('Who reads the files: botserver (input_schema), an MCP client (inputSchema), or both.'),
  excluded: z.array(z.string()).describe('Names of scripts that are no tools, as globs: they need no .mcp.json.'),
  entryPoints: z.array(z.string()).describe('Names of scripts whose missing .mcp.json is a warning, as globs.'),
  types: z.array(z.string()).describe('Types that may stand after AS, in lower case.'),
});

export type BotOptions = z.infer<typeof botOptions>;

const all: BotOptions = {
  outputs: ['{bots}', 'botserver-stack/data/system/work', 'work'],
  format: 'generalbots',
  excluded: ['tables'],
  entryPoints: ['start'],
  // What the compiler tells apart, and what its documentation and templates use for texts.
  types: [
    ...['string', 'text', 'integer', 'int', 'number', 'float', 'double', 'decimal', 'boolean', 'bool'],
    ...['array', 'list', 'object', 'map', 'date', 'datetime', 'time', 'email', 'phone', 'money', 'name', 'file'],
    ...['url', 'qrcode', 'mobile', 'zipcode', 'hour', 'language', 'login', 'password'],
  ],
};

/** The two documents of the owners do not differ about bots. */
export const botPresets: Record<Preset, BotOptions> = { 'guide-lxd': all, 'infra-incus': all };

/** Where scripts are. A bot's name is that of its `.gbai`, or of its `.gbdialog` where there is none. */
export const scripts = ['**/*.gbai/**/*.[bB][aA][sS]', '**/*.gbdialog/**/*.[bB][aA][sS]'];

/** Where outputs are, right or wrong. */
export const outputs = ['**/*.gbai/**/?*.mcp.json', '**/*.gbdialog/**/?*.mcp.json'];
