import { markdownTable, type Report, textTable } from '@gbo/shared/report';
import type { Facts, HostFacts } from './facts.js';
import type { Inputs } from './inputs.js';
import { releasesOf } from './record.js';
import { candidates } from './rollback.js';

/** What runs on a host by every source at hand; pure. */
export interface HostStatus {
  host: string;
  /** The release by the record, when the files are what it says; absent: no record, or somebody changed a file since. */
  release?: string;
  since?: string;
  drift: string[];
  units: { unit: string; state: string; since: string; restarts: number; runs: string }[];
  rollbackTo: string[];
  pending: string[];
  lockedBy?: string;
}

export function statusOf(inputs: Inputs, host: HostFacts): HostStatus {
  const { releases, current } = releasesOf(host.record);
  const release = releases.find(({ id }) => id === current);
  const drift = inputs.artifacts.flatMap(({ path }, index) => {
    const recorded = release?.artifacts.find((artifact) => artifact.path === path)?.sha256;
    const there = host.files[index]?.sha256;
    if (!there) return host.files[index]?.kind === 'file' ? [`${path} cannot be read`] : [`${path} is not there`];
    if (!recorded) return [`${path} is in no record`];
    return recorded === there ? [] : [`${path} was changed after ${current} was deployed`];
  });
  return {
    host: host.host,
    release: drift.length === 0 ? release?.id : undefined,
    since: drift.length === 0 ? release?.time : undefined,
    drift,
    units: host.units.map((unit) => ({
      unit: unit.name,
      state: unit.loadState === 'loaded' ? `${unit.activeState} (${unit.subState})` : unit.loadState,
      since: unit.since || '-',
      restarts: unit.restarts,
      runs: unit.runs.length > 0 ? unit.runs.join(', ') : (unit.exe ?? (unit.mainPid > 0 ? 'could not tell' : '-')),
    })),
    rollbackTo: candidates(inputs, releases, current, host).map(({ id }) => id),
    pending: host.pending.map(({ release: id, state }) => `${id} is ${state}`),
    lockedBy: host.lockHolder,
  };
}

/** The read-only report of mode status. */
export function statusReport(inputs: Inputs, facts: Facts): Report {
  const all = facts.hosts.map((host) => statusOf(inputs, host));
  const head = ['unit', 'state', 'since', 'restarts', 'runs'];
  const doubts = all.filter(({ drift, pending }) => drift.length + pending.length > 0);
  return {
    failed: doubts.map(doubtSentence).join('\n') || undefined,
    outputs: {
      result: doubts.length === 0 ? 'unchanged' : 'unknown',
      release: all[0]?.release ?? '',
      previous: all[0]?.rollbackTo[0] ?? '',
      sha256: '',
      'downtime-ms': '',
      report: JSON.stringify({ mode: 'status', hosts: all }),
    },
    log: all.map((status) => ({
      title: `${status.host}: ${status.release ? `${status.release} since ${status.since}` : 'no recorded release'}`,
      lines: [...statusLines(status), ...textTable(head, unitRows(status))],
    })),
    summary: all
      .map((status) =>
        [
          `### ${status.host}: ${status.release ?? 'no recorded release'}`,
          ...statusLines(status).map((line) => `- ${line}`),
          '',
          markdownTable(head, unitRows(status)),
        ].join('\n'),
      )
      .join('\n\n'),
  };
}

function doubtSentence({ host, drift, pending }: HostStatus): string {
  const why = [...drift, ...pending.map((line) => `the undo of ${line}`)].join(', ');
  return `${host}: it could not be told which release runs (${why}). Nothing was touched. The next deploy keeps what is there as a release of its own.`;
}

function unitRows({ units }: HostStatus): string[][] {
  return units.map(({ unit, state, since, restarts, runs }) => [unit, state, since, String(restarts), runs]);
}

function statusLines({ drift, pending, lockedBy, rollbackTo }: HostStatus): string[] {
  return [
    ...drift,
    ...pending.map((line) => `An undo is pending: ${line}`),
    lockedBy ? `Locked by ${lockedBy}` : 'Not locked',
    `Can be rolled back to: ${rollbackTo.join(', ') || 'nothing'}`,
  ];
}
