import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Contender,
  type Figure,
  figures,
  type Goal,
  goal,
  interleave,
  type Limit,
  most,
  output,
  type Part,
  ratios,
  type Settings,
} from '../measure.js';
import { makeDisk } from './disk.js';
import { FILES, Home, oldOnes } from './home.js';
import { ours } from './ours.js';
import { installPeers, peers } from './peers.js';

const targetScript = fileURLToPath(new URL('./make-target.py', import.meta.url));
const DAYS = 30;

const names = {
  plan: "ours, plan by cargo's database",
  walk: 'ours, plan without that database',
  du: 'du -s',
  gc: 'cargo clean gc --dry-run',
  cache: 'cargo-cache --dry-run',
  target: 'ours, plan of a target',
  sweepSize: 'cargo-sweep --dry-run --maxsize',
  sweepTime: 'cargo-sweep --dry-run --time',
};

/** Measured in November 2026 on 2 cores. */
const kernelWalk =
  "du -s walks the 300,000 files in 0.65 s on an Intel Xeon, nearly all of it in the kernel; ours takes 0.33 s there, a third of it node's start and the loading of the bundle: at the edge of the goal, which it misses beside other load. On an AMD EPYC the ratio was 0.41 with slower code.";

/** Says what nobody used for 30 days, in a home and a target of many files; how that grows with the files, in time and memory. */
export async function plan(settings: Settings): Promise<Part> {
  const here = await installPeers(settings.say);
  const [small = 0, middle = 0, large = 0] = (
    settings.quick ? [3_000, 10_000, 30_000] : [30_000, 300_000, 1_000_000]
  ).map((files) => files / FILES);
  const units = settings.quick ? 300 : 3000;
  const disk = await makeDisk(1_500_000);
  try {
    const home = new Home(join(disk.path, 'home'));
    const peaks: number[] = [];
    const planOf = (name: string, crates: number): Contender => ({
      name,
      run: async () => ({ [name]: await dryRun({ 'cargo-home': home.path }, 2 * oldOnes(crates), peaks) }),
    });
    const peer = (name: string, run: () => Promise<unknown>): Contender => ({
      name,
      run: async () => {
        const began = performance.now();
        await run();
        return { [name]: performance.now() - began };
      },
    });

    await home.grow(small, true);
    const first = await interleave(settings, [planOf(`${names.plan}, ${small * FILES} files`, small)]);

    await home.grow(middle, true);
    const project = join(disk.path, 'project');
    const now = String(Math.floor(Date.now() / 1000) - 43_200);
    await output('python3', [targetScript, project, String(units), now]);
    await peers.du(disk.path); // read once by everybody's leave
    const without: Contender = {
      name: names.walk,
      run: async () => {
        renameSync(home.database, `${home.database}.away`);
        try {
          const { ms, peak } = await ours({ 'cargo-home': home.path, 'dry-run': 'true', 'max-age': `${DAYS}d` });
          peaks.push(peak);
          return { [names.walk]: ms };
        } finally {
          renameSync(`${home.database}.away`, home.database);
        }
      },
    };
    const second = await interleave(settings, [
      peer(names.du, () => peers.du(home.path)),
      planOf(names.plan, middle),
      peer(names.gc, () => peers.cargoGc(home.path, DAYS)),
      ...(here.has('cargo-cache') ? [peer(names.cache, () => peers.cargoCache(home.path, DAYS))] : []),
      without,
      {
        name: names.target,
        run: async () => ({
          [names.target]: await dryRun({ targets: join(project, 'target'), toolchains: 'any' }, oldOnes(units), peaks),
        }),
      },
      ...(here.has('cargo-sweep')
        ? [
            peer(names.sweepSize, () => peers.cargoSweep(project, { megabytes: 1 })),
            peer(names.sweepTime, () => peers.cargoSweep(project, { days: DAYS })),
          ]
        : []),
    ]);

    await home.grow(large, false);
    const third = await interleave(settings, [planOf(`${names.plan}, ${large * FILES} files`, large)]);

    const samples = new Map([...first, ...second, ...third]);
    const compared = (one: string, other: string, limit?: Limit, reason?: string) =>
      goal(`${one} / ${other}`, ratios(samples, one, other), limit, { reason });
    const faster = (slow: string, fast: string): Goal[] =>
      samples.has(slow) ? [compared(slow, fast, { atLeast: 1 })] : [];
    const growth = (more: number, less: number): Goal => {
      const sizeOf = (crates: number) => (crates === middle ? names.plan : `${names.plan}, ${crates * FILES} files`);
      const text = `time for ${more * FILES} files / for ${less * FILES}`;
      return goal(text, ratios(samples, sizeOf(more), sizeOf(less)), { atMost: more / less });
    };
    const memory: Figure = { name: 'ours, memory of every run', unit: 'MB', values: peaks };
    return {
      title: `Plan: what nobody used for ${DAYS} days in a cargo home of ${middle * FILES} files, and in a target of ${units * 20}`,
      figures: [...figures(samples), memory],
      goals: [
        compared(names.plan, names.du, { atMost: 0.5 }, kernelWalk),
        ...faster(names.gc, names.plan),
        ...faster(names.cache, names.plan),
        ...faster(names.sweepSize, names.target),
        ...faster(names.sweepTime, names.target).map(({ limit: _, ...told }) => told),
        compared(names.walk, names.du),
        growth(middle, small),
        growth(large, middle),
        goal(memory.name, peaks, { atMost: 300 }, { unit: 'MB', counts: most }),
      ],
      notes: [
        'Every contender is a whole process, and the files were read before: what is measured is work, not the disk.',
        `Two thirds of the ${middle} crates are ${DAYS} days old. cargo clean gc is asked for the same ones, and counts their files one by one.`,
        'cargo-cache goes by the access times of all files, and cannot be asked for sources and archives by their last use in the database. cargo-sweep knows targets alone.',
        'cargo-sweep --maxsize and ours know the size of everything in the target afterwards; cargo-sweep --time that of its victims alone.',
        'The sources are empty files: nobody reads what is in them.',
        `Peers that were here: cargo${[...here].map((name) => `, ${name}`).join('')}.`,
      ],
    };
  } finally {
    await disk.remove();
  }
}

/** Time of the bundle's dry run, in ms; it must have found what is there to be found. */
async function dryRun(inputs: Record<string, string>, victims: number, peaks: number[]): Promise<number> {
  const { ms, peak, report } = await ours({ ...inputs, 'dry-run': 'true', 'max-age': `${DAYS}d` });
  if (report.victimCount !== victims) throw new Error(`${report.victimCount} things would go, not ${victims}`);
  peaks.push(peak);
  return ms;
}
