import { formatBytes } from '@gbo/shared/bytes';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { type Connection, ConnectionLost } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import { readDryRun, readRefusals, saysInUse } from './zfs/destroy.js';
import type { DatasetFacts, PoolFacts } from './zfs/facts.js';
import {
  type Answer,
  askAll,
  askOne,
  askScript,
  connectZfs,
  instanceQuestion,
  poolOf,
  poolQuestion,
  type Question,
  readInstance,
  readPools,
  readSnapshots,
  removalOf,
  snapshotQuestion,
} from './zfs/host.js';
import type { ZfsSpec } from './zfs-input.js';
import { type DatasetPlan, recheck, type Victim, type ZfsPlan } from './zfs-plan.js';
import type { ZfsContext } from './zfs-survey.js';

export interface Left {
  snapshot: string;
  bytes: number;
  why: string;
  /** Somebody needs it: nothing that an operator would have to mend. */
  inUse?: boolean;
}

export interface DatasetOutcome {
  name: string;
  destroyed: Victim[];
  /** Bytes that what was destroyed gives back, by zfs's own estimate just before. */
  reclaimed: number;
  /** Were gone already when their turn came. */
  vanished: Victim[];
  /** Still there, each with the reason. */
  left: Left[];
  /** Could not be told: the link was lost and the host was not reached again. */
  unknown: Left[];
  /** Bytes that the remaining snapshots of this dataset hold. */
  stillHeld?: number;
}

export interface ZfsOutcome {
  host: string;
  datasets: DatasetOutcome[];
  pools: PoolFacts[];
  /** Why not all of the plan was tried, as a sentence. */
  stopped?: string;
}

/** A destroy waits for the pool's next transaction groups, and a busy pool has long ones. */
const DESTROY_MS = 600_000;

/** Linux takes 128 KiB for one argument (MAX_ARG_STRLEN), and sudo and its logs want to see it too. */
const LONGEST_ARGUMENT = 48 * 1024;

/** One by one, after so many refusals with the same words the next ones would get them too. */
const ALIKE = 3;

/**
 * Removes the victims of the plan: a second look and zfs's own dry run for each dataset, then one `zfs destroy` for all
 * of it. Never with -r, -R, -f or -d, so what is held, cloned or busy by then is refused by zfs itself.
 *
 * Does not throw for what goes wrong on the way: the outcome has it. @throws when the host is not reached at all
 */
export async function applyZfs(spec: ZfsSpec, plan: ZfsPlan, { signal, log }: ZfsContext): Promise<ZfsOutcome> {
  const outcome: ZfsOutcome = { host: plan.host, datasets: [], pools: plan.pools };
  const work = plan.datasets.filter(({ victims }) => victims.length > 0);
  if (work.length === 0) return outcome;
  const run = new ZfsRun(spec, plan, await connectZfs(spec, { log, signal }), log, signal);
  try {
    for (const dataset of work) {
      const result: DatasetOutcome = {
        name: dataset.name,
        destroyed: [],
        reclaimed: 0,
        vanished: [],
        left: [],
        unknown: [],
      };
      outcome.datasets.push(result);
      await run.dataset(dataset, result);
    }
    outcome.stopped = run.stopped;
    outcome.pools = (await run.pools(work.map(({ name }) => poolOf(name)))) ?? plan.pools;
  } finally {
    run.close();
  }
  return outcome;
}

/** What zfs would free by destroying the victims, by dataset, in its own words; for a dry run. Writes nothing. */
export async function estimateZfs(
  spec: ZfsSpec,
  plan: ZfsPlan,
  { signal, log }: ZfsContext,
): Promise<Map<string, number>> {
  const bytes = new Map<string, number>();
  const work = plan.datasets.filter(({ victims }) => victims.some(({ route }) => route === 'zfs'));
  if (work.length === 0) return bytes;
  const connection = await connectZfs(spec, { log, signal });
  try {
    for (const { name, victims } of work) {
      const batches = batched(
        name,
        victims.filter(({ route }) => route === 'zfs'),
      );
      const answers = await askAll(
        connection,
        plan.privileges,
        batches.map((batch) => dryRunOf(name, batch)),
      );
      const sums = answers.map((answer) => readDryRun(answer)?.reclaim);
      if (sums.every((sum) => sum !== undefined))
        bytes.set(
          name,
          sums.reduce((all, sum) => all + sum, 0),
        );
    }
  } finally {
    connection.close();
  }
  return bytes;
}

class ZfsRun {
  /** Nothing more is begun once it is set. */
  stopped?: string;
  #connection: Connection;

  constructor(
    readonly spec: ZfsSpec,
    readonly plan: ZfsPlan,
    connection: Connection,
    readonly log: (line: string) => void,
    readonly signal?: AbortSignal,
  ) {
    this.#connection = connection;
  }

  close(): void {
    this.#connection.close();
  }

  async dataset(planned: DatasetPlan, result: DatasetOutcome): Promise<void> {
    try {
      await this.#dataset(planned, result);
    } catch (error) {
      // Before anything was asked to be destroyed: what is not in the outcome yet was not touched.
      this.#failed(error);
    }
    leaveRest(planned, result, this.stopped ?? 'not reached');
    if (!this.stopped) await this.#verify(planned, result).catch((error) => this.#failed(error));
    const { name, destroyed, left, unknown } = result;
    const more = [left.length && `${left.length} left`, unknown.length && `${unknown.length} unknown`].filter(Boolean);
    this.log(
      `${name}: ${destroyed.length} destroyed (${formatBytes(result.reclaimed)})${more.map((text) => `, ${text}`).join('')}`,
    );
  }

  async #dataset(planned: DatasetPlan, result: DatasetOutcome): Promise<void> {
    if (this.#stop()) return;
    const now = await this.#look(planned);
    if (typeof now === 'string') return leaveAll(planned.victims, result, now);
    const { go, vanished, left } = recheck(this.spec, this.plan, planned, now);
    result.vanished.push(...vanished);
    for (const { victim, why } of left) leave(victim, result, why, true);
    for (const batch of batched(
      planned.name,
      go.filter(({ route }) => route === 'zfs'),
    ))
      if (!this.#stop()) await this.#batch(planned.name, batch, result);
    for (const victim of go.filter(({ route }) => route === 'instance'))
      if (!this.#stop()) await this.#throughInstance(planned, now, victim, result);
  }

  /** The dataset as it is now, or in half a sentence why that could not be read. */
  async #look({ name, instance }: DatasetPlan): Promise<DatasetFacts | string> {
    const questions = [snapshotQuestion(name)];
    const known = instance && !('trouble' in instance) ? instance : undefined;
    if (known) questions.push(instanceQuestion(this.spec.instanceTool, known));
    const [list, ofInstance] = await askAll(this.#connection, this.plan.privileges, questions);
    const snapshots = readSnapshots(name, list as Answer);
    if (typeof snapshots === 'string') return `could not be looked at again: ${snapshots}`;
    return { name, snapshots, instance: known && ofInstance ? readInstance(known, ofInstance) : instance };
  }

  /** Destroys together what zfs destroys together; what it refuses by name is left, and the rest is tried again. */
  async #batch(dataset: string, batch: Victim[], result: DatasetOutcome): Promise<void> {
    let rest = batch;
    while (rest.length > 0 && !this.#stop()) {
      const tried = await this.#attempt(dataset, rest, result);
      if (tried.done) return;
      if (tried.rest.length === rest.length) return this.#oneByOne(dataset, rest, result, tried.words);
      rest = tried.rest;
    }
    // Whoever was not tried because of a cancel is left by leaveRest.
  }

  async #oneByOne(dataset: string, batch: Victim[], result: DatasetOutcome, words: string): Promise<void> {
    if (batch.length === 1) return leaveAll(batch, result, words);
    let alike = 0;
    let last = '';
    for (const [index, victim] of batch.entries()) {
      if (this.#stop()) return;
      const tried = await this.#attempt(dataset, [victim], result);
      if (tried.done || tried.rest.length === 0) alike = 0;
      else {
        leave(victim, result, tried.words);
        alike = tried.words === last ? alike + 1 : 1;
        last = tried.words;
      }
      if (alike >= ALIKE) return leaveAll(batch.slice(index + 1), result, last);
    }
  }

  /**
   * One dry run and, if it names exactly these, one destroy. `done`: all of them are accounted for in `result`. Else
   * `rest` is what zfs said nothing against by name, none of it destroyed.
   */
  async #attempt(
    dataset: string,
    batch: Victim[],
    result: DatasetOutcome,
  ): Promise<{ done: true } | { done: false; rest: Victim[]; words: string }> {
    const dry = await askOne(this.#connection, this.plan.privileges, dryRunOf(dataset, batch));
    const estimate = readDryRun(dry);
    if (dry.code !== 0) return this.#refused(dataset, batch, dry, result);
    const ours = new Set(batch.map(({ snapshot }) => `${dataset}@${snapshot}`));
    if (!estimate || estimate.destroy.some((name) => !ours.has(name))) {
      leaveAll(batch, result, "zfs's own dry run named others than these, so nothing was destroyed");
      return { done: true };
    }
    if (estimate.destroy.length < batch.length) {
      // It leaves out what is not there; but that has to be so.
      const rest = await this.#stillThere(dataset, batch, result);
      if (rest.length < batch.length) return { done: false, rest, words: '' };
      leaveAll(batch, result, "zfs's own dry run left some of these out, so nothing was destroyed");
      return { done: true };
    }
    if (this.#stop()) return { done: true };
    let said: Answer;
    try {
      said = await askOne(
        this.#connection,
        this.plan.privileges,
        { as: 'destroy', command: ['zfs', 'destroy', argument(dataset, batch)] },
        DESTROY_MS,
      );
    } catch (error) {
      await this.#settle(dataset, batch, result, estimate.reclaim, argument(dataset, batch), error);
      return { done: true };
    }
    if (said.code === 0) {
      result.destroyed.push(...batch);
      result.reclaimed += estimate.reclaim;
      return { done: true };
    }
    return this.#refused(dataset, batch, said, result);
  }

  /** Leaves those that zfs names, each with its words, and counts those that are gone all the same. */
  async #refused(dataset: string, batch: Victim[], said: Answer, result: DatasetOutcome) {
    const there = await this.#stillThere(dataset, batch, result);
    const refusals = readRefusals(said);
    const rest = there.filter((victim) => {
      const why = refusals.get(`${dataset}@${victim.snapshot}`);
      if (why) leave(victim, result, why);
      return !why;
    });
    return { done: false as const, rest, words: said.words };
  }

  /** Those of the batch that are still there; the others vanished, by whomever. */
  async #stillThere(dataset: string, batch: Victim[], result: DatasetOutcome): Promise<Victim[]> {
    const snapshots = readSnapshots(
      dataset,
      await askOne(this.#connection, this.plan.privileges, snapshotQuestion(dataset)),
    );
    if (typeof snapshots === 'string') return batch;
    const guids = new Set(snapshots.map(({ guid }) => guid));
    result.vanished.push(...batch.filter(({ guid }) => !guids.has(guid)));
    return batch.filter(({ guid }) => guids.has(guid));
  }

  async #throughInstance(planned: DatasetPlan, now: DatasetFacts, victim: Victim, result: DatasetOutcome) {
    const { instance } = now;
    if (!instance || 'trouble' in instance) return leave(victim, result, 'its instance is not known any more');
    const name = victim.snapshot.slice('snapshot-'.length);
    const removal = removalOf(this.spec.instanceTool, instance, name);
    let said: Answer;
    try {
      said = await askOne(this.#connection, this.plan.privileges, removal, DESTROY_MS);
    } catch (error) {
      return this.#settle(planned.name, [victim], result, victim.bytes, removal.command.at(-1) as string, error);
    }
    if (said.code === 0) {
      result.destroyed.push(victim);
      result.reclaimed += victim.bytes;
    } else if ((await this.#stillThere(planned.name, [victim], result)).length > 0) leave(victim, result, said.words);
  }

  /** After a destroy of which nobody knows the end: looks until it is known, over a new connection if need be. */
  async #settle(
    dataset: string,
    batch: Victim[],
    result: DatasetOutcome,
    reclaim: number,
    running: string,
    error: unknown,
  ) {
    const words = messageOf(error);
    this.stopped = words;
    try {
      if (error instanceof ConnectionLost) {
        this.#connection.close();
        this.#connection = await connectZfs(this.spec, { log: this.log, quick: true });
      }
      await this.#ended(running);
      const snapshots = readSnapshots(
        dataset,
        await askOne(this.#connection, this.plan.privileges, snapshotQuestion(dataset)),
      );
      if (typeof snapshots === 'string') throw new Error(snapshots);
      const guids = new Set(snapshots.map(({ guid }) => guid));
      const gone = batch.filter(({ guid }) => !guids.has(guid));
      result.destroyed.push(...gone);
      result.reclaimed += gone.length === batch.length ? reclaim : gone.reduce((sum, { bytes }) => sum + bytes, 0);
      leaveAll(
        batch.filter(({ guid }) => guids.has(guid)),
        result,
        words,
      );
    } catch (again) {
      const why = `${words} Whether it was destroyed could not be seen afterwards: ${messageOf(again)}`;
      result.unknown.push(...batch.map(({ snapshot, bytes }) => ({ snapshot, bytes, why })));
    }
  }

  /** Waits for a command of ours that outlived its connection. Its text goes by stdin, or grep would find itself. */
  async #ended(text: string): Promise<void> {
    const said = await askScript(
      this.#connection,
      `i=0
while [ $i -lt 40 ] && printf '%s\\n' ${q(text)} | grep -q -a -F -f - /proc/[0-9]*/cmdline 2>/dev/null; do
  i=$((i + 1)); sleep 0.5
done
say tries $i`,
    );
    if (said.get('tries')?.[0] === '40')
      throw new ExpectedError('The command is still running there after 20 s.', '', '');
  }

  /** Counts again what is there, so that the outcome is what is, and not what was said. */
  async #verify(planned: DatasetPlan, result: DatasetOutcome): Promise<void> {
    const { name } = planned;
    const [held, list] = await askAll(this.#connection, this.plan.privileges, [
      { as: 'read', command: ['zfs', 'list', '-Hp', '-d', '0', '-o', 'usedbysnapshots', name] },
      snapshotQuestion(name),
    ]);
    if (held?.code === 0 && /^\d+$/.test(held.lines[0] ?? '')) result.stillHeld = Number(held.lines[0]);
    const snapshots = readSnapshots(name, list as Answer);
    if (typeof snapshots === 'string') return;
    const guids = new Set(snapshots.map(({ guid }) => guid));
    const there = result.destroyed.filter(({ guid }) => guids.has(guid));
    result.destroyed = result.destroyed.filter(({ guid }) => !guids.has(guid));
    for (const victim of there) {
      leave(victim, result, 'zfs said that it was destroyed, but it is still there');
      result.reclaimed -= Math.min(result.reclaimed, victim.bytes);
    }
  }

  async pools(names: string[]): Promise<PoolFacts[] | undefined> {
    try {
      const question = poolQuestion([...new Set(names)]);
      return readPools(await askOne(this.#connection, this.plan.privileges, question, 30_000));
    } catch {
      return undefined; // only figures
    }
  }

  #stop(): boolean {
    if (!this.stopped && this.signal?.aborted) this.stopped = messageOf(this.signal.reason);
    return this.stopped !== undefined;
  }

  #failed(error: unknown): void {
    if (!(error instanceof ExpectedError)) throw error;
    this.stopped ??= error.message;
  }
}

function dryRunOf(dataset: string, batch: Victim[]): Question {
  return { as: 'read', command: ['zfs', 'destroy', '-nvp', argument(dataset, batch)] };
}

function argument(dataset: string, batch: Victim[]): string {
  return `${dataset}@${batch.map(({ snapshot }) => snapshot).join(',')}`;
}

/** The victims in groups whose names fit into one argument. */
function batched(dataset: string, victims: Victim[]): Victim[][] {
  const batches: Victim[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const victim of victims) {
    size += victim.snapshot.length + 1;
    if (size > LONGEST_ARGUMENT) {
      batches.push([]);
      size = dataset.length + victim.snapshot.length + 1;
    }
    batches.at(-1)?.push(victim);
  }
  return batches;
}

function leave({ snapshot, bytes }: Victim, result: DatasetOutcome, why: string, inUse = saysInUse(why)): void {
  result.left.push({ snapshot, bytes, why, inUse });
}

function leaveAll(victims: Victim[], result: DatasetOutcome, why: string): void {
  for (const victim of victims) leave(victim, result, why);
}

/** Whatever the outcome does not speak of yet was not touched. */
function leaveRest({ victims }: DatasetPlan, result: DatasetOutcome, why: string): void {
  const told = new Set(
    [...result.destroyed, ...result.vanished, ...result.left, ...result.unknown].map(({ snapshot }) => snapshot),
  );
  leaveAll(
    victims.filter(({ snapshot }) => !told.has(snapshot)),
    result,
    why,
  );
}
