import type { FileHandle } from 'node:fs/promises';
import { ExpectedError } from '@gbo/shared/errors';

/** Fills `buffer` with the bytes at `offset`. @throws ExpectedError when the file ends before, since it was longer once */
export async function readWhole(file: FileHandle, path: string, buffer: Buffer, offset: number): Promise<void> {
  for (let have = 0; have < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, have, buffer.length - have, offset + have);
    if (bytesRead === 0) throw changed(path);
    have += bytesRead;
  }
}

export function changed(path: string): ExpectedError {
  return new ExpectedError(
    `${path} changed while it was uploaded.`,
    'The running version was not touched.',
    'Let the build finish before the deploy starts.',
  );
}
