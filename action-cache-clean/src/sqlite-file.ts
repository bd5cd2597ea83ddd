/**
 * Reads whole tables of an SQLite file (https://sqlite.org/fileformat2.html). Ours, since SQLite itself would add a third to
 * the bundle (WebAssembly), and opening the file would make a commit of cargo wait. Reads tables only: no indices, no
 * write-ahead log, no overflow pages; what it does not know is an error, never a guess.
 */
export type Row = (number | string | null)[];

interface Page {
  at: number;
  /** Of its header. */
  header: number;
}

/**
 * @returns rows of the named table, columns in the order of its CREATE statement
 * @throws Error when the file is none, was written half-way, or uses what this reader does not know
 */
export function readTable(file: Buffer, table: string): { columns: string[]; rows: Row[] } {
  if (file.toString('latin1', 0, 16) !== 'SQLite format 3\0') throw new Error('it is not an SQLite file');
  if (file[18] !== 1) throw new Error('it has a write-ahead log');
  if (file.length < 512) throw new Error('it ends within its first page');
  if (file.readUInt32BE(56) > 1) throw new Error('its text is not UTF-8');
  const size = file.readUInt16BE(16) === 1 ? 65_536 : file.readUInt16BE(16);
  if (size < 512 || (size & (size - 1)) !== 0) throw new Error(`its pages cannot have ${size} bytes`);
  // The header counts the pages; the count is right if whoever wrote it last knew that field (the two numbers are equal then).
  if (file.readUInt32BE(24) === file.readUInt32BE(92) && file.readUInt32BE(28) * size > file.length) {
    throw new Error('its end is missing');
  }
  const usable = size - (file[20] ?? 0);
  const page = (number: number): Page => {
    const at = (number - 1) * size;
    if (number < 1 || at + size > file.length) throw new Error(`page ${number} is not there`);
    return { at, header: number === 1 ? at + 100 : at };
  };
  // In a sound file no page belongs to two parents; one that leads back to itself would have no end.
  const seen = new Set<number>();
  const read = (root: number, take: (id: number, row: Row) => void): void => {
    if (seen.has(root)) throw new Error(`page ${root} is in two places`);
    seen.add(root);
    const { at, header } = page(root);
    const type = file[header];
    const count = file.readUInt16BE(header + 3);
    if (type !== 0x0d && type !== 0x05) throw new Error(`page ${root} is of type ${type}`);
    const first = header + (type === 0x0d ? 8 : 12);
    for (let index = 0; index < count; index++) {
      const cell = at + file.readUInt16BE(first + 2 * index);
      if (type === 0x0d) leaf(file, cell, at + usable, usable, take);
      else read(file.readUInt32BE(cell), take);
    }
    if (type === 0x05) read(file.readUInt32BE(header + 8), take);
  };
  let entry: Row | undefined;
  read(1, (_, row) => {
    if (row[0] === 'table' && row[1] === table) entry ??= row;
  });
  if (!entry) throw new Error(`it has no table ${table}`);
  const { columns, idColumn } = columnsOf(String(entry[4]));
  const rows: Row[] = [];
  read(Number(entry[3]), (id, row) => {
    // A row from before a column was added ends before it.
    while (row.length < columns.length) row.push(null);
    // An INTEGER PRIMARY KEY is the id of the row, and null in its cell.
    if (idColumn >= 0) row[idColumn] = id;
    rows.push(row);
  });
  return { columns, rows };
}

function columnsOf(create: string): { columns: string[]; idColumn: number } {
  const body = create.slice(create.indexOf('(') + 1, create.lastIndexOf(')'));
  const parts = body.split(/,(?![^(]*\))/).map((part) => part.trim());
  const columns = parts.filter((part) => !/^(primary|foreign|unique|check|constraint)\b/i.test(part));
  return {
    columns: columns.map((part) => part.split(/\s+/)[0]?.replaceAll(/["'`[\]]/g, '') ?? ''),
    idColumn: columns.findIndex((part) => /\binteger\s+primary\s+key\b/i.test(part)),
  };
}

function leaf(file: Buffer, cell: number, end: number, usable: number, take: (id: number, row: Row) => void): void {
  const cursor: Cursor = { file, at: cell };
  const length = varint(cursor);
  const id = varint(cursor);
  const start = cursor.at;
  if (length > usable - 35) throw new Error('it has a row longer than a page');
  if (start + length > end) throw new Error('it has a row that leaves its page');
  const bodyAt = start + varint(cursor);
  let body = bodyAt;
  const row: Row = [];
  while (cursor.at < bodyAt) {
    const type = varint(cursor);
    const width = widthOf(type);
    row.push(decodeValue(file, body, type, width));
    body += width;
  }
  if (body !== start + length) throw new Error('it has a row of another length than it says');
  take(id, row);
}

const widths = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

function widthOf(type: number): number {
  if (type >= 12 && type % 2 === 0) throw new Error('it has a value of type blob');
  const width = type >= 12 ? (type - 13) / 2 : widths[type];
  if (width === undefined) throw new Error(`it has a value of type ${type}`);
  return width;
}

function decodeValue(file: Buffer, at: number, type: number, width: number): number | string | null {
  if (at + width > file.length) throw new Error('it ends within a row');
  if (type >= 12) return file.toString('utf8', at, at + width);
  if (type === 0) return null;
  if (type === 7) return file.readDoubleBE(at);
  if (type >= 8) return type - 8;
  return whole(width === 8 ? Number(file.readBigInt64BE(at)) : file.readIntBE(at, width));
}

/** A place in the file that moves on with what is read. */
interface Cursor {
  file: Buffer;
  at: number;
}

function varint(cursor: Cursor): number {
  let value = 0;
  for (let index = 0; index < 9; index++) {
    const byte = cursor.file[cursor.at];
    if (byte === undefined) throw new Error('it ends within a number');
    cursor.at += 1;
    // Multiplied, not shifted: ids and times are longer than 32 bits.
    value = index === 8 ? value * 256 + byte : value * 128 + (byte & 0x7f);
    if (byte < 0x80) break;
  }
  return whole(value);
}

/** Beyond 2^53 a number of JavaScript is no longer the one that was written; neither sizes nor times are that long. */
function whole(value: number): number {
  if (!Number.isSafeInteger(value)) throw new Error('it has a number that is too long');
  return value;
}
