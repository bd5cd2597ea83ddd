import { basename } from 'node:path';
import type { Rule } from '../../rule.js';
import { layoutOf, type Tool } from './layout.js';
import { type BotOptions, outputs, scripts } from './options.js';

/** Two scripts that are compiled to one file. */
export const basenameClash: Rule<BotOptions> = {
  id: 'bot/basename-clash',
  severity: 'error',
  title: 'No two scripts of a bot have the same name.',
  reason: `The compiler puts all scripts of a bot in one folder by the last part of their path: of \`crm.gbdialog/a/send.bas\` and
\`crm.gbdialog/b/send.bas\` the one that is compiled last overwrites the other. So do two dialogs of one bot, and two bots of one name in
one work folder.`,
  suppressible: true,
  files: () => scripts,
  reads: () => outputs,
  check: ({ head, options }) => {
    const byOutput = new Map<string, Tool[]>();
    for (const tool of layoutOf(head, options).bots.flatMap(({ tools }) => tools)) {
      const others = byOutput.get(tool.output);
      if (others) others.push(tool);
      else byOutput.set(tool.output, [tool]);
    }
    return [...byOutput.values()].flatMap(([first, ...others]) =>
      first && others.length
        ? others.map((tool) => ({
            status: 'fail' as const,
            at: { path: tool.path, line: 1, column: 1 },
            message: `${basename(tool.path)} is compiled to the same file as ${first.path}: one overwrites the other.`,
            todo: 'Give one of them another name.',
          }))
        : [],
    );
  },
  samples: {
    good: [
      {
        name: 'names differ',
        files: { 'acme.gbai/acme.gbdialog/a/send.bas': '', 'acme.gbai/acme.gbdialog/b/post.bas': '' },
      },
      {
        name: 'two bots with a script of the same name',
        files: { 'acme.gbai/acme.gbdialog/start.bas': '', 'crm.gbai/crm.gbdialog/start.bas': '' },
      },
      {
        name: 'names differ in case',
        files: { 'acme.gbai/acme.gbdialog/send.bas': '', 'acme.gbai/acme.gbdialog/b/Send.bas': '' },
      },
      {
        name: "the server's copy in its work folder",
        files: { 'bots/acme.gbai/acme.gbdialog/a.bas': '', 'work/acme.gbai/acme.gbdialog/a.bas': '' },
      },
      {
        name: 'two templates of one name that keep their outputs beside them',
        files: { 'hr/acme.gbai/acme.gbdialog/a.bas': '', 'it/acme.gbai/acme.gbdialog/a.bas': '' },
      },
    ],
    bad: [
      {
        name: 'in two folders of a dialog',
        files: { 'acme.gbai/acme.gbdialog/a/send.bas': '', 'acme.gbai/acme.gbdialog/b/send.bas': '' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/b/send.bas:1:1', says: /acme\.gbdialog\/a\/send\.bas/ }],
      },
      {
        name: 'in a folder and at the top',
        files: { 'acme.gbai/acme.gbdialog/a/send.bas': '', 'acme.gbai/acme.gbdialog/send.bas': '' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/send.bas:1:1', says: /same file/ }],
      },
      {
        name: 'in two dialogs of a bot',
        files: { 'acme.gbai/crm.gbdialog/send.bas': '', 'acme.gbai/hr.gbdialog/send.bas': '' },
        finds: [{ at: 'acme.gbai/hr.gbdialog/send.bas:1:1', says: /same file/ }],
      },
      {
        name: 'two bots of one name in one work folder',
        files: { 'hr/acme.gbai/acme.gbdialog/a.bas': '', 'it/acme.gbai/acme.gbdialog/a.bas': '' },
        options: { outputs: ['work'] },
        finds: [{ at: 'it/acme.gbai/acme.gbdialog/a.bas:1:1', says: /hr\/acme\.gbai/ }],
      },
    ],
  },
};
