// npm run release -- action-deploy 1.2.3 --remote URL [--remote URL ...] [--dry-run]
// Publishes an action: its tree as a commit in its own public repository, on every remote, and its tags v1.2.3, v1.2 and v1 in
// one atomic push for each. Run again after a failure, it makes the same commit and pushes it where it is missing.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { actions, root } from './actions.mjs';
import { assemble, commitOf, filesIn, isInMain, refsOf, run } from './publish-tree.mjs';
import { refuseCredentials, releaseCommand } from './release-command.mjs';

const command = releaseCommand({
  remote: { type: 'string', multiple: true, default: [] },
  'dry-run': { type: 'boolean', default: false },
});
const { action, version, values, folder } = command;
command.run(release);

function release() {
  const known = actions().find(({ name }) => name === action);
  if (!known)
    throw new Error(
      `there is no action ${action}. Nothing was published. One of: ${actions()
        .map(({ name }) => name)
        .join(', ')}`,
    );
  if (!/^\d+\.\d+\.\d+$/.test(version ?? ''))
    throw new Error(`${JSON.stringify(version)} is not a version such as 1.2.3. Nothing was published.`);
  if (values.remote.length === 0) throw new Error('no --remote was named. Nothing was published.');
  refuseCredentials(values.remote, 'Nothing was published.');
  if (known.manifest.version !== version)
    throw new Error(
      `${action}/package.json says ${known.manifest.version}. Nothing was published. Change it, and commit.`,
    );
  if (!readFileSync(join(known.folder, 'CHANGELOG.md'), 'utf8').includes(`\n## ${version}\n`))
    throw new Error(`${action}/CHANGELOG.md does not tell of ${version}. Nothing was published.`);
  const commit = commitOf(root);
  if (run('git', ['status', '--porcelain']).trim())
    throw new Error('this checkout has changes that are not committed. Nothing was published.');
  const tested = resolve(root, run('git', ['rev-parse', '--git-path', 'gbo-tested']).trim());
  if (!existsSync(tested) || readFileSync(tested, 'utf8') !== commit.hash)
    throw new Error(`this commit has not passed \`npm test\` here. Nothing was published.`);
  // A tag can stand on any commit; what is published is what was reviewed. Here and not in the workflow, so that it holds by
  // hand too; not of a dry run, which publishes nothing: that is how to try a release out on a branch.
  if (!isInMain(commit.hash)) {
    const outside = 'origin/main, as it was last fetched here, does not contain this commit.';
    if (!values['dry-run'])
      throw new Error(`${outside} Nothing was published. Merge it into main, and release from there.`);
    console.log(`${outside} A release would be refused.`);
  }

  const git = join(folder, 'git');
  run('git', ['init', '--quiet', '--bare', git]);
  const remotes = values.remote.map((url) => lookAt(git, url));
  const tree = join(folder, 'tree');
  const provenance = assemble(root, action, commit, tree);
  for (const path of filesIn(tree)) console.log(`  ${path}`);
  const made = makeCommit(git, tree, remotes, commit, provenance);
  const pushes = remotes.map((remote) => ({ remote, refs: refsFor(made, remote) }));
  for (const { remote, refs } of pushes)
    console.log(
      `${remote.url}: ${refs.length > 0 ? refs.map((ref) => ref.split(':')[1].replace(/^refs\/(heads|tags)\//, '')).join(' ') : 'has it already'}`,
    );
  // Whoever would refuse is known before anybody has anything.
  const refused = pushes.filter(({ refs }) => refs.length > 0).flatMap((push) => attempt(git, push, ['--dry-run']));
  if (refused.length > 0) throw new Error(`${refused.join('; ')}. Nothing was published anywhere.`);
  if (values['dry-run']) return console.log(`Dry run: ${made} was pushed nowhere.`);
  const failed = pushes.filter(({ refs }) => refs.length > 0).flatMap((push) => attempt(git, push, []));
  const there = pushes.length - failed.length;
  if (failed.length > 0)
    throw new Error(
      `${failed.join('; ')}. ${there} of ${pushes.length} remotes have v${version}; there nothing is half-moved. Run the same command again to push it where it is missing.`,
    );
  console.log(
    `Published ${action} v${version} as ${made} on ${pushes.length} ${pushes.length === 1 ? 'remote' : 'remotes'}.`,
  );
}

/** Tip and tags of a remote, and its objects. */
function lookAt(git, url) {
  const refs = refsOf(url);
  const main = refs.get('refs/heads/main');
  if (refs.size > 0) run('git', ['-C', git, 'fetch', '--quiet', '--no-tags', '--', url, '+refs/*:refs/seen/*']);
  return { url, refs, main, published: refs.get(`refs/tags/v${version}`) };
}

/** The commit of this release: its time is that of its source, so that it is the same however often it is made. */
function makeCommit(git, tree, remotes, commit, provenance) {
  const waiting = remotes.filter(({ published }) => !published);
  const done = remotes.find(({ published }) => published);
  const tips = new Set(waiting.map(({ main }) => main));
  if (tips.size > 1)
    throw new Error(
      `the remotes are not at the same commit: ${waiting.map(({ url, main }) => `${url} at ${main ?? 'nothing'}`).join(', ')}. Nothing was published. Push main of the one to the other first`,
    );
  const parent =
    waiting.length > 0
      ? waiting[0].main
      : run('git', ['-C', git, 'rev-list', '--max-count=1', '--skip=1', done.published]).trim() || undefined;
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    GIT_INDEX_FILE: join(folder, 'index'),
    ...Object.fromEntries(
      ['AUTHOR', 'COMMITTER'].flatMap((who) => [
        [`GIT_${who}_NAME`, 'gbo-actions'],
        [`GIT_${who}_EMAIL`, 'actions@example.com'],
        [`GIT_${who}_DATE`, commit.date],
      ]),
    ),
  };
  const inTree = (...args) => run('git', ['--git-dir', git, '--work-tree', tree, ...args], tree, { env }).trim();
  inTree('add', '--all', '--force', '.');
  const message = `${action} ${version}\n\nSource-Commit: ${provenance.source}\nLock-File-Sha256: ${provenance.lockFile}\nBundle-Sha256: ${provenance.bundle}\n`;
  const made = inTree('commit-tree', inTree('write-tree'), ...(parent ? ['-p', parent] : []), '-m', message);
  const other = remotes.find(({ published }) => published && published !== made);
  if (other)
    throw new Error(
      `${other.url} has another v${version} already (${other.published}). Nothing was published. A version is never published twice: take the next one`,
    );
  return made;
}

/** What a remote lacks. A patch of an older line moves its own tags only. */
function refsFor(made, { refs, published }) {
  if (published) return [];
  const versions = [...refs.keys()].map((ref) => /^refs\/tags\/v(\d+\.\d+\.\d+)$/.exec(ref)?.[1]).filter(Boolean);
  const [major, minor] = version.split('.');
  const newest = (prefix) =>
    versions.filter((each) => each.startsWith(prefix)).every((each) => compare(each, version) < 0);
  return [
    ...(newest('') ? [`${made}:refs/heads/main`] : []),
    `${made}:refs/tags/v${version}`,
    ...(newest(`${major}.${minor}.`) ? [`+${made}:refs/tags/v${major}.${minor}`] : []),
    ...(newest(`${major}.`) ? [`+${made}:refs/tags/v${major}`] : []),
  ];
}

function compare(a, b) {
  const [left, right] = [a, b].map((each) => each.split('.').map(Number));
  const at = left.findIndex((part, index) => part !== right[index]);
  return at < 0 ? 0 : left[at] - right[at];
}

/** @returns a sentence when it failed */
function attempt(git, { remote, refs }, options) {
  try {
    run('git', ['-C', git, 'push', '--atomic', '--quiet', ...options, '--', remote.url, ...refs]);
    return [];
  } catch (error) {
    return [`${remote.url} did not take it (${error.message})`];
  }
}
