import { goal, interleave, least, most, type Part, type Settings } from '../measure.js';
import { contender, ours } from './contenders.js';
import type { Forges } from './forges.js';
import { writeHistory } from './history.js';
import { commitAt, withUnits } from './mixed.js';

/** A pin far behind in a long history with merges: a yes must not need all of it. */
export async function deep(settings: Settings, forges: Forges): Promise<Part> {
  const [commits, behind] = settings.quick ? [5_000, 200] : [50_000, 2_000];
  const repository = await forges.empty('deep');
  await writeHistory(repository, { commits, files: 40, lines: 4 });
  await forges.publish(repository, ['deep'], ['alm']);
  const alone = { ...forges, remotes: forges.remotes.filter(({ name }) => name === 'alm') };
  const pins = [{ path: 'deep', sha: await commitAt(repository, `main~${behind}`) }];
  const samples = await interleave(settings, [contender(await ours(alone, pins, 'near'), alone, [true])]);
  const megabytes = (samples.get('ours, bytes') ?? []).map((kilobytes) => kilobytes / 1000);
  return {
    title: `A history of ${commits} commits with merges, the pin ${behind} behind`,
    figures: withUnits(samples),
    goals: [
      goal('bytes of a yes', megabytes, { atMost: 1 }, { unit: 'MB', counts: most }),
      goal('right answers', samples.get('ours, right') ?? [], { atLeast: 1 }, { counts: least }),
    ],
    notes: [`${behind} steps along the first parents: with what was merged meanwhile some more commits lie between.`],
  };
}
