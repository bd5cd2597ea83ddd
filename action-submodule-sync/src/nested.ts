import type { Event } from '@gbo/shared/event';
import type PQueue from 'p-queue';
import { allDone } from './all-done.js';
import { excludedOf } from './choose.js';
import type { Facts, Row } from './facts.js';
import type { Inputs } from './inputs.js';
import type { Pin, Tree } from './pins.js';
import { readRemoteTree } from './remote-tree.js';
import { placeOf } from './survey.js';
import { surveyTarget, type Target } from './survey-target.js';
import type { Workshop } from './workshop.js';

/** Submodules of submodules of ... : deeper is a loop or a joke. */
const DEEPEST = 5;

export interface Nested {
  rows: Row[];
  orphans: NonNullable<Facts['orphans']>;
  unknowns: NonNullable<Facts['unknowns']>;
  /** Paths of all of them, those that are left out included. */
  seen: string[];
}

/** The pins of the submodules' own submodules, read from the first remote that answers, without a clone. */
export async function nestedRows(
  inputs: Inputs,
  event: Event,
  parents: Target[],
  shop: Workshop,
  queue: PQueue,
): Promise<Nested> {
  const rows: Row[] = [];
  const orphans: Nested['orphans'] = [];
  const unknowns: Nested['unknowns'] = [];
  const seen: string[] = [];
  let level = parents;
  let asked = parents.length;
  for (let depth = 1; level.length > 0; depth++) {
    const found = await allDone(level.map((parent) => queue.add(() => childrenOf(inputs, event, parent, shop))));
    // Two pins of one submodule mostly hold the same ones: each is asked about once, the newest entry counts.
    const once = <T extends Pin>(pins: T[]) => [
      ...new Map(pins.map((pin) => [`${pin.path}\0${pin.sha}`, pin])).values(),
    ];
    const targets = once(found.flatMap((each) => each.targets));
    orphans.push(...once(found.flatMap((each) => each.orphans)));
    unknowns.push(...found.flatMap(({ unknown }) => unknown ?? []));
    seen.push(...found.flatMap((each) => each.seen));
    asked += targets.length;
    const why =
      depth > DEEPEST
        ? `they lie more than ${DEEPEST} levels deep`
        : asked > inputs.mostSubmodules
          ? `with the nested ones there are more than ${inputs.mostSubmodules} (max-submodules)`
          : undefined;
    if (why && targets.length > 0) {
      const holders = new Set(targets.map((target) => target.parents?.[0]?.path ?? ''));
      unknowns.push(...[...holders].map((path) => ({ path, why })));
      break;
    }
    rows.push(...(await allDone(targets.map((target) => surveyTarget(target, shop, queue)))));
    level = targets;
  }
  return { rows, orphans, unknowns, seen };
}

async function childrenOf(
  inputs: Inputs,
  { kind }: Event,
  parent: Target,
  shop: Workshop,
): Promise<Pick<Nested, 'orphans' | 'seen'> & { targets: Target[]; unknown?: Nested['unknowns'][number] }> {
  const read = await treeOf(parent, shop);
  const none = { targets: [], orphans: [], seen: [] };
  if (typeof read === 'string') return { ...none, unknown: { path: parent.path, why: read } };
  if (read.unreadable) return { ...none, unknown: { path: parent.path, why: read.unreadable, broken: true } };
  const seen = read.pins.map(({ path }) => `${parent.path}/${path}`);
  const isExcluded = excludedOf(inputs);
  const parents = [{ path: parent.path, sides: parent.places }, ...(parent.parents ?? [])];
  const pins = read.pins
    .map(({ path, sha }) => ({
      path: `${parent.path}/${path}`,
      sha,
      parents,
      entry: read.entries.find((each) => each.path === path),
    }))
    .filter(({ path }) => !isExcluded(path));
  const targets = pins.flatMap(({ entry, ...pin }): Target[] => {
    if (!entry?.url) return [];
    const expected = inputs.expectedBranches.get(pin.path);
    // A pull request chooses the commit that this stands in, and so what it says.
    const written = kind === 'pull_request' ? undefined : entry.branch;
    const places = parent.places.flatMap(({ remote, branch: ofParent, url }) => {
      const named = written === '.' ? ofParent : written || undefined;
      const branch = expected ?? named ?? inputs.remotes.find(({ name }) => name === remote)?.branch ?? inputs.branch;
      return url ? [placeOf(inputs, remote, branch, url, entry.url)] : [];
    });
    return [{ ...pin, places }];
  });
  return { targets, orphans: pins.filter(({ entry }) => !entry?.url), seen };
}

/** From the first remote that has it; else why none gave it. */
async function treeOf({ path, sha, places }: Target, shop: Workshop): Promise<Tree | string> {
  const said: string[] = [];
  for (const { remote, url, refused } of places) {
    if (!url || refused) continue;
    const scratch = shop.scratch(sha, `${path}\0${sha}\0${remote}\0tree`);
    const read = await readRemoteTree(scratch, url, sha);
    if ('tree' in read) return read.tree;
    said.push(`${remote}: ${read.trouble.reason} (${read.trouble.said})`);
  }
  return said.join('; ') || 'it has no address that may be asked';
}
