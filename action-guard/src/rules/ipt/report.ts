import type { Decision } from '../../formats/firewall.js';
import { Lines } from '../../lines.js';
import type { Finding, Position } from '../../rule.js';
import type { RulesFile } from './read.js';

/** The position of an offset, which may lie a little behind the end where a script stands in a string. */
export function positionOf(path: string, text: string, lines: Lines, at: number): Position {
  return { path, ...lines.at(Math.max(0, Math.min(at, text.length))) };
}

/** Where the deciding line of a file stands; of what ufw itself does: where its chain begins in the file. */
export function placeOf(rules: RulesFile, by: Decision): { path: string; at: number } {
  if (by.path !== '' && !by.path.startsWith('(')) return { path: by.path, at: by.at };
  const { path, text } = rules.file;
  const chain = text.search(/^(:|-A )ufw6?-before-input/m);
  return { path, at: Math.max(0, chain) };
}

/** "Valkey (6379), MinIO (9000) and Vault (8200)". */
export function namePorts(ports: [name: string, port: number][]): string {
  const names = ports.map(([name, port]) => `${name} (${port})`);
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** "in container acme-system", where a script says so. */
export const inMachine = (machine: string) =>
  machine === '' ? '' : machine === '?' ? ' in a container' : ` in ${machine}`;

/** Findings at positions of one file, by offset. */
export function finder(rules: RulesFile): (at: number, finding: Omit<Finding, 'at'>) => Finding {
  const { path, text } = rules.file;
  const lines = new Lines(text);
  return (at, finding) => ({ at: positionOf(path, text, lines, at), ...finding });
}
