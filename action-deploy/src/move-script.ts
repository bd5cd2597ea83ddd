import { posix } from 'node:path';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import type { Move } from './steps.js';

/**
 * A shell compound that carries out one move by rename(2), so that `path` is at no moment absent or half-written.
 * Fails (status 1) without touching a file that is neither the expected one nor already the wanted one.
 */
export function moveScript({ path, from, over, copy }: Move): string {
  const temporary = q(posix.join(posix.dirname(path), `.${posix.basename(path)}.gbo-new`));
  const same = (a: string, b: string) => `{ [ ${a} -ef ${b} ] || cmp -s ${a} ${b}; }`;
  const place = q(path);
  const expected = over ? `{ [ ! -e ${place} ] || ${same(place, q(over))}; }` : `[ ! -e ${place} ]`;
  const complain = `{ echo ${q(`${path} was changed by somebody else meanwhile; left as it is`)} >&2; false; }`;
  if (!from) return `{ if [ ! -e ${place} ]; then :; elif ${expected}; then rm -f ${place}; else ${complain}; fi; }`;
  const copied = `{ cp -p --reflink=auto ${q(from)} ${temporary} && sync ${temporary}; }`;
  const bring = copy ? copied : `{ ln -f ${q(from)} ${temporary} 2>/dev/null || ${copied}; }`;
  // mv of two links to one inode does nothing and leaves both: the temporary name is cleared either way.
  const put = `{ rm -f ${temporary}; ${bring} && mv -fT ${temporary} ${place} && rm -f ${temporary} && sync ${q(posix.dirname(path))}; }`;
  return `{ if [ -e ${place} ] && ${same(place, q(from))}; then :; elif ${expected}; then ${put}; else ${complain}; fi; }`;
}
