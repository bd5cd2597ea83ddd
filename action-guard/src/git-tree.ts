import type { Git } from './git.js';
import { makeTree, type SourceFile, type Tree } from './tree.js';

/** Larger files are no configuration; they are listed and have no text. */
export const LARGEST_FILE = 4 * 1024 * 1024;
export const TOO_LARGE = 'it is larger than 4 MiB';

export interface Entry {
  path: string;
  kind: SourceFile['kind'];
  object: string;
  bytes: number;
}

const kinds: Record<string, SourceFile['kind']> = {
  '100644': 'file',
  '100755': 'executable',
  '120000': 'link',
  '160000': 'submodule',
};

/** Every file of a commit, without its contents. @throws GitFailed */
export async function entriesOf(git: Git, commit: string): Promise<Entry[]> {
  const listing = await git.text('ls-tree', '-r', '-z', '-l', '--full-tree', commit);
  return listing
    .split('\0')
    .filter(Boolean)
    .map((line) => {
      const tab = line.indexOf('\t');
      const [mode = '', , object = '', size = ''] = line.slice(0, tab).split(/ +/);
      return { path: line.slice(tab + 1), kind: kinds[mode] ?? 'file', object, bytes: Number(size) || 0 };
    });
}

/** Reads blobs in one go. @throws GitFailed also when one is not in a partial clone, as nothing is fetched */
export async function readBlobs(git: Git, objects: string[]): Promise<Map<string, Buffer>> {
  const wanted = [...new Set(objects)];
  const blobs = new Map<string, Buffer>();
  if (wanted.length === 0) return blobs;
  const all = await git.run(['cat-file', '--batch'], `${wanted.join('\n')}\n`);
  let at = 0;
  for (const object of wanted) {
    const end = all.indexOf(10, at);
    const [, type, size] = all.toString('latin1', at, end).split(' ');
    at = end + 1;
    if (type !== 'blob') continue; // "missing"
    blobs.set(object, all.subarray(at, at + Number(size)));
    at += Number(size) + 1;
  }
  return blobs;
}

/** The tree of a commit with the contents of what is wanted, and nothing else read. @throws GitFailed */
export async function gitTree(git: Git, entries: Entry[], wanted: (path: string) => boolean): Promise<Tree> {
  const read = entries.filter(({ path, kind, bytes }) => kind !== 'submodule' && bytes <= LARGEST_FILE && wanted(path));
  const blobs = await readBlobs(
    git,
    read.map(({ object }) => object),
  );
  const files = new Map<string, SourceFile>();
  for (const { path, kind, object, bytes } of entries) {
    const content = blobs.get(object);
    if (content && wanted(path)) files.set(path, fileOf(path, kind, content));
    else if (kind === 'submodule') files.set(path, fileOf(path, kind, Buffer.alloc(0)));
    else if (bytes > LARGEST_FILE) files.set(path, { ...fileOf(path, kind, Buffer.alloc(0)), unread: TOO_LARGE });
  }
  return makeTree(
    entries.map(({ path }) => path),
    (path) => files.get(path),
  );
}

/** The text is only made when it is asked for. */
function fileOf(path: string, kind: SourceFile['kind'], bytes: Buffer): SourceFile {
  let text: string | undefined;
  return {
    path,
    kind,
    bytes,
    get text() {
      text ??= bytes.toString('utf8');
      return text;
    },
  };
}
