import { ExpectedError } from '@gbo/shared/errors';
import type { Event } from '@gbo/shared/event';
import PQueue from 'p-queue';
import type { Facts } from './facts.js';
import type { LocalGit } from './git.js';
import type { Inputs } from './inputs.js';
import { placeBelow, resolveCommit } from './survey.js';
import { surveyTarget } from './survey-target.js';
import type { Workshop } from './workshop.js';

/** For mode submodule: the commit that runs, on every remote of this repository itself. */
export async function surveyOwn(inputs: Inputs, event: Event, git: LocalGit, shop: Workshop): Promise<Facts> {
  const commit = await resolveCommit(git, event);
  const name = event.repository?.split('/').at(-1) ?? inputs.submodule?.split('/').at(-1);
  if (!name) {
    throw new ExpectedError(
      'It is not known what this repository is called.',
      'Nothing was asked.',
      'Give its path in the root as `submodule`.',
    );
  }
  const places = inputs.remotes.map((remote) => placeBelow(inputs, remote, name));
  const path = inputs.submodule ?? name;
  const row = await surveyTarget({ path, sha: commit, places }, shop, new PQueue({ concurrency: inputs.parallel }));
  return {
    event: { ...event, commit },
    now: Date.now(),
    rows: [row],
    orphans: [],
    strays: [],
    rootPins: [],
    notes: [],
  };
}
