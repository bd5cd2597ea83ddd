import { setTimeout as sleep } from 'node:timers/promises';
import { GitFailed } from './git.js';
import { isPassing, troubleOf, words } from './git-trouble.js';
import type { GitAnswer } from './network-git.js';
import type { Scratch } from './scratch.js';
import type { Head, Probe, Trouble } from './states.js';

export interface Question {
  remote: string;
  url: string;
  branch: string;
  sha: string;
}

/** No trees, no files: some 200 bytes a commit, where the server offers filters. */
const GRAPH_ONLY = '--filter=tree:0';
/** Where the tip of the branch lies in a scratch repository. */
export const TIP = 'refs/probe/tip';
const PIN = 'refs/probe/pin';
/**
 * Shell commands: what lies behind each of these names, with its date; all commits that the tip leads to; and the commit
 * itself, when the tip does not lead to it (clocks that are wrong can make it show up all the same, never vanish).
 */
const TELL = "git for-each-ref '--format=%(refname) %(objecttype) %(committerdate:unix)' refs/probe";
const LIST = `git rev-list ${TIP} --`;
const OUTSIDE = `git rev-list --max-count=1 ${PIN} ^${TIP} --`;
/** Commits that are looked at on each side before anybody asks how old they are: most pins are a few behind. */
const CLOSE = 8;
/**
 * Committer clocks differ by minutes; each hour more is history that has to come. Few differ by more, and many commits are
 * on another branch, so that asking once more with days instead of an hour cost the many a question.
 */
const SLACK_SECONDS = 3600;
const RETRIES_MS = [500, 2000];

/** An answer that ends the ladder early. */
export class Unanswered extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble.said);
  }
}

/**
 * Is this commit on that branch of that remote? Asked by the cheapest question first: is it the tip (no object is fetched);
 * then, by the looks below, does it exist, and is it close to the tip; is it in the recent history; in all of it; on any other
 * branch. They never reject: what got no answer is `trouble`.
 *
 * That a server holds a commit proves nothing (it hands out dangling commits and those of forks): only a branch counts.
 */
export function lookFirst(question: Question, scratch: Scratch): Promise<Probe> {
  return look(nothingKnown(question), scratch, async (found) => {
    found.heads = await headsOf(question, scratch);
    found.tip = found.heads.find(({ ref }) => ref === `refs/heads/${question.branch}`)?.sha;
    found.branchMissing = found.tip === undefined;
    if (found.tip === question.sha) found.exists = found.onBranch = 'yes';
  });
}

/** A question that was not asked yet. */
export function nothingKnown({ remote, url, branch }: Omit<Question, 'sha'>): Probe {
  return {
    remote,
    url,
    branch,
    branchMissing: false,
    onBranch: 'unknown',
    exists: 'unknown',
    notACommit: false,
    elsewhere: [],
    requests: 0,
    bytes: 0,
    ms: 0,
  };
}

/** Of the scratch repository in which a remote is asked about a commit. */
export function scratchKey(path: string, sha: string, remote: string): string {
  return `${path}\0${sha}\0${remote}`;
}

/** Whether the first look left the question open. */
export function isOpen({ onBranch, trouble }: Probe): boolean {
  return onBranch === 'unknown' && !trouble;
}

/** What `lookClose` found, and by which `lookNear` goes on. */
export interface Closer {
  probe: Probe;
  times?: Times;
}

/** The second question: does it exist, and is it among the newest of the branch? */
export async function lookClose(question: Question, scratch: Scratch, first: Probe): Promise<Closer> {
  let times: Times | undefined;
  const probe = await look(first, scratch, async (found) => {
    times = await askClose(question, scratch, found);
  });
  return { probe, times };
}

/** The third, where that left it open: is it in the history of the branch since it was made? A yes is a proof. */
export function lookNear(question: Question, scratch: Scratch, { probe, times }: Closer): Promise<Probe> {
  return look(probe, scratch, async (found) => {
    if (!found.branchMissing && (await isNear(question, scratch, found, times))) found.exists = found.onBranch = 'yes';
  });
}

/**
 * The last: is it in all of the history of the branch, and if not, on which other branch?
 * @param twin the scratch of another remote with the same tip, where the whole history of that tip lacks the commit
 */
export async function lookEverywhere(
  question: Question,
  scratch: Scratch,
  near: Probe,
  twin?: Scratch,
): Promise<Probe> {
  const { requests, bytes } = twin?.cost ?? { requests: 0, bytes: 0 };
  const found = await look(near, scratch, (found) => searchAll(question, scratch, found, twin));
  if (!twin) return found;
  // What was asked there for this remote is its cost.
  return {
    ...found,
    requests: found.requests + twin.cost.requests - requests,
    bytes: found.bytes + twin.cost.bytes - bytes,
  };
}

/** Whether all of the history of the tip was looked at, and the commit is a commit that it lacks. */
export function isOffBranch({ onBranch, exists, notACommit, branchMissing, trouble }: Probe): boolean {
  return onBranch === 'no' && exists === 'yes' && !notACommit && !branchMissing && !trouble;
}

async function look(before: Probe, scratch: Scratch, ask: (found: Probe) => Promise<void>): Promise<Probe> {
  const began = performance.now();
  const found = { ...before };
  try {
    await ask(found);
  } catch (error) {
    if (error instanceof Unanswered) found.trouble = error.trouble;
    // What the server sent cannot be read, though git took it.
    else if (error instanceof GitFailed) found.trouble = { reason: 'other', said: words(error.said) };
    else throw error;
  }
  return { ...found, ...scratch.cost, ms: before.ms + Math.round(performance.now() - began) };
}

async function searchAll(question: Question, scratch: Scratch, found: Probe, twin?: Scratch): Promise<void> {
  const branch = found.branchMissing || twin ? undefined : question.branch;
  const fetched = twin ?? scratch;
  const known = twin && (await headsWith(question, twin, found.heads ?? []));
  if (known && known.length > 0) {
    Object.assign(found, { onBranch: 'no', exists: 'yes', elsewhere: known });
    return;
  }
  const isInAll = async () => {
    found.tip = (await fetched.git('rev-parse', TIP)).trim(); // it may have moved on meanwhile
    return isReachable(fetched, TIP, question.sha);
  };
  try {
    await fetchBranches(question, fetched, branch);
    if (branch && (await isInAll())) found.exists = found.onBranch = 'yes';
  } catch (error) {
    if (!branch || !(error instanceof Unanswered) || isPassing(error.trouble.reason)) throw error;
    // All can be too much, or hold what the filter leaves out (a tag of a tree): the branch alone may prove it.
    await fetchAll(question, fetched, TIP);
    if (!(await isInAll())) throw error;
    found.exists = found.onBranch = 'yes';
  }
  if (found.onBranch === 'yes') return;
  found.onBranch = 'no';
  // It was not asked for by its name, but may have come along: as what a tag points at, or as a folder.
  if (found.exists === 'unknown' && /^(tree|blob|tag)$/m.test(await kindOf(fetched, question.sha))) {
    Object.assign(found, { exists: 'yes', notACommit: true });
    return;
  }
  found.elsewhere = await branchesWith(question, fetched);
  if (found.branchMissing && (await hasTag(question, fetched))) {
    // `branch` may name a tag, which holds what it leads to like a branch.
    found.tag = true;
    if (found.elsewhere.includes(`tags/${question.branch}`)) {
      Object.assign(found, { exists: 'yes', onBranch: 'yes', elsewhere: [] });
      return;
    }
  }
  if (found.elsewhere.length > 0) found.exists = 'yes';
  // An old server hands out nothing but what a ref leads to, and no ref leads to it.
  else if (found.exists === 'unknown') found.exists = 'no';
}

async function headsOf({ url }: Question, scratch: Scratch): Promise<Head[]> {
  // Only branches: git lets a server leave out the rest (tags, the heads of pull requests). A pattern it applies by itself.
  const heads = await listed(url, scratch, '--heads');
  // A login page with status 200 looks like a repository without refs.
  if (heads.length === 0 && (await listed(url, scratch)).length === 0) {
    throw new Unanswered({
      reason: 'not a git server',
      said: 'it lists no branch at all: an empty repository, or a page that is no git server',
    });
  }
  return heads;
}

async function listed(url: string, scratch: Scratch, ...options: string[]): Promise<Head[]> {
  const answer = await patiently(() => scratch.lsRemote(url, ...options));
  if (answer.code !== 0 || answer.cut) throw unanswered(answer);
  return answer.stdout.split('\n').flatMap((row) => {
    const [, sha, ref] = /^([0-9a-f]{40}|[0-9a-f]{64})\t(.+)$/.exec(row) ?? [];
    return sha && ref ? [{ sha, ref }] : [];
  });
}

/** Committer times, in seconds. */
interface Times {
  commit: number;
  tip: number;
}

/** Whether the commit exists at all and, by the same question, whether it is among the newest of the branch: that is a proof. */
async function askClose({ url, sha }: Question, scratch: Scratch, found: Probe): Promise<Times | undefined> {
  const { tip } = found;
  const refspecs = [`+${sha}:${PIN}`, ...(tip ? [`+${tip}:${TIP}`] : [])];
  const then = tip ? `${TELL} && ${LIST}` : TELL;
  const answer = await patiently(() => scratch.fetchAndThen(then, url, refspecs, `--depth=${CLOSE}`, GRAPH_ONLY));
  const { code, cut, stderr } = answer;
  const rows = answer.stdout.split('\n').map((row) => row.split(' '));
  const [, kind, time] = rows.find(([ref]) => ref === PIN) ?? [];
  if (stderr.includes(`not our ref ${sha}`)) found.exists = found.onBranch = 'no';
  else if (/did not send all necessary objects/i.test(stderr)) {
    // Said of a tree, which this filter leaves out on purpose, and of a server that sends nothing at all.
    await scratch.fetch(url, [`+${sha}:${PIN}`], '--depth=1', '--filter=blob:none');
    if (!/^(tree|blob|tag)$/m.test(await kindOf(scratch, sha))) throw unanswered(answer);
    found.notACommit = true;
  }
  // An old server, one of JGit (Gerrit), or one that has forgotten the tip meanwhile: nothing is known yet.
  else if (/does not allow request for unadvertised object|: want [0-9a-f]+ not valid|not our ref/i.test(stderr))
    return undefined;
  else if (code !== 0 || cut || !kind) throw unanswered(answer);
  else if (kind !== 'commit') found.notACommit = true;
  else {
    found.exists = 'yes';
    if (tip && rows.some(([row]) => row === sha)) found.onBranch = 'yes';
  }
  if (found.notACommit) Object.assign(found, { exists: 'yes', onBranch: 'no' });
  return { commit: Number(time), tip: Number(rows.find(([ref]) => ref === TIP)?.[2]) };
}

/** A yes is a proof; a no is none, since committer dates can be anything. */
async function isNear({ url }: Question, scratch: Scratch, { tip }: Probe, times: Times | undefined): Promise<boolean> {
  if (!times) return false;
  const since = Math.max(0, times.commit - SLACK_SECONDS);
  if (times.tip < since) return false; // git fails when a branch ends before that date
  // Asked once: should git fail, over SSH and protocol 0 it does so in words that sound like a bad link.
  const options = [`--shallow-since=${since}`, GRAPH_ONLY];
  const answer = await scratch.fetchAndThen(OUTSIDE, url, [`+${tip}:${TIP}`], ...options);
  if (answer.cut) throw unanswered(answer);
  return answer.code === 0 && answer.stdout === '';
}

/** The whole commit graph of the branch, into `ref`. */
export async function fetchAll(
  { url, branch }: Pick<Question, 'url' | 'branch'>,
  scratch: Scratch,
  ref: string,
): Promise<void> {
  const deepen = scratch.isShallow() ? ['--unshallow'] : [];
  const answer = await patiently(() => scratch.fetch(url, [`+refs/heads/${branch}:${ref}`], ...deepen, GRAPH_ONLY));
  if (answer.code !== 0 || answer.cut) throw unanswered(answer);
}

/** The graph of all branches and tags; of `branch` also into TIP. In one question: most pins that come so far are on none. */
async function fetchBranches({ remote, url }: Question, scratch: Scratch, branch: string | undefined): Promise<void> {
  // Without either git refuses what a shallow repository holds, and here it is asked what that is.
  const deepen = [scratch.isShallow() ? '--unshallow' : '--update-shallow'];
  const theirs = refsOf(remote);
  // Apart from each other: a branch may be called tags/v1.
  const refspecs = [`+refs/heads/*:${theirs}heads/*`, `+refs/tags/*:${theirs}tags/*`];
  if (branch) refspecs.push(`+refs/heads/${branch}:${TIP}`);
  const answer = await patiently(() => scratch.fetch(url, refspecs, ...deepen, GRAPH_ONLY));
  if (answer.code !== 0 || answer.cut) throw unanswered(answer);
}

/** Empty when it is not here. */
function kindOf(scratch: Scratch, sha: string): Promise<string> {
  return scratch.git('cat-file', '-t', sha).catch(() => '');
}

async function branchesWith({ remote, sha }: Question, scratch: Scratch): Promise<string[]> {
  const theirs = refsOf(remote);
  try {
    const names = await scratch.git('for-each-ref', '--format=%(refname)', `--contains=${sha}`, theirs);
    return names
      .split('\n')
      .filter(Boolean)
      .map((name) => name.slice(theirs.length).replace(/^heads\//, ''));
  } catch {
    return []; // git does not know the commit: then no ref leads to it
  }
}

async function hasTag({ remote, branch }: Question, scratch: Scratch): Promise<boolean> {
  const name = `${refsOf(remote)}tags/${branch}`;
  return (await scratch.git('for-each-ref', '--format=%(refname)', name)).split('\n').includes(name);
}

/** Of branches of this remote those that hold the commit, where another remote has brought the history of all of them. */
async function headsWith({ sha }: Question, twin: Scratch, heads: Head[]): Promise<string[] | undefined> {
  const tips = async (...options: string[]) =>
    new Set((await twin.git('for-each-ref', '--format=%(objectname)', ...options, 'refs/probe/h/')).split('\n'));
  try {
    const here = await tips();
    if (!heads.every((head) => here.has(head.sha))) return undefined;
    const holding = await tips(`--contains=${sha}`);
    return heads.filter((head) => holding.has(head.sha)).map(({ ref }) => ref.slice('refs/heads/'.length));
  } catch {
    return undefined; // git does not know the commit
  }
}

/** Remotes may share a scratch repository, and their branches have the same names. */
function refsOf(remote: string): string {
  return `refs/probe/h/${Buffer.from(remote).toString('hex')}/`;
}

/**
 * Whether `ref` leads to the commit, by what is here. By the list, not by merge-base: its exit code says no as well when
 * history is cut off.
 */
export async function isReachable(scratch: Scratch, ref: string, sha: string): Promise<boolean> {
  return (await scratch.git('rev-list', ref)).includes(sha);
}

/** Asks again, twice, where that may help. */
export async function patiently(ask: () => Promise<GitAnswer>): Promise<GitAnswer> {
  for (const pause of RETRIES_MS) {
    const answer = await ask();
    const trouble = troubleOf(answer);
    if (!trouble || !isPassing(trouble.reason)) return answer;
    await sleep(pause * (0.5 + Math.random()));
  }
  return ask();
}

function unanswered(answer: GitAnswer): Unanswered {
  return new Unanswered(troubleOf(answer) ?? { reason: 'other', said: words(answer.stderr) });
}
