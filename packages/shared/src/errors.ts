/**
 * A failure the user can act on. Printed as one sentence, without a stack trace.
 *
 * `what`: what is wrong. `left`: what was left as it was. `todo`: what to do about it.
 * Each is a sentence of its own with its full stop.
 */
export class ExpectedError extends Error {
  override readonly name: string = 'ExpectedError';

  constructor(
    readonly what: string,
    readonly left: string,
    readonly todo: string,
    options?: ErrorOptions,
  ) {
    super([what, left, todo].filter(Boolean).join(' '), options);
  }
}

/** The message of anything thrown, without its stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
