import { dirname, isAbsolute, join } from 'node:path';
import { ExpectedError } from '@gbo/shared/errors';
import { glob, isDynamicPattern } from 'tinyglobby';
import { databaseTime, mutateLock, packageLock, readCargoDatabase } from './cargo-database.js';
import { surveyCargoHome } from './cargo-home.js';
import { foldersIn, namesIn, spaceOf, statOf } from './disk-usage.js';
import type { Disk, Facts, Item, Kind, Place } from './facts.js';
import type { Inputs } from './inputs.js';
import { KeepSet, readLockFile } from './lock-files.js';
import { accessTimes, isBelow, type Mount, mountsBelow, readMounts } from './mounts.js';
import { processes } from './processes.js';
import {
  cacheFolder,
  expandHome,
  isTarget,
  liesThere,
  realOr,
  type Surroundings,
  surroundings,
  whyNoCache,
} from './roots.js';
import { surveyRunner } from './runner.js';
import { serverOf, statsOf, surveySccache } from './sccache.js';
import { readState, remember } from './state.js';
import { profilesOf, surveyProfile } from './target.js';
import { compilerNumbers } from './toolchains.js';

/** Everything that must be known, read once. Writes nothing. @throws ExpectedError for folders that are no caches */
export async function survey(inputs: Inputs, env: NodeJS.ProcessEnv): Promise<Facts> {
  return new Survey(inputs, env).run();
}

/** Where the trend and the remembered lock files are. */
export function stateDir(inputs: Inputs, env: NodeJS.ProcessEnv): string {
  const around = surroundings(env);
  return expandHome(inputs.stateDir ?? '~/.cache/gbo-cache-clean', around);
}

class Survey {
  readonly #inputs: Inputs;
  readonly #env: NodeJS.ProcessEnv;
  readonly #around: Surroundings;
  readonly #mounts: Mount[];
  readonly #facts: Facts;

  constructor(inputs: Inputs, env: NodeJS.ProcessEnv) {
    this.#inputs = inputs;
    this.#env = env;
    this.#around = surroundings(env);
    this.#mounts = readMounts();
    const now = Date.now();
    const { state, note } = readState(stateDir(inputs, env), now);
    this.#facts = {
      now,
      items: [],
      places: [],
      disks: [],
      skipped: [],
      notes: note ? [note] : [],
      lockFiles: [],
      trash: [],
      workspace: this.#around.workspace && realOr(this.#around.workspace),
      earlier: state,
    };
  }

  async run(): Promise<Facts> {
    const { cargoHome, sccacheDir, runnerDir } = this.#inputs;
    // All folders are judged before any of them is read: one that is wrong says that nothing was touched.
    const home = this.#folder('cargo-home', cargoHome, this.#env.CARGO_HOME || '~/.cargo');
    if (home && !looksLikeCargoHome(home)) {
      if (cargoHome)
        throw new ExpectedError(
          `cargo-home ${home} is no home of cargo: it has neither registry nor git.`,
          'Nothing was touched.',
          'Correct cargo-home.',
        );
    }
    const sccache = this.#folder(
      'sccache-dir',
      sccacheDir,
      this.#env.SCCACHE_DIR || join(this.#env.XDG_CACHE_HOME || '~/.cache', 'sccache'),
    );
    const runner = this.#folder('runner-dir', runnerDir, '~/.cache/act');
    if (runner && runner === this.#facts.workspace)
      throw new ExpectedError(
        `runner-dir ${runner} is this job's workspace.`,
        'Nothing was touched.',
        'Name the folder in which the runner makes those of its jobs.',
      );
    const caches = [home, sccache, runner].filter((path): path is string => path !== undefined);
    const targets = await this.#targets(caches);
    const cargo = home && looksLikeCargoHome(home) ? home : undefined;
    const keep = await this.#keepSet(targets, runner, cargo !== undefined);
    if (cargo) await this.#cargoHome(cargo, keep);
    await this.#targetItems(targets);
    if (sccache) await this.#sccache(sccache, home);
    if (runner) this.#runner(runner);
    this.#leaveLinksAlone();
    this.#leaveMountsAlone();
    this.#disks();
    this.#trash();
    return this.#facts;
  }

  #folder(name: string, given: string | undefined, otherwise: string): string | undefined {
    if (given === 'none') return undefined;
    // The runner's folder holds this job's own workspace, as it does those of all jobs.
    const around = name === 'runner-dir' ? { home: this.#around.home } : this.#around;
    const folder = cacheFolder(name, given ?? otherwise, around);
    if (!folder && given) this.#facts.notes.push(`${name} ${given} is not there.`);
    return folder;
  }

  async #targets(caches: string[]): Promise<string[]> {
    const given = this.#inputs.targets ?? this.#targetOfEnvironment();
    if (given.includes('none')) return [];
    const patterns = given.map((pattern) => expandHome(pattern, this.#around).replace(/\/+$/, ''));
    for (const pattern of patterns) {
      if (!/^\/[^/]/.test(pattern)) {
        throw new ExpectedError(
          `targets: ${JSON.stringify(pattern)} is not an absolute path or glob.`,
          'Nothing was touched.',
          'Write it out from the root, such as /srv/target/*.',
        );
      }
    }
    const found = new Set<string>();
    for (const pattern of patterns) {
      const stat = isDynamicPattern(pattern) ? undefined : statOf(pattern);
      if (stat?.isSymbolicLink()) this.#skip(pattern, 'it is a symbolic link; name the folder that it leads to');
      const paths = isDynamicPattern(pattern)
        ? await glob(pattern, {
            cwd: '/',
            absolute: true,
            onlyDirectories: true,
            followSymbolicLinks: false,
            expandDirectories: false,
            dot: true,
          })
        : stat?.isDirectory()
          ? [pattern]
          : [];
      for (const path of paths) found.add(realOr(path.replace(/\/+$/, '')));
      if (paths.length === 0 && !stat?.isSymbolicLink()) this.#facts.notes.push(`targets: there is no ${pattern}.`);
    }
    return [...found].filter((target) => {
      const problem =
        whyNoCache(target, this.#around) ??
        (isTarget(target) ? undefined : 'cargo has not marked it as a target (CACHEDIR.TAG and .rustc_info.json)') ??
        caches
          .filter((cache) => target === cache || isBelow(target, cache) || isBelow(cache, target))
          .map((cache) => `it lies in ${cache}, or the other way round`)[0];
      if (problem) this.#skip(target, problem);
      return !problem;
    });
  }

  /** Cargo takes a relative one from where it is started: for a job, that is its workspace. */
  #targetOfEnvironment(): string[] {
    const { CARGO_TARGET_DIR: path } = this.#env;
    if (!path) return [];
    if (isAbsolute(path)) return [path];
    const { workspace } = this.#around;
    if (workspace && isAbsolute(workspace)) return [join(workspace, path)];
    this.#facts.notes.push(`CARGO_TARGET_DIR ${path} is relative, and to what is not known: it is left alone.`);
    return [];
  }

  /** What the Cargo.lock files name. `wanted`: whether there is a home of cargo that it is about. */
  async #keepSet(targets: string[], runner: string | undefined, wanted: boolean): Promise<KeepSet> {
    const keep = new KeepSet();
    const { lockFiles, protect } = this.#inputs;
    if (protect === 'none') return keep;
    const { earlier } = this.#facts;
    for (const { path, crates, commits } of Object.values(earlier.locks)) {
      keep.add({ crates: new Set(crates), commits: new Set(commits) }, path);
    }
    const { given, found } = await this.#lockFiles(targets, runner);
    for (const path of new Set([...given, ...found])) {
      const needed = readLockFile(path);
      if (typeof needed === 'string') {
        // Unread, it may need anything: where people asked for protection, that is no reason to go on. One that a dead job
        // left half written is nobody's any more.
        if (protect === 'locked' && given.includes(path))
          throw new ExpectedError(
            `The lock file ${path} cannot be read: ${needed}.`,
            'Nothing was touched.',
            'Mend it, or leave it out of lock-files.',
          );
        this.#skip(path, `it cannot be read: ${needed}`);
        continue;
      }
      keep.add(needed, path);
      const [hash, lock] = remember(path, needed, this.#facts.now);
      earlier.locks[hash] = lock;
      this.#facts.lockFiles.push(path);
    }
    if (lockFiles && given.length === 0) {
      const text = `lock-files: nothing matches ${lockFiles.join(', ')}.`;
      if (protect === 'locked')
        throw new ExpectedError(text, 'Nothing was touched.', 'Correct lock-files, or choose protect: last.');
      this.#facts.notes.push(text);
    } else if (wanted && Object.keys(earlier.locks).length === 0) this.#nothingProtected();
    return keep;
  }

  /** `given`: those that somebody named, or whose repository is checked out here; `found`: those in other workspaces. */
  async #lockFiles(targets: string[], runner: string | undefined): Promise<Record<'given' | 'found', string[]>> {
    const { lockFiles } = this.#inputs;
    if (lockFiles) {
      const globs = lockFiles.map((pattern) => expandHome(pattern, this.#around));
      const options = { cwd: '/', absolute: true, followSymbolicLinks: false, expandDirectories: false, dot: true };
      return { given: await glob(globs, options), found: [] };
    }
    const inside = (folders: string[]) =>
      folders
        .flatMap((folder) => [folder, ...foldersIn(folder).map((name) => join(folder, name))])
        .map((folder) => join(folder, 'Cargo.lock'));
    const there = (paths: string[]) => paths.filter((path) => statOf(path)?.isFile());
    const here = this.#facts.workspace;
    const jobs = foldersIn(runner ?? '').map((name) => join(runner ?? '', name, 'hostexecutor'));
    return {
      given: there([...targets.map((target) => join(dirname(target), 'Cargo.lock')), ...inside(here ? [here] : [])]),
      found: there(inside(jobs)),
    };
  }

  #nothingProtected(): void {
    const { protect } = this.#inputs;
    const text =
      'No Cargo.lock was found beside the targets, in the workspace or in the folder of the runner, and none is remembered';
    const todo = 'Check the repository out before this step, or name its Cargo.lock in lock-files';
    if (protect === 'locked')
      throw new ExpectedError(
        `protect: locked has nothing to go by: ${text}.`,
        'Nothing was touched.',
        `${todo}; or choose protect: last.`,
      );
    this.#facts.notes.push(`${text}: protect holds nothing back. ${todo}.`);
  }

  async #cargoHome(root: string, keep: KeepSet): Promise<void> {
    const place: Place = {
      kind: 'cargo-home',
      root,
      locks: [mutateLock(root), packageLock(root)],
      trash: join(root, '.gbo-trash'),
      device: statOf(root)?.dev ?? 0,
    };
    this.#facts.places.push(place);
    this.#facts.cargoHome = root;
    this.#facts.databaseAt = databaseTime(root);
    const database = await readCargoDatabase(root, this.#inputs.waitMs);
    if (typeof database === 'string') this.#facts.notes.push(`${database}; sizes and times are read from the files.`);
    const known = typeof database === 'string' ? undefined : database;
    const items = surveyCargoHome(place, known, keep, accessTimes(this.#mounts, root));
    this.#facts.items.push(...items);
    this.#sayProtected(items);
  }

  /** Said in each run: a protection that protects less than somebody believes shows in nothing else. */
  #sayProtected(items: Item[]): void {
    const { lockFiles, earlier } = this.#facts;
    const locks = Object.keys(earlier.locks).length;
    if (this.#inputs.protect === 'none' || locks === 0) return;
    const needed = (kind: Kind) => items.filter((item) => item.kind === kind && item.neededBy).length;
    this.#facts.notes.push(
      `What Cargo.lock files protect: ${needed('crate')} crates and ${needed('repository')} git repositories, by ${locks} different ${locks === 1 ? 'file' : 'files'}, those of earlier runs included (read now: ${lockFiles.length}).`,
    );
  }

  async #targetItems(targets: string[]): Promise<void> {
    if (targets.length === 0) return;
    const compilers =
      this.#inputs.toolchains === 'installed' ? await compilerNumbers(this.#env, this.#around.home) : undefined;
    if (this.#inputs.toolchains === 'installed' && !compilers) {
      this.#facts.notes.push(
        'Which toolchains are installed could not be told: what they built is judged by its age alone.',
      );
    }
    for (const target of targets) {
      const times = accessTimes(this.#mounts, target);
      if (times === 'none')
        this.#facts.notes.push(
          `${target} is mounted without access times: what was built once and only read since counts as old.`,
        );
      if (times === 'daily')
        this.#facts.notes.push(
          `${target} is mounted with relatime, which shows one read a day: a unit that was read goes a day and min-age after that at the earliest.`,
        );
      for (const place of profilesOf(target, statOf(target)?.dev ?? 0)) {
        this.#facts.places.push(place);
        this.#facts.items.push(...surveyProfile(place, { accessTimes: times, compilers }));
      }
    }
  }

  async #sccache(root: string, home: string | undefined): Promise<void> {
    const place: Place = {
      kind: 'sccache',
      root,
      locks: home ? [mutateLock(home)] : [],
      trash: '',
      device: statOf(root)?.dev ?? 0,
    };
    this.#facts.places.push(place);
    this.#facts.items.push(...surveySccache(place));
    const server = serverOf(root);
    if (server) this.#facts.sccache = await statsOf(server);
  }

  #runner(root: string): void {
    const place: Place = {
      kind: 'runner',
      root,
      locks: [],
      trash: join(root, '.gbo-trash'),
      device: statOf(root)?.dev ?? 0,
    };
    this.#facts.places.push(place);
    this.#facts.items.push(...surveyRunner(place, this.#facts.workspace, processes()));
  }

  /** What lies behind a symbolic link is outside. */
  #leaveLinksAlone(): void {
    const known = new Map<string, boolean>();
    const elsewhere = new Set<string>();
    this.#facts.items = this.#facts.items.filter((item) => {
      const outside = pathsOf(item).find((path) => !liesThere(path, known));
      if (outside) elsewhere.add(dirname(outside));
      return !outside;
    });
    for (const folder of elsewhere) this.#skip(folder, 'it is reached by a symbolic link');
  }

  /** What is mounted inside a cache is somebody's, even from the same disk. */
  #leaveMountsAlone(): void {
    const mounts = new Map(this.#facts.places.map(({ root }) => [root, mountsBelow(this.#mounts, root)]));
    if ([...mounts.values()].every((points) => points.length === 0)) return;
    this.#facts.items = this.#facts.items.filter((item) => {
      const mount = pathsOf(item)
        .flatMap((path) =>
          (mounts.get(item.place.root) ?? []).filter(
            (point) => point === path || isBelow(point, path) || isBelow(path, point),
          ),
        )
        .at(0);
      if (mount) this.#skip(join(item.place.root, item.path), `something is mounted at ${mount}`);
      return !mount;
    });
  }

  #disks(): void {
    const disks = new Map<number, Disk>();
    for (const { device, root } of this.#facts.places) {
      if (disks.has(device)) continue;
      const space = spaceOf(root); // else it is gone by now; another place on its disk may still be there
      if (space) disks.set(device, { device, path: root, ...space });
    }
    this.#facts.disks = [...disks.values()];
  }

  #trash(): void {
    const folders = new Set(this.#facts.places.map(({ trash }) => trash).filter(Boolean));
    this.#facts.trash = [...folders].filter((folder) => statOf(folder)?.isDirectory());
  }

  #skip(path: string, reason: string): void {
    this.#facts.skipped.push(`${path}: ${reason}`);
  }
}

/** Every path of a thing, absolute. */
export function pathsOf({ place, path, also = [] }: Item): string[] {
  return [path, ...also].map((each) => `${place.root}/${each}`);
}

function looksLikeCargoHome(folder: string): boolean {
  return namesIn(folder).some((name) => ['registry', 'git', '.package-cache'].includes(name));
}
