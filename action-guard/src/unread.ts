import type { Position } from './rule.js';

/** What a reader left out of a file: whoever asked that reader has told nothing of it. */
export interface Unread {
  at: Position;
  /** Why, in one sentence. */
  message: string;
  /** The reason within that sentence, in the words in which a rule of its own says it. */
  because?: string;
  todo?: string;
  /** Nothing of the file counts, as it is over a limit of the reader; else one place of it, which does not change by itself. */
  whole: boolean;
  /** Not a byte of it is here, so what a rule says of its text is void. */
  absent?: boolean;
  /** The files that it hangs on. Undefined: any that the rule reads. */
  files?: readonly string[];
}

/**
 * Readers are called by rules, and a rule must not have to remember to ask each of them whether it read to the end. So a
 * reader says it here, and whoever runs the rule listens. It works without promises, so nothing comes between.
 */
let heard: Unread[] | undefined;

/** Says that something was left out; heard by whoever runs the rule. */
export function leaveOut(unread: Unread): void {
  heard?.push(unread);
}

/** Says that nothing of a file counts. */
export function leaveOutFile(path: string, why: string, todo?: string, absent = false): void {
  leaveOut({
    at: { path, line: 1, column: 1 },
    message: `This file was not judged, as ${why}.`,
    todo,
    whole: true,
    absent,
    files: [path],
  });
}

/** Does something, and tells what its readers left out meanwhile. */
export function listen<T>(work: () => T): { result: T; unread: Unread[] } {
  const outer = heard;
  const own: Unread[] = [];
  heard = own;
  try {
    return { result: work(), unread: own };
  } finally {
    heard = outer;
  }
}

/** Keeps what a reader made of something, with what it left out: who gets it later is told as well. */
export function keeper<Of extends object, T>(): (of: Of, key: string, read: () => T) => T {
  const kept = new WeakMap<Of, Map<string, { result: T; unread: Unread[] }>>();
  return (of, key, read) => {
    const known = kept.get(of) ?? new Map<string, { result: T; unread: Unread[] }>();
    kept.set(of, known);
    const found = known.get(key) ?? listen(read);
    known.set(key, found);
    for (const each of found.unread) leaveOut(each);
    return found.result;
  };
}
