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

/** What several rules say of one place for one reason, as of an import that none could read: told as one. */
export interface Told {
  finding: Judged;
  rules: string[];
}

/** Puts together the rules that could not tell for the same reason. In the order of the first of each. */
export function together(findings: readonly Judged[]): Told[] {
  const groups = new Map<string, Told>();
  for (const finding of findings) {
    const { status, message, because, old, excused, rule } = finding;
    const key = JSON.stringify(
      status === 'unknown' ? [place(finding), because ?? message, old, excused] : [groups.size],
    );
    const group = groups.get(key);
    if (!group) groups.set(key, { finding, rules: [rule] });
    else {
      if (!group.rules.includes(rule)) group.rules.push(rule);
      // Who says the reason itself also says what to do.
      if (group.finding.because && !because) group.finding = finding;
    }
  }
  return [...groups.values()];
}

/** The same as `sentence`, with all the rules. */
export function sentenceOf({ finding, rules }: Told): string {
  return sentence({ ...finding, rule: rules.join(', ') });
}
