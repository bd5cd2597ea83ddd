import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@gbo/shared/errors';
import { z } from 'zod';
import { readWhole } from './disk-usage.js';
import type { RememberedLock, State } from './facts.js';
import type { Needed } from './lock-files.js';

const MOST_RUNS = 90;
const MOST_LOCKS = 50;
const REMEMBERED_MS = 30 * 24 * 60 * 60 * 1000;

const schema = z.object({
  runs: z.array(z.object({ at: z.number(), freed: z.number(), sizes: z.record(z.string(), z.number()) })),
  locks: z.record(
    z.string(),
    z.object({ at: z.number(), path: z.string(), crates: z.array(z.string()), commits: z.array(z.string()) }),
  ),
});

const file = (dir: string): string => join(dir, 'state.json');

/** What earlier runs left; nothing when there is none or it cannot be read, which a note then says. */
export function readState(dir: string, now: number): { state: State; note?: string } {
  const empty: State = { runs: [], locks: {} };
  let text: string;
  try {
    text = readWhole(file(dir)).toString();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: empty };
    return { state: empty, note: `What earlier runs noted cannot be read: ${messageOf(error)}.` };
  }
  try {
    const state = schema.parse(JSON.parse(text)) as State;
    const locks = Object.entries(state.locks).filter(([, { at }]) => now - at < REMEMBERED_MS && at <= now);
    return { state: { runs: state.runs, locks: Object.fromEntries(locks) } };
  } catch {
    return { state: empty, note: `${file(dir)} is damaged; it is begun anew.` };
  }
}

/** Key and entry of a Cargo.lock; one that needs the same is the same, wherever it lies. */
export function remember(path: string, needed: Needed, at: number): [string, RememberedLock] {
  const lock = { at, path, crates: [...needed.crates].sort(), commits: [...needed.commits].sort() };
  const hash = createHash('sha256').update(JSON.stringify([lock.crates, lock.commits]));
  return [hash.digest('hex').slice(0, 16), lock];
}

/** Replaces what is there as a whole or not at all. @returns a sentence when it could not be written */
export function writeState(dir: string, state: State): string | undefined {
  const locks = Object.entries(state.locks).sort(([, a], [, b]) => b.at - a.at);
  const kept: State = { runs: state.runs.slice(-MOST_RUNS), locks: Object.fromEntries(locks.slice(0, MOST_LOCKS)) };
  const temporary = `${file(dir)}.new`;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    // Made anew: written through, a link in its place would lead elsewhere.
    rmSync(temporary, { force: true });
    writeFileSync(temporary, `${JSON.stringify(kept)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, file(dir));
    return undefined;
  } catch (error) {
    try {
      rmSync(temporary, { force: true });
    } catch {
      // It says enough that it could not be written.
    }
    return `The trend could not be written to ${dir}: ${messageOf(error)}.`;
  }
}
