import type { Row } from './facts.js';
import { fetchAll } from './probe.js';
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
  const probes = await Promise.all(
    row.probes.map(async (probe) => {
      if (probe.onBranch !== 'no' || probe.trouble || !probe.tip || probe.notACommit) return probe;
      const from = probe.exists === 'yes' ? probe : source;
      return from ? related(row, probe, from, shop) : probe;
    }),
  );
  return { ...row, probes };
}

async function related(row: Row, probe: Probe, from: Probe, shop: Workshop): Promise<Probe> {
  const began = performance.now();
  const scratch = shop.scratch(row.sha, `${row.path}\0${row.sha}\0${from.remote}\0relation\0${probe.remote}`);
  try {
    await fetchHistory(scratch, row.sha, from);
    const ref = 'refs/probe/other';
    await fetchAll({ url: probe.url, branch: probe.branch }, scratch, ref);
    const [remoteOnly, pinOnly] = (await scratch.git('rev-list', '--left-right', '--count', `${ref}...${row.sha}`))
      .split('\t')
      .map(Number);
    if (remoteOnly === undefined || pinOnly === undefined) return probe;
    const ms = probe.ms + Math.round(performance.now() - began);
    return {
      ...probe,
      relation: { remoteOnly, pinOnly },
      ms,
      requests: probe.requests + scratch.cost.requests,
      bytes: probe.bytes + scratch.cost.bytes,
    };
  } catch {
    // The verdict stands without the counts; only what mends it becomes the longer way.
    return probe;
  }
}

/** The whole graph up to the commit: by its branch where it is on one, else by its own name. */
async function fetchHistory(scratch: Scratch, sha: string, { url, branch, onBranch }: Probe): Promise<void> {
  if (onBranch === 'yes') return fetchAll({ url, branch }, scratch, PIN);
  const answer = await scratch.fetch(url, [`+${sha}:${PIN}`], '--filter=tree:0');
  if (answer.code !== 0) throw new Error(answer.stderr);
}
