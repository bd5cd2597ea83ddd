import { formatBytes } from '@gbo/shared/bytes';
import { formatAge } from './age.js';
import { type Category, categories } from './categories.js';
import type { Facts, Item, Kind, Place } from './facts.js';
import type { Inputs } from './inputs.js';
import { amountOf } from './size.js';

export interface Victim {
  item: Item;
  /** Why it goes, as the end of a sentence. */
  reason: string;
}

export interface Budget {
  /** A category, `all`, or the path of a disk. */
  name: string;
  bytes: number;
  /** Absent: no limit. */
  limit?: number;
  /** Bytes of its victims. */
  goes: number;
  /** Bytes that stay beyond the limit; 0 when it is kept. */
  over: number;
}

export interface Plan {
  /** In the order in which they go. */
  victims: Victim[];
  budgets: Budget[];
  /** Places with their victims, in the order in which they are worked on. */
  steps: { place: Place; victims: Victim[] }[];
  warnings: string[];
  notes: string[];
}

/** Cheapest to have again first. A build that was used within days is dearer than unpacking; a download may not work at all. */
const costs: Record<Kind, number> = {
  broken: 0,
  leftover: 1,
  incremental: 2,
  'gone-toolchain': 3,
  source: 5,
  checkout: 5,
  unit: 6,
  object: 7,
  crate: 8,
  repository: 8,
  index: 9,
};
/** What nobody used for this long is stale: a build of that age goes before sources are unpacked anew. */
const STALE_MS = 7 * 24 * 60 * 60 * 1000;
const STALE_UNIT = 4;

/** When a limit is passed, this part of it is left, so that the next build does not pass it again at once. */
const LOW_WATER = 0.9;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Every decision about what goes, as data. Pure: the same facts give the same plan. */
export function makePlan(inputs: Inputs, facts: Facts): Plan {
  return new Planner(inputs, facts).plan();
}

class Planner {
  readonly #inputs: Inputs;
  readonly #facts: Facts;
  readonly #victims = new Map<Item, Victim>();
  /** All that may go, cheapest first. */
  readonly #order: Item[];
  /** The victims in their order. */
  readonly #log: Item[] = [];
  readonly #sums = new Map<(item: Item) => boolean, { seen: number; bytes: number }>();
  readonly #warnings: string[] = [];
  readonly #notes: string[] = [];

  constructor(inputs: Inputs, facts: Facts) {
    this.#inputs = inputs;
    this.#facts = facts;
    this.#order = facts.items
      .filter((item) => this.#mayGo(item))
      .map((item) => ({ item, last: this.#goesLast(item), cost: this.#cost(item) }))
      .sort((a, b) => a.last - b.last || a.cost - b.cost || compare(a.item, b.item))
      .map(({ item }) => item);
  }

  plan(): Plan {
    const { facts, inputs } = { facts: this.#facts, inputs: this.#inputs };
    for (const item of this.#order) if (item.kind === 'broken') this.#evict(item, item.broken ?? 'it is broken');
    const short = facts.disks.filter((disk) => inputs.freeDisk && disk.free < amountOf(inputs.freeDisk, disk.total));
    const acts = (item: Item) => !inputs.freeDisk || short.some(({ device }) => device === item.place.device);
    if (inputs.freeDisk && short.length === 0) this.#notes.push('Enough of every disk is free: nothing was evicted.');
    this.#byToolchain(acts);
    this.#byAge(acts);
    const before = this.#victims.size;
    const budgets: Budget[] = [];
    for (const category of categories) {
      budgets.push(this.#bySize(category, (item) => item.category === category, acts));
    }
    budgets.push(this.#bySize('all', () => true, acts));
    for (const disk of short) budgets.push(this.#byFreeDisk(disk));
    // What was old already, and in use only by what went for its size.
    if (this.#victims.size > before) this.#byAge(acts);
    this.#alarmThrash();
    return {
      victims: [...this.#victims.values()],
      budgets: budgets.map((budget) => this.#settled(budget)),
      steps: this.#steps(),
      warnings: this.#warnings,
      notes: this.#notes,
    };
  }

  #mayGo(item: Item): boolean {
    if (!(this.#surelyUnused(item) >= this.#inputs.minAgeMs)) return false; // a time that cannot be told is no age
    // What is broken is not what the Cargo.lock names.
    if (this.#inputs.protect === 'locked' && item.neededBy && item.kind !== 'broken') return false;
    return (item.dependents ?? []).every((each) => this.#mayGo(each));
  }

  /** A use in the future is one of a clock that was wrong: it counts as just now. */
  #age({ usedAt }: Item): number {
    return this.#facts.now - usedAt;
  }

  /** For how long it was surely not used. Order and age go by the last use that shows; what min-age promises, by this. */
  #surelyUnused({ usedAt, maybeUsedAt = usedAt }: Item): number {
    return this.#facts.now - Math.max(usedAt, Math.min(maybeUsedAt, this.#facts.now));
  }

  #cost(item: Item): number {
    return item.kind === 'unit' && this.#age(item) >= STALE_MS ? STALE_UNIT : costs[item.kind];
  }

  #goesLast({ neededBy }: Item): number {
    return this.#inputs.protect === 'last' && neededBy ? 1 : 0;
  }

  #evict(item: Item, reason: string): void {
    if (this.#victims.has(item)) return;
    for (const dependent of item.dependents ?? []) this.#evict(dependent, `${reason}; useless without ${item.path}`);
    this.#victims.set(item, { item, reason });
    this.#log.push(item);
  }

  #byToolchain(acts: (item: Item) => boolean): void {
    for (const item of this.#order) {
      if (item.kind === 'gone-toolchain' && acts(item)) {
        this.#evict(item, 'built by a toolchain that is no longer installed');
      }
    }
  }

  #byAge(acts: (item: Item) => boolean): void {
    const { maxAge, protect } = this.#inputs;
    for (const item of this.#order) {
      const most = maxAge[item.category] ?? maxAge.all;
      if (most === undefined || this.#age(item) < most || !acts(item)) continue;
      if (item.neededBy && protect !== 'none') continue;
      // A crate whose source is still in use is in use.
      const stays = (item.dependents ?? []).filter((each) => !this.#victims.has(each));
      if (stays.some((each) => this.#age(each) < most || (each.neededBy && protect !== 'none'))) continue;
      this.#evict(item, `not used for ${formatAge(this.#age(item))}`);
    }
  }

  #bySize(name: Category | 'all', has: (item: Item) => boolean, acts: (item: Item) => boolean): Budget {
    const limit = this.#inputs.maxSize[name];
    const bytes = sum(this.#facts.items.filter(has));
    if (limit !== undefined && bytes - this.#gone(has) > limit) {
      this.#evictUntil(
        (item) => has(item) && acts(item),
        () => bytes - this.#gone(has) <= limit * LOW_WATER,
        `${name === 'all' ? 'everything together' : name} is over its ${formatBytes(limit)}`,
      );
    }
    return { name, bytes, limit, goes: 0, over: 0 };
  }

  #byFreeDisk(disk: Facts['disks'][number]): Budget {
    const wanted = amountOf(this.#inputs.freeDiskUntil ?? { bytes: 0 }, disk.total);
    const on = (item: Item) => item.place.device === disk.device;
    this.#evictUntil(on, () => disk.free + this.#gone(on) >= wanted, `less than ${formatBytes(wanted)} was free`);
    return { name: disk.path, bytes: disk.total - disk.free, limit: disk.total - wanted, goes: 0, over: 0 };
  }

  /** Bytes of the victims so far. It is asked after each of them, so only the new ones are looked at. */
  #gone(has: (item: Item) => boolean): number {
    const known = this.#sums.get(has) ?? { seen: 0, bytes: 0 };
    this.#sums.set(has, known);
    for (; known.seen < this.#log.length; known.seen++) {
      const item = this.#log[known.seen] as Item;
      if (has(item)) known.bytes += item.bytes;
    }
    return known.bytes;
  }

  #evictUntil(may: (item: Item) => boolean, enough: () => boolean, reason: string): void {
    for (const item of this.#order) {
      if (enough()) return;
      if (may(item)) this.#evict(item, reason);
    }
  }

  /** The figures once every rule has had its say. */
  #settled(budget: Budget): Budget {
    const disk = this.#facts.disks.find(({ path }) => path === budget.name);
    const has = (item: Item) =>
      disk ? item.place.device === disk.device : budget.name === 'all' || item.category === budget.name;
    const goes = sum([...this.#victims.keys()].filter(has));
    const over = budget.limit === undefined ? 0 : Math.max(0, budget.bytes - goes - budget.limit);
    if (over > 0) this.#explain(budget.name, over, has);
    return { ...budget, goes, over };
  }

  #explain(name: string, over: number, has: (item: Item) => boolean): void {
    if (this.#inputs.freeDisk && !this.#facts.disks.some(({ path }) => path === name)) return; // it was not to act
    const stays = this.#facts.items.filter((item) => has(item) && !this.#victims.has(item));
    const { minAgeMs } = this.#inputs;
    const young = sum(stays.filter((item) => this.#age(item) < minAgeMs));
    const maybe = sum(stays.filter((item) => this.#age(item) >= minAgeMs && this.#surelyUnused(item) < minAgeMs));
    const needed = stays.filter((item) => item.neededBy && this.#surelyUnused(item) >= minAgeMs);
    const files = [...new Set(needed.map(({ neededBy }) => neededBy))];
    const why = [
      ...(young > 0 ? [`${formatBytes(young)} was used within ${formatAge(minAgeMs)}`] : []),
      ...(maybe > 0 ? [`${formatBytes(maybe)} may have been, which relatime does not show within a day of a use`] : []),
      ...(needed.length > 0
        ? [`${formatBytes(sum(needed))} is needed by ${files.slice(0, 3).join(', ')}${files.length > 3 ? ', ...' : ''}`]
        : []),
    ];
    this.#notes.push(`${name} stays ${formatBytes(over)} over its limit${why.length ? `: ${why.join('; ')}` : ''}.`);
  }

  /** A limit below what one day uses is no limit but a daily download of everything. */
  #alarmThrash(): void {
    for (const name of [...categories, 'all'] as const) {
      const limit = this.#inputs.maxSize[name];
      if (limit === undefined) continue;
      const used = sum(
        this.#facts.items.filter(
          (item) => (name === 'all' || item.category === name) && this.#age(item) < DAY_MS && item.kind !== 'leftover',
        ),
      );
      if (used > limit) {
        this.#warnings.push(
          `max-size of ${name} (${formatBytes(limit)}) is less than what was used within a day (${formatBytes(used)}): it will be fetched and built again each day.`,
        );
      }
    }
  }

  #steps(): Plan['steps'] {
    const byPlace = new Map<Place, Victim[]>();
    for (const victim of this.#victims.values()) {
      const { place } = victim.item;
      const victims = byPlace.get(place) ?? [];
      victims.push(victim);
      byPlace.set(place, victims);
    }
    const order: Place['kind'][] = ['runner', 'target', 'cargo-home', 'sccache'];
    return [...byPlace]
      .map(([place, victims]) => ({ place, victims }))
      .sort((a, b) => order.indexOf(a.place.kind) - order.indexOf(b.place.kind));
  }
}

function compare(a: Item, b: Item): number {
  return a.usedAt - b.usedAt || compareText(a.path, b.path) || compareText(a.place.root, b.place.root);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sum(items: Item[]): number {
  return items.reduce((total, { bytes }) => total + bytes, 0);
}
