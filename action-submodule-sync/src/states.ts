/** What a probe of one commit on one remote found, before remotes are compared. Plain data. */
export interface Probe {
  remote: string;
  url: string;
  branch: string;
  /** Absent: the branch is not there. */
  tip?: string;
  branchMissing: boolean;
  /** There is no such branch, but a tag of that name. */
  tag?: boolean;
  /** All branches, as the first question found them. */
  heads?: Head[];
  /** Whether the commit is an ancestor of the branch, or its tip. */
  onBranch: 'yes' | 'no' | 'unknown';
  /** Whether the server holds the object at all. */
  exists: 'yes' | 'no' | 'unknown';
  notACommit: boolean;
  /** Other branches (and tags, as `tags/NAME`) that hold it. */
  elsewhere: string[];
  /** Against the branch of this remote: commits only it has, commits only the pin has. Known only where another remote helped. */
  relation?: { remoteOnly: number; pinOnly: number };
  trouble?: Trouble;
  requests: number;
  bytes: number;
  ms: number;
}

/** A branch of a remote, and the commit it is at. */
export interface Head {
  ref: string;
  sha: string;
}

/** Why a question had no answer: neither a yes nor a no. */
export interface Trouble {
  reason: Reason;
  /** git's own words, in one line. */
  said: string;
}

export type Reason =
  | 'unauthorised'
  | 'forbidden'
  | 'not found or no access'
  | 'moved'
  | 'rate limited'
  | 'unreachable'
  | 'unknown host key'
  | 'not a git server'
  | 'too large'
  | 'took too long'
  | 'invalid address'
  | 'certificate'
  | 'other';

export type State =
  | 'PUSHED'
  | 'LAGGING'
  | 'OTHER-BRANCH'
  | 'DIVERGED'
  | 'DANGLING'
  | 'MISSING'
  | 'BRANCH-MISSING'
  | 'NOT-A-COMMIT'
  | 'ORPHAN-GITLINK'
  | 'NO-GITLINK'
  | 'ROOT-BEHIND'
  | 'PIN-BEHIND'
  | 'COULD-NOT-CHECK';

/** One line of the answer: a state that is not PUSHED, with what to do. */
export interface Finding {
  state: State;
  /** Path of the submodule, or `.` for the root. */
  path: string;
  /** Absent where the finding concerns no single remote. */
  remote?: string;
  /** One sentence. */
  what: string;
  /** Shell commands, ready to paste in a checkout of the root; empty only where no command can help. */
  mend: string[];
  /** What to do where no command can. */
  hint?: string;
  /**
   * Of COULD-NOT-CHECK: `passing`, asking again later may help; `mistake`, what is written in the repository cannot be asked
   * about by anybody, which is as sure as a no.
   */
  cause?: 'passing' | 'mistake';
  /** Place in .gitmodules, from 1. */
  line?: number;
}
