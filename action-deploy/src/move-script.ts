import { posix } from 'node:path';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import type { Move } from './steps.js';

/** Comes before the compounds below: what of a file, beside its content, a move brings along. Only root may give files away. */
export const moveLibrary = `attributes=%a; [ "$(id -u)" != 0 ] || attributes='%a %u %g'`;

/**
 * A shell compound that carries out one move by rename(2), so that `path` is at no moment absent or half-written.
 * Fails (status 1) without touching a file that is neither the expected one nor already the wanted one.
 */
export function moveScript(move: Move): string {
  const { path, from, copy } = move;
  const temporary = q(posix.join(posix.dirname(path), `.${posix.basename(path)}.gbo-new`));
  const place = q(path);
  const otherwise = `elif ${isOurs(move)}; then`;
  if (!from) return `{ if [ ! -e ${place} ]; then :; ${otherwise} rm -f ${place}; else ${complain(path)}; fi; }`;
  const copied = `{ cp -p --reflink=auto ${q(from)} ${temporary} && sync ${temporary}; }`;
  const linked = `{ rm -f ${temporary}; ln -f ${q(from)} ${temporary} 2>/dev/null; }`;
  // A link takes no space, so that a full disk keeps nobody from the way back.
  const bring = copy ? `{ ${copied} || ${linked}; }` : `{ ${linked} || ${copied}; }`;
  // mv of two links to one inode does nothing and leaves both: the temporary name is cleared either way.
  const put = `{ rm -f ${temporary}; ${bring} && mv -fT ${temporary} ${place} && rm -f ${temporary} && sync ${q(posix.dirname(path))}; }`;
  const attributes = (file: string) => `"$(stat -c "$attributes" ${file})"`;
  const done = `[ -e ${place} ] && ${same(place, q(from))} && [ ${attributes(place)} = ${attributes(q(from))} ]`;
  return `{ if ${done}; then :; ${otherwise} ${put}; else ${complain(path)}; fi; }`;
}

/** A shell compound that fails, and says so, when what is at the path was put there by somebody else. */
export function oursScript(move: Move): string {
  return `{ ${isOurs(move)} || ${complain(move.path)}; }`;
}

/** Nothing, the file that the move expects, or the one that it brings. */
function isOurs({ path, from, over }: Move): string {
  const files = [over, from].filter((file) => file !== undefined);
  return `{ ${[`[ ! -e ${q(path)} ]`, ...files.map((file) => same(q(path), q(file)))].join(' || ')}; }`;
}

function same(a: string, b: string): string {
  return `{ [ ${a} -ef ${b} ] || cmp -s ${a} ${b}; }`;
}

function complain(path: string): string {
  return `{ echo ${q(`${path} was changed by somebody else meanwhile; left as it is`)} >&2; false; }`;
}
