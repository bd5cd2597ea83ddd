import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { receivedBy } from './forge.js';
import { type Hit, SECRET_INPUTS, secretSearch } from './secret-search.js';

/** What is left of a run; `Report` is the action's own `report` output. */
export interface Finished<Report> {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Everything it wrote to stdout and stderr. */
  log: string;
  outputs: Record<string, string>;
  summary: string;
  report?: Report;
}

export interface Running<Report> {
  child: ChildProcess;
  /** Called with each line of the log as it comes. */
  onLine(listener: (line: string) => void): void;
  finished: Promise<Finished<Report>>;
}

/** What an action writes where its inputs say, most of it in the workspace. */
const WRITTEN = ['json', 'sarif', 'junit', 'patch', 'baseline', 'state-dir'];

/**
 * Starts a bundle as a runner would: inputs as INPUT_*, file commands, nothing on stdin. `through`: a program that becomes
 * it, with its arguments, such as `setpriv` or `strace`.
 *
 * After its end, whatever the test is about, its secrets are looked for in all that it wrote: log, outputs, summary, state,
 * home, temporary folder, and what the stand-in of the forge was sent. `finished` is rejected where one is found.
 */
export function startAction<Report>(
  bundle: string,
  inputs: Record<string, string>,
  env: Record<string, string> = {},
  through: string[] = [],
): Running<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-run-'));
  const temp = mkdtempSync(join(tmpdir(), 'gbo-run-tmp-'));
  chmodSync(temp, 0o1777); // whoever it becomes on its way through another program
  const files = {
    GITHUB_OUTPUT: join(folder, 'output'),
    GITHUB_STEP_SUMMARY: join(folder, 'summary'),
    GITHUB_ENV: join(folder, 'env'),
    GITHUB_STATE: join(folder, 'state'),
    GITHUB_PATH: join(folder, 'path'),
  };
  for (const path of Object.values(files)) writeFileSync(path, '');
  const [program = '', ...args] = [...through, process.execPath, bundle];
  const environment: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    HOME: folder,
    TMPDIR: temp,
    RUNNER_TEMP: temp,
    GITHUB_ACTIONS: 'true',
    ...files,
    ...Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
    ...env,
  };
  const sent = receivedBy(environment.GITHUB_API_URL);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  const listeners: ((line: string) => void)[] = [];
  let log = '';
  let rest = '';
  const read = (chunk: string) => {
    log += chunk;
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) for (const listener of listeners) listener(line);
  };
  // Decoded as a stream: a letter of several bytes may come in two parts, and a secret with it.
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', read);
  const finished = new Promise<Finished<Report>>((resolve, reject) => {
    child.on('close', (code, signal) => {
      try {
        const outputs = readFileCommands(files.GITHUB_OUTPUT);
        const summary = readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8');
        const report = outputs.report ? JSON.parse(outputs.report) : undefined;
        // Who is killed cannot clean up: its private folder in RUNNER_TEMP goes with the job.
        const left = signal === 'SIGKILL' ? [] : [temp, environment.TMPDIR, environment.RUNNER_TEMP];
        refuseLeaks(inputs, environment, { log, sent: sent(), folders: [folder, environment.HOME, ...left] });
        resolve({ code, signal, log, outputs, summary, report });
      } catch (error) {
        reject(error);
      } finally {
        for (const path of [folder, temp]) rmSync(path, { recursive: true, force: true });
      }
    });
  });
  return { child, onLine: (listener) => void listeners.push(listener), finished };
}

/** @throws when a secret of the inputs, or the token of the run, is in what a run left */
function refuseLeaks(
  inputs: Record<string, string>,
  env: Record<string, string | undefined>,
  left: { log: string; sent: string[]; folders: (string | undefined)[] },
): void {
  const secrets = Object.fromEntries(
    [
      ...SECRET_INPUTS.map((name) => [name, inputs[name] ?? env[`INPUT_${name.toUpperCase()}`]]),
      ['GITHUB_TOKEN', env.GITHUB_TOKEN],
    ].filter((entry): entry is [string, string] => Boolean(entry[1])),
  );
  if (Object.keys(secrets).length === 0) return;
  const search = secretSearch(secrets);
  const workspace = inputs.repository ?? env.GITHUB_WORKSPACE ?? '';
  const written = WRITTEN.flatMap((name) => (inputs[name] ? resolve(workspace, inputs[name]) : []));
  // Below the machine's own folders lie those of other runs.
  const folders = [...new Set(left.folders)].filter((path) => path && path !== tmpdir() && path !== homedir());
  const hits: Hit[] = [
    // What is to be masked is told to the runner by itself, which shows it as ***.
    ...search.inText('the log', left.log.replaceAll(/^::add-mask::.*$/gm, '')),
    ...left.sent.flatMap((request) => search.inText('a request to the forge', request)),
    ...[...folders, ...written].flatMap((path) => search.inFiles(path as string)),
  ];
  if (hits.length === 0) return;
  const places = hits.map(({ secret, form, place }) => `${secret} (${form}) in ${place}`);
  throw new Error(`A secret got out: ${[...new Set(places)].join('; ')}`);
}

/** `name<<delimiter` blocks, as @actions/core writes them. */
function readFileCommands(path: string): Record<string, string> {
  const outputs: Record<string, string> = {};
  const lines = readFileSync(path, 'utf8').split('\n');
  for (let index = 0; index < lines.length; index++) {
    const match = /^([^=<]+)<<(.+)$/.exec(lines[index] ?? '');
    if (!match) continue;
    const end = lines.indexOf(match[2] ?? '', index + 1);
    outputs[match[1] ?? ''] = lines.slice(index + 1, end).join('\n');
    index = end;
  }
  return outputs;
}
