import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const bundle = fileURLToPath(new URL('../dist/index.js', import.meta.url));

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Everything it wrote to stdout and stderr. */
  log: string;
  outputs: Record<string, string>;
  summary: string;
  /** The `report` output, parsed. */
  report?: { result: string; hosts: HostReport[] };
}

export interface HostReport {
  host: string;
  result: string;
  release: string;
  previous?: string;
  downtimeMs?: number;
  reason?: string;
  timeline: { step: string; began: number; ended: number; ok: boolean }[];
}

export interface Running {
  child: ChildProcess;
  /** Called with each line of the log as it comes. */
  onLine(listener: (line: string) => void): void;
  finished: Promise<Finished>;
}

/** Starts the bundle as a runner would: inputs as INPUT_*, file commands, nothing on stdin. */
export function start(inputs: Record<string, string>, env: Record<string, string> = {}): Running {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-run-'));
  const files = { GITHUB_OUTPUT: join(folder, 'output'), GITHUB_STEP_SUMMARY: join(folder, 'summary') };
  for (const path of Object.values(files)) writeFileSync(path, '');
  const child = spawn(process.execPath, [bundle], {
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
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code, signal) => {
      const outputs = readFileCommands(files.GITHUB_OUTPUT);
      const summary = readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8');
      rmSync(folder, { recursive: true, force: true });
      resolve({ code, signal, log, outputs, summary, report: outputs.report ? JSON.parse(outputs.report) : undefined });
    });
  });
  return { child, onLine: (listener) => void listeners.push(listener), finished };
}

/** Runs the bundle to its end. */
export function run(inputs: Record<string, string>, env: Record<string, string> = {}): Promise<Finished> {
  return start(inputs, env).finished;
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
