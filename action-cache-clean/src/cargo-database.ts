import { statSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@gbo/shared/errors';
import { readWhole } from './disk-usage.js';
import { hold } from './file-locks.js';
import { readTable } from './sqlite-file.js';

/** What cargo noted about one thing: its size, when it knows it, and its last use. */
export interface Noted {
  /** Length, not blocks. */
  bytes?: number;
  /** In ms. Cargo writes it when it is more than 5 minutes old. */
  usedAt: number;
}

export interface CargoDatabase {
  /** By `registry/name`. */
  indices: Map<string, Noted>;
  crates: Map<string, Noted>;
  sources: Map<string, Noted>;
  repositories: Map<string, Noted>;
  checkouts: Map<string, Noted>;
}

export const databaseFile = (cargoHome: string): string => join(cargoHome, '.global-cache');
export const packageLock = (cargoHome: string): string => join(cargoHome, '.package-cache');
export const mutateLock = (cargoHome: string): string => join(cargoHome, '.package-cache-mutate');

/** When the database was last written; undefined when there is none. */
export function databaseTime(cargoHome: string): number | undefined {
  return statSync(databaseFile(cargoHome), { throwIfNoEntry: false })?.mtimeMs;
}

/**
 * Cargo's own record of what it used (cargo 1.78 on), read whole while holding cargo's download lock, as cargo asks for.
 *
 * @returns a sentence when it could not be read
 */
export async function readCargoDatabase(
  cargoHome: string,
  waitMs: number,
): Promise<CargoDatabase | string | undefined> {
  if (databaseTime(cargoHome) === undefined) return undefined;
  const lock = await hold([{ path: packageLock(cargoHome), create: false }], waitMs);
  if (!lock) return "cargo's database could not be read: a download holds its lock";
  let file: Buffer;
  try {
    if (statSync(`${databaseFile(cargoHome)}-journal`, { throwIfNoEntry: false })) {
      return "cargo's database was left in the middle of a change; the next cargo mends it";
    }
    file = readWhole(databaseFile(cargoHome));
  } catch (error) {
    return `cargo's database could not be read: ${messageOf(error)}`;
  } finally {
    lock.release();
  }
  try {
    return decode(file);
  } catch (error) {
    return `cargo's database could not be read: ${messageOf(error)}`;
  }
}

/** @throws Error as readTable does */
export function decode(file: Buffer): CargoDatabase {
  const parents = (table: string) => {
    const { columns, rows } = readTable(file, table);
    const [id, name, time] = ['id', 'name', 'timestamp'].map((column) => at(columns, column)) as [
      number,
      number,
      number,
    ];
    return {
      names: new Map(rows.map((row) => [row[id], String(row[name])])),
      noted: new Map(rows.map((row) => [String(row[name]), { usedAt: Number(row[time]) * 1000 }])),
    };
  };
  const children = (table: string, parent: string, names: Map<unknown, string>) => {
    const { columns, rows } = readTable(file, table);
    const [of, name, time, size] = [parent, 'name', 'timestamp', 'size'].map((column) => at(columns, column)) as [
      number,
      number,
      number,
      number,
    ];
    return new Map(
      rows.map((row) => {
        const bytes = row[size];
        return [
          `${names.get(row[of])}/${row[name]}`,
          { bytes: typeof bytes === 'number' ? bytes : undefined, usedAt: Number(row[time]) * 1000 },
        ];
      }),
    );
  };
  const registries = parents('registry_index');
  const repositories = parents('git_db');
  return {
    indices: registries.noted,
    crates: children('registry_crate', 'registry_id', registries.names),
    sources: children('registry_src', 'registry_id', registries.names),
    repositories: repositories.noted,
    checkouts: children('git_checkout', 'git_id', repositories.names),
  };
}

function at(columns: string[], name: string): number {
  const index = columns.indexOf(name);
  if (index < 0) throw new Error(`it has no column ${name}`);
  return index;
}
