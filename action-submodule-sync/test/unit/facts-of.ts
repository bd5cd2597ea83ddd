import type { Facts, Row } from '../../src/facts.js';
import { type Inputs, inputs } from '../../src/inputs.js';
import type { Probe } from '../../src/states.js';

export const SHA = '1'.repeat(40);
export const TIP = '2'.repeat(40);

/** Inputs as a user writes them, with the remotes `origin` and `alm`. */
export function inputsOf(raw: Record<string, string> = {}): Inputs {
  const remotes = 'origin = https://github.com/acme/\nalm = https://alm.example.com/acme/';
  return inputs.parse(new Map(Object.entries({ remotes, ...raw })));
}

/** What was found on `origin` unless it says otherwise: the commit is on the branch. */
export function probeOf(more: Partial<Probe> = {}): Probe {
  const remote = more.remote ?? 'origin';
  return {
    remote,
    url: `https://${remote}.example.com/acme/x.git`,
    branch: 'main',
    tip: SHA,
    branchMissing: false,
    onBranch: 'yes',
    exists: 'yes',
    notACommit: false,
    elsewhere: [],
    requests: 1,
    bytes: 500,
    ms: 10,
    ...more,
  };
}

/** What was found where the branch is behind the commit. */
export function laggingOf(more: Partial<Probe> = {}): Probe {
  return probeOf({
    remote: 'alm',
    tip: TIP,
    onBranch: 'no',
    exists: 'no',
    relation: { remoteOnly: 0, pinOnly: 2 },
    ...more,
  });
}

export function rowOf(path: string, probes: Probe[], more: Partial<Row> = {}): Row {
  return { path, sha: SHA, probes, ...more };
}

export function factsOf(rows: Row[], more: Partial<Facts> = {}): Facts {
  return {
    event: { kind: 'push', commit: SHA, branch: 'main' },
    now: Date.UTC(2026, 0, 31, 12),
    rows,
    orphans: [],
    strays: [],
    rootPins: [],
    notes: [],
    ...more,
  };
}
