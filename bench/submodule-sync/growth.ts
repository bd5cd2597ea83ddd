import { start } from '../../action-submodule-sync/test/harness.js';
import { type Contender, excesses, figures, goal, interleave, type Part, ratios, type Settings } from '../measure.js';
import { inputsFor } from './contenders.js';
import type { Forges } from './forges.js';
import { watchMemory } from './memory.js';
import { commitAt } from './mixed.js';

/** Most pins are the tip or close to it. */
const DISTANCES = [0, 0, 0, 1, 3, 10];

/** Measured in November 2026 on Node 20, with a forced collection every 100 ms. */
const garbage =
  'It is garbage that node had no need to collect yet: what is alive after a collection grows from 9.2 to 9.7 MB from 11 to 200 submodules, and the room that V8 takes for young garbage is not let grow (main.ts).';

/** Time and memory by the number of submodules, each asked about on two remotes. */
export async function growth(settings: Settings, forges: Forges): Promise<Part> {
  const sizes = settings.quick ? [3, 11, 22] : [11, 50, 200];
  const names = Array.from({ length: Math.max(...sizes) }, (_, index) => `growth-${index}`);
  await forges.publish(forges.template, names);
  const commits = await Promise.all(DISTANCES.map((distance) => commitAt(forges.template, `main~${distance}`)));
  const pins = names.map((path, index) => ({ path, sha: commits[index % commits.length] ?? '' }));
  const contenders = await Promise.all(
    sizes.map(async (size): Promise<Contender> => {
      const root = await forges.root(pins.slice(0, size));
      return {
        name: String(size),
        async run() {
          const began = performance.now();
          const { child, finished } = start(inputsFor(forges, root, 'near'));
          const stop = watchMemory(child.pid ?? 0);
          const { report, log } = await finished;
          const ms = performance.now() - began;
          const { tree, own } = stop();
          const right = report?.matrix.filter(({ state }) => state === 'PUSHED').length;
          if (right !== size * 2) throw new Error(log);
          return { [`${size}`]: ms, [`${size}, MB of all`]: tree, [`${size}, MB of node`]: own };
        },
      };
    }),
  );
  const samples = await interleave(settings, contenders);
  const [least = 0, middle = 0, most = 0] = sizes;
  const compared = (text: string, figure: string, than: string, atMost: number, reason?: string) =>
    goal(text, ratios(samples, figure, than), { atMost }, { reason });
  return {
    title: `Growth: ${sizes.join(', ')} submodules on two remotes, loopback`,
    figures: figures(samples).map((figure) => ({ ...figure, unit: figure.name.includes('MB') ? 'MB' : 'ms' })),
    goals: [
      compared(`time, ${most} / ${middle} submodules`, `${most}`, `${middle}`, (1.1 * most) / middle),
      compared(`memory of node, ${most} / ${least}`, `${most}, MB of node`, `${least}, MB of node`, 1.25, garbage),
      compared(`memory of all processes, ${most} / ${least}`, `${most}, MB of all`, `${least}, MB of all`, 1.25),
      goal(
        `memory of node, more for each submodule from ${least} to ${most}`,
        excesses(samples, `${most}, MB of node`, `${least}, MB of node`).map((more) => more / (most - least)),
        undefined,
        { unit: 'MB' },
      ),
    ],
    notes: [
      `Linear: ${most} submodules take at most 1.1 times ${(most / middle).toFixed(1)} times what ${middle} take.`,
      'Memory is the most that was resident at once: of node as the kernel counts it, of all processes as seen every 20 ms; what these share is counted for each.',
    ],
  };
}
