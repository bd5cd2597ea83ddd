import { posix } from 'node:path';
import { shellQuote as q } from '@gbo/shared/ssh/quote';

/**
 * Where things lie on the target. Every artifact has its store beside it (`.gbo-deploy` in the same folder, so on the same
 * file system: links and renames work). Lock, record and undo of the whole deploy lie in the state folder.
 */
export const store = (path: string): string => posix.join(posix.dirname(path), '.gbo-deploy');

/** A kept release of one artifact, hard-linked with the file in place while it is current. */
export const kept = (path: string, release: string): string =>
  posix.join(store(path), 'releases', release, posix.basename(path));

/** The unfinished upload: named by its content, so that the next try resumes it. */
export const part = (path: string, sha256: string): string =>
  posix.join(store(path), 'incoming', `${posix.basename(path)}-${sha256.slice(0, 12)}.part`);

export const lockFile = (stateDir: string): string => posix.join(stateDir, 'lock');
export const holderFile = (stateDir: string): string => posix.join(stateDir, 'lock.holder');
export const recordFile = (stateDir: string): string => posix.join(stateDir, 'record.jsonl');
/** sha256 of files, each with the device, inode, size and times it had when it was read. */
export const sumsFile = (stateDir: string): string => posix.join(stateDir, 'sums');

/** The undo script of a release; beside it an empty file `<release>.<state>` says what became of it. */
export const undoScriptFile = (stateDir: string, release: string): string =>
  posix.join(stateDir, 'undo', `${release}.sh`);
export const undoStateFile = (stateDir: string, release: string, state: UndoState): string =>
  posix.join(stateDir, 'undo', `${release}.${state}`);

/** armed: the target waits for our word. confirmed: it had it. undoing, undone: what the names say. */
export type UndoState = 'armed' | 'confirmed' | 'undoing' | 'undone';

/** Unit name of the dead-man's timer on the target. */
export const deadManUnit = (release: string): string => `gbo-undo-${release.toLowerCase()}`;

/**
 * A shell command that makes folders: those that hold artifacts open to all, since a unit may run as any user; our own closed
 * to others.
 */
export function makeFolders(open: string[], closed: string[]): string {
  const all = (folders: string[]) => folders.map(q).join(' ');
  return `(umask 022; mkdir -p -- ${all(open)}) && (umask 077; mkdir -p -- ${all(closed)})`;
}
