import picomatch from 'picomatch';
import { leaveOutFile } from './unread.js';

/** A file of a commit, read whole. */
export interface SourceFile {
  path: string;
  /** `link`: a symbolic link; its text is where it leads, and nobody follows it. `submodule` has no text. */
  kind: 'file' | 'executable' | 'link' | 'submodule';
  /** As UTF-8; broken bytes as U+FFFD. */
  text: string;
  bytes: Buffer;
  /** Why it has no text, where it should have one. */
  unread?: string;
}

/** The files of a commit. All its paths are known; texts only of those that the rules asked for. */
export interface Tree {
  /** Sorted. */
  paths: readonly string[];
  /** Undefined when there is none. @throws Error for one that is there and that no rule asked for: its globs miss it */
  file(path: string): SourceFile | undefined;
  /** Paths that match one of the globs (picomatch, dot files too). Worked out once: rules of a family ask for the same. */
  select(globs: readonly string[]): readonly string[];
  /** The files of these paths. */
  matching(globs: readonly string[]): SourceFile[];
}

/** Whether a path matches one of the globs; `!glob` takes paths out again. */
export function matcher(globs: readonly string[]): (path: string) => boolean {
  // With `s`, a newline in a name does not hide a file from `**`.
  const options = { dot: true, flags: 's' };
  const [takes, leaves] = [globs.filter((glob) => !glob.startsWith('!')), globs.filter((glob) => glob.startsWith('!'))];
  const matches = takes.map((glob) => picomatch(glob, options));
  const excludes = leaves.map((glob) => picomatch(glob.slice(1), options));
  return (path) => matches.some((matches_) => matches_(path)) && !excludes.some((excludes_) => excludes_(path));
}

/** A tree of files that are all there: for tests and samples. */
export function treeOf(files: Record<string, string | Partial<SourceFile>>): Tree {
  const all = new Map(
    Object.entries(files).map(([path, given]) => {
      const text = typeof given === 'string' ? given : (given.text ?? '');
      const file: SourceFile = {
        path,
        kind: 'file',
        text,
        bytes: Buffer.from(text),
        ...(typeof given === 'string' ? {} : given),
      };
      return [path, file] as const;
    }),
  );
  return makeTree([...all.keys()], (path) => all.get(path));
}

/** The files of a tree that are wanted, as if there were no others. */
export function part(tree: Tree, wanted: (path: string) => boolean): Tree {
  return makeTree(tree.paths.filter(wanted), (path) => tree.file(path));
}

/** A tree over a reader of files. */
export function makeTree(paths: string[], read: (path: string) => SourceFile | undefined): Tree {
  const sorted = [...paths].sort();
  const known = new Set(sorted);
  const file = (path: string): SourceFile | undefined => {
    if (!known.has(path)) return undefined;
    const found = read(path);
    if (!found) throw new Error(`${path} was not read`);
    if (found.unread) leaveOutFile(path, found.unread, 'Make it smaller, or leave it out by the policy.', true);
    return found;
  };
  const selected = new Map<string, readonly string[]>();
  const select = (globs: readonly string[]): readonly string[] => {
    const key = JSON.stringify(globs);
    const paths = selected.get(key) ?? sorted.filter(matcher(globs));
    selected.set(key, paths);
    return paths;
  };
  return {
    paths: sorted,
    file,
    select,
    matching: (globs) => select(globs).map((path) => file(path) as SourceFile),
  };
}
