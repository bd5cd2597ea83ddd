import { posix } from 'node:path';
import type { IniEntry, IniFile, Place } from '../../formats/config-parser.js';
import { readIni } from '../../formats/config-parser.js';
import type { Finding, Position } from '../../rule.js';
import type { Tree } from '../../tree.js';
import { keeper, leaveOut, leaveOutFile } from '../../unread.js';

/** An option with the file it comes from; `at` undefined: from the distribution's package. */
export interface Option {
  value: string;
  at?: Position;
  lines: (Place & { text: string })[];
}

export type Value =
  | { kind: 'value'; text: string; option: Option }
  | { kind: 'absent' }
  /** Python refuses it. `unknown`: a variable that the package may define. */
  | { kind: 'broken'; what: string; unknown: boolean; option: Option };

type Options = Map<string, Option>;

/** More than any real configuration includes; includes can be made to multiply. */
const MOST_FILES = 500;
const LONGEST_VALUE = 100_000;
/** As Python's MAX_INTERPOLATION_DEPTH. */
const DEEPEST = 10;

/** Files of one fail2ban folder: the repository's own ones above those of the package. */
export class Folder {
  readonly #read = keeper<Folder, { file: IniFile; path?: string } | undefined>();
  readonly troubles: Finding[] = [];
  readonly files: readonly string[];
  readonly #own: ReadonlySet<string>;
  readonly #configs = keeper<Folder, Config>();

  constructor(
    readonly tree: Tree,
    /** Path in the repository; '' is its root. */
    readonly root: string,
    readonly packaged: Record<string, string>,
  ) {
    const prefix = root === '' ? '' : `${root}/`;
    this.files = tree.paths.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
    this.#own = new Set(this.files);
  }

  path(name: string): string {
    return this.root === '' ? name : `${this.root}/${name}`;
  }

  has(name: string): boolean {
    return this.#own.has(name) || Object.hasOwn(this.packaged, name);
  }

  /** Whether the repository, not the package, has it. */
  owns(name: string): boolean {
    return this.#own.has(name);
  }

  /** `NAME.conf` with all that goes with it. */
  config(name: string): Config {
    return this.#configs(this, name, () => new Config(this, name));
  }

  /** Names of the files of a folder in it, sorted as Python sorts them. */
  list(dir: string): string[] {
    const packaged = Object.keys(this.packaged).filter((file) => file.startsWith(dir));
    return [...new Set([...this.files.filter((file) => file.startsWith(dir)), ...packaged])]
      .filter((file) => !file.slice(dir.length).startsWith('.') && !file.slice(dir.length).includes('/'))
      .sort(byCodePoint);
  }

  file(name: string): { file: IniFile; path?: string } | undefined {
    return this.#read(this, name, () => this.#load(name));
  }

  #load(name: string): { file: IniFile; path?: string } | undefined {
    const path = this.path(name);
    if (!this.owns(name)) {
      const text = Object.hasOwn(this.packaged, name) ? this.packaged[name] : undefined;
      return text === undefined ? undefined : { file: readIni(text) };
    }
    let found: ReturnType<Tree['file']>;
    try {
      found = this.tree.file(path);
    } catch {
      return undefined; // no configuration by its name
    }
    if (!found || found.kind === 'submodule') return undefined;
    if (found.kind === 'link') {
      const at = { path, line: 1, column: 1 };
      const message =
        'This is a symbolic link, and links are not followed, so what fail2ban would read here is not known.';
      const todo = 'Commit the file itself.';
      this.troubles.push({ status: 'unknown', at, message, todo });
      leaveOut({ at, message, todo, whole: false });
      return undefined;
    }
    if (found.text.includes('\uFFFD') && !Buffer.from(found.text).equals(found.bytes)) {
      this.troubles.push({
        status: 'fail',
        at: { path, line: 1, column: 1 },
        message: 'This file is not UTF-8, so fail2ban leaves all of it out.',
        todo: 'Save it as UTF-8.',
      });
      return undefined;
    }
    return { file: readIni(found.text), path };
  }
}

/** What fail2ban makes of `NAME.conf`, `NAME.d/*.conf`, `NAME.local` and `NAME.d/*.local`, in that order. */
export class Config {
  readonly sections = new Map<string, Options>();
  readonly defaults: Options = new Map();
  /** Where sections begin in the repository, the last word first. */
  readonly places = new Map<string, Position>();
  /** The file that makes fail2ban refuse everything. */
  fatal?: { at: Position; what: string };
  /** Something it includes is not in the repository, so what is absent may yet be there. */
  incomplete = false;
  readonly #known = new Map<string, Map<string, Option>>();

  constructor(folder: Folder, name: string) {
    // No filter has a folder of parts, and the rest of the repository is not searched for one.
    const parts = name === 'jail' ? folder.list(`${name}.d/`) : [];
    const sorted = (ending: string) => parts.filter((file) => file.endsWith(ending));
    const wanted = [`${name}.conf`, ...sorted('.conf'), `${name}.local`, ...sorted('.local')];
    for (const file of this.#withIncludes(
      folder,
      wanted.filter((file) => folder.has(file)),
      [],
    )) {
      const read = folder.file(file);
      if (read) this.#merge(read.file, read.path);
    }
    this.defaults.set('fail2ban_version', { value: '1.0.2', lines: [] });
    this.defaults.set('fail2ban_confpath', { value: '/etc/fail2ban', lines: [] });
  }

  #withIncludes(folder: Folder, files: string[], seen: string[]): string[] {
    const result: string[] = [];
    for (const file of files) {
      if (seen.includes(file) || result.length > MOST_FILES) continue;
      for (const each of [file, ...localOf(file, files, folder)]) {
        const read = folder.file(each);
        if (!read) {
          // Nobody minds a file that is included and not there; the package may have it.
          this.incomplete = true;
          continue;
        }
        if (read.file.error && read.path !== undefined) {
          const { line, column, what } = read.file.error;
          this.fatal ??= { at: { path: read.path, line, column }, what };
        }
        const included = (which: string) => {
          const list = read.file.sections.get('INCLUDES')?.entries.get(which)?.value ?? '';
          return list
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => (line.startsWith('/') ? line : posix.join(posix.dirname(each), line)));
        };
        const before = this.#withIncludes(folder, included('before'), [...seen, each]);
        const after = this.#withIncludes(folder, included('after'), [...seen, each]);
        result.push(...before, each, ...after);
        if (result.length > MOST_FILES) {
          this.incomplete = true;
          leaveOutFile(folder.path(file), `it includes more than ${MOST_FILES} files`, 'Include fewer.');
          return result.slice(0, MOST_FILES);
        }
      }
    }
    return result;
  }

  #merge(file: IniFile, path: string | undefined): void {
    for (const [key, entry] of file.defaults) this.defaults.set(key, optionOf(entry, path));
    for (const section of file.sections.values()) {
      if (path !== undefined) this.places.set(section.name, { path, line: section.line, column: section.column });
      const conditional = /^(\w+)(\?.+)$/.exec(section.name.slice(0, 200));
      const name = conditional?.[1] ?? section.name;
      const before = this.sections.get(name);
      const options: Options = before ?? new Map();
      if (before) {
        const known = this.#known.get(name) ?? new Map<string, Option>();
        for (const key of section.entries.keys()) {
          const own = conditional ? `${key}${conditional[2]}` : key;
          const old = before.get(own);
          if (old) known.set(own, old);
        }
        this.#known.set(name, known);
      }
      for (const [key, entry] of section.entries) {
        options.set(conditional ? `${key}${conditional[2]}` : key, optionOf(entry, path));
      }
      this.sections.set(name, options);
    }
  }

  /** What the repository or the package says, without its variables. */
  raw(section: string, key: string): Option | undefined {
    return this.sections.get(section)?.get(key) ?? this.defaults.get(key);
  }

  /** What fail2ban gets when it asks for the option. */
  get(section: string, key: string): Value {
    const option = this.raw(section, key);
    if (!option) return { kind: 'absent' };
    const problem: { what?: string; unknown: boolean } = { unknown: false };
    const text = this.#interpolate(section, option.value, 1, problem, { left: LONGEST_VALUE });
    if (problem.what !== undefined) return { kind: 'broken', what: problem.what, unknown: problem.unknown, option };
    return { kind: 'value', text, option };
  }

  #interpolate(
    section: string,
    value: string,
    depth: number,
    problem: { what?: string; unknown: boolean },
    budget: { left: number },
  ): string {
    const stop = (what: string, unknown = false) => {
      problem.what ??= what;
      problem.unknown ||= unknown;
      return '';
    };
    if (depth > DEEPEST) return stop('its variables refer to each other without end');
    let result = '';
    for (let at = 0; at < value.length; ) {
      const percent = value.indexOf('%', at);
      const plain = value.slice(at, percent < 0 ? value.length : percent);
      result += plain;
      budget.left -= plain.length + 1;
      if (budget.left < 0) return stop('it grows too large', true);
      if (percent < 0) break;
      if (value[percent + 1] === '%') {
        result += '%';
        at = percent + 2;
        continue;
      }
      const close = value.indexOf(')', percent + 2);
      if (value[percent + 1] !== '(' || close < percent + 3 || value[close + 1] !== 's') {
        return stop('it has a % that is neither %% nor %(name)s');
      }
      const name = value.slice(percent + 2, close);
      const found = this.#variable(section, name);
      if (found === undefined) return stop(`nothing defines its variable ${name.slice(0, 60)}`, this.incomplete);
      result += this.#interpolate(section, found, depth + 1, problem, budget);
      if (problem.what !== undefined) return '';
      at = close + 2;
    }
    return result;
  }

  #variable(section: string, name: string): string | undefined {
    const key = name.toLowerCase();
    if (key === '__name__') return section;
    const own = this.raw(section, key)?.value;
    if (own !== undefined) return own;
    const slash = name.indexOf('/');
    // Python looks the lower-case name up among names as they were written.
    if (slash < 1 || name !== key) return undefined;
    const from = name.slice(0, slash);
    const option = name.slice(slash + 1);
    const scope =
      from === 'default' ? undefined : from === 'known' ? this.#known.get(section) : this.sections.get(from);
    if (!scope && from !== 'default' && from !== 'known') return undefined;
    return (scope?.get(option) ?? this.defaults.get(option))?.value;
  }
}

function localOf(file: string, files: string[], folder: Folder): string[] {
  const dot = posix.basename(file).lastIndexOf('.');
  const stem = dot > 0 ? file.slice(0, file.length - (posix.basename(file).length - dot)) : file;
  const local = `${stem}.local`;
  return !files.includes(local) && folder.has(local) ? [local] : [];
}

function optionOf(entry: IniEntry, path: string | undefined): Option {
  const at = path === undefined ? undefined : { path, line: entry.line, column: entry.column };
  return { value: entry.value, at, lines: entry.lines };
}

function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
