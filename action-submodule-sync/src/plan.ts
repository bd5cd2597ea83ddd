import type { Earlier, Facts, RootPin, Row } from './facts.js';
import { isPassing } from './git-trouble.js';
import type { Inputs } from './inputs.js';
import {
  mergeCommands,
  pinCommands,
  pushCommand,
  pushTagCommand,
  type RootSides,
  removeEntryCommands,
  removeGitlinkCommands,
} from './mend.js';
import type { Finding, Probe, Reason, State } from './states.js';

/** A fast-forward that may be pushed. */
export interface Push {
  path: string;
  remote: string;
  url: string;
  branch: string;
  sha: string;
  /** Where the commit is taken from. */
  from: { remote: string; url: string; branch: string };
  /** What the branch holds now: the push is refused when it holds something else by then. */
  tip: string;
  /** Commits that the branch gets by it. */
  ahead: number;
}

export interface Plan {
  cells: { path: string; sha: string; remote: string; state: State; probe?: Probe }[];
  findings: Finding[];
  /** Submodules first, the root last. */
  pushes: Push[];
  notes: string[];
}

/** Every verdict and what would mend it. Pure. */
export function makePlan(inputs: Inputs, facts: Facts): Plan {
  const cells = facts.rows.flatMap((row) =>
    row.probes.map((probe) => ({
      path: row.path,
      sha: row.sha,
      remote: probe.remote,
      state: stateOf(probe, row),
      probe,
    })),
  );
  const root = rootSides(inputs, facts);
  const findings = [
    ...treeFindings(facts, root),
    ...facts.rows.flatMap((row) => rowFindings(inputs, row, root, isForeign(facts, row))),
    ...facts.rootPins.flatMap((pin) => rootPinFindings(inputs, facts, pin, root)),
  ];
  // On a pull request somebody else's text says what would be pushed.
  const mayPush = facts.event.kind !== 'pull_request';
  // Of the root only the commit whose pins were asked about.
  const pushable = facts.rows.filter(({ path, sha }) => path !== '.' || sha === facts.event.commit);
  const wanted = mayPush ? pushable.flatMap((row) => pushesOf(inputs, row)) : [];
  const { pushes, held } = withoutUnready(wanted, facts);
  pushes.sort(
    (a, b) =>
      Number(a.path === '.') - Number(b.path === '.') ||
      inputs.push.indexOf(a.remote) - inputs.push.indexOf(b.remote) ||
      // Of several pins of one submodule the nearest first, or the further one would have the others refused.
      a.ahead - b.ahead,
  );
  const never = !mayPush && inputs.push.length > 0 ? ['Nothing is ever pushed on a pull request.'] : [];
  return { cells, findings, pushes, notes: [...never, ...held, ...facts.notes] };
}

function rootSides({ remotes, branch }: Inputs, { event }: Facts): RootSides {
  if (event.kind === 'pull_request') return 'upstream';
  return remotes.map((remote) => ({ remote: remote.name, branch: remote.branch ?? branch }));
}

/** The root stays where one of its pins is not there, or not known to be, and is not pushed along: its CI could not fetch it. */
function withoutUnready(wanted: Push[], facts: Facts): { pushes: Push[]; held: string[] } {
  const held: string[] = [];
  const unknown = unknownPins(facts);
  const pushes = wanted.filter(({ path, remote }) => {
    if (path !== '.') return true;
    if (unknown) {
      held.push(`The root is not pushed to ${remote}, because ${unknown}.`);
      return false;
    }
    const missing = facts.rows.find(
      (row) =>
        row.path !== '.' &&
        row.probes.some((probe) => probe.remote === remote && stateOf(probe, row) !== 'PUSHED') &&
        !wanted.some((push) => push.path === row.path && push.sha === row.sha && push.remote === remote),
    );
    if (missing) held.push(`The root is not pushed to ${remote}, because ${subject(missing)} is not there.`);
    return !missing;
  });
  return { pushes, held };
}

/** Why not all that the root pins was asked about; undefined when all was. */
function unknownPins({ unreadable, orphans, unknowns = [], earlier = [], leftOut = [] }: Facts): string | undefined {
  if (unreadable) return 'its .gitmodules cannot be read';
  const [orphan] = orphans;
  if (orphan) return `${orphan.path} has no entry in .gitmodules`;
  const [unknown] = unknowns;
  if (unknown) return `the submodules of ${unknown.path} are not known`;
  if (earlier.length > 0) return 'not all commits of the push could be asked about';
  return leftOut.length > 0
    ? `${leftOut.slice(0, 5).join(', ')}${leftOut.length > 5 ? ', ...' : ''} was left out by include or exclude, and not asked about`
    : undefined;
}

/** The state of one commit on one remote, seen together with the other remotes. */
export function stateOf(probe: Probe, { probes }: Pick<Row, 'probes'>): State {
  if (probe.trouble) return 'COULD-NOT-CHECK';
  // A hash names the same object everywhere, also where it is not known or not handed out.
  if (probes.some(({ notACommit }) => notACommit)) return 'NOT-A-COMMIT';
  if (probe.onBranch === 'yes') return 'PUSHED';
  if (probe.onBranch === 'unknown') return 'COULD-NOT-CHECK';
  if (probe.branchMissing) return 'BRANCH-MISSING';
  if (probe.elsewhere.length > 0) return 'OTHER-BRANCH';
  // A commit that no branch of any remote vouches for may come from a fork: it is never called a lag.
  const vouched = probes.some((other) => other !== probe && other.onBranch === 'yes' && !other.trouble);
  if (vouched && probe.relation && !isCutOff(probe)) return probe.relation.remoteOnly === 0 ? 'LAGGING' : 'DIVERGED';
  return probe.exists === 'yes' ? 'DANGLING' : 'MISSING';
}

/** Whether the branch leads to the commit by its hashes, and the server still lacks it, or what lies between: it is shallow. */
function isCutOff({ onBranch, relation }: Probe): boolean {
  return onBranch === 'no' && relation?.pinOnly === 0;
}

/**
 * Whether nobody but a pull request vouches for this commit: no branch or tag of any remote holds it, so that it may come from
 * a fork. A command that puts it on the branch that counts would bring it past the review.
 */
function isForeign({ event }: Facts, { probes }: Row): boolean {
  return (
    event.kind === 'pull_request' && !probes.some((probe) => probe.onBranch === 'yes' || probe.elsewhere.length > 0)
  );
}

const READ_FIRST =
  'No push is printed, because no branch of any remote holds this commit: it may come from a fork. Read it first, then push it yourself.';

/** @param foreign see isForeign */
function rowFindings(inputs: Inputs, row: Row, root: RootSides, foreign: boolean): Finding[] {
  const sides = row.probes.map(({ remote, branch, branchMissing, trouble }) => ({
    remote,
    branch,
    missing: branchMissing || trouble !== undefined,
  }));
  const tip = row.probes.find((probe) => probe.tip && !probe.trouble)?.tip;
  const parents = row.parents ?? [];
  const merge = mergeCommands(row.path, row.sha, sides, parents, root);
  // Where one remote needs a merge, all of them get the joint commit; the pin by itself would be refused there afterwards.
  const mustMerge = row.probes.some((probe) => needsMerge(probe, row));
  return row.probes.flatMap((probe): Finding[] => {
    const state = stateOf(probe, row);
    const { remote, branch, relation } = probe;
    const usual = mustMerge ? merge : [pushCommand(row.path, remote, row.sha, branch)];
    const { mend, hint } = foreign ? { mend: [], hint: READ_FIRST } : { mend: usual };
    const common = { state, path: row.path, remote, line: row.line };
    if (isCutOff(probe) && !probe.trouble) {
      return [
        {
          ...common,
          what: `${branch} of ${remote} leads to ${subject(row)}, but the history there is cut off before it: the repository is shallow.`,
          mend: [],
          hint: `Run \`git fetch --unshallow\` in that repository on the server, from a remote that holds all of it.`,
        },
      ];
    }
    switch (state) {
      case 'PUSHED':
        return [];
      case 'LAGGING':
        return [
          {
            ...common,
            what: `${subject(row)} is not on ${branch} of ${remote}, which is ${commits(relation?.pinOnly)} behind it.`,
            mend,
          },
        ];
      case 'BRANCH-MISSING':
        if (row.probes.some(({ tag }) => tag)) return [tagFinding(row, probe)];
        return [{ ...common, what: `${remote} has no branch ${branch}.`, mend, hint }];
      case 'MISSING':
        return [
          {
            ...common,
            what: `${subject(row)} was never pushed to ${remote}.`,
            mend,
            hint:
              hint ??
              (probe.tip && !relation
                ? `If git refuses that, ${branch} of ${remote} has gone on meanwhile: merge it, push the result everywhere and pin it.`
                : undefined),
          },
        ];
      case 'OTHER-BRANCH':
        return [
          {
            ...common,
            what: `${subject(row)} is not on ${branch} of ${remote}, only on ${probe.elsewhere.slice(0, 5).join(', ')}${probe.elsewhere.length > 5 ? ', ...' : ''}.`,
            mend,
          },
        ];
      case 'DANGLING':
        return [
          {
            ...common,
            what: `${subject(row)} is on no branch of ${remote} (a deleted or squashed branch, or a fork); the server may forget it any day.`,
            mend,
            hint,
          },
        ];
      case 'DIVERGED':
        return [
          {
            ...common,
            what: `${subject(row)} and ${branch} of ${remote} (${short(probe.tip)}) have gone separate ways: ${commits(relation?.pinOnly)} only up to the pin, ${commits(relation?.remoteOnly)} only on ${remote}.`,
            mend,
          },
        ];
      case 'NOT-A-COMMIT':
        return [
          {
            ...common,
            what: `${row.path} pins ${short(row.sha)}, which is no commit.`,
            mend: tip ? pinCommands(row.path, tip, parents, root) : [],
            hint: tip ? undefined : 'Pin a commit of the submodule.',
          },
        ];
      default:
        return [
          {
            ...common,
            what: `It could not be told whether ${subject(row)} is on ${remote}: ${probe.trouble ? `${probe.trouble.reason} (${probe.trouble.said})` : 'no answer'}.`,
            mend: [],
            hint: hintOf(probe.trouble?.reason ?? 'other', remote, inputs),
            cause: causeOf(probe.trouble?.reason),
          },
        ];
    }
  });
}

/** Where what is expected is a tag: a branch of that name would only be mistaken for it. */
function tagFinding(row: Row, { remote, branch, tag }: Probe): Finding {
  const common = { state: 'BRANCH-MISSING' as const, path: row.path, remote, line: row.line };
  if (!tag)
    return { ...common, what: `${remote} has no tag ${branch}.`, mend: [pushTagCommand(row.path, remote, branch)] };
  return {
    ...common,
    what: `${subject(row)} is not in the tag ${branch} of ${remote}, and there is no branch of that name.`,
    mend: [],
    hint: 'A tag does not move: pin a commit that it leads to, or expect another tag or a branch.',
  };
}

/** Whether a push of the commit would be refused, or might be. */
function needsMerge(probe: Probe, row: Row): boolean {
  const alone = probe.relation?.remoteOnly;
  if (isCutOff(probe)) return false; // there is nothing to merge
  switch (stateOf(probe, row)) {
    case 'DIVERGED':
      return true;
    case 'OTHER-BRANCH':
    case 'DANGLING':
      return alone !== 0;
    case 'MISSING':
      return alone !== undefined && alone > 0;
    default:
      return false;
  }
}

function subject({ path, sha }: Row): string {
  return path === '.' ? `the root commit ${short(sha)}` : `${path} at ${short(sha)}`;
}

function short(sha: string | undefined): string {
  return sha?.slice(0, 12) ?? 'nothing';
}

function commits(count: number | undefined): string {
  if (count === undefined) return 'some commits';
  return count === 1 ? '1 commit' : `${count} commits`;
}

function causeOf(reason: Reason | undefined): Finding['cause'] {
  if (!reason) return undefined;
  if (reason === 'invalid address') return 'mistake';
  return isPassing(reason) ? 'passing' : undefined;
}

function hintOf(reason: Reason, remote: string, { remotes }: Inputs): string {
  const { token, base = '' } = remotes.find(({ name }) => name === remote) ?? {};
  switch (reason) {
    case 'unauthorised':
    case 'not found or no access':
    case 'forbidden':
      if (!/^https?:/.test(base))
        return `See whether \`ssh-key\` may read this repository on ${remote}, and whether the repository exists there.`;
      return token !== undefined
        ? `See whether the token for ${remote} may read this repository, and whether the repository exists there.`
        : `Add a token for ${remote} to \`tokens\`; the automatic token of a Forgejo run is valid for its own repository only.`;
    case 'unknown host key':
      return `Give the host key of ${remote} in \`known-hosts\`, once you have compared it with what its administrator says.`;
    case 'certificate':
      return `Give the certificate authority of ${remote} as \`ca-file\`, or see whether its certificate has run out.`;
    case 'moved':
      return 'The repository was renamed or moved: write its new address to .gitmodules, or mend the base of the remote.';
    case 'rate limited':
      return 'Run it again later, or with a token.';
    case 'invalid address':
      return 'Mend the address in .gitmodules; addresses of further hosts must be named in `allow-hosts`.';
    case 'not a git server':
      return `See what answers at the base of ${remote}: an empty repository and a login page look like this.`;
    case 'too large':
    case 'took too long':
      return 'Raise max-megabytes or max-time, if that repository may be so large.';
    default:
      return `See whether ${remote} can be reached from here, then run it again.`;
  }
}

function treeFindings({ unreadable, unknowns = [], earlier = [], orphans, strays }: Facts, root: RootSides): Finding[] {
  return [
    ...(unreadable
      ? [
          {
            state: 'COULD-NOT-CHECK' as const,
            path: '.gitmodules',
            what: `${unreadable}.`,
            mend: [],
            hint: 'Mend .gitmodules.',
            cause: 'mistake' as const,
            line: 1,
          },
        ]
      : []),
    ...earlier.map(earlierFinding),
    ...unknowns.map(({ path, why, broken }) => ({
      state: 'COULD-NOT-CHECK' as const,
      path,
      what: `The submodules of ${path} are not known: ${why}.`,
      mend: [],
      hint: 'Mend it, or leave it out by `exclude`.',
      cause: broken ? ('mistake' as const) : undefined,
    })),
    ...orphans.map(({ path, parents = [] }) => ({
      state: 'ORPHAN-GITLINK' as const,
      path,
      what: `${path} is a gitlink without an entry in .gitmodules, so nobody can fetch it.`,
      mend: removeGitlinkCommands(path, parents, root),
      hint: `Or add its entry: git config -f .gitmodules submodule.NAME.path ..., and .url.`,
    })),
    ...strays.map(({ name, path, line }) => ({
      state: 'NO-GITLINK' as const,
      path: path ?? name,
      what: `.gitmodules has an entry ${name}${path ? ` for ${path}` : ' without a path'}, but the commit pins nothing there.`,
      mend: removeEntryCommands(name, root),
      line,
    })),
  ];
}

/** Of a commit that was pushed already: only rewriting it would mend it. */
function earlierFinding({ commit, path, why }: Earlier): Finding {
  const rewrite = 'Rewrite that commit while nobody builds on it, or set `commits: head`.';
  if (!commit) {
    return {
      state: 'COULD-NOT-CHECK',
      path,
      what: `The earlier commits of the push could not be asked about: ${why}.`,
      mend: [],
      hint: 'Check out with `fetch-depth: 0`, or set `commits: head`.',
    };
  }
  if (why) {
    const what = `In ${short(commit)}, an earlier commit of the push, ${why}.`;
    return { state: 'COULD-NOT-CHECK', path, what, mend: [], hint: rewrite, cause: 'mistake' };
  }
  return {
    state: 'ORPHAN-GITLINK',
    path,
    what: `In ${short(commit)}, an earlier commit of the push, ${path} is a gitlink without an entry in .gitmodules.`,
    mend: [],
    hint: rewrite,
  };
}

function rootPinFindings(
  inputs: Inputs,
  facts: Facts,
  { remote, path, pin, behind, oldest, trouble }: RootPin,
  root: RootSides,
): Finding[] {
  const common = { path, remote };
  if (trouble || behind === undefined) {
    const why = trouble ? `${trouble.reason} (${trouble.said})` : 'no answer';
    return [
      {
        ...common,
        state: 'COULD-NOT-CHECK',
        what: `It could not be told what the root pins for ${path} on ${remote}: ${why}.`,
        mend: [],
        hint: hintOf(trouble?.reason ?? 'other', remote, inputs),
        cause: causeOf(trouble?.reason),
      },
    ];
  }
  if (behind === 0) return [];
  if (inputs.mode === 'schedule') {
    if (oldest === undefined || facts.now - oldest < inputs.behindForMs) return [];
    const hours = Math.floor((facts.now - oldest) / 3_600_000);
    const row = facts.rows.find((each) => each.path === path);
    const tip = row?.probes.find((probe) => probe.remote === remote)?.tip ?? '';
    return [
      {
        ...common,
        state: 'PIN-BEHIND',
        what: `${path} on ${remote} is ${commits(behind)} ahead of its pin ${short(pin)}, the oldest for ${hours} h: the root was not updated.`,
        mend: pinCommands(path, tip, row?.parents ?? [], root),
      },
    ];
  }
  return [
    {
      ...common,
      state: 'ROOT-BEHIND',
      what: pin
        ? `The root on ${remote} still pins ${path} at ${short(pin)}, ${commits(behind)} before ${short(facts.event.commit)}: the root was not updated or not pushed, so its CI does not start.`
        : `The root on ${remote} pins nothing at ${path}.`,
      mend: pinCommands(path, facts.event.commit, [], root),
    },
  ];
}

function pushesOf(inputs: Inputs, row: Row): Push[] {
  const from = row.probes.find((probe) => probe.onBranch === 'yes' && probe.tip && !probe.trouble);
  if (!from) return [];
  return row.probes.flatMap((probe) => {
    const wanted = inputs.push.includes(probe.remote) && stateOf(probe, row) === 'LAGGING';
    if (!wanted || !probe.tip) return [];
    const { remote, url, branch, tip } = probe;
    return [
      {
        path: row.path,
        remote,
        url,
        branch,
        tip,
        ahead: probe.relation?.pinOnly ?? 0,
        sha: row.sha,
        from: { remote: from.remote, url: from.url, branch: from.branch },
      },
    ];
  });
}
