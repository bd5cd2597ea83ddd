import { spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ExpectedError } from '@gbo/shared/errors';
import { Secrets } from '@gbo/shared/secrets';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import pLimit from 'p-limit';
import type { Inputs } from './inputs.js';
import { basicLogin } from './remote-input.js';
import { addressOf } from './urls.js';

/** What came of one git command that went over the network. */
export interface GitAnswer {
  /** Exit code; null when it was ended. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** Why we ended it. */
  cut?: 'too large' | 'took too long';
}

/**
 * Runs git in `directory`. Never rejects, and leaves no process behind.
 * @param andThen a shell command of ours for when it succeeds: to start a shell from here takes longer than what it does
 */
export type NetworkGit = (directory: string, args: string[], andThen?: string) => Promise<GitAnswer>;

/** Characters of stdout that are kept: the refs of a very large repository. */
const MOST_OUTPUT = 16 * 1024 * 1024;
const MOST_STDERR = 64 * 1024;
/** All that git says when the kernel ends index-pack; one that gives up by itself says why before. */
const KILLED_INDEX_PACK = 'fatal: fetch-pack: invalid index-pack output';
/** Address space of a git and each of its children, beside what it may fetch: a reply that is held in memory ends there. */
const MOST_MEMORY = 1024 * 1024 * 1024;

/**
 * git with an environment of its own: no configuration of the machine, no prompts, no hooks, no redirects, tokens only for
 * the base they belong to, and only the protocols of the remotes. Own spawn instead of simple-git, whose time-out ends `git`
 * but leaves `git-remote-http` running, and which offers no limit on size.
 *
 * @param folder a private folder (0700) for the configuration and keys
 */
export function networkGit(inputs: Inputs, folder: string, env: NodeJS.ProcessEnv, signal: AbortSignal): NetworkGit {
  const environment = isolated(inputs, folder, env);
  const limit = pLimit(inputs.parallel);
  // Here already: what is cut, or has its control characters spelt out, is no longer found.
  const secrets = new Secrets();
  for (const { token } of inputs.remotes) if (token) secrets.add(token);
  return (directory, args, andThen) =>
    limit(async () => {
      const answer = await run(directory, args, andThen, environment, inputs, signal);
      return { ...answer, stderr: secrets.redact(answer.stderr) };
    });
}

function run(
  directory: string,
  args: string[],
  andThen: string | undefined,
  env: NodeJS.ProcessEnv,
  { mostBytes, mostMs }: Inputs,
  signal: AbortSignal,
): Promise<GitAnswer> {
  // The kernel keeps the limits (SIGXFSZ, no memory), also for git's children; the unit of ulimit -f is 512 bytes.
  const limits = `ulimit -f ${Math.ceil(mostBytes / 512)} && ulimit -v ${Math.ceil((MOST_MEMORY + 2 * mostBytes) / 1024)}`;
  const script = `${limits}; ${andThen ? `git "$@" && ${andThen}` : 'exec git "$@"'}`;
  if (signal.aborted) return Promise.resolve({ code: null, stdout: '', stderr: 'cancelled' });
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', script, 'sh', ...args], {
      cwd: directory,
      env,
      detached: true, // a process group of its own, to end git together with its helpers
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let cut: GitAnswer['cut'];
    const end = (why?: GitAnswer['cut']) => {
      cut ??= why;
      try {
        if (child.pid) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    };
    const timer = setTimeout(() => end('took too long'), mostMs);
    const cancelled = () => end();
    signal.addEventListener('abort', cancelled, { once: true });
    const out: Buffer[] = [];
    let length = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MOST_OUTPUT) end('too large');
      else out.push(chunk);
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderr.length < MOST_STDERR) stderr += chunk.toString();
    });
    const done = (code: number | null, said?: string) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancelled);
      end(); // a helper that outlived git
      const big =
        /file size limit exceeded|File too large|Out of memory|signal 25|died of signal 9/i.test(stderr) ||
        stderr.replaceAll(/^warning: .*$/gm, '').trim() === KILLED_INDEX_PACK;
      resolve({
        code,
        stdout: Buffer.concat(out).toString(),
        stderr: said ?? stderr,
        cut: cut ?? (big ? 'too large' : undefined),
      });
    };
    child.on('error', (error) => done(null, error.message));
    child.on('close', (code, killedBy) => {
      if (killedBy === 'SIGXFSZ') cut ??= 'too large';
      done(code);
    });
  });
}

/** Variables of the machine that say how the network is reached, not what git does. */
const passed = [
  'PATH',
  'https_proxy',
  'HTTPS_PROXY',
  'http_proxy',
  'no_proxy',
  'NO_PROXY',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
];

function isolated(inputs: Inputs, folder: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const home = join(folder, 'home');
  mkdirSync(home, { mode: 0o700 });
  const config = join(folder, 'gitconfig');
  writeFileSync(config, configuration(inputs), { mode: 0o600 });
  const protocols = [
    ...new Set(['https', 'ssh', ...inputs.remotes.flatMap(({ base }) => addressOf(base)?.protocol ?? [])]),
  ];
  return {
    ...Object.fromEntries(passed.flatMap((name) => (env[name] ? [[name, env[name]]] : []))),
    LC_ALL: 'C',
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: config,
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    SSH_ASKPASS: '/bin/false',
    GIT_NO_LAZY_FETCH: '1',
    GIT_ALLOW_PROTOCOL: protocols.join(':'),
    GIT_SSH_COMMAND: sshCommand(inputs, folder),
    GIT_SSH_VARIANT: 'ssh',
  };
}

function configuration({ remotes, caFile, mostMs }: Inputs): string {
  const quote = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const tokens = remotes.flatMap(({ base, token }) => {
    if (!token || !/^https?:/.test(base)) return [];
    const basic = Buffer.from(basicLogin(token)).toString('base64');
    // The empty one takes back that of a remote whose base holds this one: a server refuses two.
    return [`[http ${quote(base)}]`, '\textraHeader =', `\textraHeader = ${quote(`Authorization: Basic ${basic}`)}`];
  });
  return [
    '[http]',
    '\tfollowRedirects = false', // a redirect would take the token along
    '\tlowSpeedLimit = 1000',
    `\tlowSpeedTime = ${Math.max(1, Math.min(20, Math.ceil(mostMs / 1000)))}`,
    ...(caFile ? [`\tsslCAInfo = ${quote(readable(caFile))}`] : []),
    '[credential]\n\thelper = ""',
    '[core]\n\thooksPath = /dev/null\n\tfsync = none', // what is written here is thrown away anyway
    '[gc]\n\tauto = 0',
    '[maintenance]\n\tauto = false',
    '[fetch]\n\tunpackLimit = 1\n\tfsckObjects = false',
    '[protocol]\n\tversion = 2',
    '[pack]\n\tthreads = 1', // each takes address space, and a large machine starts many
    '[safe]\n\tdirectory = *',
    ...tokens,
    '',
  ].join('\n');
}

/** git runs in other folders, so that the path must hold from everywhere. */
function readable(caFile: string): string {
  const path = resolve(caFile);
  try {
    accessSync(path, constants.R_OK);
    return path;
  } catch {
    throw new ExpectedError(
      `The ca-file ${path} cannot be read.`,
      'Nothing was asked.',
      'Give the path of a PEM file.',
    );
  }
}

function sshCommand({ sshKey, knownHosts }: Inputs, folder: string): string {
  const [key, known] = [join(folder, 'key'), join(folder, 'known_hosts')];
  writeFileSync(known, `${knownHosts}\n`, { mode: 0o600 });
  if (sshKey) writeFileSync(key, `${sshKey.trim()}\n`, { mode: 0o600 });
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile="${known}"`,
    'IdentitiesOnly=yes',
    'ConnectTimeout=10',
    'ServerAliveInterval=5',
    'ServerAliveCountMax=3',
  ];
  return [
    'ssh',
    '-F',
    'none',
    ...options.flatMap((option) => ['-o', option]),
    ...(sshKey ? ['-i', key] : ['-o', 'PubkeyAuthentication=no']),
  ]
    .map(q)
    .join(' ');
}
