import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { PastRun, RememberedLock, State } from '../../src/facts.js';
import { readState, remember, writeState } from '../../src/state.js';
import { DAY, NOW } from './facts-of.js';

const folder = mkdtempSync(join(tmpdir(), 'gbo-state-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;
const dir = () => join(folder, String(++made));

const runAt = (at: number): PastRun => ({ at, freed: 5, sizes: { registry: 7 } });
const lockAt = (at: number): RememberedLock => ({ at, path: '/ws/Cargo.lock', crates: ['a-1.0.0'], commits: [] });
const empty: State = { runs: [], locks: {} };

function written(text: string): string {
  const path = dir();
  mkdirSync(path);
  writeFileSync(join(path, 'state.json'), text);
  return path;
}

describe('what one run leaves to the next', () => {
  it('is read as it was written', () => {
    const path = dir();
    const state: State = { runs: [runAt(NOW)], locks: { x: lockAt(NOW) } };
    expect(writeState(path, state)).toBeUndefined();
    expect(readState(path, NOW)).toEqual({ state });
    expect(readdirSync(path)).toEqual(['state.json']);
    expect(statSync(join(path, 'state.json')).mode & 0o077).toBe(0);
  });

  it('is nothing, without a word, at the first run', () => {
    expect(readState('/nonexistent', NOW)).toEqual({ state: empty });
  });

  it.each([
    ['empty', ''],
    ['cut off', '{"runs":['],
    ['another thing', '[]'],
    ['of other types', '{"runs":[{"at":"x"}],"locks":{}}'],
    ['null', 'null'],
    ['without its locks', '{"runs":[]}'],
    ['no text', '\u0000\u0000\u0000'],
  ])('is begun anew when it is %s, and that is said', (_, text) => {
    const path = written(text);
    expect(readState(path, NOW)).toEqual({ state: empty, note: `${path}/state.json is damaged; it is begun anew.` });
  });

  it('that cannot be read is said', () => {
    const path = dir();
    mkdirSync(join(path, 'state.json'), { recursive: true });
    expect(readState(path, NOW).note).toMatch(/^What earlier runs noted cannot be read: .*\.$/);
  });

  it.each([
    ['of yesterday', NOW - DAY, true],
    ['of 29 days ago', NOW - 29 * DAY, true],
    ['of 30 days ago', NOW - 30 * DAY, false],
    ['of the future', NOW + 1, false],
  ])('a remembered Cargo.lock %s counts: %s', (_, at, counts) => {
    const path = written(JSON.stringify({ runs: [], locks: { x: lockAt(at) } }));
    expect(Object.keys(readState(path, NOW).state.locks)).toEqual(counts ? ['x'] : []);
  });

  it('is bounded: the last 90 runs and the 50 latest lock files', () => {
    const path = dir();
    const runs = Array.from({ length: 200 }, (_, index) => runAt(NOW - (200 - index) * 1000));
    const locks = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`k${index}`, lockAt(NOW - index)]));
    writeState(path, { runs, locks });
    const { state } = readState(path, NOW);
    expect(state.runs).toEqual(runs.slice(-90));
    expect(Object.keys(state.locks).sort()).toEqual(Object.keys(locks).slice(0, 50).sort());
  });

  it.each([
    ['where a file is in the way', () => written('{}').concat('/state.json/x')],
    [
      'where its place is taken by a folder',
      () => {
        const path = dir();
        mkdirSync(join(path, 'state.json/full'), { recursive: true });
        return path;
      },
    ],
  ])('that cannot be written is a sentence, and nothing is left half-written: %s', (_, make) => {
    const path = make();
    expect(writeState(path, empty)).toMatch(/^The trend could not be written to .*: .*\.$/);
    expect(() => readFileSync(join(path, 'state.json.new'))).toThrow();
  });
});

describe('a lock file', () => {
  it('that needs the same is the same, wherever it lies and in whatever order it names it', () => {
    const [one] = remember('/a', { crates: new Set(['a', 'b']), commits: new Set(['x#1']) }, 1);
    const [other, lock] = remember('/b', { crates: new Set(['b', 'a']), commits: new Set(['x#1']) }, 2);
    expect(other).toBe(one);
    expect(lock).toEqual({ at: 2, path: '/b', crates: ['a', 'b'], commits: ['x#1'] });
  });

  it('that needs something else is another', () => {
    const [one] = remember('/a', { crates: new Set(['a']), commits: new Set() }, 1);
    const [other] = remember('/a', { crates: new Set(), commits: new Set(['a']) }, 1);
    expect(other).not.toBe(one);
  });
});
