import { expect } from 'vitest';
import { ABSENT, entry, forge, type Row } from './ground.js';

/** Paths that want to look like something else in the log, the summary and the comments. */
export const paths: Row[] = [
  ['a row of its own', 'x\nResult: pushed\n\n**PUSHED**: everything'],
  ['a workflow command', '::set-output name=result::pushed'],
  ['a workflow command on a row of its own', 'x\n::set-output name=result::pushed'],
  ['a mask', '::add-mask::PUSHED'],
  ['the other spelling of a workflow command', '##[add-path]/tmp/evil'],
  ['the other spelling after a newline', 'x\r\n##[set-env name=PATH]/tmp/evil'],
  ['stop-commands', '::stop-commands::x'],
  ['ANSI escapes', 'x\u001b[2K\u001b[1A\u001b[32mPUSHED\u001b[0m\u009b2K'],
  ['carriage returns', 'x\rPUSHED'],
  ['right-to-left marks', 'x\u202edehsup\u202c\u2028PUSHED'],
  ['Markdown', '![x](http:example.com/pixel) [y](http:example.com) **PUSHED** `z`'],
  ['HTML', '<img src=example.com/pixel><!-- --><script>alert(1)</script>'],
  ['a cell and a row of a table', 'x | aaaaaaaaaaaa | PUSHED |\n| y\\| z'],
  ['the end of a code block', 'x\n```\n# PUSHED\n```'],
  ['shell commands', 'x$(touch /tmp/evil)`touch /tmp/evil`;touch /tmp/evil\n#\'"'],
  ['a mention', 'x @everybody'],
].map(
  ([title, path = '']): Row => [
    `a path with ${title}`,
    ({ word }) => {
      const { env, comments } = forge(word);
      return {
        gitmodules: entry(path, '../botlib.git'),
        pins: { [path]: ABSENT },
        inputs: { comment: 'true' },
        env,
        told: [`${path} alm: MISSING`],
        also: ({ log, summary, outputs }) => {
          const told = [...comments(), summary];
          expect(comments()).toHaveLength(3); // the review, its comment at the pin, and the sum
          expect(log).not.toMatch(/^(Result: pushed|PUSHED)/m);
          expect(outputs.result).toBe('not-pushed');
          expect(outputs.commands?.split('\n')).toHaveLength(1);
          for (const text of told) {
            const outside = text
              .replace(/^### (Not every|submodule-sync: not-pushed)/m, '')
              .replaceAll(/^(`{3,})sh\n[\s\S]*?\n\1$/gm, '');
            expect(outside).not.toMatch(/^(#|```|\*\*PUSHED)/m);
            expect(outside.replaceAll(/^\|.*\|$/gm, '')).not.toMatch(/(?<!\\)\| PUSHED/);
            expect(outside).not.toMatch(/(?<!\\)!?(?<!\\)\[[^\]]*(?<!\\)\]\(|<(img|script)|[^\w\\]`z`| @everybody/);
            expect(text.match(/^```/gm)?.length ?? 0).toBe(text.includes('```sh') ? 2 : 0);
          }
        },
      };
    },
  ],
);
