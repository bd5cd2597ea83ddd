import type { Family, Finding, Rule, Sample } from '../../action-guard/src/rule.js';
import { treeOf } from '../../action-guard/src/tree.js';
import { type Figure, type Goal, goal } from '../measure.js';

/** What ours and a peer find of the samples of rules. */
export interface Tally {
  figures: Figure[];
  goals: Goal[];
  /** Bad samples that the peer does not find, by rule and name. */
  missed: string[];
}

/** @param complains whether the peer says anything of a sample; undefined where it is not here */
export async function tally(
  rules: { family: Family; rule: Rule }[],
  peer: string,
  complains: ((rule: Rule, sample: Sample) => Promise<boolean>) | undefined,
): Promise<Tally> {
  const rows: { rule: string; bad: number; ours: number; theirs: number; blamed: number; good: number }[] = [];
  const missed: string[] = [];
  for (const { family, rule } of rules) {
    const { good, bad } = rule.samples;
    const row = { rule: rule.id, bad: bad.length, ours: 0, theirs: 0, blamed: 0, good: good.length };
    for (const sample of bad) {
      if (oursOf(family, rule, sample).length > 0) row.ours++;
      if (!complains) continue;
      if (await complains(rule, sample)) row.theirs++;
      else missed.push(`${rule.id}: ${sample.name}`);
    }
    for (const sample of good) if (await complains?.(rule, sample)) row.blamed++;
    rows.push(row);
  }
  const sum = (pick: (row: (typeof rows)[number]) => number) => rows.reduce((all, row) => all + pick(row), 0);
  const told = (name: string, value: number): Figure => ({ name, unit: '', values: [value] });
  return {
    missed,
    figures: rows.flatMap(({ rule, bad, ours, theirs }) => [
      told(`${rule}, bad samples`, bad),
      told(`${rule}, found by ours`, ours),
      ...(complains ? [told(`${rule}, found by ${peer}`, theirs)] : []),
    ]),
    goals: [
      goal('bad samples that ours does not find', [sum(({ bad, ours }) => bad - ours)], { atMost: 0 }, { fixed: true }),
      ...(complains
        ? [
            goal(`bad samples that ${peer} finds, of ${sum(({ bad }) => bad)}`, [sum(({ theirs }) => theirs)]),
            goal(`good samples that ${peer} complains of, of ${sum(({ good }) => good)}`, [
              sum(({ blamed }) => blamed),
            ]),
          ]
        : []),
    ],
  };
}

/** What a rule says of one of its samples. */
function oursOf(family: Family, rule: Rule, { files, base, options }: Sample): Finding[] {
  return rule.check({
    head: treeOf(files),
    base: base && treeOf(base),
    options: family.schema.parse({ ...(family.presets['guide-lxd'] as object), ...(options as object) }),
    tools: new Map(),
  });
}
