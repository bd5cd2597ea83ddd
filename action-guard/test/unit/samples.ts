import { describe, expect, it } from 'vitest';
import type { Family, Finding, Preset, Sample } from '../../src/rule.js';
import { treeOf } from '../../src/tree.js';

/** Says of a sample what a rule says of it, in the order of path and line. */
export function check<Options>(
  family: Family<Options>,
  id: string,
  sample: Sample<Options>,
  preset: Preset = 'guide-lxd',
): Finding[] {
  const rule = family.rules.find((each) => each.id === id);
  if (!rule) throw new Error(`there is no rule ${id}`);
  const options = family.schema.parse({ ...family.presets[preset], ...sample.options });
  const findings = rule.check({
    head: treeOf(sample.files),
    base: sample.base && treeOf(sample.base),
    options,
    tools: new Map(Object.entries(sample.tools ?? {})),
  });
  return findings.sort((a, b) =>
    a.at.path < b.at.path ? -1 : a.at.path > b.at.path ? 1 : a.at.line - b.at.line || a.at.column - b.at.column,
  );
}

/** The samples of every rule of a family as tests. */
export function testSamples<Options>(family: Family<Options>): void {
  describe.each(family.rules.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
    it.each(rule.samples.good.map((sample) => [sample.name, sample] as const))('lets pass: %s', (_, sample) => {
      expect(check(family, id, sample)).toEqual([]);
    });
    it.each(rule.samples.bad.map((sample) => [sample.name, sample] as const))('finds: %s', (_, sample) => {
      const findings = check(family, id, sample);
      for (const { at, message } of findings) {
        expect(message).toMatch(/[.]$/);
        const text = { ...sample.base, ...sample.files }[at.path] ?? '';
        expect(at.line).toBeLessThanOrEqual(text.split('\n').length);
      }
      if (!sample.finds) expect(findings.length).toBeGreaterThan(0);
      else {
        expect(findings.map(({ at, status }) => `${at.path}:${at.line}:${at.column} ${status}`)).toEqual(
          sample.finds.map(({ at, status }) => `${at} ${status ?? 'fail'}`),
        );
        for (const [index, { message }] of findings.entries())
          expect(message).toMatch(sample.finds[index]?.says ?? /./);
      }
    });
  });
}
