import { readFileSync } from 'node:fs';
import { ExpectedError } from '@gbo/shared/errors';
import type { Event } from '@gbo/shared/event';
import { plain } from '@gbo/shared/report';
import PQueue from 'p-queue';
import picomatch from 'picomatch';
import type { Earlier } from './facts.js';
import { GitFailed, type LocalGit } from './git.js';
import type { Inputs } from './inputs.js';
import { type Entry, type Pin, readTree, type Tree } from './pins.js';

/** A pin with what the .gitmodules beside it says about it. */
export type ChosenPin = Pin & { entry?: Entry };

/** What is asked about. */
export interface Chosen {
  pins: ChosenPin[];
  /** Those of this commit that have no address. */
  orphans: Pin[];
  /** Paths of this commit that `include` and `exclude` leave out. */
  leftOut: string[];
  /** Paths that `include`, `exclude` and `expected-branches` can mean. */
  seen: string[];
  /** Of a pull request whose base was read: paths whose gitlink it changes. */
  changed?: string[];
  earlier: Earlier[];
  notes: string[];
}

/** Whether a path is left out by `exclude`. */
export function excludedOf({ exclude }: Inputs): (path: string) => boolean {
  return exclude.length > 0 ? picomatch(exclude, { dot: true }) : () => false;
}

/** Which paths are asked about; the root is `.`, and is left out only by name. */
export function wantedOf(inputs: Inputs): (row: { path: string }) => boolean {
  const { include, exclude } = inputs;
  const included = include.length > 0 ? picomatch(include, { dot: true }) : () => true;
  const excluded = excludedOf(inputs);
  return ({ path }) => (path === '.' ? !exclude.includes('.') : included(path) && !excluded(path));
}

/**
 * A glob or path that fits nothing is most likely mistyped, and would narrow the question to what is green.
 * @param paths of all submodules, those that are left out included
 * @throws ExpectedError that names each
 */
export function refuseUnmatched(
  { include, exclude, expectedBranches }: Pick<Inputs, 'include' | 'exclude' | 'expectedBranches'>,
  paths: string[],
): void {
  const fits = (glob: string) => {
    const isMatch = picomatch(glob, { dot: true });
    return glob === '.' || paths.some((path) => isMatch(path));
  };
  const wrong = [
    ...include.filter((glob) => !fits(glob)).map((glob) => `include ${JSON.stringify(glob)}`),
    ...exclude.filter((glob) => !fits(glob)).map((glob) => `exclude ${JSON.stringify(glob)}`),
    ...[...expectedBranches.keys()]
      .filter((path) => !paths.includes(path))
      .map((path) => `expected-branches ${JSON.stringify(path)}`),
  ];
  if (wrong.length === 0) return;
  const names = [...new Set(paths)];
  const listed = `${names.slice(0, 20).map(plain).join(', ') || 'none'}${names.length > 20 ? ', ...' : ''}`;
  throw new ExpectedError(
    `No submodule fits ${wrong.join(', ')}.`,
    'Nothing was pushed.',
    `Mend the spelling, or take it out. The submodules are: ${listed}.`,
  );
}

/**
 * The pins that are asked about: those of this commit, or of all that were pushed; on a pull request those it changes, be it
 * by another commit or by another address.
 */
export async function choosePins(inputs: Inputs, event: Event, git: LocalGit, tree: Tree): Promise<Chosen> {
  const wanted = wantedOf(inputs);
  const all = withEntries(tree);
  const own = all.filter(wanted);
  const chosen: Chosen = {
    pins: own,
    orphans: orphansOf(own),
    leftOut: all.filter((pin) => !wanted(pin)).map(({ path }) => path),
    seen: pathsOf(tree),
    earlier: [],
    notes: [],
  };
  if (inputs.commits === 'range' && event.kind !== 'push') {
    chosen.notes.push('`commits: range` is about pushes: here only the newest commit was looked at.');
  }
  if (event.kind === 'pull_request') return changedOnly(chosen, tree, await readableTree(git, event.before));
  if (inputs.commits === 'head' || event.kind !== 'push') return chosen;
  return withEarlier(inputs, chosen, tree, event.before, git);
}

function changedOnly(chosen: Chosen, tree: Tree, before: Tree | undefined): Chosen {
  if (!before) {
    const note =
      'The base of the pull request is not in this checkout (`fetch-depth: 0` brings it): all pins were asked about, not only the changed ones.';
    return { ...chosen, notes: [...chosen.notes, note] };
  }
  const old = withEntries(before);
  const isMoved = (pin: Pin) => !old.some(isSame(pin));
  const pins = chosen.pins.filter(
    (pin) => isMoved(pin) || (!tree.unreadable && !old.some((each) => isSame(pin)(each) && hasSameUrl(each, pin))),
  );
  return { ...chosen, pins, orphans: orphansOf(pins), changed: pins.filter(isMoved).map(({ path }) => path) };
}

/** Adds the pins of the earlier commits of a push, and what of them cannot be asked about. */
async function withEarlier(
  inputs: Inputs,
  chosen: Chosen,
  tree: Tree,
  before: string | undefined,
  git: LocalGit,
): Promise<Chosen> {
  const commits = before && (await commitsBetween(git, before, tree.commit));
  if (!commits) {
    const why = before
      ? `not all of them since ${before.slice(0, 12)} are in this checkout`
      : 'nobody says what the branch held before: it may be new';
    return { ...chosen, earlier: [{ path: '.', why }] };
  }
  // A few at a time: a push of a thousand commits would start thousands of gits at once.
  const queue = new PQueue({ concurrency: inputs.parallel });
  const older = await queue.addAll(commits.filter((sha) => sha !== tree.commit).map((sha) => () => readTree(git, sha)));
  const wanted = wantedOf(inputs);
  const pins = new Map<string, ChosenPin>();
  // From the oldest: of several entries the newest counts.
  for (const pin of [...older.reverse().flatMap(withEntries), ...withEntries(tree)].filter(wanted)) {
    const key = `${pin.path}\0${pin.sha}`;
    if (pin.entry || !pins.has(key)) pins.set(key, pin);
  }
  const known = new Set([...chosen.orphans.map(({ path }) => path), ...(tree.unreadable ? ['.gitmodules'] : [])]);
  const earlier = older
    .flatMap((each): Earlier[] => {
      const { commit, unreadable } = each;
      if (unreadable) return [{ commit, path: '.gitmodules', why: unreadable }];
      return orphansOf(withEntries(each).filter(wanted)).map(({ path }) => ({ commit, path }));
    })
    .filter(({ path }) => !known.has(path) && known.add(path));
  return { ...chosen, pins: [...pins.values()], earlier, seen: [...chosen.seen, ...older.flatMap(pathsOf)] };
}

/** Newest first; undefined when not all of them are in this checkout. */
function commitsBetween(git: LocalGit, before: string, commit: string): Promise<string[] | undefined> {
  return ifHere(async () => {
    const commits = (await git('rev-list', commit, `^${before}`)).split('\n').filter(Boolean);
    if ((await git('rev-parse', '--is-shallow-repository')).trim() === 'false') return commits;
    // `before` may be there, and a side that was merged since be cut off all the same (gitrepository-layout(5)).
    const file = await git('rev-parse', '--path-format=absolute', '--git-path', 'shallow');
    const cut = new Set(readFileSync(file.trim(), 'utf8').split('\n'));
    return commits.some((sha) => cut.has(sha)) ? undefined : commits;
  });
}

/** undefined when that commit, or its tree, is not in this checkout. */
export async function readableTree(git: LocalGit, commit: string | undefined): Promise<Tree | undefined> {
  return commit ? ifHere(() => readTree(git, commit)) : undefined;
}

/** undefined when git lacks what it is asked for. */
async function ifHere<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof GitFailed) return undefined;
    throw error;
  }
}

function withEntries({ pins, entries }: Tree): ChosenPin[] {
  const entryOf = new Map(entries.flatMap((entry) => (entry.path ? [[entry.path, entry] as const] : [])));
  return pins.map((pin) => ({ ...pin, entry: entryOf.get(pin.path) }));
}

function pathsOf({ pins, entries }: Tree): string[] {
  return [...pins.map(({ path }) => path), ...entries.map(({ path, name }) => path ?? name)];
}

function orphansOf(pins: ChosenPin[]): Pin[] {
  return pins.filter(({ entry }) => !entry?.url).map(({ path, sha }) => ({ path, sha }));
}

const isSame =
  ({ path, sha }: Pin) =>
  (other: Pin) =>
    other.path === path && other.sha === sha;

const hasSameUrl = (one: ChosenPin, other: ChosenPin) => one.entry?.url === other.entry?.url;
