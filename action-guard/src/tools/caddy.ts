import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import type { CaddyAnswer, CaddyAnswers } from '../formats/answers.js';
import { readCaddy } from '../formats/caddy-config.js';
import { type Token, tokenize } from '../formats/caddy-tokens.js';
import type { Tree } from '../tree.js';

export interface CaddyCall {
  binary?: string;
  milliseconds?: number;
  served?: string;
  plugins?: readonly string[];
}

const searched = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Asks a Caddy of this machine what the Caddyfiles of a tree mean. `adapt` only translates; `validate` would write CA keys
 * and log files. It sees copies of the files in a folder of its own, an empty environment and no network is needed.
 * Undefined: there is no Caddy.
 */
export async function askCaddy(
  tree: Tree,
  paths: readonly string[],
  call: CaddyCall = {},
): Promise<CaddyAnswers | undefined> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'guard-caddy-')));
  try {
    const run = (args: string[], cwd: string) => runCaddy(call, args, cwd, folder);
    const version = await run(['version'], folder);
    if (version.failed) return undefined;
    const answers: CaddyAnswers = {};
    for (const [index, path] of paths.entries()) {
      const why = unsafe(tree, path, call);
      if (why) {
        answers[path] = { asked: false, why };
        continue;
      }
      const root = join(folder, String(index));
      for (const each of readCaddy(tree, path, optionsOf(call)).files) {
        await mkdir(join(root, dirname(each)), { recursive: true });
        await writeFile(join(root, each), tree.file(each)?.bytes ?? '');
      }
      const said = await run(['adapt', '--config', path, '--adapter', 'caddyfile'], root);
      answers[path] = readAnswer(said, version.stdout.trim().split(/\s/)[0] ?? '', root, path);
    }
    return answers;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function optionsOf({ served, plugins }: CaddyCall) {
  return { served, plugins };
}

interface Said {
  failed: boolean;
  stdout: string;
  stderr: string;
}

function runCaddy(call: CaddyCall, args: string[], cwd: string, home: string): Promise<Said> {
  return new Promise((resolve) => {
    execFile(
      call.binary ?? 'caddy',
      args,
      {
        cwd,
        env: { PATH: searched, HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home, GOMEMLIMIT: '256MiB' },
        timeout: call.milliseconds ?? 20_000,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024 * 1024,
      },
      (error, stdout, stderr) => resolve({ failed: error !== null, stdout, stderr }),
    );
  });
}

/** Why a file must not be shown to Caddy: at its word Caddy would read files of this machine. */
function unsafe(tree: Tree, path: string, call: CaddyCall): string | undefined {
  const config = readCaddy(tree, path, optionsOf(call));
  if (config.problems.some(({ kind }) => kind === 'limit')) return 'its imports expand to too much';
  for (const each of config.files) {
    const file = tree.file(each);
    if (!file || file.kind === 'link' || file.kind === 'submodule') return `${each} is no file`;
    const { tokens } = tokenize(file.text, each, { dialect: 'caddyfile', environment: {} });
    let before: Token | undefined;
    for (const token of tokens) {
      const first = !before || before.line < token.line;
      if (before?.text === 'import' && !plainImport(token.text, each))
        return `${each} imports ${token.text}, which is not in the repository`;
      // What an argument puts at the start of a line could be an import again.
      if (first && (token.text.includes('{args') || token.text.startsWith('{block')))
        return `${each} has a directive whose name is an argument`;
      if (token.text === 'trusted_ca_cert_file' || token.text === 'trusted_leaf_cert_file')
        return `${each} names a certificate that Caddy would read`;
      before = token;
    }
  }
  return undefined;
}

function plainImport(text: string, from: string): boolean {
  if (posix.isAbsolute(text) || text.includes('{')) return false;
  const wanted = posix.join(posix.dirname(from), text);
  return wanted !== '..' && !wanted.startsWith('../');
}

function readAnswer(said: Said, version: string, root: string, path: string): CaddyAnswer {
  if (said.failed) {
    const lines = said.stderr.split('\n');
    const start = lines.findIndex((line) => line.startsWith('Error: '));
    if (start < 0) return { asked: false, why: 'it did not answer in time' };
    const message = lines.slice(start).join(' ').slice('Error: '.length).replaceAll(`${root}/`, '').trim();
    return { asked: true, version, accepted: false, message, ...placeIn(message, path) };
  }
  try {
    return { asked: true, version, accepted: true, ...meaning(JSON.parse(said.stdout)) };
  } catch {
    return { asked: false, why: 'what it printed is no JSON' };
  }
}

/** `conf/config:12` within a message. */
function placeIn(message: string, path: string): { path?: string; line?: number } {
  for (const word of message.split(' ')) {
    const colon = word.lastIndexOf(':');
    const parts = (colon === word.length - 1 ? word.slice(0, -1) : word).split(':');
    const [file, line] = parts;
    if (file && parts.length === 2 && line && /^\d{1,9}$/.test(line) && (file === path || file.includes('/')))
      return { path: file, line: Number(line) };
  }
  return {};
}

interface Adapted {
  storage?: { module: string; root?: string };
  logging?: {
    logs?: Record<string, { writer?: { output?: string; filename?: string }; encoder?: { format?: string } }>;
  };
  apps?: {
    http?: {
      servers?: Record<string, { routes?: { match?: { host?: string[] }[] }[]; logs?: { skip_hosts?: string[] } }>;
    };
  };
}

function meaning(json: Adapted) {
  const servers = Object.values(json.apps?.http?.servers ?? {});
  const hosts = servers.flatMap(({ routes }) =>
    (routes ?? []).flatMap(({ match }) => (match ?? []).flatMap(({ host }) => host ?? [])),
  );
  const logs = Object.values(json.logging?.logs ?? {});
  return {
    hosts: [...new Set(hosts)].sort(),
    storage: json.storage,
    skipped: [...new Set(servers.flatMap(({ logs: each }) => each?.skip_hosts ?? []))].sort(),
    noLog: servers.every((server) => !server.logs),
    writers: logs.flatMap(({ writer, encoder }) =>
      writer?.output === 'file' && writer.filename ? [{ filename: writer.filename, encoder: encoder?.format }] : [],
    ),
  };
}
