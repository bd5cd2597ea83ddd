import ms, { type StringValue } from 'ms';

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * `90s`, `10m`, `1.5h`, `500ms`, or a plain number of seconds, as milliseconds.
 *
 * A plain number is seconds here (systemd, kubectl and curl read it so), where `ms` itself would take milliseconds.
 * @param mostDays what is waited for is no longer than a day: setTimeout overflows at 24.8 of them and would fire at
 *   once. With more of them `2d` is understood too
 * @throws Error with half a sentence: `"long" is not a duration such as 90s or 10m`
 */
export function parseDuration(text: string, mostDays = 1): number {
  const trimmed = text.trim();
  const plain = /^\d+(\.\d+)?$/.test(trimmed);
  const known = /^\d+(\.\d+)? ?(ms|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hour|hours)$/i.test(trimmed);
  const days = mostDays > 1 && /^\d+(\.\d+)? ?(d|day|days)$/i.test(trimmed);
  const value = plain ? Number(trimmed) * 1000 : known || days ? ms(trimmed as StringValue) : Number.NaN;
  if (!Number.isFinite(value)) throw new Error(`${JSON.stringify(text)} is not a duration such as 90s or 10m`);
  if (value > mostDays * DAY_MS)
    throw new Error(`${JSON.stringify(text)} is longer than ${mostDays === 1 ? 'a day' : `${mostDays} days`}`);
  return Math.round(value);
}

/** Milliseconds for people: `0.3 s`, `12 s`, `4 min 10 s`, `850 ms`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return whole % 60 === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
