import { ExpectedError } from '@gbo/shared/errors';
import { closest } from 'fastest-levenshtein';
import type { Family, Rule, Sample } from './rule.js';

/** The page of a rule, as Markdown: what `explain` prints and what stands in the documentation. Pure. */
export function page({ id, severity, title, reason, suppressible, samples }: Rule): string {
  return [
    `# ${id}`,
    `**${title}**`,
    `Severity: ${severity}.${suppressible ? '' : ' It cannot be silenced in a file.'}`,
    reason,
    '## In order',
    ...samples.good.map(sample),
    '## Found',
    ...samples.bad.map(sample),
    '## Exceptions',
    suppressible
      ? `\`gbo-guard: allow ${id} -- why\` in a comment on the line or above it, with \`until YYYY-MM-DD\` if it is to end; or an entry below \`exceptions\` of the policy.`
      : 'An entry below `exceptions` of the policy, on the base branch.',
    '',
  ].join('\n\n');
}

/** @throws ExpectedError for a rule that is not there */
export function explain(families: Family[], id: string): string {
  const rules = families.flatMap((family) => family.rules);
  const rule = rules.find((each) => each.id === id);
  if (rule) return page(rule);
  const nearest = closest(
    id,
    rules.map((each) => each.id),
  );
  throw new ExpectedError(`There is no rule ${id} (did you mean ${nearest}?).`, '', 'The README lists them all.');
}

function sample({ name, files, base, finds }: Sample): string {
  const part = (title: string, all: Record<string, string>) =>
    Object.entries(all).map(([path, text]) => `${title}\`${path}\`\n\n${fenced(text)}`);
  return [
    `### ${name[0]?.toUpperCase()}${name.slice(1)}`,
    ...(base ? part('Before: ', base) : []),
    ...part(base ? 'After: ' : '', files),
    ...(finds ?? []).map(({ at }) => `Found at \`${at}\`.`),
  ].join('\n\n');
}

function fenced(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text.length > 3000 ? `${text.slice(0, 3000)}\n...` : text.replace(/\n$/, '')}\n${fence}`;
}
