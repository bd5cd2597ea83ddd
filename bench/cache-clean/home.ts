import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeGlobalCaches } from '../../action-cache-clean/test/global-cache.js';
import { output } from '../measure.js';

const script = fileURLToPath(new URL('./make-crates.py', import.meta.url));
const REGISTRY = 'index.crates.io-1949cf8c6b5b557f';
const DAY = 24 * 60 * 60;

/** Of one crate, when nothing else is said: what it unpacks to, its marker and its archive included. */
export const FILES = 100;

/** Days since the last use of a crate: 0 to 89, each as often; make-crates.py knows it too. */
const age = (index: number): number => (index * 37) % 90;

/** How many of so many crates nobody used for 30 days: what every contender is asked for. */
export function oldOnes(crates: number): number {
  return Array.from({ length: crates }, (_, index) => age(index)).filter((days) => days >= 30).length;
}

/** A home of cargo with crates that nobody wrote, and cargo's database of them. */
export class Home {
  readonly path: string;
  readonly database: string;
  /** Half a day off, so that no age stands on its edge when the bench runs over an hour. */
  readonly #now = Math.floor(Date.now() / 1000) - DAY / 2;
  readonly #files: number;
  #crates = 0;

  constructor(path: string, files = FILES) {
    this.#files = files;
    this.path = path;
    this.database = join(path, '.global-cache');
    mkdirSync(join(path, 'registry/index', REGISTRY), { recursive: true });
    writeFileSync(join(path, 'registry/index', REGISTRY, 'config.json'), '{}');
  }

  /** Makes it larger. `dated`: every file has the time of its last use, for those who look at each. */
  async grow(crates: number, dated: boolean): Promise<void> {
    const half = Math.floor((this.#crates + crates) / 2);
    const make = (from: number, to: number) =>
      output('python3', [
        script,
        this.path,
        REGISTRY,
        ...[from, to, this.#now, this.#files, dated ? 1 : 0].map(String),
      ]);
    await Promise.all([make(this.#crates, half), make(half, crates)]);
    this.#crates = crates;
    const rows = (ending: string, bytes: number) =>
      Array.from({ length: crates }, (_, index) => [
        1,
        `crate-${index}-1.0.${index % 10}${ending}`,
        bytes,
        this.#now - age(index) * DAY,
      ]);
    makeGlobalCaches([
      {
        path: this.database,
        rows: {
          registry_index: [[1, REGISTRY, this.#now]],
          registry_crate: rows('.crate', 20_000),
          registry_src: rows('', 120_000),
          global_data: [[this.#now]],
        },
      },
    ]);
  }
}
