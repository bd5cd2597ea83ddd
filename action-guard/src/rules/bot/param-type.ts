import type { Finding, Rule } from '../../rule.js';
import { list, quote } from './consumer.js';
import { declares, linesOf, type Param, paramOf, trim } from './grammar.js';
import { layoutOf } from './layout.js';
import { type BotOptions, scripts } from './options.js';
import { isText, nearest } from './uses.js';

/** Types that mean what they say. */
export const paramType: Rule<BotOptions> = {
  id: 'bot/param-type',
  severity: 'warning',
  title: 'The type of every PARAM is one that the compiler knows and the model can fill.',
  reason: `Whatever the compiler does not know is a string, without a word: \`AS INTEGR\`, or \`AS "easy", "hard"\`. \`NUMBER\` is a whole number to
it, against its own documentation. An \`ARRAY\` is passed on without the type of its items, which models' APIs refuse together with all
other tools of the call.`,
  suppressible: true,
  files: () => scripts,
  check: ({ head, options }) => {
    const types = new Set(options.types);
    return layoutOf(head, options).bots.flatMap(({ tools }) =>
      tools
        .filter(({ file, kind }) => isText(file.kind) && kind !== 'excluded' && declares(file.text))
        .flatMap(({ path, file }) => {
          const found: Finding[] = [];
          for (const [line, { text, indent }] of linesOf(file.text).entries()) {
            const param = paramOf(text);
            const trouble = param && (troubleOf(param, types) ?? fraction(param, text));
            if (!trouble) continue;
            const column = indent + typeColumn(text) + 1;
            found.push({ status: 'fail', at: { path, line: line + 1, column }, ...trouble });
          }
          return found;
        }),
    );
  },
  samples: {
    good: [
      ...['STRING', 'string', 'Integer', 'FLOAT', 'BOOLEAN', 'DATE', 'EMAIL', 'PHONE', 'MONEY', 'OBJECT'].map((type) =>
        sample(`AS ${type}`, `PARAM a AS ${type} DESCRIPTION "A"`),
      ),
      sample('no type', 'PARAM a LIKE "b" DESCRIPTION "A"'),
      sample('a whole number', 'PARAM a AS NUMBER LIKE 5'),
      sample('PARAM in lower case is none', 'param a as integr like 5'),
      { ...sample('a type that the options add', 'PARAM a AS COLOUR LIKE "red"'), options: { types: ['colour'] } },
    ],
    bad: [
      found('a slip of the pen', 'PARAM a AS INTEGR LIKE 5', 12, /"integr" is no type/),
      found('values for a type', 'PARAM level AS "easy", "medium", "hard"', 16, /no type.*string/),
      found('an array', 'PARAM a AS ARRAY DESCRIPTION "A"', 12, /array/),
      found('a list', '  PARAM a AS list DESCRIPTION "A"', 14, /array/),
      found('a fraction as NUMBER', 'PARAM abv AS number LIKE 8.0', 14, /whole number/),
    ],
  },
};

function troubleOf(
  { name, type, written, description }: Param,
  types: Set<string>,
): Omit<Finding, 'status' | 'at'> | undefined {
  if (type === 'array')
    return {
      severity: 'error',
      message: `${quote(name)} is an array, which is passed on without the type of its items: models' APIs refuse the call, with all its tools.`,
      todo: 'Make it AS STRING, and say in its DESCRIPTION how to part the values.',
    };
  if (!types.has(written)) {
    const near = nearest(written, [...types]);
    return {
      message: `${quote(written.replace(/[",]/g, ''))} is no type: ${quote(name)} is a string.`,
      todo: written.startsWith('"')
        ? `Write AS STRING, and the values in its DESCRIPTION${description ? '' : ', which it lacks'}.`
        : near
          ? `Did you mean ${near.toUpperCase()}?`
          : `Known are ${list([...types].slice(0, 12))} and others.`,
    };
  }
  return undefined;
}

/** NUMBER with an example that is none of its. */
function fraction({ name, written }: Param, line: string): Omit<Finding, 'status' | 'at'> | undefined {
  if (written !== 'number') return undefined;
  const at = line.indexOf('LIKE');
  if (at < 0 || !/^\d{1,30}\.\d/.test(trim(line.slice(at + 4, at + 99)).text.replace('"', ''))) return undefined;
  return {
    message: `NUMBER is a whole number to the compiler, and the example of ${quote(name)} is none.`,
    todo: 'Write AS FLOAT.',
  };
}

/** Where the type stands in a trimmed line. */
function typeColumn(line: string): number {
  for (let at = line.indexOf('AS'); at >= 0; at = line.indexOf('AS', at + 1)) {
    const [before, after] = [trim(line[at - 1] ?? 'x').text, trim(line[at + 2] ?? ' ').text];
    if (before === '' && after === '') return at + 2 + trim(line.slice(at + 2)).indent;
  }
  return 0;
}

function sample(name: string, script: string) {
  return { name, files: { 'acme.gbai/acme.gbdialog/a.bas': `DESCRIPTION "A"\n${script}\n` } };
}

function found(name: string, script: string, column: number, says: RegExp) {
  return { ...sample(name, script), finds: [{ at: `acme.gbai/acme.gbdialog/a.bas:2:${column}`, says }] };
}
