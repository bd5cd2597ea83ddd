import { ExpectedError } from '@gbo/shared/errors';
import { type Connection, ConnectionLost } from '@gbo/shared/ssh/connection';
import { addressOf } from '@gbo/shared/ssh/endpoint';
import type { UploadOptions } from './upload.js';

/** What ends an upload early, and what it tells of its progress, whichever way the bytes go. */
export class UploadWatch {
  readonly #connection: Connection;
  readonly #options: UploadOptions;
  readonly #failed: Promise<never>;
  #fail: (error: unknown) => void = () => {};
  readonly #ended = new AbortController();
  #resumedFrom = 0;
  #moved = 0;
  #stall: NodeJS.Timeout | undefined;
  #toldAt = 0;

  constructor(connection: Connection, options: UploadOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => {});
  }

  /** Fires when nobody waits for the upload any more. */
  get over(): AbortSignal {
    return this.#ended.signal;
  }

  /** How long nothing may be taken, in ms. */
  get stallMs(): number {
    return this.#options.stallMs ?? 30_000;
  }

  /**
   * Waits for the upload. @returns the offset it went on from
   *
   * @throws what `work` rejects with or `fail` was told; ConnectionLost; ExpectedError when it stalls or is cancelled
   */
  async during(work: () => Promise<void>): Promise<number> {
    const { signal } = this.#options;
    const cancelled = () =>
      this.fail(signal?.reason instanceof ExpectedError ? signal.reason : this.problem('was cancelled', ''));
    signal?.addEventListener('abort', cancelled);
    if (signal?.aborted) cancelled();
    void this.#connection.closed.then((error) =>
      this.fail(error ?? new ConnectionLost('The connection was closed.', '', '')),
    );
    const stalled = `stalled: nothing was taken for ${this.stallMs / 1000} s`;
    this.#stall = setTimeout(
      () => this.fail(this.problem(stalled, 'Check the network and the disk of the host.')),
      this.stallMs,
    );
    try {
      await Promise.race([this.#failed, work()]);
      this.#tell(true);
      return this.#resumedFrom;
    } finally {
      this.#ended.abort();
      clearTimeout(this.#stall);
      signal?.removeEventListener('abort', cancelled);
    }
  }

  /** Ends the upload with this error, unless it has ended. */
  fail(error: unknown): void {
    this.#fail(error);
  }

  /** The bytes before this offset are there from an earlier try. */
  resumeFrom(offset: number): void {
    this.#resumedFrom = offset;
  }

  /** So many more bytes were taken. */
  moved(bytes: number): void {
    this.#moved += bytes;
    this.alive();
    this.#tell(false);
  }

  /** The other side has done something. */
  alive(): void {
    if (!this.over.aborted) this.#stall?.refresh();
  }

  problem(what: string, todo: string, cause?: unknown): ExpectedError {
    return new ExpectedError(
      `The upload of ${this.#options.to} to ${addressOf(this.#connection.endpoint)} ${what}.`,
      'The running version was not touched.',
      todo,
      { cause },
    );
  }

  #tell(end: boolean): void {
    const { onProgress, size } = this.#options;
    if (!onProgress || (!end && performance.now() - this.#toldAt < 500)) return;
    this.#toldAt = performance.now();
    onProgress({ bytes: this.#resumedFrom + this.#moved, total: size, resumedFrom: this.#resumedFrom });
  }
}
