import { markdownTable, type Report, textTable } from '@gbo/shared/report';
import type { Facts, HostFacts, UnitFacts } from './facts.js';
import type { ArtifactSpec, Inputs } from './inputs.js';
import { type Release, releasesOf } from './record.js';
import { candidates } from './rollback.js';
import { hasProcess, whatRuns } from './what-runs.js';

/** What runs on a host by every source at hand; pure. */
export interface HostStatus {
  host: string;
  /** The release by the record, when the files are what it says and the units run them; absent when there is any doubt. */
  release?: string;
  since?: string;
  /** What was changed since, or is in no record. */
  drift: string[];
  /** Units that do not run the files, or of which that could not be told. */
  doubts: string[];
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
  const doubts = [...new Set(inputs.artifacts.flatMap((artifact) => unitDoubts(artifact, release, host)))];
  const proven = drift.length + doubts.length === 0 ? release : undefined;
  return {
    host: host.host,
    release: proven?.id,
    since: proven?.time,
    drift,
    doubts,
    units: host.units.map((unit) => ({
      unit: unit.name,
      state: unit.loadState === 'loaded' ? `${unit.activeState} (${unit.subState})` : unit.loadState,
      since: unit.since || '-',
      restarts: unit.restarts,
      runs: runsText(unit),
    })),
    rollbackTo: candidates(inputs, releases, current, host).map(({ id }) => id),
    pending: host.pending.map(({ release: id, state }) => `${id} is ${state}`),
    lockedBy: host.lockHolder,
  };
}

/** Why it cannot be said that the units of an artifact run it: sentences without their full stop. */
function unitDoubts({ path, type, units, activate }: ArtifactSpec, release: Release | undefined, host: HostFacts) {
  const recorded = release?.artifacts.find((artifact) => artifact.path === path)?.type;
  const isProgram = (type ?? recorded) === 'binary';
  return host.units
    .filter(({ name }) => units.includes(name))
    .flatMap((unit) => {
      const { name, loadState, activeState, subState } = unit;
      if (loadState !== 'loaded') return [`${name} is ${loadState}`];
      // What is started by a socket, a timer or an operator may lawfully be idle; nothing may lawfully have failed.
      const mayRest = !hasProcess(unit) || activate.how === 'none' || unit.triggeredBy !== '';
      if (activeState === 'failed' || (!mayRest && !['active', 'reloading'].includes(activeState)))
        return [`${name} is ${activeState} (${subState})`];
      if (!isProgram || !hasProcess(unit)) return [];
      switch (whatRuns(unit, path)) {
        case 'unknown':
          return [
            `it could not be told what ${name} runs (user ${host.user} may not \`sudo -n sha256sum /proc/PID/exe\`)`,
          ];
        case 'other':
          return [`${name} runs ${unit.exe ?? 'other bytes than those'} in place of what lies at ${path}`];
        default:
          return [];
      }
    });
}

function runsText({ runs, exe, mainPid }: UnitFacts): string {
  if (mainPid === 0) return '-';
  return runs?.join(', ') || exe || (runs ? 'none of the files' : 'could not tell');
}

/** The read-only report of mode status. */
export function statusReport(inputs: Inputs, facts: Facts): Report {
  const all = facts.hosts.map((host) => statusOf(inputs, host));
  const head = ['unit', 'state', 'since', 'restarts', 'runs'];
  const failed = [
    ...all.filter((status) => reasons(status).length > 0).map(doubtSentence),
    ...facts.lost.map(({ host, reason }) => `${host}: it could not be told what runs. ${reason}`),
  ];
  return {
    failed: failed.join('\n') || undefined,
    outputs: {
      result: failed.length === 0 ? 'unchanged' : 'unknown',
      release: all[0]?.release ?? '',
      previous: all[0]?.rollbackTo[0] ?? '',
      sha256: '',
      'downtime-ms': '',
      report: JSON.stringify({
        mode: 'status',
        hosts: [...all, ...facts.lost.map(({ host, reason }) => ({ host, unknown: reason }))],
      }),
    },
    log: [
      ...all.map((status) => ({
        title: `${status.host}: ${status.release ? `${status.release} since ${status.since}` : noRelease}`,
        lines: [...statusLines(status), ...textTable(head, unitRows(status))],
      })),
      ...facts.lost.map(({ host, reason }) => ({ title: `${host}: unknown`, lines: [reason] })),
    ],
    summary: [
      ...all.map((status) =>
        [
          `### ${status.host}: ${status.release ?? noRelease}`,
          ...statusLines(status).map((line) => `- ${line}`),
          '',
          markdownTable(head, unitRows(status)),
        ].join('\n'),
      ),
      ...facts.lost.map(({ host, reason }) => `### ${host}: unknown\n${reason}`),
    ].join('\n\n'),
  };
}

const noRelease = 'no release is proven to run';

function reasons({ drift, doubts, pending }: HostStatus): string[] {
  return [...drift, ...doubts, ...pending.map((line) => `the undo of ${line}`)];
}

function doubtSentence(status: HostStatus): string {
  const next = status.drift.length > 0 ? ' The next deploy keeps what is there as a release of its own.' : '';
  return `${status.host}: ${noRelease} (${reasons(status).join(', ')}). Nothing was touched.${next}`;
}

function unitRows({ units }: HostStatus): string[][] {
  return units.map(({ unit, state, since, restarts, runs }) => [unit, state, since, String(restarts), runs]);
}

function statusLines({ drift, doubts, pending, lockedBy, rollbackTo }: HostStatus): string[] {
  return [
    ...drift,
    ...doubts,
    ...pending.map((line) => `An undo is pending: ${line}`),
    lockedBy ? `Locked by ${lockedBy}` : 'Not locked',
    `Can be rolled back to: ${rollbackTo.join(', ') || 'nothing'}`,
  ];
}
