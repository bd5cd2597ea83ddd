import { open } from 'node:fs/promises';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import type { Connection } from '@gbo/shared/ssh/connection';
import { changed } from './local-file.js';
import { withoutOptimizer } from './optimizer.js';
import { WINDOW } from './part-file.js';
import { overSftp } from './upload-sftp.js';
import { asStream } from './upload-stream.js';
import { UploadWatch } from './upload-watch.js';

export { WINDOW };

export interface UploadProgress {
  /** Taken so far. Over one channel, up to its window (2 MiB in OpenSSH) of them is still on the way. */
  bytes: number;
  total: number;
  resumedFrom: number;
}

export interface UploadOptions {
  /** Local path. */
  from: string;
  /** Remote path of the part file. Its name must tell the content (a hash), since an earlier part is built upon. */
  to: string;
  /** Bytes of the local file, as it was when it was looked at. */
  size: number;
  /** SSH channels side by side, 1 to 8. Default: 1, or 4 when a round trip takes more than 15 ms. */
  channels?: number;
  /** Give up when the target has taken nothing for this long. Default: 30 s. */
  stallMs?: number;
  /** Called at most every 500 ms, and at the end. */
  onProgress?(progress: UploadProgress): void;
  signal?: AbortSignal;
}

/**
 * Writes `from` to `to` (created with mode 0600), going on where an earlier try was cut off. Does not fsync, hash or
 * rename. One channel is a plain stream into dd; several are SFTP sessions.
 *
 * Our own writer: ssh2's fastPut and node-ssh's putFile begin at zero each time, use one channel, never time out, and
 * never end when the local file shrinks.
 *
 * @throws ConnectionLost; ExpectedError when the local file changes meanwhile, when nothing was taken for stallMs, when
 * the server reports a failure, when cancelled
 */
export async function upload(
  connection: Connection,
  options: UploadOptions,
): Promise<{ sent: number; resumedFrom: number; ms: number }> {
  const start = performance.now();
  const { from, size, channels = (await connection.roundTrip()) > 15 ? 4 : 1 } = options;
  const file = await open(from, 'r').catch((error: unknown) => {
    throw new ExpectedError(`${from} cannot be read: ${messageOf(error)}.`, '', 'Check that the build made it.');
  });
  try {
    const before = await file.stat();
    if (before.size !== size) throw changed(from);
    const watch = new UploadWatch(connection, options);
    const work = { connection, options, file, watch };
    const resumedFrom = await withoutOptimizer(() =>
      watch.during(() => (channels <= 1 ? asStream(work) : overSftp(work, Math.min(8, Math.floor(channels))))),
    );
    const after = await file.stat();
    if (after.size !== size || after.mtimeMs !== before.mtimeMs) throw changed(from);
    return { sent: size - resumedFrom, resumedFrom, ms: performance.now() - start };
  } finally {
    await file.close();
  }
}
