import { ExpectedError } from '@gbo/shared/errors';
import { type Event, eventOf } from '@gbo/shared/event';
import { readBaseline } from './baseline.js';
import { families } from './families.js';
import { Git, GitFailed } from './git.js';
import { type Entry, entriesOf, gitTree, LARGEST_FILE, readBlobs } from './git-tree.js';
import type { Inputs } from './inputs.js';
import { type Case, isActive } from './judge.js';
import { type Policy, readPolicy } from './policy.js';
import type { Family, Rule } from './rule.js';
import { type VaultOptions, vault } from './rules/vault/index.js';
import type { CommitBlob } from './rules/vault/secret.js';
import { textOf as textOfBytes } from './rules/vault/secrets.js';
import { suppressionsIn } from './suppressions.js';
import { askTools } from './tools/index.js';
import { matcher, type Tree } from './tree.js';

export interface Facts {
  event: Event;
  /** The commit that was judged. */
  commit: string;
  /** The commit it was compared with. */
  base?: string;
  of: Case;
  /** New line numbers of the diff by path: only they can carry comments. */
  diff: Map<string, Set<number>>;
  notes: string[];
}

/** Reads what the rules that have something to do ask for, from the objects of the repository. Writes nothing. */
export async function survey(inputs: Inputs, env: NodeJS.ProcessEnv): Promise<Facts> {
  const git = new Git(inputs.repository ?? env.GITHUB_WORKSPACE ?? process.cwd(), env);
  try {
    return await surveyBy(git, inputs, env);
  } catch (error) {
    if (!(error instanceof GitFailed) || !(await isPartial(git))) throw error;
    throw new ExpectedError(
      'This is a partial clone, and what is judged is not in it.',
      'Nothing was judged.',
      'Check out without `filter`.',
    );
  }
}

/** Whether objects were left out of the clone by a filter. */
async function isPartial(git: Git): Promise<boolean> {
  const said = git.text('config', '--get-regexp', '^(extensions\\.partialclone|remote\\..*\\.promisor)$');
  return (await said.catch(() => '')) !== '';
}

async function surveyBy(git: Git, inputs: Inputs, env: NodeJS.ProcessEnv): Promise<Facts> {
  const event = eventOf(env);
  const notes: string[] = [];
  const commit = inputs.head ? await resolve(git, inputs.head) : await resolve(git, event.commit, event.fetch);
  const base = await baseOf(git, inputs, event, commit, notes);
  const entries = await entriesOf(git, commit);
  const baseEntries = base ? await entriesOf(git, base) : undefined;
  const own = baseEntries ?? entries;
  const policy = readPolicy(await textOf(git, own, inputs.policy), inputs.policy, families, inputs.preset);
  const baseline = inputs.baseline ? readBaseline(await textOf(git, own, inputs.baseline), inputs.baseline) : [];
  const commits = base && baseEntries ? await commitsBetween(git, base, baseEntries, commit) : [];
  // Also what came and went on the way: a secret that is taken out again is out.
  const changed = baseEntries && new Set([...differences(baseEntries, entries), ...commits.map(({ path }) => path)]);
  // That commits were not looked at has to be said of some file, and asked of it.
  if (changed && commits.some(({ cut }) => cut)) for (const path of anyOf(entries, policy)) changed.add(path);
  const wanted = wantedBy(families, policy, changed);
  const head = await gitTree(git, entries, wanted);
  const before = baseEntries && (await gitTree(git, baseEntries, wanted));
  const nothing = () => ({ answers: new Map<string, unknown>(), notes: [] as string[] });
  const tools = inputs.tools ? await askTools(head, policy, env.PATH) : nothing();
  const baseTools = inputs.tools && before ? await askTools(before, policy, env.PATH, tools.answers) : nothing();
  tools.answers.set('commits', commits);
  const all = { head: allSuppressions(head, wanted), base: before && allSuppressions(before, wanted) };
  // Only where a rule could be silenced is a comment that does not count a mistake; documents show how it is done.
  const isMeant = wantedBy(families, policy, changed, (rule, options) =>
    policy.maySuppress(rule) ? [rule.files(options), rule.reads?.(options) ?? []] : [],
  );
  const of: Case = {
    families,
    policy,
    head,
    base: before,
    tools: tools.answers,
    baseTools: baseTools.answers,
    changed,
    suppressions: all.head.flatMap(({ found }) => found),
    badSuppressions: all.head.flatMap(({ bad }) => bad).filter(({ path }) => isMeant(path)),
    baseBadSuppressions: all.base?.flatMap(({ bad }) => bad),
    baseline,
    today: new Date().toISOString().slice(0, 10),
  };
  const diff = base && changed ? await diffLines(git, base, commit) : new Map<string, Set<number>>();
  return { event, commit, base, of, diff, notes: [...notes, ...tools.notes] };
}

/** @param fetch how to get it, where that is known */
async function resolve(git: Git, revision: string, fetch?: string): Promise<string> {
  try {
    return (await git.text('rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`)).trim();
  } catch (error) {
    if (!(error instanceof GitFailed)) throw error;
    throw new ExpectedError(
      `There is no commit ${revision} in this checkout${error.said ? ` (${error.said.split('\n')[0]})` : ''}.`,
      'Nothing was judged.',
      (error.said ? undefined : fetch) ?? 'Put a checkout step before this one, or name the folder in `repository`.',
    );
  }
}

async function baseOf(
  git: Git,
  inputs: Inputs,
  event: Event,
  commit: string,
  notes: string[],
): Promise<string | undefined> {
  if (inputs.base) return resolve(git, inputs.base);
  if (event.kind !== 'pull_request' || !event.before) return undefined;
  const { before } = event;
  try {
    await git.run(['cat-file', '-e', `${before}^{commit}`]);
  } catch {
    await fetchCommit(git, before);
  }
  // The server says where the branch left its base; where it does not, the history does, if it is here.
  try {
    return (await git.text('merge-base', before, commit)).trim() || before;
  } catch {
    if (before === event.base)
      notes.push(
        'The history is not here, so the tip of the base branch was compared with; what others added there meanwhile may look as if it were gone.',
      );
    return before;
  }
}

async function fetchCommit(git: Git, commit: string): Promise<void> {
  try {
    await git.run(['fetch', '--quiet', '--no-tags', '--no-recurse-submodules', '--depth=1', 'origin', commit]);
  } catch (error) {
    throw new ExpectedError(
      `The base of the pull request, ${commit}, is not in this checkout and could not be fetched${error instanceof GitFailed ? ` (${error.said.split('\n').at(-1)})` : ''}.`,
      'Nothing was judged.',
      'Give the checkout step `fetch-depth: 0`.',
    );
  }
}

async function textOf(git: Git, entries: Entry[], path: string): Promise<string | undefined> {
  const entry = entries.find((each) => each.path === path && (each.kind === 'file' || each.kind === 'executable'));
  return entry && (await readBlobs(git, [entry.object])).get(entry.object)?.toString();
}

/** Paths that were added, changed or removed, and those whose kind changed. */
export function differences(before: Entry[], after: Entry[]): Set<string> {
  const known = new Map(before.map(({ path, object, kind }) => [path, `${object} ${kind}`]));
  const changed = new Set<string>();
  for (const { path, object, kind } of after) {
    if (known.get(path) !== `${object} ${kind}`) changed.add(path);
    known.delete(path);
  }
  return new Set([...changed, ...known.keys()]);
}

/**
 * Whether a rule that has something to do asks for a file; each takes out what it leaves out for itself alone.
 *
 * @param globsOf which lists of globs of a rule count
 */
export function wantedBy(
  families: readonly Family[],
  policy: Policy,
  changed: ReadonlySet<string> | undefined,
  globsOf = allGlobsOf,
): (path: string) => boolean {
  // Rules of a family mostly name the same files: each list is made into a matcher once, and each path is matched once.
  const asked = { always: new Set<string>(), whenChanged: new Set<string>() };
  for (const family of families) {
    const options = policy.options(family);
    for (const rule of family.rules) {
      if (policy.severity(rule) === 'off' || !isActive(rule, options, changed)) continue;
      const set = rule.fileByFile && changed ? asked.whenChanged : asked.always;
      for (const globs of globsOf(rule, options)) set.add(JSON.stringify(globs));
    }
  }
  const [always, whenChanged] = [asked.always, asked.whenChanged].map((lists) =>
    [...lists].map((globs) => matcher(JSON.parse(globs))),
  ) as [Matcher[], Matcher[]];
  const isAsked = (path: string) =>
    path.endsWith('.gbo-guard') ||
    always.some((matches) => matches(path)) ||
    (changed?.has(path) === true && whenChanged.some((matches) => matches(path)));
  const known = new Map<string, boolean>();
  return (path) => {
    const answer = known.get(path) ?? isAsked(path);
    known.set(path, answer);
    return answer;
  };
}

function allGlobsOf(rule: Rule, options: unknown): string[][] {
  return [rule.files(options), rule.reads?.(options) ?? [], rule.mentions?.(options) ?? []];
}

type Matcher = (path: string) => boolean;

function allSuppressions(tree: Tree, wanted: (path: string) => boolean): ReturnType<typeof suppressionsIn>[] {
  const files = tree.paths.filter(wanted).flatMap((path) => tree.file(path) ?? []);
  return files.filter(({ kind }) => kind === 'file' || kind === 'executable').map(suppressionsIn);
}

/** The first file that is looked into for secrets. */
function anyOf(entries: Entry[], policy: Policy): string[] {
  const { files } = policy.options(vault as unknown as Family) as VaultOptions;
  return entries
    .map(({ path }) => path)
    .filter(matcher(files))
    .slice(0, 1);
}

const MOST_COMMITS = 500;

/** What every commit on the way added or changed: a secret that a later commit takes out again is out all the same. */
async function commitsBetween(git: Git, base: string, baseEntries: Entry[], head: string): Promise<CommitBlob[]> {
  const format = [
    'log',
    '--no-renames',
    // Of a merge what none of its parents has; the branch that it brings in is in the log itself.
    '-c',
    '--reverse',
    '--raw',
    '-z',
    '--abbrev=64',
    '--format=%x01%H',
    `--max-count=${MOST_COMMITS + 1}`,
  ];
  const raw = await git.text(...format, `${base}..${head}`);
  // A commit whose parents are not here is shown as if it had added every file.
  const there = new Set(baseEntries.map(({ path, object }) => `${object} ${path}`));
  const blobs: { commit: string; path: string; object: string; mode: string }[] = [];
  let commit = '';
  let count = 0;
  const fields = raw.split('\0');
  for (let index = 0; index < fields.length; index++) {
    const field = (fields[index] ?? '').replace(/^\n/, '');
    if (field.startsWith('\u0001')) {
      commit = field.slice(1).trim();
      count++;
    }
    // Modes and objects of the parents come before those of the commit; the path is a field of its own.
    const change = /^:+(?:\d+ )+(\d+) (?:[0-9a-f]+ )+([0-9a-f]+) [A-Z]+$/.exec(field);
    if (!change) continue;
    const [, mode = '', object = ''] = change;
    const path = fields[++index] ?? '';
    const gone = mode === '000000';
    if (!gone && mode !== '160000' && !there.has(`${object} ${path}`)) blobs.push({ commit, path, object, mode });
  }
  const texts = await readBlobs(
    git,
    blobs.map(({ object }) => object),
  );
  const cut = { commit, path: '', text: '', cut: true };
  const cuts: CommitBlob[] = [
    ...(count > MOST_COMMITS ? [{ ...cut, unread: `only the last ${MOST_COMMITS} commits were looked at` }] : []),
    ...((await isCutOff(git, base, head))
      ? [
          {
            ...cut,
            unread: 'not all commits of the pull request are in this checkout',
            todo: 'Give the checkout step `fetch-depth: 0`.',
          },
        ]
      : []),
  ];
  const read = blobs.flatMap(({ commit: of, path, object, mode }): CommitBlob[] => {
    const bytes = texts.get(object);
    if (!bytes) return [];
    return bytes.length <= LARGEST_FILE
      ? [
          {
            commit: of,
            path,
            text: textOfBytes({ bytes, text: bytes.toString() }),
            kind: mode === '120000' ? 'link' : 'file',
          },
        ]
      : [{ commit: of, path, text: '', unread: `commit ${of.slice(0, 12)} holds it with more than 4 MiB` }];
  });
  return [...cuts, ...read];
}

/** Whether a shallow checkout ends between two commits: git shows one without parents that has other parents than the base. */
async function isCutOff(git: Git, base: string, head: string): Promise<boolean> {
  if ((await git.text('rev-parse', '--is-shallow-repository')).trim() !== 'true') return false;
  const ends = (await git.text('rev-list', '--max-parents=0', `${base}..${head}`)).split('\n').filter(Boolean);
  for (const end of ends) {
    const [header = ''] = (await git.text('cat-file', 'commit', end)).split('\n\n', 1);
    if ([...header.matchAll(/^parent ([0-9a-f]+)$/gm)].some(([, parent]) => parent !== base)) return true;
  }
  return false;
}

/** Lines of the new files that a diff shows, with its three lines around each change. */
async function diffLines(git: Git, base: string, head: string): Promise<Map<string, Set<number>>> {
  const options = [
    'diff',
    '--no-color',
    '--no-ext-diff',
    '--no-textconv',
    '--no-renames',
    '--unified=3',
    '--src-prefix=a/',
    '--dst-prefix=b/',
  ];
  const text = await git.text(...options, base, head);
  const lines = new Map<string, Set<number>>();
  let current: Set<number> | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('+++ ')) {
      current = line.startsWith('+++ b/') ? new Set() : undefined;
      if (current) lines.set(line.slice('+++ b/'.length).replace(/\t$/, ''), current);
    }
    const hunk = /^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (!hunk || !current) continue;
    const [first, count] = [Number(hunk[1]), Number(hunk[2] ?? 1)];
    for (let at = first; at < first + count; at++) current.add(at);
  }
  return lines;
}
