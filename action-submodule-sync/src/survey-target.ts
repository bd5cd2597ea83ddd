import type PQueue from 'p-queue';
import { allDone } from './all-done.js';
import type { Row } from './facts.js';
import type { Parent } from './mend.js';
import {
  type Closer,
  isOffBranch,
  isOpen,
  lookClose,
  lookEverywhere,
  lookFirst,
  lookNear,
  nothingKnown,
  type Question,
  scratchKey,
} from './probe.js';
import { relate } from './relate.js';
import type { Scratch } from './scratch.js';
import type { Probe, Reason } from './states.js';
import type { Workshop } from './workshop.js';

/** One commit with the address it has on each remote. */
export interface Target {
  path: string;
  sha: string;
  line?: number;
  parents?: Parent[];
  places: Place[];
}

export interface Place {
  remote: string;
  branch: string;
  url?: string;
  /** Why it must not be asked. */
  refused?: string;
}

/** Asks every remote about one commit, each by no more questions than it takes. */
export async function surveyTarget(target: Target, shop: Workshop, queue: PQueue): Promise<Row> {
  const { path, sha, line, parents, places } = target;
  const scratchOf = (remote: string) => shop.scratch(sha, scratchKey(path, sha, remote));
  const first = await allDone(
    places.map((place) => {
      const { remote, url, branch, refused } = place;
      if (!url || refused) return unasked(place);
      return queue.add(() => lookFirst({ remote, url, branch, sha }, scratchOf(remote)));
    }),
  );
  // A hash vouches for all that leads to it: where two remotes are at the same commit, its history is looked at once.
  const leads = new Map<string, Look>();
  const probes = await allDone(
    first.map(async (probe) => {
      if (!isOpen(probe)) return probe;
      const look = deeper({ ...probe, sha }, probe, scratchOf(probe.remote), queue, leads.get(probe.tip ?? ''));
      if (probe.tip) leads.set(probe.tip, look);
      return (await look.whole).probe;
    }),
  );
  return relate({ path, sha, line, parents, probes }, shop);
}

/** The look at one remote that the first question left open. */
interface Look {
  /** After what is cheap. A function, since what nobody waits for must not reject. */
  near(): Promise<Probe>;
  /** The answer, and where its history lies. */
  whole: Promise<{ probe: Probe; scratch: Scratch }>;
}

/** @param lead the look at another remote that was at the same commit */
function deeper(question: Question, first: Probe, scratch: Scratch, queue: PQueue, lead: Look | undefined): Look {
  // Before first questions: what is still open takes longest.
  const ask = <T>(look: () => Promise<T>) => queue.add(look, { priority: 1 });
  const whole = async (near: Probe, twin?: Scratch) => {
    const probe = isOpen(near) ? await ask(() => lookEverywhere(question, scratch, near, twin)) : near;
    return { probe, scratch: twin ?? scratch };
  };
  const alone = async (closer?: Closer) =>
    ask(async () => {
      const close = closer ?? (await lookClose(question, scratch, first));
      return isOpen(close.probe) ? lookNear(question, scratch, close) : close.probe;
    });
  if (!lead) {
    const near = alone();
    return { near: () => near, whole: near.then((probe) => whole(probe)) };
  }
  const proven = (own: Probe): Probe => ({ ...own, trouble: undefined, exists: 'yes', onBranch: 'yes' });
  // The branch may have moved on while the other was asked.
  const isTwin = (other: Probe) => other.tip === first.tip;
  const cheap = async () => {
    const other = await lead.near();
    return isTwin(other) && other.onBranch === 'yes' ? proven(first) : undefined;
  };
  const together = async () => {
    const near = await cheap();
    if (near) return { probe: near, scratch: (await lead.whole).scratch };
    // While the other fetches all of the history.
    const closer = await ask(() => lookClose(question, scratch, first));
    // A server that lacks it says so itself, whatever leads to it elsewhere.
    if (!isOpen(closer.probe) && !closer.probe.trouble) return whole(closer.probe);
    const other = await lead.whole;
    if (isTwin(other.probe) && other.probe.onBranch === 'yes')
      return { probe: proven(closer.probe), scratch: other.scratch };
    if (isTwin(other.probe) && isOffBranch(other.probe) && !other.scratch.isShallow())
      return whole(closer.probe, other.scratch);
    return whole(isOpen(closer.probe) ? await alone(closer) : closer.probe);
  };
  const all = together();
  return { near: async () => (await cheap()) ?? (await all).probe, whole: all };
}

function unasked({ remote, branch, url = '', refused }: Place): Probe {
  const trouble = { reason: 'invalid address' as Reason, said: refused ?? 'it has no address' };
  return { ...nothingKnown({ remote, url, branch }), trouble };
}
