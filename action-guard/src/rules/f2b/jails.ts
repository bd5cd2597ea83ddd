import type { Finding, Look, Position } from '../../rule.js';
import { matcher, type Tree } from '../../tree.js';
import { Config, Folder, type Value } from './config.js';
import type { F2bOptions } from './options.js';
import { type Package, packageFiles } from './package.js';

/** One /etc/fail2ban in the repository. */
export interface Setup {
  /** Path of the folder; '' is the repository's root. */
  root: string;
  folder: Folder;
  jails: Config;
  /** First file of it in the repository, for what has no line. */
  first: Position;
}

/** In the order in which a finding without a line of its own prefers them. */
const marks = ['jail.local', 'jail.d/', 'jail.conf', 'filter.d/'];

/** Folders that are an /etc/fail2ban, by the names of what lies in them. */
export function rootsOf(tree: Tree): string[] {
  const roots = new Set<string>();
  for (const path of tree.paths) {
    for (const mark of marks) {
      const at = mark.endsWith('/')
        ? `/${path}`.lastIndexOf(`/${mark}`)
        : `/${path}`.endsWith(`/${mark}`)
          ? `/${path}`.length - mark.length - 1
          : -1;
      const ending = path.endsWith('.conf') || path.endsWith('.local');
      if (at >= 0 && ending && !path.slice(at + mark.length).includes('/'))
        roots.add(path.slice(0, Math.max(at - 1, 0)));
    }
  }
  return [...roots].sort();
}

const cache = new WeakMap<Tree, Map<string, Setup[]>>();

/** Every fail2ban folder of a tree, read in fail2ban's order. */
export function setupsOf(tree: Tree, packaged: Package): Setup[] {
  const known = cache.get(tree) ?? new Map<string, Setup[]>();
  cache.set(tree, known);
  const found = known.get(packaged) ?? read(tree, packaged);
  known.set(packaged, found);
  return found;
}

function read(tree: Tree, packaged: Package): Setup[] {
  return rootsOf(tree).map((root) => {
    const folder = new Folder(tree, root, packageFiles[packaged]);
    const jails = new Config(folder, 'jail');
    const first =
      marks
        .map((mark) => folder.files.find((file) => file === mark || (mark.endsWith('/') && file.startsWith(mark))))
        .find(Boolean) ?? '';
    return { root, folder, jails, first: { path: folder.path(first), line: 1, column: 1 } };
  });
}

/** Those that look after the reverse proxy: by their path, or because the flood jail is or was there. */
export function proxySetups({ head, base, options }: Look<F2bOptions>): Setup[] {
  const byPath = matcher(options.proxy);
  const before = new Set(
    base
      ? setupsOf(base, options.package)
          .filter(({ jails }) => jails.sections.has(options.jail))
          .map(({ root }) => root)
      : [],
  );
  return setupsOf(head, options.package).filter(
    ({ root, jails }) =>
      byPath(root === '' ? 'jail.local' : `${root}/jail.local`) || jails.sections.has(options.jail) || before.has(root),
  );
}

/** Where to point: at the option, or at the jail, or at the first file. */
export function placeOf(setup: Setup, jail: string, value?: Value): Position {
  const own = value && value.kind !== 'absent' ? value.option.at : undefined;
  return own ?? setup.jails.places.get(jail) ?? setup.jails.places.get('DEFAULT') ?? setup.first;
}

/** Python's idea of a yes. */
export function isOn(text: string): boolean {
  return ['1', 'on', 'true', 'yes'].includes(text.toLowerCase());
}

/** What stops a rule from judging a value; undefined when there is one, or none at all. */
export function trouble(value: Value, at: Position, name: string): Finding | undefined {
  if (value.kind !== 'broken') return undefined;
  return value.unknown
    ? { status: 'unknown', at, message: `${name} could not be told: ${value.what} in this repository.` }
    : { status: 'fail', at, message: `${name} cannot be read: ${value.what}; fail2ban refuses to start with it.` };
}

export function textOf(value: Value): string | undefined {
  return value.kind === 'value' ? value.text : undefined;
}

/** `name[option=value, ...]`; the options are not needed. */
export function nameBefore(text: string): string {
  const bracket = text.indexOf('[');
  return (bracket < 0 ? text : text.slice(0, bracket)).trim();
}

/** What must hold before any rule of a folder has a say: that fail2ban takes the files at all. */
export function fatalOf(setup: Setup): Finding[] {
  const { fatal } = setup.jails;
  const own: Finding[] = fatal
    ? [
        {
          status: 'fail',
          at: fatal.at,
          message: `Fail2ban refuses all its jails, because ${fatal.what}.`,
          todo: 'Mend this line; `fail2ban-client -d` shows what is read.',
        },
      ]
    : [];
  return [...own, ...setup.folder.troubles];
}
