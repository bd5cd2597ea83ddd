import { literal } from './report.js';

/** Lines shorter than this are not masked: masking `ab` would blot out half of every log. */
const SHORTEST_MASKED_LINE = 4;

/**
 * Every text under which a secret can show up in a log: its lines (the runner masks line by line, and a key has many), the
 * command-encoded and URL-encoded forms of them, their bytes read as Latin-1, what JSON and Markdown make of them, and the
 * base64 of the lines and of the whole.
 *
 * Source for the raw lines: Forgejo's reporter masks the literal text after `::add-mask::` without decoding `%25`, `%0A`.
 */
export function maskable(secret: string): string[] {
  const lines = secret
    .split(/\r\n|\r|\n|\\n/)
    .flatMap((line) => [line, line.trim()])
    .filter((line) => line.length >= SHORTEST_MASKED_LINE);
  const whole = [secret, secret.trim()].filter((text) => text.length >= SHORTEST_MASKED_LINE);
  const encoded = lines.flatMap((line) => [
    line.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A'),
    encodeURIComponent(Buffer.from(line).toString()), // a lone surrogate would make it throw
    Buffer.from(line).toString('latin1'), // as git shows what a server said without naming its charset
    JSON.stringify(line).slice(1, -1), // in the output `report`
    literal(line), // in summaries and comments
    literal(`x${line}x`).slice(1, -1), // the same within a word
  ]);
  const base64 = [...whole, ...lines].map((text) => Buffer.from(text).toString('base64'));
  return [...new Set([...lines, ...encoded, ...base64])].sort((a, b) => b.length - a.length);
}

/** Remembers secrets and takes them out of any text that this action writes itself: log, outputs, summary. */
export class Secrets {
  #masked: string[] = [];

  /** Returns the texts that were not known before, for the caller to announce to the runner. */
  add(secret: string): string[] {
    const fresh = maskable(secret).filter((text) => !this.#masked.includes(text));
    this.#masked = [...this.#masked, ...fresh].sort((a, b) => b.length - a.length);
    return fresh;
  }

  redact(text: string): string {
    return this.#masked.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
  }
}
