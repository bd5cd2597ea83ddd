import { basename } from 'node:path/posix';
import { splitUnitValue, type UnitFile } from '../../formats/unit.js';
import { Lines } from '../../lines.js';
import type { Finding, Look, Position } from '../../rule.js';
import type { Tree } from '../../tree.js';
import type { UnitOptions } from './index.js';
import { type Service, servicesOf } from './service.js';

/** The services of the tree that are the ui or the server. */
export function find(tree: Tree, options: UnitOptions, which: 'ui' | 'server'): Service[] {
  const { units, program } = options[which];
  return servicesOf(tree, options.files, (name, main) => units.includes(name) || (main ? runs(main, program) : false));
}

/** The units of a service that the base has, where no unit of the tree starts it any more. */
export function deleted({ head, base, options }: Look<UnitOptions>, which: 'ui' | 'server'): Finding[] {
  const units = (tree: Tree) => find(tree, options, which).flatMap(({ name, main }) => (main ? [{ name, main }] : []));
  if (!base || units(head).length > 0) return [];
  const { program } = options[which];
  return units(base).map(({ name, main }) => {
    const { path } = main.file;
    const gone = head.paths.includes(path) ? `no longer starts ${program}` : 'is deleted';
    return {
      status: 'fail',
      at: { path, line: 1, column: 1 },
      message: `${name} ${gone}, and no other unit starts ${program}.`,
      todo: 'Bring it back.',
    };
  });
}

/** How many services of these kinds there are to judge in the tree. */
export function judged(...kinds: ('ui' | 'server')[]): (look: Look<UnitOptions>) => number {
  return ({ head, options }) => kinds.flatMap((which) => find(head, options, which)).length;
}

/** Whether a unit's command is this program. */
function runs(main: UnitFile, program: string): boolean {
  return main.entries.some(({ section, key, value }) => {
    if (section !== 'Service' || key !== 'ExecStart') return false;
    const [first] = splitUnitValue(value, 1).words;
    return first !== undefined && basename(first.text.replace(/^[-@:+!|]+/, '')) === program;
  });
}

export const positionIn = (path: string, text: string, at: number): Position => ({
  path,
  ...new Lines(text).at(Math.min(at, text.length)),
});
