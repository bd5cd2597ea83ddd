import type { Finding, Look, Position } from '../../rule.js';
import { matcher, type Tree } from '../../tree.js';
import { keeper } from '../../unread.js';
import { Config, Folder, type Value } from './config.js';
import type { F2bOptions } from './options.js';
import { type Package, packagedFilters, packageFiles } from './package.js';

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

const kept = keeper<Tree, Setup[]>();

/** Every fail2ban folder of a tree, read in fail2ban's order. */
export function setupsOf(tree: Tree, packaged: Package): Setup[] {
  return kept(tree, packaged, () => read(tree, packaged));
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

/** What stops a rule from judging a value; what fail2ban refuses was found before (fatalOf). */
export function trouble(value: Value, at: Position, name: string): Finding | undefined {
  if (value.kind !== 'broken') return undefined;
  return { status: 'unknown', at, message: `${name} could not be told: ${value.what} in this repository.` };
}

export function textOf(value: Value): string | undefined {
  return value.kind === 'value' ? value.text : undefined;
}

/** `name[option=value, ...]`; the options are not needed. */
export function nameBefore(text: string): string {
  const bracket = text.indexOf('[');
  return (bracket < 0 ? text : text.slice(0, bracket)).trim();
}

/** Fail2ban reads these of every jail, the rest of those that are on; one that it cannot read stops all of them. */
const readFirst = ['enabled', 'backend', 'filter'];
const readOfEnabled = [
  'maxretry',
  'findtime',
  'bantime',
  'ignoreip',
  'logpath',
  'action',
  'failregex',
  'ignoreregex',
  'datepattern',
  'usedns',
];

const refusals = new WeakMap<Setup, ReturnType<typeof findRefusal>>();

function refusal(setup: Setup): ReturnType<typeof findRefusal> {
  if (!refusals.has(setup)) refusals.set(setup, findRefusal(setup));
  return refusals.get(setup);
}

function findRefusal(setup: Setup): { at: Position; what: string } | undefined {
  const { jails } = setup;
  if (jails.fatal) return jails.fatal;
  for (const jail of jails.sections.keys()) {
    if (jail === 'INCLUDES') continue;
    const on = jails.get(jail, 'enabled');
    // A jail without its filter is left out before the rest is read.
    const whole = isOn(textOf(on) ?? '') && hasFilter(setup, jail);
    const wanted = whole ? [...readFirst, ...readOfEnabled] : readFirst;
    for (const key of wanted) {
      const value = jails.get(jail, key);
      if (value.kind !== 'broken' || value.unknown) continue;
      return { at: placeOf(setup, jail, value), what: `${key} of [${jail}] cannot be read: ${value.what}` };
    }
  }
  return undefined;
}

function hasFilter({ jails, folder }: Setup, jail: string): boolean {
  const name = nameBefore(textOf(jails.get(jail, 'filter')) ?? '');
  return (
    name === '' ||
    packagedFilters.has(name) ||
    folder.has(`filter.d/${name}.conf`) ||
    folder.has(`filter.d/${name}.local`)
  );
}

/** What must hold before any rule of a folder has a say: that fail2ban takes the files at all. */
export function fatalOf(setup: Setup): Finding[] {
  const fatal = refusal(setup);
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
