// Started by the unit as `<binary> boot.cjs`. The binary is a copy of node with a release behind it (see artifact.mjs):
// text, and the length of the text in the last 8 bytes. So other bytes are another version, as with any compiled service.
const { closeSync, fstatSync, openSync, readSync } = require('node:fs');

// /proc/self/exe is the image that runs, even when another file has taken its path already.
const file = openSync('/proc/self/exe');
const { size } = fstatSync(file);
const read = (length, position) => {
  const buffer = Buffer.alloc(length);
  readSync(file, buffer, 0, length, position);
  return buffer;
};
const length = Number(read(8, size - 8).readBigUInt64LE());
const text = read(length, size - 8 - length).toString();
closeSync(file);
module._compile(text, process.execPath);
