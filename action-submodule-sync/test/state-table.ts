import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding, State } from '../src/states.js';
import { type Finished, told } from './harness.js';
import { createWorld, type Kind, type World } from './world.js';

/** One pin in one state, made by real pushes. */
export interface Case {
  /** Path of the submodule, and name of its repository. */
  path: string;
  /** Reads on after "a pin". */
  what: string;
  origin: State;
  alm: State;
  /** What a server says that hands out nothing but what a branch or tag leads to, where it must say something else. */
  strict?: State;
  /** What the printed commands do: push the very pin, merge and pin anew, pin another commit, or take something out. */
  mend?: 'push' | 'merge' | 'pin' | 'remove';
  /** Makes the state in a submodule that is pushed everywhere; gives what is to be pinned. */
  make(world: World, path: string): Promise<string>;
}

const day = 24 * 3600;
const now = Math.floor(Date.now() / 1000);
const everywhere = (world: World, path: string, refspec?: string) =>
  Promise.all(['origin', 'alm'].map((remote) => world.push(path, remote, refspec)));
const reset = (world: World, path: string, to: string) => world.git(path, 'reset', '--quiet', '--hard', to);

/** Commits on main of both remotes that the pin lacks. */
async function moveOn(world: World, path: string, pin: string): Promise<void> {
  await reset(world, path, `${pin}^`);
  await world.commit(path);
  await everywhere(world, path);
  await reset(world, path, pin);
}

/** Pushes what is checked out, and deletes the branch again. */
async function dangle(world: World, path: string, ...remotes: string[]): Promise<void> {
  for (const remote of remotes) {
    await world.push(path, remote, 'HEAD:refs/heads/gone');
    await world.push(path, remote, ':refs/heads/gone');
  }
}

export const cases: Case[] = [
  {
    path: 'tip',
    what: 'that is the tip of main everywhere',
    origin: 'PUSHED',
    alm: 'PUSHED',
    async make(world, path) {
      const pin = await world.commit(path);
      await everywhere(world, path);
      return pin;
    },
  },
  {
    path: 'behind',
    what: 'that is one commit behind main',
    origin: 'PUSHED',
    alm: 'PUSHED',
    async make(world, path) {
      const pin = await world.commit(path);
      await world.commit(path);
      await everywhere(world, path);
      return pin;
    },
  },
  {
    path: 'deep',
    what: 'that is 300 commits and 300 days behind main',
    origin: 'PUSHED',
    alm: 'PUSHED',
    async make(world, path) {
      const pin = await world.commits(path, 100, { from: now - 401 * day, every: day });
      await world.commits(path, 300, { from: now - 300 * day, every: day });
      await everywhere(world, path);
      return pin;
    },
  },
  {
    path: 'merged',
    what: 'on a topic that main has merged since',
    origin: 'PUSHED',
    alm: 'PUSHED',
    async make(world, path) {
      const start = await world.git(path, 'rev-parse', 'HEAD');
      const pin = await world.commits(path, 20, { from: now - 20 * day, every: 3600 });
      await reset(world, path, start);
      await world.commits(path, 20, { from: now - 10 * day, every: 3600 });
      await world.git(path, 'merge', '--quiet', '--no-edit', pin);
      await world.commit(path);
      await everywhere(world, path);
      return pin;
    },
  },
  {
    path: 'clock',
    what: 'whose committer had the clock of next year',
    origin: 'PUSHED',
    alm: 'PUSHED',
    async make(world, path) {
      const pin = await world.commit(path, { at: now + 365 * day });
      await world.commits(path, 3);
      await everywhere(world, path);
      return pin;
    },
  },
  {
    path: 'old-clock',
    what: 'below commits that are dated before it',
    origin: 'PUSHED',
    alm: 'PUSHED',
    async make(world, path) {
      const pin = await world.commit(path);
      await world.commits(path, 5, { from: now - 900 * day });
      await everywhere(world, path);
      return pin;
    },
  },
  {
    path: 'lag',
    what: 'that was pushed to origin only',
    origin: 'PUSHED',
    alm: 'LAGGING',
    mend: 'push',
    async make(world, path) {
      const pin = await world.commit(path);
      await world.push(path, 'origin');
      return pin;
    },
  },
  {
    path: 'lag-deep',
    what: 'that is 200 commits ahead of what alm has',
    origin: 'PUSHED',
    alm: 'LAGGING',
    mend: 'push',
    async make(world, path) {
      const pin = await world.commits(path, 200, { from: now - 200 * day, every: day });
      await world.push(path, 'origin');
      return pin;
    },
  },
  {
    path: 'lag-origin',
    what: 'that was pushed to alm only',
    origin: 'LAGGING',
    alm: 'PUSHED',
    mend: 'push',
    async make(world, path) {
      const pin = await world.commit(path);
      await world.push(path, 'alm');
      return pin;
    },
  },
  {
    path: 'lag-behind',
    what: 'that alm lacks, and that origin has gone beyond',
    origin: 'PUSHED',
    alm: 'LAGGING',
    mend: 'push',
    async make(world, path) {
      const pin = await world.commits(path, 3);
      await world.commits(path, 2);
      await world.push(path, 'origin');
      return pin;
    },
  },
  {
    path: 'lag-dangling',
    what: 'that alm keeps of a deleted branch, and origin has on main',
    origin: 'PUSHED',
    alm: 'LAGGING',
    mend: 'push',
    async make(world, path) {
      const pin = await world.commit(path);
      await world.push(path, 'origin');
      await dangle(world, path, 'alm');
      return pin;
    },
  },
  {
    path: 'other',
    what: 'that was pushed to a topic branch only',
    origin: 'OTHER-BRANCH',
    alm: 'OTHER-BRANCH',
    mend: 'push',
    async make(world, path) {
      const pin = await world.commit(path);
      await everywhere(world, path, 'HEAD:refs/heads/feature/login');
      return pin;
    },
  },
  {
    path: 'other-moved',
    what: 'on a topic branch, while main went on without it',
    origin: 'OTHER-BRANCH',
    alm: 'OTHER-BRANCH',
    mend: 'merge',
    async make(world, path) {
      const pin = await world.commit(path);
      await everywhere(world, path, 'HEAD:refs/heads/topic');
      await moveOn(world, path, pin);
      return pin;
    },
  },
  {
    path: 'other-missing',
    what: 'on a topic branch of origin only, while main went on without it',
    origin: 'OTHER-BRANCH',
    alm: 'MISSING',
    mend: 'merge',
    async make(world, path) {
      const pin = await world.commit(path);
      await world.push(path, 'origin', 'HEAD:refs/heads/topic');
      await moveOn(world, path, pin);
      return pin;
    },
  },
  {
    path: 'tagged',
    what: 'that alm has under a tag only',
    origin: 'PUSHED',
    alm: 'OTHER-BRANCH',
    mend: 'push',
    async make(world, path) {
      const pin = await world.commit(path);
      await world.push(path, 'origin');
      await world.push(path, 'alm', 'HEAD:refs/tags/v1.0.0');
      return pin;
    },
  },
  {
    path: 'diverged',
    what: 'that origin has, while alm got another commit',
    origin: 'PUSHED',
    alm: 'DIVERGED',
    mend: 'merge',
    async make(world, path) {
      const start = await world.git(path, 'rev-parse', 'HEAD');
      await world.commits(path, 2);
      await world.push(path, 'alm');
      await reset(world, path, start);
      const pin = await world.commit(path);
      await world.push(path, 'origin');
      return pin;
    },
  },
  {
    path: 'diverged-deep',
    what: 'that alm has, while origin went 150 commits another way',
    origin: 'DIVERGED',
    alm: 'PUSHED',
    mend: 'merge',
    async make(world, path) {
      const start = await world.git(path, 'rev-parse', 'HEAD');
      await world.commits(path, 150, { from: now - 150 * day, every: day });
      await world.push(path, 'origin');
      await reset(world, path, start);
      const pin = await world.commits(path, 120, { from: now - 120 * day, every: day });
      await world.push(path, 'alm');
      return pin;
    },
  },
  {
    path: 'dangling',
    what: 'of a branch that was deleted',
    origin: 'DANGLING',
    alm: 'DANGLING',
    strict: 'MISSING',
    mend: 'push',
    async make(world, path) {
      const pin = await world.commit(path);
      await dangle(world, path, 'origin', 'alm');
      return pin;
    },
  },
  {
    path: 'squashed',
    what: 'of a branch that was squashed to main and deleted',
    origin: 'DANGLING',
    alm: 'DANGLING',
    strict: 'MISSING',
    mend: 'merge',
    async make(world, path) {
      const pin = await world.commits(path, 2);
      await dangle(world, path, 'origin', 'alm');
      await moveOn(world, path, pin);
      return pin;
    },
  },
  {
    path: 'missing',
    what: 'that was pushed nowhere',
    origin: 'MISSING',
    alm: 'MISSING',
    mend: 'push',
    make: (world, path) => world.commit(path),
  },
  {
    path: 'missing-deep',
    what: 'at the end of 50 commits that were pushed nowhere',
    origin: 'MISSING',
    alm: 'MISSING',
    mend: 'push',
    make: (world, path) => world.commits(path, 50),
  },
  {
    path: 'no-branch',
    what: 'that is on main of origin, while alm has no main',
    origin: 'PUSHED',
    alm: 'BRANCH-MISSING',
    mend: 'push',
    async make(world, path) {
      await world.push(path, 'alm', 'HEAD:refs/heads/develop');
      await world.push(path, 'alm', ':refs/heads/main');
      const pin = await world.commit(path);
      await world.push(path, 'origin');
      return pin;
    },
  },
  {
    path: 'no-main-anywhere',
    what: 'on develop, where nobody has a main',
    origin: 'BRANCH-MISSING',
    alm: 'BRANCH-MISSING',
    mend: 'push',
    async make(world, path) {
      const pin = await world.commit(path);
      await everywhere(world, path, 'HEAD:refs/heads/develop');
      await everywhere(world, path, ':refs/heads/main');
      return pin;
    },
  },
  {
    path: 'tree',
    what: 'that is a folder of a commit',
    origin: 'NOT-A-COMMIT',
    alm: 'NOT-A-COMMIT',
    mend: 'pin',
    async make(world, path) {
      await world.commit(path, { files: { 'docs/a.md': 'a\n' } });
      await everywhere(world, path);
      return world.git(path, 'rev-parse', 'HEAD^{tree}');
    },
  },
  {
    path: 'file',
    what: 'that is a file',
    origin: 'NOT-A-COMMIT',
    alm: 'NOT-A-COMMIT',
    mend: 'pin',
    async make(world, path) {
      await world.commit(path, { files: { 'a.md': 'b\n' } });
      await everywhere(world, path);
      return world.git(path, 'rev-parse', 'HEAD:a.md');
    },
  },
  {
    path: 'tag-object',
    what: 'that is an annotated tag',
    origin: 'NOT-A-COMMIT',
    alm: 'NOT-A-COMMIT',
    mend: 'pin',
    async make(world, path) {
      await world.git(path, 'tag', '-a', '-m', 'First', 'v1');
      await everywhere(world, path, 'refs/tags/v1');
      return world.git(path, 'rev-parse', 'v1');
    },
  },
];

export interface WorldKind {
  name: string;
  origin: Kind;
  alm: Kind;
  /** What is wrong with the root itself, and how its pushes make it so. */
  root: { what: string; states: [State, State]; make(world: World): Promise<void> };
  /** Paths of the cases to tell apart; default: all. */
  only?: string[];
  /** Whether all that the run prints is pasted at once; default: what it prints for one finding after the other. */
  atOnce?: boolean;
}

const findingsAt = ({ report }: Finished, path: string): Finding[] =>
  (report?.findings ?? []).filter((finding) => finding.path === path);
/** What is printed below the findings of one path; the same words below two findings are one advice. */
const commandsAt = (finished: Finished, path: string) =>
  [...new Set(findingsAt(finished, path).map(({ mend }) => mend.join('\n')))].join('\n');

/** All cases on one pair of servers: one run tells all of them apart, and what it prints mends each. */
export function describeStates({ name, origin, alm, root, only, atOnce = false }: WorldKind): void {
  const chosen = cases.filter(({ path }) => !only || only.includes(path));
  const isStrict = ({ partial, protocol }: Kind) => partial === false && protocol === 0;
  const expected = ({ origin: onOrigin, alm: onAlm, strict }: Case): [State, State] => [
    (strict && isStrict(origin) && onOrigin !== 'PUSHED' ? strict : undefined) ?? onOrigin,
    (strict && isStrict(alm) && onAlm !== 'PUSHED' ? strict : undefined) ?? onAlm,
  ];
  const statesOf = ({ report }: Finished, path: string) =>
    ['origin', 'alm'].map(
      (remote) => report?.matrix.find((cell) => cell.path === path && cell.remote === remote)?.state,
    );

  describe(name, () => {
    let world: World;
    let first: Finished;
    let pasted = { code: 0 as number | null, said: '' };
    beforeAll(async () => {
      world = await createWorld({ homes: { origin, alm } });
      const orphan = await world.git('.', 'rev-parse', 'HEAD');
      const pins = await Promise.all(
        chosen.map(async ({ path, make }): Promise<[string, string]> => {
          await world.submodule(path);
          return [path, await make(world, path)];
        }),
      );
      await world.git('.', 'config', '-f', '.gitmodules', 'submodule.stray.path', 'stray');
      await world.git('.', 'config', '-f', '.gitmodules', 'submodule.stray.url', '../stray.git');
      await world.pin(...pins, ['orphan', orphan]);
      await root.make(world);
      first = await world.check();
      if (atOnce) pasted = await world.mend(first.outputs.commands ?? '');
    });
    afterAll(() => world?.stop());

    it('the run is red and names every state', () => {
      expect([first.code, first.outputs.result], first.log).toEqual([1, 'not-pushed']);
      expect(Number(first.outputs.findings)).toBe(first.report?.findings.length);
      expect(pasted.code, `${first.outputs.commands}\n${pasted.said}`).toBe(0);
    });

    it(`the root, ${root.what}: ${root.states.join(' and ')}, and its command mends it`, async () => {
      expect(statesOf(first, '.')).toEqual(root.states);
      await mends('.');
    });

    it.each(chosen.map((each) => [titleOf(each), each] as const))('a pin %s', async (_, each) => {
      const { path, mend } = each;
      expect(statesOf(first, path), JSON.stringify(findingsAt(first, path), null, 1)).toEqual(expected(each));
      expect(kindOf(commandsAt(first, path))).toBe(mend);
      await mends(path);
      const pin = await world.git('.', 'rev-parse', `HEAD:${path}`);
      for (const remote of ['origin', 'alm'])
        expect([remote, await world.holds(remote, path, pin)]).toEqual([remote, true]);
    });

    it('a gitlink without an entry is ORPHAN-GITLINK, and its command takes it out', async () => {
      expect(findingsAt(first, 'orphan').map(({ state }) => state)).toEqual(['ORPHAN-GITLINK']);
      await mends('orphan');
      expect(await world.git('.', 'ls-tree', 'HEAD', 'orphan')).toBe('');
    });

    it('an entry without a gitlink is NO-GITLINK, and its command takes it out', async () => {
      expect(findingsAt(first, 'stray').map(({ state }) => state)).toEqual(['NO-GITLINK']);
      await mends('stray');
      expect(await world.git('.', 'show', 'HEAD:.gitmodules')).not.toContain('stray');
    });

    it('with every command carried out the same question is green', async () => {
      const last = await world.check();
      expect([told(last), last.code, last.outputs.result, last.outputs.commands], last.log).toEqual([
        [],
        0,
        'pushed',
        '',
      ]);
    });

    async function mends(path: string): Promise<void> {
      const commands = commandsAt(first, path);
      if (atOnce) return;
      const before = await world.git('.', 'rev-parse', 'HEAD');
      const { code, said } = await world.mend(commands);
      expect([commands, code], said).toEqual([commands, 0]);
      const head = await world.git('.', 'rev-parse', 'HEAD');
      if (head === before && path !== '.') return;
      for (const remote of ['origin', 'alm'])
        expect([remote, await world.holds(remote, '.', head)]).toEqual([remote, true]);
    }
  });
}

function titleOf({ what, origin, alm, mend }: Case): string {
  const states = origin === alm ? `${origin} on both` : `${origin} on origin and ${alm} on alm`;
  return `${what} is ${states}${mend ? ', and its command mends it' : ''}`;
}

function kindOf(text: string): Case['mend'] {
  if (/ merge /.test(text)) return 'merge';
  if (/update-index/.test(text)) return 'pin';
  if (/ rm |remove-section/.test(text)) return 'remove';
  return text ? 'push' : undefined;
}
