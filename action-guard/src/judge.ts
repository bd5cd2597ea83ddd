import type { Accepted } from './baseline.js';
import { Earlier, fingerprint } from './fingerprint.js';
import type { Policy } from './policy.js';
import { type Family, type Finding, type Look, type Rule, type Severity, severities } from './rule.js';
import { masked } from './rules/vault/secrets.js';
import { type BadSuppression, type Suppression, suppressionRule } from './suppressions.js';
import { matcher, part, type Tree } from './tree.js';
import { listen, type Unread } from './unread.js';

export interface Judged extends Finding {
  rule: string;
  severity: Severity;
  fingerprint: string;
  /** It was there before: in the base of the pull request. */
  old: boolean;
  /** Why it counts for nothing. */
  excused?: { by: 'comment' | 'policy' | 'baseline'; reason: string };
}

export type RuleStatus = 'pass' | 'fail' | 'unknown' | 'nothing-matched' | 'unchanged' | 'off';

export interface RuleResult {
  id: string;
  severity: Severity;
  status: RuleStatus;
  /** Files it judged. */
  files: number;
}

/** What the rooms before found out; everything is read. */
export interface Case {
  families: Family[];
  policy: Policy;
  head: Tree;
  base?: Tree;
  /** What real programs said of head and of base. */
  tools: ReadonlyMap<string, unknown>;
  baseTools: ReadonlyMap<string, unknown>;
  /** Paths that differ; undefined: there is nothing to compare with, so all count. */
  changed?: ReadonlySet<string>;
  suppressions: Suppression[];
  badSuppressions: BadSuppression[];
  /** Those of the base, where there is one. */
  baseBadSuppressions?: BadSuppression[];
  /** What was accepted as it is. */
  baseline: readonly Accepted[];
  /** Today, `YYYY-MM-DD`. */
  today: string;
}

export interface Judgement {
  findings: Judged[];
  rules: RuleResult[];
  notes: string[];
}

/** Whether a rule has anything to do: a pull request that touches none of its files needs none of them read. */
export function isActive(rule: Rule, options: unknown, changed: ReadonlySet<string> | undefined): boolean {
  if (!changed) return true;
  const matchers = [rule.files(options), rule.reads?.(options) ?? []].map((globs) => matcher(globs));
  return [...changed].some((path) => matchers.some((matches) => matches(path)));
}

/** Applies every rule and every exception. Pure. */
export function judge(of: Case): Judgement {
  const findings: Judged[] = [];
  const rules: RuleResult[] = [];
  const notes: string[] = [];
  for (const family of of.families) {
    for (const rule of family.rules) {
      const severity = of.policy.severity(rule);
      const options = of.policy.options(family);
      if (severity === 'off') {
        rules.push({ id: rule.id, severity: rule.severity, status: 'off', files: 0 });
        continue;
      }
      if (!isActive(rule, options, of.changed)) {
        rules.push({ id: rule.id, severity, status: 'unchanged', files: 0 });
        continue;
      }
      const given = rule.fileByFile && of.changed ? onlyChanged(of, of.changed) : of;
      const files = rule.judged?.({ ...given, options }) ?? given.head.select(rule.files(options)).length;
      const own = apply(given, rule, options, severity);
      findings.push(...own);
      rules.push({ id: rule.id, severity, status: statusOf(own, files), files });
    }
  }
  findings.push(...judgeSuppressions(of));
  excuse(of, findings, notes);
  return {
    findings: sorted(findings),
    rules: settled(rules, findings),
    notes,
  };
}

function onlyChanged(of: Case, changed: ReadonlySet<string>): Case {
  const isChanged = (path: string) => changed.has(path);
  return { ...of, head: part(of.head, isChanged), base: of.base && part(of.base, isChanged) };
}

function apply(of: Case, rule: Rule, options: unknown, severity: Severity): Judged[] {
  const { head, base, tools, baseTools } = of;
  const now = check(rule, { head, base, options, tools });
  // What the base has already is not what this pull request did.
  const before = base && check(rule, { head: base, options, tools: baseTools });
  const unread = unreadIn(
    now,
    base && before && before.unread.length > 0 ? check(rule, { head, options, tools }) : now,
  );
  const graveOf = (finding: Finding) => lesser(severity, finding.severity, rule.severity);
  const left = new Earlier();
  for (const finding of before ? [...before.findings, ...unreadIn(before, before)] : [])
    left.add(sameAs(fingerprint(rule.id, finding, base ?? head), withoutSecrets(finding)), graveOf(finding));
  // Nobody knows what was changed in a file that nobody read.
  const isNew = new Set(
    now.unread
      .filter(({ whole, files }) => whole && (files?.some((file) => of.changed?.has(file)) ?? true))
      .map(pathOf),
  );
  const all = [...now.findings, ...unread].map(
    (finding): Judged => ({
      ...withoutSecrets(finding),
      rule: rule.id,
      severity: graveOf(finding),
      fingerprint: fingerprint(rule.id, finding, head, base),
      old: false,
    }),
  );
  for (const finding of gravestFirst(all)) {
    const was = left.take(sameAs(finding.fingerprint, finding), finding.severity);
    const unjudged = finding.status === 'unknown' && (isNew.has(finding.at.path) || now.failed);
    finding.old = was && !unjudged;
  }
  return all;
}

/** A message may quote a line, and goes into comments and files. */
function withoutSecrets(finding: Finding): Finding {
  const { message, because, todo } = finding;
  return {
    ...finding,
    message: masked(message),
    ...(because === undefined ? {} : { because: masked(because) }),
    ...(todo === undefined ? {} : { todo: masked(todo) }),
  };
}

/**
 * What an earlier finding has to have in common with one of now, besides being as grave. A line such as `acl {` can be wrong in
 * two ways, one after the other, so what is said of it counts too; but not its numbers, as lines move and things are counted.
 */
function sameAs(print: string, { status, subject, message }: Finding): string {
  return status === 'unknown' || subject ? print : JSON.stringify([print, message.replace(/\d+/g, '0')]);
}

const pathOf = ({ at }: Unread): string => at.path;

/**
 * One finding for each file of which a reader left something out, unless the rule says so itself.
 *
 * @param ofHead what the rule says without the base: what is left out there no more, is left out of the base
 */
function unreadIn(checked: Checked, ofHead: Checked): Finding[] {
  const inHead = new Set(ofHead.unread.map(pathOf));
  const byPath = new Map<string, Unread>();
  for (const each of checked.unread) {
    const other = byPath.get(each.at.path);
    if (!other || (each.whole && !other.whole)) byPath.set(each.at.path, each);
  }
  const said = new Set(checked.findings.map(({ at, status }) => (status === 'unknown' ? at.path : placeOf(at))));
  return [...byPath.values()].flatMap(({ at, message, because, todo, whole }) => {
    if (said.has(at.path) || said.has(placeOf(at))) return [];
    if (inHead.has(at.path)) return [{ status: 'unknown' as const, at, message, because, todo }];
    if (!whole) return [];
    const before = `What this change takes away could not be told: ${message.replace(/^This file was/, 'before it, this file was')}`;
    return [{ status: 'unknown' as const, at, message: before }];
  });
}

const placeOf = ({ path, line }: Finding['at']): string => `${line}:${path}`;

/** A finding may be milder than its rule; where the policy changed the rule's severity, that is what counts. */
function lesser(policy: Severity, own: Severity | undefined, rule: Severity): Severity {
  return policy === rule ? (own ?? rule) : policy;
}

interface Checked {
  findings: Finding[];
  unread: Unread[];
  /** It threw. */
  failed: boolean;
}

function check(rule: Rule, look: Look<unknown>): Checked {
  try {
    const { result, unread } = listen(() => rule.check(look));
    const absent = new Set(unread.filter((each) => each.absent).map(pathOf));
    const findings = result.filter(({ at }) => !absent.has(at.path) || look.head.file(at.path)?.unread === undefined);
    return { findings, unread, failed: false };
  } catch (error) {
    // A rule of ours that fails has told nothing, and must not look as if it had.
    const [path = ''] = look.head.paths.filter(matcher(rule.files(look.options)));
    const why = error instanceof Error ? error.message : String(error);
    const message = `The rule ${rule.id} failed (${why}); please report it.`;
    return {
      findings: [{ status: 'unknown', at: { path, line: 1, column: 1 }, message }],
      unread: [],
      failed: true,
    };
  }
}

function statusOf(findings: Judged[], files: number): RuleStatus {
  if (findings.some(({ status }) => status === 'fail')) return 'fail';
  if (findings.length > 0) return 'unknown';
  return files > 0 ? 'pass' : 'nothing-matched';
}

/**
 * What is excused no longer counts, and what was there before no longer makes a rule fail. What could not be told before
 * cannot be told now: that it is old makes nothing green.
 */
function settled(rules: RuleResult[], findings: Judged[]): RuleResult[] {
  // By rule in one go: a hostile file has tens of thousands of findings.
  const counting = new Map<string, Judged[]>(rules.map(({ id }) => [id, []]));
  for (const finding of findings)
    if ((!finding.old || finding.status === 'unknown') && !finding.excused) counting.get(finding.rule)?.push(finding);
  return rules.map((rule) =>
    rule.status === 'fail' || rule.status === 'unknown'
      ? { ...rule, status: statusOf(counting.get(rule.id) ?? [], Math.max(1, rule.files)) }
      : rule,
  );
}

/** The exceptions that do not count; those that the base has as well are old. */
function judgeSuppressions({ policy, head, base, badSuppressions, baseBadSuppressions = [] }: Case): Judged[] {
  const severity = policy.severity(suppressionRule);
  if (severity === 'off') return [];
  const rule = suppressionRule.id;
  const left = new Earlier();
  for (const bad of baseBadSuppressions) left.add(fingerprint(rule, badSuppression(bad), base ?? head), severity);
  return badSuppressions.map((bad) => {
    const finding = badSuppression(bad);
    const print = fingerprint(rule, finding, head);
    return { ...finding, rule, severity, fingerprint: print, old: left.take(print, severity) };
  });
}

function badSuppression({ path, line, problem }: BadSuppression): Finding {
  return {
    status: 'fail',
    at: { path, line, column: 1 },
    message: `This exception does not count: ${problem}.`,
    todo: 'Write `gbo-guard: allow RULE -- why`.',
  };
}

function excuse(of: Case, findings: Judged[], notes: string[]): void {
  const byId = new Map(of.families.flatMap(({ rules }) => rules.map((rule) => [rule.id, rule] as const)));
  const baseline = new Earlier();
  for (const { fingerprint: print, severity, count } of of.baseline) baseline.add(print, severity, count);
  const usedExceptions = new Set<unknown>();
  const used = new Set<Suppression>();
  const suppressionsAt = byPlace(of.suppressions);
  for (const finding of gravestFirst(findings)) {
    if (baseline.take(finding.fingerprint, finding.severity)) {
      finding.excused = { by: 'baseline', reason: 'it was accepted when the baseline was written' };
      continue;
    }
    const exception = of.policy.exceptions.find(
      (each) => matcher([each.rule])(finding.rule) && matcher([each.path])(finding.at.path),
    );
    if (exception && !isOver(exception.until, of.today)) {
      usedExceptions.add(exception);
      finding.excused = { by: 'policy', reason: exception.reason };
      continue;
    }
    const suppression = suppressionsAt(finding).find((each) => matcher(each.rules)(finding.rule));
    if (!suppression) continue;
    used.add(suppression);
    const rule = byId.get(finding.rule);
    if (!rule || !of.policy.maySuppress(rule))
      notes.push(`${where(suppression)}: ${finding.rule} cannot be silenced in a file.`);
    else if (isOver(suppression.until, of.today))
      notes.push(`${where(suppression)}: the exception ended on ${suppression.until}.`);
    else finding.excused = { by: 'comment', reason: suppression.reason };
  }
  // Only where every rule was asked can it be told that one is for nothing.
  if (of.changed) return;
  for (const each of of.suppressions)
    if (!used.has(each))
      notes.push(`${where(each)}: the exception is for nothing: ${each.rules.join(', ')} finds nothing there.`);
  for (const each of of.policy.exceptions) {
    if (!usedExceptions.has(each))
      notes.push(
        `The policy's exception of ${each.rule} for ${each.path} ${isOver(each.until, of.today) ? `ended on ${each.until}` : 'is for nothing'}.`,
      );
  }
  const lapsed = baseline.left;
  if (lapsed > 0) notes.push(`${lapsed} of the baseline's findings are no longer there; write it anew.`);
}

/** Which are about the place of a finding; not by trying all, as one file can have thousands of both. */
function byPlace(suppressions: Suppression[]): (finding: Finding) => Suppression[] {
  const places = new Map<string, Suppression[]>();
  const key = (path: string, line?: number) => `${line ?? ''}:${path}`;
  for (const each of suppressions) {
    for (const line of each.covers ?? [undefined]) {
      const place = key(each.path, line);
      const others = places.get(place);
      if (others) others.push(each);
      else places.set(place, [each]);
    }
  }
  return ({ at: { path, line, endLine = line } }) => {
    const found = [...(places.get(key(path)) ?? [])];
    for (let covered = line; covered <= endLine; covered++) found.push(...(places.get(key(path, covered)) ?? []));
    return found;
  };
}

function isOver(until: string | undefined, today: string): boolean {
  return until !== undefined && until < today;
}

function where({ path, line }: Suppression): string {
  return `${path}:${line}`;
}

const byGravity = (a: Judged, b: Judged): number => severities.indexOf(a.severity) - severities.indexOf(b.severity);

/** A copy; equals stay in their order. */
function gravestFirst(findings: readonly Judged[]): Judged[] {
  return [...findings].sort(byGravity);
}

/** The gravest first, then by place. */
function sorted(findings: Judged[]): Judged[] {
  return findings.sort(
    (a, b) =>
      Number(a.old) - Number(b.old) ||
      byGravity(a, b) ||
      (a.at.path < b.at.path ? -1 : a.at.path > b.at.path ? 1 : a.at.line - b.at.line || a.at.column - b.at.column),
  );
}
