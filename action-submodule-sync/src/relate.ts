import { allDone } from './all-done.js';
import type { Row } from './facts.js';
import { fetchAll, lookEverywhere, scratchKey, TIP } from './probe.js';
import type { Scratch } from './scratch.js';
import type { Probe } from './states.js';
import type { Workshop } from './workshop.js';

const PIN = 'refs/probe/pin';

/**
 * Counts, for every remote whose branch lacks the commit, what each side has alone. With the history of that very remote
 * where it holds the commit, else with that of one which does.
 */
export async function relate(row: Row, shop: Workshop): Promise<Row> {
  const source =
    row.probes.find(({ onBranch, trouble }) => onBranch === 'yes' && !trouble) ??
    row.probes.find(({ exists, notACommit, trouble }) => exists === 'yes' && !notACommit && !trouble);
  // Two hashes tell the counts, whoever holds them.
  const counted = new Map<string, Promise<Counted | undefined>>();
  const probes = await allDone(
    row.probes.map(async (probe) => {
      if (probe.onBranch !== 'no' || probe.trouble || !probe.tip || probe.notACommit) return probe;
      // Of a server whose own history is cut off the counts would be wrong.
      const from = probe.exists === 'yes' && source?.onBranch !== 'yes' ? probe : source;
      if (!from) return probe;
      const began = performance.now();
      const before = counted.get(probe.tip);
      const own = (async () => (await before) ?? countOf(row, probe, from, shop))();
      counted.set(probe.tip, own);
      const found = await own;
      if (!found) return probe;
      const { relation } = found;
      const { requests, bytes } = found === (await before) ? { requests: 0, bytes: 0 } : found;
      const told = { ...probe, relation, requests: probe.requests + requests, bytes: probe.bytes + bytes };
      const last = relation.pinOnly === 0 ? await askAgain(told, row.sha, shop, row.path) : told;
      return { ...last, ms: probe.ms + Math.round(performance.now() - began) };
    }),
  );
  return { ...row, probes };
}

/**
 * By their hashes its branch leads to the commit, and the server said that it lacks it. It was pushed meanwhile, or the server
 * hands out nothing but tips, and says of all else that it has none; or its history is cut off, and it told the truth.
 */
async function askAgain(told: Probe, sha: string, shop: Workshop, path: string): Promise<Probe> {
  const scratch = shop.scratch(sha, `${scratchKey(path, sha, told.remote)}\0again`);
  const unknown: Probe = { ...told, exists: 'unknown', onBranch: 'unknown', elsewhere: [] };
  const asked = await lookEverywhere({ ...told, sha }, scratch, unknown);
  const cost = { requests: told.requests + asked.requests, bytes: told.bytes + asked.bytes };
  if (asked.onBranch === 'yes') return { ...asked, ...cost, relation: undefined };
  return { ...told, ...cost, trouble: asked.trouble };
}

interface Counted {
  relation: NonNullable<Probe['relation']>;
  /** What it took to find out. */
  requests: number;
  bytes: number;
}

/** undefined when it cannot be told: the verdict stands without, and only what mends it becomes the longer way. */
async function countOf(row: Row, probe: Probe, from: Probe, shop: Workshop): Promise<Counted | undefined> {
  try {
    if (probe.exists === 'yes') {
      // To know that the branch lacks the commit, all of its history had to come.
      const scratch = shop.scratch(row.sha, scratchKey(row.path, row.sha, probe.remote));
      const relation = scratch.isShallow() ? undefined : await count(scratch, TIP, row.sha);
      if (relation) return { relation, requests: 0, bytes: 0 };
    }
    const scratch = shop.scratch(row.sha, `${row.path}\0${row.sha}\0${from.remote}\0relation\0${probe.remote}`);
    await fetchHistory(scratch, row.sha, from);
    const ref = 'refs/probe/other';
    await fetchAll({ url: probe.url, branch: probe.branch }, scratch, ref);
    const relation = await count(scratch, ref, row.sha);
    return relation && { relation, ...scratch.cost };
  } catch {
    return undefined;
  }
}

async function count(scratch: Scratch, ref: string, sha: string): Promise<Counted['relation'] | undefined> {
  const [remoteOnly, pinOnly] = (await scratch.git('rev-list', '--left-right', '--count', `${ref}...${sha}`))
    .split('\t')
    .map(Number);
  return remoteOnly === undefined || pinOnly === undefined ? undefined : { remoteOnly, pinOnly };
}

/** The whole graph up to the commit: by its branch where it is on one, else by its own name. */
async function fetchHistory(scratch: Scratch, sha: string, { url, branch, onBranch }: Probe): Promise<void> {
  if (onBranch === 'yes') return fetchAll({ url, branch }, scratch, PIN);
  const answer = await scratch.fetch(url, [`+${sha}:${PIN}`], '--filter=tree:0');
  if (answer.code !== 0) throw new Error(answer.stderr);
}
