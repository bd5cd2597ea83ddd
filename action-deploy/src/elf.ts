// Ours: of the ELF readers on npm (elfinfo, elfy, elf-tools) none reads version needs.
import { ExpectedError } from '@gbo/shared/errors';

/**
 * What an ELF file says about where it can run. Layouts: elf(5) and the System V ABI, chapters 4 and 5; the symbol versions:
 * Linux Standard Base, "Symbol Versioning".
 */
export interface Elf {
  /**
   * As `uname -m` says it on the machine the file is for, or the number of elf.h when it is none of these. A file for 32-bit
   * ARM is `armv7l`, though its header tells no version: the one that runs by far the most of them.
   */
  machine: (typeof machines)[keyof typeof machines] | `e_machine ${number}`;
  bits: 32 | 64;
  endian: 'little' | 'big';
  /** By e_type. Also position-independent programs are `shared`; `other` are object files and core dumps. */
  type: 'executable' | 'shared' | 'other';
  /** The loader's path (PT_INTERP). Static programs and most libraries have none. */
  interpreter?: string;
  /**
   * The highest version of glibc without which the loader refuses to start it, such as `2.36`. Absent when it names none. Weak
   * needs do not count, since the loader only warns of them (glibc's elf/dl-version.c): newer linkers mark so what Rust's
   * standard library uses only where it is there.
   */
  glibc?: string;
  /** The C library it is linked against. `static`: it needs no library at all. `other`: also what is no program or library. */
  libc: 'glibc' | 'musl' | 'static' | 'other';
  /** File names of the libraries it loads (DT_NEEDED), in their order. */
  needed: string[];
}

/** Reads `length` bytes from `offset` on, both in bytes; fewer only at the end of the file. */
export type ReadAt = (offset: number, length: number) => Promise<Buffer>;

/** EM_* of elf.h, with the class and byte order that its kernel's UTS_MACHINE goes with. */
const machines = {
  '3 32 little': 'i386',
  '21 64 big': 'ppc64',
  '21 64 little': 'ppc64le',
  '22 64 big': 's390x',
  '40 32 little': 'armv7l',
  '62 64 little': 'x86_64',
  '183 64 little': 'aarch64',
  '243 32 little': 'riscv32',
  '243 64 little': 'riscv64',
  '258 64 little': 'loongarch64',
} as const;

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_VERNEED = 0x6ffffffen;
const VER_FLG_WEAK = 2;

// The file may be hostile. Linux itself (load_elf_phdrs, PATH_MAX) takes no more program headers and no longer names.
const MAX_PROGRAM_HEADERS_BYTES = 65_536;
const MAX_NAME_BYTES = 4096;
// Far above real files: node's own binary has 32 dynamic entries and 37 versions.
const MAX_DYNAMIC_BYTES = 1024 * 1024;
const MAX_NAMES = 1024;
const PAGE_BYTES = 4096;
const MAX_PAGES = 1024;

/**
 * Reads an ELF file's headers: at most 4 MiB in pieces of 4 KiB, however big the file is, and by the program headers only, so
 * that a stripped file tells as much. `undefined` when the file is not ELF.
 * @throws ExpectedError when it is ELF and cut short or malformed; whatever `read` throws
 */
export async function readElf(read: ReadAt): Promise<Elf | undefined> {
  const file = new PagedFile(read);
  const head = await file.upTo(0n, 64);
  if (head.length < 4 || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const bits = head[4] === 1 ? 32 : head[4] === 2 ? 64 : undefined;
  const endian = head[5] === 1 ? 'little' : head[5] === 2 ? 'big' : undefined;
  if (!bits || !endian) throw torn('its class or byte order is unknown');
  if (head.length < (bits === 64 ? 64 : 52)) throw torn('the file ends within it');

  const fields = new Fields(bits === 64, endian === 'little');
  const number = fields.u16(head, 18);
  const machine =
    (machines as Record<string, Elf['machine']>)[`${number} ${bits} ${endian}`] ?? (`e_machine ${number}` as const);
  const type = ({ 2: 'executable', 3: 'shared' } as const)[fields.u16(head, 16)] ?? 'other';
  // Object files have no program headers, and those of core dumps say nothing about where they run.
  if (type === 'other') return { machine, bits, endian, type, libc: 'other', needed: [] };

  const segments = await readSegments(file, fields, head);
  const interpreter = await readInterpreter(file, segments);
  const { needed, glibc } = await readDynamic(file, fields, segments);
  return { machine, bits, endian, type, interpreter, glibc, libc: libcOf(interpreter, needed, glibc), needed };
}

/** Compares versions of digits and points by number, so 2.4 < 2.36 and 2.4 = 2.4.0: negative, 0 or positive, as for sort. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference) return difference;
  }
  return 0;
}

interface Segment {
  type: number;
  offset: bigint;
  address: bigint;
  fileSize: bigint;
}

async function readSegments(file: PagedFile, fields: Fields, head: Buffer): Promise<Segment[]> {
  const { wide } = fields;
  const size = wide ? 56 : 32;
  const count = fields.u16(head, wide ? 56 : 44);
  if (count === 0) throw torn('it has no program headers');
  if (fields.u16(head, wide ? 54 : 42) !== size) throw torn('its program headers have an unknown size');
  if (count * size > MAX_PROGRAM_HEADERS_BYTES) throw torn(`it has ${count} program headers, more than Linux takes`);
  const table = await file.exactly(fields.word(head, wide ? 32 : 28), count * size, 'the program headers');
  const segments = Array.from({ length: count }, (_, index) => {
    const bytes = table.subarray(index * size, (index + 1) * size);
    return {
      type: fields.u32(bytes, 0),
      offset: fields.word(bytes, wide ? 8 : 4),
      address: fields.word(bytes, wide ? 16 : 8),
      fileSize: fields.word(bytes, wide ? 32 : 16),
    };
  });
  // Headers stand first, so those of a download that broke off are whole; it would die of SIGBUS on the target.
  for (const { type, offset, fileSize } of segments) {
    if (type === PT_LOAD && fileSize > 0n) await file.exactly(offset + fileSize - 1n, 1, 'what it loads');
  }
  return segments;
}

async function readInterpreter(file: PagedFile, segments: Segment[]): Promise<string | undefined> {
  const segment = segments.find(({ type }) => type === PT_INTERP);
  if (!segment) return undefined;
  if (segment.fileSize > MAX_NAME_BYTES) throw torn('its interpreter has an endless name');
  return textOf(await file.exactly(segment.offset, Number(segment.fileSize), 'the interpreter'));
}

async function readDynamic(
  file: PagedFile,
  fields: Fields,
  segments: Segment[],
): Promise<{ needed: string[]; glibc?: string }> {
  const segment = segments.find(({ type }) => type === PT_DYNAMIC);
  if (!segment) return { needed: [] };
  if (segment.fileSize > MAX_DYNAMIC_BYTES) throw torn('its dynamic section is too big');
  const table = await file.exactly(segment.offset, Number(segment.fileSize), 'the dynamic section');
  const size = fields.wide ? 8 : 4;
  const names: bigint[] = [];
  const addresses = new Map<bigint, bigint>();
  for (let at = 0; at + 2 * size <= table.length; at += 2 * size) {
    const tag = fields.word(table, at);
    const value = fields.word(table, at + size);
    if (tag === DT_NULL) break;
    if (tag === DT_NEEDED) names.push(value);
    else if (tag === DT_STRTAB || tag === DT_VERNEED) addresses.set(tag, value);
  }
  if (names.length > MAX_NAMES) throw torn('it needs too many libraries');

  const strings = addresses.get(DT_STRTAB);
  const stringAt = async (offset: bigint): Promise<string> => {
    if (strings === undefined) throw torn('it has no table of strings');
    return textOf(await file.upTo(positionOf(strings + offset, segments), MAX_NAME_BYTES));
  };
  const needed: string[] = [];
  for (const name of names) needed.push(await stringAt(name));
  const versions = addresses.get(DT_VERNEED);
  if (versions === undefined) return { needed };
  return { needed, glibc: await readGlibc(file, fields, positionOf(versions, segments), stringAt) };
}

/** The highest GLIBC_x.y of the version needs from `position` on, walked as glibc's loader does: to the entry without a next. */
async function readGlibc(
  file: PagedFile,
  fields: Fields,
  position: bigint,
  stringAt: (offset: bigint) => Promise<string>,
): Promise<string | undefined> {
  let highest: string | undefined;
  let count = 0;
  // Distances are unsigned and positions do not wrap, so there are no cycles; but a hostile chain can be very long.
  const chain = async function* (first: bigint): AsyncGenerator<{ entry: Buffer; at: bigint }> {
    for (let at = first, next = -1; next !== 0; at += BigInt(next)) {
      if (++count > MAX_NAMES) throw torn('it needs too many symbol versions');
      const entry = await file.exactly(at, 16, 'the version needs');
      yield { entry, at };
      next = fields.u32(entry, 12);
    }
  };
  for await (const { entry: need, at } of chain(position)) {
    if (fields.u16(need, 0) !== 1) throw torn('its version needs are of an unknown kind');
    for await (const { entry } of chain(at + BigInt(fields.u32(need, 8)))) {
      if (fields.u16(entry, 4) & VER_FLG_WEAK) continue;
      const version = glibcVersion(await stringAt(BigInt(fields.u32(entry, 8))));
      if (version && (!highest || compareVersions(version, highest) > 0)) highest = version;
    }
  }
  return highest;
}

function glibcVersion(name: string): string | undefined {
  // What a program with packed relocations needs; glibc has it since 2.36 (its NEWS for 2.36, "DT_RELR"). The other names
  // without a number (GLIBC_PRIVATE, GLIBC_ABI_*) tell no release.
  if (name === 'GLIBC_ABI_DT_RELR') return '2.36';
  return /^GLIBC_(\d+(?:\.\d+)+)$/.exec(name)?.[1];
}

/** By the loaders' names: glibc's are in its shlib-versions files, musl's in its INSTALL; Alpine names musl libc.musl-*. */
function libcOf(interpreter: string | undefined, needed: string[], glibc: string | undefined): Elf['libc'] {
  const loader = interpreter?.split('/').at(-1) ?? '';
  if (loader.startsWith('ld-musl') || needed.some((name) => name.startsWith('libc.musl'))) return 'musl';
  if (/^ld-linux|^ld64\.so\./.test(loader) || needed.includes('libc.so.6') || glibc) return 'glibc';
  return interpreter === undefined && needed.length === 0 ? 'static' : 'other';
}

/** Where in the file the byte is that is loaded at `address`. */
function positionOf(address: bigint, segments: Segment[]): bigint {
  const segment = segments.find(
    (each) => each.type === PT_LOAD && address >= each.address && address < each.address + each.fileSize,
  );
  if (!segment) throw torn('a table lies outside of what it loads');
  return segment.offset + address - segment.address;
}

function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  if (end < 0) throw torn('a name in it has no end');
  return bytes.toString('utf8', 0, end);
}

function torn(why: string): ExpectedError {
  return new ExpectedError(
    `The ELF header of the file is torn: ${why}.`,
    'Nothing was touched.',
    'Build it anew or fetch it again; `readelf -hldV` with its path shows more.',
  );
}

/** The numbers in a header, by the file's class and byte order. */
class Fields {
  constructor(
    readonly wide: boolean,
    readonly little: boolean,
  ) {}

  u16(bytes: Buffer, at: number): number {
    return this.little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  }

  u32(bytes: Buffer, at: number): number {
    return this.little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  }

  /** An address, an offset or a size. A bigint, since addresses of 64 bits go beyond what a number holds. */
  word(bytes: Buffer, at: number): bigint {
    if (!this.wide) return BigInt(this.u32(bytes, at));
    return this.little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at);
  }
}

/** The file in pages, each read once: tables of many small entries cost few reads. Offsets and lengths in bytes. */
class PagedFile {
  readonly #pages = new Map<number, Buffer>();

  constructor(private readonly read: ReadAt) {}

  /** Fewer than `length` bytes only at the end of the file. */
  async upTo(offset: bigint, length: number): Promise<Buffer> {
    if (offset + BigInt(length) > Number.MAX_SAFE_INTEGER - PAGE_BYTES) throw torn('it points far beyond any file');
    const from = Number(offset);
    const parts: Buffer[] = [];
    for (let start = from - (from % PAGE_BYTES); start < from + length; start += PAGE_BYTES) {
      const page = await this.#page(start);
      parts.push(page.subarray(Math.max(0, from - start), from + length - start));
      if (page.length < PAGE_BYTES) break;
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  async exactly(offset: bigint, length: number, what: string): Promise<Buffer> {
    const bytes = await this.upTo(offset, length);
    if (bytes.length < length) throw torn(`the file ends before the end of ${what}`);
    return bytes;
  }

  async #page(start: number): Promise<Buffer> {
    const known = this.#pages.get(start);
    if (known) return known;
    if (this.#pages.size === MAX_PAGES) throw torn('its tables are spread too far');
    const page = await this.read(start, PAGE_BYTES);
    this.#pages.set(start, page);
    return page;
  }
}
