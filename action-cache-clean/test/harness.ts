import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CargoWorld, startCargo } from '../../testbed/cargo.js';
import * as action from '../../testbed/run-action.js';
import { installMissing } from '../../testbed/systemd.js';

export const bundle = fileURLToPath(new URL('../dist/index.js', import.meta.url));

/** The `report` output, as far as the tests look into it. */
export interface Report {
  result: 'cleaned' | 'nothing-to-do' | 'dry-run' | 'busy';
  planned: number;
  freed: number;
  budgets: { name: string; bytes: number; limit?: number; goes: number; over: number }[];
  victims: { path: string; kind: string; bytes: number; usedAt: string; reason: string }[];
  victimCount: number;
  places?: {
    place: string;
    moved: number;
    kinds: Record<string, number>;
    bytes: number;
    stayed: Record<string, number>;
  }[];
  skipped: string[];
  warnings: string[];
  notes: string[];
  problems: string[];
  longestLockMs?: number;
  sccache?: { hits: number; misses: number; version: string };
  lockFiles: string[];
}

export type Finished = action.Finished<Report>;
export type Running = action.Running<Report>;

export interface Options {
  env?: Record<string, string>;
  /** How far the action's clock is ahead: what was just made is then this old, and no file was touched for it. */
  later?: `+${number}${'h' | 'd'}`;
  /** A program that becomes the action, with its arguments. */
  through?: string[];
}

/** A cargo of its own, and the action beside it. */
export interface World extends CargoWorld {
  /** Starts the bundle as a runner would, with this world's homes. */
  start(inputs: Record<string, string>, options?: Options): Running;
  /** Runs the bundle to its end, by default 26 hours later: relatime hides for a day whether a thing was read again. */
  clean(inputs: Record<string, string>, options?: Options): Promise<Finished>;
}

export async function startWorld(): Promise<World> {
  await installMissing(['faketime', 'flock']);
  const cargo = await startCargo();
  const workspace = join(cargo.root, 'job');
  await mkdir(workspace);
  const start: World['start'] = (inputs, { env = {}, later, through } = {}) =>
    action.startAction<Report>(
      bundle,
      inputs,
      { ...cargo.env, GITHUB_WORKSPACE: workspace, ...(later ? clock(later) : {}), ...env },
      through,
    );
  return { ...cargo, start, clean: (inputs, options) => start(inputs, { later: '+26h', ...options }).finished };
}

/** What makes a program believe it is later. By hand, as faketime(1) would stand between us and its process id. */
export function clock(later: string): Record<string, string> {
  const library = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketime.so.1`;
  return { LD_PRELOAD: library, FAKETIME: later, NO_FAKE_STAT: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}

/** Everything below a folder, itself included: path, type, mode, length, time of change, contents. */
export function manifest(folder: string, skip: (path: string) => boolean = () => false): string[] {
  const lines: string[] = [];
  const visit = (path: string) => {
    if (skip(path)) return;
    const stat = lstatSync(path, { bigint: true });
    const what = stat.isFile()
      ? createHash('sha256').update(readFileSync(path)).digest('hex')
      : stat.isSymbolicLink()
        ? readlinkSync(path)
        : '';
    const size = stat.isDirectory() ? '' : stat.size;
    lines.push([JSON.stringify(path), stat.mode.toString(8), size, stat.mtimeNs, what].join(' '));
    if (stat.isDirectory()) for (const name of readdirSync(path).sort()) visit(join(path, name));
  };
  visit(folder);
  return lines;
}

/** Paths of what the plan holds, below `root`. */
export function victimsIn({ report }: Finished, root: string): string[] {
  const paths = (report?.victims ?? []).map(({ path }) => path);
  return paths.filter((path) => path.startsWith(`${root}/`)).map((path) => path.slice(root.length + 1));
}

/** What stayed after all, over all places. */
export function stayed({ report }: Finished): Record<string, number> {
  const all: Record<string, number> = {};
  for (const place of report?.places ?? [])
    for (const [reason, count] of Object.entries(place.stayed)) all[reason] = (all[reason] ?? 0) + count;
  return all;
}
