import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { told } from '../../action-submodule-sync/test/harness.js';
import { createWorld, type World } from '../../action-submodule-sync/test/world.js';
import { goal, least, type Part, type Settings } from '../measure.js';

/** A state that a forgotten or half-done push leaves, and what a developer then types. */
interface Case {
  what: string;
  /** Of `git push --recurse-submodules=`. */
  mode: 'check' | 'on-demand' | 'only';
  /** Also asked about: whether the root itself arrived. */
  root?: boolean;
  /** Gives what is to be pinned. */
  make(world: World): Promise<string>;
}

interface Row {
  letter: string;
  text: string;
  peer: boolean;
  own: boolean;
}

const nowhere = (world: World) => world.commit('lib');

const cases: Case[] = [
  { what: 'pushed to origin only', mode: 'check', make: pushedToOrigin },
  { what: 'pushed to origin only', mode: 'on-demand', make: pushedToOrigin },
  { what: 'pushed nowhere', mode: 'check', make: nowhere },
  { what: 'pushed nowhere', mode: 'on-demand', make: nowhere },
  {
    what: 'pushed to a branch that somebody deleted since',
    mode: 'check',
    async make(world) {
      const pin = await world.commit('lib');
      for (const remote of ['origin', 'alm']) {
        await world.push('lib', remote, 'HEAD:refs/heads/topic');
        await git(join(world.homes[remote]?.dir ?? '', 'lib.git'), world, 'update-ref', '-d', 'refs/heads/topic');
      }
      return pin;
    },
  },
  { what: 'pushed nowhere', mode: 'only', root: true, make: nowhere },
  {
    what: 'pushed nowhere, made on a detached HEAD',
    mode: 'on-demand',
    async make(world) {
      await world.git('lib', 'checkout', '--quiet', '--detach');
      return nowhere(world);
    },
  },
  {
    what: 'a hash that exists nowhere, the submodule not checked out',
    mode: 'check',
    async make(world) {
      await rm(join(world.checkout, 'lib'), { recursive: true });
      return '1'.repeat(40);
    },
  },
];

/** What `git push --recurse-submodules` makes of eight cases, and what is so: the commit on main of both remotes or not. */
export async function verdicts({ rounds, say }: Settings): Promise<Part> {
  const all: Row[][] = [];
  for (let round = 0; round < rounds; round++) {
    const rows: Row[] = [];
    for (const [index, each] of cases.entries()) {
      const letter = 'ABCDEFGH'[index] ?? '';
      const { text, peer, own } = await play(each);
      rows.push({ letter, text: `${letter}: ${text}`, peer, own });
      say(`  round ${round + 1}, ${letter}: ${text}`);
    }
    all.push(rows);
  }
  const count = (holds: (row: Row) => boolean) => all.map((rows) => rows.filter(holds).length);
  // The last round stands for all in the notes; git push is as wrong in each of them, or the figures say so.
  const rows = all.at(-1) ?? [];
  const wrong = rows.filter(({ peer }) => !peer).map(({ letter }) => letter);
  return {
    title: 'Verdicts: git push --recurse-submodules alm main, and ours',
    figures: [
      { name: 'right, git push', unit: '', values: count(({ peer }) => peer) },
      { name: 'right, ours', unit: '', values: count(({ own }) => own) },
    ],
    goals: [
      goal(
        'cases where ours is right',
        count(({ own }) => own),
        { atLeast: cases.length },
        { counts: least },
      ),
      goal(
        `where git push is wrong (${wrong.join()}), ours right`,
        count(({ peer, own }) => !peer && own),
        { atLeast: wrong.length },
        { counts: least },
      ),
    ],
    notes: rows.map(({ text }) => text),
  };
}

async function play({ what, mode, root = false, make }: Case): Promise<{ text: string; peer: boolean; own: boolean }> {
  const world = await createWorld({ homes: { origin: {}, alm: {} } });
  try {
    await world.submodule('lib');
    await world.pin();
    await world.pushRoot();
    const pin = await make(world);
    const commit = await world.pin(['lib', pin]);
    const code = await git(world.checkout, world, 'push', `--recurse-submodules=${mode}`, 'alm', 'main');
    // Both are judged by what the servers hold then.
    const wanted = [['lib', 'origin', pin], ['lib', 'alm', pin], ...(root ? [['.', 'alm', commit]] : [])];
    const missing: string[] = [];
    for (const [path = '', remote = '', sha = ''] of wanted) {
      if (!(await world.holds(remote, path, sha))) missing.push(`${path} ${remote}`);
    }
    const finished = await world.check(root ? {} : { exclude: '.' });
    const said = told(finished);
    const isTold = (cell: string) =>
      said.some((finding) => finding.startsWith(`${cell}: `) && !finding.includes('COULD-NOT'));
    const own = missing.every(isTold) && (missing.length > 0 || finished.code === 0);
    const peer = (code === 0) === (missing.length === 0);
    const verdict = `${mode} exits with ${code}: ${peer ? 'right' : 'wrong'}`;
    return {
      text: `${what}; ${verdict}. Ours: ${said.join(', ') || 'all pushed'}: ${own ? 'right' : 'wrong'}.`,
      peer,
      own,
    };
  } finally {
    await world.stop();
  }
}

/** The exit code. */
function git(directory: string, { env }: World, ...args: string[]): Promise<number> {
  return new Promise((resolve) => {
    execFile('git', ['-C', directory, ...args], { env }, (error) => resolve(error ? Number(error.code) : 0));
  });
}

async function pushedToOrigin(world: World): Promise<string> {
  const pin = await world.commit('lib');
  await world.push('lib', 'origin');
  return pin;
}
