import { posix } from 'node:path';
import { ExpectedError } from '@gbo/shared/errors';
import type { Event } from '@gbo/shared/event';
import PQueue from 'p-queue';
import { allDone } from './all-done.js';
import { type ChosenPin, choosePins, readableTree, refuseUnmatched, wantedOf } from './choose.js';
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
  const policy = event.kind === 'pull_request' ? await baseTree(event, git) : tree;
  const { pins: chosen, orphans, leftOut, seen, changed, earlier, notes } = await choosePins(inputs, event, git, tree);
  if (event.kind === 'pull_request' && (!policy || policy.unreadable)) {
    notes.push('.gitmodules of the base could not be read: no `branch` in it counts, only the inputs.');
  }
  notes.push(...oddEntries(chosen));
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
  // Those of submodules are seen only where all of them are asked.
  refuseUnmatched(inputs.nested ? { ...inputs, exclude: [], expectedBranches: new Map() } : inputs, seen);
  const root = rootName(inputs, event);
  const branches = branchesIn(policy, event);
  const targets = chosen.flatMap(({ entry, ...pin }) =>
    entry ? [targetOf(inputs, root, pin, entry, branches.get(pin.path))] : [],
  );
  const rootTarget = {
    path: '.',
    sha: rootCommit(event, commit),
    places: inputs.remotes.map((remote) => rootPlace(inputs, remote, root)),
  };
  const withRoot = wantedOf(inputs)(rootTarget) && isRootAsked(event, rootTarget.places, notes);
  const all = [...(withRoot ? [rootTarget] : []), ...targets];
  const queue = new PQueue({ concurrency: inputs.parallel });
  const rows = await allDone(all.map((target) => surveyTarget(target, shop, queue)));
  if (withRoot && inputs.mode === 'schedule') {
    rows.splice(1, 0, ...(await allDone(tipTargets(rootTarget, rows).map((tip) => surveyTarget(tip, shop, queue)))));
  }
  const below =
    inputs.nested && !tree.unreadable
      ? await nestedRows(inputs, event, targets, shop, queue)
      : { rows: [], orphans: [], unknowns: [], seen: [] };
  if (inputs.nested && leftOut.length === 0 && targets.length >= tree.pins.length && below.unknowns.length === 0) {
    refuseUnmatched(inputs, [...seen, ...below.seen]);
  }
  return {
    event: { ...event, commit },
    now: Date.now(),
    rows: [...rows, ...below.rows],
    // Without a readable .gitmodules nothing can be said about entries.
    orphans: tree.unreadable ? [] : [...orphans, ...below.orphans],
    strays,
    unreadable: tree.unreadable,
    earlier,
    rootPins: [],
    unknowns: below.unknowns,
    leftOut,
    changed,
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

/** What git does with an entry, and few expect. */
function oddEntries(chosen: ChosenPin[]): string[] {
  const entries = new Map(chosen.flatMap(({ entry }) => (entry ? [[entry.name, entry] as const] : [])));
  return [...entries.values()].flatMap(({ name, updateNone, severalUrls }) => [
    ...(updateNone
      ? [`${name} has \`update = none\`: git submodule update leaves it out; it was asked about all the same.`]
      : []),
    ...(severalUrls ? [`${name} has several urls in .gitmodules; the last one was asked about, as git does.`] : []),
  ]);
}

/** What was reviewed already: of the base, or of where the pull request left it. */
async function baseTree({ base, before }: Event, git: LocalGit): Promise<Tree | undefined> {
  return (await readableTree(git, base)) ?? readableTree(git, before);
}

/** The base of a pull request must be on every remote only where it leads to the branch that counts, not on top of another one. */
function isRootAsked({ kind, base, branch }: Event, places: Place[], notes: string[]): boolean {
  if (kind !== 'pull_request') return true;
  if (!base) return false;
  if (places.some((place) => place.branch === branch)) return true;
  notes.push(
    `The pull request leads to ${branch}, which is no branch that must hold the root: the root was not asked about.`,
  );
  return false;
}

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

function targetOf(inputs: Inputs, root: string, { path, sha }: Pin, entry: Entry, written: string | undefined): Target {
  const expected = inputs.expectedBranches.get(path) ?? written;
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

/** `branch` of .gitmodules by path, from where no pull request can write to; `.` means the branch of the root. */
function branchesIn(policy: Tree | undefined, { branch }: Event): Map<string, string | undefined> {
  // The first entry of a path counts, so it is put in last.
  return new Map(
    (policy?.entries ?? [])
      .filter(({ path }) => path)
      .reverse()
      .map(({ path = '', branch: written }) => [
        posix.normalize(path),
        written === '.' ? branch : written || undefined,
      ]),
  );
}
