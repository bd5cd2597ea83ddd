import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../../testbed/cargo.js';
import { type Sccache, sccacheEnv, sccaches, startSccache } from '../../../testbed/sccache.js';
import { installMissing } from '../../../testbed/systemd.js';
import { startWorld, type World } from '../harness.js';

const execute = promisify(execFile);

/** The system calls by which it changes anything. */
const calls = ['mkdir', 'rename', 'unlink', 'rmdir'] as const;
type Call = (typeof calls)[number];

const places = ['target', 'cargo-home', 'sccache', 'runner-dir'] as const;
type Place = (typeof places)[number];

let world: World;
let project: string;
let folders: Record<Place, string>;
let saved: string;
let through: Record<string, string>;
let sccache: Sccache;

beforeAll(async () => {
  await installMissing(['strace', 'flock']);
  world = await startWorld();
  project = await world.workspace('acme-a', { crates: 4 });
  folders = {
    target: join(project, 'target'),
    'cargo-home': world.cargoHome,
    sccache: join(world.root, 'sccache'),
    'runner-dir': join(world.root, 'runner'),
  };
  const [old] = await sccaches();
  if (!old) throw new Error('sccache is not there');
  sccache = old;
  through = { ...(await sccacheEnv(sccache, folders.sccache)), CARGO_BUILD_JOBS: '1' };
  await startSccache(sccache, '/', { ...world.env, ...through });
  const own = { ...through, CARGO_TARGET_DIR: join(world.root, 'other') };
  expect(await world.cargo(['build', '--quiet'], project, own)).toMatchObject({ code: 0 });
  await run(sccache.path, ['--stop-server'], '/', { ...world.env, ...through });
  expect(await world.cargo(['build', '--quiet'], project)).toMatchObject({ code: 0 });
  for (const id of ['dead0000', 'dead1111']) {
    await mkdir(join(folders['runner-dir'], id, 'hostexecutor/src'), { recursive: true });
    for (const name of ['a', 'b', 'c'])
      await writeFile(join(folders['runner-dir'], id, 'hostexecutor/src', name), 'text');
  }
  saved = join(world.root, 'saved');
  await mkdir(saved);
  for (const place of places) await execute('cp', ['-a', folders[place], join(saved, place)]);
});
afterAll(async () => {
  if (through) await run(through.RUSTC_WRAPPER ?? '', ['--stop-server'], '/', { ...world.env, ...through });
  await world?.stop();
});

async function restore(place: Place): Promise<void> {
  await rm(folders[place], { recursive: true, force: true });
  await rm(join(world.home, '.cache'), { recursive: true, force: true });
  await execute('cp', ['-a', join(saved, place), folders[place]]);
}

/** With room for nothing in one place, and the others left alone. */
function inputsOf(place: Place): Record<string, string> {
  const rest = Object.fromEntries(['cargo-home', 'sccache-dir', 'runner-dir', 'targets'].map((name) => [name, 'none']));
  const name = { target: 'targets', 'cargo-home': 'cargo-home', sccache: 'sccache-dir', 'runner-dir': 'runner-dir' }[
    place
  ];
  return { ...rest, [name]: folders[place], protect: 'none', 'max-size': '0', 'max-age': '1h', toolchains: 'any' };
}

/** One thread deletes, so that the n-th call is the same one each time. */
const options = { later: '+26h', env: { UV_THREADPOOL_SIZE: '1' } } as const;

/** With all of its threads; but then also an sccache server that it starts, which would not end. There, one thread does all. */
function traced(place: Place, ...more: string[]): string[] {
  return ['strace', ...(place === 'sccache' ? [] : ['-f']), '-qq', ...more];
}

/** How often the thread that does it most makes each of the calls in a run that nobody disturbs. */
async function countCalls(place: Place): Promise<Record<Call, number>> {
  const file = join(world.root, 'trace');
  const { code } = await world.clean(inputsOf(place), {
    ...options,
    through: traced(place, '-o', file, '-e', `trace=${calls.join()}`),
  });
  expect(code).toBe(0);
  const counts = new Map<string, number>();
  for (const [, thread, call] of readFileSync(file, 'utf8').matchAll(/^(?:(\d+) +)?(\w+)\(/gm)) {
    counts.set(`${call} ${thread}`, (counts.get(`${call} ${thread}`) ?? 0) + 1);
  }
  const most = (call: Call) =>
    Math.max(0, ...[...counts].filter(([key]) => key.startsWith(`${call} `)).map(([, count]) => count));
  return Object.fromEntries(calls.map((call) => [call, most(call)])) as Record<Call, number>;
}

/** First, middle and last of so many; of those calls after which nothing is in between, one. */
function sample(call: Call, count: number): number[] {
  const chosen = call === 'rename' || call === 'unlink' ? [1, Math.ceil(count / 2), count] : [count];
  return [...new Set(chosen)].filter((each) => each >= 1);
}

async function expectLocksFree(place: Place): Promise<void> {
  const locks = [
    join(world.home, '.cache/gbo-cache-clean/lock'),
    ...['.package-cache-mutate', '.package-cache'].map((name) => join(world.cargoHome, name)),
    ...['.cargo-lock', '.cargo-build-lock'].map((name) => join(folders.target, 'debug', name)),
  ].filter(existsSync);
  // Whoever held them for us ends when it finds that we are gone, which takes it a moment.
  await sleep(100);
  for (const lock of locks)
    await expect(execute('flock', ['-n', '-x', lock, 'true']), `${place}: ${lock}`).resolves.toBeDefined();
}

async function expectGreen(place: Place, step: string): Promise<void> {
  if (place === 'sccache') await startSccache(sccache, '/', { ...world.env, ...through });
  const ran = await world.cargo(
    ['build', '--quiet'],
    project,
    place === 'sccache' ? { ...through, CARGO_TARGET_DIR: join(world.root, 'other') } : {},
  );
  expect({ step, ...ran }).toEqual({ step, code: 0, output: '' });
}

async function expectFinished(place: Place, step: string): Promise<void> {
  const { code, log, report } = await world.clean(inputsOf(place), options);
  expect({ step, code, problems: report?.problems }, log).toEqual({ step, code: 0, problems: [] });
  expect(readdirSync(folders[place]), step).not.toContain('.gbo-trash');
}

test.each(places)(
  'killed before the first, a middle and the last call of each kind in %s, it leaves no lock, the next build is green, the next run ends the work',
  async (place) => {
    await restore(place);
    const counts = await countCalls(place);
    let killed = 0;
    for (const call of calls) {
      for (const when of sample(call, counts[call])) {
        const step = `before ${call} ${when} of ${counts[call]}`;
        await restore(place);
        if (place === 'sccache') await rm(join(world.root, 'other'), { recursive: true });
        const { signal } = await world.clean(inputsOf(place), {
          ...options,
          through: traced(
            place,
            '-o',
            '/dev/null',
            '-e',
            `trace=${call}`,
            '-e',
            `inject=${call}:signal=SIGKILL:when=${when}`,
          ),
        });
        expect([step, signal]).toEqual([step, 'SIGKILL']);
        killed++;
        await expectLocksFree(place);
        // Whoever comes first after it, a build or the next run.
        if (killed % 2) await expectGreen(place, step);
        await expectFinished(place, step);
        if (killed % 2 === 0) await expectGreen(place, step);
      }
    }
    expect(killed).toBeGreaterThanOrEqual(place === 'sccache' ? 5 : 6);
  },
);

test.each(['target', 'cargo-home'] as const)(
  'told to end while it moves things out of %s, it says so in one sentence, deletes what it has moved and leaves the rest',
  async (place) => {
    await restore(place);
    const { rename } = await countCalls(place);
    await restore(place);
    const when = Math.ceil(rename / 2);
    const { code, log } = await world.clean(inputsOf(place), {
      ...options,
      through: traced(
        place,
        '-o',
        '/dev/null',
        '-e',
        'trace=rename',
        '-e',
        `inject=rename:signal=SIGTERM:when=${when}`,
      ),
    });
    expect(code).toBe(1);
    expect(log).toContain('Cancelled by SIGTERM. What was moved out is deleted; the rest is as it was.');
    expect(log).not.toContain('Unexpected');
    expect(readdirSync(folders[place])).not.toContain('.gbo-trash');
    await expectLocksFree(place);
    await expectGreen(place, 'SIGTERM');
  },
);
