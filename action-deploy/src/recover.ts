import { posix } from 'node:path';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { ConnectionLost } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import { diagnose, failedInvocations } from './diagnosis.js';
import type { HostRun } from './host-run.js';
import * as layout from './layout.js';
import { acquire } from './lock.js';
import type { HostOutcome } from './outcome.js';
import type { HostPlan } from './plan.js';
import { prove } from './prove.js';
import { readRecord } from './record.js';
import { watch } from './soak.js';
import { shellLibrary } from './survey-script.js';
import { restartsOf, unitStates } from './unit-state.js';

/** An undo restarts units, and those may take their time to stop. */
const UNDO_MS = 600_000;
/** A lock that was lost is held by the target's own undo for a while, or by the next deploy. */
const LOCK_AGAIN_MS = 120_000;
/** A link that was lost once may be lost again. */
const MOST_TRIES = 3;

/** Who asks for the undo: the action after a failure, or to take back what was confirmed because other hosts failed. */
type Asker = 'action' | 'return';

/**
 * Brings one host back after a failure, and proves it. Never rejects: its outcome says what is known, and
 * `unknown` where the target could not be reached any more (it then undoes the switch itself).
 */
export async function recover(run: HostRun, failure: unknown, by: Asker): Promise<HostOutcome> {
  const reason = messageOf(failure);
  for (let tries = 1; ; tries++) {
    if (!(await reachable(run))) return unknown(run, reason);
    try {
      if (run.armed) return await putBack(run, reason, by);
      await removeStaged(run);
      return run.outcome('failed', `${reason} Nothing that runs was touched.`);
    } catch (error) {
      if (!(error instanceof ConnectionLost) || tries >= MOST_TRIES)
        return unknown(run, `${reason} ${messageOf(error)}`);
    }
  }
}

async function putBack(run: HostRun, reason: string, by: Asker): Promise<HostOutcome> {
  // A run that was cancelled still owes the target its undo: no cancel signal from here on.
  const patience = new AbortController().signal;
  const invocations = [
    ...run.invocations,
    ...(await failedInvocations(run.target.connection, run.plan.back.soak.units)),
  ];
  const again = await lockAgain(run, patience);
  run.say(`putting back ${run.plan.previous ?? 'the state before'} ...`);
  const began = Date.now();
  const ended = await undo(run, by);
  if (ended.state === 'confirmed') {
    run.confirmed = true;
    return run.outcome('deployed', `${reason} The release had been confirmed before that.`);
  }
  if (again && ended.state !== 'none' && (await overtaken(run))) {
    return run.outcome('unknown', `${reason} Another deploy has taken the target over since; mode status tells.`);
  }
  const { problem, foreign, words } = await verifyBack(run, ended, patience);
  const untold = words !== undefined;
  if (untold && !problem) await undo(run, 'accept');
  run.timeline.push({ step: 'undo', title: 'undo', began, ended: Date.now(), ok: problem === undefined });
  const diagnosis = await diagnose(run.target.connection, invocations, run.plan.back.soak.units);
  if (problem) {
    run.say(`undo: NOT proven: ${problem}`);
    const todo = `Put it right by hand: each file's releases are kept in .gbo-deploy beside it.${untold ? ' The next deploy tries the undo once more.' : ''}`;
    return { ...run.outcome('rollback-failed', `${reason} The undo did not hold: ${problem} ${todo}`), diagnosis };
  }
  const back = wayBack(run.plan, untold);
  run.say(`undo: done, ${back}`);
  const failed = untold ? [`To tell the units failed on the way back as well: ${words}.`] : [];
  return {
    ...run.outcome('rolled-back', [reason, `Rolled back: ${back}.`, ...failed, ...foreign].join(' ')),
    diagnosis,
  };
}

/** What holds after an undo that was proven, in words. `untold`: not everything could be told that the old files are back. */
function wayBack({ previous, back: { soak, stopped, started } }: HostPlan, untold: boolean): string {
  const files = previous
    ? `${soak.units.length > 0 && !untold ? `${previous} runs again` : `the files of ${previous} are back`}, proven`
    : 'there was nothing before, and nothing is there now';
  return [
    files,
    ...stopped.map((unit) => `${unit} did not run before and is stopped`),
    ...started.map((unit) => `${unit} was not up before and was started again`),
  ].join('; ');
}

/** Leaves the failed release where it is, for inspection: the dead-man is called off and the failure recorded. */
export async function keepFailed(run: HostRun, failure: unknown): Promise<HostOutcome> {
  const reason = messageOf(failure);
  const { stateDir, attempt, release, previous } = run.plan;
  if (!run.armed) return await recover(run, failure, 'action');
  try {
    const entry = JSON.stringify({
      release,
      result: 'failed',
      time: new Date().toISOString(),
      by: 'action',
      previous,
      artifacts: [],
    });
    const prefix = run.target.user.uid === 0 ? '' : 'sudo -n ';
    const { code } = await run.target.connection.script(
      `mv ${q(layout.undoStateFile(stateDir, attempt, 'armed'))} ${q(layout.undoStateFile(stateDir, attempt, 'confirmed'))} || exit 1
printf '%s\\n' ${q(entry)} >> ${q(layout.recordFile(stateDir))}
${prefix}systemctl stop ${layout.deadManUnit(attempt)}.timer 2>/dev/null; exit 0`,
    );
    if (code !== 0) return await recover(run, failure, 'action');
    const diagnosis = await diagnose(run.target.connection, run.invocations, run.plan.back.soak.units);
    return {
      ...run.outcome('failed-kept', `${reason} The failed release was left in place, as on-failure: none asks.`),
      diagnosis,
    };
  } catch (error) {
    return unknown(run, `${reason} ${messageOf(error)}`);
  }
}

/** Takes away what was staged for a switch that will not come. Unfinished uploads stay: the next try resumes them. */
export async function removeStaged(run: HostRun): Promise<void> {
  const staged = run.plan.steps.flatMap(({ work }) => {
    if (work.kind === 'verify' && work.part !== work.to) return [work.to];
    return work.kind === 'keep' ? work.links.map(({ to }) => to) : [];
  });
  if (staged.length === 0) return;
  const remove = staged.map((file) => `rm -f ${q(file)}; rmdir ${q(posix.dirname(file))} 2>/dev/null`).join('\n');
  await run.target.connection.script(`${remove}\nexit 0`, { timeoutMs: 60_000 }).catch(() => undefined);
}

/** While nobody held the lock, the next deploy may have got in, and what it does is not to be undone. */
async function lockAgain(run: HostRun, signal: AbortSignal): Promise<boolean> {
  const { target, plan, who } = run;
  if (target.lock?.held) return false;
  target.lock = await acquire(target.connection, {
    stateDir: plan.stateDir,
    waitMs: LOCK_AGAIN_MS,
    who,
    signal,
    onBusy: (holder) => run.say(`waiting for the lock, which was lost and is held by ${holder}`),
  }).catch((error: unknown) => {
    throw error instanceof ExpectedError ? new ExpectedError(error.what, '', '', { cause: error }) : error;
  });
  return true;
}

/** Whether the last word of the record is about another release than ours. */
async function overtaken({ target, plan }: HostRun): Promise<boolean> {
  const { stdout } = await target.connection.script(`tail -n 1 ${q(layout.recordFile(plan.stateDir))}`);
  return readRecord([stdout])[0]?.release !== plan.release;
}

function unknown(run: HostRun, reason: string): HostOutcome {
  if (!run.armed) return run.outcome('failed', `${reason} Nothing that runs was touched.`);
  const before = run.plan.previous ?? 'the state before';
  const next = run.confirmed
    ? `It had been confirmed, so that nothing there puts ${before} back by itself; mode status tells, and mode rollback goes back.`
    : `It puts ${before} back by itself; mode status tells.`;
  return run.outcome('unknown', `${reason} It could not be seen how the target stands. ${next}`);
}

async function reachable(run: HostRun): Promise<boolean> {
  try {
    await run.target.connection.script(':', { timeoutMs: 10_000 });
    return true;
  } catch {
    if (!run.armed) return false;
  }
  try {
    run.say('the connection is lost; calling the target again ...');
    await run.target.reconnect();
    return true;
  } catch (error) {
    run.say(`it does not answer: ${messageOf(error)}`);
    return false;
  }
}

interface Ended {
  state: layout.UndoState | 'none';
  words: string;
}

/**
 * Runs the undo script and tells in which state it left the release, and what it complained of; `confirmed` means that there
 * was nothing to undo, `undoing` that it could not be ended.
 */
async function undo(run: HostRun, by: Asker | 'again' | 'accept'): Promise<Ended> {
  const { stateDir, attempt } = run.plan;
  const script = q(layout.undoScriptFile(stateDir, attempt));
  const states: layout.UndoState[] = ['undone', 'undoing', 'armed', 'confirmed'];
  const files = states.map((state) => `[ -e ${q(layout.undoStateFile(stateDir, attempt, state))} ] && echo ${state}`);
  const timer = `${run.target.user.uid === 0 ? '' : 'sudo -n '}systemctl stop ${layout.deadManUnit(attempt)}.timer 2>/dev/null`;
  const { stdout, stderr } = await run.target.connection.script(
    `if [ -e ${script} ]; then sh ${script} ${by} >&2; fi\n${files.join('\n')}\n${timer}\nexit 0`,
    { timeoutMs: UNDO_MS },
  );
  const words = stderr
    .trim()
    .replaceAll(/\s*\n\s*/g, ' / ')
    .slice(-500);
  return { state: (stdout.trim().split('\n')[0] as layout.UndoState) || 'none', words };
}

/** How the files stand after an undo. */
interface Aftermath {
  /** What still differs from before; absent when everything is proven to be back. */
  problem?: string;
  /** Files that are neither the old nor the new ones: sentences. */
  foreign: string[];
  /** What the undo complained of, where it could not be ended. */
  words?: string;
}

async function verifyBack(run: HostRun, first: Ended, signal: AbortSignal): Promise<Aftermath> {
  const { connection, way } = run.target;
  const { files, proofs, soak, restarted, stopped } = run.plan.back;
  let ended = first;
  let found = await differences(run);
  if (found.problem) {
    ended = await undo(run, 'again');
    found = await differences(run);
  }
  const aftermath: Aftermath = ended.state === 'undoing' ? { ...found, words: ended.words } : found;
  if (aftermath.problem) return aftermath;
  try {
    const before = await restartsOf(
      connection,
      soak.units.filter((unit) => !restarted.includes(unit)),
    );
    if (files.some(({ sha256 }) => sha256) && proofs.length > 0)
      await prove(connection, proofs, 10_000, before, signal);
    if (soak.units.length + soak.health.length > 0) await watch(connection, soak, way, before, signal);
    // Where telling the units failed, one may not have been stopped.
    const still = await unitStates(connection, aftermath.words === undefined ? [] : stopped);
    const running = still.filter(({ active }) => active === 'active').map(({ unit }) => unit);
    return running.length > 0
      ? { ...aftermath, problem: `${running.join(', ')} did not run before and could not be stopped.` }
      : aftermath;
  } catch (error) {
    if (error instanceof ConnectionLost) throw error;
    return { ...aftermath, problem: messageOf(error) };
  }
}

async function differences(run: HostRun): Promise<Aftermath> {
  const checks = run.plan.back.files.map(({ path, sha256, brought }) => {
    const file = q(path);
    const gone = sha256 ? `echo ${q(`${path} is not there any more.`)}` : ':';
    const still = `echo ${q(sha256 ? `${path} is not what it was.` : `${path} was not there before and still is.`)}`;
    const foreign = `echo ${q(`foreign ${path} was changed by somebody else and was left as it is.`)}`;
    const known = sha256 ? `${sha256}) ;;` : '';
    return `if [ ! -e ${file} ]; then ${gone}; else case $(sum ${file}) in ${known} ${brought}|'') ${still};; *) ${foreign};; esac; fi`;
  });
  const { stdout } = await run.target.connection.script(`${shellLibrary}\n${checks.join('\n')}`, {
    timeoutMs: UNDO_MS,
  });
  const lines = stdout.split('\n').filter(Boolean);
  const foreign = lines.filter((line) => line.startsWith('foreign ')).map((line) => line.slice('foreign '.length));
  return { problem: lines.filter((line) => !line.startsWith('foreign ')).join(' ') || undefined, foreign };
}
