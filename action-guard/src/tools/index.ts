import type { Policy } from '../policy.js';
import type { Family } from '../rule.js';
import { domainsToResolve } from '../rules/caddy/dead-domain.js';
import { caddy } from '../rules/caddy/index.js';
import type { CaddyRuleOptions } from '../rules/caddy/options.js';
import { type UnitOptions, unit } from '../rules/unit/index.js';
import { makeTree, type Tree } from '../tree.js';
import { askCaddy } from './caddy.js';
import { runFilters } from './fail2ban.js';
import { resolveDomains } from './resolve.js';
import { askSystemd } from './systemd-analyze.js';

export interface ToolAnswers {
  /** By the name of the tool; rules know its shape. */
  answers: Map<string, unknown>;
  /** Which tools were asked, and which could not be. */
  notes: string[];
}

/**
 * Asks the real programs that are installed, each in its side-effect-free way. None is needed: what is not there is said, and
 * the rules judge by their own readers.
 *
 * @param path where programs are looked for
 * @param known domains that were asked about already: a name server gives the same answer for head and base
 */
export async function askTools(
  tree: Tree,
  policy: Policy,
  path: string | undefined,
  known: ReadonlyMap<string, unknown> = new Map(),
): Promise<ToolAnswers> {
  const answers = new Map<string, unknown>();
  const notes: string[] = [];
  const here = readOnly(tree);
  const options = policy.options(caddy as unknown as Family) as CaddyRuleOptions;
  const caddyfiles = read(here, options.files);
  if (caddyfiles.length > 0) {
    const said = await askCaddy(tree, caddyfiles, { served: options.served, plugins: options.plugins });
    if (said) answers.set('caddy', said);
    else notes.push("There is no caddy here: Caddyfiles were judged by the guard's own reader.");
    const before = (known.get('resolve') ?? {}) as Record<string, unknown>;
    const domains = domainsToResolve(tree, options).filter((domain) => !(domain in before));
    answers.set('resolve', { ...before, ...(await resolveDomains(domains)) });
  }
  const filters = read(here, ['**/fail2ban/**/filter.d/*.conf', '**/filter.d/*.conf']);
  if (filters.length > 0) {
    const runs = await runFilters(here, filters, path);
    if (runs) answers.set('fail2ban', runs);
    else notes.push("There is no fail2ban-regex here: filters were judged by the guard's own reader.");
  }
  const units = read(here, (policy.options(unit as unknown as Family) as UnitOptions).files);
  if (units.length > 0) {
    const said = await askSystemd(units.map((each) => ({ path: each, text: tree.file(each)?.text ?? '' })));
    if (said) answers.set('systemd-analyze', said);
    else notes.push("There is no systemd-analyze here: units were judged by the guard's own reader.");
  }
  return { answers, notes };
}

/** Paths of files that match. */
function read(tree: Tree, globs: string[]): string[] {
  const files = tree.matching(globs).filter(({ kind }) => kind === 'file' || kind === 'executable');
  return files.map(({ path }) => path);
}

/** The part of a tree whose texts are here: nobody asked for the others. */
function readOnly(tree: Tree): Tree {
  const files = new Map(
    tree.paths.flatMap((path) => {
      try {
        const file = tree.file(path);
        return file ? [[path, file] as const] : [];
      } catch {
        return [];
      }
    }),
  );
  return makeTree([...files.keys()], (path) => files.get(path));
}
