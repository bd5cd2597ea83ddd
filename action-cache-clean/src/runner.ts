import { join } from 'node:path';
import { diskUsage, foldersIn, statOf } from './disk-usage.js';
import type { Item, Place } from './facts.js';
import { isBelow } from './mounts.js';
import { type Process, userOf, wasGiven } from './processes.js';
import { serversAmong } from './sccache.js';

/** A job's folder, as the runner makes it: random digits, and in it what a job needs. */
const NAME = /^[0-9a-f]{16}$|^[0-9A-Za-z]{8}$/;
const PARTS = ['act', 'hostexecutor', 'tmp', 'tmp_dir', 'tool_cache', 'path'];

/** How deep the times of a living job's files change: its steps write their files of commands there. */
const DEPTH = 3;

/**
 * Workspaces that jobs left behind: not this one's, nor one that any process was given or works in. An sccache server, which
 * outlives the job that started it, does not count: it is stopped first.
 */
export function surveyRunner(place: Place, workspace: string | undefined, everybody: Process[]): Item[] {
  const servers = new Set(serversAmong(everybody).map(({ pid }) => pid));
  const all = everybody.filter(({ pid }) => !servers.has(pid));
  return foldersIn(place.root)
    .filter((name) => isWorkspace(join(place.root, name)) && NAME.test(name))
    .filter((name) => !isLive(join(place.root, name), workspace, all))
    .flatMap((name) => {
      const folder = join(place.root, name);
      const stat = statOf(folder);
      if (!stat) return [];
      const usedAt = newest(folder, DEPTH);
      const { bytes } = diskUsage(folder);
      return [{ place, category: 'runner', kind: 'leftover', path: name, bytes, usedAt, changedAt: stat.ctimeMs }];
    });
}

function isWorkspace(folder: string): boolean {
  const inside = foldersIn(folder);
  return inside.includes('hostexecutor') && inside.every((name) => PARTS.includes(name));
}

/** Whether a job still goes on in there. */
export function isLive(folder: string, workspace: string | undefined, all: Process[]): boolean {
  if (workspace && (workspace === folder || isBelow(workspace, folder))) return true;
  return userOf(folder, all) !== undefined || all.some((each) => wasGiven(each, folder));
}

function newest(path: string, depth: number): number {
  const stat = statOf(path);
  if (!stat) return 0;
  const below =
    depth > 0 && stat.isDirectory() ? foldersIn(path).map((name) => newest(join(path, name), depth - 1)) : [];
  return Math.max(stat.mtimeMs, stat.ctimeMs, ...below);
}
