import type { Rule } from '../../rule.js';
import { type Bot, layoutOf } from './layout.js';
import { type BotOptions, scripts } from './options.js';
import { usesOf } from './uses.js';

/** ADD TOOL is an old name of USE TOOL that nothing knows any more. */
export const addTool: Rule<BotOptions> = {
  id: 'bot/add-tool',
  severity: 'warning',
  title: 'Scripts say USE TOOL; ADD TOOL is no statement any more.',
  reason: `No statement \`ADD TOOL\` is registered with today's botserver, though a hundred lines of its templates have it: the script does not
even start. One finding for a script.`,
  suppressible: true,
  files: () => scripts,
  check: ({ head, options }) =>
    layoutOf(head, options).bots.flatMap((bot) =>
      [...linesByScript(bot)].map(([path, { text, places }]) => ({
        status: 'fail' as const,
        at: { path, line: (places[0]?.line ?? 0) + 1, column: (places[0]?.column ?? 0) + 1 },
        message: `ADD TOOL is no statement${timesMore(places.length - 1)}: the script stops.`,
        todo: 'Write USE TOOL.',
        fix: { [path]: withUse(text, places) },
      })),
    ),
  samples: {
    good: [
      { name: 'USE TOOL', files: { 'acme.gbai/acme.gbdialog/start.bas': 'USE TOOL "faq"\n' } },
      {
        name: 'ADD SUGGESTION TOOL',
        files: { 'acme.gbai/acme.gbdialog/start.bas': 'ADD SUGGESTION TOOL "faq" AS "FAQ"\n' },
      },
      { name: 'in a comment', files: { 'acme.gbai/acme.gbdialog/start.bas': '\' ADD TOOL "faq"\n' } },
    ],
    bad: [
      {
        name: 'ADD TOOL twice in a script: one finding',
        files: { 'acme.gbai/acme.gbdialog/start.bas': 'TALK "Hi"\n  ADD TOOL "faq"\nADD TOOL "price"\n' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/start.bas:2:12', says: /here and once more/ }],
      },
    ],
  },
};

function timesMore(count: number): string {
  return count === 0 ? '' : count === 1 ? ', here and once more' : `, here and ${count} more times`;
}

type Place = { line: number; column: number };

function linesByScript(bot: Bot): Map<string, { text: string; places: Place[] }> {
  const found = new Map<string, { text: string; places: Place[] }>();
  for (const { keyword, line, column, tool } of usesOf(bot)) {
    if (keyword !== 'ADD TOOL') continue;
    const places = found.get(tool.path)?.places ?? [];
    places.push({ line, column });
    found.set(tool.path, { text: tool.file.text, places });
  }
  return found;
}

function withUse(text: string, places: Place[]): string {
  const lines = text.split('\n');
  // The column is that of the name; the statement stands before it.
  for (const line of new Set(places.map((place) => place.line)))
    lines[line] = (lines[line] as string).replace(/\bADD(?=\s{1,99}TOOL\b)/gi, 'USE');
  return lines.join('\n');
}
