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
  const size = file.readUInt16BE(16) === 1 ? 65_536 : file.readUInt16BE(16);
  const usable = size - (file[20] ?? 0);
  const page = (number: number): Page => {
    const at = (number - 1) * size;
    if (number < 1 || at + size > file.length) throw new Error(`page ${number} is not there`);
    return { at, header: number === 1 ? at + 100 : at };
  };
  const read = (root: number, depth = 0): { id: number; row: Row }[] => {
    if (depth > 20) throw new Error('its tree has no end');
    const { at, header } = page(root);
    const type = file[header];
    const count = file.readUInt16BE(header + 3);
    const cells = (first: number) =>
      Array.from({ length: count }, (_, index) => at + file.readUInt16BE(first + 2 * index));
    if (type === 0x0d) return cells(header + 8).map((cell) => leaf(file, cell, usable));
    if (type !== 0x05) throw new Error(`page ${root} is of type ${type}`);
    const children = [...cells(header + 12).map((cell) => file.readUInt32BE(cell)), file.readUInt32BE(header + 8)];
    return children.flatMap((child) => read(child, depth + 1));
  };
  const entry = read(1)
    .map(({ row }) => row)
    .find((row) => row[0] === 'table' && row[1] === table);
  if (!entry) throw new Error(`it has no table ${table}`);
  const { columns, idColumn } = columnsOf(String(entry[4]));
  const rows = read(Number(entry[3])).map(({ id, row }) => {
    const full = columns.map((_, index) => row[index] ?? null);
    // An INTEGER PRIMARY KEY is the id of the row, and null in its cell.
    if (idColumn >= 0) full[idColumn] = id;
    return full;
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

function leaf(file: Buffer, cell: number, usable: number): { id: number; row: Row } {
  const length = varint(file, cell);
  const id = varint(file, length.end);
  if (length.value > usable - 35) throw new Error('it has a row longer than a page');
  const header = varint(file, id.end);
  let body = id.end + header.value;
  const row: Row = [];
  for (let at = header.end; at < id.end + header.value; ) {
    const type = varint(file, at);
    at = type.end;
    const [value, width] = decodeValue(file, body, type.value);
    row.push(value);
    body += width;
  }
  return { id: id.value, row };
}

const widths = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

function decodeValue(file: Buffer, at: number, type: number): [number | string | null, number] {
  if (type >= 12) {
    const width = Math.floor((type - 12) / 2);
    if (at + width > file.length) throw new Error('it ends within a row');
    return [file.toString('utf8', at, at + width), width];
  }
  const width = widths[type];
  if (width === undefined) throw new Error(`it has a value of type ${type}`);
  if (type === 0) return [null, 0];
  if (type === 7) return [file.readDoubleBE(at), 8];
  if (type >= 8) return [type - 8, 0];
  return [width === 8 ? Number(file.readBigInt64BE(at)) : file.readIntBE(at, width), width];
}

function varint(file: Buffer, at: number): { value: number; end: number } {
  let value = 0;
  for (let index = 0; index < 9; index++) {
    const byte = file[at + index];
    if (byte === undefined) throw new Error('it ends within a number');
    // Multiplied, not shifted: ids and times are longer than 32 bits.
    value = index === 8 ? value * 256 + byte : value * 128 + (byte & 0x7f);
    if (index === 8 || byte < 0x80) return { value, end: at + index + 1 };
  }
  throw new Error('unreachable');
}
