import {
  type Figure,
  figures,
  type Goal,
  goal,
  interleave,
  least,
  output,
  type Part,
  ratios,
  type Settings,
} from '../measure.js';
import { cloneEight, cloneLoop, contender, lsRemoteLoop, ours, type Way } from './contenders.js';
import { BRANCH, DELAY_MS, type Forges, type Pin } from './forges.js';

/** How far behind the tip the pins of eleven submodules are, or the branch that was pinned instead of main. */
const DISTANCES = [0, 0, 0, 0, 1, 1, 1, 50, 50, 2000, BRANCH] as const;
const QUICK_DISTANCES = [0, 0, 0, 0, 1, 1, 1, 50, 50, 200, BRANCH] as const;
/** Of these, alm has one commit more: for each distance but the tip where there are several, one. */
const FURTHER = [4, 7];

/** 22 questions: eleven pins at mixed distances on two remotes. */
export const mixed = (settings: Settings, forges: Forges) => measure(settings, forges, 'near');

export const mixedFar = (settings: Settings, forges: Forges) => measure(settings, forges, 'far');

async function measure(settings: Settings, forges: Forges, way: Way): Promise<Part> {
  const distances = settings.quick ? QUICK_DISTANCES : DISTANCES;
  const pins = await mixedPins(forges, way, distances);
  const truth = [...distances, ...distances].map((distance) => distance !== BRANCH);
  const askers = [
    cloneLoop(forges, pins, way),
    cloneEight(forges, pins, way),
    lsRemoteLoop(forges, pins, way),
    await ours(forges, pins, way),
  ];
  const samples = await interleave(
    settings,
    askers.map((asker) => contender(asker, forges, truth)),
  );
  return {
    title: `22 probes, mixed distances, ${way === 'near' ? 'loopback' : `${DELAY_MS} ms round trip`}`,
    figures: withUnits(samples),
    goals: [
      goal('time, clone loop / ours', ratios(samples, 'clone loop', 'ours'), { atLeast: 8 }),
      goal('bytes, clone loop / ours', ratios(samples, 'clone loop, bytes', 'ours, bytes'), { atLeast: 100 }),
      goal('time, clones, 8 at a time / ours', ratios(samples, 'clones, 8 at a time', 'ours')),
      goal('time, ours / ls-remote loop', ratios(samples, 'ours', 'ls-remote loop')),
      right(samples, truth),
    ],
    notes: [
      `Pins: ${distances.join(', ')} commits behind the tip of main; ${BRANCH} is on a branch that was never merged, where no is right.`,
      `Of ${FURTHER.length} of the repositories one remote has a commit more than the other.`,
      'ls-remote says no to every pin that is not the tip.',
    ],
  };
}

/** 22 questions about pins that are the tip: where most are most of the time. */
export async function tips(settings: Settings, forges: Forges): Promise<Part> {
  const sha = await commitAt(forges.template, 'main');
  const names = DISTANCES.map((_, index) => `tip-${index}`);
  await forges.publish(forges.template, names);
  const pins = names.map((path) => ({ path, sha }));
  const truth = [...pins, ...pins].map(() => true);
  const askers = [lsRemoteLoop(forges, pins, 'near'), await ours(forges, pins, 'near')];
  const samples = await interleave(
    settings,
    askers.map((asker) => contender(asker, forges, truth)),
  );
  return {
    title: '22 probes, all at the tip, loopback',
    figures: withUnits(samples),
    goals: [
      goal('bytes, ours / ls-remote loop', ratios(samples, 'ours, bytes', 'ls-remote loop, bytes'), { atMost: 1 }),
      goal('time, ours / ls-remote loop', ratios(samples, 'ours', 'ls-remote loop')),
      right(samples, truth),
    ],
    notes: ['The repositories have two branches and no tag, which is close to where ls-remote brings least.'],
  };
}

async function mixedPins(forges: Forges, way: Way, distances: readonly (number | typeof BRANCH)[]): Promise<Pin[]> {
  const names = distances.map((distance, index) => `${way}-${index}-${distance}`);
  const further = FURTHER.map((index) => names[index] ?? '');
  await forges.publish(forges.template, names, ['origin']);
  await forges.publish(
    forges.template,
    names.filter((name) => !further.includes(name)),
    ['alm'],
  );
  await forges.publish(forges.further, further, ['alm']);
  return Promise.all(
    distances.map(async (distance, index) => ({
      path: names[index] ?? '',
      sha: await commitAt(forges.template, distance === BRANCH ? BRANCH : `main~${distance}`),
    })),
  );
}

export async function commitAt(repository: string, revision: string): Promise<string> {
  return (await output('git', ['-C', repository, 'rev-parse', '--verify', revision])).trim();
}

function right(samples: Map<string, number[]>, truth: boolean[]): Goal {
  const answers = samples.get('ours, right') ?? [];
  return goal('right answers, ours', answers, { atLeast: truth.length }, { counts: least });
}

export function withUnits(samples: Map<string, number[]>): Figure[] {
  return figures(samples).map((figure) => ({
    ...figure,
    unit: figure.name.endsWith(', bytes') ? 'KB' : /, (requests|right)$/.test(figure.name) ? '' : 'ms',
  }));
}
