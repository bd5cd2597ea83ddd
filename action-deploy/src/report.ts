import { formatBytes } from '@gbo/shared/bytes';
import { formatDuration } from '@gbo/shared/duration';
import type { LogGroup } from '@gbo/shared/log';
import { markdownTable, type Report, textTable } from '@gbo/shared/report';
import type { HostOutcome, HostResult, Outcome } from './outcome.js';
import type { HostPlan, Plan } from './plan.js';

/** The outputs of the action and what each holds. */
export const outputs = {
  result:
    'deployed, returned (rollback), unchanged, planned (dry run), rolled-back, rollback-failed, failed, failed-kept, refused, skipped, or unknown (could not be told); over several hosts the worst of them.',
  release: 'Id of the release that this run brought or meant to bring.',
  previous: 'Id of the release that ran before; empty on a first deploy.',
  sha256: 'sha256 of the artifact; of several, a JSON object by path.',
  'downtime-ms':
    'Milliseconds from telling the units to the first healthy answer; the longest of all hosts. Empty when nothing was told.',
  report: 'Everything as one JSON object: hosts, releases, timeline, reasons.',
};

/** From best to worst; the answer for several hosts is the worst. */
const order: HostResult[] = [
  'unchanged',
  'planned',
  'deployed',
  'returned',
  'skipped',
  'refused',
  'failed',
  'rolled-back',
  'failed-kept',
  'unknown',
  'rollback-failed',
];
const good: HostResult[] = ['unchanged', 'planned', 'deployed', 'returned', 'skipped'];

export function worst(results: HostResult[]): HostResult {
  return results.reduce((a, b) => (order.indexOf(b) > order.indexOf(a) ? b : a), 'unchanged');
}

/** Log groups of a plan: every step with its reason and its undo. */
export function planGroups(plan: Plan): LogGroup[] {
  return plan.hosts.map((host) => ({ title: `Plan for ${host.host}: ${planTitle(host)}`, lines: planLines(host) }));
}

function planTitle({ verdict, release, previous }: HostPlan): string {
  if (verdict === 'unchanged') return `nothing to do, ${previous ?? 'the wanted files'} runs`;
  if (verdict === 'failed') return 'not reached';
  return verdict === 'refused' ? 'refused' : `${previous ?? 'nothing'} -> ${release}`;
}

function planLines(host: HostPlan): string[] {
  // The column without a bound comes last, so that the others stay readable.
  const rows = host.steps.map(({ id, title, why, undo }) => [id, undo, `${title}: ${why}`]);
  const table = rows.length > 0 ? textTable(['step', 'if a later step fails', 'what, and why'], rows) : [];
  return [...host.refusals, ...host.notes.map((note) => `Note: ${note}`), ...table];
}

/** What the run has to say at its end. */
export function report(plan: Plan, { hosts }: Outcome): Report {
  const result = worst(hosts.map((host) => host.result));
  const first = hosts[0];
  const downtimes = hosts.flatMap(({ downtimeMs }) => (downtimeMs === undefined ? [] : [downtimeMs]));
  const sums = Object.values(plan.sha256);
  const head = ['host', 'result', 'release', 'before', 'sent', 'down-time'];
  const rows = hosts.map(hostRow);
  const bad = hosts.filter((host) => !good.includes(host.result));
  return {
    failed:
      bad.length > 0
        ? bad.map(({ host, result: what, reason }) => `${host}: ${what}. ${reason ?? ''}`.trim()).join('\n')
        : undefined,
    outputs: {
      result,
      release: first?.release ?? '',
      previous: first?.previous ?? '',
      sha256: sums.length === 1 ? (sums[0] ?? '') : sums.length > 1 ? JSON.stringify(plan.sha256) : '',
      'downtime-ms': downtimes.length > 0 ? String(Math.max(...downtimes)) : '',
      report: JSON.stringify({ mode: plan.mode, result, sha256: plan.sha256, hosts, plan: plan.hosts.map(planData) }),
    },
    log: [
      ...hosts.flatMap((host) =>
        host.diagnosis.map(({ title, lines }) => ({ title: `${host.host}: ${title}`, lines })),
      ),
      ...hosts
        .filter(({ timeline }) => timeline.length > 0)
        .map((host) => ({ title: `Timeline of ${host.host}`, lines: timelineLines(host) })),
      { title: `Result: ${result}`, lines: textTable(head, rows) },
    ],
    summary: [
      `### action-deploy: ${result}`,
      markdownTable(head, rows),
      ...hosts.flatMap(({ host, reason }) => (reason ? [`**${host}**: ${reason}`] : [])),
      ...hosts.flatMap((host) =>
        host.diagnosis.map(
          ({ title, lines }) =>
            `<details><summary>${host.host}: ${title}</summary>\n\n\`\`\`\n${lines.join('\n').replaceAll('```', "'''")}\n\`\`\`\n</details>`,
        ),
      ),
    ].join('\n\n'),
  };
}

function planData({ host, verdict, steps, notes, refusals }: HostPlan) {
  const told = steps.map(({ id, phase, title, why, undo }) => ({ id, phase, title, why, undo }));
  return { host, verdict, notes, refusals, steps: told };
}

function hostRow({ host, result, release, previous, downtimeMs, bytesSent }: HostOutcome): string[] {
  return [
    host,
    result,
    release || '-',
    previous ?? '-',
    formatBytes(bytesSent),
    downtimeMs === undefined ? '-' : formatDuration(downtimeMs),
  ];
}

/** One row a step: when it began, how long it took, and a bar to see what took the time. */
function timelineLines({ timeline }: HostOutcome): string[] {
  const width = 40;
  const start = Math.min(...timeline.map(({ began }) => began));
  const span = Math.max(1, Math.max(...timeline.map(({ ended }) => ended)) - start);
  const rows = timeline.map(({ step, began, ended, ok }) => {
    const from = Math.min(width - 1, Math.floor(((began - start) / span) * width));
    const length = Math.max(1, Math.round(((ended - began) / span) * width));
    const bar = `${' '.repeat(from)}${(ok ? '#' : '!').repeat(Math.min(length, width - from))}`;
    return [step, `+${formatDuration(began - start)}`, formatDuration(ended - began), ok ? 'ok' : 'FAILED', bar];
  });
  return textTable(['step', 'began', 'took', '', ''], rows);
}
