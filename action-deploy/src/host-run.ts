import { formatBytes } from '@gbo/shared/bytes';
import { formatDuration } from '@gbo/shared/duration';
import { ExpectedError } from '@gbo/shared/errors';
import type { Log } from '@gbo/shared/log';
import type { CommandResult } from '@gbo/shared/ssh/connection';
import * as layout from './layout.js';
import { acquire } from './lock.js';
import type { HostOutcome, TimelineEntry } from './outcome.js';
import type { HostPlan } from './plan.js';
import { prove } from './prove.js';
import type { Target } from './session.js';
import { Unhealthy, watch } from './soak.js';
import { stepScript } from './step-script.js';
import type { Activation, Step, Work } from './steps.js';
import { shellLibrary } from './survey-script.js';
import { type Restarts, restartsOf } from './unit-state.js';
import { upload } from './upload.js';

/** The target is not as it was surveyed: somebody deployed meanwhile, or an old undo was finished. Survey again. */
export class Stale extends Error {}

/** A script may take this long: a unit that stops slowly is given its time by systemd, not by us. */
const SCRIPT_MS = 600_000;

/** One host on its way through its plan: carries out steps, keeps the timeline, knows whether the switch is armed. */
export class HostRun {
  readonly timeline: TimelineEntry[] = [];
  armed = false;
  confirmed = false;
  bytesSent = 0;
  /** When units were told, and when they first answered as healthy (epoch ms). */
  told?: number;
  healthy?: number;
  /** Of the units that are watched and not restarted, just before the activation. */
  #restarts: Restarts = new Map();
  /** Invocations of the units since the switch, for their journal should it fail. */
  readonly invocations: string[] = [];

  constructor(
    readonly plan: HostPlan,
    readonly target: Target,
    readonly log: Log,
    readonly who: string,
    readonly signal: AbortSignal,
  ) {}

  say(text: string): void {
    this.log.line(`${this.plan.host}: ${text}`);
  }

  /** Carries out the steps of one phase, in order. @throws what the first failing step threw */
  async phase(phase: Step['phase']): Promise<void> {
    const looks: Step[] = [];
    for (const step of this.plan.steps.filter((step) => step.phase === phase)) {
      if (step.work.kind === 'prove' || step.work.kind === 'soak') looks.push(step);
      else {
        await this.#sideBySide(looks.splice(0));
        await this.step(step);
      }
    }
    await this.#sideBySide(looks);
  }

  /** Proof and watch only look, and the hash of what runs takes its time. The first to fail ends the other. */
  async #sideBySide(steps: Step[]): Promise<void> {
    const stop = new AbortController();
    const signal = AbortSignal.any([this.signal, stop.signal]);
    const done = steps.map((step) => this.step(step, signal).catch((error: unknown) => stop.abort(error)));
    await Promise.all(done);
    stop.signal.throwIfAborted();
  }

  async step({ id, title, work }: Step, signal = this.signal): Promise<void> {
    // After the word is given there is nothing left to cancel.
    if (!this.confirmed) signal.throwIfAborted();
    const entry: TimelineEntry = { step: id, title, began: Date.now(), ended: 0, ok: false };
    this.timeline.push(entry);
    this.say(`${title} ...`);
    try {
      const said = await this.#unlessLockIsLost(this.#carryOut(work, signal));
      entry.ok = true;
      entry.ended = Date.now();
      this.say(`${title}: done in ${formatDuration(entry.ended - entry.began)}${said ? ` (${said})` : ''}`);
    } catch (error) {
      entry.ended = Date.now();
      if (error instanceof Unhealthy) this.invocations.push(...error.invocations);
      // Told by the step at its side, which failed first.
      const end = signal.aborted && !this.signal.aborted ? 'stopped' : 'FAILED';
      if (!(error instanceof Stale)) this.say(`${title}: ${end} after ${formatDuration(entry.ended - entry.began)}`);
      throw error;
    }
  }

  outcome(result: HostOutcome['result'], reason?: string): HostOutcome {
    const { host, release, previous } = this.plan;
    const downtimeMs = this.told && this.healthy ? Math.max(0, this.healthy - this.told) : undefined;
    return {
      host,
      result,
      release,
      previous,
      downtimeMs,
      reason,
      timeline: this.timeline,
      diagnosis: [],
      bytesSent: this.bytesSent,
    };
  }

  async #unlessLockIsLost<T>(work: Promise<T>): Promise<T> {
    const { lock } = this.target;
    if (!lock) return work;
    work.catch(() => {});
    return Promise.race([
      work,
      lock.lost.then(async (reason) => {
        // A lost connection takes the lock with it; the connection's own error tells more.
        await Promise.race([work, new Promise((resolve) => setTimeout(resolve, 500))]);
        throw new ExpectedError(`${reason.replace(/^t/, 'T')}.`, '', '');
      }),
    ]);
  }

  async #carryOut(work: Work, signal: AbortSignal): Promise<string | undefined> {
    const { connection } = this.target;
    switch (work.kind) {
      case 'lock':
        return this.#lock(work);
      case 'unlock':
        await this.target.lock?.release();
        this.target.lock = undefined;
        return undefined;
      case 'upload':
        return this.#upload(work);
      case 'prove':
        this.invocations.push(...(await prove(connection, work.proofs, work.timeoutMs, this.#restarts, signal)));
        return undefined;
      case 'soak':
        this.healthy = await watch(connection, work.soak, this.target.way, this.#restarts, signal);
        return this.told
          ? `healthy ${formatDuration(Math.max(0, this.healthy - this.told))} after it was told`
          : undefined;
      case 'arm':
        // From here on the target may hold an armed undo, even when our command's answer is lost.
        this.armed = true;
        await this.#script(work);
        return `it fires ${work.seconds} s from now, or when this connection is lost`;
      case 'activate':
        this.#restarts = await restartsOf(connection, work.others);
        if (tells(work.activation)) this.told = Date.now();
        await this.#script(work);
        return undefined;
      case 'confirm':
        await this.#script(work);
        this.confirmed = true;
        return undefined;
      case 'settle':
        this.say(`  ${(await this.#script(work)).stdout.trim().split('\n').at(-1)}`);
        throw new Stale();
      default:
        await this.#script(work);
        return undefined;
    }
  }

  async #script(work: Parameters<typeof stepScript>[0]): Promise<CommandResult> {
    const result = await this.target.connection.script(stepScript(work, this.target.user), { timeoutMs: SCRIPT_MS });
    if (result.code === 0) return result;
    throw new ExpectedError(`${whatFailed(work)}: ${wordsOf(result)}.`, '', todoAfter(work));
  }

  async #lock(work: Extract<Work, { kind: 'lock' }>): Promise<string | undefined> {
    const { connection } = this.target;
    this.target.lock ??= await acquire(connection, {
      stateDir: work.stateDir,
      waitMs: work.waitMs,
      who: this.who,
      signal: this.signal,
      onBusy: (holder) => this.say(`waiting for the lock, held by ${holder}`),
    });
    const { stdout } = await connection.script(`${shellLibrary}\nstate_mark "$@"`, {
      args: [work.stateDir, ...work.paths],
    });
    if (stdout.trim() !== work.stateMark) throw new Stale();
    return undefined;
  }

  async #upload({ source, to, size }: Extract<Work, { kind: 'upload' }>): Promise<string> {
    const began = Date.now();
    const { sent, resumedFrom } = await upload(this.target.connection, {
      from: source,
      to,
      size,
      signal: this.signal,
      onProgress: ({ bytes, total }) => {
        const percent = Math.floor((bytes / total) * 100);
        const rate = formatBytes(bytes / Math.max(0.001, (Date.now() - began) / 1000));
        if (bytes < total) this.say(`  ${percent} % of ${formatBytes(total)}, ${rate}/s`);
      },
    });
    this.bytesSent += sent;
    return `${formatBytes(sent)} sent${resumedFrom > 0 ? `, resumed at ${formatBytes(resumedFrom)}` : ''}`;
  }
}

/** Whether an activation tells any unit anything. */
function tells({ restart, reload, signals, commands }: Activation): boolean {
  return restart.length + reload.length + signals.length + commands.length > 0;
}

/** Most failures say what to do by themselves; an undo that cannot be finished would stop every later deploy as well. */
function todoAfter(work: Work): string {
  if (work.kind !== 'settle') return '';
  const unfinished = layout.undoStateFile(work.stateDir, work.release, 'undoing');
  return `Put the files on the target right by hand, then remove ${unfinished} there and deploy again.`;
}

function whatFailed(work: Work): string {
  switch (work.kind) {
    case 'settle':
      return `The undo of ${work.release}, which an earlier deploy left unfinished, failed`;
    case 'stage':
      return 'The folders on the target could not be made';
    case 'verify':
      return `${work.to} did not arrive as it was sent`;
    case 'keep':
      return 'What is there could not be kept';
    case 'probe':
      return `The trial run of ${work.file} with ${work.args} failed`;
    case 'check':
      return `The check of ${work.file} refused it`;
    case 'verify-unit':
      return `systemd-analyze verify refused ${work.file}`;
    case 'arm':
      return 'The dead-man could not be armed';
    case 'switch':
      return 'The switch failed';
    case 'activate':
      return 'Activation failed';
    case 'confirm':
      return 'The release could not be confirmed';
    default:
      return `Step ${work.kind} failed`;
  }
}

/** What a failed command said, in one line: the end of it, where the reason stands. */
function wordsOf({ code, signal, stdout, stderr }: CommandResult): string {
  const status = signal
    ? `ended by ${signal}`
    : code === 124 || code === 137
      ? 'it did not end in time'
      : `exit status ${code}`;
  const words = `${stdout}\n${stderr}`
    .trim()
    .replaceAll(/\s*\n\s*/g, ' / ')
    .slice(-1000);
  return words ? `${words} (${status})` : status;
}
