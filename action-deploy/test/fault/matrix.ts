import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Finished, type Running, run, start } from '../harness.js';
import { type Release, type Seen, Site } from './site.js';

/**
 * The fault matrix: at every moment of a deploy, everything that can happen to the link and to the action. The moments
 * are those before and after each step of the plan that the bundle itself prints, so a new step gets its rows by itself.
 */

/** What happens at a moment of a deploy. */
export type Fault = keyof typeof faults;

const faults = {
  'the link is cut and comes back': cutAndBack,
  'the link is cut and stays cut': cutForGood,
  'the link swallows everything, until the target has lost patience': swallowed,
  'the action is killed': killed,
  'who holds the lock on the target is killed': holderKilled,
  'the action is killed, and who holds the lock on the target as well': bothKilled,
};

export interface Row {
  name: string;
  fault: Fault;
  moment: Moment;
}

interface Moment {
  name: string;
  /** Whether a line of the log is the moment. */
  isAt(line: string): boolean;
  phase: string;
  /** Comes only where an earlier deploy was left unfinished. */
  afterUnfinished: boolean;
  arming: boolean;
}

export interface PlanStep {
  id: string;
  phase: string;
  title: string;
}

/** Patience of the target where its timer is what is looked at, and where all has to be at rest long before it fires. */
const SHORT = '4s';
const LONG = '2m';
/** A dead-man that is armed just after everybody has gone is left to its timer. */
const ARMING = '8s';

/** A target that runs a first release, and the moments of the deploys that will follow. */
export async function startMatrix(name: string): Promise<Matrix> {
  const site = await Site.start(name);
  const first = await run(site.release().inputs);
  expect(first.log).toContain('Result: deployed');
  const usual = await stepsOf(site);
  await leaveUnfinished(site);
  const afterUnfinished = (await stepsOf(site)).filter(({ id }) => !usual.some((step) => step.id === id));
  expect((await run(site.release().inputs)).log).toContain('Result: deployed');
  return new Matrix(site, usual, afterUnfinished);
}

export class Matrix {
  /** What runs since the last row, when that was judged. */
  #runs: Release | undefined;

  constructor(
    readonly site: Site,
    readonly usual: PlanStep[],
    readonly afterUnfinished: PlanStep[],
  ) {}

  /** The rows of one fault: in every phase, or in the given ones only. */
  rows(fault: Fault, phases = ['prepare', 'switch', 'finish']): Row[] {
    const moments = [
      ...this.usual.flatMap((step) => momentsOf(step, false)),
      ...this.afterUnfinished.flatMap((step) => momentsOf(step, true)),
    ];
    return moments
      .filter(({ phase }) => phases.includes(phase))
      .map((moment) => ({ name: `${fault} ${moment.name}`, fault, moment }));
  }

  /** Deploys a fresh release over what runs, lets the fault happen at its moment, and judges how the target ends. */
  async play({ fault, moment }: Row): Promise<void> {
    const { site } = this;
    await site.link.restore();
    const before = this.#runs ?? (site.belongTo(await site.look()) as Release);
    this.#runs = undefined;
    if (moment.afterUnfinished) await leaveUnfinished(site);
    const release = site.release();
    const { patience, happens, mayNotKnow } = faults[fault](site);
    const deploy = start({
      ...release.inputs,
      'confirm-timeout': patience === LONG && moment.arming ? ARMING : patience,
    });
    try {
      await reached(moment, deploy);
      await happens(deploy);
      const finished = await inTime(deploy, 60_000);
      await site.link.restore();
      const seen = await site.rest();
      const runs = site.judge(seen, [before, release]);
      judgeWords(finished, runs === release, mayNotKnow);
      if (finished.signal === 'SIGKILL') await judgeStatus(seen, runs);
      this.#runs = runs;
    } finally {
      deploy.child.kill('SIGKILL');
      await site.link.restore();
    }
  }
}

/** The log of an action that lived to its end says which release runs; `unknown` only where it had no way to look. */
function judgeWords({ log, code, signal, outputs }: Finished, isNew: boolean, mayNotKnow: boolean): void {
  if (signal) return;
  const { result = '' } = outputs;
  if (result === '') {
    // It ended while it looked at the target, before there was a plan to report on.
    expect([code, isNew, log]).toEqual([1, false, expect.stringContaining('Nothing was switched.')]);
    return;
  }
  expect(log).toContain(`Result: ${result}`);
  const says: Record<string, RegExp> = {
    deployed: /Result: deployed/,
    'rolled-back': /Rolled back: .+ runs again, proven\./,
    failed: /Nothing that runs was touched\.|Nothing was switched\./,
    unknown: /could not be seen how the target stands.*mode status tells/,
  };
  expect(log).toMatch(says[result] ?? `a result that fits (${result})`);
  const possible = isNew ? ['deployed'] : ['rolled-back', 'failed'];
  expect([...possible, ...(mayNotKnow ? ['unknown'] : [])]).toContain(result);
  expect(code).toBe(result === 'deployed' ? 0 : 1);
}

/** After an action that was killed, status tells what runs. */
async function judgeStatus(seen: Seen, runs: Release): Promise<void> {
  const status = await run({ ...runs.inputs, mode: 'status' });
  expect([status.code, status.outputs.result]).toEqual([0, 'unchanged']);
  expect(status.outputs.release).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{12}$/);
  const { release } = status.outputs;
  const entry = seen.record.findLast((line) => line.release === release && line.artifacts.length > 0);
  expect(Object.fromEntries((entry?.artifacts ?? []).map(({ path, sha256 }) => [path, sha256]))).toEqual(runs.sha256);
}

interface Course {
  /** confirm-timeout of the deploy. */
  patience: string;
  happens(deploy: Running): Promise<void>;
  mayNotKnow: boolean;
}

function cutAndBack({ link }: Site): Course {
  const happens = async () => {
    await link.cut();
    await sleep(300);
    await link.restore();
  };
  return { patience: LONG, happens, mayNotKnow: false };
}

function cutForGood({ link }: Site): Course {
  return { patience: LONG, happens: () => link.cut(), mayNotKnow: true };
}

/** No reset, no end: neither side can know, and the dead-man's timer decides. */
function swallowed(site: Site): Course {
  const happens = async () => {
    site.link.blackhole();
    await sleep(500);
    for (const end = Date.now() + 15_000; (await site.look()).pending.length > 0 && Date.now() < end; )
      await sleep(100);
    await site.link.restore();
  };
  return { patience: SHORT, happens, mayNotKnow: false };
}

function killed(): Course {
  const happens = async ({ child }: Running) => void child.kill('SIGKILL');
  return { patience: LONG, happens, mayNotKnow: false };
}

/** The action lives, and its link too, but it may not go on without the lock. */
function holderKilled(site: Site): Course {
  const happens = async ({ child }: Running) => {
    // Halted meanwhile, or it has long unlocked the target when the holder is found.
    child.kill('SIGSTOP');
    const unlocked = !(await site.look()).locked;
    if (!unlocked) await site.killHolder();
    child.kill('SIGCONT');
  };
  return { patience: LONG, happens, mayNotKnow: false };
}

/** Only the dead-man's timer is left to undo. The action is halted first, so that it cannot notice the lost lock. */
function bothKilled(site: Site): Course {
  const happens = async ({ child }: Running) => {
    child.kill('SIGSTOP');
    await site.killHolder();
    child.kill('SIGKILL');
  };
  return { patience: SHORT, happens, mayNotKnow: false };
}

/** The steps of a deploy of a fresh release, as a dry run prints them. */
async function stepsOf(site: Site): Promise<PlanStep[]> {
  const { report, log } = await run({ ...site.release().inputs, 'dry-run': 'true' });
  const steps = (report as { plan?: { steps: PlanStep[] }[] } | undefined)?.plan?.[0]?.steps ?? [];
  expect(steps.length, log).toBeGreaterThan(0);
  return steps;
}

/** Leaves an undo armed that nobody will run: the action killed, the holder of the lock killed, no timer. */
async function leaveUnfinished(site: Site): Promise<void> {
  const deploy = start({ ...site.release().inputs, 'confirm-timeout': '5m' });
  await reached({ name: 'before activation', isAt: (line) => / activate \.\.\.$/.test(line) }, deploy);
  await bothKilled(site).happens(deploy);
  await deploy.finished;
  await site.stopTimers();
}

function momentsOf({ id, title, phase }: PlanStep, afterUnfinished: boolean): Moment[] {
  // A title may name a release, and each row has another one.
  const words = title
    .replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\d{8}T\d{6}Z-[0-9a-f]{12}/g, '\\d{8}T\\d{6}Z-[0-9a-f]{12}');
  const begins = new RegExp(`: ${words} \\.\\.\\.$`);
  // What leads to another look at the target has no end of its own in the log.
  const ends = new RegExp(`: ${words}: done${afterUnfinished ? '|^The target changed since' : ''}`);
  const shape = { phase, afterUnfinished, arming: id === 'arm' };
  const name = title.replace(/\d{8}T\d{6}Z-[0-9a-f]{12}/, 'an earlier deploy');
  return [
    { ...shape, name: `before "${name}"`, isAt: (line) => begins.test(line) },
    { ...shape, name: `after "${name}"`, isAt: (line) => ends.test(line) },
  ];
}

/** Resolves at the moment. Fails when the deploy ends without it. */
export async function reached({ isAt, name }: Pick<Moment, 'isAt' | 'name'>, deploy: Running): Promise<void> {
  const at = new Promise<true>((resolve) => {
    deploy.onLine((line) => {
      if (isAt(line)) resolve(true);
    });
  });
  const first = await Promise.race([at, deploy.finished]);
  if (first !== true) expect(first.log, 'the log of a deploy in which the moment never came').toBe(name);
}

/** The end of a deploy, which has to come by then. */
export async function inTime(deploy: Running, limitMs: number): Promise<Finished> {
  const late = setTimeout(() => deploy.child.kill('SIGABRT'), limitMs);
  const finished = await deploy.finished;
  clearTimeout(late);
  expect(finished.signal, `the action ends within ${limitMs / 1000} s: ${finished.log}`).not.toBe('SIGABRT');
  return finished;
}
