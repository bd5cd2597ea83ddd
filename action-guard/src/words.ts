import type { Judged } from './judge.js';

/** Names of files may hold anything, and must stay on their line. */
export function shown(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (character) => {
    const short = JSON.stringify(character).slice(1, -1);
    return short.startsWith('\\') ? short : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** `path:line:column`. */
export function place({ at }: Judged): string {
  return `${shown(at.path)}:${at.line}:${at.column}`;
}

/** A finding in one line, without its place. */
export function sentence({ severity, status, rule, message, todo }: Judged): string {
  const word = status === 'unknown' ? 'unknown' : severity;
  return `${word} ${rule}: ${shown(message)}${todo ? ` ${shown(todo)}` : ''}`;
}
