import { constants } from 'node:fs';
import { appendFile, copyFile, mkdir, open, readFile, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const LEAST_BYTES = 60 * 1024 * 1024;

/**
 * Builds a release at `path`: there is no compiler here, so it is a copy of the running node, a real ELF program of some
 * 95 MB, with the service's code behind it (the kernel loads an ELF by its headers and never looks at what follows).
 */
export async function buildArtifact(path, release) {
  const service = await readFile(fileURLToPath(new URL('./service.cjs', import.meta.url)), 'utf8');
  const payload = Buffer.from(`globalThis.release = ${JSON.stringify(release)};\n${service}`);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(payload.length));
  await mkdir(dirname(path), { recursive: true });
  await copyFile(process.execPath, path, constants.COPYFILE_FICLONE);
  const { size } = await stat(path);
  if (size < LEAST_BYTES) await truncate(path, LEAST_BYTES);
  await appendFile(path, Buffer.concat([payload, length]));
}

/** Bytes of one release. */
export async function artifactBytes() {
  return Math.max(LEAST_BYTES, (await stat(process.execPath)).size);
}

/** Whether node is a program that Linux loads by its ELF headers. */
export async function nodeIsElf() {
  const file = await open(process.execPath);
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
  await file.close();
  return process.platform === 'linux' && buffer.toString('latin1') === '\x7fELF';
}
