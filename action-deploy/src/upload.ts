import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate as soon } from 'node:timers/promises';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { type Connection, ConnectionLost } from '@gbo/shared/ssh/connection';
import { addressOf } from '@gbo/shared/ssh/endpoint';

export interface UploadProgress {
  /** On the target now. */
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
  /** SFTP sessions side by side, 1 to 8. Default: 1, or 4 when a round trip takes more than 15 ms. */
  channels?: number;
  /** Give up when the target has taken nothing for this long. Default: 30 s. */
  stallMs?: number;
  /** Called at most every 500 ms, and at the end. */
  onProgress?(progress: UploadProgress): void;
  signal?: AbortSignal;
}

/** The longest write OpenSSH takes in one piece (its limits@openssh.com says 261120); ssh2 splits it for others. */
const CHUNK = 255 * 1024;

/**
 * No write is sent that begins this far behind the first byte not yet acknowledged. So in a part file only the last
 * WINDOW bytes can have holes, whenever it was cut off, and its size alone tells where to go on. Never make it smaller:
 * a part file of an earlier version may be waiting. 8 MiB keep 4 channels of 2 MiB (OpenSSH's window) full.
 */
export const WINDOW = 32 * CHUNK;

/** Writes in flight on one channel: OpenSSH's window for a channel. More would only wait in our memory. */
const IN_FLIGHT = 8;

/** Writes that are read from the disk at once: each read wakes another thread, which costs more than the bytes do. */
const LOT = 2;

// RFC draft-ietf-secsh-filexfer-02, section 6.3.
const READ = 1;
const WRITE = 2;
const CREAT = 8;
const TRUNC = 16;

/**
 * Writes `from` to `to` (created with mode 0600), going on where an earlier try was cut off. Uses SFTP's OPEN, FSTAT,
 * WRITE and CLOSE only. Does not fsync, hash or rename.
 *
 * Our own writer: ssh2's fastPut and node-ssh's putFile begin at zero each time, use one channel, never time out, and
 * never end when the local file shrinks.
 *
 * @throws ConnectionLost; ExpectedError when the local file changes meanwhile, when nothing was acknowledged for
 * stallMs, when the server reports a failure, when cancelled
 */
export async function upload(
  connection: Connection,
  options: UploadOptions,
): Promise<{ sent: number; resumedFrom: number; ms: number }> {
  const start = performance.now();
  const { from, size } = options;
  const file = await open(from, 'r').catch((error: unknown) => {
    throw new ExpectedError(`${from} cannot be read: ${messageOf(error)}.`, '', 'Check that the build made it.');
  });
  try {
    const before = await file.stat();
    if (before.size !== size) throw changed(from);
    const resumedFrom = await new Transfer(connection, options, file).run();
    const after = await file.stat();
    if (after.size !== size || after.mtimeMs !== before.mtimeMs) throw changed(from);
    return { sent: size - resumedFrom, resumedFrom, ms: performance.now() - start };
  } finally {
    await file.close();
  }
}

function changed(from: string): ExpectedError {
  return new ExpectedError(
    `${from} changed while it was uploaded.`,
    'The running version was not touched.',
    'Let the build finish before the deploy starts.',
  );
}

type Sftp = Awaited<ReturnType<Connection['sftp']>>;

/** One SFTP channel with the part file open. */
interface Lane {
  sftp: Sftp;
  handle: Buffer;
}

class Transfer {
  readonly #connection: Connection;
  readonly #options: UploadOptions;
  readonly #file: FileHandle;
  readonly #lanes: Lane[] = [];
  readonly #failed: Promise<never>;
  #fail: (error: unknown) => void = () => {};
  #stopped = false;

  #resumedFrom = 0;
  /** Where the next write begins. */
  #next = 0;
  /** Everything before it is acknowledged. */
  #low = 0;
  /** Acknowledged writes above #low: offset -> length. */
  readonly #above = new Map<number, number>();
  #acknowledged = 0;
  #waiting: (() => void)[] = [];
  #stall: NodeJS.Timeout | undefined;
  #toldAt = 0;

  constructor(connection: Connection, options: UploadOptions, file: FileHandle) {
    this.#connection = connection;
    this.#options = options;
    this.#file = file;
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => {});
  }

  /** @returns the offset it went on from */
  async run(): Promise<number> {
    const { signal, stallMs = 30_000, channels = this.#connection.roundTripMs > 15 ? 4 : 1 } = this.#options;
    const cancelled = () =>
      this.#fail(signal?.reason instanceof ExpectedError ? signal.reason : this.#problem('was cancelled', ''));
    signal?.addEventListener('abort', cancelled);
    if (signal?.aborted) cancelled();
    void this.#connection.closed.then((error) =>
      this.#fail(error ?? new ConnectionLost('The connection was closed.', '', '')),
    );
    this.#stall = setTimeout(
      () =>
        this.#fail(
          this.#problem(
            `stalled: nothing was taken for ${stallMs / 1000} s`,
            'Check the network and the disk of the host.',
          ),
        ),
      stallMs,
    );
    try {
      await Promise.race([this.#failed, this.#carryOut(Math.min(8, Math.max(1, channels)))]);
      this.#tell(true);
      return this.#resumedFrom;
    } finally {
      this.#stopped = true;
      clearTimeout(this.#stall);
      signal?.removeEventListener('abort', cancelled);
      for (const wake of this.#waiting) wake();
      for (const { sftp } of this.#lanes) sftp.end();
    }
  }

  async #carryOut(channels: number): Promise<void> {
    const { size } = this.#options;
    const first = await this.#openLane(READ | WRITE | CREAT);
    const there = await this.#ask<{ size: number }>((done) => first.sftp.fstat(first.handle, done));
    if (there.size > size) {
      // Not a part of this file: begin again, with an empty one.
      const handle = await this.#openFile(first.sftp, WRITE | CREAT | TRUNC);
      await this.#close(first);
      first.handle = handle;
    } else {
      this.#resumedFrom = Math.max(0, there.size - WINDOW);
    }
    this.#next = this.#resumedFrom;
    this.#low = this.#resumedFrom;
    const others = Array.from({ length: channels - 1 }, () => this.#another(channels));
    await Promise.all([this.#drive(first, channels), ...others]);
    await Promise.all(this.#lanes.map((lane) => this.#close(lane)));
  }

  /** A further channel. A server that allows no more of them (MaxSessions) is no failure: the others do its work. */
  async #another(channels: number): Promise<void> {
    let lane: Lane;
    try {
      lane = await this.#openLane(WRITE);
    } catch (error) {
      if (error instanceof ConnectionLost) throw error;
      return;
    }
    await this.#drive(lane, channels);
  }

  async #openLane(flags: number): Promise<Lane> {
    const sftp = await this.#connection.sftp();
    // What is asked after its end, ssh2 never answers.
    sftp.once('close', () => void this.#explain(new Error('closed')).then((error) => this.#fail(error)));
    try {
      const lane = { sftp, handle: await this.#openFile(sftp, flags) };
      if (this.#stopped) sftp.end();
      this.#lanes.push(lane);
      return lane;
    } catch (error) {
      sftp.end();
      throw error;
    }
  }

  #openFile(sftp: Sftp, flags: number): Promise<Buffer> {
    return this.#ask((done) => sftp.open(this.#options.to, flags, { mode: 0o600 }, done));
  }

  #close({ sftp, handle }: Lane): Promise<void> {
    return this.#ask((done) => sftp.close(handle, done));
  }

  async #drive(lane: Lane, channels: number): Promise<void> {
    const writes = Math.min(IN_FLIGHT, Math.floor(WINDOW / CHUNK / channels));
    await Promise.all(Array.from({ length: Math.max(1, Math.floor(writes / LOT)) }, () => this.#work(lane)));
  }

  async #work(lane: Lane): Promise<void> {
    const { size } = this.#options;
    const buffer = Buffer.allocUnsafeSlow(Math.min(LOT * CHUNK, Math.max(1, size - this.#resumedFrom)));
    while (this.#next < size && !this.#stopped) {
      if (this.#next >= this.#low + WINDOW) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      const offset = this.#next;
      const length = Math.min(buffer.length, size - offset, this.#low + WINDOW - offset);
      this.#next += length;
      await this.#read(buffer, offset, length);
      if (this.#stopped) return;
      const starts = Array.from({ length: Math.ceil(length / CHUNK) }, (_, index) => index * CHUNK);
      await Promise.all(
        starts.map((at) => this.#write(lane, buffer.subarray(at, Math.min(at + CHUNK, length)), offset + at)),
      );
    }
  }

  async #write({ sftp, handle }: Lane, bytes: Buffer, offset: number): Promise<void> {
    await this.#ask<void>((done) => sftp.write(handle, bytes, 0, bytes.length, offset, done));
    this.#acknowledge(offset, bytes.length);
  }

  async #read(buffer: Buffer, offset: number, length: number): Promise<void> {
    for (let have = 0; have < length; ) {
      const { bytesRead } = await this.#file.read(buffer, have, length - have, offset + have);
      if (bytesRead === 0) throw changed(this.#options.from);
      have += bytesRead;
    }
  }

  #acknowledge(offset: number, length: number): void {
    this.#acknowledged += length;
    this.#above.set(offset, length);
    for (let done = this.#above.get(this.#low); done !== undefined; done = this.#above.get(this.#low)) {
      this.#above.delete(this.#low);
      this.#low += done;
    }
    if (this.#waiting.length > 0) for (const wake of this.#waiting.splice(0)) wake();
    this.#stall?.refresh();
    this.#tell(false);
  }

  #tell(end: boolean): void {
    const { onProgress, size } = this.#options;
    if (!onProgress || (!end && performance.now() - this.#toldAt < 500)) return;
    this.#toldAt = performance.now();
    onProgress({ bytes: this.#resumedFrom + this.#acknowledged, total: size, resumedFrom: this.#resumedFrom });
  }

  #ask<T>(question: (done: (error: Error | undefined | null, answer?: unknown) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      question((error, answer) => {
        if (error) void this.#explain(error as Error & { code?: number }).then(reject);
        else resolve(answer as T);
      });
    });
  }

  async #explain(error: Error & { code?: number }): Promise<Error> {
    // SFTP status codes, as above, section 7. OpenSSH says 4 for a full disk, a quota and a read-only file system alike.
    if (error.code === 2)
      return this.#problem('failed: its folder does not exist', 'Create it, or correct the path.', error);
    if (error.code === 3)
      return this.#problem('failed: permission denied', 'Let the user write to that folder.', error);
    if (typeof error.code === 'number') {
      return this.#problem(
        `failed: ${error.message}`,
        'Check free space, quota and whether the file system is writable.',
        error,
      );
    }
    // The channel is gone. When it went with the link, the link's own error comes first.
    await soon();
    return this.#problem('failed: the server ended the SFTP session', 'See the log of sshd on the host.', error);
  }

  #problem(what: string, todo: string, cause?: unknown): ExpectedError {
    return new ExpectedError(
      `The upload of ${this.#options.to} to ${addressOf(this.#connection.endpoint)} ${what}.`,
      'The running version was not touched.',
      todo,
      { cause },
    );
  }
}
