import { ExpectedError, messageOf } from '../errors.js';
import { ConnectionLost } from './connection-errors.js';
import { networkReason } from './dial.js';
import { addressOf, type Endpoint } from './endpoint.js';
import type { End } from './hop.js';

type Done<T> = (error: Error | undefined | null, value?: T) => void;

/** The state of the connection to the target, and waiting for answers over it without ever waiting for ever. */
export class Link {
  readonly address: string;
  readonly #end: End;
  readonly #waiting = new Set<(error: Error) => void>();
  #asked = false;

  constructor(endpoint: Endpoint, end: End) {
    this.address = addressOf(endpoint);
    this.#end = end;
    void end.promise.then(() => {
      const error = this.lost;
      for (const reject of this.#waiting) if (error) reject(error);
    });
  }

  /** Why nothing can go over the link any more; undefined while it is up. */
  get lost(): ConnectionLost | undefined {
    if (this.#asked) return new ConnectionLost(`The connection to ${this.address} is closed.`, '', '');
    if (!this.#end.reached) return undefined;
    const { error } = this.#end;
    const reason = error ? networkReason(error) : 'the server ended it';
    const todo = 'Check the network and the log of sshd on the host, then run it again.';
    return new ConnectionLost(`The connection to ${this.address} was lost: ${reason}.`, '', todo, { cause: error });
  }

  /** Resolves at the end, with the error unless the end was asked for. */
  get closed(): Promise<Error | undefined> {
    return this.#end.promise.then(() => (this.#asked ? undefined : this.lost));
  }

  /** From now on the end is asked for; whoever still waits is told so. */
  closing(): void {
    if (this.#asked) return;
    const before = this.lost;
    this.#asked = true;
    const error = before ?? this.lost;
    for (const reject of this.#waiting) if (error) reject(error);
  }

  /**
   * Waits for one answer of the server to `ask`, which can tell by `late` that nobody waits any more.
   *
   * @throws ConnectionLost; ExpectedError after `timeoutMs` and for an error the server answered with.
   */
  answer<T>(doing: string, timeoutMs: number, ask: (done: Done<T>, late: () => boolean) => void): Promise<T> {
    const noAnswer = () => this.#failure(doing, `no answer within ${timeoutMs / 1000} s`);
    return this.during<T>(timeoutMs, noAnswer, (resolve, reject) => {
      let settled = false;
      const fail = (error: unknown) => reject(this.lost ?? this.#failure(doing, messageOf(error), error));
      const done: Done<T> = (error, value) => (error ? fail(error) : resolve(value as T));
      try {
        ask(done, () => settled);
      } catch (error) {
        fail(error);
      }
      return () => {
        settled = true;
      };
    });
  }

  /** A promise that also ends with the link and with the time. `start` gives what to do once it is settled. */
  during<T>(
    timeoutMs: number,
    late: () => Error,
    start: (resolve: (value: T) => void, reject: (error: Error) => void) => () => void,
  ): Promise<T> {
    if (this.lost) return Promise.reject(this.lost);
    let release = () => {};
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(late()), timeoutMs);
      this.#waiting.add(reject);
      const settled = start(resolve, reject);
      release = () => {
        clearTimeout(timer);
        this.#waiting.delete(reject);
        settled();
      };
    }).finally(() => release());
  }

  #failure(doing: string, reason: string, cause?: unknown): ExpectedError {
    let todo = 'See the log of sshd on the host.';
    if (/open failed|administratively|resource/i.test(reason)) {
      todo = 'Check MaxSessions and ForceCommand in sshd_config and the options in authorized_keys.';
    } else if (reason.startsWith('Packet length')) {
      // The words of a login shell, read as the length of an SFTP packet.
      todo =
        'Keep the login shell of the user silent there (~/.bashrc), or set `Subsystem sftp internal-sftp` in sshd_config.';
    }
    return new ExpectedError(`${doing} on ${this.address} failed: ${reason}.`, '', todo, { cause });
  }
}
