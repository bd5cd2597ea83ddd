import { unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { blocks, spaceOf, statOf } from './disk-usage.js';
import type { Disk, Facts, Item, Place } from './facts.js';
import { hold } from './file-locks.js';
import { type Guard, guardOf, type Verdict } from './guards.js';
import { isBelow, mountsBelow, readMounts } from './mounts.js';
import type { Outcome, PlaceOutcome } from './outcome.js';
import type { Plan, Victim } from './plan.js';
import { liesThere } from './roots.js';
import { pathsOf } from './survey.js';
import { sweep, Trash } from './trash.js';

/** Cargo waits for as long as we hold its lock, so it is let in this often. */
const HOLD_MS = 15;
/** Where a server was stopped for it. */
const SERVER_HOLD_MS = 250;
/** Then for this long, so that whoever was waiting has it. */
const PAUSE_MS = 5;
/** Between two tries when something that holds no lock is in the way. */
const RETRY_MS = 200;

export interface ApplyOptions {
  waitMs: number;
  signal: AbortSignal;
  log(line: string): void;
}

/**
 * Carries the plan out, place by place: under the locks of whoever works there, things are only moved into a trash; they
 * are deleted after the locks are gone. Interrupted anywhere, nothing half-deleted stays in place; the next run sweeps the
 * trash. What is busy stays, and is said.
 */
export async function apply(plan: Plan, facts: Facts, options: ApplyOptions): Promise<Outcome> {
  const outcome: Outcome = { places: [], swept: 0, longestLockMs: 0, problems: [], disks: facts.disks };
  for (const folder of facts.trash) {
    options.log(`sweep ${folder}, left by an earlier run`);
    const { bytes, problems } = await sweep(folder);
    outcome.swept += bytes;
    outcome.problems.push(...problems);
  }
  const run = `${facts.now.toString(36)}-${process.pid}`;
  for (const { place, victims } of plan.steps) {
    if (options.signal.aborted) break;
    outcome.places.push(await new Worker(place, victims, facts, run, options, outcome).work());
  }
  if (options.signal.aborted) outcome.cancelled = messageOf(options.signal.reason);
  // Of a folder that a job took away meanwhile, its parent lies on the same disk, or its figure stays the old one.
  outcome.disks = facts.disks.map((disk) => ({ ...disk, free: freeNow(disk) }));
  return outcome;
}

function freeNow({ path, device, free }: Disk): number {
  const there = [path, dirname(path)].find((each) => statOf(each)?.dev === device);
  return (there ? spaceOf(there) : undefined)?.free ?? free;
}

class Worker {
  readonly #place: Place;
  readonly #options: ApplyOptions;
  readonly #outcome: Outcome;
  readonly #guard: Guard;
  readonly #queue: Victim[];
  readonly #run: string;
  readonly #result: PlaceOutcome;
  /** What did not go: what depends on it must not lose it. */
  readonly #stayed = new Set<Item>();
  #waited = 0;

  constructor(place: Place, victims: Victim[], facts: Facts, run: string, options: ApplyOptions, outcome: Outcome) {
    this.#place = place;
    this.#options = options;
    this.#outcome = outcome;
    const items = victims.map(({ item }) => item);
    this.#guard = guardOf(place, items, facts, options.waitMs);
    this.#queue = [...victims].reverse();
    this.#run = run;
    this.#result = { place: place.root, moved: [], bytes: 0, stayed: new Map() };
  }

  async work(): Promise<PlaceOutcome> {
    const { log } = this.#options;
    log(`move ${this.#queue.length} things out of ${this.#place.root}`);
    let trash: Trash | undefined;
    try {
      trash = this.#place.trash ? new Trash(this.#place.trash, this.#run) : undefined;
    } catch (error) {
      this.#rest(`its trash cannot be made (${messageOf(error)})`);
    }
    try {
      while (this.#queue.length > 0 && !this.#options.signal.aborted) await this.#turn(trash);
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error;
      this.#rest(error.message);
    }
    if (trash) {
      log(`delete what was moved out of ${this.#place.root}`);
      const { bytes, problems } = await trash.empty();
      this.#result.bytes += bytes;
      this.#outcome.problems.push(...problems);
    }
    return this.#result;
  }

  /** Takes the locks, moves for some milliseconds, lets go. */
  async #turn(trash: Trash | undefined): Promise<void> {
    const { waitMs, signal } = this.#options;
    const { kind, locks } = this.#place;
    const began = Date.now();
    const files = locks.map((path) => ({ path, create: kind !== 'target' }));
    const held = await hold(files, Math.max(0, waitMs - this.#waited), signal);
    this.#waited += Date.now() - began;
    if (!held) return this.#rest('a build holds the lock');
    const since = performance.now();
    let verdict: Verdict;
    try {
      verdict = await this.#guard();
      if ('stays' in verdict) {
        // Stopping a server takes longer than all of that: then it has to be worth it.
        const end = verdict.after ? performance.now() + SERVER_HOLD_MS : since + HOLD_MS;
        this.#move(verdict.stays, trash, end);
        await verdict.after?.();
      }
    } finally {
      held.release();
    }
    const lockedMs = locks.length > 0 ? performance.now() - since : ('lockedMs' in verdict && verdict.lockedMs) || 0;
    this.#outcome.longestLockMs = Math.max(this.#outcome.longestLockMs, lockedMs);
    if ('refresh' in verdict) await verdict.refresh();
    if ('busy' in verdict) {
      if (this.#waited >= waitMs) return this.#rest(verdict.busy);
      const pause = Math.min(RETRY_MS, waitMs - this.#waited);
      await sleep(pause);
      this.#waited += pause;
    } else {
      await sleep(PAUSE_MS);
    }
  }

  #move(stays: (item: Item) => string | undefined, trash: Trash | undefined, end: number): void {
    const mounts = mountsBelow(readMounts(), this.#place.root);
    const links = new Map<string, boolean>();
    // At least one each time, or a machine that is slow to find out who is there would never end.
    do {
      const victim = this.#queue.pop();
      if (!victim) return;
      const { item } = victim;
      if (!statOf(fullPath(item))) continue; // it is gone already
      const reason = this.#whyNot(item, mounts, links) ?? stays(item) ?? this.#take(item, trash);
      if (reason) this.#stay(item, reason);
    } while (performance.now() < end);
  }

  /** What has changed since the survey. */
  #whyNot(item: Item, mounts: string[], links: Map<string, boolean>): string | undefined {
    if (item.dependents?.some((each) => this.#stayed.has(each))) return 'something that needs it stays';
    const [path = ''] = pathsOf(item);
    const stat = statOf(item.marker ? `${path}/${item.marker}` : path);
    if (stat?.ctimeMs !== item.changedAt) return 'it was used meanwhile';
    if (!pathsOf(item).every((each) => liesThere(each, links))) return 'it is reached by a symbolic link';
    if (stat?.dev !== this.#place.device) return 'it lies on another disk';
    if (mounts.some((point) => pathsOf(item).some((each) => point === each || isBelow(point, each)))) {
      return 'something is mounted in there';
    }
    return undefined;
  }

  #take(item: Item, trash: Trash | undefined): string | undefined {
    const [first = '', ...also] = pathsOf(item);
    try {
      if (trash) trash.take(first);
      else this.#unlink(first);
    } catch (error) {
      return `it could not be moved (${(error as NodeJS.ErrnoException).code ?? messageOf(error)})`;
    }
    this.#result.moved.push(item);
    for (const path of also.filter(statOf)) {
      try {
        trash?.take(path);
      } catch (error) {
        // Without its fingerprint, cargo takes what is left of a unit for nothing.
        this.#outcome.problems.push(`${path} could not be moved: ${messageOf(error)}`);
      }
    }
    return undefined;
  }

  #unlink(path: string): void {
    const stat = statOf(path);
    unlinkSync(path);
    this.#result.bytes += stat ? blocks(stat) : 0;
  }

  #stay(item: Item, reason: string): void {
    this.#stayed.add(item);
    this.#result.stayed.set(reason, (this.#result.stayed.get(reason) ?? 0) + 1);
  }

  #rest(reason: string): void {
    for (const { item } of this.#queue.splice(0)) this.#stay(item, reason);
  }
}

/** Where the parts of a thing lie, for people. */
export function fullPath({ place, path }: Item): string {
  return join(place.root, path);
}
