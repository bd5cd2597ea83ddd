import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRepository } from '../../testbed/git-server.js';
import { output } from '../measure.js';
import { writeHistory } from './history.js';
import type { Address, Traffic } from './servers.js';

/** A round trip that a forge on another continent takes; of the connect itself nothing is delayed. */
export const DELAY_MS = 50;

/** Two forges with the same repositories, and what pins their commits. */
export interface Forges {
  readonly remotes: Address[];
  /** The repository that all of the submodules are copies of. */
  readonly template: string;
  /** The same with one commit more on main. */
  readonly further: string;
  /** Puts a copy under each of these names on both forges, or on those that are named. */
  publish(repository: string, names: string[], remotes?: string[]): Promise<void>;
  /** A checkout of a root that pins these commits; its path. */
  root(pins: Pin[]): Promise<string>;
  /** An empty bare repository to write a history to; its path. */
  empty(name: string): Promise<string>;
  /** What went over the wire since the last time. */
  traffic(): Promise<Traffic>;
  readonly folder: string;
  stop(): Promise<void>;
}

/** A submodule by its path, which is the name of its repository, and a commit of it. */
export interface Pin {
  path: string;
  sha: string;
}

/**
 * A submodule like those of the users: their largest had 4,488 commits with 385 merges in 38 MiB when this was written. This
 * one is a quarter of that in bytes, which is to the good of whoever clones.
 */
const SHAPE = { commits: 5_000, files: 300, rewrites: 8 };

/** Never merged, three commits, forked off a while ago. */
export const BRANCH = 'topic';

const who = ['-c', 'user.name=Acme', '-c', 'user.email=acme@example.com'];

export async function startForges(quick: boolean): Promise<Forges> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-bench-'));
  const child = fork(fileURLToPath(new URL('./servers.ts', import.meta.url)), [String(DELAY_MS)]);
  const answer = async <T>(): Promise<T> => {
    const [message] = await once(child, 'message');
    return message;
  };
  const stop = async () => {
    if (child.connected) {
      child.disconnect();
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const remotes = await answer<Address[]>();
    const empty = async (name: string) => {
      const path = join(folder, `${name}.git`);
      await createRepository(path, {});
      return path;
    };
    const template = await empty('template');
    await writeHistory(template, quick ? { commits: 1_300, files: 30 } : SHAPE);
    await addBranch(template);
    const further = join(folder, 'further.git');
    await output('cp', ['-al', template, further]);
    const git = (...args: string[]) => output('git', ['-C', further, ...args]).then((text) => text.trim());
    const next = await git(...who, 'commit-tree', '-p', 'main', '-m', 'Go on', 'main^{tree}');
    await git('update-ref', 'refs/heads/main', next);
    let roots = 0;
    return {
      folder,
      remotes,
      template,
      further,
      empty,
      stop,
      async publish(repository, names, on = remotes.map(({ name }) => name)) {
        const targets = remotes
          .filter(({ name }) => on.includes(name))
          .flatMap(({ dir }) => names.map((name) => join(dir, `${name}.git`)));
        // By links: a server reads them, and this disk holds them once.
        await output('sh', [
          '-c',
          'from=$1; shift; for to; do cp -al "$from" "$to"; done',
          'sh',
          repository,
          ...targets,
        ]);
      },
      async root(pins) {
        roots += 1;
        const path = join(folder, `root-${roots}`);
        mkdirSync(path);
        const git = (...args: string[]) => output('git', ['-C', path, ...args]);
        await git('init', '--quiet');
        const rows = pins.map(({ path }) => `[submodule "${path}"]\n\tpath = ${path}\n\turl = ../${path}.git\n`);
        writeFileSync(join(path, '.gitmodules'), rows.join(''));
        await git('add', '.gitmodules');
        for (const pin of pins) await git('update-index', '--add', '--cacheinfo', `160000,${pin.sha},${pin.path}`);
        await git(...who, 'commit', '--quiet', '-m', 'Pin');
        return path;
      },
      traffic() {
        child.send('traffic');
        return answer<Traffic>();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function addBranch(repository: string): Promise<void> {
  const git = (...args: string[]) => output('git', ['-C', repository, ...args]).then((text) => text.trim());
  const [time, fork = ''] = (await git('log', '-1', '--format=%ct %H', 'main~20')).split(' ');
  let tip = fork;
  for (const [index, message] of ['Try', 'Try again', 'Keep'].entries()) {
    const when = `${Number(time) + 60 * (index + 1)} +0000`;
    const command = [...who, '-C', repository, 'commit-tree', '-p', tip, '-m', message, `${fork}^{tree}`];
    tip = (await output('git', command, { GIT_AUTHOR_DATE: when, GIT_COMMITTER_DATE: when })).trim();
  }
  await git('update-ref', `refs/heads/${BRANCH}`, tip);
}
