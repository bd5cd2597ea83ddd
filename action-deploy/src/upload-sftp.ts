import type { FileHandle } from 'node:fs/promises';
import { setImmediate as soon } from 'node:timers/promises';
import { type Connection, ConnectionLost } from '@gbo/shared/ssh/connection';
import { readWhole } from './local-file.js';
import { CHUNK, WINDOW } from './part-file.js';
import type { UploadOptions } from './upload.js';
import type { UploadWatch } from './upload-watch.js';

/** Writes in flight on one channel: OpenSSH's window for a channel. More would only wait in our memory. */
const IN_FLIGHT = 8;

/** Writes that are read from the disk at once: each read wakes another thread, which costs more than the bytes do. */
const LOT = 2;

// RFC draft-ietf-secsh-filexfer-02, section 6.3.
const READ = 1;
const WRITE = 2;
const CREAT = 8;
const TRUNC = 16;

type Sftp = Awaited<ReturnType<Connection['sftp']>>;

/** One SFTP channel with the part file open. */
interface Lane {
  sftp: Sftp;
  handle: Buffer;
}

/**
 * Uploads over that many SFTP sessions side by side, which on a link with a long way are faster than one, since a server
 * takes no more than its window (2 MiB in OpenSSH) on each without an answer. Uses OPEN, FSTAT, WRITE and CLOSE only.
 *
 * @throws ExpectedError, ConnectionLost
 */
export async function overSftp(work: Work, channels: number): Promise<void> {
  const transfer = new Transfer(work);
  work.watch.over.addEventListener('abort', () => transfer.stop(), { once: true });
  await transfer.run(channels);
}

interface Work {
  connection: Connection;
  options: UploadOptions;
  file: FileHandle;
  watch: UploadWatch;
}

class Transfer {
  readonly #connection: Connection;
  readonly #options: UploadOptions;
  readonly #file: FileHandle;
  readonly #watch: UploadWatch;
  readonly #lanes: Lane[] = [];

  #begin = 0;
  /** Where the next write begins. */
  #next = 0;
  /** Everything before it is acknowledged. */
  #low = 0;
  /** Acknowledged writes above #low: offset -> length. */
  readonly #above = new Map<number, number>();
  #waiting: (() => void)[] = [];

  constructor({ connection, options, file, watch }: Work) {
    this.#connection = connection;
    this.#options = options;
    this.#file = file;
    this.#watch = watch;
  }

  get #stopped(): boolean {
    return this.#watch.over.aborted;
  }

  stop(): void {
    for (const wake of this.#waiting) wake();
    for (const { sftp } of this.#lanes) sftp.end();
  }

  async run(channels: number): Promise<void> {
    const { size } = this.#options;
    const first = await this.#openLane(READ | WRITE | CREAT);
    const there = await this.#ask<{ size: number }>((done) => first.sftp.fstat(first.handle, done));
    if (there.size > size) {
      // Not a part of this file: begin again, with an empty one.
      const handle = await this.#openFile(first.sftp, WRITE | CREAT | TRUNC);
      await this.#close(first);
      first.handle = handle;
    } else {
      this.#begin = Math.max(0, there.size - WINDOW);
    }
    this.#watch.resumeFrom(this.#begin);
    this.#next = this.#begin;
    this.#low = this.#begin;
    const others = Array.from({ length: channels - 1 }, () => this.#another(channels));
    await Promise.all([this.#drive(first, channels), ...others]);
    await Promise.all(this.#lanes.map((lane) => this.#close(lane)));
  }

  /** A further channel. One that does not come up (MaxSessions, a limit of the host's) is no failure: the others do its work. */
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
    const ended = new Promise<never>((_, reject) => {
      sftp.once('close', () => void this.#explain(new Error('closed')).then(reject));
    });
    ended.catch(() => {});
    try {
      const lane = { sftp, handle: await Promise.race([this.#openFile(sftp, flags), ended]) };
      if (this.#stopped) sftp.end();
      this.#lanes.push(lane);
      // From here on its end is that of the upload: the writes under way on it are lost.
      ended.catch((error: unknown) => this.#watch.fail(error));
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
    const buffer = Buffer.allocUnsafeSlow(Math.min(LOT * CHUNK, Math.max(1, size - this.#begin)));
    while (this.#next < size && !this.#stopped) {
      if (this.#next >= this.#low + WINDOW) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      const offset = this.#next;
      const length = Math.min(buffer.length, size - offset, this.#low + WINDOW - offset);
      this.#next += length;
      await readWhole(this.#file, this.#options.from, buffer.subarray(0, length), offset);
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

  #acknowledge(offset: number, length: number): void {
    this.#above.set(offset, length);
    for (let done = this.#above.get(this.#low); done !== undefined; done = this.#above.get(this.#low)) {
      this.#above.delete(this.#low);
      this.#low += done;
    }
    if (this.#waiting.length > 0) for (const wake of this.#waiting.splice(0)) wake();
    this.#watch.moved(length);
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
      return this.#watch.problem('failed: its folder does not exist', 'Create it, or correct the path.', error);
    if (error.code === 3)
      return this.#watch.problem('failed: permission denied', 'Let the user write to that folder.', error);
    if (typeof error.code === 'number') {
      return this.#watch.problem(
        `failed: ${error.message}`,
        'Check free space, quota and whether the file system is writable.',
        error,
      );
    }
    // The channel is gone. When it went with the link, the link's own error comes first.
    await soon();
    return this.#watch.problem('failed: the server ended the SFTP session', 'See the log of sshd on the host.', error);
  }
}
