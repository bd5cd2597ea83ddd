import { plain } from '@gbo/shared/report';
import type { Judged } from './judge.js';

/** `path:line:column`. */
export function place({ at }: Judged): string {
  return `${plain(at.path)}:${at.line}:${at.column}`;
}

/** A finding in one line, without its place. */
export function sentence({ severity, status, rule, message, todo }: Judged): string {
  const word = status === 'unknown' ? 'unknown' : severity;
  return `${word} ${rule}: ${plain(message)}${todo ? ` ${plain(todo)}` : ''}`;
}
