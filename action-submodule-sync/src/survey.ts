import { posix } from 'node:path';
import { ExpectedError } from '@gbo/shared/errors';
import type { Event } from '@gbo/shared/event';
import PQueue from 'p-queue';
import picomatch from 'picomatch';
import type { Facts, Row } from './facts.js';
import { GitFailed, type LocalGit } from './git.js';
import { words } from './git-trouble.js';
import type { Inputs, Remote } from './inputs.js';
import { nestedRows } from './nested.js';
import { type Entry, type Pin, readTree, type Tree } from './pins.js';
import { type Place, surveyTarget, type Target } from './survey-target.js';
import { refusedUrl, resolveUrl } from './urls.js';
import type { Workshop } from './workshop.js';

/** Everything that must be known about this commit and its pins. Reads; writes to its own scratch folder only. */
export async function survey(inputs: Inputs, event: Event, git: LocalGit, shop: Workshop): Promise<Facts> {
  const commit = await resolveCommit(git, event);
  const tree = await ownTree(git, commit);
  const policy = event.kind === 'pull_request' ? await readableTree(git, event.base ?? event.before) : tree;
  const { chosen, notes } = await choosePins(inputs, event, git, tree);
  const strays = (await newStrays(event, git, tree)).filter(({ name, path = name }) => wantedOf(inputs)({ path }));
  for (const [what, count] of [
    ['The root pins', chosen.length],
    ['.gitmodules has entries for', strays.length],
  ] as const) {
    if (count <= inputs.mostSubmodules) continue;
    throw new ExpectedError(
      `${what} ${count} submodules, and max-submodules is ${inputs.mostSubmodules}.`,
      'Nothing was asked.',
      'Raise max-submodules if that is right.',
    );
  }
  const root = rootName(inputs, event);
  const targets = chosen.flatMap(({ entry, ...pin }) =>
    entry ? [targetOf(inputs, event, root, pin, entry, policy)] : [],
  );
  const rootTarget = {
    path: '.',
    sha: rootCommit(event, commit),
    places: inputs.remotes.map((remote) => rootPlace(inputs, remote, root)),
  };
  const orphans = chosen.filter((pin) => tree.pins.some(isSame(pin)) && !pin.entry?.url);
  const withRoot = wantedOf(inputs)(rootTarget) && !(event.kind === 'pull_request' && !event.base);
  const all = [...(withRoot ? [rootTarget] : []), ...targets];
  const queue = new PQueue({ concurrency: inputs.parallel });
  const rows = await Promise.all(all.map((target) => surveyTarget(target, shop, queue)));
  if (withRoot && inputs.mode === 'schedule') {
    rows.splice(
      1,
      0,
      ...(await Promise.all(tipTargets(rootTarget, rows).map((tip) => surveyTarget(tip, shop, queue)))),
    );
  }
  const below =
    inputs.nested && !tree.unreadable
      ? await nestedRows(inputs, targets, shop, queue)
      : { rows: [], orphans: [], unknowns: [] };
  return {
    event: { ...event, commit },
    now: Date.now(),
    rows: [...rows, ...below.rows],
    // Without a readable .gitmodules nothing can be said about entries.
    orphans: tree.unreadable ? [] : [...orphans, ...below.orphans],
    strays,
    unreadable: tree.unreadable,
    rootPins: [],
    unknowns: below.unknowns,
    notes,
  };
}

/** What the root's branch is at on a remote that is not at this commit: a push to the other remotes may have been forgotten. */
function tipTargets(root: Target, [row]: Row[]): Target[] {
  const tips = row?.probes.flatMap(({ tip, trouble }) => (tip && tip !== root.sha && !trouble ? [tip] : []));
  return [...new Set(tips)].map((sha) => ({ ...root, sha }));
}

export async function resolveCommit(git: LocalGit, { commit, fetch }: Event): Promise<string> {
  try {
    return (await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${commit}^{commit}`)).trim();
  } catch (error) {
    if (!(error instanceof GitFailed)) throw error;
    // Of a commit that is not there it says nothing.
    if (error.said) {
      throw new ExpectedError(
        `The checkout cannot be read: ${words(error.said)}.`,
        'Nothing was asked.',
        'Run actions/checkout before this step, and see the input `repository`.',
      );
    }
    throw new ExpectedError(
      `The commit ${commit} is not in this checkout.`,
      'Nothing was asked.',
      fetch ?? 'Run actions/checkout before this step.',
    );
  }
}

async function ownTree(git: LocalGit, commit: string): Promise<Tree> {
  try {
    return await readTree(git, commit);
  } catch (error) {
    if (!(error instanceof GitFailed)) throw error;
    throw new ExpectedError(
      `The tree of ${commit} cannot be read: ${words(error.said)}.`,
      'Nothing was asked.',
      'See whether `git ls-tree -r` lists it in the checkout.',
    );
  }
}

async function readableTree(git: LocalGit, commit: string | undefined): Promise<Tree | undefined> {
  if (!commit) return undefined;
  try {
    return await readTree(git, commit);
  } catch (error) {
    if (error instanceof GitFailed) return undefined;
    throw error;
  }
}

/** Whether a path is left out by `exclude`. */
export function excludedOf({ exclude }: Inputs): (path: string) => boolean {
  return exclude.length > 0 ? picomatch(exclude, { dot: true }) : () => false;
}

/** Which paths are asked about; the root is `.`, and is left out only by name. */
function wantedOf(inputs: Inputs): (row: { path: string }) => boolean {
  const { include, exclude } = inputs;
  const included = include.length > 0 ? picomatch(include, { dot: true }) : () => true;
  const excluded = excludedOf(inputs);
  return ({ path }) => (path === '.' ? !exclude.includes('.') : included(path) && !excluded(path));
}

/** A pin with what the .gitmodules beside it says about it. */
type ChosenPin = Pin & { entry?: Entry };

/**
 * The pins that are asked about: those of this commit, or of all that were pushed; on a pull request those it changes, be it
 * by another commit or by another address.
 */
async function choosePins(
  inputs: Inputs,
  event: Event,
  git: LocalGit,
  tree: Tree,
): Promise<{ chosen: ChosenPin[]; notes: string[] }> {
  const wanted = wantedOf(inputs);
  const own = withEntries(tree).filter(wanted);
  const before = await readableTree(git, event.before);
  if (event.kind === 'pull_request') {
    if (!before)
      return {
        chosen: own,
        notes: [
          'The base of the pull request is not in this checkout: all pins were asked about, not only the changed ones.',
        ],
      };
    const old = withEntries(before);
    const isChanged = (pin: ChosenPin) =>
      !old.some((each) => isSame(pin)(each) && (tree.unreadable || each.entry?.url === pin.entry?.url));
    return { chosen: own.filter(isChanged), notes: [] };
  }
  if (inputs.commits === 'head' || event.kind !== 'push') return { chosen: own, notes: [] };
  if (!before)
    return {
      chosen: own,
      notes: [
        'What the branch held before is not in this checkout (fetch-depth): only the newest commit was asked about.',
      ],
    };
  const list = await git('rev-list', tree.commit, `^${before.commit}`);
  const older = await Promise.all(
    list
      .split('\n')
      .filter(Boolean)
      .map((sha) => readTree(git, sha)),
  );
  const pins = new Map(
    [...older.reverse().flatMap(withEntries), ...withEntries(tree)].map((pin) => [`${pin.path}\0${pin.sha}`, pin]),
  );
  return { chosen: [...pins.values()].filter(wanted), notes: [] };
}

/** Entries that pin nothing; of a pull request those it brings. */
async function newStrays({ kind, before }: Event, git: LocalGit, tree: Tree): Promise<Entry[]> {
  const known = kind === 'pull_request' ? await readableTree(git, before) : undefined;
  const old = new Set(known && straysOf(known).map(({ name, path }) => `${name}\0${path}`));
  return straysOf(tree).filter(({ name, path }) => !old.has(`${name}\0${path}`));
}

function straysOf({ pins, entries }: Tree): Entry[] {
  const pinned = new Set(pins.map(({ path }) => path));
  return entries.filter(({ path }) => path === undefined || !pinned.has(path));
}

function withEntries({ pins, entries }: Tree): ChosenPin[] {
  const entryOf = new Map(entries.flatMap((entry) => (entry.path ? [[entry.path, entry] as const] : [])));
  return pins.map((pin) => ({ ...pin, entry: entryOf.get(pin.path) }));
}

const isSame =
  ({ path, sha }: Pin) =>
  (other: Pin) =>
    other.path === path && other.sha === sha;

/** Of a pull request the base is asked about: its own head is on no main branch yet. */
function rootCommit(event: Event, commit: string): string {
  return event.kind === 'pull_request' ? (event.base ?? commit) : commit;
}

export function rootName(inputs: Inputs, { repository }: Event): string {
  const name = inputs.root ?? repository?.split('/').at(-1);
  if (name) return name;
  throw new ExpectedError(
    'It is not known what the root repository is called.',
    'Nothing was asked.',
    'Give its name as `root`.',
  );
}

/** Address of a repository that lies directly below the base of a remote. */
export function placeBelow(inputs: Inputs, { name, base, branch }: Remote, repository: string): Place {
  return { remote: name, branch: branch ?? inputs.branch, url: `${base}${repository}` };
}

function rootPlace(inputs: Inputs, remote: Remote, root: string): Place {
  return placeBelow(inputs, remote, root);
}

function targetOf(
  inputs: Inputs,
  event: Event,
  root: string,
  { path, sha }: Pin,
  entry: Entry,
  policy: Tree | undefined,
): Target {
  const expected = inputs.expectedBranches.get(path) ?? branchInGitmodules(event, path, policy);
  const places = inputs.remotes.map((remote): Place => {
    const branch = expected ?? remote.branch ?? inputs.branch;
    return placeOf(inputs, remote.name, branch, `${remote.base}${root}`, entry.url);
  });
  return { path, sha, line: entry.line, places };
}

/** Resolves a url of .gitmodules against where its root lies on a remote, and says whether it may be asked. */
export function placeOf(
  inputs: Inputs,
  remote: string,
  branch: string,
  rootUrl: string,
  written: string | undefined,
): Place {
  if (!written) return { remote, branch };
  const url = resolveUrl(rootUrl, written);
  if (!url) return { remote, branch, refused: `${JSON.stringify(written)} has more ../ than ${rootUrl} has folders` };
  const refused = refusedUrl(
    url,
    inputs.remotes.map(({ base }) => base),
    inputs.allowHosts,
  );
  return { remote, branch, url, refused: refused && `${JSON.stringify(written)}: ${refused}` };
}

/** `branch` of .gitmodules, from where no pull request can write to; `.` means the branch of the root. */
function branchInGitmodules({ branch }: Event, path: string, policy: Tree | undefined): string | undefined {
  const written = policy?.entries.find((entry) => entry.path && posix.normalize(entry.path) === path)?.branch;
  return written === '.' ? branch : written || undefined;
}
