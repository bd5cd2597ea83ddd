import { ExpectedError } from '@gbo/shared/errors';
import { allDone } from './all-done.js';
import type { Facts, RootPin, Row } from './facts.js';
import { troubleOf } from './git-trouble.js';
import type { Inputs, Remote } from './inputs.js';
import type { Tree } from './pins.js';
import { fetchAll, isReachable, patiently, Unanswered } from './probe.js';
import { readRemoteTree } from './remote-tree.js';
import type { Scratch } from './scratch.js';
import type { Probe, Trouble } from './states.js';
import { placeBelow } from './survey.js';
import type { Workshop } from './workshop.js';

/**
 * Asked from a submodule's own workflow: what does the root pin on each remote, and how far behind this commit is it.
 * @returns also the row under the path that the root has for it, where that could be read
 */
export async function surveyFromSubmodule(
  inputs: Inputs,
  row: Row,
  shop: Workshop,
): Promise<{ row: Row; rootPins: RootPin[] }> {
  const rootPins = await allDone(
    inputs.remotes.map(async (remote): Promise<RootPin> => {
      const read = await rootTree(inputs, remote, row.sha, shop);
      const unknown = { remote: remote.name, path: row.path };
      if ('trouble' in read) return { ...unknown, trouble: read.trouble };
      if (read.tree.unreadable && !inputs.submodule)
        return { ...unknown, trouble: { reason: 'other', said: read.tree.unreadable } };
      const path = inputs.submodule ?? pathByUrl(read.tree, row, remote);
      const pin = read.tree.pins.find((each) => each.path === path)?.sha;
      if (!pin) return { remote: remote.name, path, behind: 1 };
      return { remote: remote.name, path, pin, ...(await behindOf(row, remote.name, pin, row.sha, shop)) };
    }),
  );
  const known = rootPins.find(({ trouble }) => !trouble) ?? rootPins.find(({ pin }) => pin);
  if (!known) return { row, rootPins };
  const { path } = known;
  return { row: { ...row, path }, rootPins: rootPins.map((each) => (each.trouble ? { ...each, path } : each)) };
}

/** Asked by the clock: how far each branch of a submodule is ahead of what the root pins, and for how long. */
export async function surveyAhead({ rows }: Pick<Facts, 'rows'>, shop: Workshop): Promise<RootPin[]> {
  const pinned = rows.filter(({ path }) => path !== '.');
  const asked = pinned.flatMap((row) =>
    row.probes
      .filter(({ onBranch, tip, trouble }) => onBranch === 'yes' && tip && tip !== row.sha && !trouble)
      .map(
        async ({ remote, tip }): Promise<RootPin> => ({
          remote,
          path: row.path,
          pin: row.sha,
          ...(await behindOf(row, remote, row.sha, tip ?? '', shop)),
        }),
      ),
  );
  return allDone(asked);
}

/** Commits up to `wanted` that `pin` lacks, by the history of the remote. */
async function behindOf(
  row: Row,
  remote: string,
  pin: string,
  wanted: string,
  shop: Workshop,
): Promise<Pick<RootPin, 'behind' | 'oldest' | 'trouble'>> {
  if (pin === wanted) return { behind: 0 };
  // One that holds the commit, or the count would fail where only a push to this remote was forgotten too.
  const probes = row.probes.filter(({ trouble }) => !trouble).sort((a, b) => rank(a, remote) - rank(b, remote));
  const [probe] = probes;
  if (!probe) return { trouble: { reason: 'unreachable', said: 'the submodule itself could not be asked' } };
  const scratch = shop.scratch(wanted, `${row.path}\0${pin}\0${remote}\0behind`);
  try {
    await fetchAll({ url: probe.url, branch: probe.branch }, scratch, 'refs/probe/tip');
    for (const sha of [pin, wanted]) {
      if (await isReachable(scratch, 'refs/probe/tip', sha)) continue;
      const trouble = await fetchFromAny(scratch, probes, sha);
      if (trouble) return { trouble };
    }
    const range = `${pin}..${wanted}`;
    const behind = Number(await scratch.git('rev-list', '--count', range));
    // What a merge brought may be old; the branch has been ahead only since the merge.
    const log = ['log', '--no-show-signature', '--first-parent', '--format=%ct', range];
    const dates = (await scratch.git(...log)).split('\n').filter(Boolean).map(Number);
    return { behind, oldest: dates.length > 0 ? Math.min(...dates) * 1000 : undefined };
  } catch (error) {
    if (error instanceof Unanswered) return { trouble: error.trouble };
    return { trouble: { reason: 'other', said: error instanceof Error ? error.message.slice(0, 200) : String(error) } };
  }
}

/** First those whose branch holds the commit, and of them this very remote. */
function rank({ remote, onBranch }: Probe, own: string): number {
  return (onBranch === 'yes' ? 0 : 2) + (remote === own ? 0 : 1);
}

/** undefined when one of them gave it; else what the first one said. */
async function fetchFromAny(scratch: Scratch, probes: Probe[], sha: string): Promise<Trouble | undefined> {
  let first: Trouble | undefined;
  for (const { url } of probes) {
    const answer = await patiently(() => scratch.fetch(url, [`+${sha}:refs/probe/${sha}`], '--filter=tree:0'));
    const trouble = troubleOf(answer);
    if (!trouble) return undefined;
    first ??= trouble;
  }
  return first;
}

async function rootTree(
  inputs: Inputs,
  remote: Remote,
  sha: string,
  shop: Workshop,
): ReturnType<typeof readRemoteTree> {
  const { url = '', branch } = placeBelow(inputs, remote, inputs.root ?? '');
  return readRemoteTree(shop.scratch(sha, `root\0${remote.name}`), url, `refs/heads/${branch}`);
}

/** The submodule whose address on this remote ends in the name of the repository that runs. */
function pathByUrl({ entries }: Tree, row: Row, { name }: Remote): string {
  const last = (url: string) =>
    url
      .replace(/\/$/, '')
      .replace(/\.git$/, '')
      .split(/[/:]/)
      .at(-1)
      ?.toLowerCase();
  const own = last(row.probes.find(({ remote }) => remote === name)?.url ?? '');
  const found = entries.filter(({ url, path }) => path && url && last(url) === own);
  if (found.length === 1 && found[0]?.path) return found[0].path;
  throw new ExpectedError(
    `The root has ${found.length === 0 ? 'no submodule' : 'several submodules'} whose address ends in ${own}.`,
    'Nothing was pushed.',
    'Give its path in the root as `submodule`.',
  );
}
