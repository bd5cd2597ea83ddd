import { existsSync, readFileSync } from 'node:fs';
import { symlink, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ran, run, toolchainsHere } from '../../testbed/cargo.js';
import { type Sccache, sccacheEnv, startSccache } from '../../testbed/sccache.js';
import { decode } from '../src/cargo-database.js';
import { startWorld, type World } from './harness.js';

export interface Stress {
  /** Runs of cargo by what they did, such as `build`. */
  cargos: Record<string, number>;
  /** What failed, with cargo's own words. */
  failed: string[];
  /** Runs of the action by result. */
  runs: Record<string, number>;
  /** Things it moved out, by kind. */
  evicted: Record<string, number>;
  /** Crates that cargo fetched again. */
  downloads: number;
  longestLockMs: number;
  longestCargoMs: number;
}

/** What has to go at least once. */
export const kinds = ['unit', 'source', 'crate', 'checkout', 'repository', 'object'];

interface Loop {
  name: string;
  folder: string;
  env: Record<string, string>;
}

/** What a build job does. The tests wait a little, and hold no lock of cargo meanwhile. */
const commands = [['build'], ['test', '--quiet'], ['check'], ['build', '--release'], ['test', '--no-run'], ['run']];

/**
 * Real cargos in three workspaces with one home, two of them with one target, one of them with another toolchain where there
 * is one, through one sccache; and meanwhile the action, again and again, with room for nothing and nobody protected.
 */
export async function stress(ms: number, sccache: Sccache, say: (line: string) => void): Promise<Stress> {
  const world = await startWorld();
  const cache = join(world.root, 'sccache');
  const through = await sccacheEnv(sccache, cache);
  try {
    const result: Stress = {
      cargos: {},
      failed: [],
      runs: {},
      evicted: {},
      downloads: 0,
      longestLockMs: 0,
      longestCargoMs: 0,
    };
    const loops = await makeLoops(world, through);
    // As people do in front of a build: with an old one, several compilers that start it at once fail by themselves.
    await startSccache(sccache, '/', { ...world.env, ...through });
    const targets = [join(world.root, 'shared'), join(world.root, 'acme-c/target')];
    const inputs = {
      targets: targets.join('\n'),
      'sccache-dir': cache,
      'runner-dir': 'none',
      'max-size': '0',
      toolchains: 'any',
    };
    const end = Date.now() + ms;
    // Longer on a machine so busy that not everything had its turn: what was never evicted was not shown.
    const goesOn = () => Date.now() < end || (Date.now() < end + 4 * ms && kinds.some((kind) => !result.evicted[kind]));
    const rest = restOf(loops.length, goesOn);
    await Promise.all([
      ...loops.map((loop, index) => build(world, loop, index, goesOn, result, rest)),
      clean(world, { ...inputs, protect: 'none', wait: '5s' }, goesOn, result, say),
    ]);
    result.downloads = world.downloads();
    await afterwards(world, inputs, loops, result);
    return result;
  } finally {
    await run(sccache.path, ['--stop-server'], '/', { ...world.env, ...through });
    await world.stop();
  }
}

async function makeLoops(world: World, through: Record<string, string>): Promise<Loop[]> {
  const shared = { CARGO_TARGET_DIR: join(world.root, 'shared') };
  const other = (await toolchainsHere()).at(1);
  if (other) await symlink(dirname(other), join(world.rustupHome, 'toolchains', basename(dirname(other))));
  return [
    { name: 'acme-a', folder: await world.workspace('acme-a'), env: { ...shared, ...through } },
    { name: 'acme-b', folder: await world.workspace('acme-b', { crates: 12 }), env: shared },
    {
      name: 'acme-c',
      folder: await world.workspace('acme-c', { crates: 10, git: false }),
      env: { ...through, ...(other ? { PATH: `${other}:${world.env.PATH}` } : {}) },
    },
  ];
}

async function build(
  world: World,
  { name, folder, env }: Loop,
  index: number,
  goesOn: () => boolean,
  result: Stress,
  rest: Rest,
) {
  for (let round = 0; goesOn(); round++) {
    const args = commands[(round + index) % commands.length] ?? [];
    const began = Date.now();
    const ran = await world.cargo(args, folder, { ...env, WAIT: String(round % 3) });
    result.longestCargoMs = Math.max(result.longestCargoMs, Date.now() - began);
    count(result.cargos, args[0] ?? '');
    const trouble = troubleIn(ran);
    if (trouble) result.failed.push(`${name}: cargo ${args.join(' ')}: ${trouble}`);
    if (round % 2) await utimes(join(folder, 'src/lib.rs'), new Date(), new Date());
    if (round % 2) await rest();
  }
}

type Rest = () => Promise<void>;

/**
 * Now and then nobody builds, as on any runner: else nothing could ever go. The builds begin again while the action is at work,
 * each time at another moment of it.
 */
function restOf(loops: number, goesOn: () => boolean): Rest {
  let waiting = 0;
  let rests = 0;
  let until = Promise.resolve<unknown>(undefined);
  let begin = () => {};
  return async () => {
    if (waiting === 0) until = new Promise<void>((resolve) => (begin = resolve));
    const mine = until;
    waiting += 1;
    if (waiting === loops) {
      waiting = 0;
      setTimeout(begin, 1500 + (rests++ % 6) * 400);
    }
    // The others may have ended meanwhile, and come no more.
    let over = false;
    void mine.then(() => (over = true));
    while (!over && goesOn()) await sleep(100);
  };
}

/** Cargo goes on past a damaged database, and past a server of sccache that fails; neither may be. */
function troubleIn({ code, output }: Ran): string | undefined {
  if (code !== 0 || /last-use data|failed to|sccache: (error|warning)/.test(output))
    return `exit ${code}\n${output.slice(-3000)}`;
  return undefined;
}

async function clean(
  world: World,
  inputs: Record<string, string>,
  goesOn: () => boolean,
  result: Stress,
  say: (line: string) => void,
): Promise<void> {
  while (goesOn()) {
    const { code, log, report } = await world.clean(inputs);
    if (code !== 0 || !report) {
      result.failed.push(`the action: exit ${code}\n${log.slice(-3000)}`);
      return;
    }
    count(result.runs, report.result);
    result.longestLockMs = Math.max(result.longestLockMs, report.longestLockMs ?? 0);
    for (const problem of report.problems) result.failed.push(`the action: ${problem}`);
    for (const { kinds } of report.places ?? [])
      for (const [kind, number] of Object.entries(kinds)) count(result.evicted, kind, number);
    say(`${report.result}: ${JSON.stringify(report.places?.map(({ kinds, stayed }) => ({ ...kinds, ...stayed })))}`);
    await sleep(200);
  }
}

/** With what the lock files name protected, all of it builds without the network once it was fetched. */
async function afterwards(world: World, inputs: Record<string, string>, loops: Loop[], result: Stress): Promise<void> {
  for (const { name, folder, env } of loops) {
    const trouble = troubleIn(await world.cargo(['build'], folder, env));
    if (trouble) result.failed.push(`${name} at the end: ${trouble}`);
  }
  const lockFiles = loops.map(({ folder }) => join(folder, 'Cargo.lock')).join('\n');
  const { code, log } = await world.clean({ ...inputs, protect: 'locked', 'lock-files': lockFiles, wait: '10s' });
  if (code !== 0) result.failed.push(`the action, at the end: exit ${code}\n${log}`);
  for (const { name, folder, env } of loops) {
    const trouble = troubleIn(await world.cargo(['build', '--offline', '--locked'], folder, env));
    if (trouble) result.failed.push(`${name} without the network: ${trouble}`);
  }
  const database = join(world.cargoHome, '.global-cache');
  if (!existsSync(database)) return; // an old cargo
  try {
    if (decode(readFileSync(database)).crates.size === 0) result.failed.push("cargo's database is empty");
  } catch (error) {
    result.failed.push(`cargo's database: ${String(error)}`);
  }
}

function count(counts: Record<string, number>, name: string, by = 1): void {
  counts[name] = (counts[name] ?? 0) + by;
}
