import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { figures, goal, interleave, type Part, type Settings } from '../measure.js';
import { makeDisk } from './disk.js';
import { Home, oldOnes } from './home.js';
import { ours } from './ours.js';
import { peers } from './peers.js';

const waiter = fileURLToPath(new URL('./waiter.py', import.meta.url));
const names = {
  nothing: 'nothing done, for 2 s: longest wait',
  ours: 'ours: longest wait',
  total: 'ours: all waits together',
  told: 'ours: what it says of itself',
  gc: 'cargo clean gc: longest wait',
};

/** How long does a cargo wait for `.package-cache-mutate` while things are evicted? */
export async function lock(settings: Settings): Promise<Part> {
  const crates = settings.quick ? 180 : 3750;
  const victims = 2 * oldOnes(crates);
  const disk = await makeDisk(100_000);
  const path = join(disk.path, 'home');
  const fresh = async () => {
    rmSync(path, { recursive: true, force: true });
    await new Home(path, 5).grow(crates, false);
  };
  try {
    const samples = await interleave(settings, [
      {
        name: names.nothing,
        before: fresh,
        run: async () => ({
          [names.nothing]: (await waits(path, () => new Promise((resolve) => setTimeout(resolve, 2000)))).longest,
        }),
      },
      {
        name: 'ours',
        before: fresh,
        run: async () => {
          let told = 0;
          const { longest, total } = await waits(path, async () => {
            const { report } = await ours({ 'cargo-home': path, 'max-age': '30d' });
            const moved = (report.places ?? []).reduce((sum, place) => sum + place.moved, 0);
            if (moved !== victims)
              throw new Error(`${moved} things were moved, not ${victims}: ${JSON.stringify(report.places)}`);
            told = report.longestLockMs ?? Number.NaN;
          });
          return { [names.ours]: longest, [names.total]: total, [names.told]: told };
        },
      },
      {
        name: 'cargo clean gc',
        before: fresh,
        run: async () => ({ [names.gc]: (await waits(path, () => peers.cargoGc(path, 30, false))).longest }),
      },
    ]);
    return {
      title: `Lock: how long a cargo waits while ${victims} things are evicted`,
      figures: figures(samples),
      goals: [goal(names.ours, samples.get(names.ours) ?? [], { atMost: 50 }, { unit: 'ms' })],
      notes: [
        'The waiter takes the lock shared, lets go, and comes again half a millisecond later, as a build would that begins at any time.',
        'cargo clean gc deletes while it holds the lock.',
      ],
    };
  } finally {
    await disk.remove();
  }
}

async function waits(home: string, action: () => Promise<unknown>): Promise<{ longest: number; total: number }> {
  const child = spawn('python3', [waiter, join(home, '.package-cache-mutate')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  await lines.next();
  try {
    await action();
  } finally {
    child.stdin.end();
  }
  const { value } = await lines.next();
  await ended;
  return JSON.parse(value);
}
