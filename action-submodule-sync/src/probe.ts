import { setTimeout as sleep } from 'node:timers/promises';
import { GitFailed } from './git.js';
import { isPassing, troubleOf, words } from './git-trouble.js';
import type { GitAnswer } from './network-git.js';
import type { Scratch } from './scratch.js';
import type { Probe, Trouble } from './states.js';

export interface Question {
  remote: string;
  url: string;
  branch: string;
  sha: string;
}

/** No trees, no files: some 200 bytes a commit, where the server offers filters. */
const GRAPH_ONLY = '--filter=tree:0';
const TIP = 'refs/probe/tip';
const PIN = 'refs/probe/pin';
/** Committer clocks differ; a day more of history costs little. */
const SLACK_SECONDS = 24 * 3600;
const RETRIES_MS = [500, 2000];

/** An answer that ends the ladder early. */
class Unanswered extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble.said);
  }
}

/**
 * Is this commit on that branch of that remote? Asked by the cheapest question first: is it the tip (0.6 KB); does it exist;
 * is it in the recent history; in all of it; on any other branch. Never rejects: what got no answer is `trouble`.
 *
 * That a server holds a commit proves nothing (it hands out dangling commits and those of forks): only a branch counts.
 */
export async function probe(question: Question, scratch: Scratch): Promise<Probe> {
  const began = performance.now();
  const { remote, url, branch } = question;
  const found: Probe = {
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
  try {
    await climb(question, scratch, found);
  } catch (error) {
    if (error instanceof Unanswered) found.trouble = error.trouble;
    // What the server sent cannot be read, though git took it.
    else if (error instanceof GitFailed) found.trouble = { reason: 'other', said: words(error.said) };
    else throw error;
  }
  return { ...found, ...scratch.cost, ms: Math.round(performance.now() - began) };
}

async function climb(question: Question, scratch: Scratch, found: Probe): Promise<void> {
  const { sha } = question;
  found.tip = await tipOf(question, scratch);
  found.branchMissing = found.tip === undefined;
  if (found.tip === sha) {
    found.exists = found.onBranch = 'yes';
    return;
  }
  await existence(question, scratch, found);
  if (found.notACommit || found.exists === 'no') {
    found.onBranch = 'no';
    return;
  }
  if (!found.branchMissing) {
    if ((await isNear(question, scratch, found)) || (await isInAll(question, scratch))) {
      found.exists = found.onBranch = 'yes';
      return;
    }
  }
  found.onBranch = 'no';
  found.elsewhere = await branchesWith(question, scratch);
  if (found.elsewhere.length > 0) found.exists = 'yes';
  // An old server hands out nothing but what a ref leads to, and no ref leads to it.
  else if (found.exists === 'unknown') found.exists = 'no';
}

async function tipOf({ url, branch }: Question, scratch: Scratch): Promise<string | undefined> {
  const answer = await patiently(() => scratch.fetch(url, [`+refs/heads/${branch}:${TIP}`], '--depth=1', GRAPH_ONLY));
  if (answer.code === 0 && !answer.cut) return (await scratch.git('rev-parse', TIP)).trim();
  if (!/couldn't find remote ref/i.test(answer.stderr)) throw unanswered(answer);
  // A login page with status 200 looks like a repository without refs.
  const all = await patiently(() => scratch.lsRemote(url));
  if (all.code !== 0 || all.cut) throw unanswered(all);
  if (!/^[0-9a-f]{40,64}\t/m.test(all.stdout)) {
    throw new Unanswered({
      reason: 'not a git server',
      said: 'it lists no branch at all: an empty repository, or a page that is no git server',
    });
  }
  return undefined;
}

async function existence({ url, sha }: Question, scratch: Scratch, found: Probe): Promise<void> {
  const answer = await patiently(() => scratch.fetch(url, [`+${sha}:${PIN}`], '--depth=1', GRAPH_ONLY));
  if (/not our ref/i.test(answer.stderr)) found.exists = 'no';
  else if (/did not send all necessary objects/i.test(answer.stderr)) found.notACommit = true;
  else if (/does not allow request for unadvertised object/i.test(answer.stderr)) found.exists = 'unknown';
  else if (answer.code !== 0 || answer.cut) throw unanswered(answer);
  else if ((await scratch.git('cat-file', '-t', sha)).trim() !== 'commit') found.notACommit = true;
  else found.exists = 'yes';
  if (found.notACommit) found.exists = 'yes';
}

/** A yes is a proof; a no is none, since committer dates can be anything. */
async function isNear({ url, branch, sha }: Question, scratch: Scratch, found: Probe): Promise<boolean> {
  if (found.exists !== 'yes') return false;
  const committed = Number(await scratch.git('log', '-1', '--no-show-signature', '--format=%ct', sha));
  const since = Math.max(0, committed - SLACK_SECONDS);
  // Asked once: when the branch ends before that date git fails, over SSH and protocol 0 in words that sound like a bad link.
  const answer = await scratch.fetch(url, [`+refs/heads/${branch}:${TIP}`], `--shallow-since=${since}`, GRAPH_ONLY);
  if (answer.cut) throw unanswered(answer);
  if (answer.code !== 0) return false;
  return isReachable(scratch, TIP, sha);
}

async function isInAll(question: Question, scratch: Scratch): Promise<boolean> {
  await fetchAll(question, scratch, TIP);
  return isReachable(scratch, TIP, question.sha);
}

/** The whole commit graph of the branch, into `ref`. */
export async function fetchAll(
  { url, branch }: Pick<Question, 'url' | 'branch'>,
  scratch: Scratch,
  ref: string,
): Promise<void> {
  const deepen = (await scratch.git('rev-parse', '--is-shallow-repository')).trim() === 'true' ? ['--unshallow'] : [];
  const answer = await patiently(() => scratch.fetch(url, [`+refs/heads/${branch}:${ref}`], ...deepen, GRAPH_ONLY));
  if (answer.code !== 0 || answer.cut) throw unanswered(answer);
}

async function branchesWith({ url, sha }: Question, scratch: Scratch): Promise<string[]> {
  const deepen = (await scratch.git('rev-parse', '--is-shallow-repository')).trim() === 'true' ? ['--unshallow'] : [];
  const refspecs = ['+refs/heads/*:refs/probe/h/*', '+refs/tags/*:refs/probe/h/tags/*'];
  const answer = await patiently(() => scratch.fetch(url, refspecs, ...deepen, GRAPH_ONLY));
  if (answer.code !== 0 || answer.cut) throw unanswered(answer);
  try {
    const names = await scratch.git('for-each-ref', '--format=%(refname)', `--contains=${sha}`, 'refs/probe/h/');
    return names
      .split('\n')
      .filter(Boolean)
      .map((name) => name.slice('refs/probe/h/'.length));
  } catch {
    return []; // git does not know the commit: then no ref leads to it
  }
}

/**
 * Whether `ref` leads to the commit, by what is here. By the list, not by merge-base: its exit code says no as well when
 * history is cut off.
 */
export async function isReachable(scratch: Scratch, ref: string, sha: string): Promise<boolean> {
  return (await scratch.git('rev-list', ref)).includes(sha);
}

/** Asks again, twice, where that may help. */
async function patiently(ask: () => Promise<GitAnswer>): Promise<GitAnswer> {
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
