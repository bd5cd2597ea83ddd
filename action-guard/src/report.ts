import { formatDuration } from '@gbo/shared/duration';
import type { LogGroup } from '@gbo/shared/log';
import { literal, markdownTable, plain, type Report, textTable } from '@gbo/shared/report';
import type { Inputs } from './inputs.js';
import type { Judged, Judgement, RuleStatus } from './judge.js';
import { place, sentenceOf, together } from './words.js';

/** The outputs of the action and what each holds. */
export const outputs = {
  result: 'pass, fail, or unknown (nothing fails, but a rule could not tell, or no rule found a file to judge).',
  findings: 'Number of findings that count: new, and not excused.',
  report: 'Everything as one JSON object: rules with their status, findings with their places, notes.',
};

export type Result = 'pass' | 'fail' | 'unknown';

/** What counts: new, and not excused. */
export function counting({ findings }: Judgement): Judged[] {
  return findings.filter(({ old, excused }) => !old && !excused);
}

/** Red, green, or neither. */
export function resultOf(inputs: Inputs, judgement: Judgement): Result {
  const counts = counting(judgement);
  const levels = { error: ['error'], warning: ['error', 'warning'], never: [] as string[] }[inputs.failOn];
  if (counts.some(({ status, severity }) => status === 'fail' && levels.includes(severity))) return 'fail';
  // Of a rule that could not tell before either, nothing is known.
  if (judgement.rules.some(({ status }) => status === 'unknown') || counts.some(({ status }) => status === 'unknown'))
    return 'unknown';
  const judged = judgement.rules.some(({ status }) => ['pass', 'fail', 'unchanged'].includes(status));
  return judged ? 'pass' : 'unknown';
}

/** Whether the run fails. What the base could not tell either is no reason: only what is new fails a pull request. */
function isRed({ onUnknown }: Inputs, result: Result, judgement: Judgement): boolean {
  if (result !== 'unknown') return result === 'fail';
  const isNew = counting(judgement).some(({ status }) => status === 'unknown');
  return onUnknown === 'fail' && (isNew || !judgement.rules.some(({ status }) => status === 'unknown'));
}

/** What the run has to say at its end. Pure. */
export function report(inputs: Inputs, commit: string, judgement: Judgement, notes: string[], ms: number): Report {
  const result = resultOf(inputs, judgement);
  const counts = counting(judgement);
  const red = isRed(inputs, result, judgement);
  const table = ruleTable(judgement);
  const others = judgement.findings.filter((finding) => !counts.includes(finding));
  const all = [...judgement.notes, ...notes].map(plain);
  const lines = (findings: Judged[]) =>
    together(findings).map((each) => `${place(each.finding)}: ${sentenceOf(each)}${why(each.finding)}`);
  const groups: LogGroup[] = [
    { title: `Rules: ${tally(judgement)}`, lines: textTable(table.head, table.rows) },
    ...(others.length > 0 ? [{ title: `${others.length} that do not count`, lines: lines(others) }] : []),
    ...(all.length > 0 ? [{ title: 'Notes', lines: all }] : []),
    ...(counts.length > 0
      ? [{ title: `${counts.length} ${counts.length === 1 ? 'finding' : 'findings'}`, lines: lines(counts) }]
      : []),
    { title: `Result: ${result}`, lines: [`${commit.slice(0, 12)}, ${formatDuration(ms)}.`] },
  ];
  return {
    failed: red ? failure(result, counts) : undefined,
    outputs: {
      result,
      findings: String(counts.length),
      report: JSON.stringify(data(result, commit, judgement, notes)),
    },
    log: groups,
    summary: summary(result, judgement, all),
  };
}

/** The sum of it as Markdown: for the step summary and for the comment on a pull request. */
export function summary(result: Result, judgement: Judgement, notes: string[]): string {
  const table = ruleTable(judgement);
  const findings = together(counting(judgement))
    .slice(0, 100)
    .map((each) => `- \`${place(each.finding).replaceAll('`', "'")}\` ${literal(sentenceOf(each))}`);
  return [
    `### guard: ${result}`,
    ...(findings.length > 0 ? [findings.join('\n')] : []),
    markdownTable(table.head, table.rows),
    ...notes.map((note) => literal(note)),
  ].join('\n\n');
}

function failure(result: Result, counts: Judged[]): string {
  if (counts.length === 0) return 'No rule found a file to judge.';
  const all = together(counts);
  const told = all.slice(0, 20).map((each) => `${place(each.finding)}: ${sentenceOf(each)}`);
  const more = all.length - told.length;
  const head = result === 'fail' ? 'A rule is broken:' : 'A rule could not tell:';
  return [head, ...told, ...(more > 0 ? [`... and ${more} more.`] : [])].join('\n');
}

function why({ old, excused }: Judged): string {
  if (excused)
    return ` (accepted by ${excused.by === 'comment' ? 'a comment' : `the ${excused.by}`}: ${plain(excused.reason)})`;
  return old ? ' (it was there before)' : '';
}

function tally({ rules }: Judgement): string {
  const count = (status: RuleStatus) => rules.filter((rule) => rule.status === status).length;
  const parts = (['pass', 'fail', 'unknown', 'nothing-matched', 'unchanged', 'off'] as const).filter(
    (status) => count(status) > 0,
  );
  return parts.map((status) => `${count(status)} ${status}`).join(', ') || 'none';
}

/** Those that have something to say; the rest is in the JSON. */
function ruleTable({ rules, findings }: Judgement): { head: string[]; rows: string[][] } {
  const rows = rules
    .filter(({ status }) => status !== 'off' && status !== 'unchanged')
    .map(({ id, status, severity, files }) => {
      const own = findings.filter(({ rule, old, excused }) => rule === id && !old && !excused).length;
      return [id, status, severity, String(files), own > 0 ? String(own) : ''];
    });
  return { head: ['rule', 'status', 'severity', 'files', 'findings'], rows };
}

/** The whole judgement as data. */
export function data(result: Result, commit: string, judgement: Judgement, notes: string[]) {
  return {
    result,
    commit,
    rules: judgement.rules,
    findings: judgement.findings.map(({ fix, fingerprint: _, subject: __, ...finding }) => ({
      ...finding,
      fixable: fix !== undefined,
    })),
    notes: [...judgement.notes, ...notes],
  };
}
