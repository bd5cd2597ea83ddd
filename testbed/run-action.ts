import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

/**
 * Starts a bundle as a runner would: inputs as INPUT_*, file commands, nothing on stdin. `through`: a program that becomes
 * it, with its arguments, such as `setpriv` or `strace`.
 */
export function startAction<Report>(
  bundle: string,
  inputs: Record<string, string>,
  env: Record<string, string> = {},
  through: string[] = [],
): Running<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-run-'));
  const files = { GITHUB_OUTPUT: join(folder, 'output'), GITHUB_STEP_SUMMARY: join(folder, 'summary') };
  for (const path of Object.values(files)) writeFileSync(path, '');
  const [program = '', ...args] = [...through, process.execPath, bundle];
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      GITHUB_ACTIONS: 'true',
      ...files,
      ...Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
      ...env,
    },
  });
  const listeners: ((line: string) => void)[] = [];
  let log = '';
  let rest = '';
  const read = (chunk: Buffer) => {
    log += chunk.toString();
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) for (const listener of listeners) listener(line);
  };
  child.stdout?.on('data', read);
  child.stderr?.on('data', read);
  const finished = new Promise<Finished<Report>>((resolve) => {
    child.on('close', (code, signal) => {
      const outputs = readFileCommands(files.GITHUB_OUTPUT);
      const summary = readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8');
      rmSync(folder, { recursive: true, force: true });
      resolve({ code, signal, log, outputs, summary, report: outputs.report ? JSON.parse(outputs.report) : undefined });
    });
  });
  return { child, onLine: (listener) => void listeners.push(listener), finished };
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
