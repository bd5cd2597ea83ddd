import { posix } from 'node:path';
import { activationOf, inverse, stoodAs } from './activation.js';
import type { Facts, FileFacts, HostFacts, LocalArtifact, LostHost, UnitFacts } from './facts.js';
import type { Inputs } from './inputs.js';
import * as layout from './layout.js';
import { type RecordEntry, releasesOf } from './record.js';
import { refusals, reloadRefusals } from './refusals.js';
import { chooseRelease } from './rollback.js';
import { slowestStartMs } from './start-limit.js';
import type { Activation, Move, Proof, Soak, Step, Surplus } from './steps.js';
import { undoScript } from './undo-script.js';
import { waves } from './waves.js';
import { hasProcess, whatRuns } from './what-runs.js';

export interface HostPlan {
  host: string;
  /** change: `steps` lead there. unchanged: nothing to do. refused: nothing may be done. failed: not reached. See `refusals`. */
  verdict: 'change' | 'unchanged' | 'refused' | 'failed';
  refusals: string[];
  notes: string[];
  /** What will run, and what runs now (absent on a first deploy). */
  release: string;
  previous?: string;
  /** Names this attempt on the target; for a deploy the same as `release`. */
  attempt: string;
  stateDir: string;
  /** sha256 by path of what is to run; empty where a rollback found nothing to go back to. */
  wanted: Record<string, string>;
  steps: Step[];
  /** Text of the undo script, armed before the switch. */
  undo: string;
  /** What must hold after an undo, for it to count. */
  back: Back;
}

export interface Back {
  /** `brought`: what this deploy puts there. Anything that is neither is somebody else's. */
  files: { path: string; sha256?: string; brought: string }[];
  proofs: Proof[];
  soak: Soak;
  /** Units that the undo restarts: how often systemd restarted them counts from there. */
  restarted: string[];
  /** Units that were not up before: stopped by the undo, or started again without a promise. */
  stopped: string[];
  started: string[];
}

export interface Plan {
  mode: Inputs['mode'];
  hosts: HostPlan[];
  /** Names of the hosts that switch together, in order: canary, then batches. */
  waves: string[][];
  onFailure: Inputs['onFailure'];
  maxFailed: number;
  /** sha256 by path, of the first host: a rollback may lead each to a release of its own. */
  sha256: Record<string, string>;
}

/** Every decision of a deploy or rollback, with its reason. Pure. */
export function makePlan(inputs: Inputs, facts: Facts): Plan {
  const hosts = [
    ...facts.hosts.map((host) => planHost(inputs, facts, host)),
    ...facts.lost.map((host) => lostHost(inputs, facts, host)),
  ];
  const changing = hosts.filter(({ verdict }) => verdict === 'change').map(({ host }) => host);
  return {
    mode: inputs.mode,
    hosts,
    waves: waves(changing, inputs.canary, inputs.batch),
    onFailure: inputs.onFailure,
    maxFailed: inputs.maxFailed,
    sha256: hosts[0]?.wanted ?? {},
  };
}

function lostHost({ stateDir }: Inputs, { artifacts }: Facts, { host, reason }: LostHost): HostPlan {
  const soak = { units: [], health: [], soakMs: 0 };
  const back = { files: [], proofs: [], soak, restarted: [], stopped: [], started: [] };
  const nothing = { release: '', attempt: '', stateDir, wanted: sums(artifacts), steps: [], undo: '', back };
  return { host, verdict: 'failed', refusals: [reason], notes: [], ...nothing };
}

function sums(artifacts: LocalArtifact[]): Record<string, string> {
  return Object.fromEntries(artifacts.flatMap(({ path, sha256 }) => (sha256 ? [[path, sha256]] : [])));
}

/** What one artifact becomes on one host. */
interface Part {
  artifact: LocalArtifact;
  file: FileFacts;
  /** The bytes at the path are not the wanted ones. */
  changed: boolean;
  /** The kept copies of the new and of the present file; the latter absent where there is no file. */
  kept: string;
  keptBefore?: string;
  copy: boolean;
}

function planHost(inputs: Inputs, facts: Facts, host: HostFacts): HostPlan {
  const { current, releases } = releasesOf(host.record);
  const rollback = inputs.mode === 'rollback' ? chooseRelease(inputs, releases, current, host) : undefined;
  const attempt = `${facts.now}-${rollback?.contentId ?? facts.contentId}`;
  const artifacts = rollback?.artifacts ?? facts.artifacts;
  const release = rollback?.release ?? attempt;
  const known = releases.find(({ id }) => id === current);
  const isKnown =
    known !== undefined &&
    artifacts.every(({ path }, index) => {
      const there = host.files[index]?.sha256;
      const recorded = known.artifacts.find((entry) => entry.path === path)?.sha256;
      return there === recorded && (!there || host.files[index]?.kept.includes(known.id));
    });
  const previous = isKnown ? known.id : host.foundId;
  const parts = artifacts.map((artifact, index): Part => {
    const file = host.files[index] as FileFacts;
    return {
      artifact,
      file,
      changed: isChanged(artifact, file),
      kept: layout.kept(artifact.path, release),
      keptBefore: previous && file.kind === 'file' ? layout.kept(artifact.path, previous) : undefined,
      copy: artifact.type !== 'binary',
    };
  });
  const stale = parts.flatMap(({ artifact }) => staleUnits(artifact, host));
  const activation = activationOf(parts, stale, host);
  const wayBack = inverse(activation, host);
  const base = {
    host: host.host,
    release,
    previous,
    attempt,
    stateDir: inputs.stateDir,
    wanted: sums(artifacts),
    undo: '',
    back: backOf(inputs, parts, wayBack, host),
  };
  const against = [...(rollback?.refusals ?? []), ...refusals(inputs, artifacts, host)];
  const refused = (against: string[]): HostPlan => ({
    ...base,
    verdict: 'refused',
    refusals: against,
    notes: [],
    steps: [],
  });
  if (against.length > 0) return refused(against);
  const notes = notesOn(
    parts,
    host,
    releases.filter(({ bad }) => bad).map(({ id }) => id),
    facts.contentId,
  );
  if (parts.every(({ changed }) => !changed) && stale.length === 0 && host.pending.length === 0) {
    return { ...base, release: previous ?? '', verdict: 'unchanged', refusals: [], notes, steps: [] };
  }
  const unreloaded = activation.daemonReload ? reloadRefusals(inputs, host) : [];
  if (unreloaded.length > 0) return refused(unreloaded);
  const undo = undoOf(inputs, parts, wayBack, { attempt, release, previous });
  const steps = stepsOf(inputs, facts, host, parts, activation, {
    ...base,
    undo,
    isKnown,
    known: rollback !== undefined,
  });
  return { ...base, verdict: 'change', refusals: [], notes, steps, undo };
}

function isChanged(artifact: LocalArtifact, file: FileFacts): boolean {
  if (file.sha256 !== artifact.sha256) return true;
  const otherMode = artifact.fileMode !== undefined && artifact.fileMode !== file.mode;
  const [user, group] = (artifact.owner ?? '').split(':');
  const [isUser, isGroup] = (file.owner ?? '').split(':');
  return otherMode || (user !== '' && user !== isUser) || (group !== undefined && group !== isGroup);
}

/** Units that do not run the file that lies at the path, although nothing about the file is to change. */
function staleUnits({ type, path, units, activate }: LocalArtifact, host: HostFacts): string[] {
  if (activate.how === 'none') return [];
  return host.units
    .filter((unit) => units.includes(unit.name) && hasProcess(unit))
    .filter((unit) => unit.activeState !== 'active' || (type === 'binary' && isOther(unit, path)))
    .map(({ name }) => name);
}

/** What could not be told is no reason to restart: such a host was refused. */
function isOther(unit: UnitFacts, path: string): boolean {
  return ['other', 'nothing'].includes(whatRuns(unit, path));
}

function notesOn(parts: Part[], host: HostFacts, bad: string[], contentId: string): string[] {
  const notes: string[] = [];
  if (bad.some((id) => id.endsWith(contentId))) notes.push('These very bytes were deployed before and rolled back.');
  for (const unit of host.units) {
    if (unit.needsReload)
      notes.push(`${unit.name} was edited on disk without daemon-reload; it is reloaded with this deploy.`);
    if (unit.triggeredBy)
      notes.push(`${unit.name} is triggered by ${unit.triggeredBy}: connections queue while it restarts.`);
    if (unit.enabled === 'disabled')
      notes.push(`${unit.name} is not enabled: it will not start when the target boots.`);
  }
  for (const { artifact, file } of parts) {
    const keepsOwner = !artifact.owner && file.owner && host.uid !== 0 && file.owner.split(':')[0] !== host.user;
    if (keepsOwner)
      notes.push(
        `${artifact.path} belongs to ${file.owner} and will belong to ${host.user}: only root may give files away.`,
      );
  }
  return notes;
}

/** A short watch is enough for what ran before: it is the old release, back in its place. */
const BACK_SOAK_MS = 1000;

function backOf(inputs: Inputs, parts: Part[], undo: Activation, host: HostFacts): Back {
  const ran = (unit: string) => stoodAs(unit, host) === 'up';
  const proofs = parts.flatMap(({ artifact, file }) =>
    provable(artifact)
      .filter(ran)
      .map((unit) => ({ unit, path: artifact.path, sha256: file.sha256 ?? '' })),
  );
  const units = [...new Set(parts.flatMap(({ artifact }) => artifact.units))].filter(ran);
  // The text it must contain may be the new version (health-contains says so): the old release cannot answer with it.
  const health = parts
    .flatMap(({ artifact }) => (artifact.units.every(ran) ? artifact.health : []))
    .map((check) => (check.kind === 'http' ? { ...check, contains: undefined } : check));
  return {
    files: parts.map(({ artifact, file }) => ({ path: artifact.path, sha256: file.sha256, brought: artifact.sha256 })),
    proofs,
    soak: { units, health, soakMs: Math.min(inputs.soakMs, BACK_SOAK_MS) },
    restarted: undo.restart,
    stopped: undo.stop,
    started: undo.start,
  };
}

/** Services whose main process must be the artifact itself. */
function provable({ type, activate, units }: LocalArtifact): string[] {
  return type === 'binary' && activate.how !== 'none' ? units.filter((unit) => unit.endsWith('.service')) : [];
}

interface Names {
  attempt: string;
  release: string;
  previous?: string;
}

/** `activation`: the way back. */
function undoOf(inputs: Inputs, parts: Part[], activation: Activation, names: Names): string {
  const moves = parts
    .filter(({ changed }) => changed)
    .map(({ artifact, kept, keptBefore, copy }): Move => ({ path: artifact.path, from: keptBefore, over: kept, copy }));
  const entry = (result: RecordEntry['result']) =>
    JSON.stringify({
      release: names.release,
      result,
      time: '@TIME@',
      by: '@BY@',
      previous: names.previous,
      artifacts: [],
    });
  return undoScript({
    stateDir: inputs.stateDir,
    release: names.attempt,
    moves,
    activation,
    done: entry('rolled-back'),
    failed: entry('rollback-failed'),
  });
}

interface StepContext {
  release: string;
  previous?: string;
  attempt: string;
  stateDir: string;
  undo: string;
  /** The present files are a release of the record. */
  isKnown: boolean;
  /** The new files are kept on the target already (rollback). */
  known: boolean;
}

function stepsOf(
  inputs: Inputs,
  facts: Facts,
  host: HostFacts,
  parts: Part[],
  activation: Activation & { reasons: string[] },
  { release, previous, attempt, stateDir, undo, isKnown, known }: StepContext,
): Step[] {
  const steps: Step[] = [];
  const changed = parts.filter((part) => part.changed);
  const prepare = (id: string, title: string, why: string, back: string, work: Step['work']) =>
    steps.push({ id, phase: 'prepare', title, why, undo: back, work });
  const guarded = (id: string, title: string, why: string, work: Step['work']) =>
    steps.push({ id, phase: 'switch', title, why, undo: 'the undo script puts everything back', work });

  prepare('lock', 'lock the target', 'two deploys at once would undo each other', 'released with the connection', {
    kind: 'lock',
    stateDir,
    waitMs: inputs.lockWaitMs,
    paths: parts.map(({ artifact }) => artifact.path),
    stateMark: host.stateMark,
  });
  for (const { release: unfinished, state } of host.pending) {
    prepare(
      `settle:${unfinished}`,
      `finish the undo of ${unfinished}`,
      `an earlier deploy left it ${state} and is gone`,
      'none needed: it ends on the old release',
      {
        kind: 'settle',
        stateDir,
        release: unfinished,
      },
    );
  }
  prepare(
    'stage',
    'make the folders',
    'uploads and kept releases lie beside the file, on its file system',
    'empty folders may stay',
    {
      kind: 'stage',
      parents: [...new Set(parts.map(({ artifact }) => posix.dirname(artifact.path)))],
      folders: [
        ...new Set([
          `${stateDir}/undo`,
          ...parts.flatMap(({ artifact, kept, keptBefore }) => [
            `${layout.store(artifact.path)}/incoming`,
            ...[kept, keptBefore ?? ''].filter(Boolean).map((file) => file.slice(0, file.lastIndexOf('/'))),
          ]),
        ]),
      ],
    },
  );
  const links = parts.flatMap(({ artifact, file, kept, keptBefore, copy, changed: isNew }) => {
    const link = (to: string) => ({ from: artifact.path, to, copy, sha256: file.sha256 ?? '' });
    return [
      ...(keptBefore && !(isKnown && file.kept.includes(previous ?? '')) ? [link(keptBefore)] : []),
      ...(isNew || known ? [] : [link(kept)]),
    ];
  });
  if (links.length > 0) {
    prepare(
      'keep',
      'keep what is there',
      isKnown
        ? 'every release holds all of its files'
        : 'these files are in no record; without a copy there is no way back',
      'the copies go',
      { kind: 'keep', links },
    );
  }
  for (const part of changed) {
    if (known) prepareKept(part, prepare);
    else prepareUpload(part, parts, prepare);
  }
  guarded('arm', 'arm the dead-man', 'the target undoes the switch by itself if nobody confirms it', {
    kind: 'arm',
    stateDir,
    release: attempt,
    seconds: Math.ceil(confirmWithinMs(inputs, parts, host) / 1000),
    script: undo,
  });
  if (changed.length > 0) {
    guarded(
      'switch',
      'switch the files',
      changed
        .map(
          ({ artifact, file }) =>
            `${artifact.path}: ${file.kind === 'file' ? 'other bytes are there' : 'not there yet'}`,
        )
        .join('; '),
      {
        kind: 'switch',
        stateDir,
        release: attempt,
        moves: changed.map(({ artifact, kept, keptBefore, copy }) => ({
          path: artifact.path,
          from: kept,
          over: keptBefore,
          copy,
        })),
      },
    );
  }
  const units = [...new Set(parts.flatMap(({ artifact }) => artifact.units))];
  guarded('activate', 'activate', activation.reasons.join(' ') || 'nothing has to be told', {
    kind: 'activate',
    stateDir,
    release: attempt,
    activation,
    others: units.filter((unit) => !activation.restart.includes(unit)),
  });
  const proofs = parts.flatMap(({ artifact: { path, sha256 }, artifact }) =>
    provable(artifact).map((unit) => ({ unit, path, sha256 })),
  );
  if (proofs.length > 0) {
    guarded('prove', 'prove that the new bytes run', 'a restart can succeed and still run something else', {
      kind: 'prove',
      proofs,
      timeoutMs: 10_000,
    });
  }
  const health = parts.flatMap(({ artifact }) => artifact.health);
  if (units.length + health.length > 0) {
    guarded('soak', 'watch it', 'active is not healthy: the same process must stay up and answer', {
      kind: 'soak',
      soak: { units, health, soakMs: inputs.soakMs },
    });
  }
  guarded('confirm', 'confirm', 'it is healthy: the dead-man is called off and the release recorded', {
    kind: 'confirm',
    stateDir,
    release: attempt,
    record: recordLines(facts, host, parts, { release, previous, isKnown, known }),
  });
  const finish = (id: string, title: string, why: string, work: Step['work']) =>
    steps.push({ id, phase: 'finish', title, why, undo: 'none needed', work });
  finish('prune', 'prune old releases', `${inputs.keep} are kept; never the current, the previous or a running one`, {
    kind: 'prune',
    stateDir,
    files: parts.map(({ artifact, kept }) => ({ path: artifact.path, kept, sha256: artifact.sha256 })),
    surplus: { ...surplus(inputs, host, parts, [release, previous ?? '']), units },
  });
  finish('unlock', 'unlock the target', 'the next deploy may begin', { kind: 'unlock', stateDir });
  return steps;
}

type Prepare = (id: string, title: string, why: string, undo: string, work: Step['work']) => void;

function prepareUpload(part: Part, parts: Part[], prepare: Prepare): void {
  const { artifact, file, kept } = part;
  const { name, path, source, size, sha256, type } = artifact;
  const partFile = layout.part(path, sha256);
  prepare(
    `upload:${name}`,
    `upload ${name}`,
    file.kind === 'file' ? 'the target has other bytes' : 'the target has none',
    'the part stays, and the next try resumes it',
    {
      kind: 'upload',
      source,
      to: partFile,
      size,
      sha256,
    },
  );
  prepare(
    `verify:${name}`,
    `verify ${name} on the target`,
    'size and sha256 as read back from its disk',
    'the staged file goes',
    {
      kind: 'verify',
      part: partFile,
      to: kept,
      sha256,
      size,
      mode: modeOf(part),
      owner: artifact.owner ?? file.owner,
    },
  );
  if (type === 'binary' && artifact.probe) {
    prepare(
      `probe:${name}`,
      `try ${name} ${artifact.probe}`,
      'it must start on the target before anything depends on it',
      'the staged file goes',
      { kind: 'probe', file: kept, args: artifact.probe },
    );
  }
  if (type === 'unit') {
    const replace = parts
      .filter((other) => other.artifact.type === 'binary')
      .map((other) => ({ from: other.artifact.path, to: other.changed ? other.kept : other.artifact.path }));
    prepare(
      `verify-unit:${name}`,
      `systemd-analyze verify ${name}`,
      'systemd must be able to read it',
      'the staged file goes',
      { kind: 'verify-unit', file: kept, replace },
    );
  }
  if (artifact.check) {
    prepare(`check:${name}`, `check ${name}`, 'its own program must accept it', 'the staged file goes', {
      kind: 'check',
      file: kept,
      command: artifact.check,
    });
  }
}

function prepareKept({ artifact, kept }: Part, prepare: Prepare): void {
  const { name, sha256, size } = artifact;
  const why = 'somebody may have written to the kept file since';
  prepare(`verify:${name}`, `verify the kept ${name}`, why, 'nothing was changed', {
    kind: 'verify',
    part: kept,
    to: kept,
    sha256,
    size,
  });
}

/** Permission bits as the new file gets them: as asked, else as there, else by type. */
function modeOf({ artifact, file }: Part): string {
  return artifact.fileMode ?? file.mode ?? (artifact.type === 'binary' ? '0755' : '0644');
}

/** systemd's own time for a unit to stop (DefaultTimeoutStopSec); a new unit file may bring it in place of a shorter one. */
const DEFAULT_STOP_MS = 90_000;

/** How long the target waits for our word: everything that may lawfully take time after the switch, and a margin. */
function confirmWithinMs(inputs: Inputs, parts: Part[], host: HostFacts): number {
  const marginMs = 30_000;
  const bringsUnit = parts.some(({ artifact, changed }) => changed && artifact.type === 'unit');
  const stops = [
    ...host.units.map(({ stopTimeoutMs }) => Math.min(stopTimeoutMs, 300_000)),
    bringsUnit ? DEFAULT_STOP_MS : 0,
  ];
  const health = parts.flatMap(({ artifact }) => artifact.health.map(({ timeoutMs }) => timeoutMs));
  return inputs.confirmMs ?? Math.max(...stops) + slowestStartMs(health) + inputs.soakMs + marginMs;
}

function recordLines(
  facts: Facts,
  host: HostFacts,
  parts: Part[],
  { release, previous, isKnown, known }: Pick<StepContext, 'release' | 'previous' | 'isKnown' | 'known'>,
): string[] {
  const { run, commit, actor } = facts.provenance;
  const adopted: RecordEntry | undefined =
    isKnown || !previous
      ? undefined
      : {
          release: previous,
          result: 'adopted',
          time: isoTime(previous),
          by: 'found on the target',
          artifacts: parts
            .filter(({ keptBefore }) => keptBefore)
            .map(({ artifact, file }) => ({
              path: artifact.path,
              type: artifact.type,
              sha256: file.sha256 ?? '',
              size: file.size,
              mode: file.mode ?? '',
              owner: file.owner ?? '',
            })),
        };
  const entry: RecordEntry = {
    release,
    result: known ? 'returned' : 'deployed',
    time: isoTime(facts.now),
    previous,
    by: 'action',
    run,
    commit,
    actor,
    artifacts: parts.map((part) => ({
      path: part.artifact.path,
      type: part.artifact.type,
      sha256: part.artifact.sha256,
      size: part.artifact.size,
      mode: modeOf(part),
      owner: part.artifact.owner ?? part.file.owner ?? host.user,
    })),
  };
  return [...(adopted ? [adopted] : []), entry].map((line) => JSON.stringify(line));
}

/** `20260131T120000Z...` as ISO 8601. */
function isoTime(id: string): string {
  return id.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, '$1-$2-$3T$4:$5:$6Z');
}

/** Kept releases beyond `keep`, and the binaries of those that stay. Failed releases go first and use up no place; order is the record's, not mtime. */
function surplus(inputs: Inputs, host: HostFacts, parts: Part[], never: string[]): Omit<Surplus, 'units'> {
  const { releases } = releasesOf(host.record);
  const good = releases.filter(({ bad, id }) => !bad && !never.includes(id)).map(({ id }) => id);
  const places = Math.max(0, inputs.keep - never.filter(Boolean).length);
  const stay = new Set([...never, ...(places > 0 ? good.slice(-places) : [])]);
  const gone = new Set(parts.flatMap(({ file }) => file.kept.filter((id) => !stay.has(id))));
  const binaries = parts.filter(({ artifact }) => artifact.type === 'binary').map(({ artifact }) => artifact.path);
  return {
    // Ids begin with their time.
    remove: [...gone]
      .sort()
      .reverse()
      .map((id) =>
        parts.flatMap(({ artifact, file }) => (file.kept.includes(id) ? [layout.kept(artifact.path, id)] : [])),
      ),
    stay: [...stay].filter(Boolean).flatMap((id) => binaries.map((path) => layout.kept(path, id))),
  };
}
