import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { decode } from '../../src/cargo-database.js';
import { type Row, readTable } from '../../src/sqlite-file.js';
import { makeGlobalCaches, type Tables, type Wanted } from '../global-cache.js';

const folder = mkdtempSync(join(tmpdir(), 'gbo-sqlite-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const T = 1_790_000_000;
const registry = 'index.example.com-1949cf8c6b5b557f';

/** As many crates and sources; every third source has no size yet. */
function rows(count: number): Record<string, Row[]> {
  const each = (make: (index: number) => Row) => Array.from({ length: count }, (_, index) => make(index));
  return {
    registry_index: [
      [1, registry, T],
      [2, 'crates.example.com-0a1b2c3d4e5f6071', T - 5],
    ],
    registry_crate: each((index) => [1 + (index % 2), `crate-${index}-1.0.${index}.crate`, index * 997, T - index]),
    registry_src: each((index) => [
      1 + (index % 2),
      `crate-${index}-1.0.${index}`,
      index % 3 ? index * 99_991 : null,
      T - index,
    ]),
    git_db: each((index) => [index + 1, `repository-${index}`, T - index]).slice(0, 50),
    git_checkout: each((index) => [index + 1, `${index}`.padStart(7, 'a'), index % 2 ? index : null, T]).slice(0, 50),
    global_data: [[T]],
  };
}

let made = 0;
const of = (count: number, more: Partial<Wanted> = {}): Wanted => {
  made += 1;
  return { path: join(folder, `${made}`), rows: rows(count), ...more };
};

function read(path: string, tables: Tables): Tables {
  const file = readFileSync(path);
  return Object.fromEntries(Object.keys(tables).map((name) => [name, readTable(file, name)]));
}

describe('a database that cargo could have written is read as SQLite reads it', () => {
  const table: [title: string, wanted: Wanted][] = [
    ...[0, 1, 2, 10, 100, 1000, 5000, 30_000].map((count): [string, Wanted] => [`of ${count} crates`, of(count)]),
    ...[512, 1024, 8192, 65_536].map((bytes): [string, Wanted] => [
      `with pages of ${bytes} bytes`,
      of(700, { before: [`PRAGMA page_size = ${bytes}`] }),
    ]),
    ['after every second crate was deleted', of(3000, { after: ['DELETE FROM registry_crate WHERE rowid % 2'] })],
    ['after all crates were deleted', of(3000, { after: ['DELETE FROM registry_crate'] })],
    [
      'after a registry went with all that hung on it',
      of(3000, { after: ['PRAGMA foreign_keys = ON', 'DELETE FROM registry_index WHERE id = 2'] }),
    ],
    [
      'after rows were deleted and others written in their place',
      of(2000, {
        after: [
          'DELETE FROM registry_src WHERE rowid BETWEEN 300 AND 1700',
          `INSERT INTO registry_src SELECT registry_id, 'new-' || name, 5, timestamp FROM registry_crate`,
        ],
      }),
    ],
    ['after times were written anew', of(2000, { after: ['UPDATE registry_crate SET timestamp = timestamp + 3600'] })],
    ['after it was packed', of(2000, { after: ['DELETE FROM registry_src WHERE rowid % 3', 'VACUUM'] })],
    ['that packs itself', of(1000, { before: ['PRAGMA auto_vacuum = FULL'], after: ['DELETE FROM registry_src'] })],
    [
      'of a later cargo, which has a column and a table more',
      of(100, {
        after: [
          'ALTER TABLE registry_src ADD COLUMN files INTEGER',
          'CREATE TABLE target_directory (id INTEGER PRIMARY KEY, path TEXT)',
          "INSERT INTO registry_src VALUES (1, 'late-1.0.0', 5, 6, 7)",
        ],
      }),
    ],
    [
      'with numbers of every width',
      of(0, {
        rows: {
          registry_index: [[1, registry, T]],
          registry_crate: [
            0,
            1,
            2,
            -1,
            127,
            128,
            -129,
            32_768,
            -32_769,
            2 ** 23,
            2 ** 31,
            2 ** 40,
            2 ** 47,
            2 ** 53 - 1,
          ].map((bytes) => [1, `of ${bytes}`, bytes, T]),
        },
      }),
    ],
    [
      'with names of every kind',
      of(0, {
        rows: {
          registry_index: [[1, registry, T]],
          registry_src: ['', 'ä€🦀', "it's", 'a\nb', 'x'.repeat(3000)].map((name) => [1, name, 1, T]),
        },
      }),
    ],
  ];
  const expected = makeGlobalCaches(table.map(([, wanted]) => wanted));

  it.each(table.map(([title, { path }], index) => [title, path, expected[index] as Tables] as const))(
    '%s',
    (_, path, tables) => {
      expect(read(path, tables)).toEqual(tables);
    },
  );

  it('and cargo itself wrote one like it', () => {
    const home = join(folder, 'home');
    const project = join(folder, 'project');
    try {
      execFileSync('cargo', ['new', '--quiet', '--lib', '--vcs', 'none', project], { stdio: 'ignore' });
    } catch {
      return; // no cargo here: the real floor has it
    }
    const env = { ...process.env, CARGO_HOME: home, CARGO_TARGET_DIR: join(folder, 'target') };
    execFileSync('cargo', ['check', '--quiet', '--offline'], { cwd: project, env });
    const tables = Object.keys(expected[0] ?? {});
    const file = readFileSync(join(home, '.global-cache'));
    for (const table of tables) {
      expect(readTable(file, table).columns).toEqual(expected[0]?.[table]?.columns);
    }
  });
});

describe('what cargo noted is found by the names of its folders', () => {
  it('with times in ms, sizes where they are known, and each thing under its registry', () => {
    const wanted = of(4);
    makeGlobalCaches([wanted]);
    const { crates, sources, indices, repositories, checkouts } = decode(readFileSync(wanted.path));
    expect(crates.get(`${registry}/crate-2-1.0.2.crate`)).toEqual({ bytes: 1994, usedAt: (T - 2) * 1000 });
    expect(sources.get(`${registry}/crate-2-1.0.2`)).toEqual({ bytes: 199_982, usedAt: (T - 2) * 1000 });
    expect(sources.get('crates.example.com-0a1b2c3d4e5f6071/crate-3-1.0.3')).toEqual({ usedAt: (T - 3) * 1000 });
    expect(indices.get(registry)).toEqual({ usedAt: T * 1000 });
    expect(repositories.get('repository-1')).toEqual({ usedAt: (T - 1) * 1000 });
    expect(checkouts.get('repository-1/aaaaaa1')).toEqual({ bytes: 1, usedAt: T * 1000 });
    expect([crates.size, sources.size, repositories.size, checkouts.size]).toEqual([4, 4, 4, 4]);
  });
});

describe('a file that it cannot be sure of is an error', () => {
  const failing: [title: string, wanted: Wanted, says: RegExp][] = [
    ['with a write-ahead log', of(100, { before: ['PRAGMA journal_mode = WAL'], open: true }), /write-ahead log/],
    [
      'that had a write-ahead log',
      of(100, { before: ['PRAGMA journal_mode = WAL'], after: ['PRAGMA wal_checkpoint(TRUNCATE)'] }),
      /write-ahead log/,
    ],
    ['of UTF-16', of(100, { before: ["PRAGMA encoding = 'UTF-16le'"] }), /not UTF-8/],
    [
      'with a name longer than a page',
      of(0, { rows: { registry_index: [[1, registry, T]], registry_crate: [[1, 'x'.repeat(5000), 1, T]] } }),
      /a row longer than a page/,
    ],
    ['with a number of 64 bits', of(1, { after: ['UPDATE registry_crate SET size = 9007199254740993'] }), /too long/],
    ['with a blob for a name', of(1, { after: ["UPDATE registry_crate SET name = x'00ff'"] }), /of type blob/],
    ['without the table', of(1, { after: ['DROP TABLE registry_crate'] }), /no table registry_crate/],
    [
      'whose table is an index',
      of(1, {
        after: ['DROP TABLE registry_crate', 'CREATE TABLE registry_crate (name TEXT PRIMARY KEY) WITHOUT ROWID'],
      }),
      /of type 10/,
    ],
  ];
  makeGlobalCaches(failing.map(([, wanted]) => wanted));

  it.each(failing)('%s', (_, { path }, says) => {
    expect(() => readTable(readFileSync(path), 'registry_crate')).toThrow(says);
  });

  it('without a column that is needed', () => {
    const wanted = of(1, { after: ['ALTER TABLE registry_crate RENAME COLUMN timestamp TO used'] });
    makeGlobalCaches([wanted]);
    expect(() => decode(readFileSync(wanted.path))).toThrow(/no column timestamp/);
  });

  const whole = of(300, { before: ['PRAGMA page_size = 1024'] });
  const [tables = {}] = makeGlobalCaches([whole]);
  const sound = readFileSync(whole.path);

  it('cut off at any page', () => {
    expect(sound.length / 1024).toBeGreaterThan(40);
    for (let length = 0; length < sound.length; length += 1024) {
      for (const table of Object.keys(tables)) {
        expect(() => readTable(sound.subarray(0, length), table), `${length} ${table}`).toThrow(Error);
      }
    }
  });

  it('cut off at any byte of its first pages', () => {
    for (let length = 0; length < 2048; length += 7) {
      expect(() => readTable(sound.subarray(0, length), 'registry_crate')).toThrow(Error);
    }
  });

  it('with a page of zeros in the place of any other: either an error, or every row as it was', () => {
    for (let at = 0; at < sound.length; at += 1024) {
      const torn = Buffer.from(sound).fill(0, at, at + 1024);
      for (const table of Object.keys(tables)) {
        let found: unknown;
        try {
          found = readTable(torn, table);
        } catch {
          continue;
        }
        expect(found).toEqual(tables[table]);
      }
    }
  });

  it('that is anything', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
        expect(() => readTable(Buffer.from(bytes), 'registry_crate')).toThrow(Error);
      }),
    ));

  it('that begins like one and is anything after', () =>
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4000, maxLength: 9000 }), (bytes) => {
        const file = Buffer.concat([sound.subarray(0, 100), Buffer.from(bytes)]);
        expect(() => readTable(file, 'registry_crate')).toThrow(Error);
      }),
    ));

  it('with some bytes changed: an error or rows, with an end, and no row more than there is room for', () =>
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { minLength: 1, maxLength: 30 }),
        (changes) => {
          const file = Buffer.from(sound);
          for (const [at, byte] of changes) file[at] = byte;
          for (const table of Object.keys(tables)) {
            try {
              const found = readTable(file, table);
              expect(found.rows.length).toBeLessThan(file.length / 4);
            } catch (error) {
              expect(error).toBeInstanceOf(Error);
            }
          }
        },
      ),
      { numRuns: 400 },
    ));

  it('whose pages lead back to themselves', () => {
    const file = Buffer.from(sound);
    // Every page that leads to others leads to one of those that do.
    const inner = [...Array(file.length / 1024).keys()].slice(1).filter((page) => file[page * 1024] === 0x05);
    expect(inner.length).toBeGreaterThan(0);
    for (const page of inner) {
      const at = page * 1024;
      for (let cell = 0; cell < file.readUInt16BE(at + 3); cell++) {
        file.writeUInt32BE(page + 1, at + file.readUInt16BE(at + 12 + 2 * cell));
      }
      file.writeUInt32BE(page + 1, at + 8);
    }
    expect(() => readTable(file, 'registry_crate')).toThrow(/in two places/);
  });
});
