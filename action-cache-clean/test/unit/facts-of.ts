import type { Category } from '../../src/categories.js';
import type { Disk, Facts, Item, Kind, Place } from '../../src/facts.js';
import { type Inputs, inputs } from '../../src/inputs.js';
import { parseSize } from '../../src/size.js';

export const NOW = Date.UTC(2026, 0, 31, 12);
export const GB = 1000 ** 3;
export const HOUR = 60 * 60 * 1000;
export const DAY = 24 * HOUR;

/** Inputs as a user writes them. */
export function inputsOf(raw: Record<string, string> = {}): Inputs {
  return inputs.parse(new Map(Object.entries(raw)));
}

const categoryOf: Record<Kind, Category> = {
  broken: 'registry',
  source: 'registry',
  crate: 'registry',
  index: 'registry',
  checkout: 'git',
  repository: 'git',
  incremental: 'target',
  'gone-toolchain': 'target',
  unit: 'target',
  object: 'sccache',
  leftover: 'runner',
};
const placeOf: Record<Category, Place['kind']> = {
  registry: 'cargo-home',
  git: 'cargo-home',
  target: 'target',
  sccache: 'sccache',
  runner: 'runner',
};

/**
 * Facts in short form, an item a line: `kind name age size`, then what else there is to say of it:
 * `needed` by a Cargo.lock, `on=2` another disk, `in=NAME` another place of its kind, `holds=a,b` names of its dependents.
 * `maybe=3` hours since a later use that nothing would tell of.
 * An age is a number of `d` or `h`; `-5h` lies in the future, `?` could not be told.
 */
export function factsOf(lines: string[], disks: Partial<Disk>[] = []): Facts {
  const places = new Map<string, Place>();
  const items = new Map<string, Item>();
  for (const line of lines) {
    const [kind, name = '', age = '', size = '', ...more] = line.split(/ +/) as [Kind, ...string[]];
    const option = (key: string) => more.find((each) => each.startsWith(`${key}=`))?.slice(key.length + 1);
    const category = (option('category') as Category | undefined) ?? categoryOf[kind];
    const device = Number(option('on') ?? 1);
    const place = placed(places, placeOf[category], option('in') ?? `disk${device}`, device);
    const usedAt = age === '?' ? Number.NaN : NOW - Number.parseFloat(age) * (age.endsWith('h') ? HOUR : DAY);
    items.set(name, {
      place,
      category,
      kind,
      path: name,
      bytes: parseSize(size),
      usedAt,
      maybeUsedAt: option('maybe') ? NOW - Number.parseFloat(option('maybe') ?? '') * HOUR : undefined,
      changedAt: usedAt,
      neededBy: more.includes('needed') ? '/ws/Cargo.lock' : option('needed'),
      broken: kind === 'broken' ? 'its unpacking never ended' : undefined,
      dependents: option('holds')
        ?.split(',')
        .map((each) => items.get(each) as Item),
    });
  }
  return {
    now: NOW,
    items: [...items.values()],
    places: [...places.values()],
    disks: (disks.length > 0 ? disks : [{}]).map((disk, index) => ({
      device: index + 1,
      path: `/disk${index + 1}`,
      free: 50 * GB,
      total: 100 * GB,
      ...disk,
    })),
    skipped: [],
    notes: [],
    lockFiles: [],
    trash: [],
    earlier: { runs: [], locks: {} },
  };
}

function placed(places: Map<string, Place>, kind: Place['kind'], name: string, device: number): Place {
  const root = `/${name}/${kind}`;
  const place = places.get(root) ?? { kind, root, locks: [], trash: `${root}/.gbo-trash`, device };
  places.set(root, place);
  return place;
}
