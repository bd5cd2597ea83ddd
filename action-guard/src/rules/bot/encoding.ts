import { Lines } from '../../lines.js';
import type { Rule } from '../../rule.js';
import { layoutOf } from './layout.js';
import { type BotOptions, scripts } from './options.js';
import { isText, isUtf8 } from './uses.js';

/** A script that cannot be read. */
export const encoding: Rule<BotOptions> = {
  id: 'bot/encoding',
  severity: 'error',
  title: 'Every script is UTF-8.',
  reason: `A script that is not UTF-8 (Latin-1 from an old editor, UTF-16 from Windows) is an error of the upload: it is not compiled, and
the bot goes on with the one it had before.`,
  suppressible: false,
  files: () => scripts,
  check: ({ head, options }) =>
    layoutOf(head, options).bots.flatMap(({ tools }) =>
      tools.flatMap(({ path, file }) => {
        const { text } = file;
        if (!isText(file.kind)) return [];
        if (text.includes('\0'))
          return [
            finding(
              path,
              text,
              text.indexOf('\0'),
              'This script has a zero byte, as UTF-16 has: it is no text to the compiler.',
            ),
          ];
        if (isUtf8(file)) return [];
        return [
          finding(
            path,
            text,
            text.indexOf('\uFFFD'),
            'This script is not UTF-8 from here on: the bot goes on with what it had before.',
          ),
        ];
      }),
    ),
  samples: {
    good: [
      { name: 'accents in UTF-8', files: { 'acme.gbai/acme.gbdialog/a.bas': 'TALK "Olá, João"\n' } },
      { name: 'a replacement character that was meant', files: { 'acme.gbai/acme.gbdialog/a.bas': 'TALK "\uFFFD"\n' } },
    ],
    bad: [
      {
        name: 'UTF-16',
        files: { 'acme.gbai/acme.gbdialog/a.bas': 'T\0A\0L\0K\0' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/a.bas:1:2', says: /zero byte/ }],
      },
    ],
  },
};

function finding(path: string, text: string, at: number, message: string) {
  return {
    status: 'fail' as const,
    at: { path, ...new Lines(text).at(at) },
    message,
    todo: 'Save it as UTF-8 without a byte order mark.',
  };
}
