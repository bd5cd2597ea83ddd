import { formatBytes } from '@gbo/shared/bytes';
import { formatDuration } from '@gbo/shared/duration';
import type { LogGroup } from '@gbo/shared/log';
import { literal, markdownTable, plain, type Report, textTable } from '@gbo/shared/report';
import type { Pushed } from './apply.js';
import type { Facts } from './facts.js';
import type { Inputs } from './inputs.js';
import { allCommands } from './mend.js';
import type { Plan, Push } from './plan.js';
import type { Finding, State } from './states.js';

/** The outputs of the action and what each holds. */
export const outputs = {
  result:
    'pushed (everything is everywhere), not-pushed, or unknown (nothing is missing, but some questions had no answer).',
  findings: 'Number of findings that are not PUSHED, those without an answer included.',
  commands: 'The commands that mend it, one a line; empty when there is nothing to mend.',
  report: 'Everything as one JSON object: matrix, findings, pushes, timings, bytes.',
};

export interface Cost {
  ms: number;
  requests: number;
  bytes: number;
}

/** What the run has to say at its end. Pure. */
export function report(inputs: Inputs, facts: Facts, plan: Plan, pushed: Pushed[], cost: Cost): Report {
  const missing = plan.findings.filter(({ state }) => state !== 'COULD-NOT-CHECK');
  const unknown = plan.findings.filter(({ state }) => state === 'COULD-NOT-CHECK');
  const result = missing.length > 0 ? 'not-pushed' : unknown.length > 0 ? 'unknown' : 'pushed';
  // What is written wrong is not an answer that is missing.
  const sure = unknown.some(({ cause }) => cause === 'mistake');
  const red = missing.length > 0 || sure || (unknown.length > 0 && inputs.onUnknown === 'fail');
  const table = matrix(inputs, plan);
  const commands = allCommands(plan.findings);
  return {
    failed: red ? failure(missing, unknown) : undefined,
    outputs: {
      result,
      findings: String(plan.findings.length),
      commands: commands.join('\n'),
      report: JSON.stringify({ result, commit: facts.event.commit, ...planData(plan), pushed, cost }),
    },
    log: [
      {
        title: `${facts.rows.length} commits on ${inputs.remotes.length} remotes`,
        lines: textTable(table.head, table.rows),
      },
      ...groups(plan.findings),
      ...(plan.notes.length > 0 ? [{ title: 'Notes', lines: plan.notes.map(plain) }] : []),
      { title: `Result: ${result}`, lines: [costLine(cost)] },
    ],
    summary: [
      `### submodule-sync: ${result}`,
      markdownTable(table.head, table.rows),
      ...plan.findings.map(markdownFinding),
      ...pushLines(inputs, plan, pushed).map(literal),
      ...plan.notes.map((note) => literal(plain(note))),
      costLine(cost),
    ].join('\n\n'),
  };
}

function failure(missing: Finding[], unknown: Finding[]): string {
  const told = [...missing, ...unknown].slice(0, 20).map(sentence);
  const more = missing.length + unknown.length - told.length;
  return [...told, ...(more > 0 ? [`... and ${more} more.`] : [])].join('\n');
}

function sentence({ state, what, line }: Finding): string {
  return `${state}: ${plain(what)}${line ? ` (.gitmodules:${line})` : ''}`;
}

function matrix(inputs: Inputs, plan: Plan): { head: string[]; rows: string[][] } {
  const remotes = inputs.remotes.map(({ name }) => name);
  const pins = new Map<string, { path: string; sha: string; states: Map<string, State> }>();
  for (const { path, sha, remote, state } of plan.cells) {
    const key = `${path}\0${sha}`;
    const pin = pins.get(key) ?? { path, sha, states: new Map() };
    pins.set(key, pin);
    if (!pin.states.has(remote)) pin.states.set(remote, state);
  }
  const rows = [...pins.values()].map(({ path, sha, states }) => [
    plain(path),
    sha.slice(0, 12),
    ...remotes.map((remote) => states.get(remote) ?? '-'),
  ]);
  return { head: ['path', 'commit', ...remotes], rows };
}

function groups(findings: Finding[]): LogGroup[] {
  return findings.map((finding) => ({
    title: sentence(finding),
    lines: [
      ...(finding.mend.length > 0 ? ['To mend it, in a checkout of the root:'] : []),
      ...finding.mend.map((command) => `  ${plain(command)}`),
      ...(finding.hint ? [plain(finding.hint)] : []),
    ],
  }));
}

/** One finding with what mends it, as Markdown that nothing in a path can break out of. */
export function markdownFinding(finding: Finding): string {
  const commands = finding.mend.map(plain).join('\n');
  const longest = Math.max(2, ...(commands.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  const code = commands ? `\n\n${fence}sh\n${commands}\n${fence}` : '';
  const text = literal(sentence(finding).slice(finding.state.length));
  // Our own words; the backticks in them are meant.
  const hint = finding.hint ? ` ${literal(plain(finding.hint)).replaceAll('\\`', '`')}` : '';
  return `**${finding.state}**${text}${hint}${code}`;
}

/** Without the branches of every repository, which only the survey needs. */
function planData({ cells, findings, notes }: Plan) {
  const matrix = cells.map(({ probe, ...cell }) => ({ ...cell, probe: probe && { ...probe, heads: undefined } }));
  return { matrix, findings, notes };
}

/** What was pushed, or would be, one line each. */
function pushLines({ dryRun }: Inputs, { pushes }: Plan, pushed: Pushed[]): string[] {
  const what = ({ path, sha, branch, remote }: Push) => `${path} ${sha.slice(0, 12)} to ${branch} of ${remote}`;
  if (dryRun) return pushes.map((push) => plain(`Would be pushed: ${what(push)}.`));
  return pushed.map(({ push, result, why }) => plain(`Push of ${what(push)}: ${result}${why ? ` (${why})` : ''}.`));
}

function costLine({ ms, requests, bytes }: Cost): string {
  return `${requests} questions, ${formatBytes(bytes)}, ${formatDuration(ms)}.`;
}
