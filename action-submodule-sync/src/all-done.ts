/**
 * Promise.all that waits for the end of all work even where some of it fails: a git that goes on would write into a folder
 * that is being removed.
 *
 * @throws what the first in the row failed with
 */
export async function allDone<T>(work: (T | Promise<T>)[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
