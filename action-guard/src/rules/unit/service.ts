import { basename, dirname } from 'node:path/posix';
import {
  expandSpecifiers,
  isVariable,
  parseEnvironmentFile,
  parseUnit,
  readEnvironment,
  splitUnitValue,
  type UnitAssignment,
  type UnitEntry,
  type UnitFile,
} from '../../formats/unit.js';
import type { SourceFile, Tree } from '../../tree.js';

/** A file of a unit, with what is in it. */
export interface Part {
  file: SourceFile;
  unit: UnitFile;
}

/** A service as systemd puts it together: its own file, then its drop-ins by name. */
export interface Service {
  /** Such as `ui.service`. */
  name: string;
  /** Undefined: only drop-ins are in the tree. */
  main?: Part;
  parts: Part[];
}

const common = (a: string, b: string): number => {
  const [left, right] = [a.split('/'), b.split('/')];
  let count = 0;
  while (count < left.length && left[count] === right[count]) count++;
  return count;
};

const known = new WeakMap<SourceFile, UnitFile>();

/** What is in a unit or drop-in, read once for all rules. */
export function parsed(file: SourceFile): UnitFile {
  let unit = known.get(file);
  if (!unit) {
    unit = parseUnit(file.kind === 'link' ? '' : file.text);
    known.set(file, unit);
  }
  return unit;
}

/** The services of a tree whose name or program is one of those given. */
export function servicesOf(
  tree: Tree,
  globs: readonly string[],
  wanted: (name: string, main?: UnitFile) => boolean,
): Service[] {
  const files = tree.matching(globs).filter(({ kind }) => kind !== 'submodule');
  const mains = files.filter(({ path }) => path.endsWith('.service'));
  const dropIns = files.filter(({ path }) => path.endsWith('.conf') && dirname(path).endsWith('.service.d'));
  const services: Service[] = [];
  for (const file of mains) {
    // A link to nothing masks the unit; where another one leads is not followed.
    const unit = parsed(file);
    const name = basename(file.path);
    if (!wanted(name, unit)) continue;
    const main = { file, unit };
    services.push({ name, main, parts: [main] });
  }
  const orphans = new Map<string, Service>();
  // By name, whatever folder they lie in; the same name in another folder hides the one before.
  const byName = [...dropIns].sort((a, b) =>
    basename(a.path) < basename(b.path) ? -1 : basename(a.path) > basename(b.path) ? 1 : a.path < b.path ? -1 : 1,
  );
  for (const file of byName) {
    const owner = basename(dirname(file.path)).slice(0, -2);
    const folder = dirname(dirname(file.path));
    const same = services.filter(({ name }) => name === owner);
    let takers = same;
    if (same.length > 1) {
      const best = Math.max(...same.map(({ main }) => common(folder, dirname(main?.file.path ?? ''))));
      takers = same.filter(({ main }) => common(folder, dirname(main?.file.path ?? '')) === best);
    }
    if (takers.length === 0) {
      if (!wanted(owner)) continue;
      const key = `${owner} ${folder}`;
      const orphan = orphans.get(key) ?? { name: owner, parts: [] };
      orphans.set(key, orphan);
      takers = [orphan];
    }
    const part = { file, unit: parsed(file) };
    for (const service of takers) {
      const hidden = service.parts.findIndex(
        (each) => each !== service.main && basename(each.file.path) === basename(file.path),
      );
      if (hidden >= 0) service.parts.splice(hidden, 1);
      service.parts.push(part);
    }
  }
  return [...services, ...orphans.values()];
}

/** A value of a key of [Service], where it stands. */
export interface Setting {
  part: Part;
  entry: UnitEntry;
}

/** All lines of a key of [Service] that count: an empty one takes those before it away. */
export function settingsOf(service: Service, key: string): Setting[] {
  let settings: Setting[] = [];
  for (const part of service.parts) {
    for (const entry of part.unit.entries) {
      if (entry.section !== 'Service' || entry.key !== key) continue;
      if (entry.value === '') settings = [];
      else settings.push({ part, entry });
    }
  }
  return settings;
}

/** What a variable of a service is. */
export interface Variable {
  status: 'set' | 'unset' | 'unknown';
  value: string;
  /** The line that decides. */
  path: string;
  text: string;
  at: number;
  why?: string;
  innerQuote: boolean;
  /** Lines that set it before, and that the deciding one overrides. */
  overridden: number;
}

/** The value of a variable in the process, and the line that decides it. */
export function variableOf(service: Service, name: string, tree: Tree): Variable {
  const first = service.main ?? (service.parts[0] as Part);
  const section = first.unit.sections.find((each) => each.name === 'Service') ?? first.unit.sections[0];
  let found: Variable = {
    status: 'unset',
    value: '',
    path: first.file.path,
    text: first.file.text,
    at: section?.at ?? 0,
    innerQuote: false,
    overridden: 0,
  };
  const decide = (file: SourceFile, at: number, more: Partial<Variable>) => {
    const overridden = found.overridden + (found.status === 'set' ? 1 : 0);
    found = { status: 'set', value: '', path: file.path, text: file.text, at, innerQuote: false, ...more, overridden };
  };
  for (const { file } of service.parts) {
    if (file.kind === 'link' && file.text !== '/dev/null')
      decide(file, 0, { status: 'unknown', why: `${basename(file.path)} is a symbolic link, which is not followed` });
  }
  let reset: { part: Part; entry: UnitEntry } | undefined;
  let before: UnitAssignment | undefined;
  for (const part of service.parts) {
    for (const entry of part.unit.entries) {
      if (entry.section !== 'Service' || entry.key !== 'Environment') continue;
      if (entry.value === '') {
        if (before) reset = { part, entry };
        before = undefined;
        continue;
      }
      for (const assignment of readEnvironment(entry).assignments) {
        if (assignment.name !== name) continue;
        before = assignment;
        reset = undefined;
        const { value, at, unknown, innerQuote } = assignment;
        decide(
          part.file,
          at,
          unknown ? { status: 'unknown', value, why: 'it has a specifier' } : { value, innerQuote },
        );
      }
    }
  }
  if (reset) decide(reset.part.file, reset.entry.at, { status: 'unset' });
  for (const { part, entry } of settingsOf(service, 'EnvironmentFile')) {
    const optional = entry.value.startsWith('-');
    const given = expandSpecifiers(optional ? entry.value.slice(1) : entry.value);
    const inTree =
      given.unknown || /[*?[]/.test(given.text) ? undefined : environmentFile(tree, given.text, part.file.path);
    if (!inTree) {
      decide(part.file, entry.at, {
        status: 'unknown',
        value: found.value,
        why: `${clip(given.text)} may set it, and is not in the repository`,
      });
      continue;
    }
    const assignment = parseEnvironmentFile(inTree.text).assignments.findLast((each) => each.name === name);
    if (assignment) decide(inTree, assignment.at, { value: assignment.value });
  }
  for (const { part, entry } of settingsOf(service, 'UnsetEnvironment')) {
    for (const { text, index } of splitUnitValue(entry.value).words)
      if (text === name || (found.status === 'set' && text === `${name}=${found.value}`))
        decide(part.file, entry.offset(index), { status: 'unset' });
  }
  // What the command line itself sets comes last.
  for (const { part, entry } of settingsOf(service, 'ExecStart')) {
    if (!entry.value.includes(name)) continue;
    const { words } = splitUnitValue(entry.value);
    const env = words.findIndex(({ text }) => /(^|[/@:+!-])env$/.test(text));
    let understood = false;
    for (let at = env + 1; env >= 0 && at < words.length; at++) {
      const { text, index } = words[at] as { text: string; index: number };
      const equals = text.indexOf('=');
      if (equals < 0 && !text.startsWith('-')) break;
      if (equals < 0 || !isVariable(text.slice(0, equals)) || text.slice(0, equals) !== name) continue;
      understood = true;
      const { unknown, text: value } = expandSpecifiers(text.slice(equals + 1));
      decide(
        part.file,
        entry.offset(index),
        unknown || value.includes('$') ? { status: 'unknown', why: 'it has a specifier' } : { value },
      );
    }
    if (!understood && words.some(({ text }) => text.includes(`${name}=`)))
      decide(part.file, entry.at, { status: 'unknown', value: found.value, why: 'the command itself seems to set it' });
  }
  return found;
}

/** The file of the tree that will lie at an absolute path; of several the nearest one. */
export function environmentFile(tree: Tree, path: string, from: string): SourceFile | undefined {
  if (!path.startsWith('/')) return undefined;
  const bare = path.slice(1);
  const candidates = tree.paths.filter((each) => each === bare || each.endsWith(path));
  const [best] = candidates.sort((a, b) => common(b, from) - common(a, from));
  if (!best) return undefined;
  try {
    const file = tree.file(best);
    return file?.kind === 'file' || file?.kind === 'executable' ? file : undefined;
  } catch {
    return undefined; // No glob of a rule takes it in.
  }
}

export const clip = (text: string): string => {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return printable.length > 60 ? `${printable.slice(0, 60)}...` : printable;
};
