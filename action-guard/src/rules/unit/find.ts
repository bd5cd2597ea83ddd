import { basename } from 'node:path/posix';
import { splitUnitValue, type UnitFile } from '../../formats/unit.js';
import { Lines } from '../../lines.js';
import type { Position } from '../../rule.js';
import type { Tree } from '../../tree.js';
import type { UnitOptions } from './index.js';
import { type Service, servicesOf } from './service.js';

/** The services of the tree that are the ui or the server. */
export function find(tree: Tree, options: UnitOptions, which: 'ui' | 'server'): Service[] {
  const { units, program } = options[which];
  return servicesOf(tree, options.files, (name, main) => units.includes(name) || (main ? runs(main, program) : false));
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
