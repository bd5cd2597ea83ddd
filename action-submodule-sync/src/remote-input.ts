import { parse } from 'yaml';
import { z } from 'zod';
import { addressOf } from './urls.js';

/** One remote: where the root and its submodules lie, by the name that people use in `git push NAME`. */
export interface Remote {
  name: string;
  /** URL of the folder that holds the root repository, with one slash at its end. */
  base: string;
  /** Branch expected to hold the pins; absent: the input `branch`. */
  branch?: string;
  token?: string;
}

const entry = z.strictObject({
  name: z.string(),
  base: z.string(),
  branch: z.string().optional(),
});

const namePattern = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

/**
 * `remotes` as lines `name = base-url [branch]`, or as a YAML list of {name, base, branch}; `tokens` as lines
 * `name = token`. Reports through `problem`, once for each mistake, never quoting a token.
 */
export function remotesFrom(text: string, tokens: string | undefined, problem: (text: string) => void): Remote[] {
  const given = /^\s*-/.test(text) ? fromYaml(text, problem) : fromLines(text, problem);
  const remotes = given.map((remote) => ({ ...remote, base: checkedBase(remote, problem) }));
  for (const { name, branch } of remotes) {
    if (!namePattern.test(name)) problem(`input remotes: ${JSON.stringify(name)} is not a remote name`);
    if (branch !== undefined && !isBranchName(branch))
      problem(`input remotes: ${JSON.stringify(branch)} is not a branch`);
  }
  const names = remotes.map(({ name }) => name);
  for (const name of new Set(names.filter((each, index) => names.indexOf(each) !== index))) {
    problem(`input remotes: two remotes are called ${name}`);
  }
  return withTokens(remotes, tokens ?? '', problem);
}

function fromLines(text: string, problem: (text: string) => void): Remote[] {
  return meaningfulLines(text).flatMap((line) => {
    const [, name, base, branch, more] = /^([^\s=]+)\s*=\s*(\S+)(?:\s+(\S+))?(\s+\S.*)?$/.exec(line) ?? [];
    if (!name || !base || more) {
      problem(`input remotes: ${JSON.stringify(line)} is not \`name = base-url [branch]\``);
      return [];
    }
    return [{ name, base, branch }];
  });
}

function fromYaml(text: string, problem: (text: string) => void): Remote[] {
  try {
    const read = z.array(entry).safeParse(parse(text));
    if (read.success) return read.data;
    for (const { path, message } of read.error.issues) problem(`input remotes[${path.join('.')}]: ${message}`);
  } catch {
    problem('input remotes is neither lines `name = base-url` nor a YAML list');
  }
  return [];
}

function checkedBase({ name, base }: Remote, problem: (text: string) => void): string {
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (url && (url.password || (url.username && url.protocol !== 'ssh:'))) {
    // The base itself holds a secret, so it is not shown.
    problem(`input remotes: the base of ${name} holds a user or password; give the token in \`tokens\``);
    return 'https://invalid.example/';
  }
  if (!addressOf(base)) {
    problem(`input remotes: ${JSON.stringify(base)} is not an https, http or ssh address`);
  }
  return `${base.replace(/\/+$/, '')}/`;
}

function withTokens(remotes: Remote[], text: string, problem: (text: string) => void): Remote[] {
  const tokens = new Map<string, string>();
  for (const line of meaningfulLines(text)) {
    const at = line.indexOf('=');
    const name = line.slice(0, at).trim();
    if (at < 1) problem('input tokens: a line is not `remote-name = token`');
    else if (!remotes.some((remote) => remote.name === name))
      problem('input tokens: a line names no remote of `remotes`');
    // A pull request from a fork gets no secrets: what can be asked without them is asked.
    else if (line.slice(at + 1).trim()) tokens.set(name, line.slice(at + 1).trim());
  }
  return remotes.map((remote) => ({ ...remote, token: tokens.get(remote.name) }));
}

/** What HTTP Basic sends for a token, before its base64. */
export function basicLogin(token: string): string {
  return `x-access-token:${token}`;
}

/** Lines with something on them, trimmed; `#` begins a comment line. */
export function meaningfulLines(text: string): string[] {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith('#'));
}

/** The names that `git check-ref-format --branch` takes (git-check-ref-format(1)), without asking git. */
export function isBranchName(name: string): boolean {
  return (
    name.length < 200 &&
    !/^$|^-|^@$|^HEAD$|^\/|\/$|\/\/|\.\.|@\{|[\s~^:?*[\\\p{Cc}]|\.$/u.test(name) &&
    !name.split('/').some((part) => part.startsWith('.') || part.endsWith('.lock'))
  );
}
