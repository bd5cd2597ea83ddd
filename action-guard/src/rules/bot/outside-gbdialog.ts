import type { Rule } from '../../rule.js';
import { layoutOf } from './layout.js';
import { type BotOptions, outputs, scripts } from './options.js';

/** A script that is never compiled. */
export const outsideGbdialog: Rule<BotOptions> = {
  id: 'bot/outside-gbdialog',
  severity: 'error',
  title: 'Every script of a bot lies in a .gbdialog folder.',
  reason: `The compiler asks for files below a \`.gbdialog\` folder only. A \`.bas\` file directly in the \`.gbai\` is uploaded, never compiled and
never run, and nothing says so: five of the platform's own templates lie so.`,
  suppressible: true,
  files: () => ['**/*.gbai/**/*.[bB][aA][sS]'],
  reads: () => [...scripts, ...outputs],
  check: ({ head, options }) =>
    layoutOf(head, options).outside.map(({ path }) => {
      const [bot] = /[^/]+(?=\.gbai\/)/.exec(path) ?? [''];
      const folder = path.slice(0, path.indexOf('.gbai/') + '.gbai'.length);
      return {
        status: 'fail' as const,
        at: { path, line: 1, column: 1 },
        message: 'This script lies in no .gbdialog folder: it is never compiled, and never runs.',
        todo: `Move it to ${folder}/${bot}.gbdialog/.`,
      };
    }),
  samples: {
    good: [
      { name: 'in its dialog', files: { 'acme.gbai/acme.gbdialog/a.bas': '' } },
      { name: 'in a folder of the dialog', files: { 'acme.gbai/acme.gbdialog/jobs/a.bas': '' } },
      { name: 'in a dialog without a .gbai', files: { 'acme.gbdialog/a.bas': '' } },
      { name: 'BASIC that is of no bot', files: { 'excel/macro.bas': '' } },
    ],
    bad: [
      {
        name: 'directly in the .gbai',
        files: { 'bots/acme.gbai/start.bas': '' },
        finds: [{ at: 'bots/acme.gbai/start.bas:1:1', says: /never compiled/ }],
      },
      {
        name: 'in the folder of knowledge',
        files: { 'acme.gbai/acme.gbkb/a.bas': '', 'acme.gbai/acme.gbdialog/b.bas': '' },
        finds: [{ at: 'acme.gbai/acme.gbkb/a.bas:1:1', says: /never compiled/ }],
      },
      {
        name: 'in a folder that is called otherwise',
        files: { 'acme.gbai/dialog/a.bas': '' },
        finds: [{ at: 'acme.gbai/dialog/a.bas:1:1', says: /never runs/ }],
      },
    ],
  },
};
