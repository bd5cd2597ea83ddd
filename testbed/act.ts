import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDir } from './systemd.js';

const run = promisify(execFile);
const version = 'v0.2.89';

/**
 * Nektos act, the ancestor of Forgejo's runner, which itself cannot be built from package registries. The first time it takes
 * minutes, as Go builds it: Debian has no act, and its Go is too old.
 */
export async function actBinary(): Promise<string> {
  const folder = join(cacheDir, 'bin');
  const binary = join(folder, 'act');
  if (existsSync(binary) && (await run(binary, ['--version'])).stdout.trim().endsWith(version.slice(1))) return binary;
  await mkdir(folder, { recursive: true });
  await run('nice', [goCommand(), 'install', `github.com/nektos/act@${version}`], {
    env: { ...process.env, GOBIN: folder, GOFLAGS: '-p=2' },
    maxBuffer: 64 * 1024 * 1024,
  });
  return binary;
}

/** Whether workflows can run here; `why` is one sentence. Changes nothing on the machine. */
export async function actAvailable(): Promise<{ ok: true } | { ok: false; why: string }> {
  if (existsSync(join(cacheDir, 'bin', 'act'))) return { ok: true };
  try {
    await run(goCommand(), ['version']);
    return { ok: true };
  } catch {
    return { ok: false, why: 'Workflows run by act, which Go has to build, and there is no Go on this machine.' };
  }
}

function goCommand(): string {
  return existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : 'go';
}

export interface WorkflowRun {
  /** Work tree of the repository that runs: what the checkout step copies. */
  repository: string;
  /** `owner/name`. */
  name: string;
  /** Path of the workflow in it. */
  workflow: string;
  /** Default: `push`. */
  event?: string;
  payload?: object;
  secrets?: Record<string, string>;
  vars?: Record<string, string>;
  /** For the steps. */
  env?: Record<string, string>;
  /** Home of the runner. `uses:` are cloned into its cache, and jobs work there. */
  home: string;
  path: string;
  /** Where `uses: owner/name@ref` is cloned from, such as `http://127.0.0.1:4711`. */
  server: string;
}

export interface StepLog {
  name: string;
  result: string;
  lines: string[];
}

export interface WorkflowFinished {
  code: number | null;
  /** What the steps themselves wrote, in the order in which they ran. */
  steps: StepLog[];
  /** Everything, for the message of a test that fails. */
  log: string;
}

/** Runs one workflow in host mode. It asks nobody but `server`, and ends with this process. */
export async function runWorkflow(options: WorkflowRun): Promise<WorkflowFinished> {
  const { repository, name, workflow, event = 'push', payload = {}, secrets = {}, vars = {}, home, server } = options;
  const folder = await mkdtemp(join(tmpdir(), 'testbed-act-'));
  // JSON is YAML, whatever a secret holds; the dotenv format has its own ideas of quotes, $ and line ends.
  const file = async (base: string, value: object) => {
    await writeFile(join(folder, base), JSON.stringify(value), { mode: 0o600 });
    return join(folder, base);
  };
  // Without a settings file it asks which image it should pull.
  await mkdir(join(home, '.config', 'act'), { recursive: true });
  await writeFile(join(home, '.config', 'act', 'actrc'), '');
  const token = secrets.GITHUB_TOKEN ?? 'token-of-the-run';
  // The token is in the environment of every step, as with Forgejo's runner and unlike GitHub's.
  const env = { GITHUB_REPOSITORY: name, GITHUB_SERVER_URL: server, GITHUB_TOKEN: token, ...options.env };
  const args = [
    ...[event, '--json', '--directory', repository, '--workflows', workflow],
    ...['--platform', 'gbo=-self-hosted', '--pull=false', '--no-cache-server', '--container-daemon-socket', '-'],
    ...['--eventpath', await file('event.json', payload)],
    // Without a token it asks GitHub's command line for one.
    ...['--secret-file', await file('secrets.yml', { ...secrets, GITHUB_TOKEN: token })],
    ...['--var-file', await file('vars.yml', vars), '--env-file', await file('env.yml', env)],
  ];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', await actBinary(), ...args], {
    cwd: folder,
    env: { PATH: options.path, HOME: home, GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  await rm(folder, { recursive: true, force: true });
  return { code, steps: stepsOf(log), log };
}

interface Row {
  step?: string;
  stage?: string;
  stepResult?: string;
  raw_output?: boolean;
  msg?: string;
  /** A line that act took as a command, as typed. */
  raw?: string;
  command?: string;
}

function stepsOf(log: string): StepLog[] {
  const steps = new Map<string, StepLog>();
  for (const line of log.split('\n')) {
    if (!line.startsWith('{')) continue;
    const { step, stage, stepResult, raw_output, msg, raw, command } = JSON.parse(line) as Row;
    if (!step || stage !== 'Main') continue;
    const name = step.replace(/^(Main|Run) /, '');
    const known = steps.get(name) ?? { name, result: '', lines: [] };
    steps.set(name, known);
    const said = raw_output ? msg : command?.endsWith('group') ? raw : undefined;
    if (said !== undefined) known.lines.push(said.replace(/\r?\n$/, ''));
    if (stepResult) known.result = stepResult;
  }
  return [...steps.values()];
}
