import { posix } from 'node:path';

/** Absolute, in normal form, and printable on one line: what may stand in a record, a log row and a unit's ExecStart. */
export function isPlainAbsolutePath(path: string): boolean {
  return (
    path.startsWith('/') &&
    path !== '/' &&
    !path.endsWith('/') &&
    posix.normalize(path) === path &&
    !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(path)
  );
}
