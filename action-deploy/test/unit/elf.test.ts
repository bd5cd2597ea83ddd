import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { ExpectedError } from '@gbo/shared/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandInOptions, standIn } from '../../../testbed/stand-in.js';
import { compareVersions, type Elf, type ReadAt, readElf } from '../../src/elf.js';

const run = promisify(execFile);
const has = (tool: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, tool)));
// As root, the testbed installs what it lacks.
const noStandIns = !has('gcc') && process.getuid?.() !== 0 && 'gcc is missing, and only root can install it';
const noOracle = !has('readelf') && 'readelf (binutils) is missing';

/** What a hostile file may cost: 4 MiB in pieces of 4 KiB. */
const MOST_READS = 1024;
const MOST_BYTES = 4 * 1024 * 1024;

function metered(read: ReadAt): { read: ReadAt; reads: () => number; bytes: () => number } {
  let [reads, bytes] = [0, 0];
  const count: ReadAt = (offset, length) => {
    reads += 1;
    bytes += length;
    return read(offset, length);
  };
  return { read: count, reads: () => reads, bytes: () => bytes };
}

const inMemory =
  (bytes: Buffer): ReadAt =>
  async (offset, length) =>
    bytes.subarray(offset, offset + length);

async function elfOfFile(path: string): Promise<{ elf: Elf | undefined; reads: number; bytes: number }> {
  const file = await open(path);
  try {
    const meter = metered(async (offset, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    });
    return { elf: await readElf(meter.read), reads: meter.reads(), bytes: meter.bytes() };
  } finally {
    await file.close();
  }
}

/** Fails unless the answer is a value, `undefined` or an ExpectedError, and came cheaply. */
async function answer(read: ReadAt): Promise<Elf | ExpectedError | undefined> {
  const meter = metered(read);
  const result = await readElf(meter.read).catch((error: unknown) => {
    if (!(error instanceof ExpectedError)) throw error;
    return error;
  });
  expect(meter.reads()).toBeLessThanOrEqual(MOST_READS);
  expect(meter.bytes()).toBeLessThanOrEqual(MOST_BYTES);
  return result;
}

const torn = (why: RegExp) =>
  expect.objectContaining({
    name: 'ExpectedError',
    what: expect.stringMatching(new RegExp(`^The ELF header of the file is torn: .*(${why.source})`)),
    left: 'Nothing was touched.',
    todo: expect.stringContaining('readelf'),
  });

interface Shape {
  bits?: 32 | 64;
  endian?: 'little' | 'big';
  machine?: number;
  type?: number;
  interpreter?: string;
  needed?: string[];
  /** Names of symbol versions; with `weak: ` before them, weak ones. */
  versions?: string[];
  /** Where the file is loaded. */
  base?: bigint;
}

/** An ELF file as System V ABI, chapters 4 and 5, has it: header, program headers, and one page that is loaded as a whole. */
function elfFile(shape: Shape = {}): Buffer {
  const {
    bits = 64,
    endian = 'little',
    machine = 62,
    type = 3,
    interpreter,
    needed,
    versions,
    base = 0x400000n,
  } = shape;
  const wide = bits === 64;
  const bytes = Buffer.alloc(4096);
  const put = (value: number | bigint, size: number, at: number) => {
    for (let i = 0; i < size; i++) {
      const place = endian === 'little' ? at + i : at + size - 1 - i;
      bytes[place] = Number((BigInt(value) >> BigInt(8 * i)) & 0xffn);
    }
    return at + size;
  };
  const word = wide ? 8 : 4;
  const [interpreterAt, dynamicAt, versionsAt, stringsAt]: [number, number, number, number] = [512, 1024, 2048, 3072];
  let end = stringsAt + 1;
  const string = (text: string) => {
    const at = end;
    end += bytes.write(`${text}\0`, at);
    return at - stringsAt;
  };

  const segments: [type: number, at: number, size: number][] = [[1, 0, bytes.length]];
  if (interpreter) segments.push([3, interpreterAt, bytes.write(`${interpreter}\0`, interpreterAt)]);
  if (needed) {
    const entries: [number, number | bigint][] = needed.map((name) => [1, string(name)]);
    if (versions) entries.push([0x6ffffffe, base + BigInt(versionsAt)], [0x6fffffff, 1]);
    entries.push([5, base + BigInt(stringsAt)], [10, 1024], [0, 0]);
    let at = dynamicAt;
    for (const entry of entries) for (const value of entry) at = put(value, word, at);
    segments.push([2, dynamicAt, at - dynamicAt]);
  }
  for (const [index, version] of (versions ?? []).entries()) {
    const at = versionsAt + 16 * (index + 1);
    const weak = version.startsWith('weak: ');
    put(weak ? 2 : 0, 2, at + 4);
    put(string(version.replace('weak: ', '')), 4, at + 8);
    put(index + 1 < (versions ?? []).length ? 16 : 0, 4, at + 12);
  }
  put(1, 2, versionsAt);
  put((versions ?? []).length, 2, versionsAt + 2);
  put(string('libc.so.6'), 4, versionsAt + 4);
  put(16, 4, versionsAt + 8);

  Buffer.from([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, endian === 'little' ? 1 : 2, 1]).copy(bytes);
  put(type, 2, 16);
  put(machine, 2, 18);
  put(1, 4, 20);
  const [headSize, segmentSize] = wide ? [64, 56] : [52, 32];
  put(headSize, word, wide ? 32 : 28);
  for (const [index, value] of [headSize, segmentSize, segments.length].entries())
    put(value, 2, (wide ? 52 : 40) + 2 * index);
  for (const [index, [kind, at, size]] of segments.entries()) {
    const start = headSize + index * segmentSize;
    put(kind, 4, start);
    const fields = [at, base + BigInt(at), base + BigInt(at), size, size];
    for (const [i, value] of fields.entries()) put(value, word, start + word * (i + 1));
  }
  return bytes;
}

describe.skipIf(noStandIns)(`a program that gcc made${noStandIns ? ` (${noStandIns})` : ''}`, () => {
  const builds = new Map<StandInOptions['build'], Buffer>();
  const build = (name: StandInOptions['build']) => builds.get(name) as Buffer;
  beforeAll(async () => {
    for (const name of ['native', 'other-machine', 'future-glibc', 'static'] as const)
      builds.set(name, await readFile(await standIn({ build: name })));
  });

  test('is for the machine it was made on, and needs its glibc', async () => {
    const { stdout } = await run('uname', ['-m']);
    const libc = await run('getconf', ['GNU_LIBC_VERSION']);
    const elf = await readElf(inMemory(build('native')));
    expect(elf).toMatchObject({ machine: stdout.trim(), type: 'shared', libc: 'glibc', needed: ['libc.so.6'] });
    expect(existsSync(elf?.interpreter ?? '')).toBe(true);
    expect(compareVersions(elf?.glibc ?? '', libc.stdout.replace('glibc ', ''))).toBeLessThanOrEqual(0);
  });

  test('for another machine is told from it', async () => {
    const [native, other] = await Promise.all(
      [build('native'), build('other-machine')].map((bytes) => readElf(inMemory(bytes))),
    );
    expect(other).toEqual({ ...native, machine: native?.machine === 'aarch64' ? 'x86_64' : 'aarch64' });
  });

  test('that needs a newer glibc than there is says which', async () => {
    expect(await readElf(inMemory(build('future-glibc')))).toMatchObject({ libc: 'glibc', glibc: '9.99' });
  });

  test('is static when it needs neither loader nor library', async () => {
    const elf = await readElf(inMemory(build('static')));
    expect(elf).toMatchObject({ libc: 'static', needed: [] });
    expect(elf).toMatchObject({ interpreter: undefined, glibc: undefined });
  });

  test('tells the same without section headers, which a stripped file may lack', async () => {
    const stripped = Buffer.from(build('native'));
    stripped.fill(0, 40, 48); // e_shoff
    stripped.fill(0, 58, 64); // e_shentsize, e_shnum, e_shstrndx
    expect(await readElf(inMemory(stripped))).toEqual(await readElf(inMemory(build('native'))));
  });

  test('that was cut anywhere is refused, or tells the same as the whole', async () => {
    const whole = build('native');
    const elf = await readElf(inMemory(whole));
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), async (length) => {
        const result = await answer(inMemory(whole.subarray(0, length)));
        if (length < 4) expect(result).toBeUndefined();
        else if (result instanceof ExpectedError) expect(result).toEqual(torn(/./));
        else expect(result).toEqual(elf);
        // What runs reaches beyond the half of so small a program.
        if (length >= 4 && length <= whole.length / 2) expect(result).toBeInstanceOf(ExpectedError);
      }),
      { numRuns: 500 },
    );
  });

  test('with any bytes changed gives an answer or one clear error, cheaply', async () => {
    const whole = build('native');
    const headers = fc.nat(1024); // where a change matters most
    const change = fc.tuple(fc.oneof(headers, fc.nat(whole.length - 1)), fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 40 }), async (changes) => {
        const changed = Buffer.from(whole);
        for (const [at, value] of changes) changed[at] = value;
        await answer(inMemory(changed));
      }),
      { numRuns: 1500 },
    );
  });
});

describe('a file that is no ELF file is none', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'elf-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each([
    ['a shell script', '#!/bin/sh\nexec botserver\n'],
    ['an empty file', ''],
    ['the first three bytes of one', '\x7fEL'],
  ])('%s', async (name, text) => {
    const path = join(folder, name);
    await writeFile(path, text);
    expect((await elfOfFile(path)).elf).toBeUndefined();
  });
});

describe.skipIf(noOracle)(`readelf says the same${noOracle ? ` (${noOracle})` : ''}`, () => {
  const environment = { ...process.env, LC_ALL: 'C' };
  const byNumber = new Intl.Collator('en', { numeric: true });

  async function oracle(paths: string[], options: string) {
    const { stdout } = await run('readelf', [options, ...paths], { env: environment, maxBuffer: 64 * 1024 * 1024 });
    const texts = paths.length === 1 ? [stdout] : stdout.split(/^File: .*$/m).slice(1);
    return texts.map((text) => ({
      bits: Number(/Class: +ELF(\d+)/.exec(text)?.[1]),
      endian: /Data: .*(little|big) endian/.exec(text)?.[1],
      interpreter: /program interpreter: (.*)\]/.exec(text)?.[1],
      needed: [...text.matchAll(/\(NEEDED\) +Shared library: \[(.*)\]/g)].map((match) => match[1]),
      glibc: [...text.matchAll(/Name: GLIBC_([\d.]+) +Flags: none/g)]
        .map((match) => match[1] as string)
        .sort(byNumber.compare)
        .at(-1),
      relr: /Name: GLIBC_ABI_DT_RELR +Flags/.test(text),
    }));
  }

  test('of the node that runs this, some 100 MB, of which little is read', async () => {
    const { elf, reads, bytes } = await elfOfFile(process.execPath);
    const [{ relr, ...expected }] = (await oracle([process.execPath], '-hldVW')) as [
      Awaited<ReturnType<typeof oracle>>[0],
    ];
    expect(elf).toMatchObject(expected);
    expect(relr).toBe(false);
    expect(elf).toMatchObject({ libc: elf?.interpreter?.includes('musl') ? 'musl' : 'glibc' });
    expect(reads).toBeLessThan(32);
    expect(bytes).toBeLessThan(128 * 1024);
  });

  test('of programs of this system', async () => {
    const names = (await readdir('/usr/bin')).sort();
    const paths: string[] = [];
    for (let i = 0; i < names.length && paths.length < 60; i += Math.ceil(names.length / 120)) {
      const path = await realpath(join('/usr/bin', names[i] as string)).catch(() => undefined);
      if (path && !paths.includes(path) && (await elfOfFile(path)).elf) paths.push(path);
    }
    expect(paths.length).toBeGreaterThan(5);
    const expected = await oracle(paths, '-hldVW');
    for (const [index, path] of paths.entries()) {
      const { relr, glibc, ...rest } = expected[index] as (typeof expected)[number];
      const highest = relr ? [glibc ?? '0', '2.36'].sort(byNumber.compare).at(-1) : glibc;
      expect({ path, ...(await elfOfFile(path)).elf }).toMatchObject({ path, glibc: highest, ...rest });
    }
  });

  test.each<[string, Shape]>([
    ['of a 64-bit little-endian file', { bits: 64, endian: 'little', machine: 183 }],
    ['of a 64-bit big-endian file', { bits: 64, endian: 'big', machine: 22 }],
    ['of a 32-bit little-endian file', { bits: 32, endian: 'little', machine: 40 }],
    ['of a 32-bit big-endian file', { bits: 32, endian: 'big', machine: 20 }],
  ])('%s', async (_, shape) => {
    const folder = await mkdtemp(join(tmpdir(), 'elf-'));
    try {
      const path = join(folder, 'made');
      const bytes = elfFile({ ...shape, interpreter: '/lib/ld.so.1', needed: ['libm.so.6', 'libc.so.6'] });
      await writeFile(path, bytes);
      const [{ relr: _, ...expected }] = (await oracle([path], '-hldW')) as [Awaited<ReturnType<typeof oracle>>[0]];
      expect(expected).toMatchObject({ interpreter: '/lib/ld.so.1', needed: ['libm.so.6', 'libc.so.6'] });
      expect(await readElf(inMemory(bytes))).toMatchObject(expected);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('what a file says of itself', () => {
  test.each<[string, Shape]>([
    ['x86_64', { machine: 62 }],
    ['aarch64', { machine: 183 }],
    ['riscv64', { machine: 243 }],
    ['riscv32', { machine: 243, bits: 32 }],
    ['loongarch64', { machine: 258 }],
    ['ppc64le', { machine: 21 }],
    ['ppc64', { machine: 21, endian: 'big' }],
    ['s390x', { machine: 22, endian: 'big' }],
    ['i386', { machine: 3, bits: 32 }],
    ['armv7l', { machine: 40, bits: 32 }],
    ['e_machine 8', { machine: 8, bits: 32, endian: 'big' }],
    ['e_machine 62', { machine: 62, bits: 32 }], // x32, which x86_64 kernels rarely run
  ])('it is for %s, as uname -m says it there', async (machine, shape) => {
    expect(await readElf(inMemory(elfFile(shape)))).toMatchObject({ machine });
  });

  test.each<[Elf['libc'], string, Shape]>([
    ['glibc', 'its loader is that of glibc', { interpreter: '/lib64/ld-linux-x86-64.so.2', needed: [] }],
    ['glibc', 'its loader is that of glibc on ppc64le', { interpreter: '/lib64/ld64.so.2', needed: [] }],
    ['glibc', 'it is a library that needs libc.so.6', { needed: ['libc.so.6'] }],
    ['glibc', "it is a library that needs only glibc's libm", { needed: ['libm.so.6'], versions: ['GLIBC_2.29'] }],
    ['musl', 'its loader is that of musl', { interpreter: '/lib/ld-musl-x86_64.so.1', needed: ['libc.so'] }],
    ['musl', 'it is a library of Alpine', { needed: ['libc.musl-x86_64.so.1'] }],
    ['static', 'it needs nothing', {}],
    ['static', 'it is position-independent and needs nothing', { needed: [] }],
    ['other', 'its loader is that of Android', { interpreter: '/system/bin/linker64', needed: ['libc.so'] }],
    ['other', 'it is an object file', { type: 1 }],
  ])('its C library is %s when %s', async (libc, _, shape) => {
    expect(await readElf(inMemory(elfFile(shape)))).toMatchObject({ libc });
  });

  test.each<[string, string | undefined, string[]]>([
    ['the highest by number, not by letter', '2.36', ['GLIBC_2.4', 'GLIBC_2.36', 'GLIBC_2.2.5']],
    ['none when only private names are needed', undefined, ['GLIBC_PRIVATE', 'GLIBCXX_3.4.30', 'GCC_3.0']],
    ['2.36 with packed relocations', '2.36', ['GLIBC_2.34', 'GLIBC_ABI_DT_RELR']],
    ['a higher one in spite of packed relocations', '2.38', ['GLIBC_2.38', 'GLIBC_ABI_DT_RELR']],
    ['only what it cannot start without', '2.34', ['GLIBC_2.34', 'weak: GLIBC_2.39']],
  ])('the glibc it needs is %s', async (_, glibc, versions) => {
    for (const bits of [32, 64] as const)
      for (const endian of ['little', 'big'] as const) {
        const elf = await readElf(inMemory(elfFile({ bits, endian, needed: ['libc.so.6'], versions })));
        expect(elf).toMatchObject({ glibc });
      }
  });

  test('it may be loaded at the end of the address space, as a kernel is', async () => {
    const bytes = elfFile({ base: 0xffffffff81000000n, needed: ['libc.so.6'], versions: ['GLIBC_2.34'] });
    expect(await readElf(inMemory(bytes))).toMatchObject({ glibc: '2.34' });
  });
});

describe('a hostile or torn file is refused, cheaply', () => {
  const changed = (change: (bytes: Buffer) => void, shape: Shape = {}) => {
    const bytes = elfFile({ interpreter: '/lib/ld', needed: ['libc.so.6'], versions: ['GLIBC_2.34'], ...shape });
    change(bytes);
    return inMemory(bytes);
  };
  // The program headers: 64 the whole file, 120 the interpreter, 176 the dynamic section; offset at 8, size at 32 of each.
  test.each<[string, RegExp, ReadAt]>([
    ['cut within its first header', /ends within it/, inMemory(elfFile().subarray(0, 40))],
    ['of an unknown class', /class or byte order/, changed((bytes) => bytes.writeUInt8(3, 4))],
    ['without program headers', /no program headers/, changed((bytes) => bytes.writeUInt16LE(0, 56))],
    ['with 65535 program headers', /65535 program headers/, changed((bytes) => bytes.writeUInt16LE(65535, 56))],
    ['with program headers of another size', /unknown size/, changed((bytes) => bytes.writeUInt16LE(57, 54))],
    [
      'with program headers beyond its end',
      /end of the program headers/,
      changed((bytes) => bytes.writeUInt32LE(9999, 32)),
    ],
    ['with an offset beyond any file', /far beyond/, changed((bytes) => bytes.fill(0xff, 32, 40))],
    ['shorter than what it loads', /end of what it loads/, changed((bytes) => bytes.writeUInt32LE(4097, 96))],
    ['with an endless interpreter', /endless name/, changed((bytes) => bytes.writeUInt32LE(1 << 30, 152))],
    ['with an interpreter without end', /no end/, changed((bytes) => bytes.writeUInt32LE(4, 152))],
    ['with a huge dynamic section', /too big/, changed((bytes) => bytes.writeUInt32LE(1 << 30, 208))],
    ['with strings outside of it', /outside of what it loads/, changed((bytes) => bytes.writeUInt32LE(1 << 20, 1032))],
    ['with version needs of another kind', /unknown kind/, changed((bytes) => bytes.writeUInt16LE(2, 2048))],
    ['without a table of strings', /no table of strings/, changed((bytes) => bytes.writeUInt32LE(99, 1072))],
  ])('%s', async (_, why, read) => {
    expect(await answer(read)).toEqual(torn(why));
  });

  // A file system may hold such files as holes: they cost the attacker nothing.
  const endless =
    (head: Buffer, page: Buffer): ReadAt =>
    async (offset, length) =>
      offset === 0 ? head.subarray(0, length) : page.subarray(0, length);
  const whole = (bytes: Buffer) => bytes.writeBigUInt64LE(2n ** 50n, 96);

  test.each([
    ['dense', 16, /too many symbol versions/],
    ['a page apart', 4096, /too many symbol versions|spread too far/],
    ['4 GiB apart', 0xfffff000, /too many symbol versions|spread too far/],
  ])('an endless chain of version needs, %s', async (_, step, why) => {
    const head = elfFile({ needed: ['libc.so.6'], versions: ['GLIBC_2.34'] });
    whole(head);
    const page = Buffer.alloc(4096);
    for (let at = 0; at < page.length; at += 16) page.writeUInt32LE(step, at + 12);
    head.writeUInt32LE(4096 - 2048, 2048 + 8); // the first need's entries are on the endless pages
    expect(await answer(endless(head, page))).toEqual(torn(why));
  });

  test('libraries without number', async () => {
    const head = elfFile({ needed: ['libc.so.6'] });
    whole(head);
    head.writeBigUInt64LE(4096n, 64 + 56 + 8); // the dynamic section is on the endless pages
    head.writeBigUInt64LE(1024n * 1024n, 64 + 56 + 32);
    const page = Buffer.alloc(4096);
    for (let at = 0; at < page.length; at += 16) page.writeUInt32LE(1, at);
    expect(await answer(endless(head, page))).toEqual(torn(/too many libraries/));
  });

  test('any bytes after the mark of ELF', async () => {
    const start = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(1, 2),
        fc.constantFrom(1, 2),
        fc.uint8Array({ maxLength: 512 }),
        async (bits, endian, rest) => {
          await answer(inMemory(Buffer.concat([start, Buffer.from([bits, endian]), rest])));
        },
      ),
    );
  });

  test('any change to a file of any kind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<32 | 64>(32, 64),
        fc.constantFrom<'little' | 'big'>('little', 'big'),
        fc.array(
          fc.tuple(
            fc.oneof(fc.nat(240), fc.integer({ min: 1024, max: 1120 }), fc.integer({ min: 2048, max: 2112 })),
            fc.nat(255),
          ),
          { maxLength: 12 },
        ),
        async (bits, endian, changes) => {
          const bytes = elfFile({
            bits,
            endian,
            interpreter: '/lib/ld',
            needed: ['libc.so.6'],
            versions: ['GLIBC_2.4', 'GLIBC_2.34'],
          });
          for (const [at, value] of changes) bytes[at] = value;
          await answer(inMemory(bytes));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('versions are compared by number', () => {
  test.each([
    ['2.4', '2.36', -1],
    ['2.36', '2.4', 1],
    ['2.36', '2.36', 0],
    ['2.2.5', '2.2', 1],
    ['2.4', '2.4.0', 0],
    ['3', '2.99', 1],
  ])('%s and %s', (a, b, sign) => {
    expect(Math.sign(compareVersions(a, b))).toBe(sign);
  });
});
