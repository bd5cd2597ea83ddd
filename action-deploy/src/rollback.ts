import type { HostFacts, LocalArtifact } from './facts.js';
import type { Inputs } from './inputs.js';
import type { Release } from './record.js';

export interface Rollback {
  release: string;
  contentId: string;
  artifacts: LocalArtifact[];
  refusals: string[];
}

/** Releases that could run again, newest first: recorded as good, not the current one, every file still kept. */
export function candidates(
  inputs: Inputs,
  releases: Release[],
  current: string | undefined,
  host: HostFacts,
): Release[] {
  return releases
    .filter(({ id, bad }) => !bad && id !== current)
    .filter(({ id, artifacts }) =>
      inputs.artifacts.every(({ path }, index) => {
        const recorded = artifacts.some((entry) => entry.path === path);
        return recorded && host.files[index]?.kept.includes(id);
      }),
    )
    .reverse();
}

/** The release to go back to, and its files in the place of those that a deploy would upload. */
export function chooseRelease(
  inputs: Inputs,
  releases: Release[],
  current: string | undefined,
  host: HostFacts,
): Rollback {
  const possible = candidates(inputs, releases, current, host);
  // "Back" is before the current one in the record's order; a named release may also lie after it.
  const before = releases.findIndex(({ id }) => id === current);
  const chosen = inputs.release
    ? possible.find(({ id }) => id === inputs.release)
    : possible.find(({ id }) => releases.findIndex((release) => release.id === id) < before);
  const artifacts = inputs.artifacts.map((spec): LocalArtifact => {
    const recorded = chosen?.artifacts.find(({ path }) => path === spec.path);
    return {
      ...spec,
      source: '',
      type: spec.type ?? recorded?.type ?? 'config',
      size: recorded?.size ?? 0,
      sha256: recorded?.sha256 ?? '',
      fileMode: undefined,
      owner: undefined,
    };
  });
  const listed = possible.map(({ id }) => id).join(', ') || 'none';
  return {
    release: chosen?.id ?? '',
    contentId: (chosen?.id ?? '').slice(-12),
    artifacts,
    refusals: chosen
      ? []
      : [
          inputs.release
            ? `Release ${inputs.release} cannot be rolled back to here; possible: ${listed}.`
            : `There is no good release before the current one (${current ?? 'none recorded'}) to roll back to; name one with release, possible: ${listed}.`,
        ],
  };
}
