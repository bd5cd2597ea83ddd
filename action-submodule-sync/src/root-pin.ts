import { ExpectedError } from '@gbo/shared/errors';
import type { Facts, RootPin, Row } from './facts.js';
import { troubleOf } from './git-trouble.js';
import type { Inputs, Remote } from './inputs.js';
import type { Tree } from './pins.js';
import { fetchAll, isReachable } from './probe.js';
import { readRemoteTree } from './remote-tree.js';
import { placeBelow } from './survey.js';
import type { Workshop } from './workshop.js';

/** Asked from a submodule's own workflow: what does the root pin on each remote, and how far behind this commit is it. */
export async function surveyFromSubmodule(inputs: Inputs, row: Row, shop: Workshop): Promise<RootPin[]> {
  return Promise.all(
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
  return Promise.all(asked);
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
  const probe =
    row.probes.find((each) => each.remote === remote && !each.trouble) ??
    row.probes.find((each) => !each.trouble && each.onBranch === 'yes');
  if (!probe) return { trouble: { reason: 'unreachable', said: 'the submodule itself could not be asked' } };
  const scratch = shop.scratch(wanted, `${row.path}\0${pin}\0${remote}\0behind`);
  try {
    await fetchAll({ url: probe.url, branch: probe.branch }, scratch, 'refs/probe/tip');
    for (const sha of [pin, wanted]) {
      if (await isReachable(scratch, 'refs/probe/tip', sha)) continue;
      const trouble = troubleOf(await scratch.fetch(probe.url, [`+${sha}:refs/probe/${sha}`], '--filter=tree:0'));
      if (trouble) return { trouble };
    }
    const dates = (await scratch.git('log', '--no-show-signature', '--format=%ct', `${pin}..${wanted}`))
      .split('\n')
      .filter(Boolean)
      .map(Number);
    return { behind: dates.length, oldest: dates.length > 0 ? Math.min(...dates) * 1000 : undefined };
  } catch (error) {
    return { trouble: { reason: 'other', said: error instanceof Error ? error.message.slice(0, 200) : String(error) } };
  }
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
