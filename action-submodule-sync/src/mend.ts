import { misleading } from '@gbo/shared/report';
import { shellQuote } from '@gbo/shared/ssh/quote';
import type { Finding } from './states.js';

/** A branch of a remote. */
export interface Side {
  remote: string;
  branch: string;
}

/**
 * Where a new commit of the root is pushed. `upstream`, for a pull request: where its branch belongs, never to main past the
 * review.
 */
export type RootSides = Side[] | 'upstream';

/** A submodule that itself holds the one in question, and where its commits belong. */
export interface Parent {
  path: string;
  sides: Side[];
}

/** A shell word, quoted only where it must be: these commands are read by people, one a line. */
export function word(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text) && !text.startsWith('-')) return text;
  // $(...) takes newlines off the end, so such a name cannot be written in one line.
  if (text.search(misleading) < 0 || text.endsWith('\n')) return shellQuote(text);
  const octal = (character: string) =>
    [...Buffer.from(character)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
  const format = text
    .replaceAll('%', '%%')
    .replaceAll(/[\\']|^-/g, octal)
    .replaceAll(misleading, octal);
  return `"$(printf '${format}')"`;
}

const at = (path: string) => (path === '.' ? 'git' : `git -C ${word(path)}`);

const branchRef = (branch: string) => word(`refs/heads/${branch}`);

const pushHead = (path: string, sides: Side[]) =>
  sides.map(({ remote, branch }) => `${at(path)} push ${word(remote)} HEAD:${branchRef(branch)}`);

/** Puts a commit on a branch, where that is a fast-forward; git refuses it otherwise. */
export function pushCommand(path: string, remote: string, sha: string, branch: string): string {
  return `${at(path)} push ${word(remote)} ${sha}:${branchRef(branch)}`;
}

/** Brings a tag of a checkout to a remote. */
export function pushTagCommand(path: string, remote: string, tag: string): string {
  return `${at(path)} push ${word(remote)} ${word(`refs/tags/${tag}`)}`;
}

/** Records whatever was changed in the root and brings it to every remote. */
function rootCommands(message: string, sides: RootSides, commit = 'git commit'): string[] {
  return [`${commit} -m ${word(message)}`, ...(sides === 'upstream' ? ['git push'] : pushHead('.', sides))];
}

function joinCommands(path: string, sides: Side[]): string[] {
  return sides.flatMap(({ remote, branch }) => [
    `${at(path)} fetch ${word(remote)} ${branchRef(branch)}`,
    `${at(path)} merge --no-edit FETCH_HEAD`,
  ]);
}

/** Records what is checked out at `path` in all that hold it, innermost first. */
function recordCommands(path: string, parents: Parent[], root: RootSides): string[] {
  const [parent, ...further] = parents;
  if (!parent) return [`git add -- ${word(path)}`, ...rootCommands(`Update ${path}`, root)];
  const below = path.slice(parent.path.length + 1);
  return [
    `${at(parent.path)} add -- ${word(below)}`,
    `${at(parent.path)} commit -m ${word(`Update ${below}`)}`,
    ...parentCommands(parent, further, root),
  ];
}

function parentCommands({ path, sides }: Parent, further: Parent[], root: RootSides): string[] {
  return [...joinCommands(path, sides), ...pushHead(path, sides), ...recordCommands(path, further, root)];
}

/** Joins what the remotes hold, pushes the joint commit everywhere, and pins it. Nobody's work is left behind. */
export function mergeCommands(
  path: string,
  sha: string,
  sides: (Side & { missing: boolean })[],
  parents: Parent[],
  root: RootSides,
): string[] {
  return [
    `${at(path)} checkout --detach ${sha}`,
    ...joinCommands(
      path,
      sides.filter(({ missing }) => !missing),
    ),
    ...pushHead(path, sides),
    ...(path === '.' ? [] : recordCommands(path, parents, root)),
  ];
}

/** Pins another commit of the submodule, without a checkout of it; one that is pinned already is only pushed. */
export function pinCommands(path: string, sha: string, parents: Parent[], root: RootSides): string[] {
  const [parent, ...further] = parents;
  const holder = parent?.path ?? '.';
  const below = parent ? path.slice(parent.path.length + 1) : path;
  const commit = `${at(holder)} diff --cached --quiet || ${at(holder)} commit`;
  return [
    `${at(holder)} update-index --add --cacheinfo ${word(`160000,${sha},${below}`)}`,
    ...(parent
      ? [`${commit} -m ${word(`Update ${below}`)}`, ...parentCommands(parent, further, root)]
      : rootCommands(`Update ${path}`, root, commit)),
  ];
}

/** Takes a gitlink out of the root that no entry of .gitmodules explains. */
export function removeGitlinkCommands(path: string, parents: Parent[], root: RootSides): string[] {
  const [parent, ...further] = parents;
  if (!parent) return [`git rm --cached --quiet -- ${word(path)}`, ...rootCommands(`Remove the gitlink ${path}`, root)];
  const below = path.slice(parent.path.length + 1);
  return [
    `${at(parent.path)} rm --cached --quiet -- ${word(below)}`,
    `${at(parent.path)} commit -m ${word(`Remove the gitlink ${below}`)}`,
    ...parentCommands(parent, further, root),
  ];
}

/** Takes an entry out of .gitmodules that explains no gitlink. */
export function removeEntryCommands(name: string, root: RootSides): string[] {
  return [
    `git config -f .gitmodules --remove-section ${word(`submodule.${name}`)}`,
    'git add .gitmodules',
    ...rootCommands(`Remove the entry ${name}`, root),
  ];
}

/**
 * The commands of all findings, to be carried out in this order: submodules are pushed before a root that pins their
 * commits, and commits of the root are pushed together at the end.
 */
export function allCommands(findings: Finding[]): string[] {
  const blocks = [...new Map(findings.map(({ path, mend }) => [mend.join('\0'), { path, mend }])).values()];
  const turn = ({ path, mend }: Pick<Finding, 'path' | 'mend'>) => {
    if (path === '.') return 1;
    return mend.every((command) => command.startsWith('git -C ')) ? 0 : 2;
  };
  const commands = blocks.sort((a, b) => turn(a) - turn(b)).flatMap(({ mend }) => mend);
  return commands.filter(
    (command, index) => !command.startsWith('git push') || commands.lastIndexOf(command) === index,
  );
}
