import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@gbo/shared/errors';
import type { Report } from '@gbo/shared/report';
import type { RunContext } from '@gbo/shared/run';
import { apply } from './apply.js';
import { categories } from './categories.js';
import type { Facts } from './facts.js';
import { type HeldLocks, hold } from './file-locks.js';
import type { Inputs } from './inputs.js';
import type { Outcome } from './outcome.js';
import { makePlan } from './plan.js';
import { report } from './report.js';
import { writeState } from './state.js';
import { stateDir, survey } from './survey.js';

/** Inputs to report: the way through the rooms. */
export async function run(inputs: Inputs, { env, log, signal }: RunContext): Promise<Report> {
  const began = Date.now();
  const zfs = await snapshots(inputs);
  const facts = await survey(inputs, env);
  const plan = makePlan(inputs, facts);
  for (const warning of plan.warnings) log.warning(warning);
  signal.throwIfAborted();
  const thinOut = async () => zfs?.({ signal, log: log.line });
  if (inputs.dryRun) return report(facts, plan, undefined, await thinOut(), Date.now() - began);
  const dir = stateDir(inputs, env);
  const alone = await onlyOne(dir, facts);
  if (alone === 'busy') {
    facts.notes.push('Another run of this action is at work here; this one left everything to it.');
    const outcome: Outcome = { places: [], swept: 0, longestLockMs: 0, problems: [], disks: facts.disks };
    return report(facts, { ...plan, steps: [] }, outcome, undefined, Date.now() - began);
  }
  try {
    const outcome = await apply(plan, facts, { waitMs: inputs.waitMs, signal, log: log.line });
    const freed = outcome.swept + outcome.places.reduce((sum, { bytes }) => sum + bytes, 0);
    const past = { at: facts.now, freed, sizes: sizesOf(facts) };
    const problem = writeState(dir, { ...facts.earlier, runs: [...facts.earlier.runs, past] });
    if (problem) outcome.problems.push(problem);
    // Last: a host that is not reached must not keep the runner's own disk full.
    const snapshots = signal.aborted ? undefined : await thinOut();
    return report(facts, plan, outcome, snapshots, Date.now() - began);
  } finally {
    alone?.release();
  }
}

/** How snapshots are thinned out, if they are. Loaded only then: it brings ssh2. @throws ExpectedError when its key is none */
async function snapshots({ zfs, dryRun }: Inputs) {
  if (!zfs) return undefined;
  const [{ withReadKey }, { runZfs }] = await Promise.all([import('./zfs-key.js'), import('./zfs-run.js')]);
  const spec = withReadKey(zfs);
  return (context: Parameters<typeof runZfs>[2]) => runZfs(spec, dryRun, context);
}

/** Two at once would sweep each other's trash. @returns undefined, with a note, where nothing can be written */
async function onlyOne(dir: string, facts: Facts): Promise<HeldLocks | 'busy' | undefined> {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return (await hold([{ path: join(dir, 'lock'), create: true }], 0)) ?? 'busy';
  } catch (error) {
    facts.notes.push(`Whether another run is at work could not be told: ${messageOf(error)}`);
    return undefined;
  }
}

function sizesOf({ items }: Facts): Facts['earlier']['runs'][number]['sizes'] {
  return Object.fromEntries(
    categories.map((name) => [name, items.reduce((sum, item) => sum + (item.category === name ? item.bytes : 0), 0)]),
  );
}
