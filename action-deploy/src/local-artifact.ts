import { createHash } from 'node:crypto';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { readElf } from './elf.js';
import type { LocalArtifact } from './facts.js';
import type { ArtifactSpec } from './inputs.js';

const BLOCK = 1024 * 1024;

/** Reads a local file once: size, sha256, ELF headers, type. @throws ExpectedError when it cannot be deployed */
export async function readLocalArtifact(spec: ArtifactSpec): Promise<LocalArtifact> {
  const file = await openFile(spec);
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw unusable(`${spec.source} is not a regular file`, 'Name the file itself.');
    if (stat.size === 0) throw unusable(`${spec.source} is empty`, 'See why the build left it so.');
    // What is said to be a config file is not looked into: a split .debug file is no whole ELF file, and need not be.
    const elf = (spec.type ?? 'binary') === 'binary' ? await readElf(positioned(file)) : undefined;
    const type = spec.type ?? (elf ? 'binary' : 'config');
    return { ...spec, type, elf, size: stat.size, sha256: await sha256Of(file) };
  } finally {
    await file.close();
  }
}

function positioned(file: FileHandle): (offset: number, length: number) => Promise<Buffer> {
  return async (offset, length) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  };
}

async function openFile(spec: ArtifactSpec): Promise<FileHandle> {
  try {
    return await open(await realpath(spec.source));
  } catch (error) {
    throw unusable(
      `The file ${spec.source} for ${spec.path} cannot be read (${messageOf(error)})`,
      'Build it first, or mend the path.',
    );
  }
}

function unusable(what: string, todo: string): ExpectedError {
  return new ExpectedError(`${what}.`, 'Nothing was touched.', todo);
}

/** Reads one block while the one before it is hashed; a stream would take new memory for each block. */
async function sha256Of(file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  const [first, second] = [Buffer.allocUnsafeSlow(BLOCK), Buffer.allocUnsafeSlow(BLOCK)];
  let at = 0;
  let reading = file.read(first, 0, BLOCK, at);
  for (;;) {
    const { buffer, bytesRead } = await reading;
    if (bytesRead === 0) return hash.digest('hex');
    at += bytesRead;
    reading = file.read(buffer === first ? second : first, 0, BLOCK, at);
    hash.update(buffer.subarray(0, bytesRead));
  }
}
