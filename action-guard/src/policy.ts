import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { closest } from 'fastest-levenshtein';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { Family, Preset, Rule, Severity } from './rule.js';
import { presets } from './rule.js';
import { suppressionRule } from './suppressions.js';
import { matcher } from './tree.js';

/** An exception that was accepted. */
export interface Exception {
  rule: string;
  /** Glob. */
  path: string;
  reason: string;
  /** Last day, `YYYY-MM-DD`. */
  until?: string;
}

export interface Policy {
  preset: Preset;
  /** Severity, or `off`, of a rule. */
  severity(rule: Pick<Rule, 'id' | 'severity'>): Severity | 'off';
  /** Options of a family: its preset with what the policy says above it. */
  options(family: Family): unknown;
  exceptions: Exception[];
  maySuppress(rule: Rule): boolean;
}

const day = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'is not a day such as 2027-01-31');
const schema = z.strictObject({
  preset: z.enum(presets).optional(),
  rules: z.record(z.string(), z.enum(['error', 'warning', 'info', 'off'])).optional(),
  options: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  exceptions: z
    .array(z.strictObject({ rule: z.string(), path: z.string(), reason: z.string().min(3), until: day.optional() }))
    .optional(),
  unsuppressible: z.array(z.string()).optional(),
});

/**
 * Reads a policy. `text` undefined: there is none, and every default holds.
 *
 * @throws ExpectedError that names what is wrong in it; nothing is judged by half a policy
 */
export function readPolicy(text: string | undefined, path: string, families: Family[], preset?: Preset): Policy {
  const given = parse(text ?? '', path);
  const all = [...families.flatMap(({ rules }) => rules.map(({ id }) => id)), suppressionRule.id];
  const named = [
    ...Object.keys(given.rules ?? {}),
    ...(given.exceptions ?? []).map(({ rule }) => rule),
    ...(given.unsuppressible ?? []),
  ];
  for (const name of named) {
    if (!all.some(matcher([name]))) wrong(path, `there is no rule ${name} (did you mean ${closest(name, all)}?)`);
  }
  const chosen = preset ?? given.preset ?? 'guide-lxd';
  const options = new Map(families.map((family) => [family.name, optionsOf(family, chosen, given.options, path)]));
  for (const name of Object.keys(given.options ?? {})) {
    if (!options.has(name))
      wrong(path, `there is no family ${name} (did you mean ${closest(name, [...options.keys()])}?)`);
  }
  const severities = Object.entries(given.rules ?? {});
  return {
    preset: chosen,
    severity: ({ id, severity }) => severities.filter(([name]) => matcher([name])(id)).at(-1)?.[1] ?? severity,
    options: ({ name }) => options.get(name),
    exceptions: given.exceptions ?? [],
    maySuppress: ({ id, suppressible }) => suppressible && !matcher(given.unsuppressible ?? [])(id),
  };
}

function parse(text: string, path: string): z.output<typeof schema> {
  const document = parseDocument(text, { uniqueKeys: true });
  const [error] = document.errors;
  if (error) wrong(path, error.message.split('\n')[0] ?? 'it is not YAML');
  const read = schema.safeParse(document.toJS({ maxAliasCount: 0 }) ?? {});
  if (!read.success) {
    const [issue] = read.error.issues;
    wrong(path, `${issue?.path.join('.') || 'it'}: ${issue?.message}`);
  }
  return read.data;
}

function optionsOf(family: Family, preset: Preset, given: Record<string, unknown> | undefined, path: string): unknown {
  try {
    return family.schema.parse({
      ...(family.presets[preset] as object),
      ...(given?.[family.name] as object | undefined),
    });
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
    wrong(path, `options.${family.name}: ${issue ? `${issue.path.join('.')}: ${issue.message}` : messageOf(error)}`);
  }
}

function wrong(path: string, what: string): never {
  throw new ExpectedError(
    `The policy ${path} is not sound: ${what}.`,
    'Nothing was judged.',
    'Mend it on the base branch.',
  );
}
