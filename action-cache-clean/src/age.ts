import { formatDuration } from '@gbo/shared/duration';
import ms, { type StringValue } from 'ms';

const DAY_MS = 24 * 60 * 60 * 1000;
const spelling = /^\d+(\.\d+)? ?(m|min|mins|minutes?|h|hours?|d|days?|w|weeks?)$/i;

/**
 * `14d`, `36h`, `2w`, `90min` as milliseconds. A plain number is refused: seconds and days are both what somebody means.
 *
 * @throws Error with half a sentence: `"long" is not an age such as 14d or 36h`
 */
export function parseAge(text: string): number {
  const trimmed = text.trim();
  const value = spelling.test(trimmed) ? ms(trimmed as StringValue) : Number.NaN;
  if (!Number.isFinite(value)) throw new Error(`${JSON.stringify(text)} is not an age such as 14d or 36h`);
  if (value > 3650 * DAY_MS) throw new Error(`${JSON.stringify(text)} is longer than ten years`);
  return Math.round(value);
}

/** Milliseconds as an age for people: `31 days`, `26 h`, below that as a duration. */
export function formatAge(milliseconds: number): string {
  if (milliseconds >= 2 * DAY_MS) return `${Math.floor(milliseconds / DAY_MS)} days`;
  if (milliseconds >= 2 * 60 * 60 * 1000) return `${Math.floor(milliseconds / (60 * 60 * 1000))} h`;
  return formatDuration(Math.max(0, milliseconds));
}
