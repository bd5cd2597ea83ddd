import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { run } from '../../action-submodule-sync/test/harness.js';
import type { Contender } from '../measure.js';
import type { Forges, Pin } from './forges.js';

/**
 * A way to ask: yes or no for every pin on every remote, in order of the pins, the first remote first; undefined is neither.
 */
export interface Asker {
  name: string;
  ask(): Promise<(boolean | undefined)[]>;
}

/** Which way to the forges. */
export type Way = 'near' | 'far';

/** The bundle, as a runner starts it. The root's own commit is left out: no peer asks about it. */
export async function ours(forges: Forges, pins: Pin[], way: Way): Promise<Asker> {
  const root = await forges.root(pins);
  return {
    name: 'ours',
    async ask() {
      const { report, log } = await run(inputsFor(forges, root, way));
      if (!report) throw new Error(log);
      const stateOf = new Map(report.matrix.map(({ path, remote, state }) => [`${path} ${remote}`, state]));
      return questions(forges, pins, way).map(({ remote, path }) => {
        const state = stateOf.get(`${path} ${remote}`);
        return state === 'PUSHED' ? true : state === 'OTHER-BRANCH' ? false : undefined;
      });
    },
  };
}

export function inputsFor({ remotes }: Forges, root: string, way: Way): Record<string, string> {
  return {
    remotes: remotes.map((remote) => `${remote.name} = ${remote[way]}`).join('\n'),
    root: 'gb',
    repository: root,
    exclude: '.',
  };
}

/** One after the other, as people write it. */
export function cloneLoop(forges: Forges, pins: Pin[], way: Way): Asker {
  return byScript('clone loop', forges, pins, way, ['./by-clone.sh', forges.folder]);
}

/** The same script, eight at a time, each with a share of the questions: what a careful person would make of it. */
export function cloneEight(forges: Forges, pins: Pin[], way: Way): Asker {
  const all = questions(forges, pins, way);
  const shares = Array.from({ length: 8 }, (_, share) => all.filter((_, index) => index % 8 === share));
  return {
    name: 'clones, 8 at a time',
    async ask() {
      const answers = await Promise.all(shares.map((share) => answersOf(['./by-clone.sh', forges.folder], share)));
      return all.map((_, index) => answers[index % 8]?.[Math.floor(index / 8)]);
    },
  };
}

export function lsRemoteLoop(forges: Forges, pins: Pin[], way: Way): Asker {
  return byScript('ls-remote loop', forges, pins, way, ['./by-ls-remote.sh']);
}

/** Measures what an asker takes, and holds it to be right. */
export function contender({ name, ask }: Asker, forges: Forges, truth: boolean[]): Contender {
  return {
    name,
    before: async () => void (await forges.traffic()),
    async run() {
      const began = performance.now();
      const answers = await ask();
      const ms = performance.now() - began;
      const { requests, bytes } = await forges.traffic();
      const right = answers.filter((answer, index) => answer === truth[index]).length;
      return {
        [name]: ms,
        [`${name}, bytes`]: bytes / 1000,
        [`${name}, requests`]: requests,
        [`${name}, right`]: right,
      };
    },
  };
}

interface Question {
  remote: string;
  path: string;
  url: string;
  sha: string;
}

function questions({ remotes }: Forges, pins: Pin[], way: Way): Question[] {
  return remotes.flatMap((remote) =>
    pins.map(({ path, sha }) => ({ remote: remote.name, path, sha, url: `${remote[way]}${path}.git` })),
  );
}

function byScript(name: string, forges: Forges, pins: Pin[], way: Way, command: string[]): Asker {
  const all = questions(forges, pins, way);
  return { name, ask: () => answersOf(command, all) };
}

function answersOf([script = '', ...args]: string[], asked: Question[]): Promise<boolean[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(fileURLToPath(new URL(script, import.meta.url)), args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0' },
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0)
        resolve(
          said
            .trim()
            .split('\n')
            .map((row) => row === 'yes'),
        );
      else reject(new Error(`${script} ended with ${code}`));
    });
    child.stdin.end(asked.map(({ url, sha }) => `${url} ${sha}\n`).join(''));
  });
}
