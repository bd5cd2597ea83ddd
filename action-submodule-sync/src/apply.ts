import { troubleOf, words } from './git-trouble.js';
import type { GitAnswer } from './network-git.js';
import type { Push } from './plan.js';
import { patiently } from './probe.js';
import type { Workshop } from './workshop.js';

/** What became of one push. */
export interface Pushed {
  push: Push;
  /** pushed; refused: by us or by the server, nothing was changed; ahead: the remote has moved on by itself. */
  result: 'pushed' | 'refused' | 'ahead';
  /** One sentence for everything but pushed. */
  why?: string;
}

/**
 * Carries out fast-forwards, one after the other, submodules before the root: a root that pins what is not there yet starts
 * a CI that cannot fetch. Stops before the root when a submodule was not pushed. Never forces.
 */
export async function apply(pushes: Push[], shop: Workshop, say: (text: string) => void): Promise<Pushed[]> {
  const done: Pushed[] = [];
  for (const push of pushes) {
    if (push.path === '.' && done.some(({ result, push: other }) => result !== 'pushed' && other.path !== '.')) {
      done.push({ push, result: 'refused', why: 'A submodule was not pushed, so the root was not either.' });
      continue;
    }
    say(`Pushing ${push.path} ${push.sha.slice(0, 12)} to ${push.branch} of ${push.remote} ...`);
    const outcome = await carryOut(push, shop);
    say(`Pushing ${push.path} to ${push.remote}: ${outcome.result}${outcome.why ? ` (${outcome.why})` : ''}`);
    done.push({ push, ...outcome });
  }
  return done;
}

async function carryOut(push: Push, shop: Workshop): Promise<Omit<Pushed, 'push'>> {
  const { url, branch, sha, tip, from } = push;
  const scratch = shop.scratch(sha, `push\0${push.path}\0${push.remote}`);
  // Only what the lagging side lacks travels: its tip is the shallow boundary, which it holds by definition.
  const lagging = await patiently(() => scratch.fetch(url, [`+${tip}:refs/probe/lagging`], '--depth=1'));
  const leading = await patiently(() => scratch.fetch(from.url, [`+refs/heads/${from.branch}:refs/probe/leading`]));
  for (const [answer, remote] of [
    [lagging, push.remote],
    [leading, from.remote],
  ] as const) {
    const trouble = troubleOf(answer);
    if (trouble)
      return {
        result: 'refused',
        why: `the commits could not be fetched from ${remote}: ${trouble.reason} (${trouble.said})`,
      };
  }
  if (await usesLfs(scratch.git, sha)) {
    return {
      result: 'refused',
      why: 'it uses Git LFS, whose files do not travel with a push from here; push it from a checkout',
    };
  }
  // Without + or --force this is a compare-and-swap by the server: it takes a fast-forward and nothing else.
  const answer = await scratch.push(url, `${sha}:refs/heads/${branch}`);
  if (answer.code === 0) return { result: 'pushed' };
  // The first is said by git here, the second by one that saw the branch move under its hands.
  if (/\[rejected\]|cannot lock ref .* is at [0-9a-f]+ but expected/.test(answer.stdout + answer.stderr)) {
    return { result: 'ahead', why: 'the branch there has changed meanwhile' };
  }
  return { result: 'refused', why: refusal(answer) };
}

/** In the server's own words: what it printed, and the reason that stands in its status of the branch. */
function refusal({ stdout, stderr }: GitAnswer): string {
  const status = stdout
    .split('\n')
    .filter((row) => row.startsWith('!'))
    .map((row) => row.split('\t').at(-1) ?? '');
  return words([...status, stderr].join('\n'));
}

async function usesLfs(git: (...args: string[]) => Promise<string>, sha: string): Promise<boolean> {
  const rows = (await git('ls-tree', '-r', '-z', '--full-tree', sha)).split('\0');
  const attributes = rows
    .filter((row) => /(^|[\t/])\.gitattributes$/.test(row))
    .map((row) => row.split(/[ \t]/)[2] ?? '');
  const texts = await Promise.all(attributes.map((oid) => git('cat-file', 'blob', oid)));
  return texts.some((text) => /^\s*[^#\n]*\sfilter=lfs(\s|$)/m.test(text));
}
